//! A ring of records of any length: one sender, one receiver, lossless and in order.
//!
//! Every record is contiguous for its receiver, even if it crosses the end of the ring, because the data is mapped
//! twice in a row. A record may be as long as the ring, less 16 bytes.
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
//! The most accesses to shared memory that each call makes, whatever a peer does, besides copying bytes. A call that
//! waits makes that many each time it checks, and wakes at most one sleeper.
//!
//! | call | accesses |
//! |---|---|
//! | every way to send or receive one record; `is_empty`; a guard's methods | 40 |
//! | batches | 40 for each record |
//! | [`Sender::len`] | 40 |
//! | [`Receiver::len`], [`Receiver::records`] | 4 × (65,536 + 40); 65,536 + 40 if the sender is idle |
//! | [`Channel::sender`] | 4 × (65,536 + 40) + 200, likewise |
//! | [`Channel::receiver`] | 200 |
//! | [`Report::open`](crate::Report::open) | 16 × (65,536 + 40) + 200 |
//! | [`Channel::snapshot`] | 2 × the words of the ring + 16 × (65,536 + 40) + 200 |
//!
//! A claim, and every call that checks on the peer (such as `has_sender`, `is_closed` and `kill_and_take_sender`), also
//! asks the kernel: once for each reading of a seat that keeps changing, at most 64 times.

mod many;
mod receiver;
mod recv_ref;
mod sender;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::options::{Options, Wanted};
use super::sealed;
use crate::error::{ClaimError, KillError, OpenError, Reason, TypeFingerprint};
use crate::layout::{Kind, WORD};
use crate::protocol::records::RecordRing;
use crate::region::header::Spec;
use crate::region::{Parts, Region};
use crate::sync::Ordering::Acquire;
use crate::sync::{ReadOnly, fence};
pub use many::{Peeked, PeekedRecord};
pub use receiver::Receiver;
pub use recv_ref::RecvRef;
pub use sender::{SendRef, Sender};

/// A mapped ring. It does nothing by itself: to send or receive, take one of its seats.
///
/// Cheap to clone. Any thread may use it, on both sides of a fork.
///
/// # Examples
///
/// ```
/// let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
/// let clone = channel.clone(); // the same ring
/// channel.sender()?.send(b"any length")?;
/// assert_eq!(clone.receiver()?.recv()?, b"any length");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

impl super::Channel for Channel {
    const KIND: &'static str = "bytes";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl sealed::Channel for Channel {
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        let words = match wanted.capacity {
            Some(bytes) if bytes == 0 || bytes % WORD as u64 != 0 => {
                return Err(Reason::Capacity { found: bytes, expected: "a multiple of 8 bytes, and at least 8" });
            }
            other => other.map(|bytes| bytes / WORD as u64),
        };
        let name = wanted.type_name.clone().unwrap_or_else(|| "[u8]".to_owned());
        Ok(Spec {
            kind: Kind::Bytes,
            carries: Some(TypeFingerprint { size: 1, align: 1, name, described: None }),
            capacity: words,
            rows: None,
        })
    }

    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = ring(region.parts(), region.capacity());
        Self { region: Arc::new(region), ring, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let corrupt = |stop| OpenError::new(self.region.place(), Reason::from(stop));
        let (_, end) = self.ring.extent().map_err(corrupt)?;
        let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
        fence(Acquire);
        // A record that was published before the copy, and is not consumed after it, was there all the time.
        let head = self.ring.consumed().map_err(corrupt)?;
        copy.writable().expect("a private copy is writable").retain(head, end);
        Ok(copy)
    }

    fn salvage(&self) -> Result<(), Reason> {
        Ok(self.writable().expect("what was read from a file is writable").salvage()?)
    }
}

/// The capacity, in bytes, of a ring that holds `records` records of `len` bytes each at a time. `u64::MAX` if none can.
///
/// # Examples
///
/// ```
/// use ringway::bytes;
/// let channel = bytes::Channel::options().capacity_bytes(bytes::capacity_for(100, 1500)).anonymous()?;
/// let (mut tx, _rx) = (channel.sender()?, channel.receiver()?);
/// tx.send_slice(&[&[0; 1500][..]; 100])?; // does not wait
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn capacity_for(records: u64, len: usize) -> u64 {
    // One word is always free, so that a full ring differs from an empty one.
    let each = 1 + len.div_ceil(WORD) as u64;
    let words = each.checked_mul(records).and_then(|words| words.checked_add(1));
    words.and_then(|words| words.checked_mul(WORD as u64)).unwrap_or(u64::MAX)
}

/// A ring of `capacity_bytes` in anonymous memory, and both its ends: for tests, and for two threads.
///
/// # Errors
///
/// [`ClaimError::Open`] if the region cannot be made, and those of the claims.
///
/// # Examples
///
/// ```
/// let (mut tx, mut rx) = ringway::bytes::pair(4096)?;
/// tx.send(b"any length")?;
/// assert_eq!(rx.recv()?, b"any length");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "channel")]
pub fn pair(capacity_bytes: u64) -> Result<(Sender, Receiver), ClaimError> {
    let channel = Channel::options().capacity_bytes(capacity_bytes).anonymous()?;
    Ok((channel.sender()?, channel.receiver()?))
}

/// The ring in a region of `capacity` words.
pub(crate) fn ring<M: Copy>(parts: Parts<M>, capacity: u64) -> RecordRing<M> {
    RecordRing::new(parts.ends(), parts.area, capacity)
}

impl Options<Channel> {
    /// How many bytes the ring holds: a multiple of 8, rounded up to whole pages. Every record takes its own bytes,
    /// padded to a multiple of 8, and 8 more. The ring never uses 8 of its bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// let channel = ringway::bytes::Channel::options().capacity_bytes(10_000).anonymous()?;
    /// assert_eq!(channel.capacity() % channel.region().page_size(), 0); // three pages of 4096 bytes
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(self, bytes: u64) -> Self {
        self.with_capacity(bytes)
    }
}

impl Channel {
    /// How to make or open a region for this channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).prefault(true).memfd()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::create`] with `capacity_bytes` and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("log");
    /// use ringway::bytes;
    /// let log = bytes::Channel::create(&path, 1 << 16)?;
    /// assert!(bytes::Channel::create(&path, 1 << 16).is_err()); // it exists
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(path: impl AsRef<Path>, capacity_bytes: u64) -> Result<Self, OpenError> {
        Self::options().capacity_bytes(capacity_bytes).create(path)
    }

    /// [`Options::open_or_create`] with `capacity_bytes` and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_or_create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("log");
    /// use ringway::bytes;
    /// let made = bytes::Channel::open_or_create(&path, 1 << 16)?; // in whichever process comes first
    /// let opened = bytes::Channel::open_or_create(&path, 1 << 16)?; // in the other
    /// assert_eq!(made.region().id(), opened.region().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(path: impl AsRef<Path>, capacity_bytes: u64) -> Result<Self, OpenError> {
        Self::options().capacity_bytes(capacity_bytes).open_or_create(path)
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
    /// # let path = dir.path().join("log");
    /// use ringway::bytes;
    /// bytes::Channel::create(&path, 1 << 16)?;
    /// let log = bytes::Channel::open(&path)?;
    /// assert_eq!(log.capacity(), 1 << 16); // what the file says
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
    /// use ringway::bytes;
    /// let made = bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
    /// let fd = made.region().inheritable_fd()?; // inherited by another program, or sent to it
    /// let opened = bytes::Channel::from_fd(fd)?;
    /// made.sender()?.send(b"a line")?;
    /// assert_eq!(opened.receiver()?.recv()?, b"a line");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// Takes the sender's seat for this process. The sender goes on after the last record that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ClaimError;
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// tx.send(b"a line")?;
    /// assert!(matches!(channel.sender(), Err(ClaimError::Taken { pid, .. }) if pid == std::process::id()));
    /// drop(tx); // frees the seat
    /// assert_eq!(channel.sender()?.records(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> Result<Sender, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, ring.ends.sender_side(), |holder| ring.sender_state(holder))?;
        Ok(Sender { end, ring })
    }

    /// Takes the receiver's seat for this process. The receiver goes on at the first record that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ClaimError;
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let rx = channel.receiver()?;
    /// assert!(matches!(channel.receiver(), Err(ClaimError::Taken { .. })));
    /// drop(rx); // frees the seat
    /// assert!(channel.receiver().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> Result<Receiver, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, ring.ends.receiver_side(), |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring })
    }

    /// Kills the process that holds the sender's seat with `SIGKILL`, waits until the kernel says that it is gone, and
    /// takes the seat. If nobody holds the seat, this is [`sender`](Self::sender). A holder that leaves at the same
    /// moment may be killed all the same. The region says which process to kill, so do not use this on the regions of
    /// hostile peers: they could name any process.
    ///
    /// # Errors
    ///
    /// The holder is this process, cannot be identified from here, or was not gone after `timeout`. The seat was not
    /// taken then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use nix::sys::{prctl::set_pdeathsig, signal::Signal, wait::waitpid};
    /// # use nix::unistd::{ForkResult, fork, pause};
    /// # use std::time::Duration;
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
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
    /// # rx.wait_for_peer(Duration::from_secs(60))?;
    /// assert!(channel.sender().is_err()); // another process has the seat, and hangs
    /// let mut tx = channel.kill_and_take_sender(Duration::from_secs(10))?;
    /// tx.send(b"a line")?;
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_and_take_sender(&self, timeout: Duration) -> Result<Sender, KillError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = ring.ends.sender_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| ring.sender_state(holder))?;
        Ok(Sender { end, ring })
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
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
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
    /// # tx.wait_for_peer(Duration::from_secs(60))?;
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
        Ok(Receiver { end, ring })
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// assert_eq!(channel.capacity(), 1 << 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record the ring takes, in bytes: the capacity less 16, and less than 1 GiB.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// assert_eq!(channel.max_len() as u64, channel.capacity() - 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring.max_len
    }

    /// The memory behind the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// println!("{} bytes of memory for a ring of {}", channel.region().size(), channel.capacity());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The ring, for its two ends.
    pub(crate) fn writable(&self) -> Option<RecordRing> {
        Some(ring(self.region.writable()?, self.ring.capacity))
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
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// channel.sender()?.send(b"a line")?;
    /// let copy = channel.snapshot()?;
    /// assert_eq!(copy.receiver()?.recv()?, b"a line");
    /// assert_eq!(channel.receiver()?.recv()?, b"a line"); // the original still has it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }
}
