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
//! [`recv`](Receiver::recv) and similar calls return the message, which then crosses the stack: twice in a release
//! build, up to eight times in a debug build. For 16 KiB or more, receive into a place of your own instead:
//! [`recv_into`](Receiver::recv_into), [`RecvRef::read_into`] and [`recv_slice`](Receiver::recv_slice) copy straight
//! there. A call that returns a value of more than 1 MiB does not compile:
//!
//! ```compile_fail
//! let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 3 << 20]>(4)?;
//! let frame = rx.recv()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! The most accesses to shared memory that each call makes, whatever a peer does. Copying a message is one access. A
//! call that waits makes that many each time it checks, and wakes at most one sleeper.
//!
//! | call | accesses |
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
//! A claim, and every call that checks on the peer (such as `has_sender`, `is_closed` and `kill_and_take_sender`), also
//! asks the kernel: once for each reading of a seat that keeps changing, at most 64 times.

mod many;
pub mod raw;
mod receiver;
mod recv_ref;
mod sender;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::options::{Options, Wanted};
use super::{Message, fingerprint_of, sealed};
use crate::error::{ClaimError, KillError, OpenError, Reason, TypeFingerprint};
use crate::layout::{Kind, slot_words};
use crate::memory::{Of, Stride};
use crate::protocol::slots::SlotRing;
use crate::region::header::Spec;
use crate::region::{Parts, Region};
use crate::sync::Ordering::Acquire;
use crate::sync::{ReadOnly, fence};
pub use many::{Peeked, Reserved};
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
/// let channel = ringway::spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// let clone = channel.clone(); // the same ring
/// channel.sender()?.send(&7)?;
/// assert_eq!(clone.receiver()?.recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Channel<T> {
    region: Arc<Region>,
    ring: SlotRing<Of<T>, ReadOnly>,
    spec: Spec,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { region: self.region.clone(), ring: self.ring.clone(), spec: self.spec.clone() }
    }
}

impl<T> core::fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Channel")
            .field("region", &self.region)
            .field("capacity", &self.ring.slots.capacity)
            .finish()
    }
}

impl<T: Message> super::Channel for Channel<T> {
    const KIND: &'static str = "spsc";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl<T: Message> sealed::Channel for Channel<T> {
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        spec_of(fingerprint_of::<T>(wanted.name_of::<T>()), wanted.capacity)
    }

    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = ring(region.parts(), region.capacity());
        Self { region: Arc::new(region), ring, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        copy(&self.region, &self.ring, &self.spec, |region| {
            let copy = Self::from_region(region, self.spec.clone());
            let ring = copy.writable().expect("a private copy is writable");
            (copy, ring)
        })
    }

    fn salvage(&self) -> Result<(), Reason> {
        Ok(self.writable().expect("what was read from a file is writable").salvage()?)
    }
}

/// A private copy of a ring in use, with the messages that lay in it all the while. `of` makes the channel of a region.
fn copy<C, S: Stride>(
    region: &Region,
    ring: &SlotRing<S, ReadOnly>,
    spec: &Spec,
    of: impl FnOnce(Region) -> (C, SlotRing<S>),
) -> Result<C, OpenError> {
    let corrupt = |stop| OpenError::new(region.place(), Reason::from(stop));
    let end = ring.end(ring.ends.head().map_err(corrupt)?);
    let (channel, copied) = of(region.copy(spec)?);
    fence(Acquire);
    let head = ring.ends.head().map_err(corrupt)?;
    copied.retain(head, end.max(head).min(head + ring.slots.capacity));
    Ok(channel)
}

/// What a ring of values of some type wants of its region.
fn spec_of(carries: TypeFingerprint, capacity: Option<u64>) -> Result<Spec, Reason> {
    if capacity == Some(0) {
        return Err(Reason::Capacity { found: 0, expected: "at least 1 slot" });
    }
    if slot_words(carries.size as usize, carries.align as usize).is_none() {
        let expected = "a type whose slots fit 63 bits";
        return Err(Reason::Capacity { found: capacity.unwrap_or(0), expected });
    }
    Ok(Spec { kind: Kind::Spsc, carries: Some(carries), capacity, rows: None })
}

/// A ring of `capacity` slots in anonymous memory, and both its ends: for tests, and for two threads.
///
/// # Errors
///
/// [`ClaimError::Open`] if the region cannot be made, and those of the claims.
///
/// # Examples
///
/// ```
/// let (mut tx, mut rx) = ringway::spsc::pair::<u64>(8)?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || tx.send(&7).expect("a receiver"));
///     assert_eq!(rx.recv(), Ok(7));
/// });
/// # Ok::<(), ringway::ClaimError>(())
/// ```
#[doc(alias = "channel")]
pub fn pair<T: Message>(capacity: u64) -> Result<(Sender<T>, Receiver<T>), ClaimError> {
    let channel = Channel::options().capacity(capacity).anonymous()?;
    Ok((channel.sender()?, channel.receiver()?))
}

fn ring<T: Message, M: Copy>(parts: Parts<M>, capacity: u64) -> SlotRing<Of<T>, M> {
    SlotRing::new(parts.ends(), parts.area, capacity, Of::STRIDE)
}

impl<T> Options<Channel<T>> {
    /// How many messages the ring holds: any number from 1 on, kept exactly.
    ///
    /// # Examples
    ///
    /// ```
    /// let channel = ringway::spsc::Channel::<u64>::options().capacity(1000).anonymous()?;
    /// assert_eq!(channel.capacity(), 1000); // not rounded to a power of two
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(self, slots: u64) -> Self {
        self.with_capacity(slots)
    }
}

/// The bound stands at each function, because only there does the compiler say what to write instead of another type.
impl<T> Channel<T> {
    /// How to make or open a region for this channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let channel = ringway::spsc::Channel::<u64>::options().capacity(4).prefault(true).memfd()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Options<Self>
    where
        T: Message,
    {
        Options::new()
    }

    /// [`Options::create`] with `capacity` slots and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::spsc;
    /// let ticks = spsc::Channel::<u64>::create(&path, 1024)?;
    /// assert!(spsc::Channel::<u64>::create(&path, 1024).is_err()); // it exists
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(path: impl AsRef<Path>, capacity: u64) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().capacity(capacity).create(path)
    }

    /// [`Options::open_or_create`] with `capacity` slots and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_or_create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::spsc;
    /// let made = spsc::Channel::<u64>::open_or_create(&path, 1024)?; // in whichever process comes first
    /// let opened = spsc::Channel::<u64>::open_or_create(&path, 1024)?; // in the other
    /// assert_eq!(made.region().id(), opened.region().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(path: impl AsRef<Path>, capacity: u64) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().capacity(capacity).open_or_create(path)
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
    /// # let path = dir.path().join("ticks");
    /// use ringway::spsc;
    /// spsc::Channel::<u64>::create(&path, 1024)?;
    /// let ticks = spsc::Channel::<u64>::open(&path)?;
    /// assert_eq!(ticks.capacity(), 1024); // what the file says
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError>
    where
        T: Message,
    {
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
    /// use ringway::spsc;
    /// let made = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let fd = made.region().inheritable_fd()?; // inherited by another program, or sent to it
    /// let opened = spsc::Channel::<u64>::from_fd(fd)?;
    /// made.sender()?.send(&7)?;
    /// assert_eq!(opened.receiver()?.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().from_fd(fd)
    }
}

impl<T: Message> Channel<T> {
    /// Takes the sender's seat for this process. The sender goes on after the last message that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ClaimError;
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// tx.send(&7)?;
    /// assert!(matches!(channel.sender(), Err(ClaimError::Taken { pid, .. }) if pid == std::process::id()));
    /// drop(tx); // frees the seat
    /// assert_eq!(channel.sender()?.position(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> Result<Sender<T>, ClaimError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, ring.ends.sender_side(), |holder| ring.sender_state(holder))?;
        Ok(Sender { end, ring })
    }

    /// Takes the receiver's seat for this process. The receiver goes on at the first message that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ClaimError;
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let rx = channel.receiver()?;
    /// assert!(matches!(channel.receiver(), Err(ClaimError::Taken { .. })));
    /// drop(rx); // frees the seat
    /// assert!(channel.receiver().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> Result<Receiver<T>, ClaimError> {
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
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
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
    /// tx.send(&7)?;
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_and_take_sender(&self, timeout: Duration) -> Result<Sender<T>, KillError> {
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
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
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
    pub fn kill_and_take_receiver(&self, timeout: Duration) -> Result<Receiver<T>, KillError> {
        let ring = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = ring.ends.receiver_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring })
    }

    /// How many messages the ring holds.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
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
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// println!("{} bytes of memory for {} messages", channel.region().size(), channel.capacity());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The ring, for its two ends.
    pub(crate) fn writable(&self) -> Option<SlotRing<Of<T>>> {
        Some(ring(self.region.writable()?, self.capacity()))
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
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// channel.sender()?.send_slice(&[1, 2])?;
    /// let copy = channel.snapshot()?;
    /// assert_eq!(copy.receiver()?.recv()?, 1);
    /// assert_eq!(channel.receiver()?.recv()?, 1); // the original still has it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }
}
