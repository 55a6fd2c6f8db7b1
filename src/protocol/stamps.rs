//! The stamps of a slot ring: what is published, what is free, and where to go on.
//!
//! What an endpoint does when it neither sends nor receives at once. The protocol is explained in [`super::slots`].

use core::ops::Range;

use super::slots::{SlotRing, batch_of};
use super::{State, Stop, death_notice, spin};
use crate::error::Fault;
use crate::layout::FIRST;
use crate::memory::Stride;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// How often messages are counted at most, while batches are published all the time.
const COUNTS: u32 = 4;

/// How far a receiver lets a sender in full flow run ahead, in words of slots. It does not pull the lines of these out of
/// the sender's cache while the sender fills them.
const AHEAD: u64 = 128;

/// How often the receiver checks for that, at most. It takes about as long as a line takes from one processor to the
/// other and back. The last messages of a burst wait no longer.
const AHEAD_SPINS: u32 = 4;

/// In `batch`: the stamps that were ahead of that gap were taken back.
const TAKEN_BACK: u64 = 1 << 63;

impl<S: Stride, M: Copy> SlotRing<S, M> {
    fn offset_of(&self, pos: u64) -> u64 {
        self.slots.offset(pos - FIRST)
    }

    #[inline(always)]
    fn is_published(&self, pos: u64) -> bool {
        let stamp = self.slots.stamp(self.offset_of(pos)).acquire(); // A1; A3 acquire; A4 acquire
        death_notice::without(stamp, pos + 1) == pos + 1
    }

    /// `batch`, and the gap there if it is being published or its sender died over it.
    fn gap(&self, head: u64) -> (u64, Option<u64>) {
        let batch = self.ends.lane.sender_line.batch.acquire(); // A3 acquire
        let is_gap = (head..head + self.slots.capacity).contains(&batch) && !self.is_published(batch);
        (batch, is_gap.then_some(batch))
    }

    /// The position after the last published one, counted from `head`. Looks at `log2(capacity)` stamps: the
    /// published slots have no gap.
    pub fn end(&self, head: u64) -> u64 {
        let mut end = head;
        let (mut batch, mut gap) = self.gap(head);
        for _ in 0..COUNTS {
            let mut published = head;
            let mut unpublished = gap.unwrap_or(head + self.slots.capacity) + 1;
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
            let settled = batch == before; // counted again after a succession
            if settled {
                break;
            }
        }
        end
    }

    /// What the stamp of `pos` holds before it is published: that of the lap before.
    fn unpublished(&self, pos: u64) -> u64 {
        if pos >= FIRST + self.slots.capacity { pos + 1 - self.slots.capacity } else { 0 }
    }
}

impl<S: Stride> SlotRing<S> {
    /// The state of a sender that just took its seat: it goes on where the last committed message ends.
    pub fn sender_state(&self, holder: u64) -> Result<State, Stop> {
        let s = self.ends.sender_begins(holder);
        let head = self.ends.head()?;
        let pos = self.end(head);
        if self.gap(head).1 == Some(pos) {
            // The receiver may be anywhere before the gap, but no batch goes beyond what it had consumed.
            let most = (pos + batch_of(self.slots.stride()) as u64).min(head + self.slots.capacity);
            self.take_back(pos + 1..most); // stamps of a batch taken back
            self.ends.lane.sender_line.batch.store(pos | TAKEN_BACK, Release); // A3 release
        }
        Ok(self.ends.bring_news(s.resume_at(pos, self.offset_of(pos)), pos + 1))
    }

    /// The state of a receiver that just took its seat: it goes on at the first unconsumed message.
    pub fn receiver_state(&self, holder: u64) -> Result<State, Stop> {
        let s = self.ends.receiver_begins(holder);
        let pos = self.ends.head()?;
        Ok(s.resume_at(pos, self.offset_of(pos)))
    }

    /// Makes stamps that are ahead of a gap what they were before.
    fn take_back(&self, positions: Range<u64>) {
        for pos in positions {
            if self.is_published(pos) {
                self.slots.stamp(self.offset_of(pos)).store(self.unpublished(pos), Relaxed);
            }
        }
    }

    /// Makes a copy of a ring, taken while it was in use, one that holds the messages from `head` to `end`:
    /// those that lay in it all the while. Of these it holds those before the first that is not there: `end` may be
    /// older than the copy.
    pub fn retain(&self, head: u64, end: u64) {
        let end = (head..end).find(|pos| !self.is_published(*pos)).unwrap_or(end);
        for pos in end..head + self.slots.capacity {
            self.slots.stamp(self.offset_of(pos)).store(self.unpublished(pos), Relaxed);
        }
        self.ends.lane.receiver_line.head.store(head, Relaxed);
    }

    /// Makes a ring that was read from a file hold what is whole in it: the messages up to the first slot that was not
    /// published. Where that slot is none of the lap before either, others wrote while the file was copied; then the
    /// message before it may be part another one, and is left out too.
    pub fn salvage(&self) -> Result<(), Stop> {
        let head = self.ends.head()?;
        let all = head + self.slots.capacity;
        let end = (head..all).find(|pos| !self.is_published(*pos)).unwrap_or(all);
        let is_free = |pos| {
            death_notice::without(self.slots.stamp(self.offset_of(pos)).load(Relaxed), self.unpublished(pos))
                == self.unpublished(pos)
        };
        let torn = end > head && end < all && !is_free(end);
        self.retain(head, if torn { end - 1 } else { end });
        Ok(())
    }

    /// Makes sure the next slot is free.
    #[cold]
    #[inline(never)]
    pub fn look_for_space(&self, s: &mut State) -> Result<(), Stop> {
        let capacity = self.slots.capacity;
        self.ends.look_for_space(s, capacity, 1, |_, head| head + capacity)
    }

    /// Waits up to `times` checks for the receiver to consume a message.
    #[inline(always)]
    pub fn spin_for_space(&self, s: &State, times: u32) {
        let head = &self.ends.lane.receiver_line.head;
        spin(times, || head.load(Relaxed).wrapping_add(self.slots.capacity) > s.pos);
    }

    /// For a receiver that found no message. If it took many since it last found none, the sender is in full flow. A
    /// receiver at the sender's heels takes each line from it several times, so this one lets the sender run ahead a
    /// little.
    pub fn let_run_ahead(&self, s: &mut State) {
        if let Some(ahead) = self.wants_ahead(s) {
            spin(AHEAD_SPINS, || self.is_ahead(s, ahead));
        }
    }

    /// How many messages ahead the sender should be before the receiver goes on. Not so many that the sender would soon wait
    /// for space.
    pub fn wants_ahead(&self, s: &mut State) -> Option<u64> {
        let ahead = (AHEAD / self.slots.stride() as u64).min(self.slots.capacity / 16);
        let taken = s.pos.wrapping_sub(s.waited);
        s.waited = s.pos;
        (ahead > 1 && taken > ahead / 2).then_some(ahead)
    }

    /// Whether the message `ahead` ones after the next is there.
    pub fn is_ahead(&self, s: &State, ahead: u64) -> bool {
        let offset = self.slots.ahead(s.offset, ahead as usize);
        self.slots.stamp(offset).load(Relaxed) == s.pos.wrapping_add(ahead + 1)
    }

    /// Makes sure the next message is there, and that there is no news to be reported before it.
    #[cold]
    #[inline(never)]
    pub fn look_for_message(&self, s: &mut State) -> Result<(), Stop> {
        let (next, offset) = (s.pos + 1, s.offset);
        let load = || self.slots.stamp(offset).load(Acquire); // A1 acquire (slow)
        let unpublished = self.unpublished(s.pos);
        let stamp = self.ends.look_for_message(s, load, |stamp| {
            if death_notice::without(stamp, next) == next {
                Ok(Some(stamp))
            } else if death_notice::without(stamp, unpublished) == unpublished {
                Ok(None)
            } else {
                Err(Fault::Stamp)
            }
        })?;
        // The news is reported: from here on, this is the stamp that is looked for.
        s.notice = stamp ^ next;
        Ok(())
    }

    /// Waits up to `times` checks for the next message.
    #[inline(always)]
    pub fn spin_for_message(&self, s: &State, times: u32) {
        spin(times, || self.slots.stamp(s.offset).load(Relaxed) == s.pos + 1);
    }

    /// Messages published and not consumed, as the sender sees it.
    pub fn len_for_sender(&self, s: &State) -> u64 {
        let head = self.ends.lane.receiver_line.head.load(Relaxed);
        s.pos.saturating_sub(head).min(self.slots.capacity)
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
