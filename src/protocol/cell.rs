//! The latest value: one writer, any number of readers that write nothing.
//!
//! The cells form a ring. The writer writes version `v` into cell `v % cells`, and only then makes it the latest. So it
//! never writes into the newest whole value, and if it dies in the middle of a write, it leaves that value untouched. A
//! cell's mark is the version that is being written there, or was written last. It changes before the payload does. A copy
//! is torn only if the writer comes all the way round while the reader copies. The reader then finds another mark, and
//! takes the value that is newest by now. `latest` says that a value is whole; the mark need not say it.
//!
//! The idea of the mark is the seqlock of the Linux kernel (`Documentation/locking/seqlock.rst`), its
//! orderings those of Boehm, "Can seqlocks get along with programming language memory models?" (2012).
//!
//! # Ordering (fences, because payload words are relaxed)
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | C1 | [`Cells::write`] stores `latest` | [`Cells::read`] loads it: that version's payload is whole | `cell_publication` |
//! | C3 | [`Cells::write`] stores the mark | [`Cells::read_with`] loads it, before it looks at `latest` again: who sees a cell being written again sees that another version is the latest | `cell_overtaken` (for the acquire; between two writes, the barrier of the wake-up check is a release in the models) |
//! | C2 | fence between the mark and the payload | fence between the copy and the mark: a copy that saw a byte of a later version sees its mark | `cell_tearing` |
//!
//! What can never happen: a reader that waits for a writer; a value that is part one version, part
//! another.

use super::seat::{self, End};
use super::wait_word::{self, READERS};
use super::{Side, State, Stop};
use crate::error::Fault;
use crate::layout::seat::SENDER;
use crate::layout::{Lane, POSITION_LIMIT};
use crate::memory::{CellArray, CellOf, CellShape, DynamicCell, Torn, View, WordArea, WordSlice};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Writable, fence, light_barrier};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes that a reader copies at most before it says that it was overtaken. Each time, the writer has
/// written `cells - 1` whole values during one copy.
#[cfg(not(loom))]
const TRIED_BYTES: usize = 1 << 26;
#[cfg(loom)]
const TRIED_BYTES: usize = 3 * 24;

/// The shared cells and their private geometry.
pub(crate) struct Cells<S, M = Writable> {
    pub lane: View<Lane<M>>,
    pub cells: CellArray<S, M>,
}

impl<S: Clone, M: Clone> Clone for Cells<S, M> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone(), cells: self.cells.clone() }
    }
}

/// Why a reader got no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Overtaken so many times in a row.
    Overtaken(u32),
    /// `latest`, or the mark of the cell it names, holds what cannot be.
    Garbage(u64),
}

/// The version of the newest whole value, if it is one that can be.
pub(crate) fn version<M>(lane: &Lane<M>) -> Result<u64, Stop> {
    let version = lane.sender_line.latest.acquire(); // C1
    if version < POSITION_LIMIT { Ok(version) } else { Err(Stop::corrupt(Fault::Version, version, 0)) }
}

impl<S: CellShape> Cells<S> {
    /// The writer's end. Readers sit in no seat.
    pub fn writer_side(&self) -> Side {
        Side {
            number: SENDER,
            seat: self.lane.part(|lane| &*lane.sender),
            peer: None,
            own_word: self.lane.part(|lane| &*lane.space_wait),
            peers_word: self.lane.part(|lane| &*lane.data_wait),
            most_woken: READERS,
            reported: None,
        }
    }

    /// The state of a writer that just took its seat: it goes on from the newest whole value.
    pub fn writer_state(&self, holder: u64) -> Result<State, Stop> {
        let mut s = State::new(holder, version(&self.lane)?, 0, 0);
        s.limit = u64::MAX;
        Ok(s)
    }

    /// Writes the next version, by `copy`, into its cell.
    #[inline(always)]
    fn write_with(&self, s: &mut State, fences: bool, copy: impl FnOnce(WordSlice<'_>)) -> Result<(), Stop> {
        // A forked child's state is all zero; the limit of any other writer is never reached.
        if s.pos >= s.limit {
            return s.check();
        }
        let version = s.pos + 1;
        // Read before the copy, because the compiler assumes that the copy may change any memory.
        let (cell, lane) = (self.cells.at(version), &*self.lane);
        cell.word(self.cells.shape().mark()).store(version, Release); // C3
        fence(Release); // C2 release
        copy(cell);
        lane.sender_line.latest.store(version, Release); // C1 release
        s.pos = version;
        light_barrier(fences);
        if !wait_word::awake(lane.data_wait.load(Relaxed)) {
            wait_word::wake(&lane.data_wait, READERS);
        }
        Ok(())
    }

    /// Makes fresh cells, as many, hold the newest whole value of others.
    pub fn retain<M: Copy>(&self, others: &Cells<S, M>) -> Result<(), Unread> {
        let version = others.read_with(|cell, version| self.cells.at(version).copy_from(cell))?;
        // Under way, the mark may have been a later one's.
        self.cells.at(version).word(self.cells.shape().mark()).store(version, Relaxed);
        self.lane.sender_line.latest.store(version, Relaxed);
        Ok(())
    }

    /// Makes cells that were read from a file hold the newest value that is whole in them; [`Stop::Blocked`]: none is. A
    /// cell's mark changes before its value does, and lies behind it: a copy that reads a value in part reads another mark.
    pub fn salvage(&self) -> Result<(), Stop> {
        let (latest, mark) = (version(&self.lane)?, self.cells.shape().mark());
        // Version 0 is no value: where one was written, it is none to fall back to.
        let oldest = latest.saturating_sub(self.cells.count() - 1).max(latest.min(1));
        let is_whole = |version: &u64| self.cells.at(*version).word(mark).load(Relaxed) == *version;
        let whole = (oldest..=latest).rev().find(is_whole).ok_or(Stop::Blocked)?;
        self.lane.sender_line.latest.store(whole, Relaxed);
        Ok(())
    }
}

impl<T: FromBytes + IntoBytes + Immutable + 'static> Cells<CellOf<T>> {
    /// Writes the next version.
    #[inline(always)]
    pub fn write(&self, s: &mut State, value: &T, fences: bool) -> Result<(), Stop> {
        self.write_with(s, fences, |cell| cell.write_torn(value))
    }
}

impl Cells<DynamicCell> {
    /// Writes the next version, which has as many bytes as a value has.
    pub fn write_bytes(&self, s: &mut State, value: &[u8], fences: bool) -> Result<(), Stop> {
        self.write_with(s, fences, |cell| cell.write_bytes_torn(value))
    }
}

impl<M: Copy> Cells<DynamicCell, M> {
    /// The newest whole value into `place`, which has as many bytes, and its version: see [`Cells::read`].
    pub fn read_bytes(&self, place: &mut [u8]) -> Result<u64, Unread> {
        self.read_with(|cell, _| cell.read_bytes_torn(place))
    }
}

impl<T: FromBytes + IntoBytes + Immutable + 'static, M: Copy> Cells<CellOf<T>, M> {
    /// The newest whole value and its version; version 0 is all zeroes, and not yet written.
    #[inline(always)]
    pub fn read(&self) -> Result<(T, u64), Unread> {
        let version = self.lane.sender_line.latest.acquire(); // C1 acquire
        // Whatever it is, there is a cell for it.
        let cell = self.cells.at(version);
        let value = cell.read_torn();
        fence(Acquire); // C2 acquire
        let mark = cell.word(self.cells.shape().mark()).relaxed();
        if version < POSITION_LIMIT && mark == version {
            return Ok((value.assume_whole(), version));
        }
        // Of its own, so that the compiler may keep the first in registers.
        let mut again = value;
        let version = self.read_again(&mut again)?;
        Ok((again.assume_whole(), version))
    }

    #[cold]
    #[inline(never)]
    fn read_again(&self, value: &mut Torn<T>) -> Result<u64, Unread> {
        self.read_with(|cell, _| *value = cell.read_torn())
    }

    /// [`Cells::read`] straight into `place`, whose old value is not dropped. Without a whole value, it is left with parts
    /// of others.
    pub fn read_into(&self, place: &mut T) -> Result<u64, Unread> {
        self.read_with(|cell, _| cell.read_torn_into(place))
    }
}

impl<S: CellShape, M: Copy> Cells<S, M> {
    pub fn new(lane: View<Lane<M>>, area: WordArea<M>, cells: u64, shape: S) -> Self {
        Self { lane, cells: CellArray::new(area, cells, shape) }
    }

    /// Copies a cell, by `copy`, which is told its version, until what it copied is a whole value.
    #[inline(always)]
    fn read_with(&self, mut copy: impl FnMut(WordSlice<'_, M>, u64)) -> Result<u64, Unread> {
        let latest = &self.lane.sender_line.latest;
        let tries = (TRIED_BYTES / self.cells.shape().size()).clamp(3, 1 << 20) as u32;
        let mut version = latest.acquire(); // C1
        for _ in 0..tries {
            if version >= POSITION_LIMIT {
                return Err(Unread::Garbage(version));
            }
            let cell = self.cells.at(version);
            copy(cell, version);
            fence(Acquire); // C2 acquire
            let mark = cell.word(self.cells.shape().mark()).acquire(); // C3 acquire
            if mark == version {
                return Ok(version);
            }
            let newer = latest.acquire(); // C1
            if newer == version || mark < version {
                // Who begins to write a cell again has made another version the latest.
                return Err(Unread::Garbage(mark));
            }
            version = newer;
            core::hint::spin_loop();
        }
        Err(Unread::Overtaken(tries))
    }

    /// The version of the newest whole value, whatever it says.
    #[inline]
    pub fn latest(&self) -> u64 {
        self.lane.sender_line.latest.acquire() // C1
    }

    /// What a reader waits for that has read version `seen`: the version of another value, or the end of the writer, if
    /// that is news to one who has heard of the ends up to `reported`. `died` is a generation that died by the kernel's
    /// word, whether or not the region says so yet.
    pub fn look_for_change(&self, seen: u64, reported: u64, died: u64) -> Result<u64, Stop> {
        let latest = self.latest();
        if latest >= POSITION_LIMIT {
            return Err(Stop::corrupt(Fault::Version, latest, seen));
        }
        if latest != seen {
            return Ok(latest);
        }
        let end = match died {
            generation if generation > reported => End::Died(generation),
            _ => seat::ended_since(&self.lane.sender, reported).ok_or(Stop::Blocked)?,
        };
        // Looked at after the seat: the value that a writer wrote before its end is seen here.
        match self.latest() {
            latest if latest != seen => Ok(latest),
            _ => Err(Stop::Ended(end)),
        }
    }
}
