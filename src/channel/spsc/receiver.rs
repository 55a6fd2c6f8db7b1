//! The receiving end of the ring.
#![forbid(unsafe_code)]

use core::mem::needs_drop;
use std::time::{Duration, Instant};

use super::{Message, Peeked, RecvRef};
use crate::channel::endpoint::Endpoint;
use crate::channel::iter::{Iter, Receive, items_now};
use crate::channel::{awaited, returns};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::memory::Of;
use crate::protocol::ends::after_consume;
use crate::protocol::slots::SlotRing;
use crate::wait::{Canceller, Wait};

/// The receiving end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. After it is dropped, the sender sees `Closed`, and messages that it did not receive stay in the
/// ring.
///
/// # Examples
///
/// ```
/// let channel = ringway::spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// channel.sender()?.send_slice(&[1, 2])?;
/// assert_eq!(channel.receiver()?.recv()?, 1);
/// assert_eq!(channel.receiver()?.recv()?, 2); // a successor goes on where the first one left
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// drop(tx);
    /// assert_eq!(rx.recv()?, 7); // waits if there is none
    /// assert_eq!(rx.recv(), Err(RecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        const { returns::<T>() }
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
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv`](Self::recv). A death is among them only if something asked before, or
    /// the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(&7)?;
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        const { returns::<T>() }
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvTimeoutError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv_timeout(Duration::from_secs(1)), Ok(7));
    /// assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        const { returns::<T>() }
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        Ok(self.take())
    }

    /// Receives the next message, waiting for one until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvTimeoutError;
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// let deadline = Instant::now() + Duration::from_millis(1); // for all of the request
    /// assert_eq!(rx.recv_deadline(deadline), Ok(7));
    /// assert_eq!(rx.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        const { returns::<T>() }
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
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// let mut batch = [0; 64];
    /// let received = rx.recv_slice(&mut batch)?; // waits for one, takes all that are there
    /// assert_eq!(batch[..received], [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_slice(&mut self, values: &mut [T]) -> Result<usize, RecvError> {
        if values.is_empty() {
            return Ok(0);
        }
        self.end.find(awaited::Message(&self.ring))?;
        Ok(self.take_slice(values))
    }

    /// Receives the messages that are there now into `values`, and returns how many it received.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if `values` is not empty and there is no message, and those of [`recv`](Self::recv). A death
    /// is among them only if something asked before, or the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut batch = [0; 2];
    /// assert_eq!(rx.try_recv_slice(&mut batch), Err(TryRecvError::Empty));
    /// tx.send_slice(&[1, 2, 3])?;
    /// assert_eq!(rx.try_recv_slice(&mut batch), Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// let mut batch = [0; 64];
    /// assert_eq!(rx.recv_slice_timeout(&mut batch, Duration::from_secs(1)), Ok(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::zerocopy::FromZeros;
    /// # type Frame = [u8; 1 << 16];
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<Frame>(2)?;
    /// # tx.send(&[7; 1 << 16])?;
    /// let mut frame = Frame::new_box_zeroed().expect("memory for a frame");
    /// rx.recv_into(&mut frame)?; // no copy on the stack
    /// assert_eq!(frame[0], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn recv_into(&mut self, place: &mut T) -> Result<(), RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        self.take_into(place);
        Ok(())
    }

    /// Receives the next message straight into `place` if there is one now: see [`recv_into`](Self::recv_into).
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv); `place` is then unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut place = 0;
    /// assert_eq!(rx.try_recv_into(&mut place), Err(TryRecvError::Empty));
    /// tx.send(&7)?;
    /// rx.try_recv_into(&mut place)?;
    /// assert_eq!(place, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvTimeoutError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut place = 5;
    /// assert_eq!(rx.recv_into_timeout(&mut place, Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// assert_eq!(place, 5); // unchanged
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 1000]>(4)?;
    /// # tx.send(&[7; 1000])?;
    /// let message = rx.recv_ref()?; // waits if there is none
    /// let mut front = [0; 2];
    /// message.read_at(0, &mut front); // only what is needed is copied
    /// assert_eq!(front, [7, 7]);
    /// drop(message); // consumes it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_, T>, RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        Ok(RecvRef::new(self))
    }

    /// The next message, for reading in place, if there is one now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(rx.try_recv_ref().is_err_and(|error| error.is_empty()));
    /// tx.send(&7)?;
    /// assert_eq!(rx.try_recv_ref()?.read(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv_ref_timeout(Duration::from_secs(1))?.read(), 7);
    /// assert!(rx.recv_ref_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// let ahead = rx.peek_many(64)?;
    /// assert_eq!(ahead.iter().sum::<u64>(), 6);
    /// ahead.consume_up_to(2); // the third stays
    /// assert_eq!(rx.recv()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn peek_many(&mut self, most: usize) -> Result<Peeked<'_, T>, RecvError> {
        self.end.find(awaited::Message(&self.ring))?;
        Ok(Peeked::new(self, most))
    }

    /// [`peek_many`](Self::peek_many), if there is a message now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(rx.try_peek_many(64).is_err_and(|error| error.is_empty()));
    /// tx.send(&7)?;
    /// assert_eq!(rx.try_peek_many(64)?.read(0), 7);
    /// assert_eq!(rx.recv()?, 7); // it was not consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2])?;
    /// assert_eq!(rx.peek_many_timeout(64, Duration::from_secs(1))?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_many_timeout(&mut self, most: usize, timeout: Duration) -> Result<Peeked<'_, T>, RecvTimeoutError> {
        self.end.find_within(awaited::Message(&self.ring), timeout)?;
        Ok(Peeked::new(self, most))
    }

    /// The position of the next message. The first message ever sent has position 1, so one message fewer than this
    /// number was received, by this receiver and those before it. 0 in a forked child, and if the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[7, 8])?;
    /// assert_eq!(rx.position(), 1);
    /// rx.recv()?;
    /// assert_eq!((rx.position(), tx.position()), (2, 3)); // one is on its way
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// An iterator over the messages as they come: the results of [`recv`](Self::recv). It ends when the sender has left
    /// and everything is received. A [`RecvError::PeerDied`] does not end it: the messages of a successor follow. Any
    /// other error is its last item.
    ///
    /// # Examples
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

    /// An iterator over the messages that are there now: the results of [`try_recv`](Self::try_recv) until that finds none.
    /// An error is its last item.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks as if it had sent nothing until
    /// something asks, such as [`has_sender`](Self::has_sender).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// let there_now = rx.try_iter().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(there_now, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> impl Iterator<Item = Result<T, RecvError>> {
        items_now(|| self.try_recv())
    }

    /// How many messages were sent and not yet received. Checks a few slots: at most about log2 of the capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// rx.recv()?;
    /// assert_eq!(rx.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no message now.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(rx.is_empty());
    /// tx.send(&7)?;
    /// assert!(!rx.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// How many messages the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3, 4])?;
    /// assert_eq!(rx.len(), rx.capacity()); // full: the sender waits
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// How often the receiver's seat has been taken, including by this receiver. The sender's `PeerDied` names this
    /// number.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// assert_eq!(channel.receiver()?.generation(), 1);
    /// assert_eq!(channel.receiver()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next message was lent before and not consumed, by [`recv_ref`](Self::recv_ref) or
    /// [`peek_many`](Self::peek_many). The receiver that lent it ended before it dropped the guard, or this receiver
    /// forgot the guard (`mem::forget`).
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// # channel.sender()?.send(&7)?;
    /// let mut rx = channel.receiver()?;
    /// std::mem::forget(rx.recv_ref()?); // as if it crashed in the middle of its work
    /// drop(rx);
    /// let rx = channel.receiver()?;
    /// assert!(rx.is_redelivery()); // somebody may have worked on the next message
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.end.state.redelivers()
    }

    /// Whether a living sender holds its seat now. Asks the kernel.
    ///
    /// If it finds the sender dead, later calls say so, also those that never wait: `PeerDied`, once the ring is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(rx.has_sender());
    /// drop(tx);
    /// assert!(!rx.has_sender());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died and that was not reported yet. Its messages may still be there. Asks the
    /// kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// assert_eq!(rx.recv()?, 7); // what it sent is still there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// Sets how blocked calls wait from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// rx.set_wait(Wait::Spin); // a processor of its own, for the shortest delay
    /// assert_eq!(rx.wait(), Wait::Spin);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// How blocked calls wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert_eq!(rx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the sender leaves or dies: `recv` then waits for the next sender, and never returns
    /// [`RecvError::Closed`] or [`RecvError::PeerDied`]. Nor does any other call. For services that restart. Default: no.
    ///
    /// # Examples
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let mut rx = channel.receiver()?;
    /// assert!(rx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _tx = channel.sender()?; // usually in another process
    /// rx.wait_for_peer(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.end.wait_for_peer::<TryRecvError>(timeout)
    }

    /// What ends the blocked calls of this receiver, from any thread or a signal handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let canceller = rx.canceller();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| canceller.cancel());
    ///     assert_eq!(rx.recv(), Err(RecvError::Cancelled));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
