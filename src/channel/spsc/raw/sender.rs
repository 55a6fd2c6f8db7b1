//! The sending end of a ring of values of any type.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::channel::awaited::FreeSlot;
use crate::channel::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::layout::WORD;
use crate::memory::Dynamic;
use crate::protocol::ends::after_publish;
use crate::protocol::slots::SlotRing;
use crate::wait::{Canceller, Wait};

/// The sending end: as [`spsc::Sender`](crate::spsc::Sender), for values as bytes.
///
/// # Examples
///
/// ```
/// # use ringway::spsc::raw;
/// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
/// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
/// tx.send(&7u64.to_ne_bytes())?;
/// assert_eq!(rx.recv()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<Dynamic>,
    /// Bytes of a value.
    pub(super) size: usize,
}

impl Sender {
    /// Sends the value with these bytes, waiting while the ring is full.
    ///
    /// # Errors
    ///
    /// [`SendError::WrongSize`], and those of [`spsc::Sender::send`](crate::spsc::Sender::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&7u64.to_ne_bytes())?;
    /// assert_eq!(tx.send(&[7]), Err(SendError::WrongSize { found: 1, expected: 8 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&mut self, value: &[u8]) -> Result<(), SendError> {
        self.check(value)?;
        self.end.find(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes if there is room now.
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
    /// # use ringway::TrySendError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// for _ in 0..tx.capacity() {
    ///     tx.try_send(&[0; 8])?;
    /// }
    /// assert_eq!(tx.try_send(&[0; 8]), Err(TrySendError::Full));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send(&mut self, value: &[u8]) -> Result<(), TrySendError> {
        self.check(value).map_err(TrySendError::Refused)?;
        self.end.find_now(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send_timeout(&[0; 8], Duration::from_secs(1))?;
    /// assert_eq!(rx.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_timeout(&mut self, value: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.check(value).map_err(SendTimeoutError::Refused)?;
        self.end.find_within(FreeSlot(&self.ring), timeout)?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(1).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let deadline = Instant::now() + Duration::from_millis(1); // for both together
    /// tx.send_deadline(&[7; 8], deadline)?;
    /// assert!(tx.send_deadline(&[8; 8], deadline).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_deadline(&mut self, value: &[u8], deadline: Instant) -> Result<(), SendTimeoutError> {
        self.check(value).map_err(SendTimeoutError::Refused)?;
        self.end.find_by(FreeSlot(&self.ring), deadline)?;
        self.put(value);
        Ok(())
    }

    fn check(&self, value: &[u8]) -> Result<(), SendError> {
        let (found, expected) = (value.len(), self.size);
        if found == expected { Ok(()) } else { Err(SendError::WrongSize { found, expected }) }
    }

    fn put(&mut self, value: &[u8]) {
        let state = &mut *self.end.state;
        self.ring.slots.area().write(state.offset as usize * WORD, value);
        self.ring.publish(state);
        after_publish(&self.ring.ends.lane, state, self.end.fences);
    }

    /// How many values were sent and not yet received.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[0; 8])?;
    /// assert_eq!(tx.len(), 1);
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[0; 8])?;
    /// rx.recv()?;
    /// assert!(tx.is_empty()); // the receiver has everything
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.ends.is_drained(&self.end.state)
    }

    /// How many values the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert_eq!(tx.capacity() - tx.len(), 4); // room for so many
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The position of the next value: see [`spsc::Sender::position`](crate::spsc::Sender::position).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[0; 8])?;
    /// assert_eq!(tx.position(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the sender's seat has been taken, including by this sender.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.set_wait(Wait::Sleep); // the receiver is slow, and needs the processor
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert_eq!(tx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the receiver leaves or dies: see
    /// [`spsc::Sender::outlive_peers`](crate::spsc::Sender::outlive_peers). Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TrySendError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(1).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.outlive_peers(true);
    /// drop(rx);
    /// tx.send(&[7; 8])?; // waits in the ring for the next receiver
    /// assert_eq!(tx.try_send(&[8; 8]), Err(TrySendError::Full)); // not `Closed`
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// let mut tx = channel.sender()?;
    /// assert!(tx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _peer = channel.receiver()?; // usually in another process
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(1).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[7; 8])?; // now the ring is full
    /// tx.canceller().cancel();
    /// assert_eq!(tx.send(&[8; 8]), Err(SendError::Cancelled));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::raw::Sender").field("end", &self.end).finish()
    }
}
