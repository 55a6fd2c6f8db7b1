//! Who asks the kernel about every holder of a table of seats, and how often.
//!
//! A blocked call asks whether its peer is alive. In a region with many seats, any of them may be the one that matters,
//! and many calls may be blocked. If each asked about every seat, 1024 of them would ask a million times. So one *pass*
//! serves the region: it asks about every holder and records the deaths where everybody finds them. A blocked call begins
//! one if the last began long enough ago, and a compare-and-swap lets one of several do it.
//!
//! ```text
//!   patrol word:  │ took 16 │ began 48 │
//!                     │          └── when the newest pass began, in microseconds of the monotonic clock; 0: never
//!                     └── what the last one took, in microseconds of one processor
//! ```
//!
//! | event | what follows |
//! |---|---|
//! | a pass begins | `began` is now, and `took` stays what the last pass took |
//! | it ends | `took` is what it took, unless another pass began meanwhile |
//! | its process ends | nothing is undone: what it recorded stands, and after one period another begins |
//!
//! The period is [`SHORTEST`], or [`SHARE`] times what the last pass took, if that is longer, and no longer than
//! [`LONGEST`]: passes of up to 20 ms take at most 2 % of one processor. Each caller adds a random time of its own, for the
//! kernel may tell one process what it does not tell another, and so everybody must come to ask. The clock decides who asks,
//! never who is dead. A word from another boot, from another time namespace or from a peer that writes garbage delays a pass
//! by [`LONGEST`] at most; a time in the future counts as long ago.
//!
//! The word orders nothing: deaths are published by [`record_death`](super::seat::record_death) (P4).

use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// The shortest time from the beginning of one pass to that of the next, in microseconds. It is shorter than the time
/// between two looks of one blocked call, so that a call alone begins a pass at each.
pub(crate) const SHORTEST: u64 = 15_000;
/// The longest, in microseconds.
pub(crate) const LONGEST: u64 = 1_000_000;
/// A pass begins after this many times what the last one took.
pub(crate) const SHARE: u64 = 50;

/// The longest time that a caller adds, in microseconds.
pub(crate) const JITTER: u64 = 1 << 14;

const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;
const MOST_TAKEN: u64 = u64::MAX >> TIME_BITS;

/// A pass that this process began.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pass that does not end lets the next one begin too early or too late"]
pub(crate) struct Pass {
    word: u64,
}

fn pack(took: u64, began: u64) -> u64 {
    took.min(MOST_TAKEN) << TIME_BITS | (began & TIME).max(1)
}

fn period(word: u64) -> u64 {
    ((word >> TIME_BITS) * SHARE).clamp(SHORTEST, LONGEST)
}

/// Begins a pass at `now`, if it is time for one and nobody else begins it. It is time `jitter` after the period. Both are
/// in microseconds.
pub(crate) fn begin(patrol: &AtomicU64, now: u64, jitter: u64) -> Option<Pass> {
    let last = patrol.load(Relaxed);
    let since = now.wrapping_sub(last) & TIME;
    if last & TIME != 0 && since < period(last) + jitter.min(JITTER) {
        return None;
    }
    let word = pack(last >> TIME_BITS, now);
    patrol.compare_exchange(last, word, Relaxed, Relaxed).ok().map(|_| Pass { word }) // one pass a period
}

/// Begins a pass at once, whoever else is at it: the caller knows that somebody has just ended.
pub(crate) fn begin_now(patrol: &AtomicU64, now: u64) -> Pass {
    let word = pack(patrol.load(Relaxed) >> TIME_BITS, now);
    patrol.store(word, Relaxed);
    Pass { word }
}

/// Ends a pass that took so many microseconds of a processor.
pub(crate) fn end(patrol: &AtomicU64, pass: Pass, took: u64) {
    let _ = patrol.compare_exchange(pass.word, pack(took, pass.word), Relaxed, Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOW: u64 = 1 << 40;

    #[test]
    fn a_pass_begins_once_a_period() {
        let patrol = AtomicU64::new(0);
        let pass = begin(&patrol, NOW, 0).unwrap();
        assert_eq!(begin(&patrol, NOW + SHORTEST - 1, 0), None, "while it lasts");
        end(&patrol, pass, 100);
        assert_eq!(begin(&patrol, NOW + SHORTEST - 1, 0), None, "after it");
        assert_eq!(begin(&patrol, NOW + SHORTEST, 1), None, "one that waits longer");
        // Its process ends in it, and the next one begins all the same.
        let _ = begin(&patrol, NOW + SHORTEST, 0).unwrap();
        let _ = begin(&patrol, NOW + 2 * SHORTEST + JITTER, u64::MAX).unwrap();
    }

    #[test]
    fn passes_take_a_fiftieth_of_one_processor_at_most() {
        let patrol = AtomicU64::new(0);
        let pass = begin(&patrol, NOW, 0).unwrap();
        end(&patrol, pass, 1000);
        assert_eq!(begin(&patrol, NOW + 1000 * SHARE - 1, 0), None);
        let pass = begin(&patrol, NOW + 1000 * SHARE, 0).unwrap();
        end(&patrol, pass, u64::MAX);
        assert_eq!(begin(&patrol, NOW + 1000 * SHARE + LONGEST - 1, 0), None);
        assert!(begin(&patrol, NOW + 1000 * SHARE + LONGEST, 0).is_some());
    }

    #[test]
    fn a_pass_that_ends_late_does_not_end_the_next_one() {
        let patrol = AtomicU64::new(0);
        let late = begin(&patrol, NOW, 0).unwrap();
        let next = begin(&patrol, NOW + SHORTEST, 0).unwrap();
        end(&patrol, late, 5);
        assert_eq!(patrol.load(Relaxed), next.word);
    }

    #[test]
    fn no_word_keeps_passes_away_for_longer_than_the_longest_period() {
        let one_bit = (0..64).map(|bit| 1 << bit);
        for word in one_bit.chain([0, u64::MAX, NOW, NOW + 1, NOW | u64::MAX << TIME_BITS, TIME]) {
            let patrol = AtomicU64::new(word);
            assert!(begin(&patrol, NOW, 0).or_else(|| begin(&patrol, NOW + LONGEST, 0)).is_some(), "{word:#x}");
        }
    }
}
