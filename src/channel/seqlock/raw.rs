//! The same value for programs that do not know its type: tools, bridges, other languages.
//!
//! A [`Channel`] opens any region of a [`seqlock::Channel`](super::Channel), of whatever type, and writes and reads the
//! value as bytes. The caller must make sure that the bytes are a value of the region's type.
//!
//! ```
//! use ringway::seqlock::{self, raw};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("state");
//! let typed = seqlock::Channel::<[u16; 3]>::create(&path)?;
//! typed.writer()?.write(&[1, 2, 3])?;
//!
//! let any = raw::Channel::open(&path)?;
//! let mut value = vec![0; any.carries().size as usize];
//! any.reader().read_into(&mut value)?;
//! assert_eq!(value[4..], 3u16.to_ne_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::spec_of;
use super::watch::Watch;
use crate::channel::endpoint::Endpoint;
use crate::channel::options::{Options, ReadOnlyChannel, Wanted};
use crate::channel::{fingerprint_of_layout, sealed};
use crate::error::{ChangedError, ClaimError, KillError, OpenError, ReadError, Reason, TypeFingerprint, WriteError};
use crate::layout::{Header, Kind};
use crate::memory::DynamicCell;
use crate::protocol::Stop;
use crate::protocol::cell::Cells;
use crate::region::header::Spec;
use crate::region::{Parts, Region};
use crate::sync::ReadOnly;
use crate::wait::{Canceller, Wait};

/// A mapped value of any type. It does nothing by itself: to write, take the writer's seat; to read, make
/// a reader.
///
/// Cheap to clone. Any thread may use it, on both sides of a fork.
///
/// # Examples
///
/// ```
/// use ringway::seqlock::{self, raw};
/// let typed = seqlock::Channel::<u64>::options().memfd()?;
/// let any = raw::Channel::from_fd(typed.region().inheritable_fd()?)?; // of whatever type
/// typed.writer()?.write(&7)?;
/// assert_eq!(any.reader().read()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Channel {
    region: Arc<Region>,
    cells: Cells<DynamicCell, ReadOnly>,
    spec: Spec,
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::raw::Channel").field("region", &self.region).field("carries", &self.carries()).finish()
    }
}

impl crate::channel::Channel for Channel {
    const KIND: &'static str = "seqlock";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl ReadOnlyChannel for Channel {}

impl sealed::Channel for Channel {
    fn spec(wanted: &Wanted) -> Result<Spec, Reason> {
        match wanted.layout {
            Some((size, align)) => {
                let name = wanted.type_name.clone().unwrap_or_default();
                spec_of(fingerprint_of_layout(size, align, name)?)
            }
            None => Ok(Spec { kind: Kind::Seqlock, carries: None, capacity: None, rows: None }),
        }
    }

    fn from_region(region: Region, spec: Spec) -> Self {
        let cells = cells(region.parts(), region.header());
        Self { region: Arc::new(region), cells, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        super::copy(&self.region, &self.cells, &self.spec, |region| {
            let copy = Self::from_region(region, self.spec.clone());
            let cells = copy.writable().expect("a private copy is writable");
            (copy, cells)
        })
    }

    fn salvage(&self) -> Result<(), Reason> {
        super::salvage(&self.writable().expect("what was read from a file is writable"))
    }
}

/// The cells in a region with this header, whatever their type.
pub(crate) fn cells<M: Copy>(parts: Parts<M>, header: &Header) -> Cells<DynamicCell, M> {
    let shape = DynamicCell { words: header.stride as usize, size: header.type_size as usize };
    Cells::new(parts.lane, parts.area, header.capacity, shape)
}

impl Options<Channel> {
    /// Size and alignment of the value in bytes, for a region that is to be made. If given, a region that is
    /// opened must have the same. With [`type_name`](Self::type_name), a typed channel opens it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::seqlock::{self, raw};
    /// let made = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// assert!(seqlock::Channel::<u64>::from_fd(made.region().inheritable_fd()?).is_ok());
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
    /// let channel = ringway::seqlock::raw::Channel::options().type_layout(24, 8).type_name("Position").memfd()?;
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
    /// use ringway::seqlock::{self, raw};
    /// seqlock::Channel::<[f64; 3]>::create(&path)?;
    /// assert_eq!(raw::Channel::open(&path)?.carries().name, "[f64; 3]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
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
    /// use ringway::seqlock::{self, raw};
    /// seqlock::Channel::<u64>::create(&path)?.writer()?.write(&7)?;
    /// assert_eq!(raw::Channel::open_read_only(&path)?.reader().read()?, 7u64.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError> {
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
    /// use ringway::seqlock::{self, raw};
    /// let typed = seqlock::Channel::<u64>::options().memfd()?;
    /// let any = raw::Channel::from_fd(typed.region().inheritable_fd()?)?;
    /// assert_eq!(any.carries().size, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// The type of the value, as the region names it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// let carried = channel.carries();
    /// assert_eq!((carried.name.as_str(), carried.size, carried.align), ("u64", 8, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn carries(&self) -> TypeFingerprint {
        self.region.carries()
    }

    /// The memory behind the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// println!("{} bytes of memory", channel.region().size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Takes the writer's seat for this process. It goes on from the newest value.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// let mut writer = channel.writer()?;
    /// writer.write(&7u64.to_ne_bytes())?;
    /// assert!(channel.writer().is_err()); // one at a time
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(&self) -> Result<Writer, ClaimError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let end = Endpoint::claim(&self.region, cells.writer_side(), |holder| cells.writer_state(holder))?;
        Ok(Writer { end, cells })
    }

    /// Kills the process that holds the writer's seat, and takes the seat: see
    /// [`seqlock::Channel::kill_and_take_writer`](super::Channel::kill_and_take_writer).
    ///
    /// # Errors
    ///
    /// Those of [`seqlock::Channel::kill_and_take_writer`](super::Channel::kill_and_take_writer).
    ///
    /// # Examples
    ///
    /// ```
    /// # use nix::sys::{prctl::set_pdeathsig, signal::Signal, wait::waitpid};
    /// # use nix::unistd::{ForkResult, fork, pause};
    /// # use std::time::Duration;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
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
    /// writer.write(&7u64.to_ne_bytes())?;
    /// # waitpid(child, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_and_take_writer(&self, timeout: Duration) -> Result<Writer, KillError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = cells.writer_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| cells.writer_state(holder))?;
        Ok(Writer { end, cells })
    }

    /// Makes a reader. There may be any number, in any process that has the channel. A reader holds no seat.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// let (mut one, mut two) = (channel.reader(), channel.reader()); // any number
    /// assert_eq!(one.read()?, two.read()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { watch: Watch::new(self.region.clone(), self.cells.clone()) }
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
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// channel.writer()?.write(&7u64.to_ne_bytes())?;
    /// let copy = channel.snapshot()?;
    /// assert_eq!(copy.reader().read()?, 7u64.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }

    fn writable(&self) -> Option<Cells<DynamicCell>> {
        Some(cells(self.region.writable()?, self.region.header()))
    }
}

/// The writing end: as [`seqlock::Writer`](super::Writer), for a value as bytes.
///
/// # Examples
///
/// ```
/// # use ringway::seqlock::raw;
/// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
/// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
/// writer.write(&7u64.to_ne_bytes())?;
/// assert_eq!(reader.read()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer {
    end: Endpoint,
    cells: Cells<DynamicCell>,
}

impl Writer {
    /// Makes the value with these bytes the latest. Never waits.
    ///
    /// # Errors
    ///
    /// [`WriteError::WrongSize`], and those of [`seqlock::Writer::write`](super::Writer::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::WriteError;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&7u64.to_ne_bytes())?;
    /// assert_eq!(writer.write(&[7]), Err(WriteError::WrongSize { found: 1, expected: 8 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&mut self, value: &[u8]) -> Result<(), WriteError> {
        let (found, expected) = (value.len(), self.cells.cells.shape().size);
        if found != expected {
            return Err(WriteError::WrongSize { found, expected });
        }
        match self.cells.write_bytes(&mut self.end.state, value, self.end.fences) {
            Ok(()) => Ok(()),
            Err(Stop::Corrupt(corrupt)) => Err(WriteError::Corrupt(corrupt)),
            Err(_) => Err(WriteError::Forked),
        }
    }

    /// How many values were written so far, by this writer and those before it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&[0; 8])?;
    /// assert_eq!(writer.version(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the writer's seat has been taken, including by this writer.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// assert_eq!(channel.writer()?.generation(), 1);
    /// assert_eq!(channel.writer()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }
}

/// A reading end: as [`seqlock::Reader`](super::Reader), for a value as bytes.
///
/// # Examples
///
/// ```
/// # use ringway::seqlock::raw;
/// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
/// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
/// writer.write(&7u64.to_ne_bytes())?;
/// reader.changed()?;
/// assert_eq!(reader.read()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reader {
    watch: Watch<DynamicCell>,
}

impl Reader {
    /// The bytes of the latest whole value: all zeroes if none was written yet. Never waits for the writer.
    ///
    /// # Errors
    ///
    /// Those of [`seqlock::Reader::read`](super::Reader::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// assert_eq!(reader.read()?, [0; 8]); // nothing was written yet
    /// writer.write(&7u64.to_ne_bytes())?;
    /// assert_eq!(reader.read()?, 7u64.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut value = vec![0; self.watch.cells.cells.shape().size];
        self.read_into(&mut value)?;
        Ok(value)
    }

    /// Copies the bytes of the latest whole value into the front of `buffer`, and returns how many they are: all zeroes if
    /// none was written yet. Never waits for the writer.
    ///
    /// # Errors
    ///
    /// [`ReadError::BufferTooShort`], and those of [`seqlock::Reader::read`](super::Reader::read); the buffer then holds
    /// parts of several values.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&7u64.to_ne_bytes())?;
    /// let mut buffer = [0; 64];
    /// let len = reader.read_into(&mut buffer)?;
    /// assert_eq!(buffer[..len], 7u64.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let found = self.watch.cells.cells.shape().size;
        let buffer_len = buffer.len();
        let Some(front) = buffer.get_mut(..found) else {
            return Err(ReadError::BufferTooShort { found, buffer: buffer_len });
        };
        self.watch.seen = self.watch.cells.read_bytes(front).map_err(|unread| self.watch.unread(unread))?;
        Ok(found)
    }

    /// The version of the value read last: how many values had been written up to it. 0 if none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&[0; 8])?;
    /// reader.read()?;
    /// assert_eq!(reader.version(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.watch.seen
    }

    /// Whether there is a newer value than the one read last.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&[0; 8])?;
    /// assert!(reader.has_changed());
    /// reader.read()?;
    /// assert!(!reader.has_changed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.watch.has_changed()
    }

    /// Whether a living writer holds its seat now. Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// assert!(reader.has_writer());
    /// drop(writer);
    /// assert!(!reader.has_writer());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.watch.has_writer()
    }

    /// Waits until there is a newer value than the one read last.
    ///
    /// # Errors
    ///
    /// Those of [`seqlock::Reader::changed`](super::Reader::changed).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// writer.write(&[0; 8])?;
    /// reader.changed()?; // sleeps until there is something new
    /// reader.read()?;
    /// drop(writer);
    /// assert_eq!(reader.changed(), Err(ChangedError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed(&mut self) -> Result<(), ChangedError> {
        self.watch.wait_for_change(None)
    }

    /// Waits until there is a newer value than the one read last, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Timeout`], and those of [`changed`](Self::changed).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # use std::time::Duration;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// assert_eq!(reader.changed_timeout(Duration::from_millis(1)), Err(ChangedError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), ChangedError> {
        self.watch.wait_for_change(Instant::now().checked_add(timeout))
    }

    /// Sets how blocked calls wait from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    /// reader.set_wait(Wait::Sleep); // a dashboard: no hurry
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_wait(&mut self, wait: Wait) {
        self.watch.wait = wait;
    }

    /// How blocked calls wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (writer, mut reader) = (channel.writer()?, channel.reader());
    /// assert_eq!(reader.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.watch.wait
    }

    /// Sets whether [`changed`](Self::changed) goes on waiting when the writer leaves or dies: see
    /// [`seqlock::Reader::outlive_peers`](crate::seqlock::Reader::outlive_peers). Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (writer, mut reader) = (channel.writer()?, channel.reader());
    /// reader.outlive_peers(true);
    /// drop(writer);
    /// assert!(reader.changed_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout())); // not closed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.watch.outlives_peers = yes;
    }

    /// What ends the blocked calls of this reader, and of those that are cloned from it later, from any thread or a signal
    /// handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::ChangedError;
    /// # use ringway::seqlock::raw;
    /// # let channel = raw::Channel::options().type_layout(8, 8).type_name("u64").memfd()?;
    /// # let (writer, mut reader) = (channel.writer()?, channel.reader());
    /// reader.canceller().cancel();
    /// assert_eq!(reader.changed(), Err(ChangedError::Cancelled));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.watch.canceller()
    }
}

impl core::fmt::Debug for Writer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::raw::Writer").field("end", &self.end).finish()
    }
}

impl core::fmt::Debug for Reader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::raw::Reader").field("version", &self.watch.seen).finish()
    }
}
