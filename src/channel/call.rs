//! The calls of an endpoint that wait: what each polls for, and what it asks the kernel.
#![forbid(unsafe_code)]

use super::awaited::Awaited;
use crate::liveness::Witness;
use crate::protocol::{Side, State, Stop};
use crate::wait::{Blocked, Canceller};

/// A call that waits for a peer.
pub(super) struct PeerCall<'a> {
    pub side: &'a Side,
    pub witness: &'a Witness,
    pub cancel: Option<&'a Canceller>,
}

impl Blocked for PeerCall<'_> {
    type Found = Result<(), Stop>;

    fn poll(&mut self, _: u32) -> Option<Self::Found> {
        if self.side.peer_sits() {
            return Some(Ok(()));
        }
        self.cancel.is_some_and(Canceller::is_cancelled).then_some(Err(Stop::Cancelled))
    }

    fn check_peer(&mut self) -> bool {
        self.witness.check_peer(self.side);
        self.side.peer_sits()
    }
}

/// A call that waits for what the peer does.
pub(super) struct Call<'a, A> {
    pub awaited: A,
    pub state: &'a mut State,
    pub side: &'a Side,
    pub witness: &'a Witness,
    pub outlives_peers: bool,
    pub cancel: Option<&'a Canceller>,
    /// The region's file has lost its name, and the caller watches it.
    pub lost: bool,
}

impl<A: Awaited> Blocked for Call<'_, A> {
    type Found = Result<A::Found, Stop>;

    #[inline(always)]
    fn poll(&mut self, spins: u32) -> Option<Self::Found> {
        self.awaited.spin(self.state, spins);
        if let Some(found) = self.awaited.poll(self.state) {
            return Some(Ok(found));
        }
        match poll_slow(self.awaited, self.state, self.side, self.outlives_peers) {
            Err(Stop::Blocked) if self.lost => Some(Err(Stop::FileLost)),
            Err(Stop::Blocked) if self.cancel.is_some_and(Canceller::is_cancelled) => Some(Err(Stop::Cancelled)),
            Err(Stop::Blocked) => None,
            result => Some(result),
        }
    }

    fn check_peer(&mut self) -> bool {
        self.witness.check_peer(self.side);
        self.lost = self.witness.region().is_lost();
        self.side.peer_sits() || self.witness.region().is_watched()
    }
}

/// The slow poll of a caller that may outlive its peers.
pub(super) fn poll_slow<A: Awaited>(
    awaited: A,
    s: &mut State,
    side: &Side,
    outlives_peers: bool,
) -> Result<A::Found, Stop> {
    match awaited.poll_slow(s) {
        Err(Stop::Ended(end)) if outlives_peers => {
            // Another end may have come meanwhile: the next poll passes over that.
            let ended = |stop| if let Stop::Ended(_) = stop { Stop::Blocked } else { stop };
            side.pass_over(s, end, |s| awaited.poll_slow(s)).map_err(ended)
        }
        result => result,
    }
}
