//! A region's header, as a test overwrites it: where each field lies, in bytes, and the checksum that fits.

pub const LEN: usize = 512;
pub const KIND: usize = 20;
pub const PADDING: usize = 24;
pub const PAGE_SIZE: usize = 32;
pub const REGION_LEN: usize = 40;
pub const LANES: usize = 48;
pub const ROWS: usize = 56;
pub const LANES_OFFSET: usize = 64;
pub const ROWS_OFFSET: usize = 72;
pub const DATA_OFFSET: usize = 80;
pub const DATA_LEN: usize = 88;
pub const CAPACITY: usize = 96;
pub const STRIDE: usize = 104;
pub const TYPE_SIZE: usize = 112;
pub const TYPE_ALIGN: usize = 120;
pub const TYPE_NAME: usize = 128;
pub const SCHEMA_LEN: usize = 200;
pub const MODE: usize = 208;
pub const DELIVERIES: usize = 216;
pub const ORIGIN: usize = 224;
pub const BOOT: usize = 232;
/// Inode, birth and subvolume of the file.
pub const FILE: usize = 256;
pub const RESERVED: usize = 280;
pub const CHECKSUM: usize = 504;

/// The number at `at`.
pub fn number(header: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(header[at..at + 8].try_into().unwrap())
}

/// FNV-1a of all but the last eight bytes of a header. The region has no schema.
pub fn checksum(header: &[u8]) -> u64 {
    let sum = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    header[..CHECKSUM].iter().fold(0xcbf2_9ce4_8422_2325, sum)
}

/// Puts the checksum that fits into a header.
pub fn seal(header: &mut [u8]) {
    let sum = checksum(header);
    header[CHECKSUM..LEN].copy_from_slice(&sum.to_ne_bytes());
}
