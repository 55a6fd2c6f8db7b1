//! What every endpoint has, whatever its channel: a seat, private state, and a way to wait.
#![forbid(unsafe_code)]

use core::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{
    ClaimError, EvictError, RecvError, RecvTimeoutError, Seat, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::layout::{BARRIER_FENCES, BARRIER_REGISTERED, Control, Process, RECEIVER, SENDER, opposite};
use crate::life::Witness;
use crate::open_error::Reason;
use crate::os::lifeline::Lifeline;
use crate::os::membarrier;
use crate::os::wipe::Wiped;
use crate::protocol::seat::{self, End, Refused, Status, holder_of, lock_byte};
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
    /// How often the seat was taken, this turn included.
    pub generation: u64,
    index: usize,
    /// How many of its peers are woken at most.
    sleepers: u32,
    witness: Witness,
    /// Always there, but in `drop`, and where the kernel gave none.
    lifeline: Option<Lifeline>,
}

/// What a claim needs: all that can fail for want of something, had before others can see anything of it.
struct Prepared {
    control: View<Control>,
    witness: Witness,
    me: Process,
    lifeline: Option<Lifeline>,
    private: Wiped<State>,
    fences: bool,
}

impl Prepared {
    fn new(region: &Arc<Region>) -> Result<Self, ClaimError> {
        let (control, _) = region.writable().ok_or(ClaimError::ReadOnly)?;
        region.prefault_here()?;
        let witness = Witness::new(region);
        let (me, lifeline) = witness.introduce_self()?;
        let private = Wiped::new(State::new(0, 0, 0, 0))?;
        Ok(Self { control, witness, me, lifeline, private, fences: !membarrier::register() })
    }
}

impl Endpoint {
    /// Takes the seat at `index`; `state` is asked where to go on, given what was claimed. Leaving wakes at most
    /// `sleepers`.
    pub fn claim(
        region: &Arc<Region>,
        index: usize,
        sleepers: u32,
        state: impl FnOnce(seat::Claim) -> Result<State, Stop>,
    ) -> Result<Self, ClaimError> {
        Self::take(Prepared::new(region)?, index, sleepers, state)
    }

    /// [`claim`](Self::claim), after the end of the process that holds the seat. It is ended only when all else that
    /// can fail has been done.
    pub fn evict_and_claim(
        region: &Arc<Region>,
        index: usize,
        sleepers: u32,
        timeout: Duration,
        state: impl FnOnce(seat::Claim) -> Result<State, Stop>,
    ) -> Result<Self, EvictError> {
        let prepared = Prepared::new(region)?;
        prepared.witness.evict(index, timeout)?;
        Ok(Self::take(prepared, index, sleepers, state)?)
    }

    fn take(
        prepared: Prepared,
        index: usize,
        sleepers: u32,
        state: impl FnOnce(seat::Claim) -> Result<State, Stop>,
    ) -> Result<Self, ClaimError> {
        let Prepared { control, witness, mut me, mut lifeline, mut private, fences } = prepared;
        let name = if index == SENDER { Seat::Sender } else { Seat::Receiver };
        let gone = |word| witness.is_gone(index, word);
        let claim = |me, line: Option<&Lifeline>| {
            let vouch = |word| line.map_or(Ok(()), |line| line.lock(lock_byte(index, word)));
            seat::claim(&control.seats[index], me, gone, vouch)
        };
        let claim = match claim(me, lifeline.as_ref()) {
            // The lock cannot be had now, whatever was seen before: at home, the process id is enough.
            Err(Refused::Mute(_)) if me.at_home => {
                (me.locked, lifeline) = (false, None);
                claim(me, None)
            }
            answer => answer,
        };
        let claim = claim.map_err(|refused| match refused {
            Refused::Taken(Status { word, generation, .. }) => {
                let pid = holder_of(word).map_or(0, |holder| holder.pid);
                ClaimError::Taken { seat: name, pid, generation }
            }
            Refused::Garbage(found) => ClaimError::CorruptSeat { seat: name, found },
            Refused::Mute(error) => ClaimError::Os(error),
        })?;
        if let Some(line) = &mut lifeline {
            line.let_go();
        }
        // A peer that died before is to be known as dead when the state is made.
        witness.inquire(opposite(index));
        *private = state(claim).map_err(|stop| {
            seat::release(&control.seats[index], claim.word);
            match stop {
                Stop::Corrupt(corrupt) => ClaimError::Corrupt(corrupt),
                _ => ClaimError::CorruptSeat { seat: name, found: claim.word },
            }
        })?;
        let barrier = if fences { BARRIER_FENCES } else { BARRIER_REGISTERED };
        control.seats[index].barrier.store(barrier, Relaxed);
        let endpoint = Self {
            state: private,
            control,
            wait: Wait::default(),
            fences,
            generation: claim.generation,
            index,
            sleepers,
            witness,
            lifeline,
        };
        wait_word::arrive(endpoint.own_word());
        Ok(endpoint)
    }

    fn peer(&self) -> usize {
        opposite(self.index)
    }

    /// The word this endpoint sleeps on.
    fn own_word(&self) -> &crate::sync::AtomicU32 {
        if self.index == RECEIVER { &self.control.data_wait } else { &self.control.space_wait }
    }

    /// The word its peers sleep on.
    fn peers_word(&self) -> &crate::sync::AtomicU32 {
        if self.index == RECEIVER { &self.control.space_wait } else { &self.control.data_wait }
    }

    /// Whether its waits spin at all.
    pub fn spins(&self) -> bool {
        self.wait.spins() != Duration::ZERO
    }

    /// Looks a few times, if it is to spin at all.
    #[inline(always)]
    pub fn glance<R>(&self, mut look: impl FnMut(&State) -> Option<R>) -> Option<R> {
        if !self.spins() {
            return None;
        }
        (0..wait::GLANCES).find_map(|_| {
            let found = look(&self.state);
            if found.is_none() {
                core::hint::spin_loop();
            }
            found
        })
    }

    /// Waits until `watch`, which is told how often to glance first, says something else than [`Stop::Blocked`];
    /// [`Stop::Blocked`] when patience has run out.
    pub fn wait_until<R>(
        &mut self,
        patience: Patience,
        mut watch: impl FnMut(&mut State, u32) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        let word = if self.index == RECEIVER { &self.control.data_wait } else { &self.control.space_wait };
        let (peer, witness, state) = (self.peer(), &self.witness, &mut *self.state);
        let lost = Cell::new(false);
        let poll = |glances| match watch(state, glances) {
            Err(Stop::Blocked) => lost.get().then_some(Err(Stop::FileLost)),
            result => Some(result),
        };
        let ask = || {
            witness.inquire(peer);
            lost.set(witness.region().is_lost());
        };
        let result = wait::until(self.wait, patience, Bed::Own(word), poll, ask);
        result.unwrap_or(Err(Stop::Blocked)).map_err(|stop| self.note_told(stop))
    }

    /// Notes that the caller hears of what stopped it: the death of a peer is told once, and a sender's end to one
    /// receiver.
    #[cold]
    pub fn note_told(&mut self, stop: Stop) -> Stop {
        let Stop::Ended(end) = stop else { return stop };
        // Nobody will come to this file any more: that says more than that somebody left.
        if matches!(end, End::Left(_)) && self.witness.region().is_lost() {
            return Stop::FileLost;
        }
        let (End::Left(generation) | End::Died(generation)) = end;
        if self.index == RECEIVER {
            self.control.consumed.told.fetch_max(generation, Relaxed);
        }
        if let End::Died(generation) = end {
            self.state.baseline = generation;
        }
        stop
    }

    /// Whether someone who is alive sits at the other end now. Asks the kernel; what it says of a dead one is
    /// from now on known to every call.
    pub fn has_peer(&self) -> bool {
        self.inquire();
        // A forked child may be in another PID namespace than the parent, whose witness it inherits.
        let here = if self.is_parents() { &Witness::new(self.witness.region()) } else { &self.witness };
        here.is_held(self.peer())
    }

    /// Whether this process is a forked child of the one that claimed the seat.
    fn is_parents(&self) -> bool {
        self.state.holder == 0
    }

    fn inquire(&self) {
        if !self.is_parents() {
            self.witness.inquire(self.peer());
        }
    }

    /// Whether the peer sat here and left or died, as far as this endpoint is concerned.
    pub fn peer_ended(&self) -> bool {
        self.inquire();
        seat::ended_since(&self.control.seats[self.peer()], self.state.baseline).is_some()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let lifeline = self.lifeline.take();
        if self.is_parents() {
            if let Some(parents) = lifeline {
                parents.abandon();
            }
            return;
        }
        if self.index == RECEIVER {
            // Before the seat is free, so that it cannot hit a successor: an awake sender then looks.
            wait_word::leave(self.own_word());
        }
        seat::release(&self.control.seats[self.index], self.state.holder);
        light_barrier(self.fences);
        wait_word::wake(self.peers_word(), self.sleepers);
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
            Stop::Ended(End::Left(_)) => TrySendError::Refused(SendError::Closed),
            Stop::Ended(End::Died(generation)) => TrySendError::Refused(SendError::PeerDied { generation }),
            Stop::Forked => TrySendError::Refused(SendError::Forked),
            Stop::FileLost => TrySendError::Refused(SendError::FileLost),
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
            Stop::Ended(End::Left(_)) => TryRecvError::Refused(RecvError::Closed),
            Stop::Ended(End::Died(generation)) => TryRecvError::Refused(RecvError::PeerDied { generation }),
            Stop::Forked => TryRecvError::Refused(RecvError::Forked),
            Stop::FileLost => TryRecvError::Refused(RecvError::FileLost),
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
