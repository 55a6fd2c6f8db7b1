//! The receiving end of the ring.
#![forbid(unsafe_code)]

use core::mem::needs_drop;
use std::time::{Duration, Instant};

use super::{Message, Peeked, RecvRef};
use crate::channel::awaited;
use crate::channel::endpoint::Endpoint;
use crate::channel::iter::{Iter, Receive, items_now};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::memory::Of;
use crate::protocol::ends::after_consume;
use crate::protocol::slots::SlotRing;
use crate::wait::{Canceller, Wait};

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

    /// Receives the next message, waiting for one until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.end.find_by(awaited::Message(&self.ring), deadline)?;
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
    pub(super) fn consume(&mut self) {
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

    /// Receives the messages that are there into `values`, and waits for at most `timeout` until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout).
    pub fn recv_slice_timeout(&mut self, values: &mut [T], timeout: Duration) -> Result<usize, RecvTimeoutError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
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
        Ok(RecvRef::new(self))
    }

    /// The next message, for reading in place, if there is one now.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_, T>, TryRecvError> {
        self.end.find_now(awaited::Message(&self.ring))?;
        Ok(RecvRef::new(self))
    }

    /// The next message, in place; waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<RecvRef<'_, T>, RecvTimeoutError> {
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        Ok(RecvRef::new(self))
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
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// An iterator over the messages as they come: the results of [`recv`](Self::recv). It ends when the sender has left
    /// and everything is received. A [`RecvError::PeerDied`] does not end it: the messages of a successor follow. Any
    /// other error is its last item.
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(8).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// # tx.send(&7)?;
    /// # drop(tx);
    /// for message in &mut rx {
    ///     println!("{}", message?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, Self> {
        Iter::new(self)
    }

    /// An iterator over the messages that are there now: the results of [`try_recv`](Self::try_recv) until that finds
    /// none. An error is its last item.
    pub fn try_iter(&mut self) -> impl Iterator<Item = Result<T, RecvError>> {
        items_now(|| self.try_recv())
    }

    /// How many messages were sent and not yet received. Checks a few slots: at most about log2 of the capacity.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no message now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// How many messages the ring holds.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// How often the receiver's seat has been taken, including by this receiver. The sender's `PeerDied` names this
    /// number.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next message was lent before and not consumed, by [`recv_ref`](Self::recv_ref) or
    /// [`peek_many`](Self::peek_many). The receiver that lent it ended before it dropped the guard, or this receiver
    /// forgot the guard (`mem::forget`).
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.end.state.redelivers()
    }

    /// Whether a living sender holds its seat now. Asks the kernel.
    #[must_use]
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died and that was not reported yet. Its messages may still be there. Asks the
    /// kernel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// How blocked calls wait.
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the sender leaves or dies: `recv` then waits for the next sender, and never returns
    /// [`RecvError::Closed`] or [`RecvError::PeerDied`]. Nor does any other call. For services that restart. Default: no.
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(8).anonymous()?;
    /// let mut rx = channel.receiver()?;
    /// rx.outlive_peers(true);
    /// for n in 1..=3 {
    ///     let mut tx = channel.sender()?; // each leaves before the next one comes
    ///     tx.send(&n)?;
    /// }
    /// assert_eq!([rx.recv()?, rx.recv()?, rx.recv()?], [1, 2, 3]);
    /// assert!(rx.try_recv().is_err_and(|error| error.is_empty()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.end.outlives_peers = yes;
    }

    /// Waits until a living sender holds its seat, for at most `timeout`. A claim wakes this call.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`]: none came. [`RecvError::Forked`], [`RecvError::Cancelled`], [`RecvError::Corrupt`].
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.end.wait_for_peer::<TryRecvError>(timeout)
    }

    /// What ends the blocked calls of this receiver, from any thread or a signal handler. Each call returns the same one.
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

impl<T: Message> Receive for Receiver<T> {
    type Message = T;

    #[inline(always)]
    fn next_message(&mut self) -> Result<T, RecvError> {
        self.recv()
    }
}

impl<'a, T: Message> IntoIterator for &'a mut Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, Receiver<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> core::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Receiver").field("end", &self.end).finish()
    }
}
