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
//! | C2 | fence between the mark and the payload | fence between the copy and the mark: a copy that saw a byte of a later version sees its mark | `cell_tearing` |
//!
//! What can never happen: a reader that waits for a writer; a value that is part one version, part
//! another.

use super::{State, Stop, wait_word};
use crate::error::Fault;
use crate::layout::{Control, POSITION_LIMIT, WORD};
use crate::span::{Spans, Torn};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{fence, light_barrier};
use crate::words::{View, Words};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes that a reader copies at most before it says that it was overtaken. Each time, the writer has
/// written `cells - 1` whole values during one copy.
#[cfg(not(loom))]
const TRIED_BYTES: usize = 1 << 26;
#[cfg(loom)]
const TRIED_BYTES: usize = 3 * 24;

/// The shared cells and their private geometry.
pub(crate) struct Cells<T> {
    pub control: View<Control>,
    pub data: Spans<T>,
}

impl<T> Clone for Cells<T> {
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

/// What a reader found in the cell of what it took for the newest version.
struct Look<T> {
    value: Torn<T>,
    version: u64,
    mark: u64,
}

impl<T> Look<T> {
    /// Whether the value is all of that version.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.version < POSITION_LIMIT && self.mark == self.version
    }
}

/// The version of the newest whole value, if it is one that can be.
pub(crate) fn version(control: &Control) -> Result<u64, Stop> {
    let version = control.sent.latest.load(Acquire); // C1
    if version < POSITION_LIMIT { Ok(version) } else { Err(State::new(1, 0, 0, 0).poison(Fault::Version, version)) }
}

impl<T: FromBytes + IntoBytes + Immutable> Cells<T> {
    /// Where the mark lies in a cell, in words.
    const MARK: usize = size_of::<T>().div_ceil(WORD);

    pub fn new(control: View<Control>, data: Words, cells: u64) -> Self {
        Self { control, data: Spans::new(data, cells) }
    }

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
        cell.word(Self::MARK).store(version, Relaxed);
        fence(Release); // C2
        cell.write_torn(value);
        self.control.sent.latest.store(version, Release); // C1
        s.pos = version;
        light_barrier(fences);
        if !wait_word::awake(self.control.data_wait.load(Relaxed)) {
            wait_word::wake(&self.control.data_wait);
        }
        Ok(())
    }

    /// Makes fresh cells hold `value` as `version`.
    pub fn hold_only(&self, version: u64, value: &T) {
        let cell = self.data.at(version);
        cell.write_torn(value);
        cell.word(Self::MARK).store(version, Relaxed);
        self.control.sent.latest.store(version, Relaxed);
    }

    /// Makes cells that were read from a file hold the newest value that is whole in them. A cell's mark changes before
    /// its payload and lies behind it: a copy that reads a payload in part reads another mark.
    pub fn salvage(&self) -> Result<(), Stop> {
        let latest = version(&self.control)?;
        let is_whole = |version: &u64| self.data.at(*version).word(Self::MARK).load(Relaxed) == *version;
        let oldest = latest.saturating_sub(self.data.count() - 1);
        let whole = (oldest..=latest).rev().find(is_whole).ok_or(Stop::Blocked)?;
        self.control.sent.latest.store(whole, Relaxed);
        Ok(())
    }

    /// The newest whole value and its version; version 0 is all zeroes, and not yet written.
    #[inline(always)]
    pub fn read(&self) -> Result<(T, u64), Unread> {
        let mut look = self.look();
        if !look.is_whole() {
            // Of its own, so that the compiler may keep the first in registers.
            let mut again = look;
            self.look_again(&mut again)?;
            look = again;
        }
        Ok((look.value.believe(), look.version))
    }

    #[inline(always)]
    fn look(&self) -> Look<T> {
        let version = self.control.sent.latest.load(Acquire); // C1
        // Whatever it is, there is a cell for it.
        let cell = self.data.at(version);
        let value = cell.read_torn();
        fence(Acquire); // C2
        let mark = cell.word(Self::MARK).load(Relaxed);
        Look { value, version, mark }
    }

    /// Looks until there is a whole value.
    #[cold]
    #[inline(never)]
    fn look_again(&self, look: &mut Look<T>) -> Result<(), Unread> {
        let tries = (TRIED_BYTES / size_of::<T>()).clamp(3, 1 << 20) as u32;
        for _ in 1..tries {
            if look.version >= POSITION_LIMIT {
                return Err(Unread::Garbage(look.version));
            }
            if look.mark < look.version {
                return Err(Unread::Garbage(look.mark));
            }
            core::hint::spin_loop();
            *look = self.look();
            if look.is_whole() {
                return Ok(());
            }
        }
        Err(Unread::Overtaken(tries))
    }
}
