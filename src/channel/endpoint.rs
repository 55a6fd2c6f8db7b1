//! The part that all endpoints share, whatever their channel: a seat, private state, and a way to wait.
#![forbid(unsafe_code)]

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::awaited::Awaited;
use super::call::{Call, PeerCall, poll_slow};
use crate::error::{ClaimError, KillError, Reason, RecvError, Seat, SendError, Try, TryRecvError, TrySendError};
use crate::layout::Process;
use crate::layout::seat::{BARRIER_FENCES, BARRIER_REGISTERED, SENDER};
use crate::liveness::Witness;
use crate::os::lifeline::Lifeline;
use crate::os::membarrier;
use crate::os::wipe::Wiped;
use crate::protocol::seat::{self, End, Refused, Status, holder_of, lock_byte};
use crate::protocol::wait_word::OWNER;
use crate::protocol::{Side, State, Stop};
use crate::region::Region;
use crate::sync::Ordering::Relaxed;
use crate::wait::{Blocked, Canceller, ParkOn, SPINS, Wait, block};

/// An endpoint's seat and private state. It belongs to the process that claimed it. In a forked child its state is
/// wiped, and its drop does nothing.
pub(super) struct Endpoint {
    pub state: Wiped<State>,
    pub wait: Wait,
    /// This process could not register for `membarrier`, and executes a fence for every message.
    pub fences: bool,
    /// How often the seat has been taken, including by this endpoint.
    pub generation: u64,
    /// Calls go on waiting when the peer ends, and pass over its end.
    pub outlives_peers: bool,
    cancel: Option<Canceller>,
    side: Side,
    witness: Witness,
    /// `None` in `drop`, and if the kernel did not allow one.
    lifeline: Option<Lifeline>,
}

/// The resources that a claim needs. They are acquired before others can see anything of the claim.
struct Prepared {
    witness: Witness,
    me: Process,
    lifeline: Option<Lifeline>,
    private: Wiped<State>,
    fences: bool,
}

impl Prepared {
    fn new(region: &Arc<Region>) -> Result<Self, ClaimError> {
        region.prefault_here()?;
        let witness = Witness::new(region);
        let (me, lifeline) = witness.identify_self()?;
        let private = Wiped::new(State::new(0, 0, 0, 0))?;
        Ok(Self { witness, me, lifeline, private, fences: !membarrier::register() })
    }
}

impl Endpoint {
    /// Takes the seat of `side`. `state` gets the word that was stored in the seat, and returns where to go on.
    pub fn claim(
        region: &Arc<Region>,
        side: Side,
        state: impl FnOnce(u64) -> Result<State, Stop>,
    ) -> Result<Self, ClaimError> {
        Self::take(Prepared::new(region)?, side, state)
    }

    /// Kills the process that holds the seat, and then [claims](Self::claim) it. The kill comes after everything else
    /// that can fail.
    pub fn kill_and_claim(
        region: &Arc<Region>,
        side: Side,
        timeout: Duration,
        state: impl FnOnce(u64) -> Result<State, Stop>,
    ) -> Result<Self, KillError> {
        let prepared = Prepared::new(region)?;
        prepared.witness.kill_holder(side.number, timeout)?;
        Ok(Self::take(prepared, side, state)?)
    }

    fn take(
        prepared: Prepared,
        side: Side,
        state: impl FnOnce(u64) -> Result<State, Stop>,
    ) -> Result<Self, ClaimError> {
        let Prepared { witness, mut me, mut lifeline, mut private, fences } = prepared;
        let number = side.number;
        let name = if number == SENDER { Seat::Sender } else { Seat::Receiver };
        let claim = |me, line: Option<&Lifeline>| {
            let lock_liveness = |word| {
                // A sleeper that sees nobody here looks seldom. From now on it looks often, in case this process dies as
                // it claims.
                side.wake_peers(fences);
                line.map_or(Ok(()), |line| line.lock(lock_byte(number, word)))
            };
            let unlock = |word| _ = line.map(|line| line.unlock(lock_byte(number, word)));
            seat::claim(&side.seat, me, |word| witness.is_gone(number, word), lock_liveness, unlock)
        };
        let claim = match claim(me, lifeline.as_ref()) {
            // Locking fails now, although it worked before. In the region's PID namespace, the process id is enough.
            Err(Refused::NoLivenessLock(_)) if me.same_origin => {
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
            Refused::NoLivenessLock(error) => witness.region().lock_error(error),
        })?;
        if let Some(line) = &mut lifeline {
            line.close_descriptor();
        }
        // If the peer died before, its death must be recorded before the state is made.
        witness.check_peer(&side);
        *private = state(claim.word).map_err(|stop| {
            seat::release(&side.seat, claim.word);
            match stop {
                Stop::Corrupt(corrupt) => ClaimError::Corrupt(corrupt),
                _ => ClaimError::CorruptSeat { seat: name, found: claim.word },
            }
        })?;
        let barrier = if fences { BARRIER_FENCES } else { BARRIER_REGISTERED };
        side.seat.barrier.store(barrier, Relaxed);
        side.arrive();
        // Who waits for a peer sees one now.
        side.wake_peers(fences);
        let (wait, generation) = (witness.region().wait(), claim.generation);
        let (outlives_peers, cancel) = (false, None);
        Ok(Self { state: private, wait, fences, generation, outlives_peers, cancel, side, witness, lifeline })
    }

    /// Waits for what is awaited.
    #[inline(always)]
    pub fn find<A: Awaited>(&mut self, awaited: A) -> Result<A::Found, <A::Error as Try>::Refused> {
        if let Some(found) = awaited.poll(&self.state) {
            return Ok(found);
        }
        if let Some(found) = self.spin(awaited) {
            return Ok(found);
        }
        self.wait_for_ever(awaited)
    }

    /// Finds what is awaited, if it is there now. Does not wait.
    #[inline(always)]
    pub fn find_now<A: Awaited>(&mut self, awaited: A) -> Result<A::Found, A::Error> {
        match awaited.poll(&self.state) {
            Some(found) => Ok(found),
            None => self.look(awaited),
        }
    }

    /// Waits for what is awaited, for at most `timeout`. A timeout too long for the clock never ends.
    pub fn find_within<A: Awaited>(
        &mut self,
        awaited: A,
        timeout: Duration,
    ) -> Result<A::Found, <A::Error as Try>::TimedOut> {
        self.find_until(awaited, || Instant::now().checked_add(timeout))
    }

    /// Waits for what is awaited, until `deadline`.
    pub fn find_by<A: Awaited>(
        &mut self,
        awaited: A,
        deadline: Instant,
    ) -> Result<A::Found, <A::Error as Try>::TimedOut> {
        self.find_until(awaited, || Some(deadline))
    }

    /// The clock is not asked if it is there now.
    fn find_until<A: Awaited>(
        &mut self,
        awaited: A,
        deadline: impl FnOnce() -> Option<Instant>,
    ) -> Result<A::Found, <A::Error as Try>::TimedOut> {
        match awaited.poll(&self.state) {
            Some(found) => Ok(found),
            None => Ok(self.wait_until(awaited, deadline())?),
        }
    }

    #[cold]
    #[inline(never)]
    fn look<A: Awaited>(&mut self, awaited: A) -> Result<A::Found, A::Error> {
        awaited.check(&self.state)?;
        let found = poll_slow(awaited, &mut self.state, &self.side, self.outlives_peers);
        Ok(found.map_err(|stop| self.report(stop))?)
    }

    /// Polls a few times. The wait for an awake peer ends here, with little work between its message and the caller.
    #[cold]
    #[inline(never)]
    pub fn spin<A: Awaited>(&mut self, awaited: A) -> Option<A::Found> {
        if !A::POLLS_SHARED || !self.wait.spins() {
            return None;
        }
        awaited.before_spinning(&mut self.state);
        (0..SPINS).find_map(|_| {
            let found = awaited.poll(&self.state);
            if found.is_none() {
                core::hint::spin_loop();
            }
            found
        })
    }

    #[cold]
    #[inline(never)]
    pub fn wait_for_ever<A: Awaited>(&mut self, awaited: A) -> Result<A::Found, <A::Error as Try>::Refused> {
        loop {
            match self.wait_until(awaited, None) {
                Ok(found) => return Ok(found),
                Err(error) => error.refused()?,
            }
        }
    }

    fn wait_until<A: Awaited>(&mut self, awaited: A, deadline: Option<Instant>) -> Result<A::Found, A::Error> {
        awaited.check(&self.state)?;
        let Self { state, wait, side, witness, outlives_peers, cancel, .. } = &mut *self;
        let (outlives_peers, cancel) = (*outlives_peers, cancel.as_ref());
        let mut call = Call { awaited, state, side, witness, outlives_peers, cancel, lost: false };
        let found = block(*wait, deadline, ParkOn::Own(&side.own_word), &mut call);
        Ok(found.unwrap_or(Err(Stop::Blocked)).map_err(|stop| self.report(stop))?)
    }

    /// Records that the caller learns what stopped it: a peer's death is reported once, and a sender's end to one
    /// receiver.
    #[cold]
    fn report(&mut self, stop: Stop) -> Stop {
        let Stop::Ended(end) = stop else { return stop };
        // No new peer can reach this file, which matters more than that the old one left.
        if matches!(end, End::Left(_)) && self.witness.region().is_lost() {
            return Stop::FileLost;
        }
        self.side.report_end(&mut self.state, end);
        stop
    }

    /// Waits until a living process holds the peer's seat, for at most `timeout`.
    pub fn wait_for_peer<E: Try + From<Stop>>(&mut self, timeout: Duration) -> Result<(), E::TimedOut> {
        self.state.check().map_err(E::from)?;
        let deadline = Instant::now().checked_add(timeout);
        let Self { wait, side, witness, cancel, .. } = &*self;
        let mut call = PeerCall { side, witness, cancel: cancel.as_ref() };
        call.check_peer();
        let came = block(*wait, deadline, ParkOn::Own(&side.own_word), &mut call);
        Ok(came.unwrap_or(Err(Stop::Blocked)).map_err(E::from)?)
    }

    /// What ends the blocked calls of this endpoint.
    pub fn canceller(&mut self) -> Canceller {
        self.cancel.get_or_insert_with(|| Canceller::new(Some((self.side.own_word.clone(), OWNER)))).clone()
    }

    /// Whether a living process holds the peer's seat now. Asks the kernel. If the peer is dead, every later call knows
    /// it.
    pub fn has_peer(&self) -> bool {
        self.check_peer();
        // A forked child inherits its parent's witness, but may be in another PID namespace.
        let here = if self.state.is_forked_child() { &Witness::new(self.witness.region()) } else { &self.witness };
        self.side.peer.as_ref().is_some_and(|peer| here.is_held(peer.number))
    }

    fn check_peer(&self) {
        if !self.state.is_forked_child() {
            self.witness.check_peer(&self.side);
        }
    }

    /// Whether the peer has left or died, as far as it concerns this endpoint.
    pub fn peer_ended(&self) -> bool {
        self.check_peer();
        self.side.peer_ended(&self.state).is_some()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let lifeline = self.lifeline.take();
        if self.state.is_forked_child() {
            if let Some(parents) = lifeline {
                parents.forget();
            }
            return;
        }
        if std::thread::panicking() {
            self.side.panicked(self.generation);
        }
        self.side.leave(self.state.holder, self.fences);
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
            Stop::Cancelled => TrySendError::Refused(SendError::Cancelled),
            Stop::Corrupt(corrupt) => TrySendError::Refused(SendError::Corrupt(corrupt)),
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
            Stop::Cancelled => TryRecvError::Refused(RecvError::Cancelled),
            Stop::Corrupt(corrupt) => TryRecvError::Refused(RecvError::Corrupt(corrupt)),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wait, generation, outlives_peers, .. } = self;
        f.debug_struct("Endpoint")
            .field("region", self.witness.region())
            .field("generation", generation)
            .field("position", &self.state.pos)
            .field("forked", &self.state.is_forked_child())
            .field("wait", wait)
            .field("outlives_peers", outlives_peers)
            .finish()
    }
}
