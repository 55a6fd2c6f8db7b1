//! A table of seats: who takes which row, and which of its holders died.
//!
//! A row's seat is claimed, held and left like any other (see [`super::seat`]). A claimant takes the first free row from
//! `first` on, which differs between processes, so that they seldom meet. Only if no row is free does it ask the kernel
//! about their holders, row by row.

use super::seat::{self, Claim, Refused};
use crate::layout::{Process, Row};

/// Why no row could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRow<E> {
    /// Somebody alive holds each of them, or the words of a row contradict each other.
    Full,
    /// The claimant could not give the sign of life that its word promises.
    NoLivenessLock(E),
}

/// Takes a row for `me`, and returns its number. `gone` asks the kernel about a row's holder with a word;
/// `lock_liveness` takes the lock that goes with a row and a word, before anyone can see that word; `unlock` gives it back.
pub(crate) fn claim<E>(
    rows: &[Row],
    first: usize,
    me: Process,
    gone: impl Fn(usize, u64) -> bool,
    lock_liveness: impl Fn(usize, u64) -> Result<(), E>,
    unlock: impl Fn(usize, u64),
) -> Result<(usize, Claim), NoRow<E>> {
    for kernel_is_asked in [false, true] {
        for number in (0..rows.len()).map(|offset| (first % rows.len() + offset) % rows.len()) {
            let seat = &rows[number].seat;
            if !kernel_is_asked && !seat::is_free(seat) {
                continue;
            }
            let gone = |word| kernel_is_asked && gone(number, word); // the dead's rows are taken
            match seat::claim(seat, me, gone, |word| lock_liveness(number, word), |word| unlock(number, word)) {
                Ok(claim) => return Ok((number, claim)),
                Err(Refused::Taken(_) | Refused::Garbage(_)) => {}
                Err(Refused::NoLivenessLock(error)) => return Err(NoRow::NoLivenessLock(error)),
            }
        }
    }
    Err(NoRow::Full)
}

/// Records for everyone which holders of rows died, and returns how many. `gone` asks the kernel about a row's holder with
/// a word. A holder whose death is known already is not asked about.
pub(crate) fn record_deaths(rows: &[Row], mut gone: impl FnMut(usize, u64) -> bool) -> usize {
    let mut deaths = 0;
    for (number, Row { seat, .. }) in rows.iter().enumerate().filter(|(_, row)| seat::is_occupied(&row.seat)) {
        if let Some(generation) = seat::dead_holder(seat, |word| gone(number, word)) {
            seat::record_death(seat, generation); // deaths in rows
            deaths += 1;
        }
    }
    deaths
}
