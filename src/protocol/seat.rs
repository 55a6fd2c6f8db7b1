//! Who sits where.
//!
//! A seat is claimed by one compare-and-swap that names the claimant in the same word, so there is no
//! instruction between "taken" and "by whom":
//!
//! ```text
//!   63        54 53                       22 21                0
//!   │ generation │ identity                │ process id        │      process id 0: free
//!   └─ low 10 ───┴─ 32 bits ───────────────┴─ 22 bits ─────────┘
//! ```
//!
//! The identity tells a process from a later one with the same id (see [`crate::os::process`]). The
//! generation counts how often the seat was taken. Its full value stands in a word of its own that
//! may lag by one, since it is raised after the claim: whoever claims next raises it first, so ten
//! bits suffice to tell. A seat that is freed keeps its generation.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | P1 | [`release`] stores `holder` | [`claim`] and [`status`] load it: who sees the seat free sees all its holder did | `seat_succession`, `slots_close` |
//! | P2 | [`claim`] swaps `holder` | the same loads: who sees a generation sees the count at most one behind | `seat_generation` |
//! | P3 | [`claim`] raises the count | `full_generation` loads it: who sees the count sees the claim, and need not try again | `seat_race` |

use crate::layout::{POSITION_LIMIT, Process, Seat};
use crate::sync::Ordering::{Acquire, Relaxed, Release};

const PID_BITS: u32 = 22;
const IDENTITY_BITS: u32 = 32;
const GENERATION_BITS: u32 = 10;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const GENERATION_SHIFT: u32 = PID_BITS + IDENTITY_BITS;

/// How often a claim tries again when others change the seat under it. Each failure is another's
/// success, so with peers that follow the protocol one or two are enough.
const TRIES: usize = 64;

/// What a seat says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// `None`: free.
    pub holder: Option<Process>,
    /// How often the seat was taken so far.
    pub generation: u64,
}

/// A seat that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What stands in the seat's `holder` word; never 0.
    pub word: u64,
    pub generation: u64,
}

/// Why a seat could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Taken(Process, u64),
    /// The seat changed at every try, or says what cannot be: its `holder` word.
    Garbage(u64),
}

fn pack(process: Process, generation: u64) -> u64 {
    debug_assert!(process.pid != 0 && process.pid >> PID_BITS == 0);
    u64::from(process.pid)
        | u64::from(process.identity) << PID_BITS
        | (generation & GENERATION_MASK) << GENERATION_SHIFT
}

fn holder_of(word: u64) -> Option<Process> {
    let pid = (word & ((1 << PID_BITS) - 1)) as u32;
    (pid != 0).then_some(Process { pid, identity: (word >> PID_BITS) as u32 })
}

/// The full generation of a seat whose holder word is `word`; `None` if the two words contradict.
fn full_generation(seat: &Seat, word: u64) -> Option<u64> {
    let known = seat.generation.load(Acquire); // P3
    if known >= POSITION_LIMIT {
        return None;
    }
    match (word >> GENERATION_SHIFT).wrapping_sub(known) & GENERATION_MASK {
        0 => Some(known),
        1 => Some(known + 1),
        _ => None,
    }
}

/// Takes the seat for `me`, unless someone sits there.
pub(crate) fn claim(seat: &Seat, me: Process) -> Result<Claim, Refused> {
    let mut word = 0;
    for _ in 0..TRIES {
        word = seat.holder.load(Acquire); // P1, P2
        let Some(generation) = full_generation(seat, word) else { continue };
        if let Some(process) = holder_of(word) {
            return Err(Refused::Taken(process, generation));
        }
        // The predecessor may have left, or died, before it raised the count.
        seat.generation.fetch_max(generation, Release);
        let mine = pack(me, generation + 1);
        // P2
        if seat.holder.compare_exchange(word, mine, Release, Relaxed).is_ok() {
            seat.generation.fetch_max(generation + 1, Release); // P3
            return Ok(Claim { word: mine, generation: generation + 1 });
        }
    }
    Err(Refused::Garbage(word))
}

/// Frees the seat, if `word` still holds it.
pub(crate) fn release(seat: &Seat, word: u64) {
    let free = word & (GENERATION_MASK << GENERATION_SHIFT);
    let _ = seat.holder.compare_exchange(word, free, Release, Relaxed); // P1
}

/// Makes the seat of a private copy that of the original, with nobody on it.
pub(crate) fn copy_vacant(from: &Seat, to: &Seat) {
    // A seat that contradicts itself is copied as one that nobody ever took.
    let generation = status(from).map_or(0, |status| status.generation);
    to.generation.store(generation, Relaxed);
    to.holder.store((generation & GENERATION_MASK) << GENERATION_SHIFT, Relaxed);
}

/// Who sits there, and how often the seat was taken. `Err`: the seat's words contradict each other.
pub(crate) fn status(seat: &Seat) -> Result<Status, u64> {
    let mut word = 0;
    for _ in 0..TRIES {
        word = seat.holder.load(Acquire); // P1, P2
        if let Some(generation) = full_generation(seat, word) {
            return Ok(Status { holder: holder_of(word), generation });
        }
    }
    Err(word)
}

/// Whether nobody sits there. Orders nothing.
pub(crate) fn is_free(seat: &Seat) -> bool {
    holder_of(seat.holder.load(Relaxed)).is_none()
}

/// The generation of a holder that sat after `baseline` and left; `None` while one may still come
/// or sits.
pub(crate) fn left_since(seat: &Seat, baseline: u64) -> Option<u64> {
    if !is_free(seat) {
        return None;
    }
    match status(seat) {
        Ok(Status { holder: None, generation }) if generation > baseline => Some(generation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_keeps_every_field() {
        let process = Process { pid: (1 << 22) - 1, identity: 0xDEAD_BEEF };
        let word = pack(process, 1023);
        assert_eq!(holder_of(word), Some(process));
        assert_eq!(word >> GENERATION_SHIFT, 1023);
        assert_eq!(holder_of(word & (GENERATION_MASK << GENERATION_SHIFT)), None);
    }
}
