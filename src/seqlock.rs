//! The latest value: one writer, any number of readers that never wait for it.
//!
//! A writer that dies in the middle of a write leaves the last whole value. Readers write nothing, so
//! they may be attached read-only, and one made before a fork works after it.
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
//! For a value of 16 KiB or more, use [`Reader::read_into`]: it copies straight into a place of the caller's, where
//! [`Reader::read`] takes the value over the stack, twice or more.
//!
//! # Steps
//!
//! How often each call looks at shared memory, at most, whatever a peer does. A copied value is one look.
//!
//! | call | looks |
//! |---|---|
//! | [`Writer::write`] | 40, and it wakes 1,024 readers at most |
//! | [`Reader::read`], [`Reader::read_into`] | 40 where the writer stands still; 6 × tries where it goes on |
//! | [`Reader::has_changed`], each look of [`Reader::changed`] | 40 |
//! | [`Channel::reader`], [`Channel::writer`] | 200 |
//! | [`Channel::snapshot`] | 2 × the words of all cells, 2 × the words of one × tries, and 200 |
//!
//! There are `2^26 / size_of::<T>()` tries, but from 3 to 2^20: only a writer that writes all the while takes that many.
//! What asks after the writer asks the kernel besides, as often as it takes to find a seat that stands still: 64 times at
//! most.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::needs_drop;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::{self, sealed};
use crate::endpoint::Endpoint;
use crate::error::{ChangedError, ClaimError, Corrupt, EvictError, Fault, ReadError, WriteError};
use crate::layout::{CELLS, Kind, POSITION_LIMIT, SENDER, cell_words};
use crate::life::Witness;
use crate::open_error::{OpenError, Reason};
use crate::options::{Options, short_type_name};
use crate::protocol::Stop;
use crate::protocol::cell::{Cells, Unread};
use crate::protocol::seat::{self, Claim, End};
use crate::protocol::wait_word::READERS;
use crate::region::Region;
use crate::region::header::Spec;
use crate::spsc::{Message, check_type};
use crate::sync::ReadOnly;
use crate::wait::{self, Bed, Patience, Wait};

/// A mapped value. Inert: to write, take its seat; to read, make a reader.
///
/// Cheap to clone, and good on both sides of a fork.
pub struct Channel<T> {
    region: Arc<Region>,
    cells: Cells<T, ReadOnly>,
    spec: Spec,
    carries: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { region: self.region.clone(), cells: self.cells.clone(), spec: self.spec.clone(), carries: PhantomData }
    }
}

impl<T> core::fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("seqlock::Channel").field("region", &self.region).finish_non_exhaustive()
    }
}

impl<T: Message> channel::Channel for Channel<T> {
    const KIND: &'static str = "seqlock";

    fn region(&self) -> &Region {
        &self.region
    }
}

impl<T: Message> sealed::Channel for Channel<T> {
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn spec(_: Option<u64>, type_name: Option<&str>) -> Result<Spec, Reason> {
        let type_name = type_name.map_or_else(short_type_name::<T>, str::to_owned);
        check_type::<T>(&type_name)?;
        let stride = cell_words(size_of::<T>(), align_of::<T>())
            .ok_or(Reason::Capacity { found: CELLS, expected: "a type whose cells fit 63 bits" })?;
        Ok(Spec {
            kind: Kind::Seqlock,
            type_size: size_of::<T>(),
            type_align: align_of::<T>(),
            type_name,
            capacity: Some(crate::layout::cells(stride)),
            stride,
            mirrored: false,
        })
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn from_region(region: Region, spec: Spec) -> Self {
        let cells = Cells::new(region.control(), region.data(), region.capacity());
        Self { region: Arc::new(region), cells, spec, carries: PhantomData }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
        let cells = copy.writable().expect("a private copy is writable");
        cells.hold_only(&self.cells).map_err(|unread| {
            let reason = match unread {
                Unread::Overtaken(_) => Reason::Busy,
                Unread::Garbage(found) => Reason::Corrupt(garbage(found, 0)),
            };
            OpenError::new(self.region.place(), reason)
        })?;
        Ok(copy)
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn salvage(&self) -> Result<(), Reason> {
        let cells = self.writable().expect("what was read from a file is writable");
        cells.salvage().map_err(|stop| match stop {
            Stop::Blocked => Reason::NothingWhole,
            other => other.into(),
        })
    }
}

fn garbage(found: u64, position: u64) -> Corrupt {
    Corrupt { fault: Fault::Version, found, position }
}

impl<T: Message> Channel<T> {
    /// How to make or open a region for this channel.
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::create`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().create(path)
    }

    /// [`Options::open`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// [`Options::open_read_only`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open_read_only(path)
    }

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// Takes the writer's seat for this process. It goes on from the newest value.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn writer(&self) -> Result<Writer<T>, ClaimError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| cells.writer_state(claim.word);
        let end = Endpoint::claim(&self.region, SENDER, READERS, state)?;
        Ok(Writer { end, cells, carries: PhantomData })
    }

    /// Ends the process that holds the writer's seat with `SIGKILL`, waits until the kernel says that it is gone,
    /// and takes the seat. Where nobody sits there, [`writer`](Self::writer). A holder that leaves at the same
    /// moment may be ended all the same. It believes the region who the holder is: not for regions of hostile peers,
    /// which could name any process.
    ///
    /// # Errors
    ///
    /// The holder is this process, cannot be named from here, or was not gone after `timeout`; nothing was taken
    /// from it then.
    pub fn evict_writer(&self, timeout: Duration) -> Result<Writer<T>, EvictError> {
        let cells = self.writable().ok_or(ClaimError::ReadOnly)?;
        let state = |claim: Claim| cells.writer_state(claim.word);
        let end = Endpoint::evict_and_claim(&self.region, SENDER, READERS, timeout, state)?;
        Ok(Writer { end, cells, carries: PhantomData })
    }

    /// A reader. There may be any number, in any process that has the channel; it holds no seat.
    pub fn reader(&self) -> Reader<T> {
        // Where the kernel cannot fault the pages in, reading does.
        let _ = self.region.prefault_here();
        let seat = &self.cells.control.seats[SENDER];
        let died = seat::died(seat);
        // A death is old news where someone sat there since.
        let succeeded = seat::status(seat).is_ok_and(|status| status.generation > died);
        Reader {
            cells: self.cells.clone(),
            region: self.region.clone(),
            seen: 0,
            told: if succeeded { died } else { 0 },
            wait: Wait::default(),
            carries: PhantomData,
        }
    }

    /// The memory behind the channel.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The cells, for the writer.
    pub(crate) fn writable(&self) -> Option<Cells<T>> {
        let (control, data) = self.region.writable()?;
        Some(Cells::new(control, data, self.region.capacity()))
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

/// The writing end: one at a time for all processes, usable from one thread at a time of the process that
/// took it. The value stays when it is dropped.
pub struct Writer<T> {
    end: Endpoint,
    cells: Cells<T>,
    carries: PhantomData<fn(T)>,
}

impl<T: Message> Writer<T> {
    /// Makes `value` the latest. Never waits.
    ///
    /// # Errors
    ///
    /// This process is a forked child of the writer's, or the region is corrupt.
    #[inline(always)]
    pub fn write(&mut self, value: &T) -> Result<(), WriteError> {
        match self.cells.write(&mut self.end.state, value, self.end.fences) {
            Ok(()) => Ok(()),
            Err(Stop::Corrupt(corrupt)) => Err(WriteError::Corrupt(corrupt)),
            Err(_) => Err(WriteError::Forked),
        }
    }

    /// How many values were written so far, by this writer and those before it.
    pub fn version(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the writer's seat was taken, this turn included: a reader's `PeerDied` names it.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }
}

/// A reading end: any number of them, each usable from one thread at a time, on both sides of a fork.
pub struct Reader<T> {
    cells: Cells<T, ReadOnly>,
    region: Arc<Region>,
    /// The version that was read last.
    seen: u64,
    /// The last generation of the writer whose death was told.
    told: u64,
    wait: Wait,
    carries: PhantomData<fn() -> T>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), region: self.region.clone(), carries: PhantomData, ..*self }
    }
}

impl<T: Message> Reader<T> {
    /// The latest whole value; all zeroes if there was none yet ([`version`](Self::version) tells). Never
    /// waits for the writer.
    ///
    /// # Errors
    ///
    /// [`ReadError::Overtaken`] if a writer that never pauses is faster than this reader again and again;
    /// the region is corrupt.
    #[inline(always)]
    pub fn read(&mut self) -> Result<T, ReadError> {
        match self.cells.read() {
            Ok((value, version)) => {
                self.seen = version;
                Ok(value)
            }
            Err(unread) => Err(self.unread(unread)),
        }
    }

    /// The latest whole value, as [`read`](Self::read), copied straight into `place`.
    ///
    /// For a large `T`, say from 16 KiB on: a value that is returned passes over the stack, some times over in a debug
    /// build. To have one on the heap, begin with
    /// [`new_box_zeroed`](zerocopy::FromZeros::new_box_zeroed).
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); `place` then holds parts of several values.
    pub fn read_into(&mut self, place: &mut T) -> Result<(), ReadError> {
        if needs_drop::<T>() {
            return self.read_over(place);
        }
        self.seen = self.cells.read_into(place).map_err(|unread| self.unread(unread))?;
        Ok(())
    }

    /// Apart, so that no value lies on the stack of [`read_into`](Self::read_into).
    #[inline(never)]
    fn read_over(&mut self, place: &mut T) -> Result<(), ReadError> {
        *place = self.read()?;
        Ok(())
    }

    fn unread(&self, unread: Unread) -> ReadError {
        match unread {
            Unread::Overtaken(tries) => ReadError::Overtaken { tries },
            Unread::Garbage(found) => ReadError::Corrupt(garbage(found, self.seen)),
        }
    }

    /// The version of the value read last: how many values had been written up to it. 0: none.
    pub fn version(&self) -> u64 {
        self.seen
    }

    /// Whether there is a value other than the one read last.
    #[inline]
    pub fn has_changed(&self) -> bool {
        self.latest() != self.seen
    }

    #[inline]
    fn latest(&self) -> u64 {
        self.cells.control.sent.latest.acquire() // C1
    }

    /// Whether a writer that is alive sits there now. Asks the kernel.
    pub fn has_writer(&self) -> bool {
        Witness::new(&self.region).is_held(SENDER)
    }

    /// Waits until there is a value other than the one read last.
    ///
    /// A reader that is attached read-only cannot announce that it sleeps; it looks once a millisecond.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Closed`] if a writer was there and left, [`ChangedError::PeerDied`] if it died, and its last
    /// value was read.
    pub fn changed(&mut self) -> Result<(), ChangedError> {
        self.changed_patiently(Patience::Forever)
    }

    /// Waits until there is a value other than the one read last, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`ChangedError::Timeout`], and those of [`changed`](Self::changed).
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), ChangedError> {
        self.changed_patiently(Patience::lasting(timeout))
    }

    fn changed_patiently(&mut self, patience: Patience) -> Result<(), ChangedError> {
        // What the kernel says is not written into the region by who may only read it.
        let died = Cell::new(0);
        let seat = &self.cells.control.seats[SENDER];
        let poll = || {
            let latest = self.latest();
            if latest >= POSITION_LIMIT {
                return Some(Err(ChangedError::Corrupt(garbage(latest, self.seen))));
            }
            if latest != self.seen {
                return Some(Ok(()));
            }
            let end = match died.get() {
                generation if generation > self.told => End::Died(generation),
                _ => seat::ended_since(seat, self.told)?,
            };
            // Looked at after the seat: the value that a writer wrote before its end is seen here.
            Some(match end {
                _ if self.has_changed() => Ok(()),
                End::Left(_) => Err(ChangedError::Closed),
                End::Died(generation) => Err(ChangedError::PeerDied { generation }),
            })
        };
        let lost = Cell::new(false);
        let poll = || poll().or_else(|| lost.get().then_some(Err(ChangedError::FileLost)));
        let ask = || {
            died.set(Witness::new(&self.region).inquire(SENDER).unwrap_or(0));
            lost.set(self.region.is_lost());
        };
        let result = poll().unwrap_or_else(|| {
            let writable = self.region.writable();
            let bed = writable.as_ref().map_or(Bed::None, |(control, _)| Bed::Shared(&control.data_wait));
            wait::until(self.wait, patience, bed, |_| poll(), ask).unwrap_or(Err(ChangedError::Timeout))
        });
        match result {
            Err(ChangedError::PeerDied { generation }) => self.told = generation,
            Err(ChangedError::Closed) if self.region.is_lost() => return Err(ChangedError::FileLost),
            _ => {}
        }
        result
    }

    /// How blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }
}
