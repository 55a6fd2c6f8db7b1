//! Numbers that protocols trip over, and numbers that were chosen by the caller of the tests.

use std::env;

/// The number in an environment variable.
pub fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is no number")))
}

/// A random number that protocols trip over, around the position `near`.
pub fn evil(random: &mut fastrand::Rng, near: u64) -> u64 {
    match random.u32(0..12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => near.wrapping_add(1_000_000_000),
        4 => 1 << random.u32(0..64),
        5 => (1 << random.u32(0..64)) - 1,
        6 => near << 30 | random.u64(0..10_000) | random.u64(..2) << 63,
        7 => near << 30 | 0x3FFF_FFFF,
        8..10 => near.wrapping_add(random.u64(0..7)).wrapping_sub(3),
        _ => random.u64(..),
    }
}

/// Numbers that protocols trip over, around some positions and the words in the seats.
pub fn interesting(positions: &[u64], holders: &[u64], dead: u64) -> Vec<u64> {
    const BITS: [u32; 20] = [4, 7, 8, 9, 12, 16, 20, 22, 30, 31, 32, 33, 43, 53, 54, 55, 56, 61, 62, 63];
    const PIDS: u64 = (1 << 22) - 1;
    let mut numbers: Vec<u64> = (0..9).collect();
    numbers.extend(BITS.iter().flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
    numbers.extend([u64::MAX, u64::MAX - 1, 0xFFFF << 48, 0xA5A5_A5A5_A5A5_A5A5]);
    for pos in positions {
        numbers.extend([pos - 1, *pos, pos + 1]);
    }
    for pos in positions.iter().take(6) {
        // Stamps with the news of a death: of the one that happened, or of another.
        numbers.extend([0, 1, 3, (1 << 20) - 1].map(|generation| 1 << 63 | generation << 43 | pos));
        // Headers of the shortest and the longest record, of none, of one that is too long, and of the longest there
        // can be.
        numbers.extend([0, 1, 2, 41, 4081, 4082, 0x3FFF_FFFF].map(|len| pos << 30 | len));
    }
    for holder in holders {
        let of = |pid: u64| holder & !PIDS | pid;
        // Nobody, init, a dead process, the largest id; not at home, without a lock, neither; another identity, a later
        // turn.
        numbers.extend([of(0), of(1), of(dead), of(PIDS), holder ^ 1 << 47, holder ^ 1 << 46, holder ^ 3 << 46]);
        numbers.extend([holder ^ 1 << 30, holder.wrapping_add(1 << 48), holder.wrapping_sub(1 << 48), *holder]);
    }
    numbers.sort();
    numbers.dedup();
    numbers
}
