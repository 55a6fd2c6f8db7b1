//! A ring of records of any length: one sender, one receiver, lossless and in order.
//!
//! Every record is contiguous for its receiver, whether or not it crosses the end of the ring: the data is
//! mapped twice in a row. A record may be as long as the ring, less 16 bytes.
//!
//! ```
//! use ringway::bytes;
//!
//! let channel = bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
//! let mut tx = channel.sender()?;
//! let mut rx = channel.receiver()?;
//! tx.send(b"any length")?;
//! assert_eq!(rx.recv()?, b"any length");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Steps
//!
//! How often each call looks at shared memory, at most, whatever a peer does, besides the bytes it copies. A call
//! that waits does so at each look that it takes, and wakes one sleeper at most.
//!
//! | call | looks |
//! |---|---|
//! | every way to send or receive one record; `is_empty`; a guard's methods | 40 |
//! | batches | 40 for each record |
//! | [`Sender::len`] | 40 |
//! | [`Receiver::len`] | 4 × (65,536 + 40); 65,536 + 40 where the sender stands still |
//! | [`Channel::sender`] | 4 × (65,536 + 40) + 200, likewise |
//! | [`Channel::receiver`] | 200 |
//! | [`Report::open`](crate::Report::open) | 16 × (65,536 + 40) + 200 |
//! | [`Channel::snapshot`] | 2 × the words of the ring + 16 × (65,536 + 40) + 200 |
//!
//! A claim and what asks after the peer (`has_sender`, `is_closed` and their like, `evict_sender`) asks the kernel besides: once
//! for each of up to 64 looks at a seat that changes under it.

mod receiver;
mod sender;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::{self, sealed};
use crate::endpoint::Endpoint;
use crate::error::{ClaimError, EvictError};
use crate::layout::{Kind, RECEIVER, SENDER, WORD};
use crate::open_error::{OpenError, Reason};
use crate::options::Options;
use crate::protocol::records::RecordRing;
use crate::protocol::seat::Claim;
use crate::protocol::wait_word::OWNER;
use crate::region::Region;
use crate::region::header::Spec;
use crate::sync::Ordering::Acquire;
use crate::sync::{ReadOnly, fence};
pub use receiver::{Iter, Receiver, RecvRef};
pub use sender::{SendRef, Sender};

/// A mapped ring. Inert: to send or receive, take one of its seats.
///
/// Cheap to clone, and good on both sides of a fork.
#[derive(Clone)]
pub struct Channel {
    region: Arc<Region>,
    ring: RecordRing<ReadOnly>,
    spec: Spec,
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::Channel").field("region", &self.region).field("capacity", &self.capacity()).finish()
    }
}

impl channel::Channel for Channel {
    const KIND: &'static str = "bytes";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl sealed::Channel for Channel {
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn spec(capacity: Option<u64>, type_name: Option<&str>) -> Result<Spec, Reason> {
        let words = match capacity {
            Some(bytes) if bytes == 0 || bytes % WORD as u64 != 0 => {
                return Err(Reason::Capacity { found: bytes, expected: "a multiple of 8 bytes, and at least 8" });
            }
            other => other.map(|bytes| bytes / WORD as u64),
        };
        Ok(Spec {
            kind: Kind::Bytes,
            type_size: 1,
            type_align: 1,
            type_name: type_name.unwrap_or("[u8]").to_owned(),
            capacity: words,
            stride: 1,
            mirrored: true,
        })
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = RecordRing::new(region.control(), region.data(), region.capacity());
        Self { region: Arc::new(region), ring, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let corrupt = |stop| OpenError::new(self.region.place(), Reason::from(stop));
        let (_, end) = self.ring.extent().map_err(corrupt)?;
        let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
        fence(Acquire);
        // What was published before the copy and is not consumed after it was there all the while.
        let head = self.ring.consumed().map_err(corrupt)?;
        copy.writable().expect("a private copy is writable").hold_only(head, end);
        Ok(copy)
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn salvage(&self) -> Result<(), Reason> {
        Ok(self.writable().expect("what was read from a file is writable").salvage()?)
    }
}

impl Options<Channel> {
    /// How many bytes the ring holds, a multiple of 8; rounded up to whole pages. Every record takes 8
    /// bytes besides its own, padded to a multiple of 8, and 8 bytes of the ring are never used.
    pub fn capacity_bytes(self, bytes: u64) -> Self {
        self.with_capacity(bytes)
    }
}

impl Channel {
    /// How to make or open a region for this channel.
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::create`] with `capacity_bytes` and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn create(path: impl AsRef<Path>, capacity_bytes: u64) -> Result<Self, OpenError> {
        Self::options().capacity_bytes(capacity_bytes).create(path)
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

    /// Takes the sender's seat for this process. It goes on after the last record that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn sender(&self) -> Result<Sender, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.sender_state(claim.word);
        let end = Endpoint::claim(&self.region, SENDER, OWNER, state)?;
        Ok(Sender { end, ring })
    }

    /// Takes the receiver's seat for this process. It goes on at the first record that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn receiver(&self) -> Result<Receiver, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.receiver_state(claim.word);
        let end = Endpoint::claim(&self.region, RECEIVER, OWNER, state)?;
        Ok(Receiver { end, ring })
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
    pub fn evict_sender(&self, timeout: Duration) -> Result<Sender, EvictError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.sender_state(claim.word);
        let end = Endpoint::evict_and_claim(&self.region, SENDER, OWNER, timeout, state)?;
        Ok(Sender { end, ring })
    }

    /// Ends the process that holds the receiver's seat, as [`evict_sender`](Self::evict_sender) does.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn evict_receiver(&self, timeout: Duration) -> Result<Receiver, EvictError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| ring.receiver_state(claim.word);
        let end = Endpoint::evict_and_claim(&self.region, RECEIVER, OWNER, timeout, state)?;
        Ok(Receiver { end, ring })
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`].
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record the ring takes, in bytes: the capacity less 16, and less than 1 GiB.
    pub fn max_len(&self) -> usize {
        self.ring.most
    }

    /// The memory behind the channel.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The ring, for its two ends.
    pub(crate) fn writable(&self) -> Option<RecordRing> {
        let (control, data) = self.region.writable()?;
        Some(RecordRing::new(control, data, self.ring.capacity))
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
