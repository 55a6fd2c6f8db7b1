//! The same ring for programs that do not know the type of its values: tools, bridges, other languages.
//!
//! A [`Channel`] opens any region of a [`spsc::Channel`](super::Channel), of whatever type, and sends and receives values
//! as bytes. The caller must make sure that the bytes are a value of the region's type.
//!
//! ```
//! use ringway::spsc::{self, raw};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("ticks");
//! let typed = spsc::Channel::<[u32; 3]>::create(&path, 8)?;
//! typed.sender()?.send(&[1, 2, 3])?;
//!
//! let any = raw::Channel::open(&path)?;
//! assert_eq!((any.carries().size, any.carries().name.as_str()), (12, "[u32; 3]"));
//! let value = any.receiver()?.recv()?;
//! assert_eq!(value[8..], 3u32.to_ne_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::spec_of;
use crate::channel::awaited::{FreeSlot, Message};
use crate::channel::endpoint::Endpoint;
use crate::channel::options::{Options, Wanted};
use crate::channel::sealed;
use crate::error::{
    ClaimError, OpenError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, TypeFingerprint,
};
use crate::layout::{Header, Kind, WORD};
use crate::memory::Dynamic;
use crate::protocol::ends::{after_consume, after_publish};
use crate::protocol::slots::SlotRing;
use crate::region::header::Spec;
use crate::region::{Parts, Region};
use crate::sync::ReadOnly;
use crate::wait::Wait;

/// A mapped ring of values of any type. It does nothing by itself: to send or receive, take one of its seats.
///
/// Cheap to clone. Any thread may use it, on both sides of a fork.
#[derive(Clone)]
pub struct Channel {
    region: Arc<Region>,
    ring: SlotRing<Dynamic, ReadOnly>,
    spec: Spec,
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::raw::Channel").field("region", &self.region).field("carries", &self.carries()).finish()
    }
}

impl crate::channel::Channel for Channel {
    const KIND: &'static str = "spsc";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl sealed::Channel for Channel {
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        match wanted.layout {
            Some((size, align)) => spec_of(size, align, wanted.type_name.clone().unwrap_or_default(), wanted.capacity),
            None => Ok(Spec { kind: Kind::Spsc, carries: None, capacity: wanted.capacity, rows: None }),
        }
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = ring(region.parts(), region.header());
        Self { region: Arc::new(region), ring, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        super::copy(&self.region, &self.ring, &self.spec, |region| {
            let copy = Self::from_region(region, self.spec.clone());
            let ring = copy.writable().expect("a private copy is writable");
            (copy, ring)
        })
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn salvage(&self) -> Result<(), Reason> {
        Ok(self.writable().expect("what was read from a file is writable").salvage()?)
    }
}

/// The ring in a region with this header, whatever its type.
pub(crate) fn ring<M: Copy>(parts: Parts<M>, header: &Header) -> SlotRing<Dynamic, M> {
    SlotRing::new(parts.ends(), parts.area, header.capacity, Dynamic(header.stride as usize))
}

impl Options<Channel> {
    /// How many values the ring holds: any number from 1 on, kept exactly.
    pub fn capacity(self, slots: u64) -> Self {
        self.with_capacity(slots)
    }

    /// Size and alignment of a value in bytes, for a region that is to be made. If given, a region that is
    /// opened must have the same. With [`type_name`](Self::type_name), a typed channel opens it.
    pub fn type_layout(self, size: usize, align: usize) -> Self {
        self.with_layout(size, align)
    }
}

impl Channel {
    /// How to make or open a region for this channel.
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::open`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// The type of the values, as the region names it.
    pub fn carries(&self) -> TypeFingerprint {
        self.region.header().fingerprint()
    }

    /// How many values the ring holds.
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The memory behind the channel.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Takes the sender's seat for this process. It goes on after the last value that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    pub fn sender(&self) -> Result<Sender, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, ring.ends.sender_side(), |holder| ring.sender_state(holder))?;
        Ok(Sender { end, ring, size: self.size() })
    }

    /// Takes the receiver's seat for this process. It goes on at the first value that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    pub fn receiver(&self) -> Result<Receiver, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, ring.ends.receiver_side(), |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring, size: self.size() })
    }

    fn size(&self) -> usize {
        self.region.header().type_size as usize
    }

    fn writable(&self) -> Option<SlotRing<Dynamic>> {
        Some(ring(self.region.writable()?, self.region.header()))
    }
}

/// The sending end: as [`spsc::Sender`](super::Sender), for values as bytes.
pub struct Sender {
    end: Endpoint,
    ring: SlotRing<Dynamic>,
    size: usize,
}

impl Sender {
    /// Sends the value with these bytes, waiting while the ring is full.
    ///
    /// # Errors
    ///
    /// [`SendError::WrongSize`], and those of [`spsc::Sender::send`](super::Sender::send).
    pub fn send(&mut self, value: &[u8]) -> Result<(), SendError> {
        self.check(value)?;
        self.end.find(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send).
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
    pub fn send_timeout(&mut self, value: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.check(value).map_err(SendTimeoutError::Refused)?;
        self.end.find_within(FreeSlot(&self.ring), timeout)?;
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
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    pub fn is_empty(&self) -> bool {
        self.ring.ends.is_drained(&self.end.state)
    }

    /// The position of the next value: see [`spsc::Sender::position`](super::Sender::position).
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the sender's seat has been taken, including by this sender.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a living receiver holds its seat now. Asks the kernel.
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

/// The receiving end: as [`spsc::Receiver`](super::Receiver), for values as bytes.
pub struct Receiver {
    end: Endpoint,
    ring: SlotRing<Dynamic>,
    size: usize,
}

impl Receiver {
    /// Receives the bytes of the next value, waiting until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`spsc::Receiver::recv`](super::Receiver::recv).
    pub fn recv(&mut self) -> Result<Vec<u8>, RecvError> {
        let mut value = vec![0; self.size];
        self.recv_into(&mut value)?;
        Ok(value)
    }

    /// Receives the bytes of the next value into the front of `buffer`, waiting until there is one, and returns how many
    /// they are.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`], and those of [`recv`](Self::recv).
    pub fn recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.check(buffer)?;
        self.end.find(Message(&self.ring))?;
        Ok(self.take(buffer))
    }

    /// [`recv_into`](Self::recv_into), if there is a value now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv_into`](Self::recv_into).
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
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no value now.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// The position of the next value: see [`spsc::Receiver::position`](super::Receiver::position).
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the receiver's seat has been taken, including by this receiver.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a living sender holds its seat now. Asks the kernel.
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}
