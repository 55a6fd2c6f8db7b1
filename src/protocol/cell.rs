//! The latest value: one writer, any number of readers that write nothing.
//!
//! The cells form a ring. Version `v` is written into cell `v % cells`, and only then made the latest;
//! so the newest whole value is never the one being written, and a writer that dies in the middle of a
//! write leaves it untouched. A reader is torn only if the writer comes all the way round while it
//! copies; it then finds another mark and takes the value that is newest by now.
//!
//! The idea of the mark is the seqlock of the Linux kernel (`Documentation/locking/seqlock.rst`), its
//! orderings those of Boehm, "Can seqlocks get along with programming language memory models?" (2012).
//!
//! # Ordering (fences, because payload words are relaxed)
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | C1 | [`Cells::write`] stores `latest` | [`Cells::read`] loads it: that version's payload is whole | `cell_publication` |
//! | C2 | fence between the odd mark and the payload | fence between the copy and the mark: a copy that saw a byte of a later version sees its mark | `cell_tearing` |
//!
//! What can never happen: a reader that waits for a writer; a value that is part one version, part
//! another.

use super::{State, Stop, wait_word};
use crate::error::Fault;
use crate::layout::{Control, POSITION_LIMIT, WORD};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{fence, light_barrier};
use crate::words::{Torn, View, Words};
use zerocopy::FromBytes;

/// Bytes that a reader copies at most before it says that it was overtaken. Each time, the writer has
/// written `cells - 1` whole values during one copy.
#[cfg(not(loom))]
const TRIED_BYTES: usize = 1 << 26;
#[cfg(loom)]
const TRIED_BYTES: usize = 3 * 24;

/// The shared cells and their private geometry.
#[derive(Clone)]
pub(crate) struct Cells {
    pub control: View<Control>,
    pub data: Words,
    /// A power of two.
    pub cells: u64,
    /// Words of a cell.
    pub stride: usize,
    /// Words before the payload; the first is the mark.
    pub payload: usize,
}

/// Why a reader got no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Overtaken so many times in a row.
    Overtaken(u32),
    /// `latest`, or the mark of the cell it names, holds what cannot be.
    Garbage(u64),
}

impl Cells {
    #[inline(always)]
    fn offset_of(&self, version: u64) -> usize {
        (version & (self.cells - 1)) as usize * self.stride
    }

    /// The state of a writer that just took its seat: it goes on from the newest whole value.
    pub fn writer_state(&self, holder: u64) -> Result<State, Stop> {
        let version = self.version()?;
        Ok(State::new(holder, version, 0, 0))
    }

    /// The version of the newest whole value, if it is one that can be.
    pub fn version(&self) -> Result<u64, Stop> {
        let version = self.control.latest.load(Acquire); // C1
        if version < POSITION_LIMIT { Ok(version) } else { Err(State::new(1, 0, 0, 0).poison(Fault::Version, version)) }
    }

    /// Writes the next version.
    #[inline(always)]
    pub fn write(&self, s: &mut State, value: &[u8], fences: bool) -> Result<(), Stop> {
        s.check()?;
        let version = s.pos + 1;
        let offset = self.offset_of(version);
        let mark = self.data.word(offset);
        mark.store(2 * version - 1, Relaxed);
        fence(Release); // C2
        self.data.write_torn((offset + self.payload) * WORD, value);
        mark.store(2 * version, Relaxed);
        self.control.latest.store(version, Release); // C1
        s.pos = version;
        light_barrier(fences);
        if !wait_word::awake(self.control.data_wait.load(Relaxed)) {
            wait_word::wake(&self.control.data_wait);
        }
        Ok(())
    }

    /// Makes fresh cells hold `value` as `version`.
    pub fn hold_only(&self, version: u64, value: &[u8]) {
        let offset = self.offset_of(version);
        self.data.write_torn((offset + self.payload) * WORD, value);
        self.data.word(offset).store(2 * version, Relaxed);
        self.control.latest.store(version, Relaxed);
    }

    /// The newest whole value and its version; version 0 is all zeroes, and not yet written.
    #[inline(always)]
    pub fn read<T: FromBytes>(&self) -> Result<(T, u64), Unread> {
        match self.read_once() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => self.read_again(),
            Err(garbage) => Err(garbage),
        }
    }

    /// `None`: overtaken.
    #[inline(always)]
    fn read_once<T: FromBytes>(&self) -> Result<Option<(T, u64)>, Unread> {
        let version = self.control.latest.load(Acquire); // C1
        if version >= POSITION_LIMIT {
            return Err(Unread::Garbage(version));
        }
        let offset = self.offset_of(version);
        let value: Torn<T> = self.data.read_value_torn((offset + self.payload) * WORD);
        fence(Acquire); // C2
        let mark = self.data.word(offset).load(Relaxed);
        if mark == 2 * version {
            Ok(Some((value.believe(), version)))
        } else if mark > 2 * version {
            Ok(None)
        } else {
            Err(Unread::Garbage(mark))
        }
    }

    #[cold]
    fn read_again<T: FromBytes>(&self) -> Result<(T, u64), Unread> {
        let tries = (TRIED_BYTES / (self.stride * WORD)).clamp(3, 1 << 20) as u32;
        for _ in 1..tries {
            if let Some(found) = self.read_once()? {
                return Ok(found);
            }
            core::hint::spin_loop();
        }
        Err(Unread::Overtaken(tries))
    }
}
