//! The stamps of a slot ring: what is published, what is free, and where to go on.
//!
//! All that an endpoint does when it is not simply sending or receiving, whatever the type of the messages; see
//! [`super::slots`] for the protocol.

use core::ops::Range;

use super::seat::End;
use super::{State, Stop, glance, head_of, mark, receiver_baseline, receiver_begins, seat};
use crate::error::Fault;
use crate::layout::{Control, FIRST, RECEIVER, SENDER};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Writable};
use crate::words::{View, Words};

/// Words of slots that become visible at once, as a batch, at most: enough for the receiver to stay clear of the
/// sender, few enough to stay in the cache.
const BATCH: usize = 1024;

/// How many messages, whose slots have so many words, that is.
#[inline(always)]
pub(crate) const fn batch_of(stride: usize) -> usize {
    if stride < BATCH { BATCH / stride } else { 1 }
}

/// How often messages are counted at most, while batches are published all the time.
const COUNTS: u32 = 4;

/// How far a receiver lets a sender in full flow run ahead, in words of slots: the lines of these are not pulled out
/// of the sender's cache while it fills them.
const AHEAD: u64 = 128;

/// Glances, at most, that it takes the receiver: about as long as a line takes from one processor to the other and
/// back. The last messages of a burst wait no longer.
const AHEAD_GLANCES: u32 = 4;

/// In `batch`: the stamps that were ahead of that gap are no more.
const TAKEN_BACK: u64 = 1 << 63;

/// A slot ring of messages of any type, and its private geometry.
#[derive(Clone)]
pub(crate) struct Stamps<M = Writable> {
    pub control: View<Control<M>>,
    pub data: Words<M>,
    /// Slots.
    pub capacity: u64,
    /// Words of a slot, the stamp included.
    pub stride: usize,
}

impl<M: Copy> Stamps<M> {
    fn offset_of(&self, pos: u64) -> u64 {
        (pos - FIRST) % self.capacity * self.stride as u64
    }

    #[inline(always)]
    fn stamp(&self, offset: u64) -> &AtomicU64<M> {
        self.data.word(offset as usize + self.stride - 1)
    }

    #[inline(always)]
    fn is_published(&self, pos: u64) -> bool {
        mark::unmarked(self.stamp(self.offset_of(pos)).acquire(), pos + 1) == pos + 1
    }

    /// `batch`, and the gap there if it is being published or its sender died over it.
    fn gap(&self, head: u64) -> (u64, Option<u64>) {
        let batch = self.control.sent.batch.acquire(); // A3
        let is_gap = (head..head + self.capacity).contains(&batch) && !self.is_published(batch);
        (batch, is_gap.then_some(batch))
    }

    /// The position after the last published one, counted from `head`. Looks at `log2(capacity)` stamps: the
    /// published slots have no gap.
    pub fn end(&self, head: u64) -> u64 {
        let mut end = head;
        let (mut batch, mut gap) = self.gap(head);
        for _ in 0..COUNTS {
            let mut published = head;
            let mut unpublished = gap.unwrap_or(head + self.capacity) + 1;
            while unpublished - published > 1 {
                let middle = published + (unpublished - published) / 2;
                if self.is_published(middle - 1) {
                    published = middle;
                } else {
                    unpublished = middle;
                }
            }
            // A stamp that was seen may be ahead of a gap that came meanwhile, and that may even be filled by now,
            // by a successor that took the stamp back. Then `batch` says something else.
            let before = batch;
            (batch, gap) = self.gap(head);
            end = gap.map_or(published, |gap| gap.min(published));
            if batch == before {
                break;
            }
        }
        end
    }

    /// What the stamp of `pos` holds before it is published: that of the lap before.
    fn unpublished(&self, pos: u64) -> u64 {
        if pos >= FIRST + self.capacity { pos + 1 - self.capacity } else { 0 }
    }
}

impl Stamps {
    /// The state of a sender that just took its seat: it goes on where the last committed message ends.
    pub fn sender_state(&self, holder: u64) -> Result<State, Stop> {
        let s = State::new(holder, 0, 0, receiver_baseline(&self.control));
        let head = head_of(&self.control)?;
        let pos = self.end(head);
        if self.gap(head).1 == Some(pos) {
            // The receiver may be anywhere before the gap, but no batch goes beyond what it had consumed.
            self.take_back(pos + 1..(pos + batch_of(self.stride) as u64).min(head + self.capacity));
            self.control.sent.batch.store(pos | TAKEN_BACK, Release); // A3
        }
        Ok(s.go_on(pos, self.offset_of(pos)).bring_news(&self.control, pos + 1))
    }

    /// The state of a receiver that just took its seat: it goes on at the first unconsumed message.
    pub fn receiver_state(&self, holder: u64) -> Result<State, Stop> {
        let s = receiver_begins(&self.control, holder);
        let pos = head_of(&self.control)?;
        Ok(s.go_on(pos, self.offset_of(pos)))
    }

    /// Makes stamps that are ahead of a gap what they were before.
    fn take_back(&self, positions: Range<u64>) {
        for pos in positions {
            if self.is_published(pos) {
                self.stamp(self.offset_of(pos)).store(self.unpublished(pos), Relaxed);
            }
        }
    }

    /// Makes a copy of a ring, taken while it was in use, one that holds the messages from `head` to `end`:
    /// those that lay in it all the while. Of these it holds those before the first that is not there: `end` may be
    /// older than the copy.
    pub fn hold_only(&self, head: u64, end: u64) {
        let end = (head..end).find(|pos| !self.is_published(*pos)).unwrap_or(end);
        for pos in end..head + self.capacity {
            self.stamp(self.offset_of(pos)).store(self.unpublished(pos), Relaxed);
        }
        self.control.consumed.head.store(head, Relaxed);
    }

    /// Makes a ring that was read from a file hold what is whole in it: the messages up to the first slot that was not
    /// published. Where that slot is none of the lap before either, others wrote while the file was copied; then the
    /// message before it may be part another one, and is left out too.
    pub fn salvage(&self) -> Result<(), Stop> {
        let head = head_of(&self.control)?;
        let all = head + self.capacity;
        let end = (head..all).find(|pos| !self.is_published(*pos)).unwrap_or(all);
        let is_free = |pos| {
            mark::unmarked(self.stamp(self.offset_of(pos)).load(Relaxed), self.unpublished(pos))
                == self.unpublished(pos)
        };
        let torn = end > head && end < all && !is_free(end);
        self.hold_only(head, if torn { end - 1 } else { end });
        Ok(())
    }

    /// Whether the next slot is known to be free: its payload may then be written.
    #[inline(always)]
    pub fn has_space(&self, s: &State) -> bool {
        s.pos < s.limit
    }

    /// Makes sure the next slot is free.
    #[inline(always)]
    pub fn reserve(&self, s: &mut State) -> Result<(), Stop> {
        if self.has_space(s) { Ok(()) } else { self.look_for_space(s) }
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

    /// [`Stamps::reserve`] after up to `glances` at the head alone.
    #[inline(always)]
    pub fn watch_for_space(&self, s: &mut State, glances: u32) -> Result<(), Stop> {
        glance(glances, || self.control.consumed.head.load(Relaxed).wrapping_add(self.capacity) > s.pos);
        self.reserve(s)
    }

    /// For a receiver that found no message: if it took many since it did so last, it has run into a sender that is
    /// sending. At its heels, it would take each line from it several times: so it lets it run ahead a little.
    pub fn let_run_ahead(&self, s: &mut State) {
        if let Some(ahead) = self.wants_ahead(s) {
            glance(AHEAD_GLANCES, || self.is_ahead(s, ahead));
        }
    }

    /// How many messages the sender is to be ahead of a receiver that waits; not so many that it would soon wait for
    /// space.
    pub fn wants_ahead(&self, s: &mut State) -> Option<u64> {
        let ahead = (AHEAD / self.stride as u64).min(self.capacity / 16);
        let taken = s.pos.wrapping_sub(s.waited);
        s.waited = s.pos;
        (ahead > 1 && taken > ahead / 2).then_some(ahead)
    }

    /// Whether the message `ahead` ones after the next is there.
    pub fn is_ahead(&self, s: &State, ahead: u64) -> bool {
        let words = self.capacity * self.stride as u64;
        let offset = (s.offset + ahead * self.stride as u64) % words;
        self.stamp(offset).load(Relaxed) == s.pos.wrapping_add(ahead + 1)
    }

    /// Makes sure the next message is there, and that there is no news to be told before it.
    #[cold]
    #[inline(never)]
    pub fn peek(&self, s: &mut State) -> Result<(), Stop> {
        s.check()?;
        let end = seat::ended_since(&self.control.seats[SENDER], s.baseline);
        // Loaded after the seat: what a sender published before its end is seen here.
        let stamp = self.stamp(s.offset).load(Acquire); // A1
        if mark::unmarked(stamp, s.pos + 1) == s.pos + 1 {
            if let Some(generation) = mark::death(&self.control, stamp, s.baseline) {
                return Err(Stop::Ended(End::Died(generation)));
            }
            // The news is told: from here on, this is the stamp that is looked for.
            s.mark = stamp ^ (s.pos + 1);
            return Ok(());
        }
        let unpublished = self.unpublished(s.pos);
        if mark::unmarked(stamp, unpublished) != unpublished {
            return Err(s.poison(Fault::Stamp, stamp));
        }
        Err(end.map_or(Stop::Blocked, Stop::Ended))
    }

    /// [`Stamps::peek`] after up to `glances` at the stamp alone.
    #[inline(always)]
    pub fn watch_for_message(&self, s: &mut State, glances: u32) -> Result<(), Stop> {
        glance(glances, || self.stamp(s.offset).load(Relaxed) == s.pos + 1);
        self.peek(s)
    }

    /// Messages published and not consumed, as the sender sees it.
    pub fn len_for_sender(&self, s: &State) -> u64 {
        let head = self.control.consumed.head.load(Relaxed);
        s.pos.saturating_sub(head).min(self.capacity)
    }

    /// Whether every message was consumed, as the sender sees it.
    pub fn is_drained(&self, s: &State) -> bool {
        self.control.consumed.head.load(Relaxed) >= s.pos
    }

    /// Whether there is no message, as the receiver sees it.
    pub fn is_empty(&self, s: &State) -> bool {
        s.pos < FIRST || !self.is_published(s.pos)
    }

    /// Messages published and not consumed, as the receiver sees it.
    pub fn len_for_receiver(&self, s: &State) -> u64 {
        if s.pos < FIRST { 0 } else { self.end(s.pos) - s.pos }
    }
}
