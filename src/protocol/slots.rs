//! The ring of fixed-size slots, one sender and one receiver.
//!
//! A slot is payload, then a stamp: `position + 1` once the message of that position is there. The
//! stamp travels in the line of the payload's end, so that a small message costs one cache miss; it
//! is the last word so that the sender touches every line once. Until the stamp is stored, the slot
//! holds whatever a sender that died left there, and its old stamp.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | A1 | [`SlotRing::publish`] stores the stamp | [`SlotRing::peek`] loads it: the payload is whole | `slots_publication` |
//! | A2 | [`SlotRing::consume`] stores the head | `look_for_space` loads it: the receiver has done with the slot | `slots_reuse` |
//!
//! What can never happen: a stamp that runs ahead of its payload; two positions published out of
//! order (so the published slots from the head on have no gap, and [`SlotRing::end`] can halve).

use super::seat::End;
use super::{State, Stop, glance, mark, receiver_baseline, receiver_begins, seat};
use crate::error::Fault;
use crate::layout::{Control, FIRST, POSITION_LIMIT, RECEIVER, SENDER, WORD};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::words::{View, Words};

/// The shared ring and its private geometry.
#[derive(Clone)]
pub(crate) struct SlotRing {
    pub control: View<Control>,
    pub data: Words,
    /// Slots.
    pub capacity: u64,
    /// Words of a slot, the stamp included.
    pub stride: usize,
}

impl SlotRing {
    /// Words of the whole ring.
    #[inline(always)]
    fn words(&self) -> u64 {
        self.capacity * self.stride as u64
    }

    fn offset_of(&self, pos: u64) -> u64 {
        (pos - FIRST) % self.capacity * self.stride as u64
    }

    #[inline(always)]
    fn stamp(&self, offset: u64) -> &crate::sync::AtomicU64 {
        self.data.word(offset as usize + self.stride - 1)
    }

    #[inline(always)]
    fn step(&self, s: &mut State) {
        s.pos += 1;
        s.offset += self.stride as u64;
        if s.offset == self.words() {
            s.offset = 0;
        }
    }

    /// The state of a sender that just took its seat: it goes on where the last committed message ends.
    pub fn sender_state(&self, holder: u64) -> Result<State, Stop> {
        let mut s = State::new(holder, 0, 0, receiver_baseline(&self.control));
        let pos = self.end(self.checked_head(&mut s)?);
        Ok(s.go_on(pos, self.offset_of(pos)).bring_news(&self.control, pos + 1))
    }

    /// The state of a receiver that just took its seat: it goes on at the first unconsumed message.
    pub fn receiver_state(&self, holder: u64) -> Result<State, Stop> {
        let mut s = receiver_begins(&self.control, holder);
        let pos = self.checked_head(&mut s)?;
        Ok(s.go_on(pos, self.offset_of(pos)))
    }

    /// The position of the first message that was not consumed, if the region says one that can be.
    pub fn head(&self) -> Result<u64, Stop> {
        self.checked_head(&mut State::new(0, 0, 0, 0))
    }

    fn checked_head(&self, s: &mut State) -> Result<u64, Stop> {
        let head = self.control.consumed.head.load(Acquire);
        if (FIRST..POSITION_LIMIT).contains(&head) { Ok(head) } else { Err(s.poison(Fault::Head, head)) }
    }

    /// The position after the last published one, counted from `head`. Looks at `log2(capacity)`
    /// stamps: the published slots have no gap.
    pub fn end(&self, head: u64) -> u64 {
        let (mut published, mut unpublished) = (0, self.capacity + 1);
        while unpublished - published > 1 {
            let middle = published + (unpublished - published) / 2;
            let pos = head + middle - 1;
            if mark::unmarked(self.stamp(self.offset_of(pos)).load(Acquire), pos + 1) == pos + 1 {
                published = middle;
            } else {
                unpublished = middle;
            }
        }
        head + published
    }

    /// What the stamp of `pos` holds before it is published: that of the lap before.
    fn unpublished(&self, pos: u64) -> u64 {
        if pos >= FIRST + self.capacity { pos + 1 - self.capacity } else { 0 }
    }

    /// Makes a copy of a ring, taken while it was in use, one that holds the messages from `head` to `end`:
    /// those that lay in it all the while.
    pub fn hold_only(&self, head: u64, end: u64) {
        for pos in end..head + self.capacity {
            self.stamp(self.offset_of(pos)).store(self.unpublished(pos), Relaxed);
        }
        self.control.consumed.head.store(head, Relaxed);
    }

    /// Makes sure the next slot is free; its payload may then be written at the returned byte.
    #[inline(always)]
    pub fn reserve(&self, s: &mut State) -> Result<usize, Stop> {
        if s.pos >= s.limit {
            self.look_for_space(s)?;
        }
        Ok(s.offset as usize * WORD)
    }

    #[cold]
    #[inline(never)]
    fn look_for_space(&self, s: &mut State) -> Result<(), Stop> {
        s.check()?;
        let receiver = &self.control.seats[RECEIVER];
        let end = seat::ended_since(receiver, s.baseline);
        if let Some(end) = end
            && seat::left_since(receiver, s.baseline).is_some()
        {
            return Err(Stop::Ended(end));
        }
        let head = self.control.consumed.head.load(Acquire); // A2
        if head < FIRST || head > s.pos || s.pos - head > self.capacity {
            return Err(s.poison(Fault::Head, head));
        }
        let limit = head + self.capacity;
        s.limit = limit;
        if s.mark != 0 {
            s.mark_only_first();
        }
        match end {
            _ if s.pos < limit => Ok(()),
            None => Err(Stop::Blocked),
            Some(died) => Err(Stop::Ended(died)),
        }
    }

    /// Whether [`SlotRing::reserve`] is no longer blocked, asked after up to `glances` at the head alone.
    #[inline(always)]
    pub fn watch_for_space(&self, s: &mut State, glances: u32) -> bool {
        glance(glances, || self.control.consumed.head.load(Relaxed).wrapping_add(self.capacity) > s.pos);
        self.reserve(s) != Err(Stop::Blocked)
    }

    /// Publishes the slot that [`SlotRing::reserve`] found free.
    #[inline(always)]
    pub fn publish(&self, s: &mut State) {
        self.stamp(s.offset).store((s.pos + 1) ^ s.mark, Release); // A1
        self.step(s);
    }

    /// Finds the next message; its payload may then be read from the returned byte.
    #[inline(always)]
    pub fn peek(&self, s: &mut State) -> Result<usize, Stop> {
        let stamp = self.stamp(s.offset).load(Acquire); // A1
        // A forked child's state is all zero; a poisoned one says position 0.
        if stamp != s.pos + 1 || s.pos == 0 {
            self.look_for_message(s)?;
        }
        Ok(s.offset as usize * WORD)
    }

    #[cold]
    #[inline(never)]
    fn look_for_message(&self, s: &mut State) -> Result<(), Stop> {
        s.check()?;
        let end = seat::ended_since(&self.control.seats[SENDER], s.baseline);
        // Loaded after the seat: what a sender published before its end is seen here.
        let stamp = self.stamp(s.offset).load(Acquire); // A1
        if mark::unmarked(stamp, s.pos + 1) == s.pos + 1 {
            let death = mark::death(&self.control, stamp, s.baseline);
            return death.map_or(Ok(()), |generation| Err(Stop::Ended(End::Died(generation))));
        }
        let unpublished = self.unpublished(s.pos);
        if mark::unmarked(stamp, unpublished) != unpublished {
            return Err(s.poison(Fault::Stamp, stamp));
        }
        Err(end.map_or(Stop::Blocked, Stop::Ended))
    }

    /// Whether [`SlotRing::peek`] is no longer blocked, asked after up to `glances` at the stamp alone.
    #[inline(always)]
    pub fn watch_for_message(&self, s: &mut State, glances: u32) -> bool {
        glance(glances, || self.stamp(s.offset).load(Relaxed) == s.pos + 1);
        self.peek(s) != Err(Stop::Blocked)
    }

    /// Gives the slot that [`SlotRing::peek`] found back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State) {
        self.step(s);
        self.control.consumed.head.store(s.pos, Release); // A2
    }

    /// Messages published and not consumed, as the sender sees it.
    pub fn len_for_sender(&self, s: &State) -> u64 {
        let head = self.control.consumed.head.load(Relaxed);
        s.pos.saturating_sub(head).min(self.capacity)
    }

    /// Messages published and not consumed, as the receiver sees it.
    pub fn len_for_receiver(&self, s: &State) -> u64 {
        if s.pos < FIRST { 0 } else { self.end(s.pos) - s.pos }
    }
}
