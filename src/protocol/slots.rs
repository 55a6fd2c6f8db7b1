//! The ring of fixed-size slots, one sender and one receiver.
//!
//! A slot is payload, then a stamp: `position + 1` once the message of that position is there. The
//! stamp travels in the line of the payload's end, so that a small message costs one cache miss; it
//! is the last word so that the sender touches every line once. Until the stamp is stored, the slot
//! holds whatever a sender that died left there, and its old stamp.
//!
//! A batch is published from its end on: a receiver that waits for its first message is out of the sender's way
//! until all of it is there, and finds the rest without a wait. So stamps may be ahead of a gap. The sender notes
//! in `batch`, before the first of them, where that gap is; nothing from it on is committed until it is filled. The
//! successor of a sender that died in between takes the stamps behind the gap back before it publishes anything.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | A1 | [`SlotRing::put`] and its like store the stamp | [`SlotRing::try_take`] and its like load it: the payload is whole | `slots_publication` |
//! | A2 | [`SlotRing::consume`] and its like store the head | `look_for_space` loads it: the receiver has done with the slot | `slots_reuse` |
//! | A3 | [`SlotRing::put_some`] stores `batch`, and a successor that took stamps back | [`Stamps::end`] loads it: all before that batch is published | `slots_end_between_batches` |
//!
//! A stamp ahead of a gap is stored, and read, after `batch`: A1 orders these too (`slots_end_in_batches`).
//!
//! What can never happen: a stamp that runs ahead of its payload; a gap in the published slots from the head on
//! other than the one that `batch` names (so that [`Stamps::end`] can halve).

use core::ops::Deref;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::State;
use super::stamps::{Stamps, batch_of};
use crate::layout::Control;
use crate::span::{Slots, Span};
use crate::sync::Ordering::{Acquire, Release};
use crate::words::{View, Words};

/// The shared ring and its private geometry.
pub(crate) struct SlotRing<T> {
    stamps: Stamps,
    slots: Slots<T>,
}

impl<T> Clone for SlotRing<T> {
    fn clone(&self) -> Self {
        Self { stamps: self.stamps.clone(), slots: self.slots.clone() }
    }
}

impl<T> Deref for SlotRing<T> {
    type Target = Stamps;

    #[inline(always)]
    fn deref(&self) -> &Stamps {
        &self.stamps
    }
}

impl<T: FromBytes + IntoBytes + Immutable> SlotRing<T> {
    /// The stamp's word in a slot.
    const STAMP: usize = Slots::<T>::LEN - 1;

    pub fn new(control: View<Control>, data: Words, capacity: u64) -> Self {
        let slots = Slots::new(data.clone(), capacity);
        Self { stamps: Stamps { control, data, capacity, stride: Slots::<T>::LEN }, slots }
    }

    /// The next slot, to be filled in or read where it lies.
    #[inline(always)]
    pub fn slot(&self, s: &State) -> Span<'_> {
        self.slots.at(s.offset)
    }

    /// Publishes what was filled in.
    #[inline(always)]
    pub fn publish(&self, s: &mut State) {
        self.slot(s).word(Self::STAMP).store((s.pos + 1) ^ s.mark, Release); // A1
        (s.pos, s.offset) = (s.pos + 1, self.slots.after(s.offset));
    }

    /// Publishes `value` in the slot that is known to be free.
    #[inline(always)]
    pub fn put(&self, s: &mut State, value: &T) {
        // All is read before the copy, which the compiler takes to change any memory: so not by `publish`.
        let slot = self.slot(s);
        let (end, next) = (s.pos + 1, self.slots.after(s.offset));
        let stamp = end ^ s.mark;
        slot.write(value);
        slot.word(Self::STAMP).store(stamp, Release); // A1
        (s.pos, s.offset) = (end, next);
    }

    /// Publishes as many of `values` as there is known to be space for in a row, up to [`batch_of`], and returns how many.
    #[inline(always)]
    pub fn put_some(&self, s: &mut State, values: &[T]) -> usize {
        let space = s.limit.saturating_sub(s.pos) as usize;
        let most = batch_of(Slots::<T>::LEN);
        let (slots, count) = self.slots.row(s.offset, values.len().min(space).min(most));
        if count > 1 {
            self.control.sent.batch.store(s.pos, Release); // A3
        }
        s.pos += count as u64;
        let (mut stamp, mut at) = (s.pos, count * Slots::<T>::LEN);
        for value in values[..count].iter().rev() {
            at -= Slots::<T>::LEN;
            let slot = slots.part(at, Slots::<T>::LEN);
            slot.write(value);
            slot.word(Self::STAMP).store(stamp, Release); // A1
            stamp -= 1;
        }
        s.offset = self.slots.after_row(s.offset, count);
        count
    }

    /// Whether the next message is there, with no news of a death before it: its payload may then be read.
    #[inline(always)]
    pub fn has_message(&self, s: &State) -> bool {
        let stamp = self.slot(s).word(Self::STAMP).load(Acquire); // A1
        // A forked child's state is all zero; a poisoned one says position 0.
        stamp ^ s.mark == s.pos + 1 && s.pos != 0
    }

    /// Gives the slot of the message that is there back to the sender.
    #[inline(always)]
    pub fn consume(&self, s: &mut State) {
        self.go_to(s, s.pos + 1, self.slots.after(s.offset));
    }

    #[inline(always)]
    fn go_to(&self, s: &mut State, pos: u64, offset: u64) {
        (s.pos, s.offset) = (pos, offset);
        self.control.consumed.head.store(pos, Release); // A2
    }

    /// Takes the next message, if it is there with no news of a death before it.
    #[inline(always)]
    pub fn try_take(&self, s: &mut State) -> Option<T> {
        let slot = self.slot(s);
        let (pos, next) = (s.pos, self.slots.after(s.offset));
        let stamp = slot.word(Self::STAMP).load(Acquire); // A1
        // A forked child's state is all zero; a poisoned one says position 0.
        if stamp ^ s.mark != pos + 1 || pos == 0 {
            return None;
        }
        let value = slot.read();
        self.go_to(s, pos + 1, next);
        Some(value)
    }

    /// Takes the message that is there.
    #[inline(always)]
    pub fn take(&self, s: &mut State) -> T {
        let value = self.slot(s).read();
        self.go_to(s, s.pos + 1, self.slots.after(s.offset));
        value
    }

    /// Takes the message that is there straight into `place`, whose old value is not dropped.
    #[inline(always)]
    pub fn take_into(&self, s: &mut State, place: &mut T) {
        self.slot(s).read_into(place);
        self.go_to(s, s.pos + 1, self.slots.after(s.offset));
    }

    /// Takes as many messages as are there in a row straight into `values`, whose old values are not dropped, and
    /// returns how many.
    #[inline(always)]
    pub fn take_some(&self, s: &mut State, values: &mut [T]) -> usize {
        let (slots, count) = self.slots.row(s.offset, values.len());
        let (mut pos, mut at) = (s.pos, 0);
        for value in &mut values[..count] {
            let slot = slots.part(at, Slots::<T>::LEN);
            let stamp = slot.word(Self::STAMP).load(Acquire); // A1
            // Position 0 is that of a forked child or of one that is poisoned.
            if stamp != pos + 1 || pos == 0 {
                break;
            }
            slot.read_into(value);
            (pos, at) = (stamp, at + Slots::<T>::LEN);
        }
        let taken = (pos - s.pos) as usize;
        if taken > 0 {
            self.go_to(s, pos, self.slots.after_row(s.offset, taken));
        }
        taken
    }
}
