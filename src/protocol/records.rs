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
//! | B1 | [`RecordRing::publish`] stores the header | [`RecordRing::peek`] loads it: the payload is whole, the next header zero | `records_publication` |
//! | B2 | [`RecordRing::consume`] stores the head | `look_for_space` loads it: the receiver has done with those words | `records_reuse` |
//!
//! What can never happen: a header that the sender did not write as one; a length that was checked
//! and is then read again.

use super::counts::{WALK, tally_after};
use super::seat::End;
use super::{State, Stop, glance, mark, seat};
use crate::error::Fault;
use crate::layout::{Control, FIRST, RECEIVER, SENDER, WORD};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::Writable;
use crate::words::{View, Words};

/// Payloads up to this many bytes are written from their end to their front (see [`RecordRing::write`]).
const SHORT: usize = 128;

/// Bits of a header that hold the record's length, plus one.
const LEN_BITS: u32 = 30;
const LEN: u64 = (1 << LEN_BITS) - 1;

/// The shared ring and its private geometry.
#[derive(Clone)]
pub(crate) struct RecordRing<M = Writable> {
    pub control: View<Control<M>>,
    /// The data area and its mirror.
    pub data: Words<M>,
    /// Words, the mirror not counted.
    pub capacity: u64,
    /// The longest record it takes, in bytes.
    pub most: usize,
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
    pub fn new(control: View<Control<M>>, data: Words<M>, capacity: u64) -> Self {
        Self { control, data, capacity, most: Self::max_len(capacity) }
    }

    /// The longest record a ring of `capacity` words takes, in bytes: it needs its header, and a zero
    /// word behind it. At most 1 GiB - 2.
    pub fn max_len(capacity: u64) -> usize {
        (capacity.saturating_sub(2) * WORD as u64).min(LEN - 1) as usize
    }

    pub(super) fn offset_of(&self, pos: u64) -> u64 {
        (pos - FIRST) % self.capacity
    }

    /// The length in a header, without its mark, of the record at `pos`: `None` if it is none such.
    #[inline(always)]
    fn len_in(&self, header: u64, pos: u64) -> Option<usize> {
        // 0, another position's tag and what is no length all become too long.
        let len = (header ^ tag_of(pos)).wrapping_sub(1);
        if len <= self.most as u64 { Some(len as usize) } else { None }
    }

    /// [`len_in`](Self::len_in), where `Ok(None)` is a record that is not published.
    pub(super) fn decode(&self, header: u64, pos: u64) -> Result<Option<usize>, Fault> {
        if header == 0 { Ok(None) } else { self.len_in(header, pos).map(Some).ok_or(Fault::RecordHeader) }
    }

    /// The length of the published record at `pos`, if there is one.
    pub(super) fn record_at(&self, pos: u64) -> Option<usize> {
        let header = self.data.word(self.offset_of(pos) as usize).acquire(); // B1
        self.len_in(mark::unmarked(header, tag_of(pos)), pos)
    }

    /// Walks the published records that begin within `words` words from `from` on, where one begins: looks at so many
    /// headers and one more, at most. In a ring in use, the walk may come to one that was overwritten.
    pub fn walk(&self, from: u64, words: u64) -> Walk {
        let mut walk = Walk { end: from, records: 0, stopped_by: None };
        loop {
            let header = self.data.word(self.offset_of(walk.end) as usize).acquire(); // B1, B4
            match self.decode(mark::unmarked(header, tag_of(walk.end)), walk.end) {
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
    fn step(&self, s: &mut State, words: u64) {
        s.pos += words;
        s.offset += words;
        if s.offset >= self.capacity {
            s.offset -= self.capacity;
        }
    }

    /// The byte at which the payload of the next record begins.
    #[inline(always)]
    pub fn payload(&self, s: &State) -> usize {
        (s.offset as usize + 1) * WORD
    }

    /// Whether there is known to be space for a record of `len` bytes: its payload may then be written.
    #[inline(always)]
    pub fn has_space(&self, s: &State, len: usize) -> bool {
        len <= self.most && s.pos + words_of(len) < s.limit
    }

    /// Makes sure there is space for a record of `len` bytes, which is at most [`RecordRing::most`].
    #[inline(always)]
    pub fn reserve(&self, s: &mut State, len: usize) -> Result<(), Stop> {
        debug_assert!(len <= self.most);
        if self.has_space(s, len) { Ok(()) } else { self.look_for_space(s, len) }
    }

    #[cold]
    #[inline(never)]
    fn look_for_space(&self, s: &mut State, len: usize) -> Result<(), Stop> {
        s.check()?;
        let receiver = &self.control.seats[RECEIVER];
        let end = seat::ended_since(receiver, s.baseline);
        if let Some(end) = end
            && seat::left_since(receiver, s.baseline).is_some()
        {
            return Err(Stop::Ended(end));
        }
        let head = self.control.consumed.head.load(Acquire); // B2
        if head < FIRST || head > s.pos || s.pos - head >= self.capacity {
            return Err(s.poison(Fault::Head, head));
        }
        self.note(s);
        // A record may be longer than the way between two checkpoints; then it is all that lies there.
        let limit = (head + self.capacity).min(s.noted + WALK.max(words_of(len) + 1));
        s.limit = limit;
        if s.mark != 0 {
            s.mark_only_first();
        }
        match end {
            _ if s.pos + words_of(len) < limit => Ok(()),
            None => Err(Stop::Blocked),
            Some(died) => Err(Stop::Ended(died)),
        }
    }

    /// [`RecordRing::reserve`] after up to `glances` at the head alone.
    #[inline(always)]
    pub fn watch_for_space(&self, s: &mut State, len: usize, glances: u32) -> Result<(), Stop> {
        let end = s.pos + words_of(len);
        glance(glances, || self.control.consumed.head.load(Relaxed).wrapping_add(self.capacity) > end);
        self.reserve(s, len)
    }

    /// Writes the payload of the record that [`RecordRing::reserve`] made room for.
    ///
    /// A short one is written from its end to its front, with the header's cache line last: the receiver is likely
    /// to be looking at that line, and so the sender needs it only once.
    #[inline(always)]
    pub fn write(&self, s: &State, payload: &[u8]) {
        if payload.len() <= SHORT {
            self.data.write_down(self.payload(s), payload);
        } else {
            self.data.write(self.payload(s), payload);
        }
    }

    /// Publishes the record that was reserved and written.
    #[inline(always)]
    pub fn publish(&self, s: &mut State, len: usize) {
        // All is read before it is stored, which the compiler takes to change any memory.
        let words = words_of(len);
        let header = header_of(s.pos, len) ^ s.mark;
        let record = self.data.span(s.offset as usize, words as usize + 1);
        // The next header.
        record.word(words as usize).store(0, Relaxed);
        record.word(0).store(header, Release); // B1
        self.step(s, words);
        s.count += 1;
    }

    /// The length of the next record, if it is there with no news of a death before it: its payload may then be read.
    #[inline(always)]
    pub fn message(&self, s: &State) -> Option<usize> {
        let header = self.data.word(s.offset as usize).load(Acquire); // B1
        // A forked child's state is all zero; a poisoned one says position 0.
        self.len_in(header, s.pos).filter(|_| s.pos != 0)
    }

    /// The length of the next record.
    #[inline(always)]
    pub fn peek(&self, s: &mut State) -> Result<usize, Stop> {
        self.message(s).map_or_else(|| self.look_for_message(s), Ok)
    }

    #[cold]
    #[inline(never)]
    fn look_for_message(&self, s: &mut State) -> Result<usize, Stop> {
        s.check()?;
        let end = seat::ended_since(&self.control.seats[SENDER], s.baseline);
        // Loaded after the seat: what a sender published before its end is seen here.
        let header = self.data.word(s.offset as usize).load(Acquire); // B1
        match self.decode(mark::unmarked(header, tag_of(s.pos)), s.pos) {
            Ok(Some(len)) => match mark::death(&self.control, header, s.baseline) {
                Some(generation) => Err(Stop::Ended(End::Died(generation))),
                None => Ok(len),
            },
            Ok(None) => Err(end.map_or(Stop::Blocked, Stop::Ended)),
            Err(fault) => Err(s.poison(fault, header)),
        }
    }

    /// [`RecordRing::peek`] after up to `glances` at the header alone.
    #[inline(always)]
    pub fn watch_for_message(&self, s: &mut State, glances: u32) -> Result<usize, Stop> {
        glance(glances, || self.data.word(s.offset as usize).load(Relaxed) != 0);
        self.peek(s)
    }

    /// Gives the words of the record that [`RecordRing::peek`] found back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State, len: usize) {
        let (words, consumed) = (words_of(len), &self.control.consumed);
        self.step(s, words);
        let (pos, tally) = (s.pos, tally_after(s.count, words));
        s.count = tally;
        consumed.tally.store(tally, Relaxed);
        consumed.head.store(pos, Release); // B2
    }

    /// Whether every record was consumed, as the sender sees it.
    pub fn is_drained(&self, s: &State) -> bool {
        self.control.consumed.head.load(Relaxed) >= s.pos
    }

    /// Whether there is no record, as the receiver sees it.
    pub fn is_empty(&self, s: &State) -> bool {
        s.pos < FIRST || self.record_at(s.pos).is_none()
    }
}
