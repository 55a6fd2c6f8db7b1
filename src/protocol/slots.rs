//! The ring of fixed-size slots, one sender and one receiver.
//!
//! A slot is payload, then a stamp: `position + 1` once the message of that position is there. The stamp travels in the
//! line of the payload's end, so a small message costs one cache miss. It is the last word, so the sender touches every
//! line once. Until the stamp is stored, the slot holds its old stamp, and perhaps part of a payload that a sender left
//! when it died.
//!
//! A batch is published from its end to its front. A receiver that waits for the first message stays out of the sender's
//! way until all of the batch is there, and then finds the rest without a wait. So stamps may be ahead of a gap. Before it
//! stores the first of them, the sender notes in `batch` where the gap is. Nothing from the gap on is committed until the
//! gap is filled. If the sender dies in between, its successor takes the stamps behind the gap back before it publishes
//! anything.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | A1 | [`SlotRing::put`] and its like store the stamp | [`SlotRing::try_take`] and its like load it: the payload is whole | `slots_publication` |
//! | A2 | [`SlotRing::consume`] and its like store the head | `look_for_space` loads it: the receiver has done with the slot | `slots_reuse` |
//! | A3 | [`SlotRing::put_some`] and [`SlotRing::publish_some`] store `batch`, and so does a successor that took stamps back | [`SlotRing::end`] loads it: all before that batch is published | `slots_end_between_batches` |
//! | A4 | [`SlotRing::put_some`] and [`SlotRing::publish_some`] store the stamps ahead of a gap after `batch` | [`SlotRing::end`] loads them before its second look at `batch` | `slots_end_in_batches` |
//!
//! What can never happen: a stamp that is visible before its payload; a gap in the published slots from the head on, other
//! than the one that `batch` names (so [`SlotRing::end`] can halve).
//!
//! This file holds the path of every message. The rest of the protocol is in `stamps.rs`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Ends, State};
use crate::memory::{Of, Slots, Stride, WordArea, WordSlice};
use crate::sync::Ordering::{Acquire, Release};
use crate::sync::Writable;

/// Words of slots that become visible at once, as a batch, at most: enough for the receiver to stay clear of the
/// sender, few enough to stay in the cache.
const BATCH: usize = 1024;

/// How many messages a batch has at most, if their slots have `stride` words.
#[inline(always)]
pub(crate) const fn batch_of(stride: usize) -> usize {
    if stride < BATCH { BATCH / stride } else { 1 }
}

/// The shared ring, and where its slots lie.
pub(crate) struct SlotRing<S, M = Writable> {
    pub ends: Ends<M>,
    pub slots: Slots<S, M>,
}

impl<S: Clone, M: Clone> Clone for SlotRing<S, M> {
    fn clone(&self) -> Self {
        Self { ends: self.ends.clone(), slots: self.slots.clone() }
    }
}

impl<S: Stride, M: Copy> SlotRing<S, M> {
    pub fn new(ends: Ends<M>, area: WordArea<M>, capacity: u64, stride: S) -> Self {
        Self { ends, slots: Slots::new(area, capacity, stride) }
    }
}

impl<S: Stride> SlotRing<S> {
    /// Whether the next slot is known to be free: its payload may then be written.
    #[inline(always)]
    pub fn has_space(&self, s: &State) -> bool {
        s.pos < s.limit
    }

    /// The next slot, to be filled in or read where it lies.
    #[inline(always)]
    pub fn slot(&self, s: &State) -> WordSlice<'_> {
        self.slots.at(s.offset)
    }

    /// Publishes what was filled in.
    #[inline(always)]
    pub fn publish(&self, s: &mut State) {
        let stamp = (s.pos + 1) ^ s.notice;
        self.slots.stamp(s.offset).store(stamp, Release); // A1 release
        (s.pos, s.offset) = (s.pos + 1, self.slots.after(s.offset));
    }

    /// Whether the next message is there, with no news of a death before it: its payload may then be read.
    #[inline(always)]
    pub fn has_message(&self, s: &State) -> bool {
        let stamp = self.slots.stamp(s.offset).load(Acquire); // A1 acquire
        // A forked child's state is all zero; a poisoned one says position 0.
        stamp ^ s.notice == s.pos + 1 && s.pos != 0
    }

    /// Gives the slot of the message that is there back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State) {
        self.advance(s, s.pos + 1, self.slots.after(s.offset));
    }

    /// How many slots, up to `most` and to [`batch_of`], may be filled in and published at once. A sender whose first message
    /// brings news has none, and yet one is free: that message goes alone.
    #[inline(always)]
    pub fn space_for(&self, s: &State, most: usize) -> usize {
        let space = s.limit.saturating_sub(s.pos).max(1) as usize;
        space.min(most).min(batch_of(self.slots.stride()))
    }

    /// Publishes the next `count` slots, which were filled in, from the last to the first: see [`put_some`](Self::put_some).
    #[inline(always)]
    pub fn publish_some(&self, s: &mut State, count: usize) {
        if count > 1 {
            self.ends.lane.sender_line.batch.store(s.pos, Release); // A3 release; batch noted (in place)
        }
        let (stride, mut end) = (self.slots.stride(), s.pos + count as u64);
        for (slots, count) in self.slots.rows(s.offset, count).into_iter().rev() {
            for index in (0..count).rev() {
                // Only a message that goes alone brings news.
                let stamp = end ^ s.notice;
                slots.word(index * stride + stride - 1).store(stamp, Release); // A1 release (in place)
                end -= 1;
            }
        }
        (s.pos, s.offset) = (s.pos + count as u64, self.slots.ahead(s.offset, count));
    }

    /// How many messages, up to `most`, are there in a row, with no news of a death before or between them.
    #[inline(always)]
    pub fn messages(&self, s: &State, most: usize) -> usize {
        if !self.has_message(s) {
            return 0;
        }
        let most = most.clamp(1, self.slots.capacity as usize);
        let (stride, mut end) = (self.slots.stride(), s.pos + 1);
        let [(first, in_first), (rest, in_rest)] = self.slots.rows(s.offset, most);
        for (slots, indexes) in [(first, 1..in_first), (rest, 0..in_rest)] {
            for index in indexes {
                let stamp = slots.word(index * stride + stride - 1).load(Acquire); // A1 acquire (in place)
                if stamp != end + 1 {
                    return (end - s.pos) as usize;
                }
                end = stamp;
            }
        }
        most
    }

    /// Gives the slots of the next `count` messages, which are there, back to the sender.
    #[inline(always)]
    pub fn consume_some(&self, s: &mut State, count: usize) {
        if count > 0 {
            self.advance(s, s.pos + count as u64, self.slots.ahead(s.offset, count));
        }
    }

    #[inline(always)]
    pub(super) fn advance(&self, s: &mut State, pos: u64, offset: u64) {
        (s.pos, s.offset) = (pos, offset);
        self.ends.lane.receiver_line.head.store(pos, Release); // A2 release
    }
}

impl<T: FromBytes + IntoBytes + Immutable + 'static> SlotRing<Of<T>> {
    /// The stamp's word in a slot.
    const STAMP: usize = Of::<T>::WORDS - 1;

    /// Publishes `value` in the slot that is known to be free.
    #[inline(always)]
    pub fn put(&self, s: &mut State, value: &T) {
        // The compiler assumes that the copy changes any memory. So everything is read before it, and `publish` is not used.
        let slot = self.slot(s);
        let (end, next) = (s.pos + 1, self.slots.after(s.offset));
        let stamp = end ^ s.notice; // notice in a slot; stamp of a slot
        slot.write(value);
        slot.word(Self::STAMP).store(stamp, Release); // A1 release
        (s.pos, s.offset) = (end, next);
    }

    /// Publishes as many of `values` as are known to fit in a row, up to [`batch_of`], and returns how many.
    #[inline(always)]
    pub fn put_some(&self, s: &mut State, values: &[T]) -> usize {
        let space = s.limit.saturating_sub(s.pos) as usize;
        let most = batch_of(Of::<T>::WORDS);
        let (slots, count) = self.slots.row(s.offset, values.len().min(space).min(most));
        if count > 1 {
            self.ends.lane.sender_line.batch.store(s.pos, Release); // A3 release; batch noted
        }
        s.pos += count as u64;
        let (mut stamp, mut at) = (s.pos, count * Of::<T>::WORDS);
        for value in values[..count].iter().rev() {
            at -= Of::<T>::WORDS;
            let slot = slots.part(at, Of::<T>::WORDS);
            slot.write(value);
            slot.word(Self::STAMP).store(stamp, Release); // A1 release (batch); A4 release
            stamp -= 1;
        }
        s.offset = self.slots.after_row(s.offset, count);
        count
    }

    /// Takes the next message, if it is there with no news of a death before it.
    #[inline(always)]
    pub fn try_take(&self, s: &mut State) -> Option<T> {
        let slot = self.slot(s);
        let (pos, next) = (s.pos, self.slots.after(s.offset));
        let stamp = slot.word(Self::STAMP).load(Acquire); // A1 acquire
        // A forked child's state is all zero; a poisoned one says position 0.
        if stamp ^ s.notice != pos + 1 || pos == 0 {
            return None;
        }
        let value = slot.read();
        self.advance(s, pos + 1, next);
        Some(value)
    }

    /// Takes the message that is there.
    #[inline(always)]
    pub fn take(&self, s: &mut State) -> T {
        let value = self.slot(s).read();
        self.consume(s);
        value
    }

    /// Takes the message that is there straight into `place`, whose old value is not dropped.
    #[inline(always)]
    pub fn take_into(&self, s: &mut State, place: &mut T) {
        self.slot(s).read_into(place);
        self.consume(s);
    }

    /// Takes as many messages as are there in a row straight into `values`, whose old values are not dropped, and
    /// returns how many.
    #[inline(always)]
    pub fn take_some(&self, s: &mut State, values: &mut [T]) -> usize {
        let (slots, count) = self.slots.row(s.offset, values.len());
        let (mut pos, mut at) = (s.pos, 0);
        for value in &mut values[..count] {
            let slot = slots.part(at, Of::<T>::WORDS);
            let stamp = slot.word(Self::STAMP).load(Acquire); // A1 acquire
            // Position 0 is that of a forked child or of one that is poisoned.
            if stamp != pos + 1 || pos == 0 {
                break;
            }
            slot.read_into(value);
            (pos, at) = (stamp, at + Of::<T>::WORDS);
        }
        let taken = (pos - s.pos) as usize;
        if taken > 0 {
            self.advance(s, pos, self.slots.after_row(s.offset, taken));
        }
        taken
    }
}
