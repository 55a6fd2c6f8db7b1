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

mod receiver;
mod sender;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::spec_of;
use crate::channel::endpoint::Endpoint;
use crate::channel::options::{Options, Wanted};
use crate::channel::{fingerprint_of_layout, sealed};
use crate::error::{ClaimError, KillError, OpenError, Reason, TypeFingerprint};
use crate::layout::{Header, Kind};
use crate::memory::Dynamic;
use crate::protocol::slots::SlotRing;
use crate::region::header::Spec;
use crate::region::{Parts, Region};
use crate::sync::ReadOnly;
pub use receiver::Receiver;
pub use sender::Sender;

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
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        match wanted.layout {
            Some((size, align)) => {
                let name = wanted.type_name.clone().unwrap_or_default();
                spec_of(fingerprint_of_layout(size, align, name)?, wanted.capacity)
            }
            None => Ok(Spec { kind: Kind::Spsc, carries: None, capacity: wanted.capacity, rows: None }),
        }
    }

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

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::from_fd`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// The type of the values, as the region names it.
    #[must_use]
    pub fn carries(&self) -> TypeFingerprint {
        self.region.carries()
    }

    /// How many values the ring holds.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The memory behind the channel.
    #[must_use]
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

    /// Kills the process that holds the sender's seat, and takes the seat: see
    /// [`spsc::Channel::kill_and_take_sender`](super::Channel::kill_and_take_sender).
    ///
    /// # Errors
    ///
    /// Those of [`spsc::Channel::kill_and_take_sender`](super::Channel::kill_and_take_sender).
    pub fn kill_and_take_sender(&self, timeout: Duration) -> Result<Sender, KillError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = ring.ends.sender_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| ring.sender_state(holder))?;
        Ok(Sender { end, ring, size: self.size() })
    }

    /// Kills the process that holds the receiver's seat, and takes the seat, as
    /// [`kill_and_take_sender`](Self::kill_and_take_sender) does for the sender's.
    ///
    /// # Errors
    ///
    /// Those of [`kill_and_take_sender`](Self::kill_and_take_sender).
    pub fn kill_and_take_receiver(&self, timeout: Duration) -> Result<Receiver, KillError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = ring.ends.receiver_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring, size: self.size() })
    }

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }

    fn size(&self) -> usize {
        self.region.header().type_size as usize
    }

    fn writable(&self) -> Option<SlotRing<Dynamic>> {
        Some(ring(self.region.writable()?, self.region.header()))
    }
}
