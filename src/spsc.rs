//! A ring of fixed-size values: one sender, one receiver, lossless and in order.
//!
//! ```
//! use ringway::spsc;
//!
//! let channel = spsc::Channel::<u64>::options().capacity(4).anonymous()?;
//! let mut tx = channel.sender()?;
//! let mut rx = channel.receiver()?;
//! tx.send(&7)?;
//! assert_eq!(rx.recv()?, 7);
//! drop(tx);
//! assert_eq!(rx.recv(), Err(ringway::RecvError::Closed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::endpoint::{Endpoint, receiver_baseline};
use crate::error::{
    ClaimError, OpenError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, TypeFingerprint,
};
use crate::layout::{Kind, RECEIVER, SENDER, slot_words};
use crate::options::{Options, sealed, short_type_name};
use crate::protocol::Stop;
use crate::protocol::slots::SlotRing;
use crate::region::Region;
use crate::region::header::Spec;
use crate::sync::Ordering::Acquire;
use crate::sync::fence;
use crate::wait::{Patience, Wait};

/// What may cross: plain data of at least one byte, for which any bits are a value. Implemented for every
/// type that derives zerocopy's three traits.
pub trait Message: FromBytes + IntoBytes + Immutable + Send + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Message for T {}

/// A mapped ring. Inert: to send or receive, take one of its seats.
///
/// Cheap to clone, and good on both sides of a fork.
pub struct Channel<T> {
    region: Arc<Region>,
    ring: SlotRing,
    spec: Spec,
    carries: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { region: self.region.clone(), ring: self.ring.clone(), spec: self.spec.clone(), carries: PhantomData }
    }
}

impl<T> core::fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Channel").field("region", &self.region).field("capacity", &self.ring.capacity).finish()
    }
}

impl<T: Message> sealed::Channel for Channel<T> {
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn spec(capacity: Option<u64>, type_name: Option<&str>) -> Result<Spec, Reason> {
        let type_name = type_name.map_or_else(short_type_name::<T>, str::to_owned);
        check_type::<T>(&type_name)?;
        if capacity == Some(0) {
            return Err(Reason::Capacity { found: 0, expected: "at least 1 slot" });
        }
        let stride = slot_words(size_of::<T>(), align_of::<T>())
            .ok_or(Reason::Capacity { found: capacity.unwrap_or(0), expected: "a type whose slots fit 63 bits" })?;
        Ok(Spec {
            kind: Kind::Spsc,
            type_size: size_of::<T>(),
            type_align: align_of::<T>(),
            type_name,
            capacity,
            stride,
            mirrored: false,
        })
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = SlotRing {
            control: region.control(),
            data: region.data(),
            capacity: region.capacity(),
            stride: spec.stride,
        };
        Self { region: Arc::new(region), ring, spec, carries: PhantomData }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let corrupt = |stop| OpenError::new(self.region.place(), Reason::from(stop));
        let end = self.ring.end(self.ring.head().map_err(corrupt)?);
        let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
        fence(Acquire);
        let head = self.ring.head().map_err(corrupt)?;
        copy.ring.hold_only(head, end.max(head).min(head + self.ring.capacity));
        Ok(copy)
    }
}

/// A type that can cross: of some bytes, and aligned to at most a page.
pub(crate) fn check_type<T>(name: &str) -> Result<(), Reason> {
    let refuse = |expected| {
        let found =
            TypeFingerprint { size: size_of::<T>() as u64, align: align_of::<T>() as u64, name: name.to_owned() };
        Err(Reason::UnsupportedType { found, expected })
    };
    if size_of::<T>() == 0 {
        return refuse("one of at least one byte");
    }
    if align_of::<T>() > 4096 {
        return refuse("one aligned to at most 4096 bytes");
    }
    Ok(())
}

impl<T> Options<Channel<T>> {
    /// How many messages the ring holds: any number from 1 on, kept exactly.
    pub fn capacity(self, slots: u64) -> Self {
        self.with_capacity(slots)
    }
}

impl<T: Message> Channel<T> {
    /// How to make or open a region for this channel.
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::create`] with `capacity` slots and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn create(path: impl AsRef<Path>, capacity: u64) -> Result<Self, OpenError> {
        Self::options().capacity(capacity).create(path)
    }

    /// [`Options::open`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// Takes the sender's seat for this process. It goes on after the last message that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn sender(&self) -> Result<Sender<T>, ClaimError> {
        let ring = self.ring.clone();
        let end = Endpoint::claim(&self.region, SENDER, |holder| {
            ring.sender_state(holder, receiver_baseline(&ring.control))
        })?;
        Ok(Sender { end, ring, carries: PhantomData })
    }

    /// Takes the receiver's seat for this process. It goes on at the first message that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn receiver(&self) -> Result<Receiver<T>, ClaimError> {
        let ring = self.ring.clone();
        let end = Endpoint::claim(&self.region, RECEIVER, |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring, carries: PhantomData })
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// The memory behind the channel.
    pub fn region(&self) -> &Region {
        &self.region
    }

    #[cfg(test)]
    pub(crate) fn ring(&self) -> &SlotRing {
        &self.ring
    }

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }
}

/// The sending end: one at a time for all processes, usable from one thread at a time of the process that
/// took it. Dropping it lets the receiver drain the ring and then see `Closed`.
pub struct Sender<T> {
    end: Endpoint,
    ring: SlotRing,
    carries: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    /// Sends `value`, waiting while the ring is full.
    ///
    /// # Errors
    ///
    /// The receiver left, this process is a forked child of the sender's, or the region is corrupt.
    #[inline]
    pub fn send(&mut self, value: &T) -> Result<(), SendError> {
        loop {
            match self.send_patiently(value, Some(Patience::Forever)) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Sends `value` if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send).
    #[inline]
    pub fn try_send(&mut self, value: &T) -> Result<(), TrySendError> {
        self.send_patiently(value, None)
    }

    /// Sends `value`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    pub fn send_timeout(&mut self, value: &T, timeout: Duration) -> Result<(), SendTimeoutError> {
        Ok(self.send_patiently(value, Some(Patience::lasting(timeout)))?)
    }

    #[inline(always)]
    fn send_patiently(&mut self, value: &T, patience: Option<Patience>) -> Result<(), TrySendError> {
        let at = self.reserve(patience)?;
        self.ring.data.write_value(at, value);
        self.publish();
        Ok(())
    }

    /// Finds the next slot free: its byte in the data area.
    #[inline(always)]
    fn reserve(&mut self, patience: Option<Patience>) -> Result<usize, TrySendError> {
        match (self.ring.reserve(&mut self.end.state), patience) {
            (Err(Stop::Blocked), Some(patience)) => {
                let ring = &self.ring;
                loop {
                    let settled = self.end.wait_until(patience, |state, glances| ring.watch_for_space(state, glances));
                    match ring.reserve(&mut self.end.state) {
                        // The peer left, and another came.
                        Err(Stop::Blocked) if settled => {}
                        result => return Ok(result?),
                    }
                }
            }
            (result, _) => Ok(result?),
        }
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.ring.publish(&mut self.end.state);
        self.ring.after_publish(&mut self.end.state, self.end.fences);
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
        loop {
            match self.reserve(Some(Patience::Forever)).and_then(|_| self.try_send_slice(values)) {
                Ok(sent) => return Ok(sent),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Sends as many of `values` as there is room for now, and returns how many.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if there is room for none of at least one, and those of
    /// [`send`](Self::send).
    #[inline]
    pub fn try_send_slice(&mut self, values: &[T]) -> Result<usize, TrySendError> {
        let mut sent = 0;
        for value in values {
            match self.ring.reserve(&mut self.end.state) {
                Ok(at) => self.ring.data.write_value(at, value),
                Err(stop) if sent == 0 => return Err(stop.into()),
                Err(_) => break,
            }
            self.ring.publish(&mut self.end.state);
            sent += 1;
        }
        if sent > 0 {
            self.ring.after_publish(&mut self.end.state, self.end.fences);
        }
        Ok(sent)
    }

    /// The next slot, to be filled in where it lies; waits while the ring is full.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_ref(&mut self) -> Result<SendRef<'_, T>, SendError> {
        loop {
            match self.reserve(Some(Patience::Forever)) {
                Ok(at) => return Ok(SendRef { at, sender: self }),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// The next slot, if it is free now.
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    pub fn try_send_ref(&mut self) -> Result<SendRef<'_, T>, TrySendError> {
        let at = self.reserve(None)?;
        Ok(SendRef { at, sender: self })
    }

    /// Messages sent and not yet received.
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    /// Whether a receiver sits there now.
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver sat there since this sender came, and left.
    pub fn is_closed(&self) -> bool {
        self.end.peer_left()
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
        self.sender.ring.data.address(self.at, size_of::<T>()).cast()
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

/// The receiving end: one at a time for all processes, usable from one thread at a time of the process
/// that took it. Dropping it lets the sender see `Closed`; what it did not receive stays in the ring.
pub struct Receiver<T> {
    end: Endpoint,
    ring: SlotRing,
    carries: PhantomData<fn() -> T>,
}

impl<T: Message> Receiver<T> {
    /// Receives the next message, waiting until there is one.
    ///
    /// # Errors
    ///
    /// The sender left and the ring is empty, this process is a forked child of the receiver's, or the
    /// region is corrupt.
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
                        result => return Ok(result?),
                    }
                }
            }
            (result, _) => Ok(result?),
        }
    }

    #[inline(always)]
    fn consume(&mut self) {
        self.ring.consume(&mut self.end.state);
        self.ring.after_consume(self.end.fences);
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
                Err(stop) if received == 0 => return Err(stop.into()),
                Err(_) => break,
            };
            let message = self.ring.data.read_value(at);
            self.ring.consume(&mut self.end.state);
            // Last, because it may run the drop of the value that was there.
            *value = message;
            received += 1;
        }
        if received > 0 {
            self.ring.after_consume(self.end.fences);
        }
        Ok(received)
    }

    /// The next message where it lies; waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_, T>, RecvError> {
        loop {
            match self.peek(Some(Patience::Forever)) {
                Ok(at) => return Ok(RecvRef { at, receiver: self }),
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
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_, T>, TryRecvError> {
        let at = self.peek(None)?;
        Ok(RecvRef { at, receiver: self })
    }

    /// The messages as they come, until [`recv`](Self::recv) gives an error.
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

    /// Whether a sender sits there now.
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left. What it sent may still be there.
    pub fn is_closed(&self) -> bool {
        self.end.peer_left()
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
}

impl<T: Message> RecvRef<'_, T> {
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
