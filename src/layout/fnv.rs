//! FNV-1a (Fowler, Noll, Vo): every step is a bijection of the state, so any one changed byte changes the sum.

/// The sum of no bytes.
pub(crate) const START: u64 = 0xcbf2_9ce4_8422_2325;

/// The sum of `bytes` behind those that gave `sum`.
pub(crate) fn fnv(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
