//! The news of a death, on its way with the messages.
//!
//! A sender that finds a death in its seat which no receiver was told of marks the first message it publishes
//! with the generation that died. A marked stamp or header is none that a receiver's fast path expects, so it
//! looks closer, and tells of the death between the last message of the dead and the first of its successor.
//!
//! ```text
//!   63 62                43 42                                  0
//!   │1│ generation, low 20 │ what the word holds there unmarked │      unmarked, bit 63 is 0
//! ```

use super::seat;
use crate::layout::{Control, SENDER};

const MARKED: u64 = 1 << 63;
const SHIFT: u32 = 43;
pub(crate) const KEPT: u64 = (1 << SHIFT) - 1;
const GENERATIONS: u64 = 1 << (63 - SHIFT);

/// A stamp or header with the news that `generation` died.
pub(crate) fn marked(word: u64, generation: u64) -> u64 {
    MARKED | (generation % GENERATIONS) << SHIFT | word & KEPT
}

/// The word without its mark, if it has one: what the mark took the place of is taken from what is `expected`.
pub(crate) fn unmarked(word: u64, expected: u64) -> u64 {
    if word & MARKED == 0 { word } else { word & KEPT | expected & !KEPT }
}

/// Which death a word brings news of, if the receiver was not told of it yet.
pub(crate) fn death(control: &Control, word: u64, baseline: u64) -> Option<u64> {
    if word & MARKED == 0 {
        return None;
    }
    let newest = seat::died(&control.seats[SENDER]);
    let behind = newest.wrapping_sub((word & !MARKED) >> SHIFT) % GENERATIONS;
    let generation = newest.checked_sub(behind)?;
    (generation > baseline).then_some(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_keeps_what_a_receiver_compares() {
        for word in [1, 2, KEPT, KEPT + 1, (1 << 62) - 1] {
            for generation in [1, 15, GENERATIONS - 1, GENERATIONS, u64::MAX >> 2] {
                let marked = marked(word, generation);
                assert_ne!(marked, word);
                assert_eq!((unmarked(marked, word), unmarked(word, 0)), (word, word));
                assert_ne!(unmarked(marked, word ^ 1), word ^ 1);
            }
        }
    }
}
