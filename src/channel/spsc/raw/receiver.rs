//! The receiving end of a ring of values of any type.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::channel::awaited::Message;
use crate::channel::endpoint::Endpoint;
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::layout::WORD;
use crate::memory::Dynamic;
use crate::protocol::ends::after_consume;
use crate::protocol::slots::SlotRing;
use crate::wait::{Canceller, Wait};

/// The receiving end: as [`spsc::Receiver`](crate::spsc::Receiver), for values as bytes.
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
pub struct Receiver {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<Dynamic>,
    /// Bytes of a value.
    pub(super) size: usize,
}

impl Receiver {
    /// Receives the bytes of the next value, waiting until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`spsc::Receiver::recv`](crate::spsc::Receiver::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&7u64.to_ne_bytes())?;
    /// drop(tx);
    /// assert_eq!(rx.recv()?, 7u64.to_ne_bytes()); // waits if there is none
    /// assert_eq!(rx.recv(), Err(RecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&mut self) -> Result<Vec<u8>, RecvError> {
        self.end.find(Message(&self.ring))?;
        Ok(self.take_vec())
    }

    /// Receives the bytes of the next value if there is one now.
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&mut self) -> Result<Vec<u8>, TryRecvError> {
        self.end.find_now(Message(&self.ring))?;
        Ok(self.take_vec())
    }

    /// Receives the bytes of the next value, waiting for one for at most `timeout`.
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        self.end.find_within(Message(&self.ring), timeout)?;
        Ok(self.take_vec())
    }

    /// Receives the bytes of the next value, waiting for one until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let deadline = Instant::now() + Duration::from_millis(1);
    /// assert!(rx.recv_deadline(deadline).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Vec<u8>, RecvTimeoutError> {
        self.end.find_by(Message(&self.ring), deadline)?;
        Ok(self.take_vec())
    }

    /// Takes the value that is there.
    fn take_vec(&mut self) -> Vec<u8> {
        let mut value = vec![0; self.size];
        self.take(&mut value);
        value
    }

    /// Receives the bytes of the next value into the front of `buffer`, waiting until there is one, and returns how many
    /// they are.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`], and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&7u64.to_ne_bytes())?;
    /// let mut buffer = [0; 64]; // of the caller's: nothing is allocated
    /// let len = rx.recv_into(&mut buffer)?;
    /// assert_eq!(buffer[..len], 7u64.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.check(buffer)?;
        self.end.find(Message(&self.ring))?;
        Ok(self.take(buffer))
    }

    /// [`recv_into`](Self::recv_into), if there is a value now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv_into`](Self::recv_into). A death is among them only if something asked
    /// before, or the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// let mut buffer = [0; 64];
    /// assert_eq!(rx.try_recv_into(&mut buffer), Err(TryRecvError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        self.check(buffer).map_err(TryRecvError::Refused)?;
        self.end.find_now(Message(&self.ring))?;
        Ok(self.take(buffer))
    }

    /// [`recv_into`](Self::recv_into), waiting for a value for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv_into`](Self::recv_into).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&7u64.to_ne_bytes())?;
    /// assert_eq!(rx.recv_into_timeout(&mut [0; 64], Duration::from_secs(1)), Ok(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_into_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, RecvTimeoutError> {
        self.check(buffer).map_err(RecvTimeoutError::Refused)?;
        self.end.find_within(Message(&self.ring), timeout)?;
        Ok(self.take(buffer))
    }

    fn check(&self, buffer: &[u8]) -> Result<(), RecvError> {
        let (found, buffer) = (self.size, buffer.len());
        if found <= buffer { Ok(()) } else { Err(RecvError::BufferTooShort { found, buffer }) }
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let state = &mut *self.end.state;
        self.ring.slots.area().read_bytes(state.offset as usize * WORD, &mut buffer[..self.size]);
        self.ring.consume(state);
        after_consume(&self.ring.ends.lane, self.end.fences);
        self.size
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
    /// assert_eq!(rx.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no value now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[0; 8])?;
    /// assert!(!rx.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// How many values the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert_eq!(rx.capacity(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The position of the next value: see [`spsc::Receiver::position`](crate::spsc::Receiver::position).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// tx.send(&[0; 8])?;
    /// assert_eq!((rx.position(), tx.position()), (1, 2)); // one is on its way
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the receiver's seat has been taken, including by this receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// assert_eq!(channel.receiver()?.generation(), 1);
    /// assert_eq!(channel.receiver()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next value was lent before, by a receiver that knew its type, and not consumed: see
    /// [`spsc::Receiver::is_redelivery`](crate::spsc::Receiver::is_redelivery).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc::{self, raw};
    /// let typed = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// typed.sender()?.send(&7)?;
    /// std::mem::forget(typed.receiver()?.recv_ref()?); // as if it crashed in the middle of its work
    /// let any = raw::Channel::from_fd(typed.region().inheritable_fd()?)?;
    /// assert!(any.receiver()?.is_redelivery());
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert!(rx.has_sender());
    /// drop(tx);
    /// assert!(!rx.has_sender());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died and that was not reported yet. Its values may still be there. Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// assert!(!rx.is_closed());
    /// drop(tx);
    /// assert!(rx.is_closed());
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
    /// rx.set_wait(Wait::Spin); // a processor of its own, for the shortest delay
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
    /// assert_eq!(rx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the sender leaves or dies: see
    /// [`spsc::Receiver::outlive_peers`](crate::spsc::Receiver::outlive_peers). Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(1).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// rx.outlive_peers(true);
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty)); // not `Closed`
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// let mut rx = channel.receiver()?;
    /// assert!(rx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _peer = channel.sender()?; // usually in another process
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
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(1).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// rx.canceller().cancel();
    /// assert_eq!(rx.recv(), Err(RecvError::Cancelled));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

impl core::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::raw::Receiver").field("end", &self.end).finish()
    }
}
