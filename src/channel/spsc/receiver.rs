//! The receiving end of the ring.

use core::mem::needs_drop;
use std::time::Duration;

use super::{Message, Peeked};
use crate::channel::awaited;
use crate::channel::endpoint::Endpoint;
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::layout::WORD;
use crate::memory::Of;
use crate::protocol::ends::after_consume;
use crate::protocol::slots::SlotRing;
use crate::wait::Wait;

/// The receiving end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. After it is dropped, the sender sees `Closed`, and messages that it did not receive stay in the
/// ring.
pub struct Receiver<T> {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<Of<T>>,
}

impl<T: Message> Receiver<T> {
    /// Receives the next message, waiting until there is one.
    ///
    /// If it spins, and took many messages in a row before it found none, it lets the sender run ahead for a moment, at
    /// most about the time of a round trip: two processes on the same cache lines slow each other down.
    ///
    /// # Errors
    ///
    /// - [`RecvError::Closed`]: the ring is empty, and the sender left.
    /// - [`RecvError::PeerDied`]: the ring is empty, and the sender died.
    /// - [`RecvError::Forked`]: this process is a forked child of the receiver's.
    /// - [`RecvError::FileLost`], [`RecvError::Corrupt`].
    #[inline(always)]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        // The loop keeps the code that takes a message, which is inlined, to one copy.
        loop {
            if let Some(value) = self.take_now() {
                return Ok(value);
            }
            let message = awaited::Message(&self.ring);
            if self.end.spin(message).is_none() {
                self.end.wait_for_ever(message)?;
            }
        }
    }

    /// Receives the next message if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv`](Self::recv).
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        // As in `recv`. The second turn fails only if a hostile peer took the message away.
        for _ in 0..2 {
            if let Some(value) = self.take_now() {
                return Ok(value);
            }
            self.end.find_now(awaited::Message(&self.ring))?;
        }
        Err(TryRecvError::Empty)
    }

    /// Receives the next message, waiting for one for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        Ok(self.take())
    }

    #[inline(always)]
    fn take_now(&mut self) -> Option<T> {
        let value = self.ring.try_take(&mut self.end.state)?;
        after_consume(&self.ring.ends.lane, self.end.fences);
        Some(value)
    }

    /// Takes the message that is there.
    #[inline(always)]
    fn take(&mut self) -> T {
        let value = self.ring.take(&mut self.end.state);
        after_consume(&self.ring.ends.lane, self.end.fences);
        value
    }

    #[inline(always)]
    fn consume(&mut self) {
        self.ring.consume(&mut self.end.state);
        after_consume(&self.ring.ends.lane, self.end.fences);
    }

    /// Receives the messages that are there into `values`, and waits until there is one. Returns how many it received:
    /// 0 only if `values` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_slice(&mut self, values: &mut [T]) -> Result<usize, RecvError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.end.find(awaited::Message(&self.ring))?;
        Ok(self.take_slice(values))
    }

    /// Receives the messages that are there now into `values`, and returns how many it received.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if `values` is not empty and there is no message, and those of [`recv`](Self::recv).
    #[inline]
    pub fn try_recv_slice(&mut self, values: &mut [T]) -> Result<usize, TryRecvError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.end.find_now(awaited::Message(&self.ring))?;
        Ok(self.take_slice(values))
    }

    /// Takes the message that is there, and those after it.
    #[inline(always)]
    fn take_slice(&mut self, values: &mut [T]) -> usize {
        let mut received = 1;
        if needs_drop::<T>() {
            self.replace(&mut values[0]);
            while received < values.len() && self.ring.has_message(&self.end.state) {
                self.replace(&mut values[received]);
                received += 1;
            }
        } else {
            self.ring.take_into(&mut self.end.state, &mut values[0]);
            loop {
                let more = self.ring.take_some(&mut self.end.state, &mut values[received..]);
                received += more;
                if more == 0 {
                    break;
                }
            }
        }
        after_consume(&self.ring.ends.lane, self.end.fences);
        received
    }

    /// Replaces an old value with the message that is there. The old value is dropped while nothing borrows the private
    /// state: its drop may fork, which changes the state. Not inlined, so that callers have no value on their stack.
    #[inline(never)]
    fn replace(&mut self, place: &mut T) {
        let message = self.ring.take(&mut self.end.state);
        *place = message;
    }

    /// Receives the next message straight into `place`, waiting until there is one.
    ///
    /// Use it for a large `T`, say 16 KiB or more: a returned value crosses the stack, several times in a debug build.
    /// To have one on the heap, begin with [`new_box_zeroed`](zerocopy::FromZeros::new_box_zeroed).
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv); `place` is then unchanged.
    #[inline]
    pub fn recv_into(&mut self, place: &mut T) -> Result<(), RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        self.take_into(place);
        Ok(())
    }

    /// Receives the next message straight into `place` if there is one now: see [`recv_into`](Self::recv_into).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv); `place` is then unchanged.
    #[inline]
    pub fn try_recv_into(&mut self, place: &mut T) -> Result<(), TryRecvError> {
        self.end.find_now(awaited::Message(&self.ring))?;
        self.take_into(place);
        Ok(())
    }

    /// Receives the next message straight into `place`, waiting for one for at most `timeout`: see
    /// [`recv_into`](Self::recv_into).
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout); `place` is then unchanged.
    pub fn recv_into_timeout(&mut self, place: &mut T, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        self.take_into(place);
        Ok(())
    }

    /// Takes the message that is there.
    #[inline(always)]
    fn take_into(&mut self, place: &mut T) {
        if needs_drop::<T>() {
            self.replace(place);
        } else {
            self.ring.take_into(&mut self.end.state, place);
        }
        after_consume(&self.ring.ends.lane, self.end.fences);
    }

    /// The next message, for reading in place; waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    #[inline]
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_, T>, RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        Ok(self.lend())
    }

    /// The next message, for reading in place, if there is one now.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_, T>, TryRecvError> {
        self.end.find_now(awaited::Message(&self.ring))?;
        Ok(self.lend())
    }

    /// Lends the message that was found. If this process ends before consuming it, the next receiver learns of that.
    #[inline(always)]
    fn lend(&mut self) -> RecvRef<'_, T> {
        let state = &mut *self.end.state;
        let at = state.offset as usize * WORD;
        let again = self.ring.ends.lend(state, state.pos);
        RecvRef { at, again, receiver: self }
    }

    /// Up to `most` messages in a row, for reading in place; waits until there is one. None is consumed until
    /// [`Peeked::consume_up_to`]. To look further ahead, or again, call this again. Use it for a bridge that
    /// acknowledges late, or to read batches. See [`Sender::reserve_many`](super::Sender::reserve_many) for an example.
    ///
    /// If this process ends before it consumes them, its successor gets these messages as
    /// [redeliveries](Self::is_redelivery).
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    #[inline(always)]
    pub fn peek_many(&mut self, most: usize) -> Result<Peeked<'_, T>, RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        Ok(Peeked::new(self, most))
    }

    /// [`peek_many`](Self::peek_many), if there is a message now.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    #[inline(always)]
    pub fn try_peek_many(&mut self, most: usize) -> Result<Peeked<'_, T>, TryRecvError> {
        self.end.find_now(awaited::Message(&self.ring))?;
        Ok(Peeked::new(self, most))
    }

    /// [`peek_many`](Self::peek_many) that waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout).
    pub fn peek_many_timeout(&mut self, most: usize, timeout: Duration) -> Result<Peeked<'_, T>, RecvTimeoutError> {
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        Ok(Peeked::new(self, most))
    }

    /// The position of the next message. The first message ever sent has position 1, so one message fewer than this
    /// number was received, by this receiver and those before it. 0 in a forked child, and if the region is corrupt.
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// An iterator over the messages as they come. It ends at the first error of [`recv`](Self::recv), and drops that
    /// error, even a [`RecvError::PeerDied`], which is reported only once. To go on with a successor, use `recv`.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// How many messages were sent and not yet received. Checks a few slots: at most about log2 of the capacity.
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// How often the receiver's seat has been taken, including by this receiver. The sender's `PeerDied` names this
    /// number.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next message was lent before and not consumed, by [`recv_ref`](Self::recv_ref) or
    /// [`peek_many`](Self::peek_many). The receiver that lent it ended before it dropped the guard, or this receiver
    /// forgot the guard (`mem::forget`).
    pub fn is_redelivery(&self) -> bool {
        self.end.state.redelivers()
    }

    /// Whether a living sender holds its seat now. Asks the kernel.
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died and that was not reported yet. Its messages may still be there. Asks the
    /// kernel.
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

/// A message in the ring. Dropping it consumes the message.
pub struct RecvRef<'a, T: Message> {
    receiver: &'a mut Receiver<T>,
    at: usize,
    again: bool,
}

impl<T: Message> RecvRef<'_, T> {
    /// Whether the message was lent before and not consumed: see [`Receiver::is_redelivery`].
    pub fn is_redelivery(&self) -> bool {
        self.again
    }

    /// A copy of the whole value.
    pub fn read(&self) -> T {
        self.receiver.ring.slots.area().slice(self.at / WORD, size_of::<T>().div_ceil(WORD)).read()
    }

    /// Copies the whole value straight into `place`: see [`Receiver::recv_into`].
    pub fn read_into(&self, place: &mut T) {
        if needs_drop::<T>() {
            return self.read_over(place);
        }
        self.receiver.ring.slots.area().read_bytes(self.at, place.as_mut_bytes());
    }

    /// Not inlined, so that [`read_into`](Self::read_into) has no value on its stack.
    #[inline(never)]
    fn read_over(&self, place: &mut T) {
        *place = self.read();
    }

    /// Fills `bytes` from the value, from byte `offset` on.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the value.
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        self.receiver.ring.slots.area().read_bytes(self.at + offset, bytes);
    }

    /// The address of the message's `size_of::<T>()` bytes, aligned for `T`. A hostile peer may write there.
    pub fn as_ptr(&self) -> *const T {
        self.receiver.ring.slots.area().address(self.at, size_of::<T>()).cast()
    }

    /// The message in place, without a copy.
    ///
    /// # Safety
    ///
    /// No process may write to the message while the reference lives. A sender that uses this crate does not: the slot
    /// belongs to this receiver until the guard is dropped. So every process that can write the region must be trusted
    /// to use it only through this crate, and this process must not be a child forked since the guard was made.
    pub unsafe fn as_ref(&self) -> &T {
        // SAFETY: aligned and inside the region by construction; the caller guarantees that nobody writes.
        unsafe { &*self.as_ptr() }
    }
}

impl<T: Message> Drop for RecvRef<'_, T> {
    fn drop(&mut self) {
        if !self.receiver.end.state.is_parents() {
            self.receiver.consume();
        }
    }
}

/// The messages of a [`Receiver`], as they come.
pub struct Iter<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T: Message> IntoIterator for &'a mut Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
