//! The sending end of the ring.

use core::marker::PhantomData;
use std::time::Duration;

use super::Message;
use crate::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::layout::WORD;
use crate::protocol::after_publish;
use crate::protocol::slots::SlotRing;
use crate::wait::{Patience, Wait};

/// The sending end: one at a time for all processes, usable from one thread at a time of the process that
/// took it. Dropping it lets the receiver drain the ring and then see `Closed`.
pub struct Sender<T> {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<T>,
    pub(super) carries: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    /// Sends `value`, waiting while the ring is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`], or [`SendError::PeerDied`] if the ring is full; this process is a forked child of the
    /// sender's, or the region is corrupt.
    #[inline(always)]
    pub fn send(&mut self, value: &T) -> Result<(), SendError> {
        self.reserve()?;
        self.put(value);
        Ok(())
    }

    /// Sends `value` if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send).
    #[inline(always)]
    pub fn try_send(&mut self, value: &T) -> Result<(), TrySendError> {
        self.try_reserve()?;
        self.put(value);
        Ok(())
    }

    /// Sends `value`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<(), SendTimeoutError> {
        if !self.ring.has_space(&self.end.state) {
            self.wait(Patience::lasting(timeout))?;
        }
        self.put(value);
        Ok(())
    }

    /// Makes sure the next slot is free; waits for it.
    #[inline(always)]
    fn reserve(&mut self) -> Result<(), SendError> {
        if self.ring.has_space(&self.end.state) { Ok(()) } else { self.wait_for_ever() }
    }

    /// Makes sure the next slot is free.
    #[inline(always)]
    fn try_reserve(&mut self) -> Result<(), TrySendError> {
        if self.ring.has_space(&self.end.state) { Ok(()) } else { self.look() }
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self) -> Result<(), TrySendError> {
        Ok(self.ring.reserve(&mut self.end.state).map_err(|stop| self.end.note_told(stop))?)
    }

    #[cold]
    #[inline(never)]
    fn wait_for_ever(&mut self) -> Result<(), SendError> {
        loop {
            match self.wait(Patience::Forever) {
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn wait(&mut self, patience: Patience) -> Result<(), TrySendError> {
        let ring = &self.ring;
        Ok(self.end.wait_until(patience, |state, glances| ring.watch_for_space(state, glances))?)
    }

    /// Sends `value` in the slot that is free.
    #[inline(always)]
    fn put(&mut self, value: &T) {
        self.ring.put(&mut self.end.state, value);
        after_publish(&self.ring.control, &mut self.end.state, self.end.fences);
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.ring.publish(&mut self.end.state);
        after_publish(&self.ring.control, &mut self.end.state, self.end.fences);
    }

    /// Sends as many of `values` as there is room for, waiting until there is room for one, and returns
    /// how many: 0 only if `values` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send); nothing was sent then.
    pub fn send_slice(&mut self, values: &[T]) -> Result<usize, SendError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.reserve()?;
        Ok(self.put_slice(values))
    }

    /// Sends as many of `values` as there is room for now, and returns how many.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if there is room for none of at least one, and those of
    /// [`send`](Self::send).
    #[inline]
    pub fn try_send_slice(&mut self, values: &[T]) -> Result<usize, TrySendError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.try_reserve()?;
        Ok(self.put_slice(values))
    }

    /// Sends the first of `values` in the slot that is free, and of the others as many as there is room for.
    #[inline(always)]
    fn put_slice(&mut self, values: &[T]) -> usize {
        let mut sent = 0;
        if !self.ring.has_space(&self.end.state) {
            // A successor's first message, which goes alone.
            self.ring.put(&mut self.end.state, &values[0]);
            sent = 1;
        }
        while sent < values.len() && self.ring.reserve(&mut self.end.state).is_ok() {
            sent += self.ring.put_some(&mut self.end.state, &values[sent..]);
        }
        // What stopped it, if it was news, the next call tells.
        after_publish(&self.ring.control, &mut self.end.state, self.end.fences);
        sent
    }

    /// The next slot, to be filled in where it lies; waits while the ring is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_ref(&mut self) -> Result<SendRef<'_, T>, SendError> {
        self.reserve()?;
        Ok(self.lend())
    }

    /// The next slot, if it is free now.
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    pub fn try_send_ref(&mut self) -> Result<SendRef<'_, T>, TrySendError> {
        self.try_reserve()?;
        Ok(self.lend())
    }

    fn lend(&mut self) -> SendRef<'_, T> {
        SendRef { at: self.end.state.offset as usize * WORD, sender: self }
    }

    /// Messages sent and not yet received.
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    pub fn is_empty(&self) -> bool {
        self.ring.is_drained(&self.end.state)
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// How often the sender's seat was taken, this turn included: the receiver's `PeerDied` names it.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a receiver that is alive sits there now. Asks the kernel.
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver sat there since this sender came, and left or died untold. Asks the kernel.
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// How blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

/// A slot of the ring, being filled in. Dropped without [`send`](Self::send), it publishes nothing.
#[must_use = "a slot that is not sent publishes nothing"]
pub struct SendRef<'a, T> {
    sender: &'a mut Sender<T>,
    at: usize,
}

impl<T: Message> SendRef<'_, T> {
    /// Writes the whole value.
    pub fn write(&mut self, value: &T) {
        self.write_at(0, value.as_bytes());
    }

    /// Writes `bytes` at byte `offset` of the value. What is never written holds an earlier message's
    /// bytes.
    ///
    /// In a forked child it does nothing; [`send`](Self::send) says so.
    ///
    /// # Panics
    ///
    /// The range reaches beyond the value.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        if self.sender.end.state.holder != 0 {
            self.sender.ring.data.write(self.at + offset, bytes);
        }
    }

    /// The slot's address, for `size_of::<T>()` bytes, aligned for `T`. Other processes may read and write
    /// there: use it for volatile or atomic accesses, and only while this slot is held, in the process
    /// that holds it.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.sender.ring.data.address_mut(self.at, size_of::<T>()).cast()
    }

    /// Publishes the message.
    ///
    /// # Errors
    ///
    /// [`SendError::Forked`].
    pub fn send(self) -> Result<(), SendError> {
        if self.sender.end.state.holder == 0 {
            return Err(SendError::Forked);
        }
        self.sender.publish();
        Ok(())
    }
}
