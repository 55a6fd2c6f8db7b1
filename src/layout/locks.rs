//! The kernel's locks on the region's file. Which byte is locked says what the lock means. No byte of the file is read or
//! written for it, and nearly all of these bytes lie far behind the file's end.
//!
//! ```text
//!   byte 0                  every attached process holds a shared lock, one that removes the file an exclusive one
//!   byte 2^22               held by the process that removes the file's name
//!   bits 0–21 not zero      a holder's sign of life:  pid 22 │ identity 24 │ seat 11 │ generation 6
//!   bits 0–21 zero, bit 62  a trial, to find out whether locks last as long as a mapping
//! ```
//!
//! A holder's byte names its process, its seat and its turn. Another claim has another byte, unless it has the same
//! process id, the same seat and 30 more bits alike; then a dead holder looks alive for as long as that claim lasts.

use super::seat::{IDENTITY_BITS, PID_BITS, RECEIVER};

/// The byte on which every attached process holds a shared lock, and one that removes the file an exclusive one.
pub(crate) const ATTACHED: u64 = 0;
/// The byte that is locked by the process that removes the file's name.
pub(crate) const UNLINKING: u64 = 1 << 22;

const SEAT_BITS: u32 = 11;
const GENERATION_BITS: u32 = 6;
const TRIAL: u64 = 1 << 62;

/// How many bytes a thread tries, at most.
pub(crate) const TRIALS: u64 = 64;

fn low(value: u64, bits: u32) -> u64 {
    value & ((1 << bits) - 1)
}

/// The byte that a holder locks for as long as its memory lives.
pub(crate) fn of_holder(seat: usize, pid: u32, identity: u32, generation: u64) -> u64 {
    let (seat, generation) = (low(seat as u64, SEAT_BITS), low(generation, GENERATION_BITS));
    low(pid.into(), PID_BITS)
        | low(identity.into(), IDENTITY_BITS) << PID_BITS
        | seat << (PID_BITS + IDENTITY_BITS)
        | generation << (PID_BITS + IDENTITY_BITS + SEAT_BITS)
}

/// The byte on which a thread tries locks: its alone, unless others have an id that ends alike, or forbid it on purpose.
pub(crate) fn of_trial(thread: u32, identity: u32, trial: u64) -> u64 {
    TRIAL | low(thread.into(), PID_BITS) << PID_BITS | low(identity.into(), 12) << 44 | (trial % TRIALS) << 56
}

const _: () = assert!(PID_BITS + IDENTITY_BITS + SEAT_BITS + GENERATION_BITS == 63, "a file's bytes have 63 bits");
const _: () = assert!(RECEIVER < 1 << SEAT_BITS);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_claims_lock_one_byte() {
        let mut bytes = BTreeSet::from([ATTACHED, UNLINKING]);
        for seat in 0..=RECEIVER {
            for generation in 1..=64 {
                let byte = of_holder(seat, 77, u32::MAX, generation);
                assert!(byte <= i64::MAX as u64 && bytes.insert(byte), "seat {seat}, generation {generation}");
            }
        }
        for thread in [1, 77, (1 << 22) - 1] {
            for identity in [0, 1, u32::MAX] {
                for trial in 0..TRIALS {
                    let byte = of_trial(thread, identity, trial);
                    assert!(byte < i64::MAX as u64 && byte & ((1 << 22) - 1) == 0, "names a process");
                    assert!(bytes.insert(byte), "thread {thread}, identity {identity:#x}, trial {trial}");
                }
            }
        }
    }
}
