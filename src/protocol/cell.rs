//! The latest value: one writer, any number of readers that write nothing.
//!
//! The cells form a ring. Version `v` is written into cell `v % cells`, and only then made the latest;
//! so the newest whole value is never the one being written, and a writer that dies in the middle of a
//! write leaves it untouched. A cell's mark is the version that is written there, or was last, and changes before
//! the payload does. A reader is torn only if the writer comes all the way round while it copies; it then finds
//! another mark and takes the value that is newest by now. That a value is whole, `latest` says, so the mark need not.
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

use super::wait_word::{self, READERS};
use super::{State, Stop};
use crate::error::Fault;
use crate::layout::{Control, POSITION_LIMIT, WORD};
use crate::span::{Span, Spans, Torn};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Writable, fence, light_barrier};
use crate::words::{View, Words};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes that a reader copies at most before it says that it was overtaken. Each time, the writer has
/// written `cells - 1` whole values during one copy.
#[cfg(not(loom))]
const TRIED_BYTES: usize = 1 << 26;
#[cfg(loom)]
const TRIED_BYTES: usize = 3 * 24;

/// The shared cells and their private geometry.
pub(crate) struct Cells<T, M = Writable> {
    pub control: View<Control<M>>,
    pub data: Spans<T, M>,
}

impl<T, M> Clone for Cells<T, M> {
    fn clone(&self) -> Self {
        Self { control: self.control.clone(), data: self.data.clone() }
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
pub(crate) fn version<M>(control: &Control<M>) -> Result<u64, Stop> {
    let version = control.sent.latest.acquire(); // C1
    if version < POSITION_LIMIT { Ok(version) } else { Err(Stop::corrupt(Fault::Version, version, 0)) }
}

/// Where the mark lies in a cell, in words.
const fn mark_of<T>() -> usize {
    size_of::<T>().div_ceil(WORD)
}

impl<T: FromBytes + IntoBytes + Immutable> Cells<T> {
    /// The state of a writer that just took its seat: it goes on from the newest whole value.
    pub fn writer_state(&self, holder: u64) -> Result<State, Stop> {
        let version = version(&self.control)?;
        Ok(State::new(holder, version, 0, 0))
    }

    /// Writes the next version.
    #[inline(always)]
    pub fn write(&self, s: &mut State, value: &T, fences: bool) -> Result<(), Stop> {
        if !s.is_sound() {
            return s.check();
        }
        let version = s.pos + 1;
        let cell = self.data.at(version);
        cell.word(mark_of::<T>()).store(version, Release); // C3
        fence(Release); // C2
        cell.write_torn(value);
        self.control.sent.latest.store(version, Release); // C1
        s.pos = version;
        light_barrier(fences);
        if !wait_word::awake(self.control.data_wait.load(Relaxed)) {
            wait_word::wake(&self.control.data_wait, READERS);
        }
        Ok(())
    }

    /// Makes fresh cells, as many, hold the newest whole value of others.
    pub fn hold_only<M: Copy>(&self, others: &Cells<T, M>) -> Result<(), Unread> {
        let version = others.read_with(|cell, version| self.data.at(version).copy_from(cell))?;
        // Under way, the mark may have been a later one's.
        self.data.at(version).word(mark_of::<T>()).store(version, Relaxed);
        self.control.sent.latest.store(version, Relaxed);
        Ok(())
    }

    /// [`salvage`], of these cells.
    pub fn salvage(&self) -> Result<(), Stop> {
        salvage(&self.control, self.data.count(), |version| self.data.at(version).word(mark_of::<T>()).load(Relaxed))
    }
}

/// Makes cells that were read from a file hold the newest value that is whole in them; [`Stop::Blocked`]: none is.
/// `mark` tells the mark of a version's cell. It changes before the payload and lies behind it: a copy that reads a
/// payload in part reads another mark.
pub(crate) fn salvage(control: &Control, cells: u64, mark: impl Fn(u64) -> u64) -> Result<(), Stop> {
    let latest = version(control)?;
    // Version 0 is no value: where one was written, it is none to fall back to.
    let oldest = latest.saturating_sub(cells - 1).max(latest.min(1));
    let whole = (oldest..=latest).rev().find(|version| mark(*version) == *version).ok_or(Stop::Blocked)?;
    control.sent.latest.store(whole, Relaxed);
    Ok(())
}

impl<T: FromBytes + IntoBytes + Immutable, M: Copy> Cells<T, M> {
    pub fn new(control: View<Control<M>>, data: Words<M>, cells: u64) -> Self {
        Self { control, data: Spans::new(data, cells) }
    }

    /// The newest whole value and its version; version 0 is all zeroes, and not yet written.
    #[inline(always)]
    pub fn read(&self) -> Result<(T, u64), Unread> {
        let version = self.control.sent.latest.acquire(); // C1
        // Whatever it is, there is a cell for it.
        let cell = self.data.at(version);
        let value = cell.read_torn();
        fence(Acquire); // C2
        let mark = cell.word(mark_of::<T>()).relaxed();
        if version < POSITION_LIMIT && mark == version {
            return Ok((value.believe(), version));
        }
        // Of its own, so that the compiler may keep the first in registers.
        let mut again = value;
        let version = self.read_again(&mut again)?;
        Ok((again.believe(), version))
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

    /// Copies a cell, by `copy`, which is told its version, until what it copied is a whole value.
    #[inline(always)]
    fn read_with(&self, mut copy: impl FnMut(Span<'_, M>, u64)) -> Result<u64, Unread> {
        let latest = &self.control.sent.latest;
        let tries = (TRIED_BYTES / size_of::<T>()).clamp(3, 1 << 20) as u32;
        let mut version = latest.acquire(); // C1
        for _ in 0..tries {
            if version >= POSITION_LIMIT {
                return Err(Unread::Garbage(version));
            }
            let cell = self.data.at(version);
            copy(cell, version);
            fence(Acquire); // C2
            let mark = cell.word(mark_of::<T>()).acquire(); // C3
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
}
