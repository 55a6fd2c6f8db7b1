//! The ring of records of any length, one sender and one receiver.
//!
//! A record is a header word and a payload padded to whole words. Positions count words. The header
//! holds the length, and the low 33 bits of its own position as a tag: 0 means not published.
//!
//! The word where the *next* header will be is zeroed before a record is published. Without that, the
//! receiver would find there whatever payload lay at that place a lap ago, and a payload can be made
//! to look like a header. The sender therefore keeps one free word beyond every record.
//!
//! The data area is mapped twice in a row, so a record that crosses the end is contiguous and the
//! protocol knows no padding.
//!
//! How many records there are, [`super::counts`] says.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | B1 | [`RecordRing::publish`] stores the header | [`RecordRing::message`] and its like load it: the payload is whole, the next header zero | `records_publication` |
//! | B2 | [`RecordRing::consume`] stores the head | `look_for_space` loads it: the receiver has done with those words | `records_reuse` |
//!
//! What can never happen: a header that the sender did not write as one; a length that was checked and is then read again
//! for the same use (a batch is looked at and later consumed: each is a use, and the second stays within the first).

use super::tally::{WALK, tally_after};
use super::{Ends, State, Stop, death_notice, spin};
use crate::error::Fault;
use crate::layout::{FIRST, WORD};
use crate::memory::WordArea;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::Writable;

/// Payloads up to this many bytes are written from their end to their front (see [`RecordRing::write`]).
const SHORT: usize = 128;

/// Bits of a header that hold the record's length, plus one.
const LEN_BITS: u32 = 30;
const LEN: u64 = (1 << LEN_BITS) - 1;

/// The shared ring, and how much it takes.
#[derive(Clone)]
pub(crate) struct RecordRing<M = Writable> {
    pub ends: Ends<M>,
    /// The data area and its mirror.
    pub area: WordArea<M>,
    /// Words, the mirror not counted.
    pub capacity: u64,
    /// The longest record it takes, in bytes.
    pub max_len: usize,
}

/// Words a record takes.
#[inline(always)]
pub(super) fn words_of(len: usize) -> u64 {
    1 + (len + WORD - 1) as u64 / WORD as u64
}

/// What the header of a record at `pos` holds besides the length.
#[inline(always)]
pub(super) fn tag_of(pos: u64) -> u64 {
    pos << LEN_BITS & (u64::MAX >> 1)
}

#[inline(always)]
fn header_of(pos: u64, len: usize) -> u64 {
    tag_of(pos) | (len as u64 + 1)
}

/// What lies in a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// The position after the last published record.
    pub end: u64,
    pub records: u64,
    /// What stands there, if it can be neither a header nor the zero that says that there is none.
    pub stopped_by: Option<u64>,
}

impl<M: Copy> RecordRing<M> {
    /// The longest record needs its header and a zero word behind it, and has at most 1 GiB - 2 bytes.
    pub fn new(ends: Ends<M>, area: WordArea<M>, capacity: u64) -> Self {
        let max_len = (capacity.saturating_sub(2) * WORD as u64).min(LEN - 1) as usize;
        Self { ends, area, capacity, max_len }
    }

    pub(super) fn offset_of(&self, pos: u64) -> u64 {
        (pos - FIRST) % self.capacity
    }

    /// The length in a header, without its death notice, of the record at `pos`. `None` if it cannot be one.
    #[inline(always)]
    fn len_in(&self, header: u64, pos: u64) -> Option<usize> {
        // 0, another position's tag and what is no length all become too long.
        let len = (header ^ tag_of(pos)).wrapping_sub(1);
        if len <= self.max_len as u64 { Some(len as usize) } else { None }
    }

    /// [`len_in`](Self::len_in), where `Ok(None)` is a record that is not published.
    pub(super) fn decode(&self, header: u64, pos: u64) -> Result<Option<usize>, Fault> {
        if header == 0 { Ok(None) } else { self.len_in(header, pos).map(Some).ok_or(Fault::RecordHeader) }
    }

    /// The length of the published record at `pos`, if there is one.
    pub(super) fn record_at(&self, pos: u64) -> Option<usize> {
        let header = self.area.word(self.offset_of(pos) as usize).acquire(); // B1
        self.len_in(death_notice::without(header, tag_of(pos)), pos)
    }

    /// Walks the published records that begin within `words` words from `from` on, where one begins: looks at so many
    /// headers and one more, at most. In a ring in use, the walk may come to one that was overwritten.
    pub fn walk(&self, from: u64, words: u64) -> Walk {
        let mut walk = Walk { end: from, records: 0, stopped_by: None };
        loop {
            let header = self.area.word(self.offset_of(walk.end) as usize).acquire(); // B1; B4 acquire
            match self.decode(death_notice::without(header, tag_of(walk.end)), walk.end) {
                Ok(None) => return walk,
                Ok(Some(len)) if walk.end - from < words => {
                    walk.end += words_of(len);
                    walk.records += 1;
                }
                _ => return Walk { stopped_by: Some(header), ..walk },
            }
        }
    }
}

impl RecordRing {
    #[inline(always)]
    fn advance(&self, s: &mut State, words: u64) {
        // Each word is changed in place: by way of `after`, a message takes six more instructions.
        s.pos += words;
        s.offset += words;
        if s.offset >= self.capacity {
            s.offset -= self.capacity;
        }
    }

    /// Position and offset behind a record of `len` bytes.
    pub fn after(&self, pos: u64, offset: u64, len: usize) -> (u64, u64) {
        let next = offset + words_of(len);
        (pos + words_of(len), if next >= self.capacity { next - self.capacity } else { next })
    }

    /// The byte at which the payload of the next record begins.
    #[inline(always)]
    pub fn payload(&self, s: &State) -> usize {
        self.payload_at(s.offset)
    }

    /// The byte at which the payload of the record at `offset` begins.
    #[inline(always)]
    pub fn payload_at(&self, offset: u64) -> usize {
        (offset as usize + 1) * WORD
    }

    /// Whether there is known to be space for a record of `len` bytes: its payload may then be written.
    #[inline(always)]
    pub fn has_space(&self, s: &State, len: usize) -> bool {
        len <= self.max_len && s.pos + words_of(len) < s.limit
    }

    /// Makes sure there is space for a record of `len` bytes, which is at most [`RecordRing::max_len`].
    #[cold]
    #[inline(never)]
    pub fn look_for_space(&self, s: &mut State, len: usize) -> Result<(), Stop> {
        // The record, and the word behind it that stays free.
        let needed = words_of(len) + 1;
        self.ends.look_for_space(s, self.capacity - 1, needed, |s, head| {
            self.note(s);
            // A record may be longer than the way between two checkpoints; then it is all that lies there.
            (head + self.capacity).min(s.noted + WALK.max(needed))
        })
    }

    /// Waits up to `times` checks for the receiver to consume enough for a record of `len` bytes.
    #[inline(always)]
    pub fn spin_for_space(&self, s: &State, len: usize, times: u32) {
        let (head, end) = (&self.ends.lane.receiver_line.head, s.pos + words_of(len));
        spin(times, || head.load(Relaxed).wrapping_add(self.capacity) > end);
    }

    /// Writes the payload of the record that [`RecordRing::look_for_space`] made room for.
    ///
    /// A short one is written from its end to its front, with the header's cache line last: the receiver is likely
    /// to be looking at that line, and so the sender needs it only once.
    #[inline(always)]
    pub fn write(&self, s: &State, payload: &[u8]) {
        if payload.len() <= SHORT {
            self.area.write_down(self.payload(s), payload);
        } else {
            self.area.write(self.payload(s), payload);
        }
    }

    /// Publishes the record that was reserved and written.
    #[inline(always)]
    pub fn publish(&self, s: &mut State, len: usize) {
        // All is read before it is stored, which the compiler takes to change any memory.
        let words = words_of(len);
        let header = header_of(s.pos, len) ^ s.notice; // notice in a record
        let record = self.area.slice(s.offset as usize, words as usize + 1);
        // The next header.
        record.word(words as usize).store(0, Relaxed); // next header zeroed
        record.word(0).store(header, Release); // B1 release
        self.advance(s, words);
        s.count += 1;
    }

    /// The length of the next record, if it is there with no news of a death before it: its payload may then be read.
    #[inline(always)]
    pub fn message(&self, s: &State) -> Option<usize> {
        self.message_at(s.pos, s.offset)
    }

    /// The length of the record at `pos`, `offset` words into the data, if it is there with no news of a death before it.
    #[inline(always)]
    pub fn message_at(&self, pos: u64, offset: u64) -> Option<usize> {
        let header = self.area.word(offset as usize).load(Acquire); // B1 acquire
        // A forked child's state is all zero; a poisoned one says position 0.
        self.len_in(header, pos).filter(|_| pos != 0)
    }

    /// The length of the next record, if there is no news to be reported before it.
    #[cold]
    #[inline(never)]
    pub fn look_for_message(&self, s: &mut State) -> Result<usize, Stop> {
        let (pos, offset) = (s.pos, s.offset as usize);
        let load = || self.area.word(offset).load(Acquire); // B1 acquire
        self.ends.look_for_message(s, load, |header| self.decode(death_notice::without(header, tag_of(pos)), pos))
    }

    /// Waits up to `times` checks for the next record.
    #[inline(always)]
    pub fn spin_for_message(&self, s: &State, times: u32) {
        spin(times, || self.area.word(s.offset as usize).load(Relaxed) != 0);
    }

    /// Gives the words of the record that is there back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State, len: usize) {
        let (words, line) = (words_of(len), &self.ends.lane.receiver_line);
        self.advance(s, words);
        let (pos, tally) = (s.pos, tally_after(s.count, words));
        s.count = tally;
        line.tally.store(tally, Relaxed); // tally before head
        line.head.store(pos, Release); // B2 release; tally before head
    }

    /// Whether there is no record, as the receiver sees it.
    pub fn is_empty(&self, s: &State) -> bool {
        s.pos < FIRST || self.record_at(s.pos).is_none()
    }
}
