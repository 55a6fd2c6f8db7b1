//! Seats: which processes hold the ends of a region.
//!
//! | word | written by | read by | holds |
//! |---|---|---|---|
//! | `holder` | claimants (CAS from free, or from a dead holder), the holder (to free) | everyone | [`crate::protocol::seat`]'s packing of pid, identity, generation |
//! | `generation` | claimants (`fetch_max`) | everyone | how often the seat was taken; may lag `holder` by one |
//! | `barrier` | the holder, when it has claimed | tools | [`BARRIER_REGISTERED`] or [`BARRIER_FENCES`] |
//! | `died` | any process to which the kernel says so (`fetch_max`) | everyone | the newest generation that ended without leaving, 0 = none |
//! | `ended` | the holder, when it panics (`fetch_max`) | tools | the newest generation that ended by a panic, 0 = none; it counts as a death |
//! | `swept` | nobody yet | | the newest dead generation of which nothing is left in the region |
//! | `name` | nobody yet | | what the holder calls itself, 32 bytes |
//!
//! Seats are numbered. The number decides which byte of the file a holder locks ([`super::locks`]).

use crate::sync::{AtomicU32, AtomicU64, Writable};

/// The most rows that a region has: their seats have the numbers from 0 on.
pub(crate) const MOST_ROWS: u64 = 1024;

/// The most lanes that a region has: their senders' seats have the numbers from [`SENDER`] on.
pub(crate) const MOST_LANES: u64 = 1023;

/// Bits of a process id, and of what tells the process from others that have had or will have that id.
pub(crate) const PID_BITS: u32 = 22;
pub(crate) const IDENTITY_BITS: u32 = 24;

/// The seat of the first lane's sender, or of a seqlock's writer.
pub(crate) const SENDER: usize = MOST_ROWS as usize;

/// The receiver's seat.
pub(crate) const RECEIVER: usize = (MOST_ROWS + MOST_LANES) as usize;

/// `Seat::barrier`: the holder answers `membarrier`, so its wake-up check needs no fence.
pub(crate) const BARRIER_REGISTERED: u64 = 1;
/// `Seat::barrier`: the holder could not register and pays a fence at every message.
pub(crate) const BARRIER_FENCES: u64 = 2;

/// A process, as a seat names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: u32,
    /// Tells it from others that have had or will have the same id.
    pub identity: u32,
    /// Its id means something where the region was made.
    pub same_origin: bool,
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
    pub ended: AtomicU64<M>,
    pub swept: AtomicU64<M>,
    pub name: [AtomicU64<M>; 4],
}

/// One row of the table of seats.
#[repr(C, align(128))]
pub(crate) struct Row<M = Writable> {
    pub seat: Seat<M>,
    /// For a reader of a broadcast that must miss nothing: the first position it has not read.
    pub cursor: AtomicU64<M>,
    /// For the holder: the word it sleeps on (see [`crate::protocol::wait_word`]).
    pub wait: AtomicU32<M>,
    pub unused: AtomicU32<M>,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Seat, holder) == 0);
    assert!(offset_of!(Seat, generation) == 8);
    assert!(offset_of!(Seat, barrier) == 16);
    assert!(offset_of!(Seat, died) == 24);
    assert!(offset_of!(Seat, ended) == 32);
    assert!(offset_of!(Seat, swept) == 40);
    assert!(offset_of!(Seat, name) == 48);
    assert!(size_of::<Seat>() == 80);
    assert!(offset_of!(Row, cursor) == 80);
    assert!(offset_of!(Row, wait) == 88);
    assert!(size_of::<Row>() == 128);
};
