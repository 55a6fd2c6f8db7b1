//! Everything two processes must agree on: the one file that owns it.
//!
//! A region is a whole number of pages. `P` is the page size the header names (4 KiB, or that of the
//! huge pages behind the region); offsets are in bytes.
//!
//! ```text
//!   0 ───────────────► P ───────────────► 2P ───────────────────────► 2P + data_len
//!   │ Header           │ Control          │ data                      │ (bytes only: the same data
//!   │ written once by  │ one word, one    │ slots, records or cells   │  mapped once more, so that a
//!   │ the creator;     │ writer, each on  │                           │  record across the end is
//!   │ mapped read-only │ a line of its own│                           │  contiguous)
//! ```
//!
//! # Who writes what
//!
//! | word | written by | read by | holds |
//! |---|---|---|---|
//! | `Header` | the creator, before the region can be found | everyone, once, by copy | geometry, the file it was made in, checksum |
//! | `Seat::holder` | whoever claims (CAS from free, or from the dead), the holder (to free) | everyone | [`crate::protocol::seat`]'s packing of pid, identity, generation |
//! | `Seat::generation` | claimants (`fetch_max`) | everyone | how often the seat was taken; may lag `holder` by one |
//! | `Seat::died` | whoever has the kernel's word for it (`fetch_max`) | everyone | the newest generation that ended without leaving, 0 = none |
//! | `Seat::barrier` | the holder, at attach | tools | [`BARRIER_REGISTERED`] or [`BARRIER_FENCES`] |
//! | `head` | the receiver, at every message | the sender, when its copy says full | first position not yet consumed |
//! | `told` | the receiver | the next receiver, the next sender | generation of the last sender whose end was reported |
//! | `handed` | the receiver, when it lends a message in place | the next receiver | position of the last message that was lent |
//! | `tally` | a record ring's receiver, before `head` | the next receiver, the sender, who counts | position, counted from [`FIRST`], + records consumed << 28 (see [`crate::protocol::counts`]) |
//! | `latest` | the seqlock's writer | readers | version of the newest whole value, 0 = none yet |
//! | `batch` | a slot ring's sender, before each batch; its successor | the next sender, who counts the messages | first position of the newest batch, which is published from its end on (see [`crate::protocol::slots`]); with bit 63, of one that died half-way and was taken back |
//! | `checkpoints`, `turn` | a record ring's sender, when it looks for space | the next sender, who counts | records published before a position; `turn` says which of the two is good |
//! | `data_wait` | the receiver or readers, when they sleep or leave; whoever wakes them | the sender, after every publication | see [`crate::protocol::wait_word`] |
//! | `space_wait` | likewise, with the two sides exchanged | the receiver, after every consumption | same |
//! | `flags` | whoever takes the file's name away on purpose (`fetch_or`) | who asks whether its file still has its name | [`UNLINKED`] |
//!
//! # Data
//!
//! Positions count from [`FIRST`], are `u64` and never wrap: at a message a nanosecond they last 146
//! years. They count slots in a slot ring, 8-byte words in a record ring, values in a cell.
//!
//! ```text
//!   slot    (spsc)    payload, padded to 8 │ … │ stamp: position + 1 once published
//!   record  (bytes)   header: tag << 30 | length + 1 │ payload, padded to 8     0 = not published
//!   cell    (seqlock) payload, padded to 8 │ mark: the version that is or was written there
//! ```
//!
//! A slot's stamp is its *last* word, so that the sender touches every cache line once, in address
//! order; the header of a record must come first, so there the sender writes the header's line last. A cell's mark
//! comes after the payload so that this begins with a line, and no piece of a copy lies in two.
//!
//! The stamp or header of the first message after a sender's death brings news of it: see
//! [`crate::protocol::mark`].
//!
//! # Locks
//!
//! The kernel's locks on the region's file say who is attached and who is alive, by the byte they are on
//! ([`ATTACHED`], [`UNLINKING`], [`crate::protocol::seat::lock_byte`]). No byte of the file is ever read or
//! written for it.
//!
//! What can never happen: a word with two writers that race for it, except the claim (a CAS), the counts of a
//! seat (which only rise) and the wait words (a CAS by the waker); a payload byte read through a reference.
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::sync::{AtomicU32, AtomicU64, Writable};

/// First eight bytes of every region.
pub(crate) const MAGIC: [u8; 8] = *b"ringway\n";
/// Raised whenever anything in this file changes meaning.
pub(crate) const VERSION: u32 = 4;
/// Reads as `0x04030201` on a machine of the other byte order.
pub(crate) const ENDIAN_MARK: u32 = 0x0102_0304;
/// Bits of a machine word.
pub(crate) const WORD_BITS: u32 = usize::BITS;
/// Bytes of a shared word: the unit of the data area.
pub(crate) const WORD: usize = 8;
/// Longest type name the header holds, in bytes.
pub(crate) const NAME_LEN: usize = 64;
/// The first position. Not 0, so that the zeroes the kernel leaves in a forked child's copy of an
/// endpoint's private state can never match a stamp (see `crate::os::wipe`).
pub(crate) const FIRST: u64 = 1;
/// No position is ever as large; one that claims to be is garbage.
pub(crate) const POSITION_LIMIT: u64 = 1 << 62;
/// The byte of the file on which everyone attached holds a shared lock, and who removes it an exclusive one.
pub(crate) const ATTACHED: u64 = 0;
/// The byte that is locked by who takes the file's name away.
pub(crate) const UNLINKING: u64 = 1 << 22;
/// The fewest values a seqlock keeps: the newest whole one, and room for the writer to be under way (or
/// dead) in another while readers copy.
pub(crate) const CELLS: u64 = 4;
/// Bytes of cells that a seqlock of small values has, so that a reader is not overtaken by a writer that
/// never pauses: while the reader copies one cell, the writer must fill all others.
const CELLS_BYTES: usize = 8192;
/// Seats in the table. Two are used by today's kinds.
pub(crate) const SEATS: usize = 8;
/// The seat of the sender or the writer.
pub(crate) const SENDER: usize = 0;
/// The seat of the receiver.
pub(crate) const RECEIVER: usize = 1;

/// The seat of the peer of who sits in `seat`.
pub(crate) fn opposite(seat: usize) -> usize {
    if seat == RECEIVER { SENDER } else { RECEIVER }
}

/// `Seat::barrier`: the holder answers `membarrier`, so its wake-up check needs no fence.
pub(crate) const BARRIER_REGISTERED: u64 = 1;
/// `Seat::barrier`: the holder could not register and pays a fence at every message.
pub(crate) const BARRIER_FENCES: u64 = 2;

/// `Control::flags`: a user of the region took the file's name away on purpose.
pub(crate) const UNLINKED: u64 = 1;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A ring of fixed-size slots.
    Spsc = 1,
    /// A ring of variable-length records.
    Bytes = 2,
    /// The latest value.
    Seqlock = 3,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Spsc => "spsc",
            Kind::Bytes => "bytes",
            Kind::Seqlock => "seqlock",
        }
    }

    pub(crate) fn from_u32(raw: u32) -> Option<Kind> {
        [Kind::Spsc, Kind::Bytes, Kind::Seqlock].into_iter().find(|k| *k as u32 == raw)
    }
}

/// The first bytes of the region. Never changes once the region can be found.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: [u8; 8],
    pub endian: u32,
    pub version: u32,
    pub word_bits: u32,
    /// [`Kind`] as a number.
    pub kind: u32,
    /// Bytes between words that must not share a cache line: it decides where `Control`'s words lie.
    pub padding: u64,
    pub page_size: u64,
    /// Bytes of the whole file or mapping, the mirror not counted.
    pub region_len: u64,
    pub data_len: u64,
    /// Slots of a slot ring, words of a record ring, cells of a seqlock.
    pub capacity: u64,
    /// Words from one slot or cell to the next; 1 in a record ring.
    pub stride: u64,
    pub type_size: u64,
    pub type_align: u64,
    /// The type's name, UTF-8, padded with zeroes.
    pub type_name: [u8; NAME_LEN],
    /// Boot, PID and time namespace in which the region was made, as one number; 0: not known.
    pub home: u64,
    /// The boot alone in which the region was made, as a number; 0: not known.
    pub boot: u64,
    /// Random: tells two regions apart, also a copy that was adopted from its original.
    pub id: [u64; 2],
    /// The file in which the region was made: what contradicts it is a copy.
    pub file: FileIdentity,
    pub reserved: [u64; 5],
    /// FNV-1a over every byte before it.
    pub checksum: u64,
}

/// What tells a file from every other, also after a remount, a reboot or a move within its file system. A copy has
/// another one. See ARCHITECTURE.md, "Copies".
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

/// A process, as a seat names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: u32,
    /// Tells it from others that have had or will have the same id.
    pub identity: u32,
    /// Its id means something where the region was made.
    pub at_home: bool,
    /// It holds a lock for as long as its memory lives.
    pub locked: bool,
}

/// One place at the channel.
#[repr(C)]
pub(crate) struct Seat<M = Writable> {
    pub holder: AtomicU64<M>,
    pub generation: AtomicU64<M>,
    pub barrier: AtomicU64<M>,
    pub died: AtomicU64<M>,
}

/// What the receiver writes at every message, and what only it writes besides.
#[repr(C)]
pub(crate) struct HeadLine<M = Writable> {
    pub head: AtomicU64<M>,
    pub told: AtomicU64<M>,
    pub handed: AtomicU64<M>,
    pub tally: AtomicU64<M>,
}

/// How many records lie before a position.
#[repr(C)]
pub(crate) struct Checkpoint<M = Writable> {
    /// Counted from [`FIRST`], so that it is 0 in a new region.
    pub position: AtomicU64<M>,
    pub records: AtomicU64<M>,
}

/// What the sender or the writer writes, besides the messages.
#[repr(C)]
pub(crate) struct SentLine<M = Writable> {
    pub latest: AtomicU64<M>,
    pub batch: AtomicU64<M>,
    pub turn: AtomicU64<M>,
    pub checkpoints: [Checkpoint<M>; 2],
}

/// The control page: nothing but atomics, so that it may stand behind a reference.
#[repr(C)]
pub(crate) struct Control<M = Writable> {
    pub seats: [CachePadded<Seat<M>>; SEATS],
    pub consumed: CachePadded<HeadLine<M>>,
    pub sent: CachePadded<SentLine<M>>,
    pub data_wait: CachePadded<AtomicU32<M>>,
    pub space_wait: CachePadded<AtomicU32<M>>,
    pub flags: CachePadded<AtomicU64<M>>,
}

/// Words of a slot for a payload of `size` bytes: payload and stamp, a power of two of words where
/// that keeps the slot inside one cache line, and a multiple of the payload's alignment.
///
/// `None` if that overflows.
pub(crate) const fn slot_words(size: usize, align: usize) -> Option<usize> {
    let align = if align < WORD { WORD } else { align };
    let Some(bytes) = size.checked_next_multiple_of(WORD) else { return None };
    let Some(bytes) = bytes.checked_add(WORD) else { return None };
    let bytes = if bytes <= 64 { bytes.next_power_of_two() } else { bytes };
    let Some(bytes) = bytes.checked_next_multiple_of(align) else { return None };
    Some(bytes / WORD)
}

/// Words of a seqlock's cell: payload and mark, on cache lines of its own. `None` if that overflows.
pub(crate) const fn cell_words(size: usize, align: usize) -> Option<usize> {
    let Some(bytes) = size.checked_next_multiple_of(WORD) else { return None };
    let Some(bytes) = bytes.checked_add(WORD) else { return None };
    let line = if align < 64 { 64 } else { align };
    let Some(bytes) = bytes.checked_next_multiple_of(line) else { return None };
    Some(bytes / WORD)
}

/// How many cells of `stride` words a seqlock has: a power of two.
pub(crate) fn cells(stride: usize) -> u64 {
    let fit = (CELLS_BYTES / WORD / stride) as u64;
    fit.checked_ilog2().map_or(CELLS, |bits| 1 << bits).max(CELLS)
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::{offset_of, size_of};
    const LINE: usize = size_of::<CachePadded<u8>>();
    assert!(offset_of!(Header, magic) == 0);
    assert!(offset_of!(Header, endian) == 8);
    assert!(offset_of!(Header, version) == 12);
    assert!(offset_of!(Header, word_bits) == 16);
    assert!(offset_of!(Header, kind) == 20);
    assert!(offset_of!(Header, padding) == 24);
    assert!(offset_of!(Header, page_size) == 32);
    assert!(offset_of!(Header, region_len) == 40);
    assert!(offset_of!(Header, data_len) == 48);
    assert!(offset_of!(Header, capacity) == 56);
    assert!(offset_of!(Header, stride) == 64);
    assert!(offset_of!(Header, type_size) == 72);
    assert!(offset_of!(Header, type_align) == 80);
    assert!(offset_of!(Header, type_name) == 88);
    assert!(offset_of!(Header, home) == 152);
    assert!(offset_of!(Header, boot) == 160);
    assert!(offset_of!(Header, id) == 168);
    assert!(offset_of!(Header, file) == 184);
    assert!(offset_of!(FileIdentity, inode) == 0);
    assert!(offset_of!(FileIdentity, born) == 8);
    assert!(offset_of!(FileIdentity, subvolume) == 16);
    assert!(size_of::<FileIdentity>() == 24);
    assert!(offset_of!(Header, reserved) == 208);
    assert!(offset_of!(Header, checksum) == 248);
    assert!(size_of::<Header>() == 256);
    assert!(offset_of!(Control, seats) == 0);
    assert!(offset_of!(Control, consumed) == SEATS * LINE);
    assert!(offset_of!(Control, sent) == (SEATS + 1) * LINE);
    assert!(offset_of!(Control, data_wait) == (SEATS + 2) * LINE);
    assert!(offset_of!(Control, space_wait) == (SEATS + 3) * LINE);
    assert!(offset_of!(Control, flags) == (SEATS + 4) * LINE);
    assert!(size_of::<Control>() == (SEATS + 5) * LINE);
    assert!(size_of::<Control>() <= 4096);
    assert!(offset_of!(Seat, holder) == 0);
    assert!(offset_of!(Seat, generation) == 8);
    assert!(offset_of!(Seat, barrier) == 16);
    assert!(offset_of!(Seat, died) == 24);
    assert!(offset_of!(HeadLine, handed) == 16);
    assert!(offset_of!(HeadLine, tally) == 24);
    assert!(offset_of!(SentLine, latest) == 0);
    assert!(offset_of!(SentLine, batch) == 8);
    assert!(offset_of!(SentLine, turn) == 16);
    assert!(offset_of!(SentLine, checkpoints) == 24);
    assert!(size_of::<Checkpoint>() == 16);
    assert!(size_of::<usize>() == 8, "ringway needs a 64-bit machine");
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_a_power_of_two_and_enough() {
        for stride in 1..5000 {
            assert!(cells(stride).is_power_of_two() && cells(stride) >= CELLS, "stride {stride}");
        }
    }

    #[test]
    fn slots_hold_payload_and_stamp() {
        for size in 1..300 {
            for align in [1, 8, 16, 64] {
                let words = slot_words(size, align).unwrap();
                assert!(words * WORD >= size.next_multiple_of(WORD) + WORD && (words * WORD).is_multiple_of(align));
            }
        }
        assert_eq!(slot_words(64, 8), Some(9));
        assert_eq!(slot_words(40, 8), Some(8));
        assert_eq!(slot_words(usize::MAX, 8), None);
    }
}
