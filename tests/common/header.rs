//! A region's header, as a test overwrites it: where each field lies, in bytes, and the checksum that fits.

pub const LEN: usize = 512;
/// The header, the text of the schema behind it, and what is unused of the page.
pub const PAGE: usize = 4096;
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
pub const SCHEMA_HASH: usize = 192;
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

/// FNV-1a.
pub fn fnv<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The checksum of a header and the text behind it: what a first page must have.
pub fn checksum(page: &[u8]) -> u64 {
    let schema = &page[LEN..LEN + number(page, SCHEMA_LEN).min(3072) as usize];
    fnv(page[..CHECKSUM].iter().chain(schema))
}

/// Puts the checksum that fits into the header of a first page.
pub fn seal(page: &mut [u8]) {
    let sum = checksum(page);
    page[CHECKSUM..LEN].copy_from_slice(&sum.to_ne_bytes());
}
