//! `spsc` in batches in place: the sender makes the values where they will lie, the receiver uses them where they lie.
//!
//! Making and using are part of the job, here and in all that this is compared to: the sender writes every word of every
//! value, the receiver reads every word and sees whether they are the ones that were written.

use ringway::spsc;

use super::spsc::{BATCH, Spsc};
use crate::line::{Line, Receiver, Result, Sender};

/// The value at `index` of the batch that shows `number`. No two values are alike.
#[inline(always)]
pub fn made<const N: usize>(number: u64, index: usize) -> [u64; N] {
    [number.wrapping_mul(BATCH as u64) + index as u64; N]
}

/// What a receiver keeps of a batch.
pub struct Used<const N: usize> {
    /// Of the first words, of the second words, and so on.
    sums: [u64; N],
}

impl<const N: usize> Used<N> {
    #[inline(always)]
    pub fn new() -> Self {
        Self { sums: [0; N] }
    }

    /// Uses the next value.
    #[inline(always)]
    pub fn add(&mut self, value: &[u64; N]) {
        self.sums.iter_mut().zip(value).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
    }

    /// The number that the batch shows, if all its words add up.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        const EACH: u64 = (BATCH * BATCH) as u64;
        const INDEXES: u64 = (BATCH * (BATCH - 1) / 2) as u64;
        let all = self.sums[0].wrapping_sub(INDEXES);
        let whole = all.is_multiple_of(EACH) && self.sums.iter().all(|sum| *sum == self.sums[0]);
        if whole { all / EACH } else { u64::MAX }
    }
}

/// A ring of values of `N` words.
pub struct BatchesInPlace<const N: usize>(pub Spsc<N>);

pub struct InPlaceSender<const N: usize>(pub spsc::Sender<[u64; N]>);

pub struct InPlaceReceiver<const N: usize>(pub spsc::Receiver<[u64; N]>);

impl<const N: usize> Line for BatchesInPlace<N> {
    type Sender = InPlaceSender<N>;
    type Receiver = InPlaceReceiver<N>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(InPlaceSender(self.0.sender()?.end))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(InPlaceReceiver(self.0.receiver()?.end))
    }
}

impl<const N: usize> Sender for InPlaceSender<N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        let mut sent = 0;
        while sent < BATCH {
            let mut slots = self.0.reserve_many(BATCH - sent)?;
            let count = slots.len();
            for index in 0..count {
                slots.write(index, &made(number, sent + index));
            }
            slots.send(count)?;
            sent += count;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for InPlaceReceiver<N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let (mut used, mut received) = (Used::new(), 0);
        while received < BATCH {
            let found = self.0.peek_many(BATCH - received)?;
            let count = found.len();
            for index in 0..count {
                // SAFETY: all who have the region are this program's processes, whose sender leaves a message alone
                // until it is consumed.
                used.add(unsafe { found.get_ref(index) });
            }
            found.consume_up_to(count);
            received += count;
        }
        Ok(used.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(values: &[[u64; 8]]) -> u64 {
        let mut used = Used::new();
        values.iter().for_each(|value| used.add(value));
        used.number()
    }

    #[test]
    fn a_batch_shows_its_number_only_if_all_its_words_are_there() {
        let mut values: [[u64; 8]; BATCH] = std::array::from_fn(|index| made(77, index));
        assert_eq!(used(&values), 77);
        assert_ne!(used(&values[1..]), 77);
        values[BATCH / 2][3] -= 1;
        assert_ne!(used(&values), 77);
    }
}
