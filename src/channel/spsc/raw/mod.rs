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
///
/// # Examples
///
/// ```
/// use ringway::spsc::{self, raw};
/// let typed = spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// let any = raw::Channel::from_fd(typed.region().inheritable_fd()?)?; // of whatever type
/// typed.sender()?.send(&7)?;
/// assert_eq!(any.receiver()?.recv()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc::raw;
    /// let channel = raw::Channel::options().capacity(1000).type_layout(8, 8).memfd()?;
    /// assert_eq!(channel.capacity(), 1000); // not rounded to a power of two
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(self, slots: u64) -> Self {
        self.with_capacity(slots)
    }

    /// Size and alignment of a value in bytes, for a region that is to be made. If given, a region that is
    /// opened must have the same. With [`type_name`](Self::type_name), a typed channel opens it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc::{self, raw};
    /// let made = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// assert!(spsc::Channel::<u64>::from_fd(made.region().inheritable_fd()?).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn type_layout(self, size: usize, align: usize) -> Self {
        self.with_layout(size, align)
    }
}

impl Channel {
    /// How to make or open a region for this channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc::raw;
    /// let channel = raw::Channel::options().capacity(4).type_layout(24, 8).type_name("Tick").memfd()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::open`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// use ringway::spsc::{self, raw};
    /// spsc::Channel::<[f64; 3]>::create(&path, 4)?;
    /// assert_eq!(raw::Channel::open(&path)?.carries().name, "[f64; 3]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::from_fd`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc::{self, raw};
    /// let typed = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let any = raw::Channel::from_fd(typed.region().inheritable_fd()?)?;
    /// assert_eq!(any.carries().size, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// The type of the values, as the region names it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// let carried = channel.carries();
    /// assert_eq!((carried.name.as_str(), carried.size, carried.align), ("u64", 8, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn carries(&self) -> TypeFingerprint {
        self.region.carries()
    }

    /// How many values the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// assert_eq!(channel.capacity(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The memory behind the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// println!("{} bytes of memory for {} values", channel.region().size(), channel.capacity());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Takes the sender's seat for this process. It goes on after the last value that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// let mut tx = channel.sender()?;
    /// tx.send(&7u64.to_ne_bytes())?;
    /// assert!(channel.sender().is_err()); // one at a time
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// let rx = channel.receiver()?;
    /// assert!(channel.receiver().is_err()); // one at a time
    /// drop(rx); // frees the seat
    /// assert!(channel.receiver().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use nix::sys::{prctl::set_pdeathsig, signal::Signal, wait::waitpid};
    /// # use nix::unistd::{ForkResult, fork, pause};
    /// # use std::time::Duration;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let mut rx = channel.receiver()?;
    /// # // SAFETY: the child only takes a seat and waits.
    /// # let child = match unsafe { fork()? } {
    /// #     ForkResult::Parent { child } => child,
    /// #     ForkResult::Child => {
    /// #         let _sender = set_pdeathsig(Signal::SIGKILL).map(|()| channel.sender());
    /// #         loop {
    /// #             pause();
    /// #         }
    /// #     }
    /// # };
    /// # while !rx.has_sender() {
    /// #     std::thread::yield_now();
    /// # }
    /// assert!(channel.sender().is_err()); // another process has the seat, and hangs
    /// let mut tx = channel.kill_and_take_sender(Duration::from_secs(10))?;
    /// tx.send(&7u64.to_ne_bytes())?;
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use nix::sys::{prctl::set_pdeathsig, signal::Signal, wait::waitpid};
    /// # use nix::unistd::{ForkResult, fork, pause};
    /// # use std::time::Duration;
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// # let mut tx = channel.sender()?;
    /// # // SAFETY: the child only takes a seat and waits.
    /// # let child = match unsafe { fork()? } {
    /// #     ForkResult::Parent { child } => child,
    /// #     ForkResult::Child => {
    /// #         let _receiver = set_pdeathsig(Signal::SIGKILL).map(|()| channel.receiver());
    /// #         loop {
    /// #             pause();
    /// #         }
    /// #     }
    /// # };
    /// # while !tx.has_receiver() {
    /// #     std::thread::yield_now();
    /// # }
    /// assert!(channel.receiver().is_err()); // another process has the seat, and hangs
    /// let rx = channel.kill_and_take_receiver(Duration::from_secs(10))?;
    /// assert_eq!(rx.generation(), 2);
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc::raw;
    /// # let channel = raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64").memfd()?;
    /// channel.sender()?.send(&7u64.to_ne_bytes())?;
    /// let copy = channel.snapshot()?;
    /// assert_eq!(copy.receiver()?.recv()?, 7u64.to_ne_bytes());
    /// assert_eq!(channel.receiver()?.len(), 1); // the original still has it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
