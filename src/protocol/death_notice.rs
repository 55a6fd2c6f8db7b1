//! The news of a death, on its way with the messages.
//!
//! A sender may find that an earlier holder of its seat died and that this was reported to no receiver. Then the stamp or
//! header of its first message carries a *death notice*: the generation that died. The receiver's fast path expects no
//! such word, so the receiver looks closer, and reports the death between the last message of the dead and the first of
//! its successor.
//!
//! ```text
//!   63 62                43 42                                          0
//!   │1│ generation, low 20 │ what the word holds there without a notice │      without one, bit 63 is 0
//! ```

use super::seat;
use crate::layout::Seat;

const NOTICE: u64 = 1 << 63;
const SHIFT: u32 = 43;
const KEPT: u64 = (1 << SHIFT) - 1;
const GENERATIONS: u64 = 1 << (63 - SHIFT);

/// A stamp or header with the news that `generation` died.
fn with(word: u64, generation: u64) -> u64 {
    NOTICE | (generation % GENERATIONS) << SHIFT | word & KEPT
}

/// What changes any word with the same upper bits as `word` into one with the news that `generation` died, by `xor`.
pub(super) fn of(word: u64, generation: u64) -> u64 {
    (with(word, generation) ^ word) & !KEPT
}

/// The word without its notice, if it has one: what the notice took the place of is taken from `expected`.
pub(super) fn without(word: u64, expected: u64) -> u64 {
    if word & NOTICE == 0 { word } else { word & KEPT | expected & !KEPT }
}

/// Which death in the `sender`'s seat a word brings news of, if it is later than `baseline`.
pub(super) fn death(sender: &Seat, word: u64, baseline: u64) -> Option<u64> {
    if word & NOTICE == 0 {
        return None;
    }
    let newest = seat::died(sender);
    let behind = newest.wrapping_sub((word & !NOTICE) >> SHIFT) % GENERATIONS;
    let generation = newest.checked_sub(behind)?;
    (generation > baseline).then_some(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_keeps_what_a_receiver_compares() {
        for word in [1, 2, KEPT, KEPT + 1, (1 << 62) - 1] {
            for generation in [1, 15, GENERATIONS - 1, GENERATIONS, u64::MAX >> 2] {
                let noticed = with(word, generation);
                assert_ne!(noticed, word);
                assert_eq!(word ^ of(word, generation), noticed);
                assert_eq!((without(noticed, word), without(word, 0)), (word, word));
                assert_ne!(without(noticed, word ^ 1), word ^ 1);
            }
        }
    }
}
