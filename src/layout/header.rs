//! The header: the first bytes of the region. The creator writes it before the region can be found; from then on it
//! never changes, and everyone maps it read-only. Everyone reads it once, by copy, and checks all of it
//! (`crate::region::header`).

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Longest type name the header holds, in bytes.
pub(crate) const NAME_LEN: usize = 64;
/// Longest text of a schema, which stands right behind the header, in bytes.
pub(crate) const SCHEMA_LEN: usize = 3072;

/// Words that say 0 until a later version of the crate gives them a meaning.
pub(crate) const RESERVED: usize = 28;

/// What the creator wrote of the region.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: [u8; 8],
    pub endian: u32,
    pub version: u32,
    pub word_bits: u32,
    /// [`Kind`](super::Kind) as a number.
    pub kind: u32,
    /// Bytes between words that must not share a cache line: it decides where the control words lie.
    pub padding: u64,
    pub page_size: u64,
    /// Bytes of the whole file or mapping, the mirror not counted.
    pub region_len: u64,
    /// Senders that have a lane of their own.
    pub lanes: u64,
    /// Rows of the table of seats.
    pub rows: u64,
    /// Where the lanes, the rows and the data begin, in bytes from the beginning of the region.
    pub lanes_offset: u64,
    pub rows_offset: u64,
    pub data_offset: u64,
    /// Bytes of data of each lane, a whole number of pages.
    pub data_len: u64,
    /// Slots of a slot ring, words of a record ring, cells of a seqlock; of each lane.
    pub capacity: u64,
    /// Words from one slot or cell to the next; 1 in a record ring.
    pub stride: u64,
    pub type_size: u64,
    pub type_align: u64,
    /// The type's name, UTF-8, padded with zeroes.
    pub type_name: [u8; NAME_LEN],
    /// Names the type's fields, their order and their types; 0 = unknown.
    pub schema_hash: u64,
    /// Bytes of the schema's text behind the header; 0: there is none.
    pub schema_len: u64,
    /// How the kind is to work, where it can work in several ways; 0 for the kinds of today. A bit each: strict,
    /// lossless, durable.
    pub mode: u64,
    /// How often a job is handed out before it is put aside; 0 for the kinds of today.
    pub deliveries: u64,
    /// Boot, PID and time namespace in which the region was made, as one number; 0 = unknown.
    pub origin: u64,
    /// The boot alone in which the region was made, as a number; 0 = unknown.
    pub boot: u64,
    /// Random: tells two regions apart, also a copy that was adopted from its original.
    pub id: [u64; 2],
    /// The file in which the region was made: what contradicts it is a copy.
    pub file: FileIdentity,
    pub reserved: [u64; RESERVED],
    /// FNV-1a over every byte of the header before it, and of the schema's text.
    pub checksum: u64,
}

/// What tells a file from every other, also after a remount, a reboot or a move within its file system. A copy has
/// another one. See docs/copies.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FileIdentity {
    /// 0: there is no file.
    pub inode: u64,
    /// When the file was made, in nanoseconds since the epoch; 0: the kernel does not say.
    pub born: u64,
    /// The btrfs subvolume that it lies in; 0: none, or the kernel does not say.
    pub subvolume: u64,
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Header, magic) == 0);
    assert!(offset_of!(Header, endian) == 8);
    assert!(offset_of!(Header, version) == 12);
    assert!(offset_of!(Header, word_bits) == 16);
    assert!(offset_of!(Header, kind) == 20);
    assert!(offset_of!(Header, padding) == 24);
    assert!(offset_of!(Header, page_size) == 32);
    assert!(offset_of!(Header, region_len) == 40);
    assert!(offset_of!(Header, lanes) == 48);
    assert!(offset_of!(Header, rows) == 56);
    assert!(offset_of!(Header, lanes_offset) == 64);
    assert!(offset_of!(Header, rows_offset) == 72);
    assert!(offset_of!(Header, data_offset) == 80);
    assert!(offset_of!(Header, data_len) == 88);
    assert!(offset_of!(Header, capacity) == 96);
    assert!(offset_of!(Header, stride) == 104);
    assert!(offset_of!(Header, type_size) == 112);
    assert!(offset_of!(Header, type_align) == 120);
    assert!(offset_of!(Header, type_name) == 128);
    assert!(offset_of!(Header, schema_hash) == 192);
    assert!(offset_of!(Header, schema_len) == 200);
    assert!(offset_of!(Header, mode) == 208);
    assert!(offset_of!(Header, deliveries) == 216);
    assert!(offset_of!(Header, origin) == 224);
    assert!(offset_of!(Header, boot) == 232);
    assert!(offset_of!(Header, id) == 240);
    assert!(offset_of!(Header, file) == 256);
    assert!(offset_of!(FileIdentity, inode) == 0);
    assert!(offset_of!(FileIdentity, born) == 8);
    assert!(offset_of!(FileIdentity, subvolume) == 16);
    assert!(size_of::<FileIdentity>() == 24);
    assert!(offset_of!(Header, reserved) == 280);
    assert!(offset_of!(Header, checksum) == 504);
    assert!(size_of::<Header>() == 512);
    assert!(size_of::<Header>() + SCHEMA_LEN <= 4096);
};
