//! What an endpoint's calls wait for: a free slot, room for a record, a message, or a record. All four are waited for
//! in the same way, in [`Endpoint`](super::endpoint::Endpoint).

use crate::error::{SendError, TooLong, Try, TryRecvError, TrySendError};
use crate::memory::Stride;
use crate::protocol::records::RecordRing;
use crate::protocol::slots::SlotRing;
use crate::protocol::{State, Stop};

/// What an endpoint's call waits for. It is small and passed by value, so that it stays in registers.
pub(super) trait Awaited: Copy {
    type Found;
    /// Why it is not found now.
    type Error: Try + From<Stop>;

    /// Whether [`poll`](Self::poll) reads shared memory, so that polling again may find more.
    const POLLS_SHARED: bool;

    /// The fast path: what is there, as far as the private state or one shared word shows.
    fn poll(&self, s: &State) -> Option<Self::Found>;

    /// The slow path: checks everything, and returns what is there, or why it is not.
    fn poll_slow(&self, s: &mut State) -> Result<Self::Found, Stop>;

    /// Checks up to `times` times whether the one word that announces it has changed.
    fn spin(&self, s: &State, times: u32);

    /// Checks whether it can come at all. Called before the first slow poll.
    fn check(&self, _: &State) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called once before a caller spins for it.
    fn before_spinning(&self, _: &mut State) {}
}

/// The next slot of a ring, once it is free.
#[derive(Clone, Copy)]
pub(super) struct FreeSlot<'a, S>(pub &'a SlotRing<S>);

impl<S: Stride> Awaited for FreeSlot<'_, S> {
    type Found = ();
    type Error = TrySendError;
    const POLLS_SHARED: bool = false;

    #[inline(always)]
    fn poll(&self, s: &State) -> Option<()> {
        self.0.has_space(s).then_some(())
    }

    fn poll_slow(&self, s: &mut State) -> Result<(), Stop> {
        self.0.look_for_space(s)
    }

    #[inline(always)]
    fn spin(&self, s: &State, times: u32) {
        self.0.spin_for_space(s, times);
    }
}

/// Room for a record of this many bytes.
#[derive(Clone, Copy)]
pub(super) struct Room<'a>(pub &'a RecordRing, pub usize);

impl Awaited for Room<'_> {
    type Found = ();
    type Error = TrySendError;
    const POLLS_SHARED: bool = false;

    #[inline(always)]
    fn poll(&self, s: &State) -> Option<()> {
        self.0.has_space(s, self.1).then_some(())
    }

    fn poll_slow(&self, s: &mut State) -> Result<(), Stop> {
        self.0.look_for_space(s, self.1)
    }

    #[inline(always)]
    fn spin(&self, s: &State, times: u32) {
        self.0.spin_for_space(s, self.1, times);
    }

    fn check(&self, s: &State) -> Result<(), TrySendError> {
        let (len, most) = (self.1, self.0.max_len);
        if len <= most {
            return Ok(());
        }
        s.check()?;
        Err(TrySendError::Refused(SendError::TooLong(TooLong { found: len, most })))
    }
}

/// The next message of a slot ring.
#[derive(Clone, Copy)]
pub(super) struct Message<'a, S>(pub &'a SlotRing<S>);

impl<S: Stride> Awaited for Message<'_, S> {
    type Found = ();
    type Error = TryRecvError;
    const POLLS_SHARED: bool = true;

    #[inline(always)]
    fn poll(&self, s: &State) -> Option<()> {
        self.0.has_message(s).then_some(())
    }

    fn poll_slow(&self, s: &mut State) -> Result<(), Stop> {
        self.0.look_for_message(s)
    }

    #[inline(always)]
    fn spin(&self, s: &State, times: u32) {
        self.0.spin_for_message(s, times);
    }

    fn before_spinning(&self, s: &mut State) {
        self.0.let_run_ahead(s);
    }
}

/// The next record of a record ring. Finds its length in bytes.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(pub &'a RecordRing);

impl Awaited for Record<'_> {
    type Found = usize;
    type Error = TryRecvError;
    const POLLS_SHARED: bool = true;

    #[inline(always)]
    fn poll(&self, s: &State) -> Option<usize> {
        self.0.message(s)
    }

    fn poll_slow(&self, s: &mut State) -> Result<usize, Stop> {
        self.0.look_for_message(s)
    }

    #[inline(always)]
    fn spin(&self, s: &State, times: u32) {
        self.0.spin_for_message(s, times);
    }
}
