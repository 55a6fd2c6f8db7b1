//! What an endpoint knows and no other process sees.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::Stop;
use crate::error::{Corrupt, Fault};

/// What an endpoint knows and no other process sees.
///
/// All zero means: wiped by a fork. `pos = limit = 0` keeps a sender and a writer from their fast path, and no stamp
/// is ever `0 + 1` (see [`crate::layout::FIRST`]).
#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct State {
    /// Next position to publish or consume; a writer's newest version. 0 when poisoned.
    pub pos: u64,
    /// Sender: the first position it may not publish at, as far as it has looked (may be stale).
    /// Writer: a position that it never reaches.
    pub limit: u64,
    /// Where `pos` lies in the data area, in words.
    pub offset: u64,
    /// The word this endpoint put into its seat; 0 after a fork.
    pub holder: u64,
    /// The end of a peer of this generation, or of an earlier one, is no news.
    pub baseline: u64,
    /// Sender: what marks the stamp or header of its first message with the news of a death, or 0 (see
    /// [`super::death_notice`]). Receiver of slots: what marks the stamp of the next message, if that news is out, or 0.
    pub(super) notice: u64,
    /// Where this endpoint went on when it took its seat.
    pub(super) began: u64,
    /// Receiver: the last position that this receiver or its predecessor lent in place. It lent all up to there.
    pub lent: u64,
    /// Receiver of slots: the position it waited at last.
    pub(super) waited: u64,
    /// Sender of records: how many were published. Receiver of records: its tally (see [`super::counts`]).
    pub(super) count: u64,
    /// Sender of records: the position of its last checkpoint, and that one's turn.
    pub(super) noted: u64,
    pub(super) turn: u64,
    /// What was found to be wrong: [`Fault`] as a number, 0 = nothing.
    fault: u64,
    found: u64,
    at: u64,
}

impl State {
    pub fn new(holder: u64, pos: u64, offset: u64, baseline: u64) -> Self {
        Self { pos, limit: pos, offset, holder, baseline, began: pos, ..Self::new_zeroed() }
    }

    /// Goes on at `pos`, where the region says.
    pub(super) fn resume_at(mut self, pos: u64, offset: u64) -> Self {
        (self.pos, self.limit, self.began, self.waited, self.offset) = (pos, pos, pos, pos, offset);
        self
    }

    /// Whether the next message was lent before.
    #[inline(always)]
    pub fn redelivers(&self) -> bool {
        self.pos != 0 && self.pos <= self.lent
    }

    /// Called whenever a sender has looked for space. Only its first message brings the news of a death: until that is
    /// out, it must look again.
    pub(super) fn notify_only_once(&mut self) {
        if self.pos == self.began {
            self.limit = self.pos;
        } else {
            self.notice = 0;
        }
    }

    /// Whether this process is a forked child of the one that claimed the seat.
    #[inline(always)]
    pub fn is_forked_child(&self) -> bool {
        self.holder == 0
    }

    /// The two reasons that end an endpoint for good.
    #[cold]
    #[inline(never)]
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
    pub(super) fn poison(&mut self, fault: Fault, found: u64) -> Stop {
        let corrupt = Corrupt { fault, found, position: self.pos };
        (self.fault, self.found, self.at) = (fault as u64, found, self.pos);
        (self.pos, self.limit) = (0, 0);
        Stop::Corrupt(corrupt)
    }
}
