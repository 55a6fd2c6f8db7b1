//! The latest value: one writer, and any number of readers that never wait for it.
//!
//! A writer that dies in the middle of a write leaves the last whole value. Readers write nothing, so they may be
//! attached read-only, and a reader made before a fork works after it.
//!
//! ```
//! use ringway::seqlock;
//!
//! let channel = seqlock::Channel::<[f64; 3]>::options().memfd()?;
//! let mut writer = channel.writer()?;
//! let mut reader = channel.reader();
//! writer.write(&[1.0, 2.0, 3.0])?;
//! assert_eq!(reader.read()?, [1.0, 2.0, 3.0]);
//! assert!(!reader.has_changed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For a value of 16 KiB or more, use [`Reader::read_into`]: it copies straight to the caller's value. [`Reader::read`]
//! moves the value across the stack, twice or more, and does not compile for a value of more than 1 MiB.
//!
//! # Steps
//!
//! The most accesses to shared memory that each call makes, whatever a peer does. Copying a value is one access.
//!
//! | call | accesses |
//! |---|---|
//! | [`Writer::write`] | 40, and it wakes at most 1,024 readers |
//! | [`Reader::read`], [`Reader::read_into`] | 40 if the writer is idle; 6 × tries if it keeps writing |
//! | [`Reader::has_changed`], each check of [`Reader::changed`] | 40 |
//! | [`Channel::reader`], [`Channel::writer`] | 200 |
//! | [`Channel::snapshot`] | 2 × the words of all cells, 2 × the words of one × tries, and 200 |
//!
//! There are `2^26 / size_of::<T>()` tries, but at least 3 and at most 2^20. Only a writer that keeps writing makes a
//! reader use them all. A call that checks on the writer also asks the kernel, until the seat does not change
//! meanwhile: at most 64 times.
#![forbid(unsafe_code)]

pub mod raw;
mod reader;
mod watch;
mod writer;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::options::{Options, ReadOnlyChannel, Wanted};
use super::{Message, fingerprint_of, sealed};
use crate::error::{ClaimError, Corrupt, Fault, KillError, OpenError, Reason, TypeFingerprint};
use crate::layout::{CELLS, Kind, cell_words, cells};
use crate::memory::{CellOf, CellShape};
use crate::protocol::Stop;
use crate::protocol::cell::{Cells, Unread};
use crate::region::Region;
use crate::region::header::Spec;
use crate::sync::ReadOnly;
pub use reader::Reader;
pub use writer::Writer;

/// A mapped value. It does nothing by itself: to write, take the writer's seat; to read, make a reader.
///
/// Cheap to clone. Any thread may use it, on both sides of a fork.
///
/// # Examples
///
/// ```
/// let channel = ringway::seqlock::Channel::<u64>::options().memfd()?;
/// let mut reader = channel.reader();
/// channel.writer()?.write(&7)?; // the writer leaves, the value stays
/// assert_eq!(reader.read()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Channel<T> {
    region: Arc<Region>,
    cells: Cells<CellOf<T>, ReadOnly>,
    spec: Spec,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { region: self.region.clone(), cells: self.cells.clone(), spec: self.spec.clone() }
    }
}

impl<T> core::fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::Channel").field("region", &self.region).finish_non_exhaustive()
    }
}

impl<T: Message> super::Channel for Channel<T> {
    const KIND: &'static str = "seqlock";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl<T: Message> ReadOnlyChannel for Channel<T> {}

impl<T: Message> sealed::Channel for Channel<T> {
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        spec_of(fingerprint_of::<T>(wanted.name_of::<T>()))
    }

    fn from_region(region: Region, spec: Spec) -> Self {
        let parts = region.parts();
        let cells = Cells::new(parts.lane, parts.area, region.capacity(), CellOf::SHAPE);
        Self { region: Arc::new(region), cells, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        copy(&self.region, &self.cells, &self.spec, |region| {
            let copy = Self::from_region(region, self.spec.clone());
            let cells = copy.writable().expect("a private copy is writable");
            (copy, cells)
        })
    }

    fn salvage(&self) -> Result<(), Reason> {
        salvage(&self.writable().expect("what was read from a file is writable"))
    }
}

/// A private copy of a value in use. `of` makes the channel of a region.
fn copy<C, S: CellShape>(
    region: &Region,
    cells: &Cells<S, ReadOnly>,
    spec: &Spec,
    of: impl FnOnce(Region) -> (C, Cells<S>),
) -> Result<C, OpenError> {
    let (channel, copied) = of(region.copy(spec)?);
    copied.retain(cells).map_err(|unread| {
        let reason = match unread {
            Unread::Overtaken(_) => Reason::Busy,
            Unread::Garbage(found) => Reason::Corrupt(garbage(found, 0)),
        };
        OpenError::new(region.place(), reason)
    })?;
    Ok(channel)
}

/// Makes cells that were read from a file hold what is whole in them.
fn salvage<S: CellShape>(cells: &Cells<S>) -> Result<(), Reason> {
    cells.salvage().map_err(|stop| match stop {
        Stop::Blocked => Reason::NothingWhole,
        other => other.into(),
    })
}

/// What a value of some type wants of its region.
fn spec_of(carries: TypeFingerprint) -> Result<Spec, Reason> {
    let stride = cell_words(carries.size as usize, carries.align as usize)
        .ok_or(Reason::Capacity { found: CELLS, expected: "a type whose cells fit 63 bits" })?;
    Ok(Spec { kind: Kind::Seqlock, carries: Some(carries), capacity: Some(cells(stride)), rows: None })
}

fn garbage(found: u64, position: u64) -> Corrupt {
    Corrupt { fault: Fault::Version, found, position }
}

/// A value in anonymous memory, its writer and a reader: for tests, and for two threads.
///
/// # Errors
///
/// [`ClaimError::Open`] if the region cannot be made, and those of the claim.
///
/// # Examples
///
/// ```
/// let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
/// writer.write(&7)?;
/// assert_eq!(reader.read()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "channel")]
pub fn pair<T: Message>() -> Result<(Writer<T>, Reader<T>), ClaimError> {
    let channel = Channel::options().anonymous()?;
    Ok((channel.writer()?, channel.reader()))
}

/// The bound stands at each function, because only there does the compiler say what to write instead of another type.
impl<T> Channel<T> {
    /// How to make or open a region for this channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let channel = ringway::seqlock::Channel::<[f64; 3]>::options().prefault(true).memfd()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Options<Self>
    where
        T: Message,
    {
        Options::new()
    }

    /// [`Options::create`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// use ringway::seqlock;
    /// let state = seqlock::Channel::<u64>::create(&path)?;
    /// assert!(seqlock::Channel::<u64>::create(&path).is_err()); // it exists
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(path: impl AsRef<Path>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().create(path)
    }

    /// [`Options::open_or_create`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_or_create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// use ringway::seqlock;
    /// let made = seqlock::Channel::<u64>::open_or_create(&path)?; // in whichever process comes first
    /// let opened = seqlock::Channel::<u64>::open_or_create(&path)?; // in the other
    /// assert_eq!(made.region().id(), opened.region().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().open_or_create(path)
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
    /// use ringway::seqlock;
    /// seqlock::Channel::<u64>::create(&path)?.writer()?.write(&7)?;
    /// let state = seqlock::Channel::<u64>::open(&path)?;
    /// assert_eq!(state.reader().read()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().open(path)
    }

    /// [`Options::open_read_only`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_read_only`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state");
    /// use ringway::{ClaimError, seqlock};
    /// seqlock::Channel::<u64>::create(&path)?.writer()?.write(&7)?;
    /// let state = seqlock::Channel::<u64>::open_read_only(&path)?;
    /// assert_eq!(state.reader().read()?, 7);
    /// assert!(matches!(state.writer(), Err(ClaimError::ReadOnly)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::options().open_read_only(path)
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
    /// use ringway::seqlock;
    /// let made = seqlock::Channel::<u64>::options().memfd()?;
    /// let fd = made.region().inheritable_fd()?; // inherited by another program, or sent to it
    /// let opened = seqlock::Channel::<u64>::from_fd(fd)?;
    /// made.writer()?.write(&7)?;
    /// assert_eq!(opened.reader().read()?, 7);
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
    /// Takes the writer's seat for this process. The writer goes on from the newest value.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ClaimError;
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// let mut writer = channel.writer()?;
    /// writer.write(&7)?;
    /// assert!(matches!(channel.writer(), Err(ClaimError::Taken { pid, .. }) if pid == std::process::id()));
    /// drop(writer); // frees the seat
    /// assert_eq!(channel.writer()?.version(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(&self) -> Result<Writer<T>, ClaimError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, cells.writer_side(), |holder| cells.writer_state(holder))?;
        Ok(Writer { end, cells })
    }

    /// Kills the process that holds the writer's seat with `SIGKILL`, waits until the kernel says that it is gone, and
    /// takes the seat. If nobody holds the seat, this is [`writer`](Self::writer). A holder that leaves at the same
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
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// # let mut reader = channel.reader();
    /// # // SAFETY: the child only takes a seat and waits.
    /// # let child = match unsafe { fork()? } {
    /// #     ForkResult::Parent { child } => child,
    /// #     ForkResult::Child => {
    /// #         let _writer = set_pdeathsig(Signal::SIGKILL).map(|()| channel.writer());
    /// #         loop {
    /// #             pause();
    /// #         }
    /// #     }
    /// # };
    /// # while !reader.has_writer() {
    /// #     std::thread::yield_now();
    /// # }
    /// assert!(channel.writer().is_err()); // another process has the seat, and hangs
    /// let mut writer = channel.kill_and_take_writer(Duration::from_secs(10))?;
    /// writer.write(&7)?;
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_and_take_writer(&self, timeout: Duration) -> Result<Writer<T>, KillError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end =
            Endpoint::kill_and_claim(&self.region, cells.writer_side(), timeout, |holder| cells.writer_state(holder))?;
        Ok(Writer { end, cells })
    }

    /// Makes a reader. There may be any number, in any process that has the channel. A reader holds no seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// let (mut one, mut two) = (channel.reader(), channel.reader()); // any number
    /// channel.writer()?.write(&7)?;
    /// assert_eq!((one.read()?, two.read()?), (7, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reader(&self) -> Reader<T> {
        Reader::new(self.region.clone(), self.cells.clone())
    }

    /// The memory behind the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// println!("{} bytes of memory", channel.region().size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The cells, for the writer.
    pub(crate) fn writable(&self) -> Option<Cells<CellOf<T>>> {
        let parts = self.region.writable()?;
        Some(Cells::new(parts.lane, parts.area, self.region.capacity(), CellOf::SHAPE))
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
    /// # let channel = ringway::seqlock::Channel::<u64>::options().anonymous()?;
    /// let mut writer = channel.writer()?;
    /// writer.write(&1)?;
    /// let copy = channel.snapshot()?;
    /// writer.write(&2)?;
    /// assert_eq!(copy.reader().read()?, 1); // as it was
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }
}
