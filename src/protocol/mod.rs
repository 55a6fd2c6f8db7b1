//! The protocols: pure functions of the control words and the data words.
//!
//! They see neither a file descriptor nor a mapping, so that loom can run them on the heap, and they hold no `unsafe`.
//! What an endpoint knows privately is a [`State`], which lives in a page that the kernel wipes in a forked child: there,
//! every field reads 0 and every path ends in [`Stop::Forked`].
#![forbid(unsafe_code)]

pub(crate) mod cell;
mod counts;
pub(crate) mod death_notice;
pub(crate) mod ends;
pub(crate) mod patrol;
pub(crate) mod records;
#[cfg_attr(not(test), expect(dead_code, reason = "the kinds with rows are its users"))]
pub(crate) mod rows;
pub(crate) mod seat;
pub(crate) mod side;
pub(crate) mod slots;
mod stamps;
pub(crate) mod state;
pub(crate) mod tally;
pub(crate) mod wait_word;

use crate::error::{Corrupt, Fault};
pub(crate) use ends::Ends;
use seat::End;
pub(crate) use side::Side;
pub(crate) use state::State;

/// Why an operation did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Full, empty or unchanged: worth waiting for.
    Blocked,
    /// The peer left or died, and nothing it sent is left to take.
    Ended(End),
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file has lost its name, and the caller asked to be notified.
    FileLost,
    /// Somebody in this process cancelled the calls of this endpoint.
    Cancelled,
    /// The region holds what no peer that follows the protocol can have written.
    Corrupt(Corrupt),
}

impl Stop {
    #[cold]
    fn corrupt(fault: Fault, found: u64, position: u64) -> Self {
        Stop::Corrupt(Corrupt { fault, found, position })
    }
}

/// Checks up to `times` whether something came, with a pause in between.
#[inline(always)]
fn spin(times: u32, mut came: impl FnMut() -> bool) {
    for _ in 0..times {
        if came() {
            break;
        }
        core::hint::spin_loop();
    }
}
