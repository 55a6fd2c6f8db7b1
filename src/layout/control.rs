//! What a region has once, however many lanes and rows it has.
//!
//! | word | written by | read by | holds |
//! |---|---|---|---|
//! | `receiver` | see [`super::seat`] | everyone | the seat of the receiver, if the kind has one |
//! | `flags` | any process that removes the file's name on purpose (`fetch_or`) | any process that checks whether the file still has its name | [`UNLINKED`] |
//! | `patrol` | a process that asks about all holders of rows (CAS; a store by one that asks at once) | blocked calls in a region with rows | when that was last begun, and what it took (see [`crate::protocol::patrol`]) |
//! | `data_wait`, `space_wait` | nobody yet | | for many sleepers on one word: the workers or the receiver of many lanes, the producers |
//! | `tail` | nobody yet | | for a queue: a hint, how far it was claimed |
//! | `late` | nobody yet | | for a queue: raised when a job becomes ready behind others |
//! | `floor`, `floors` | nobody yet | | for a broadcast: below it may be overwritten; the last floors, and the records before each |
//! | `summary` | nobody yet | | for many lanes: a bit for each one that has to be checked again |

use crossbeam_utils::CachePadded;

use super::Seat;
use crate::sync::{AtomicU32, AtomicU64, Writable};

/// `RegionLine::flags`: a user of the region took the file's name away on purpose.
pub(crate) const UNLINKED: u64 = 1;

/// What seldom changes.
#[repr(C)]
pub(crate) struct RegionLine<M = Writable> {
    pub flags: AtomicU64<M>,
    pub patrol: AtomicU64<M>,
}

/// A floor of a broadcast, and the number of records before it.
#[repr(C)]
pub(crate) struct Floor<M = Writable> {
    pub floor: AtomicU64<M>,
    pub records: AtomicU64<M>,
}

/// The control words: nothing but atomics, so that they may stand behind a reference.
#[repr(C)]
pub(crate) struct Control<M = Writable> {
    pub receiver: CachePadded<Seat<M>>,
    pub region: CachePadded<RegionLine<M>>,
    pub data_wait: CachePadded<AtomicU32<M>>,
    pub space_wait: CachePadded<AtomicU32<M>>,
    pub tail: CachePadded<AtomicU64<M>>,
    pub late: CachePadded<AtomicU64<M>>,
    pub floor: CachePadded<AtomicU64<M>>,
    pub floors: [Floor<M>; 16],
    pub summary: CachePadded<[AtomicU64<M>; 16]>,
}

#[cfg(not(loom))]
const _: () = {
    use super::{LINE, Lane};
    use core::mem::offset_of;
    assert!(offset_of!(Control, receiver) == 0);
    assert!(offset_of!(Control, region) == LINE);
    assert!(offset_of!(RegionLine, flags) == 0);
    assert!(offset_of!(RegionLine, patrol) == 8);
    assert!(offset_of!(Control, data_wait) == 2 * LINE);
    assert!(offset_of!(Control, space_wait) == 3 * LINE);
    assert!(offset_of!(Control, tail) == 4 * LINE);
    assert!(offset_of!(Control, late) == 5 * LINE);
    assert!(offset_of!(Control, floor) == 6 * LINE);
    assert!(offset_of!(Control, floors) == 7 * LINE);
    assert!(offset_of!(Control, summary) == 7 * LINE + 256);
    assert!(offset_of!(Floor, records) == 8);
    assert!(size_of::<Control>() + size_of::<Lane>() <= 4096);
};
