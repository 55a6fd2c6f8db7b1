//! The data area: slots, records or cells.
//!
//! Positions count from [`FIRST`](super::FIRST), are `u64` and never wrap: at a message a nanosecond they last 146
//! years. They count slots in a slot ring, 8-byte words in a record ring, values in a cell.
//!
//! ```text
//!   slot    (spsc)    payload, padded to 8 │ … │ stamp: position + 1 once published
//!   record  (bytes)   header: tag << 30 | length + 1 │ payload, padded to 8     0 = not published
//!   cell    (seqlock) payload, padded to 8 │ mark: the version that is or was written there │ …
//! ```
//!
//! A slot's stamp is its *last* word, so that the sender touches every cache line once, in address order. The header of
//! a record must come first, so there the sender writes the header's line last. A cell's mark comes right after the
//! payload, so that the payload begins with a line, and no piece of a copy lies in two.
//!
//! The stamp or header of the first message after a sender's death brings news of it: see
//! [`crate::protocol::death_notice`].

use super::WORD;

/// The fewest values a seqlock keeps: the newest whole one, and room for the writer to be under way (or dead) in another
/// while readers copy.
pub(crate) const CELLS: u64 = 4;
/// Bytes of cells that a seqlock of small values has, so that a reader is not overtaken by a writer that never pauses:
/// while the reader copies one cell, the writer must fill all others.
const CELLS_BYTES: usize = 8192;

/// Words of a slot for a payload of `size` bytes: payload and stamp, a power of two of words where that keeps the slot
/// inside one cache line, and a multiple of the payload's alignment.
///
/// `None` if that overflows.
pub(crate) const fn slot_words(size: usize, align: usize) -> Option<usize> {
    let align = if align < WORD { WORD } else { align };
    let Some(bytes) = size.checked_next_multiple_of(WORD) else { return None };
    let Some(bytes) = bytes.checked_add(WORD) else { return None };
    let bytes = if bytes <= 64 { bytes.next_power_of_two() } else { bytes };
    let Some(bytes) = bytes.checked_next_multiple_of(align) else { return None };
    Some(bytes / WORD)
}

/// Words of a seqlock's cell: payload and mark, on cache lines of its own. `None` if that overflows.
pub(crate) const fn cell_words(size: usize, align: usize) -> Option<usize> {
    let Some(bytes) = size.checked_next_multiple_of(WORD) else { return None };
    let Some(bytes) = bytes.checked_add(WORD) else { return None };
    let line = if align < 64 { 64 } else { align };
    let Some(bytes) = bytes.checked_next_multiple_of(line) else { return None };
    Some(bytes / WORD)
}

/// How many cells of `stride` words a seqlock has: a power of two.
pub(crate) fn cells(stride: usize) -> u64 {
    let fit = (CELLS_BYTES / WORD / stride) as u64;
    fit.checked_ilog2().map_or(CELLS, |bits| 1 << bits).max(CELLS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_a_power_of_two_and_enough() {
        for stride in 1..5000 {
            assert!(cells(stride).is_power_of_two() && cells(stride) >= CELLS, "stride {stride}");
        }
    }

    #[test]
    fn slots_hold_payload_and_stamp() {
        for size in 1..300 {
            for align in [1, 8, 16, 64] {
                let words = slot_words(size, align).unwrap();
                assert!(words * WORD >= size.next_multiple_of(WORD) + WORD && (words * WORD) % align == 0);
            }
        }
        assert_eq!(slot_words(64, 8), Some(9));
        assert_eq!(slot_words(40, 8), Some(8));
        assert_eq!(slot_words(usize::MAX, 8), None);
    }
}
