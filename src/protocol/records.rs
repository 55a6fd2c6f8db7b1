//! The ring of records of any length, one sender and one receiver.
//!
//! A record is a header word and a payload padded to whole words. Positions count words. The header
//! holds the length, and the low half of its own position as a tag: 0 means not published.
//!
//! The word where the *next* header will be is zeroed before a record is published. Without that, the
//! receiver would find there whatever payload lay at that place a lap ago, and a payload can be made
//! to look like a header. The sender therefore keeps one free word beyond every record.
//!
//! The data area is mapped twice in a row, so a record that crosses the end is contiguous and the
//! protocol knows no padding.
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

use super::{State, Stop, glance, seat, wait_word};
use crate::error::Fault;
use crate::layout::{Control, FIRST, POSITION_LIMIT, RECEIVER, SENDER, WORD};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::light_barrier;
use crate::words::{View, Words};

/// Payloads up to this many bytes are written with their first cache line last (see
/// [`RecordRing::write`]).
const SHORT: usize = 128;

/// The shared ring and its private geometry.
#[derive(Clone)]
pub(crate) struct RecordRing {
    pub control: View<Control>,
    /// The data area and its mirror.
    pub data: Words,
    /// Words, the mirror not counted.
    pub capacity: u64,
}

/// Words a record takes.
#[inline(always)]
fn words_of(len: usize) -> u64 {
    1 + len.div_ceil(WORD) as u64
}

#[inline(always)]
fn header_of(pos: u64, len: usize) -> u64 {
    pos << 32 | (len as u64 + 1)
}

impl RecordRing {
    /// The longest record a ring of `capacity` words takes, in bytes: it needs its header, and a zero
    /// word behind it. At most 4 GiB - 2.
    #[inline(always)]
    pub fn max_len(capacity: u64) -> usize {
        (capacity.saturating_sub(2) * WORD as u64).min(u64::from(u32::MAX) - 1) as usize
    }

    fn offset_of(&self, pos: u64) -> u64 {
        (pos - FIRST) % self.capacity
    }

    #[inline(always)]
    fn step(&self, s: &mut State, words: u64) {
        s.pos += words;
        s.offset += words;
        if s.offset >= self.capacity {
            s.offset -= self.capacity;
        }
    }

    /// The length in a header of the record at `pos`: `None` if it is not published.
    #[inline(always)]
    fn decode(&self, header: u64, pos: u64) -> Result<Option<usize>, Fault> {
        if header == 0 {
            return Ok(None);
        }
        let len = (header as u32).wrapping_sub(1) as usize;
        if header >> 32 == pos & u64::from(u32::MAX) && len <= Self::max_len(self.capacity) {
            Ok(Some(len))
        } else {
            Err(Fault::RecordHeader)
        }
    }

    /// The state of a sender that just took its seat: it goes on where the last committed record ends.
    pub fn sender_state(&self, holder: u64, receiver_generation: u64) -> Result<State, Stop> {
        let mut s = State::new(holder, 0, 0, receiver_generation);
        let head = self.checked_head(&mut s)?;
        let (pos, _) = self.end(head).map_err(|found| s.poison(Fault::RecordHeader, found))?;
        Ok(State::new(holder, pos, self.offset_of(pos), receiver_generation))
    }

    /// The state of a receiver that just took its seat: it goes on at the first unconsumed record.
    pub fn receiver_state(&self, holder: u64) -> Result<State, Stop> {
        let told = self.control.consumed.told.load(Relaxed);
        let mut s = State::new(holder, 0, 0, told);
        let pos = self.checked_head(&mut s)?;
        Ok(State::new(holder, pos, self.offset_of(pos), told))
    }

    /// The position of the first record that was not consumed, if the region says one that can be.
    pub fn head(&self) -> Result<u64, Stop> {
        self.checked_head(&mut State::new(0, 0, 0, 0))
    }

    fn checked_head(&self, s: &mut State) -> Result<u64, Stop> {
        let head = self.control.consumed.head.load(Acquire);
        if (FIRST..POSITION_LIMIT).contains(&head) { Ok(head) } else { Err(s.poison(Fault::Head, head)) }
    }

    /// The position after the last published record from `head` on, and the number of records: walks
    /// them. `Err`: a header that cannot be.
    pub fn end(&self, head: u64) -> Result<(u64, u64), u64> {
        let (mut pos, mut records) = (head, 0);
        while pos - head < self.capacity {
            let header = self.data.word(self.offset_of(pos) as usize).load(Acquire); // B1
            match self.decode(header, pos) {
                Ok(None) => return Ok((pos, records)),
                Ok(Some(len)) => (pos, records) = (pos + words_of(len), records + 1),
                Err(_) => return Err(header),
            }
        }
        Err(pos)
    }

    /// How far the records from `head` on reach while the ring is in use, so that the walk may come to one
    /// that was overwritten.
    pub fn reach(&self, head: u64) -> u64 {
        let mut pos = head;
        while pos - head < self.capacity {
            let header = self.data.word(self.offset_of(pos) as usize).load(Acquire); // B1
            let Ok(Some(len)) = self.decode(header, pos) else { break };
            pos += words_of(len);
        }
        pos
    }

    /// Makes a copy of a ring, taken while it was in use, one that holds the records from `head` to `end`:
    /// those that lay in it all the while. False: `end` is not where a record ends.
    pub fn hold_only(&self, head: u64, end: u64) -> bool {
        self.data.word(self.offset_of(end) as usize).store(0, Relaxed);
        self.control.consumed.head.store(head, Relaxed);
        self.end(head).is_ok_and(|(found, _)| found == end)
    }

    /// Makes sure a record of `len` bytes fits; its payload may then be written at the returned byte.
    /// `len` is at most [`RecordRing::max_len`].
    #[inline(always)]
    pub fn reserve(&self, s: &mut State, len: usize) -> Result<usize, Stop> {
        debug_assert!(len <= Self::max_len(self.capacity));
        let end = s.pos + words_of(len) + 1;
        if end > s.limit {
            self.look_for_space(s, len)?;
        }
        Ok((s.offset as usize + 1) * WORD)
    }

    #[cold]
    #[inline(never)]
    fn look_for_space(&self, s: &mut State, len: usize) -> Result<(), Stop> {
        s.check()?;
        if seat::left_since(&self.control.seats[RECEIVER], s.baseline).is_some() {
            return Err(Stop::Closed);
        }
        let head = self.control.consumed.head.load(Acquire); // B2
        if head < FIRST || head > s.pos || s.pos - head >= self.capacity {
            return Err(s.poison(Fault::Head, head));
        }
        s.limit = head + self.capacity;
        if s.pos + words_of(len) < s.limit { Ok(()) } else { Err(Stop::Blocked) }
    }

    /// Whether [`RecordRing::reserve`] is no longer blocked, asked after up to `glances` at the head alone.
    #[inline(always)]
    pub fn watch_for_space(&self, s: &mut State, len: usize, glances: u32) -> bool {
        let end = s.pos + words_of(len);
        glance(glances, || self.control.consumed.head.load(Relaxed).wrapping_add(self.capacity) > end);
        self.reserve(s, len) != Err(Stop::Blocked)
    }

    /// Writes the payload of the record that [`RecordRing::reserve`] made room for.
    ///
    /// A short one is written with the header's cache line last: the receiver is likely to be looking
    /// at that line, and so the sender needs it only once.
    #[inline(always)]
    pub fn write(&self, s: &State, payload: &[u8]) {
        let at = (s.offset as usize + 1) * WORD;
        let first_line = at.next_multiple_of(64) - at;
        if payload.len() <= SHORT && first_line < payload.len() {
            self.data.write(at + first_line, &payload[first_line..]);
            self.data.write(at, &payload[..first_line]);
        } else {
            self.data.write(at, payload);
        }
    }

    /// Publishes the record that was reserved and written.
    #[inline(always)]
    pub fn publish(&self, s: &mut State, len: usize) {
        self.zero_next(s, len);
        self.data.word(s.offset as usize).store(header_of(s.pos, len), Release); // B1
        self.step(s, words_of(len));
    }

    #[inline(always)]
    fn zero_next(&self, s: &State, len: usize) {
        self.data.word((s.offset + words_of(len)) as usize).store(0, Relaxed);
    }

    /// After one or more publications: sees to a receiver that is not awake.
    #[inline(always)]
    pub fn after_publish(&self, s: &mut State, fences: bool) {
        light_barrier(fences);
        if !wait_word::awake(self.control.data_wait.load(Relaxed)) {
            self.receiver_not_awake(s);
        }
    }

    /// Wakes it if it sleeps. If it is gone, the next message must look who sits there.
    #[cold]
    fn receiver_not_awake(&self, s: &mut State) {
        wait_word::wake(&self.control.data_wait);
        s.limit = s.pos;
    }

    /// Finds the next record: the byte its payload begins at, and its length.
    #[inline(always)]
    pub fn peek(&self, s: &mut State) -> Result<(usize, usize), Stop> {
        let header = self.data.word(s.offset as usize).load(Acquire); // B1
        // A forked child's state is all zero; a poisoned one says position 0.
        if header == 0 || s.pos == 0 {
            return self.look_for_message(s);
        }
        self.found(s, header)
    }

    #[inline(always)]
    fn found(&self, s: &mut State, header: u64) -> Result<(usize, usize), Stop> {
        match self.decode(header, s.pos) {
            Ok(Some(len)) => Ok(((s.offset as usize + 1) * WORD, len)),
            Ok(None) => Err(Stop::Blocked),
            Err(fault) => Err(s.poison(fault, header)),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_for_message(&self, s: &mut State) -> Result<(usize, usize), Stop> {
        s.check()?;
        let left = seat::left_since(&self.control.seats[SENDER], s.baseline);
        // Loaded after the seat: what a sender published before it left is seen here.
        let header = self.data.word(s.offset as usize).load(Acquire); // B1
        match (self.found(s, header), left) {
            (Err(Stop::Blocked), Some(generation)) => {
                self.control.consumed.told.store(generation, Relaxed);
                Err(Stop::Closed)
            }
            (result, _) => result,
        }
    }

    /// Whether [`RecordRing::peek`] is no longer blocked, asked after up to `glances` at the header alone.
    #[inline(always)]
    pub fn watch_for_message(&self, s: &mut State, glances: u32) -> bool {
        glance(glances, || self.data.word(s.offset as usize).load(Relaxed) != 0);
        self.peek(s) != Err(Stop::Blocked)
    }

    /// Gives the words of the record that [`RecordRing::peek`] found back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State, len: usize) {
        self.step(s, words_of(len));
        self.control.consumed.head.store(s.pos, Release); // B2
    }

    /// Records published and not consumed, as the sender sees it.
    pub fn len_for_sender(&self) -> u64 {
        let head = self.control.consumed.head.load(Relaxed);
        if (FIRST..POSITION_LIMIT).contains(&head) { self.end(head).map_or(0, |(_, records)| records) } else { 0 }
    }

    /// Records published and not consumed, as the receiver sees it.
    pub fn len_for_receiver(&self, s: &State) -> u64 {
        if s.pos < FIRST { 0 } else { self.end(s.pos).map_or(0, |(_, records)| records) }
    }

    /// After one or more consumptions: sees to a sender that sleeps for space.
    #[inline(always)]
    pub fn after_consume(&self, fences: bool) {
        light_barrier(fences);
        if !wait_word::awake(self.control.space_wait.load(Relaxed)) {
            wait_word::wake(&self.control.space_wait);
        }
    }
}
