//! A lane: what one sender and who receives from it share, besides the data.
//!
//! | word | written by | read by | holds |
//! |---|---|---|---|
//! | `sender` | see [`super::seat`] | everyone | the seat of the sender, or of a seqlock's writer |
//! | `head` | the receiver, at every message | the sender, when its copy says full | first position not yet consumed |
//! | `reported` | the receiver | the next receiver, the next sender | generation of the last sender whose end was reported to a receiver |
//! | `lent` | the receiver, when it lends a message in place | the next receiver | the last position that was lent; all up to there were |
//! | `tally` | a record ring's receiver, before `head` | the next receiver, the sender, any process that counts | position, counted from [`FIRST`](super::FIRST), + records consumed << 28 (see [`crate::protocol::tally`]) |
//! | `latest` | the seqlock's writer | readers | version of the newest whole value, 0 = none yet |
//! | `batch` | a slot ring's sender, before each batch; its successor | the next sender, any process that counts | first position of the newest batch, which is published from its end on (see [`crate::protocol::slots`]); with bit 63, of a batch that was taken back after its sender died over it |
//! | `checkpoints`, `turn` | a record ring's sender, when it looks for space | the next sender, any process that counts | records published before a position; `turn` says which of the two is good |
//! | `data_wait` | the receiver or readers, when they sleep or leave; any process that wakes them | the sender, after every publication | see [`crate::protocol::wait_word`] |
//! | `space_wait` | the same with the two sides exchanged | the receiver, after every consumption | same |

use crossbeam_utils::CachePadded;

use super::Seat;
use crate::sync::{AtomicU32, AtomicU64, Writable};

/// What the receiver writes at every message, and what only it writes besides.
#[repr(C)]
pub(crate) struct ReceiverLine<M = Writable> {
    pub head: AtomicU64<M>,
    pub reported: AtomicU64<M>,
    pub lent: AtomicU64<M>,
    pub tally: AtomicU64<M>,
}

/// How many records lie before a position.
#[repr(C)]
pub(crate) struct Checkpoint<M = Writable> {
    /// Counted from [`FIRST`](super::FIRST), so that it is 0 in a new region.
    pub position: AtomicU64<M>,
    pub records: AtomicU64<M>,
}

/// What the sender or the writer writes, besides the messages.
#[repr(C)]
pub(crate) struct SenderLine<M = Writable> {
    pub latest: AtomicU64<M>,
    pub batch: AtomicU64<M>,
    pub turn: AtomicU64<M>,
    pub checkpoints: [Checkpoint<M>; 2],
}

/// A lane: nothing but atomics, so that it may stand behind a reference.
#[repr(C)]
pub(crate) struct Lane<M = Writable> {
    pub sender: CachePadded<Seat<M>>,
    pub receiver_line: CachePadded<ReceiverLine<M>>,
    pub sender_line: CachePadded<SenderLine<M>>,
    pub data_wait: CachePadded<AtomicU32<M>>,
    pub space_wait: CachePadded<AtomicU32<M>>,
}

#[cfg(not(loom))]
const _: () = {
    use super::LINE;
    use core::mem::offset_of;
    assert!(offset_of!(ReceiverLine, head) == 0);
    assert!(offset_of!(ReceiverLine, reported) == 8);
    assert!(offset_of!(ReceiverLine, lent) == 16);
    assert!(offset_of!(ReceiverLine, tally) == 24);
    assert!(offset_of!(SenderLine, latest) == 0);
    assert!(offset_of!(SenderLine, batch) == 8);
    assert!(offset_of!(SenderLine, turn) == 16);
    assert!(offset_of!(SenderLine, checkpoints) == 24);
    assert!(size_of::<Checkpoint>() == 16);
    assert!(offset_of!(Lane, sender) == 0);
    assert!(offset_of!(Lane, receiver_line) == LINE);
    assert!(offset_of!(Lane, sender_line) == 2 * LINE);
    assert!(offset_of!(Lane, data_wait) == 3 * LINE);
    assert!(offset_of!(Lane, space_wait) == 4 * LINE);
    assert!(size_of::<Lane>() == 5 * LINE);
};
