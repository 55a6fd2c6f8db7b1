//! Who sits where.
//!
//! A seat is claimed by one compare-and-swap that names the claimant in the same word, so there is no
//! instruction between "taken" and "by whom":
//!
//! ```text
//!   63       48 47     46       45       22 21          0
//!   │ generat.  │origin│ locked │ identity │ process id │      process id 0: free
//!   └─ low 16 ──┴──────┴────────┴─ 24 bits ┴─ 22 bits ──┘
//! ```
//!
//! The identity tells a process from a later one with the same id (see [`crate::os::process`]). `origin` and `locked` say
//! what the kernel can be asked about the process (see [`crate::liveness`]). The generation counts how often the seat was
//! taken. Its full value stands in a word of its own. That word may lag by one, since it is raised after the claim; the
//! next claimant raises it first, so the low bits here are enough to know it. A process that learned from the kernel that a
//! holder is gone compares both words again before it acts on that, because the holder may have left, and the low bits may
//! have come round. A seat that is freed keeps its generation. A seat whose holder died keeps its holder, and `died` says
//! that it did:
//!
//! | state | `holder` | `died` | next |
//! |---|---|---|---|
//! | never taken, or left | names nobody | below the generation, or as it was | claimed |
//! | left by a panic | names nobody | the generation | claimed |
//! | held | names a process | below the generation | left, or its holder dies |
//! | held by the dead | names a process that is gone | perhaps raised to the generation | claimed by any process to which the kernel says that it is gone |
//!
//! `died` is news, not proof: a claimant asks the kernel about the holder, whatever `died` says.
//!
//! # Ordering
//!
//! | pair | release | acquire | model that fails without it |
//! |---|---|---|---|
//! | P1 | [`release`] stores `holder` | [`claim`] and [`status`] load it: who sees the seat free sees all its holder did | `seat_succession`, `slots_close` |
//! | P2 | [`claim`] swaps `holder` | the same loads: who sees a generation sees the count at most one behind | `seat_generation` |
//! | P3 | [`claim`] raises the count | `full_generation` loads it: who sees the count sees the claim, and need not try again | `seat_race` |
//! | P4 | [`record_death`] raises `died` | [`ended_since`] loads it: a process that sees a death sees all that the dead one did | `slots_death_is_reported_last` |

use crate::layout::seat::{IDENTITY_BITS, PID_BITS};
use crate::layout::{POSITION_LIMIT, Process, Seat, locks};
use crate::sync::Ordering::{Acquire, Relaxed, Release};

const LOCKED: u64 = 1 << (PID_BITS + IDENTITY_BITS);
const SAME_ORIGIN: u64 = LOCKED << 1;
const GENERATION_BITS: u32 = 16;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const GENERATION_SHIFT: u32 = PID_BITS + IDENTITY_BITS + 2;

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
    /// The `holder` word.
    pub word: u64,
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
pub(crate) enum Refused<E> {
    Taken(Status),
    /// The seat changed at every try, or says what cannot be: its `holder` word.
    Garbage(u64),
    /// The claimant could not give the sign of life that its word promises.
    NoLivenessLock(E),
}

/// How a holder's turn ended, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left(u64),
    Died(u64),
}

fn pack(process: Process, generation: u64) -> u64 {
    debug_assert!(process.pid != 0 && process.pid >> PID_BITS == 0);
    u64::from(process.pid)
        | u64::from(identity_in(process.identity.into())) << PID_BITS
        | if process.locked { LOCKED } else { 0 }
        | if process.same_origin { SAME_ORIGIN } else { 0 }
        | (generation & GENERATION_MASK) << GENERATION_SHIFT
}

/// The bits of an identity that a word has room for.
fn identity_in(bits: u64) -> u32 {
    (bits & ((1 << IDENTITY_BITS) - 1)) as u32
}

/// The process that a `holder` word names.
pub(crate) fn holder_of(word: u64) -> Option<Process> {
    let pid = (word & ((1 << PID_BITS) - 1)) as u32;
    let (same_origin, locked) = (word & SAME_ORIGIN != 0, word & LOCKED != 0);
    (pid != 0).then_some(Process { pid, identity: identity_in(word >> PID_BITS), same_origin, locked })
}

/// The byte of the region's file that the holder with this word has locked, if it says that it has: see
/// [`crate::layout::locks`].
pub(crate) fn lock_byte(number: usize, word: u64) -> u64 {
    let (pid, identity) = ((word & ((1 << PID_BITS) - 1)) as u32, identity_in(word >> PID_BITS));
    locks::of_holder(number, pid, identity, word >> GENERATION_SHIFT)
}

/// The full generation of a seat whose holder word is `word`; `None` if the two words contradict.
fn full_generation<M>(seat: &Seat<M>, word: u64) -> Option<u64> {
    let known = seat.generation.acquire(); // P3 acquire; P1 acquire; P1 acquire (close)
    if known >= POSITION_LIMIT {
        return None;
    }
    match (word >> GENERATION_SHIFT).wrapping_sub(known) & GENERATION_MASK {
        0 => Some(known),
        1 => Some(known + 1),
        _ => None,
    }
}

/// Takes the seat for `me`, unless a holder sits there who is not gone. `gone` asks the kernel about the holder with a
/// word. `lock_liveness` takes the lock that goes with a word, before anyone can see that word; `unlock` gives it back.
pub(crate) fn claim<E>(
    seat: &Seat,
    me: Process,
    gone: impl Fn(u64) -> bool,
    lock_liveness: impl Fn(u64) -> Result<(), E>,
    unlock: impl Fn(u64),
) -> Result<Claim, Refused<E>> {
    let mut word = 0;
    for _ in 0..TRIES {
        word = seat.holder.load(Acquire); // P1 acquire; P2
        let Some(generation) = full_generation(seat, word) else { continue };
        let holder = holder_of(word);
        if holder.is_some_and(|holder| !holder.same_origin && !holder.locked) {
            // No claimant is one that nobody can ask about.
            return Err(Refused::Garbage(word));
        }
        if holder.is_some() && !gone(word) {
            return Err(Refused::Taken(Status { holder, generation, word }));
        }
        if !still_names(seat, word, generation) {
            continue;
        }
        // The predecessor may have left, or died, before it raised the count.
        seat.generation.fetch_max(generation, Release); // count raised for the dead
        if holder.is_some() {
            record_death(seat, generation);
        }
        let mine = pack(me, generation + 1);
        lock_liveness(mine).map_err(Refused::NoLivenessLock)?;
        let claimed = seat.holder.compare_exchange(word, mine, Release, Relaxed); // P2 release
        if claimed.is_ok() {
            seat.generation.fetch_max(generation + 1, Release); // P3 release
            return Ok(Claim { word: mine, generation: generation + 1 });
        }
        unlock(mine);
    }
    Err(Refused::Garbage(word))
}

/// Whether the seat's word is still that of this turn. A holder that is gone may have left the seat before it ended, and so
/// did not die in it; but nothing except a claim changes the word of a dead holder. The count is compared as well: the
/// word is the same again after 65,536 turns, which another may take while the caller is stopped.
fn still_names<M>(seat: &Seat<M>, word: u64, generation: u64) -> bool {
    seat.holder.relaxed() == word && full_generation(seat, word) == Some(generation) // leaver not recorded as dead
}

/// The generation of the holder, if it died. `gone` asks the kernel.
pub(crate) fn dead_holder<M>(seat: &Seat<M>, gone: impl FnOnce(u64) -> bool) -> Option<u64> {
    let Ok(Status { holder: Some(_), generation, word }) = status(seat) else { return None };
    (gone(word) && still_names(seat, word, generation)).then_some(generation)
}

/// Records for everyone that a holder died in the seat.
pub(crate) fn record_death(seat: &Seat, generation: u64) {
    seat.died.fetch_max(generation, Release); // P4 release
}

/// Frees the seat, if `word` still holds it.
pub(crate) fn release(seat: &Seat, word: u64) {
    let free = word & (GENERATION_MASK << GENERATION_SHIFT);
    let _ = seat.holder.compare_exchange(word, free, Release, Relaxed); // P1 release
}

/// Makes the seat of a private copy that of the original, with nobody on it.
pub(crate) fn copy_vacant<M>(from: &Seat<M>, to: &Seat) {
    // A seat that contradicts itself is copied as one that nobody ever took.
    let generation = status(from).map_or(0, |status| status.generation);
    to.generation.store(generation, Relaxed);
    to.holder.store((generation & GENERATION_MASK) << GENERATION_SHIFT, Relaxed);
}

/// Who sits there, dead or alive, and how often the seat was taken. `Err`: the seat's words contradict each
/// other.
pub(crate) fn status<M>(seat: &Seat<M>) -> Result<Status, u64> {
    let mut word = 0;
    for _ in 0..TRIES {
        word = seat.holder.acquire(); // P1 acquire (close); P2
        if let Some(generation) = full_generation(seat, word) {
            return Ok(Status { holder: holder_of(word), generation, word });
        }
    }
    Err(word)
}

/// Whether nobody sits there. Orders nothing.
pub(crate) fn is_free<M>(seat: &Seat<M>) -> bool {
    holder_of(seat.holder.relaxed()).is_none()
}

/// Whether somebody holds the seat who is not known to have died.
pub(crate) fn is_occupied<M>(seat: &Seat<M>) -> bool {
    status(seat).is_ok_and(|status| status.holder.is_some() && died(seat) < status.generation)
}

/// The newest generation known to have died, 0 if none: not one that nobody can have had yet.
pub(crate) fn died<M>(seat: &Seat<M>) -> u64 {
    let died = seat.died.acquire(); // P4 acquire; P1 acquire (close)
    if may_have_been(seat, died) { died } else { 0 }
}

/// Whether a generation is one that the seat can have seen. The count may lag by one.
pub(crate) fn may_have_been<M>(seat: &Seat<M>, generation: u64) -> bool {
    generation <= seat.generation.relaxed().saturating_add(1) && generation < POSITION_LIMIT
}

/// How a holder after `baseline` ended: a death is reported even if the seat was taken again, a leaving only while the
/// seat is free.
pub(crate) fn ended_since<M>(seat: &Seat<M>, baseline: u64) -> Option<End> {
    // The leaving first: a process that sees it also sees each death before it, and reports that first.
    let left = left_since(seat, baseline); // death before leaving
    let died = died(seat);
    let end = left.map(End::Left); // death before leaving
    if died > baseline { Some(End::Died(died)) } else { end }
}

/// The generation of a holder that sat after `baseline` and left; `None` while one may still come
/// or sits.
pub(crate) fn left_since<M>(seat: &Seat<M>, baseline: u64) -> Option<u64> {
    if !is_free(seat) {
        return None;
    }
    match status(seat) {
        Ok(Status { holder: None, generation, .. }) if generation > baseline => Some(generation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_keeps_every_field() {
        for (same_origin, locked) in [(false, false), (false, true), (true, false), (true, true)] {
            let process = Process { pid: (1 << 22) - 1, identity: 0xAD_BEEF, same_origin, locked };
            let word = pack(process, 65_535);
            assert_eq!(holder_of(word), Some(process));
            assert_eq!(word >> GENERATION_SHIFT, 65_535);
            assert_eq!(holder_of(word & (GENERATION_MASK << GENERATION_SHIFT)), None);
        }
    }
}
