//! The protocols: pure functions of the control page and the data words.
//!
//! They see neither a file descriptor nor a mapping, so that loom can run them on the heap, and they
//! hold no `unsafe`. What an endpoint knows privately is a [`State`], which lives in a page that the
//! kernel wipes in a forked child: there, every field reads 0 and every path ends in
//! [`Stop::Forked`].
#![forbid(unsafe_code)]

pub(crate) mod cell;
pub(crate) mod records;
pub(crate) mod seat;
pub(crate) mod slots;
pub(crate) mod wait_word;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::error::{Corrupt, Fault};

/// Why an operation did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Full, empty or unchanged: worth waiting for.
    Blocked,
    /// The peer left, and nothing it sent is left to take.
    Closed,
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region holds what no peer that follows the protocol can have written.
    Corrupt(Corrupt),
}

/// Glances up to `times`, until one succeeds.
#[inline(always)]
fn glance(times: u32, mut succeeds: impl FnMut() -> bool) {
    for _ in 0..times {
        if succeeds() {
            break;
        }
        core::hint::spin_loop();
    }
}

/// What an endpoint knows and no other process sees.
///
/// All zero means: wiped by a fork. `pos = limit = 0` keeps a sender from its fast path, and no stamp
/// is ever `0 + 1` (see [`crate::layout::FIRST`]).
#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct State {
    /// Next position to publish or consume; a writer's newest version. 0 when poisoned.
    pub pos: u64,
    /// Sender: the first position it may not publish at, as far as it has looked (may be stale).
    pub limit: u64,
    /// Where `pos` lies in the data area, in words.
    pub offset: u64,
    /// The word this endpoint put into its seat; 0 after a fork.
    pub holder: u64,
    /// A peer of this generation or an earlier one is none whose leaving is news.
    pub baseline: u64,
    /// What was found to be wrong: [`Fault`] as a number, 0 = nothing.
    fault: u64,
    found: u64,
    at: u64,
}

impl State {
    pub fn new(holder: u64, pos: u64, offset: u64, baseline: u64) -> Self {
        Self { pos, limit: pos, offset, holder, baseline, fault: 0, found: 0, at: 0 }
    }

    /// The two reasons that end an endpoint for good.
    pub fn check(&self) -> Result<(), Stop> {
        if self.holder == 0 {
            return Err(Stop::Forked);
        }
        match Fault::from_u64(self.fault) {
            None => Ok(()),
            Some(fault) => Err(Stop::Corrupt(Corrupt { fault, found: self.found, position: self.at })),
        }
    }

    /// Remembers what cannot be true; every later call reports it.
    #[cold]
    pub fn poison(&mut self, fault: Fault, found: u64) -> Stop {
        let corrupt = Corrupt { fault, found, position: self.pos };
        (self.fault, self.found, self.at) = (fault as u64, found, self.pos);
        (self.pos, self.limit) = (0, 0);
        Stop::Corrupt(corrupt)
    }
}
