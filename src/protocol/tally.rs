//! A count of records, and the word in which a receiver keeps one.
//!
//! The receiver stores a *tally* with the head. It is one word that holds two numbers: the position up to which it consumed,
//! and how many records that were.
//!
//! ```text
//!   tally = (position - FIRST) + records << 28        wrapping; a record has fewer than 2^28 words
//! ```
//!
//! It is stored before the head. A process that has loaded the head subtracts it from the tally. The low bits then say
//! how many words the tally counts and the head does not: none, or those of one record, if the receiver ended between the
//! two stores.

use super::State;
use crate::layout::FIRST;

/// A sender makes its next checkpoint after so many words at most, unless one record is longer.
#[cfg(not(loom))]
pub(crate) const WALK: u64 = 1 << 16;
#[cfg(loom)]
pub(crate) const WALK: u64 = 4;

/// The bit of a tally from which on it counts records.
const SHIFT: u32 = 28;
const WORDS: u64 = (1 << SHIFT) - 1;
/// A tally counts records modulo a power of two, of which this has all bits: more than a ring can hold.
pub(super) const RECORDS: u64 = u64::MAX >> SHIFT;

pub(crate) const FIRST_OF_ALL: Count = Count { position: FIRST, records: 0 };

/// A position and how many records lie before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub position: u64,
    pub records: u64,
}

/// A tally after one more record, of so many words.
#[inline(always)]
pub(super) fn tally_after(tally: u64, words: u64) -> u64 {
    tally.wrapping_add(words + (1 << SHIFT))
}

impl Count {
    /// The tally of a receiver that consumed so much.
    pub(super) fn tally(self) -> u64 {
        (self.position - FIRST).wrapping_add(self.records << SHIFT)
    }

    /// What a receiver consumed whose tally this is, and whose head is or was `head`.
    pub(super) fn of_tally(tally: u64, head: u64) -> Self {
        let rest = tally.wrapping_sub(head - FIRST);
        Self { position: head + (rest & WORDS), records: rest >> SHIFT }
    }

    /// What a sender has sent.
    pub fn sent(s: &State) -> Self {
        Self { position: s.pos, records: s.count }
    }

    /// What a receiver has received; the records are counted as in a tally.
    pub fn received(s: &State) -> Self {
        Self::of_tally(s.count, s.pos)
    }

    /// How many records lie between an earlier count and this one: no more than words.
    pub fn since(self, earlier: Count) -> u64 {
        let records = self.records.wrapping_sub(earlier.records) & RECORDS;
        records.min(self.position.saturating_sub(earlier.position))
    }

    /// The same, counted in full from an earlier count that is.
    pub(super) fn in_full(self, earlier: Count) -> Self {
        Self { position: self.position, records: earlier.records + self.since(earlier) }
    }
}
