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
use crate::wait::Wait;

/// A mapped value of any type. It does nothing by itself: to write, take the writer's seat; to read, make
/// a reader.
///
/// Cheap to clone. Any thread may use it, on both sides of a fork.
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

    /// [`Options::open_read_only`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_read_only`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open_read_only(path)
    }

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// Those of [`Options::from_fd`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// The type of the value, as the region names it.
    #[must_use]
    pub fn carries(&self) -> TypeFingerprint {
        self.region.carries()
    }

    /// The memory behind the channel.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Takes the writer's seat for this process. It goes on from the newest value.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names the process that holds the seat.
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
    pub fn kill_and_take_writer(&self, timeout: Duration) -> Result<Writer, KillError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let side = cells.writer_side();
        let end = Endpoint::kill_and_claim(&self.region, side, timeout, |holder| cells.writer_state(holder))?;
        Ok(Writer { end, cells })
    }

    /// Makes a reader. There may be any number, in any process that has the channel. A reader holds no seat.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { watch: Watch::new(self.region.clone(), self.cells.clone()) }
    }

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }

    fn writable(&self) -> Option<Cells<DynamicCell>> {
        Some(cells(self.region.writable()?, self.region.header()))
    }
}

/// The writing end: as [`seqlock::Writer`](super::Writer), for a value as bytes.
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
    #[must_use]
    pub fn version(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the writer's seat has been taken, including by this writer.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }
}

/// A reading end: as [`seqlock::Reader`](super::Reader), for a value as bytes.
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
    #[must_use]
    pub fn version(&self) -> u64 {
        self.watch.seen
    }

    /// Whether there is a newer value than the one read last.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.watch.has_changed()
    }

    /// Whether a living writer holds its seat now. Asks the kernel.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.watch.has_writer()
    }

    /// Waits until there is a newer value than the one read last.
    ///
    /// # Errors
    ///
    /// Those of [`seqlock::Reader::changed`](super::Reader::changed).
    pub fn changed(&mut self) -> Result<(), ChangedError> {
        self.watch.wait_for_change(None)
    }

    /// Waits until there is a newer value than the one read last, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Timeout`], and those of [`changed`](Self::changed).
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), ChangedError> {
        self.watch.wait_for_change(Instant::now().checked_add(timeout))
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.watch.wait = wait;
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
