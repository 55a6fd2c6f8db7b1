//! The receiving end of the ring.

use core::marker::PhantomData;
use std::time::Duration;

use super::Message;
use crate::endpoint::Endpoint;
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::protocol::slots::SlotRing;
use crate::protocol::{Stop, after_consume, lend};
use crate::wait::{Patience, Wait};

/// The receiving end: one at a time for all processes, usable from one thread at a time of the process
/// that took it. Dropping it lets the sender see `Closed`; what it did not receive stays in the ring.
pub struct Receiver<T> {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing,
    pub(super) carries: PhantomData<fn() -> T>,
}

impl<T: Message> Receiver<T> {
    /// Receives the next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] or [`RecvError::PeerDied`] once the ring is empty; this process is a forked child of the
    /// receiver's, or the region is corrupt.
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            match self.recv_patiently(Some(Patience::Forever)) {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Receives the next message if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.recv_patiently(None)
    }

    /// Receives the next message, waiting for one for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        Ok(self.recv_patiently(Some(Patience::lasting(timeout)))?)
    }

    #[inline(always)]
    fn recv_patiently(&mut self, patience: Option<Patience>) -> Result<T, TryRecvError> {
        let at = self.peek(patience)?;
        let value = self.ring.data.read_value(at);
        self.consume();
        Ok(value)
    }

    /// Finds the next message: its byte in the data area.
    #[inline(always)]
    fn peek(&mut self, patience: Option<Patience>) -> Result<usize, TryRecvError> {
        match (self.ring.peek(&mut self.end.state), patience) {
            (Err(Stop::Blocked), Some(patience)) => {
                let ring = &self.ring;
                loop {
                    let settled =
                        self.end.wait_until(patience, |state, glances| ring.watch_for_message(state, glances));
                    match ring.peek(&mut self.end.state) {
                        // The peer left, and another came.
                        Err(Stop::Blocked) if settled => {}
                        result => return result.map_err(|stop| self.end.note_told(stop).into()),
                    }
                }
            }
            (result, _) => result.map_err(|stop| self.end.note_told(stop).into()),
        }
    }

    #[inline(always)]
    fn consume(&mut self) {
        self.ring.consume(&mut self.end.state);
        after_consume(&self.end.control, self.end.fences);
    }

    /// Receives the messages that are there into `values`, waiting until there is one, and returns how
    /// many: 0 only if `values` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_slice(&mut self, values: &mut [T]) -> Result<usize, RecvError> {
        if values.is_empty() {
            return Ok(0);
        }
        loop {
            match self.peek(Some(Patience::Forever)).and_then(|_| self.try_recv_slice(values)) {
                Ok(received) => return Ok(received),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Receives the messages that are there now into `values`, and returns how many.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none for at least one value, and those of
    /// [`recv`](Self::recv).
    #[inline]
    pub fn try_recv_slice(&mut self, values: &mut [T]) -> Result<usize, TryRecvError> {
        let mut received = 0;
        for value in values {
            let at = match self.ring.peek(&mut self.end.state) {
                Ok(at) => at,
                Err(stop) if received == 0 => return Err(self.end.note_told(stop).into()),
                Err(_) => break,
            };
            let message = self.ring.data.read_value(at);
            self.ring.consume(&mut self.end.state);
            // Last, because it may run the drop of the value that was there.
            *value = message;
            received += 1;
        }
        if received > 0 {
            after_consume(&self.end.control, self.end.fences);
        }
        Ok(received)
    }

    /// The next message where it lies; waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    #[inline]
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_, T>, RecvError> {
        loop {
            match self.peek(Some(Patience::Forever)) {
                Ok(at) => return Ok(self.lend(at)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// The next message where it lies, if there is one now.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_, T>, TryRecvError> {
        let at = self.peek(None)?;
        Ok(self.lend(at))
    }

    /// Lends the message that was found. If this process ends before it is consumed, the next receiver is told.
    #[inline(always)]
    fn lend(&mut self, at: usize) -> RecvRef<'_, T> {
        let again = lend(&self.end.control, &mut self.end.state);
        RecvRef { at, again, receiver: self }
    }

    /// The messages as they come, until [`recv`](Self::recv) gives an error. Which one, and a
    /// [`RecvError::PeerDied`] that is told once, is lost with it: to go on with a successor, use `recv`.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Messages sent and not yet received. Looks at a few slots: at most the logarithm of the capacity.
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// How often the receiver's seat was taken, this turn included: the sender's `PeerDied` names it.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next message was lent by [`recv_ref`](Self::recv_ref) before and not consumed: by a receiver
    /// that ended with it in its hands, or by this one, which forgot its guard.
    pub fn is_redelivery(&self) -> bool {
        self.end.state.redelivers()
    }

    /// Whether a sender that is alive sits there now. Asks the kernel.
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died untold. What it sent may still be there. Asks the kernel.
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// How blocked calls wait from now on.
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
        self.receiver.ring.data.read_value(self.at)
    }

    /// Copies a part of the value, from byte `offset` on.
    ///
    /// # Panics
    ///
    /// The range reaches beyond the value.
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        self.receiver.ring.data.read_bytes(self.at + offset, bytes);
    }

    /// The message's address, for `size_of::<T>()` bytes, aligned for `T`. A hostile peer may write there.
    pub fn as_ptr(&self) -> *const T {
        self.receiver.ring.data.address(self.at, size_of::<T>()).cast()
    }

    /// The message in place, without a copy.
    ///
    /// # Safety
    ///
    /// No process writes to the message while the reference lives. A sender that uses this crate does not:
    /// the slot is this receiver's until the guard is dropped. So every process that can write the region
    /// must be trusted to use it through this crate alone, and this process must not be a child forked
    /// since the guard was made.
    pub unsafe fn as_ref(&self) -> &T {
        // SAFETY: aligned and inside the region by construction; the caller vouches that nobody writes.
        unsafe { &*self.as_ptr() }
    }
}

impl<T: Message> Drop for RecvRef<'_, T> {
    fn drop(&mut self) {
        if self.receiver.end.state.holder != 0 {
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
