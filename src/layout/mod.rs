//! Everything two processes must agree on. This room owns it: no other file says where a word lies or who writes it.
//!
//! A region is a whole number of pages. `P` is the page size that the header names: 4 KiB, or that of the huge pages
//! behind the region. Offsets are in bytes.
//!
//! ```text
//!  0          512       P         P+1280             rows_offset           data_offset               region_len
//!  │ Header   │ schema  │ Control │ Lane × lanes     │ Row × rows          │ data × lanes             │ (bytes, mapped only:
//!  │ written once by    │ one word, one writer, each │ a seat, a cursor    │ slots, records or cells  │ the data once more)
//!  │ the creator, mapped│ hot word on a line of its  │ and a wait word for │ of each lane             │
//!  │ read-only          │ own                        │ each of many        │                          │
//! ```
//!
//! A channel of one sender has one lane and no rows: Control and its lane fit one page. What each part holds, and who
//! writes each word, stands where it is declared: [`header`], [`control`], [`lane`], [`seat`], [`data`], [`locks`].
//! ARCHITECTURE.md shows the table of all words; a test prints it and checks that no two overlap.
//!
//! # Room for the kinds to come
//!
//! Some words have no writer yet. They are there so that the queue, the many-to-one lanes, the broadcast, the call and
//! the bell need no other layout: a region that has none of these kinds holds zero in them, and nobody reads them. Each
//! says which kind it is for.
//!
//! What can never happen: a word with two writers that race for it, except the claim (a CAS), the counts of a seat
//! (which only rise) and the wait words (a CAS by the waker); a payload byte read through a reference.
#![forbid(unsafe_code)]

pub(crate) mod control;
pub(crate) mod data;
pub(crate) mod fnv;
pub(crate) mod header;
pub(crate) mod kind;
pub(crate) mod lane;
pub(crate) mod locks;
pub(crate) mod seat;
mod sections;
#[cfg(all(test, not(loom)))]
mod spans;

pub(crate) use control::Control;
pub(crate) use data::{CELLS, cell_words, cells, slot_words};
pub(crate) use header::{FileIdentity, Header};
pub(crate) use kind::Kind;
#[cfg(test)]
pub(crate) use lane::{Checkpoint, SenderLine};
pub(crate) use lane::{Lane, ReceiverLine};
pub(crate) use seat::{Process, Row, Seat};
pub(crate) use sections::Sections;

/// First eight bytes of every region.
pub(crate) const MAGIC: [u8; 8] = *b"ringway\n";
/// Raised whenever anything in this room changes meaning. Magic, byte order and version keep their place for ever.
pub(crate) const VERSION: u32 = 5;
/// Reads as `0x04030201` on a machine of the other byte order.
pub(crate) const ENDIAN_MARK: u32 = 0x0102_0304;
/// Bits of a machine word.
pub(crate) const WORD_BITS: u32 = usize::BITS;
/// Bytes of a shared word: the unit of the data area.
pub(crate) const WORD: usize = 8;
/// The first position. Not 0, so that the zeroes the kernel leaves in a forked child's copy of an endpoint's private
/// state can never match a stamp (see `crate::os::wipe`).
pub(crate) const FIRST: u64 = 1;
/// No position is ever as large; one that claims to be is garbage.
pub(crate) const POSITION_LIMIT: u64 = 1 << 62;

/// Bytes between words that must not share a cache line.
#[cfg(not(loom))]
const LINE: usize = size_of::<crossbeam_utils::CachePadded<u8>>();

#[cfg(not(loom))]
const _: () = assert!(size_of::<usize>() == 8, "ringway needs a 64-bit machine");
