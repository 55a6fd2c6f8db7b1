//! The sending end of the ring.

use std::time::{Duration, Instant};

use super::{Message, Reserved};
use crate::channel::Sent;
use crate::channel::awaited::FreeSlot;
use crate::channel::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::layout::WORD;
use crate::memory::Of;
use crate::protocol::ends::after_publish;
use crate::protocol::slots::SlotRing;
use crate::wait::{Canceller, Wait};

/// The sending end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. After it is dropped, the receiver drains the ring and then sees `Closed`.
///
/// # Examples
///
/// ```
/// let channel = ringway::spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// let mut tx = channel.sender()?;
/// assert!(channel.sender().is_err()); // one at a time
/// std::thread::spawn(move || tx.send(&7)).join().expect("no panic")?; // any thread may use it
/// assert!(channel.sender().is_ok()); // it was dropped in that thread
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<T> {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<Of<T>>,
}

impl<T: Message> Sender<T> {
    /// Sends `value`, waiting while the ring is full.
    ///
    /// A receiver that leaves may be noticed late: the first message after that may still be sent, and then waits in the ring
    /// for the next receiver. To know before, ask [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// - [`SendError::Closed`]: the receiver left.
    /// - [`SendError::PeerDied`]: the receiver died, and the ring is full; or it panicked.
    /// - [`SendError::Forked`]: this process is a forked child of the sender's.
    /// - [`SendError::FileLost`], [`SendError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// drop(rx);
    /// tx.send(&8)?; // waits in the ring for the next receiver
    /// assert_eq!(tx.send(&9), Err(SendError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn send(&mut self, value: &T) -> Result<(), SendError> {
        self.end.find(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends `value` if there is room now.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send). A death is among them only if something asked before, or
    /// the receiver panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.try_send(&1)?;
    /// assert!(tx.try_send(&2).is_err_and(|error| error.is_full()));
    /// rx.recv()?;
    /// tx.try_send(&2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_send(&mut self, value: &T) -> Result<(), TrySendError> {
        self.end.find_now(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends `value`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendTimeoutError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.send_timeout(&1, Duration::from_secs(1))?;
    /// assert_eq!(tx.send_timeout(&2, Duration::from_millis(1)), Err(SendTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.end.find_within(FreeSlot(&self.ring), timeout)?;
        self.put(value);
        Ok(())
    }

    /// Sends `value`, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendTimeoutError;
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// let deadline = Instant::now() + Duration::from_millis(1); // for both together
    /// tx.send_deadline(&1, deadline)?;
    /// assert_eq!(tx.send_deadline(&2, deadline), Err(SendTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_deadline(&mut self, value: &T, deadline: Instant) -> Result<(), SendTimeoutError> {
        self.end.find_by(FreeSlot(&self.ring), deadline)?;
        self.put(value);
        Ok(())
    }

    /// Sends `value` in the slot that is free.
    #[inline(always)]
    fn put(&mut self, value: &T) {
        let state = &mut *self.end.state;
        self.ring.put(state, value);
        after_publish(&self.ring.ends.lane, state, self.end.fences);
    }

    #[inline(always)]
    fn publish(&mut self) {
        let state = &mut *self.end.state;
        self.ring.publish(state);
        after_publish(&self.ring.ends.lane, state, self.end.fences);
    }

    /// Sends all of `values`, waiting for room as often as needed. The receiver sees them in batches.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send). The first of the values may have been sent: [`position`](Self::position) before and
    /// after the call tells how many.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(64).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let values: Vec<u64> = (0..100).collect();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || tx.send_slice(&values).expect("a receiver"));
    ///     assert!((0..100).all(|n| rx.recv() == Ok(n)));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_slice(&mut self, values: &[T]) -> Result<(), SendError> {
        let mut rest = values;
        while !rest.is_empty() {
            let Sent(sent) = self.send_some(rest)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends as many of `values` as there is room for, and waits until there is room for one. Returns how many it sent:
    /// 0 only if `values` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send); nothing was sent then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Sent;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let values = [1, 2, 3, 4, 5, 6];
    /// let Sent(sent) = tx.send_some(&values)?;
    /// assert_eq!(values[sent..], [5, 6]); // there was room for four
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_some(&mut self, values: &[T]) -> Result<Sent, SendError> {
        if values.is_empty() {
            return Ok(Sent(0));
        }
        self.end.find(FreeSlot(&self.ring))?;
        Ok(self.put_slice(values))
    }

    /// Sends as many of `values` as there is room for now, and returns how many it sent.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if `values` is not empty and there is room for none, and those of [`send`](Self::send). A
    /// death is among them only if something asked before, or the receiver panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{Sent, TrySendError};
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert_eq!(tx.try_send_some(&[1, 2, 3])?, Sent(3));
    /// assert_eq!(tx.try_send_some(&[4, 5, 6])?, Sent(1));
    /// assert_eq!(tx.try_send_some(&[5, 6]), Err(TrySendError::Full));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send_some(&mut self, values: &[T]) -> Result<Sent, TrySendError> {
        if values.is_empty() {
            return Ok(Sent(0));
        }
        self.end.find_now(FreeSlot(&self.ring))?;
        Ok(self.put_slice(values))
    }

    /// Whether the next slot is free. If something new prevents that, the next call reports it.
    #[inline(always)]
    fn has_space(&mut self) -> bool {
        self.ring.has_space(&self.end.state) || self.ring.look_for_space(&mut self.end.state).is_ok()
    }

    /// Sends the first of `values` in the free slot, and as many of the others as there is room for.
    #[inline(always)]
    fn put_slice(&mut self, values: &[T]) -> Sent {
        let mut sent = 0;
        if !self.ring.has_space(&self.end.state) {
            // A successor sends its first message alone.
            self.ring.put(&mut self.end.state, &values[0]);
            sent = 1;
        }
        while sent < values.len() && self.has_space() {
            sent += self.ring.put_some(&mut self.end.state, &values[sent..]);
        }
        after_publish(&self.ring.ends.lane, &mut self.end.state, self.end.fences);
        Sent(sent)
    }

    /// The next slot, for writing in place; waits while the ring is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 1000]>(4)?;
    /// let mut slot = tx.send_ref()?; // waits if the ring is full
    /// slot.write_at(0, b"the front");
    /// slot.send()?;
    /// assert_eq!(rx.recv()?[..9], *b"the front");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_ref(&mut self) -> Result<SendRef<'_, T>, SendError> {
        self.end.find(FreeSlot(&self.ring))?;
        Ok(self.lend())
    }

    /// The next slot, for writing in place, if it is free now.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// let mut slot = tx.try_send_ref()?;
    /// slot.write(&1);
    /// slot.send()?;
    /// assert!(tx.try_send_ref().is_err_and(|error| error.is_full()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send_ref(&mut self) -> Result<SendRef<'_, T>, TrySendError> {
        self.end.find_now(FreeSlot(&self.ring))?;
        Ok(self.lend())
    }

    /// The next slot, for writing in place; waits for at most `timeout` while the ring is full.
    ///
    /// # Errors
    ///
    /// Those of [`send_timeout`](Self::send_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// let mut slot = tx.send_ref_timeout(Duration::from_secs(1))?;
    /// slot.write(&1);
    /// slot.send()?;
    /// assert!(tx.send_ref_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_ref_timeout(&mut self, timeout: Duration) -> Result<SendRef<'_, T>, SendTimeoutError> {
        self.end.find_within(FreeSlot(&self.ring), timeout)?;
        Ok(self.lend())
    }

    fn lend(&mut self) -> SendRef<'_, T> {
        SendRef { at: self.end.state.offset as usize * WORD, sender: self }
    }

    /// Up to `most` free slots in a row, for writing in place and sending together; waits until there is one. It
    /// returns only slots that are known to be free, and at most a batch: 8 KiB of slots.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(8).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let mut slots = tx.reserve_many(3)?;
    /// for index in 0..slots.len() {
    ///     slots.write(index, &(index as u64 * 10));
    /// }
    /// let all = slots.len();
    /// slots.send(all)?;
    /// let found = rx.peek_many(8)?;
    /// assert_eq!(found.iter().collect::<Vec<_>>(), [0, 10, 20]);
    /// found.consume_up_to(2);
    /// assert_eq!(rx.recv()?, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn reserve_many(&mut self, most: usize) -> Result<Reserved<'_, T>, SendError> {
        self.end.find(FreeSlot(&self.ring))?;
        Ok(Reserved::new(self, most))
    }

    /// [`reserve_many`](Self::reserve_many), if there is a free slot now.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slots = tx.try_reserve_many(2)?;
    /// slots.write(0, &10);
    /// slots.write(1, &20);
    /// slots.send(2)?;
    /// tx.send_slice(&[30, 40])?;
    /// assert!(tx.try_reserve_many(2).is_err_and(|error| error.is_full()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_reserve_many(&mut self, most: usize) -> Result<Reserved<'_, T>, TrySendError> {
        self.end.find_now(FreeSlot(&self.ring))?;
        Ok(Reserved::new(self, most))
    }

    /// The position of the next message. The first message ever sent has position 1, and each sender goes on where the
    /// last one ended. 0 in a forked child, and if the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// assert_eq!(tx.position(), 1);
    /// tx.send_slice(&[7, 8])?;
    /// drop(tx);
    /// assert_eq!(channel.sender()?.position(), 3); // a successor goes on there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How many messages were sent and not yet received.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// rx.recv()?;
    /// assert_eq!(tx.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert!(!tx.is_empty());
    /// rx.recv()?;
    /// assert!(tx.is_empty()); // the receiver has everything
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.ends.is_drained(&self.end.state)
    }

    /// How many messages the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert_eq!(tx.capacity() - tx.len(), 4); // room for so many
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// How often the sender's seat has been taken, including by this sender. The receiver's `PeerDied` names this
    /// number.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// assert_eq!(channel.sender()?.generation(), 1);
    /// assert_eq!(channel.sender()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a living receiver holds its seat now. Asks the kernel.
    ///
    /// If it finds the receiver dead, later calls say so, also those that never wait: `PeerDied`, once the ring is full.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(tx.has_receiver());
    /// drop(rx);
    /// assert!(!tx.has_receiver());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver held its seat since this sender came, and then left, or died and that was not reported yet.
    /// Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let tx = channel.sender()?;
    /// assert!(!tx.is_closed()); // no receiver came yet
    /// drop(channel.receiver()?);
    /// assert!(tx.is_closed()); // one came and left
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
    /// tx.set_wait(Wait::Sleep); // the receiver is slow, and needs the processor
    /// assert_eq!(tx.wait(), Wait::Sleep);
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
    /// assert_eq!(tx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the receiver leaves or dies: `send` then fills the ring, waits for the next receiver, and
    /// never returns [`SendError::Closed`] or [`SendError::PeerDied`]. Nor does any other call. For services that restart.
    /// Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TrySendError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.outlive_peers(true);
    /// drop(rx);
    /// tx.send_slice(&[1, 2, 3, 4])?; // wait in the ring for the next receiver
    /// assert_eq!(tx.try_send(&5), Err(TrySendError::Full)); // not `Closed`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.end.outlives_peers = yes;
    }

    /// Waits until a living receiver holds its seat, for at most `timeout`. A claim wakes this call.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`]: none came. [`SendError::Forked`], [`SendError::Cancelled`], [`SendError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// assert!(tx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _rx = channel.receiver()?; // usually in another process
    /// tx.wait_for_peer(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.end.wait_for_peer::<TrySendError>(timeout)
    }

    /// What ends the blocked calls of this sender, from any thread or a signal handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendError;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.send(&1)?;
    /// let canceller = tx.canceller();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| canceller.cancel());
    ///     assert_eq!(tx.send(&2), Err(SendError::Cancelled)); // the ring is full
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

/// A slot of the ring, for writing in place. If it is dropped without [`send`](Self::send), it publishes nothing.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// let mut slot = tx.send_ref()?;
/// slot.write(&7);
/// drop(slot); // changed its mind: nothing is sent
/// assert!(rx.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a slot that is not sent publishes nothing"]
pub struct SendRef<'a, T> {
    sender: &'a mut Sender<T>,
    at: usize,
}

impl<T: Message> SendRef<'_, T> {
    /// Writes the whole value. Does nothing in a forked child, where [`send`](Self::send) returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slot = tx.send_ref()?;
    /// slot.write(&7);
    /// slot.send()?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&mut self, value: &T) {
        self.write_at(0, value.as_bytes());
    }

    /// Writes `bytes` at byte `offset` of the value. Bytes that are never written keep an earlier message's content.
    ///
    /// Does nothing in a forked child, where [`send`](Self::send) returns an error.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 8]>(4)?;
    /// let mut slot = tx.send_ref()?;
    /// slot.write_at(0, &1u32.to_ne_bytes());
    /// slot.write_at(4, &2u32.to_ne_bytes());
    /// slot.send()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        if !self.sender.end.state.is_forked_child() {
            self.sender.ring.slots.area().write(self.at + offset, bytes);
        }
    }

    /// The address of the slot's `size_of::<T>()` bytes, aligned for `T`. Other processes may read and write there. Use
    /// it only for volatile or atomic accesses, only while this slot is held, and only in the process that holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slot = tx.send_ref()?;
    /// // SAFETY: the address is that of a slot which is held, and the access is volatile.
    /// unsafe { slot.as_mut_ptr().write_volatile(7) };
    /// slot.send()?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.sender.ring.slots.area().address_mut(self.at, size_of::<T>()).cast()
    }

    /// The slot as a value, for writing in place. It holds an earlier message, or zeroes.
    ///
    /// # Safety
    ///
    /// For as long as the reference is used, no other process reads or writes the slot, and this process has not forked
    /// since it took the seat. Of peers that follow the protocol none does: a receiver reads a slot only when it is
    /// published. A hostile one may; then this is a data race.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<[u64; 100]>::options().capacity(8).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let mut slot = tx.send_ref()?;
    /// // SAFETY: the receiver is this process's own, and follows the protocol.
    /// let values = unsafe { slot.as_mut() };
    /// values.iter_mut().enumerate().for_each(|(index, value)| *value = index as u64);
    /// slot.send()?;
    /// assert_eq!(rx.recv()?[99], 99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn as_mut(&mut self) -> &mut T {
        // SAFETY: aligned and inside the region by construction, and any bits are a `T`; the caller guarantees the rest.
        unsafe { &mut *self.as_mut_ptr() }
    }

    /// Publishes the message.
    ///
    /// # Errors
    ///
    /// [`SendError::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slot = tx.send_ref()?;
    /// slot.write(&7);
    /// assert_eq!(slot.send(), Ok(())); // from now on the receiver has it
    /// assert_eq!(rx.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(self) -> Result<(), SendError> {
        if self.sender.end.state.is_forked_child() {
            return Err(SendError::Forked);
        }
        self.sender.publish();
        Ok(())
    }
}

impl<T> core::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Sender").field("end", &self.end).finish()
    }
}

impl<T> core::fmt::Debug for SendRef<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::SendRef").field("sender", &self.sender).finish()
    }
}
