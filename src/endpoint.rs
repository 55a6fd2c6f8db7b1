//! What every endpoint has, whatever its channel: a seat, private state, and a way to wait.
#![forbid(unsafe_code)]

use crate::error::{
    ClaimError, RecvError, RecvTimeoutError, Seat, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::layout::{BARRIER_FENCES, BARRIER_REGISTERED, Control, RECEIVER, SENDER};
use crate::open_error::Reason;
use crate::os::wipe::Wiped;
use crate::os::{membarrier, process};
use crate::protocol::seat::{self, Refused};
use crate::protocol::wait_word;
use crate::protocol::{State, Stop};
use crate::region::Region;
use crate::sync::Ordering::Relaxed;
use crate::sync::light_barrier;
use crate::wait::{self, Bed, Patience, Wait};
use crate::words::View;

/// An endpoint's seat and private state. Belongs to the process that claimed it; in a child it finds its
/// state wiped, and its drop does nothing.
pub(crate) struct Endpoint {
    pub state: Wiped<State>,
    pub control: View<Control>,
    pub wait: Wait,
    /// This process could not register for `membarrier` and pays a fence at every message.
    pub fences: bool,
    index: usize,
}

impl Endpoint {
    /// Takes the seat at `index`; `state` is asked where to go on, given the seat's new holder word.
    pub fn claim(
        region: &Region,
        index: usize,
        state: impl FnOnce(u64) -> Result<State, Stop>,
    ) -> Result<Self, ClaimError> {
        if region.read_only() {
            return Err(ClaimError::ReadOnly);
        }
        let control = region.control();
        let name = if index == SENDER { Seat::Sender } else { Seat::Receiver };
        // All that can fail for want of something comes before the claim, which others can see.
        region.prefault_here()?;
        let me = process::this()?;
        let mut private = Wiped::new(State::new(0, 0, 0, 0))?;
        let fences = !membarrier::register();
        let claim = seat::claim(&control.seats[index], me).map_err(|refused| match refused {
            Refused::Taken(holder, generation) => ClaimError::Taken { seat: name, pid: holder.pid, generation },
            Refused::Garbage(found) => ClaimError::CorruptSeat { seat: name, found },
        })?;
        *private = state(claim.word).map_err(|stop| {
            seat::release(&control.seats[index], claim.word);
            match stop {
                Stop::Corrupt(corrupt) => ClaimError::Corrupt(corrupt),
                _ => ClaimError::CorruptSeat { seat: name, found: claim.word },
            }
        })?;
        let barrier = if fences { BARRIER_FENCES } else { BARRIER_REGISTERED };
        control.seats[index].barrier.store(barrier, Relaxed);
        let endpoint = Self { state: private, control, wait: Wait::default(), fences, index };
        wait_word::arrive(endpoint.own_word());
        Ok(endpoint)
    }

    /// The word this endpoint sleeps on.
    fn own_word(&self) -> &crate::sync::AtomicU32 {
        if self.index == RECEIVER { &self.control.data_wait } else { &self.control.space_wait }
    }

    /// The word its peers sleep on.
    fn peers_word(&self) -> &crate::sync::AtomicU32 {
        if self.index == RECEIVER { &self.control.space_wait } else { &self.control.data_wait }
    }

    /// Waits until `watch`, which is told how often to glance first, finds that the endpoint is no longer
    /// blocked; false when patience has run out. What it was waiting for, or why there will be none, the caller
    /// finds when it looks: an answer carried back from here would arrive later than the message.
    #[cold]
    #[inline(never)]
    pub fn wait_until(&mut self, patience: Patience, mut watch: impl FnMut(&mut State, u32) -> bool) -> bool {
        let word = if self.index == RECEIVER { &self.control.data_wait } else { &self.control.space_wait };
        let state = &mut *self.state;
        wait::until(self.wait, patience, Bed::Own(word), |glances| watch(state, glances).then_some(())).is_some()
    }

    /// Whether someone sits at the other end now.
    pub fn has_peer(&self) -> bool {
        let peer = if self.index == RECEIVER { SENDER } else { RECEIVER };
        !seat::is_free(&self.control.seats[peer])
    }

    /// Whether the peer sat here and left, as far as this endpoint is concerned.
    pub fn peer_left(&self) -> bool {
        let peer = if self.index == RECEIVER { SENDER } else { RECEIVER };
        seat::left_since(&self.control.seats[peer], self.state.baseline).is_some()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.state.holder == 0 {
            return;
        }
        if self.index == RECEIVER {
            // Before the seat is free, so that it cannot hit a successor: an awake sender then looks.
            wait_word::leave(self.own_word());
        }
        seat::release(&self.control.seats[self.index], self.state.holder);
        light_barrier(self.fences);
        wait_word::wake(self.peers_word());
    }
}

/// A sender's baseline: the generation of a receiver that left before the sender came, which is no news.
pub(crate) fn receiver_baseline(control: &Control) -> u64 {
    match seat::status(&control.seats[RECEIVER]) {
        Ok(seat::Status { holder: None, generation }) => generation,
        Ok(seat::Status { holder: Some(_), generation }) => generation.saturating_sub(1),
        Err(_) => 0,
    }
}

impl From<Stop> for Reason {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Corrupt(corrupt) => Reason::Corrupt(corrupt),
            _ => Reason::Busy,
        }
    }
}

impl From<Stop> for TrySendError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked => TrySendError::Full,
            Stop::Closed => TrySendError::Refused(SendError::Closed),
            Stop::Forked => TrySendError::Refused(SendError::Forked),
            Stop::Corrupt(corrupt) => TrySendError::Refused(SendError::Corrupt(corrupt)),
        }
    }
}

impl From<TrySendError> for SendTimeoutError {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => SendTimeoutError::Timeout,
            TrySendError::Refused(error) => SendTimeoutError::Refused(error),
        }
    }
}

impl From<Stop> for TryRecvError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked => TryRecvError::Empty,
            Stop::Closed => TryRecvError::Refused(RecvError::Closed),
            Stop::Forked => TryRecvError::Refused(RecvError::Forked),
            Stop::Corrupt(corrupt) => TryRecvError::Refused(RecvError::Corrupt(corrupt)),
        }
    }
}

impl From<TryRecvError> for RecvTimeoutError {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Refused(error) => RecvTimeoutError::Refused(error),
        }
    }
}
