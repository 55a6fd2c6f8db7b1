//! The protocols: pure functions of the control page and the data words.
//!
//! They see neither a file descriptor nor a mapping, so that loom can run them on the heap, and they
//! hold no `unsafe`. What an endpoint knows privately is a [`State`], which lives in a page that the
//! kernel wipes in a forked child: there, every field reads 0 and every path ends in
//! [`Stop::Forked`].
#![forbid(unsafe_code)]

pub(crate) mod cell;
pub(crate) mod counts;
pub(crate) mod mark;
pub(crate) mod records;
pub(crate) mod seat;
pub(crate) mod slots;
pub(crate) mod stamps;
pub(crate) mod wait_word;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::error::{Corrupt, Fault};
use crate::layout::{Control, FIRST, POSITION_LIMIT, RECEIVER, SENDER};
use crate::sync::Ordering::Relaxed;
use crate::sync::light_barrier;
use seat::End;
use wait_word::OWNER;

/// Why an operation did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Full, empty or unchanged: worth waiting for.
    Blocked,
    /// The peer left or died, and nothing it sent is left to take.
    Ended(End),
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file has lost its name, and the caller asked to be told.
    FileLost,
    /// The region holds what no peer that follows the protocol can have written.
    Corrupt(Corrupt),
}

impl Stop {
    #[cold]
    fn corrupt(fault: Fault, found: u64, position: u64) -> Self {
        Stop::Corrupt(Corrupt { fault, found, position })
    }
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
    /// A peer of this generation or an earlier one is none whose end is news.
    pub baseline: u64,
    /// Sender: what marks the stamp or header of its first message with the news of a death, or 0 (see [`mark`]).
    /// Receiver of slots: what marks the stamp of the next message, if that news was told, or 0.
    mark: u64,
    /// Where this endpoint went on when it took its seat.
    began: u64,
    /// Receiver: the position of the last message that was lent in place, by this one or its predecessor.
    pub handed: u64,
    /// Receiver of slots: the position it waited at last.
    waited: u64,
    /// Sender of records: how many were published. Receiver of records: its tally (see [`counts`]).
    count: u64,
    /// Sender of records: the position of its last checkpoint, and that one's turn.
    noted: u64,
    turn: u64,
    /// What was found to be wrong: [`Fault`] as a number, 0 = nothing.
    fault: u64,
    found: u64,
    at: u64,
}

impl State {
    pub fn new(holder: u64, pos: u64, offset: u64, baseline: u64) -> Self {
        Self { pos, limit: pos, offset, holder, baseline, began: pos, ..Self::new_zeroed() }
    }

    /// Where the region says that this endpoint goes on.
    fn go_on(mut self, pos: u64, offset: u64) -> Self {
        (self.pos, self.limit, self.began, self.waited, self.offset) = (pos, pos, pos, pos, offset);
        self
    }

    /// Whether the next message was lent before.
    #[inline(always)]
    pub fn redelivers(&self) -> bool {
        self.pos != 0 && self.handed == self.pos
    }

    /// Marks the first message, whose stamp or header is `word` in what a mark takes the place of.
    fn bring_news(mut self, control: &Control, word: u64) -> Self {
        let died = seat::died(&control.seats[SENDER]);
        if died > told(control) {
            self.mark = (mark::marked(word, died) ^ word) & !mark::KEPT;
        }
        self
    }

    /// Called whenever a sender has looked for space. Only its first message is marked: until that is out, it must
    /// look again.
    fn mark_only_first(&mut self) {
        if self.pos == self.began {
            self.limit = self.pos;
        } else {
            self.mark = 0;
        }
    }

    /// Whether neither of the two reasons is there that end an endpoint for good.
    #[inline(always)]
    fn is_sound(&self) -> bool {
        self.holder != 0 && self.fault == 0
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
    pub fn poison(&mut self, fault: Fault, found: u64) -> Stop {
        let corrupt = Corrupt { fault, found, position: self.pos };
        (self.fault, self.found, self.at) = (fault as u64, found, self.pos);
        (self.pos, self.limit) = (0, 0);
        Stop::Corrupt(corrupt)
    }
}

/// The position of the first message that was not consumed, if the region says one that can be.
pub(crate) fn head_of<M>(control: &Control<M>) -> Result<u64, Stop> {
    let head = control.consumed.head.acquire(); // A2, B2
    if (FIRST..POSITION_LIMIT).contains(&head) { Ok(head) } else { Err(Stop::corrupt(Fault::Head, head, 0)) }
}

/// A receiver's private state after it took its seat, but for where it goes on.
fn receiver_begins(control: &Control, holder: u64) -> State {
    let mut s = State::new(holder, 0, 0, told(control));
    s.handed = control.consumed.handed.load(Relaxed);
    s
}

/// The generation of the last sender whose end was told; what no generation can be is taken for none.
fn told(control: &Control) -> u64 {
    let told = control.consumed.told.load(Relaxed);
    if seat::may_have_been(&control.seats[SENDER], told) { told } else { 0 }
}

/// The generation of the last receiver whose end is no news to a sender that comes now.
fn receiver_baseline(control: &Control) -> u64 {
    let died = seat::died(&control.seats[RECEIVER]);
    match seat::status(&control.seats[RECEIVER]) {
        Ok(seat::Status { holder: None, generation, .. }) => generation,
        Ok(seat::Status { holder: Some(_), generation, .. }) => generation.saturating_sub(1).max(died),
        Err(_) => 0,
    }
}

/// Notes that the next message is lent in place, and says whether it was before.
#[inline(always)]
pub(crate) fn lend(control: &Control, s: &mut State) -> bool {
    let again = s.redelivers();
    s.handed = s.pos;
    control.consumed.handed.store(s.pos, Relaxed);
    again
}

/// After one or more publications: sees to a receiver that is not awake.
#[inline(always)]
pub(crate) fn after_publish(control: &Control, s: &mut State, fences: bool) {
    light_barrier(fences);
    if !wait_word::awake(control.data_wait.load(Relaxed)) {
        receiver_not_awake(control, s);
    }
}

/// Wakes it if it sleeps. If it left, the next message must look who sits there.
#[cold]
fn receiver_not_awake(control: &Control, s: &mut State) {
    wait_word::wake(&control.data_wait, OWNER);
    s.limit = s.pos;
}

/// After one or more consumptions: sees to a sender that sleeps for space.
#[inline(always)]
pub(crate) fn after_consume(control: &Control, fences: bool) {
    light_barrier(fences);
    if !wait_word::awake(control.space_wait.load(Relaxed)) {
        wait_word::wake(&control.space_wait, OWNER);
    }
}
