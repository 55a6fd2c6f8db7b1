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
//!
//! # Large messages
//!
//! [`recv`](Receiver::recv) and its like return the message, which then passes over the stack: twice in a release build, up
//! to eight times in a debug build. From some 16 KiB on, give them a place instead:
//! [`recv_into`](Receiver::recv_into), [`RecvRef::read_into`], [`recv_slice`](Receiver::recv_slice) copy straight there.
//!
//! ```
//! use ringway::{spsc, zerocopy::FromZeros};
//!
//! type Frame = [u8; 3 << 20];
//! let channel = spsc::Channel::<Frame>::options().capacity(4).anonymous()?;
//! let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
//! let mut frame = Frame::new_box_zeroed().expect("memory for a frame");
//! tx.send(&frame)?;
//! rx.recv_into(&mut frame)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Steps
//!
//! How often each call looks at shared memory, at most, whatever a peer does. A copied message is one look. A call that
//! waits does so at each look that it takes, and wakes one sleeper at most.
//!
//! | call | looks |
//! |---|---|
//! | every way to send or receive one message; `is_empty`; a guard's methods | 40 |
//! | batches | 40 for each message |
//! | [`Sender::len`] | 40 |
//! | [`Receiver::len`] | 4 × (log2(capacity) + 4) + 40 |
//! | [`Channel::sender`] | 4 × (log2(capacity) + 4) + 2 × 1,024 + 200 |
//! | [`Channel::receiver`] | 200 |
//! | [`Report::open`](crate::Report::open) | 4 × (log2(capacity) + 4) + 200 |
//! | [`Channel::snapshot`] | 2 × the words of the ring + 3 × capacity + 4 × (log2(capacity) + 4) + 200 |
//!
//! A claim and what asks after the peer (`has_sender`, `is_closed` and their like, `evict_sender`) asks the kernel besides: once
//! for each of up to 64 looks at a seat that changes under it.

mod receiver;
mod sender;

use core::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::channel::{self, sealed};
use crate::endpoint::Endpoint;
use crate::error::{ClaimError, EvictError};
use crate::layout::{Kind, RECEIVER, SENDER, slot_words};
use crate::open_error::{OpenError, Reason, TypeFingerprint};
use crate::options::{Options, short_type_name};
use crate::protocol::head_of;
use crate::protocol::seat::Claim;
use crate::protocol::slots::SlotRing;
use crate::protocol::stamps::Stamps;
use crate::protocol::wait_word::OWNER;
use crate::region::Region;
use crate::region::header::Spec;
use crate::sync::Ordering::Acquire;
use crate::sync::{ReadOnly, fence};
pub use receiver::{Iter, Receiver, RecvRef};
pub use sender::{SendRef, Sender};

/// What may cross: plain data of at least one byte, for which any bits are a value. Implemented for every
/// type that derives zerocopy's three traits.
pub trait Message: FromBytes + IntoBytes + Immutable + Send + 'static {}
impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Message for T {}

/// A mapped ring. Inert: to send or receive, take one of its seats.
///
/// Cheap to clone, and good on both sides of a fork.
pub struct Channel<T> {
    region: Arc<Region>,
    ring: Stamps<ReadOnly>,
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

impl<T: Message> channel::Channel for Channel<T> {
    const KIND: &'static str = "spsc";

    fn region(&self) -> &Region {
        &self.region
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
        let (control, data) = (region.control(), region.data());
        let ring = Stamps { control, data, capacity: region.capacity(), stride: spec.stride };
        Self { region: Arc::new(region), ring, spec, carries: PhantomData }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let corrupt = |stop| OpenError::new(self.region.place(), Reason::from(stop));
        let end = self.ring.end(head_of(&self.ring.control).map_err(corrupt)?);
        let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
        fence(Acquire);
        let head = head_of(&self.ring.control).map_err(corrupt)?;
        let ring = copy.writable().expect("a private copy is writable");
        ring.hold_only(head, end.max(head).min(head + self.ring.capacity));
        Ok(copy)
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn salvage(&self) -> Result<(), Reason> {
        Ok(self.writable().expect("what was read from a file is writable").salvage()?)
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
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.sender_state(claim.word);
        let end = Endpoint::claim(&self.region, SENDER, OWNER, state)?;
        Ok(Sender { end, ring, carries: PhantomData })
    }

    /// Takes the receiver's seat for this process. It goes on at the first message that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn receiver(&self) -> Result<Receiver<T>, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.receiver_state(claim.word);
        let end = Endpoint::claim(&self.region, RECEIVER, OWNER, state)?;
        Ok(Receiver { end, ring, carries: PhantomData })
    }

    /// Ends the process that holds the sender's seat with `SIGKILL`, waits until the kernel says that it is gone,
    /// and takes the seat. Where nobody sits there, [`sender`](Self::sender). A holder that leaves at the same
    /// moment may be ended all the same. It believes the region who the holder is: not for regions of hostile peers,
    /// which could name any process.
    ///
    /// # Errors
    ///
    /// The holder is this process, cannot be named from here, or was not gone after `timeout`; nothing was taken
    /// from it then.
    pub fn evict_sender(&self, timeout: Duration) -> Result<Sender<T>, EvictError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.sender_state(claim.word);
        let end = Endpoint::evict_and_claim(&self.region, SENDER, OWNER, timeout, state)?;
        Ok(Sender { end, ring, carries: PhantomData })
    }

    /// Ends the process that holds the receiver's seat, as [`evict_sender`](Self::evict_sender) does.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn evict_receiver(&self, timeout: Duration) -> Result<Receiver<T>, EvictError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.receiver_state(claim.word);
        let end = Endpoint::evict_and_claim(&self.region, RECEIVER, OWNER, timeout, state)?;
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

    /// The ring, for its two ends.
    pub(crate) fn writable(&self) -> Option<SlotRing<T>> {
        let (control, data) = self.region.writable()?;
        Some(SlotRing::new(control, data, self.capacity()))
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
