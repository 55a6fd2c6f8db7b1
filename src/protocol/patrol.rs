//! Who asks the kernel after all holders of a table of seats, and how often.
//!
//! A blocked call asks whether its peer is alive. In a region with many seats, any of them may be the one that matters,
//! and many calls may be blocked. If each asked after all, 1024 of them would ask a million times. So one *pass* serves
//! the region: it asks after every holder and records the deaths where everybody finds them. A blocked call starts one
//! if the last began long enough ago, and a compare-and-swap lets one of several do it.
//!
//! ```text
//!   patrol word:  │ odd │ took 15 │ began 48 │
//!                    │      │          └── when the newest pass began, in microseconds of the monotonic clock; 0: never
//!                    │      └── what the last one took, in microseconds of one processor
//!                    └── changes with every pass
//! ```
//!
//! | event | what follows |
//! |---|---|
//! | a pass begins | `began` is now, `odd` changes, and `took` stays what the last pass took |
//! | it ends | `took` is what it took, unless another pass began meanwhile |
//! | the kernel would not say whether some holder lives | `began` is 0: the next blocked call asks too, and the kernel may answer it |
//! | its process ends | nothing is undone: what it recorded stands, and after one period another begins |
//!
//! The period is [`SHORTEST`], or [`SHARE`] times what the last pass took, if that is longer: passes take at most
//! 2 % of one processor. The clock decides who asks, never who is dead. A word from another boot, from another time
//! namespace or from a peer that writes garbage delays a pass by [`LONGEST`] at most; time that lies ahead counts as past.
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

const TIME_BITS: u32 = 48;
const TIME: u64 = (1 << TIME_BITS) - 1;
const ODD: u64 = 1 << 63;
const MOST_TAKEN: u64 = (ODD - 1) >> TIME_BITS;

/// A pass that this process began.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pass that does not end lets the next one begin too early or too late"]
pub(crate) struct Pass {
    word: u64,
}

impl Pass {
    /// Whether it is every second one: a pass may then do the one half of its work, and the next one the other.
    pub fn is_odd(&self) -> bool {
        self.word & ODD != 0
    }
}

/// The word of a pass after the one that left `last`.
fn after(last: u64, now: u64) -> u64 {
    (last ^ ODD) & !TIME | (now & TIME).max(1)
}

fn period(word: u64) -> u64 {
    ((word >> TIME_BITS & MOST_TAKEN) * SHARE).clamp(SHORTEST, LONGEST)
}

/// Begins a pass at `now`, in microseconds, if it is time for one and nobody else begins it.
pub(crate) fn begin(patrol: &AtomicU64, now: u64) -> Option<Pass> {
    let last = patrol.load(Relaxed);
    let since = now.wrapping_sub(last) & TIME;
    if last & TIME != 0 && since < period(last) {
        return None;
    }
    let word = after(last, now);
    patrol.compare_exchange(last, word, Relaxed, Relaxed).ok().map(|_| Pass { word }) // one pass a period
}

/// Begins a pass at once, whoever else is at it: the caller knows that somebody has just ended.
pub(crate) fn begin_now(patrol: &AtomicU64, now: u64) -> Pass {
    let word = after(patrol.load(Relaxed), now);
    patrol.store(word, Relaxed);
    Pass { word }
}

/// Ends a pass that took so many microseconds of a processor. `complete`: the kernel answered about every holder.
pub(crate) fn end(patrol: &AtomicU64, pass: Pass, took: u64, complete: bool) {
    let began = if complete { pass.word & TIME } else { 0 };
    let word = pass.word & ODD | took.min(MOST_TAKEN) << TIME_BITS | began;
    let _ = patrol.compare_exchange(pass.word, word, Relaxed, Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOW: u64 = 1 << 40;

    #[test]
    fn a_pass_begins_once_a_period() {
        let patrol = AtomicU64::new(0);
        let pass = begin(&patrol, NOW).unwrap();
        assert_eq!(begin(&patrol, NOW + SHORTEST - 1), None, "while it lasts");
        end(&patrol, pass, 100, true);
        assert_eq!(begin(&patrol, NOW + SHORTEST - 1), None, "after it");
        // Its process ends in it, and the next one begins all the same.
        let odd = begin(&patrol, NOW + SHORTEST).unwrap().is_odd();
        let next = begin(&patrol, NOW + 2 * SHORTEST).unwrap();
        assert_ne!(next.is_odd(), odd, "what one leaves out the next one does");
    }

    #[test]
    fn passes_take_a_fiftieth_of_one_processor_at_most() {
        let patrol = AtomicU64::new(0);
        let pass = begin(&patrol, NOW).unwrap();
        end(&patrol, pass, 1000, true);
        assert_eq!(begin(&patrol, NOW + 1000 * SHARE - 1), None);
        let pass = begin(&patrol, NOW + 1000 * SHARE).unwrap();
        end(&patrol, pass, u64::MAX, true);
        assert_eq!(begin(&patrol, NOW + 1000 * SHARE + LONGEST - 1), None);
        assert!(begin(&patrol, NOW + 1000 * SHARE + LONGEST).is_some());
    }

    #[test]
    fn a_pass_that_was_told_too_little_is_followed_by_another_at_once() {
        let patrol = AtomicU64::new(0);
        let pass = begin(&patrol, NOW).unwrap();
        end(&patrol, pass, 100, false);
        assert!(begin(&patrol, NOW + 1).is_some());
    }

    #[test]
    fn a_pass_that_ends_late_does_not_end_the_next_one() {
        let patrol = AtomicU64::new(0);
        let late = begin(&patrol, NOW).unwrap();
        let next = begin(&patrol, NOW + SHORTEST).unwrap();
        end(&patrol, late, 5, false);
        assert_eq!(patrol.load(Relaxed), next.word);
    }

    #[test]
    fn no_word_keeps_passes_away_for_longer_than_the_longest_period() {
        let one_bit = (0..64).map(|bit| 1 << bit);
        for word in one_bit.chain([0, u64::MAX, NOW, NOW + 1, NOW | ODD, NOW | u64::MAX << TIME_BITS, TIME]) {
            let patrol = AtomicU64::new(word);
            assert!(begin(&patrol, NOW).or_else(|| begin(&patrol, NOW + LONGEST)).is_some(), "{word:#x}");
        }
    }
}
