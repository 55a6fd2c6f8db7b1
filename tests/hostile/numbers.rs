//! Numbers that protocols trip over.

/// One of them, at random, around the position `near`.
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
