//! What rings and values share: the operations of an endpoint, and claims of its seat.

use ringway::ClaimError;

use crate::common::ptrace::mark;
use crate::common::victim::Stopped;
use crate::oracle::Outcome;
use crate::scene::{Event, LastWords, Side, State};
use crate::small::FULL;

/// What a victim does with its end. `run` returns how many messages it moves: it sends those it is given, or puts those
/// it receives there.
pub struct Operation<E, M> {
    pub name: &'static str,
    pub states: &'static [State],
    /// How many messages it moves at most.
    pub most: u64,
    pub closes: bool,
    pub run: fn(&mut Option<E>, &mut Vec<M>, &LastWords) -> usize,
}

impl<E, M> Operation<E, M> {
    /// Everything that a death in the middle of it may lead to.
    pub fn outcomes(&self, state: State, side: Side) -> Vec<Outcome> {
        let turn = state.turns + 1;
        let died = Some(Event::Died(turn));
        let outcome = |progress, moved, again, end| Outcome { progress, moved, end, again, generation: turn + 1 };
        // The receiver or its predecessor may have held the first message when it died.
        let lent = side == Side::Receiver && state.heir();
        if self.closes {
            return vec![outcome(0, 0, lent, died), outcome(1, 0, lent, Some(Event::Closed))];
        }
        if self.name == "peek_many" {
            // What it looked at is noted at once, and records are consumed one by one.
            let looked = self.most.min(state.held);
            let after = (0..=looked).map(|moved| outcome((2 * moved).max(1), moved, moved < looked, died));
            return std::iter::once(outcome(0, 0, lent, died)).chain(after).collect();
        }
        let moved = (0..=self.most).map(|moved| outcome(2 * moved, moved, lent && moved == 0, died));
        moved.chain((self.name == "recv_ref").then(|| outcome(1, 0, true, died))).collect()
    }

    /// How far the operation has come when it is over, if it began in this state.
    pub fn done(&self, state: State, side: Side) -> u64 {
        let available = match side {
            _ if self.closes => return 1,
            Side::Sender => FULL - state.held,
            Side::Receiver => state.held,
        };
        2 * self.most.min(available)
    }

    /// Fails unless what the victim said before it died is true.
    pub fn check_word(&self, said: Option<u64>, outcome: &Outcome) {
        let kept = said.is_none_or(|moved| moved == outcome.moved && (!self.closes || outcome.progress == 1));
        assert!(kept, "it said that it moved {said:?}: {outcome:?}");
    }
}

/// Everything that a death in the middle of a claim may lead to.
pub fn claim_outcomes(state: State, side: Side) -> Vec<Outcome> {
    let (turn, again) = (state.turns + 1, side == Side::Receiver && state.heir());
    let outcome = |progress, end| Outcome { progress, moved: 0, end, again, generation: turn + progress };
    vec![outcome(0, state.end_before()), outcome(1, Some(Event::Died(turn)))]
}

/// A victim claims a seat, which another process may have. It drops what it claimed after the second mark.
pub fn victim_claims<E>(words: &LastWords, seat: impl FnOnce() -> Result<E, ClaimError>) {
    mark();
    let claimed = match seat() {
        Ok(end) => Some(end),
        Err(ClaimError::Taken { .. }) => None,
        Err(other) => panic!("{other}"),
    };
    words.say(u64::from(claimed.is_some()));
    mark();
}

/// A claimant is stopped, and another process claims the seat.
pub fn one_of_two_wins<E>(state: State, victim: Stopped, words: &LastWords, seat: impl Fn() -> Result<E, ClaimError>) {
    let claimed = seat();
    let ours = claimed.is_ok();
    let keep = claimed.map_err(|error| assert_taken(Err::<E, _>(error), victim.pid(), state.turns + 1));
    victim.go_on();
    assert_eq!(words.said(), Some(u64::from(!ours)), "one of two wins");
    if ours {
        assert_taken(seat(), std::process::id(), state.turns + 1);
    }
    drop(keep);
    drop(seat().unwrap());
}

/// Tries to take the seat of a stopped process, and lets that go on. The seat can be taken only if the process `left`
/// it.
pub fn nothing_is_taken<E>(
    state: State,
    victim: Stopped,
    left: bool,
    seat: impl Fn() -> Result<E, ClaimError>,
    is_held: impl FnOnce() -> bool,
) {
    let successor = if left {
        Some(seat().unwrap_or_else(|error| panic!("it left: {error}")))
    } else {
        assert_taken(seat(), victim.pid(), state.turns + 1);
        None
    };
    assert!(is_held());
    victim.go_on();
    if left {
        assert_taken(seat(), std::process::id(), state.turns + 2);
    }
    drop(successor);
}

fn assert_taken<E>(claimed: Result<E, ClaimError>, by: u32, turn: u64) {
    match claimed.err() {
        Some(ClaimError::Taken { pid, generation, .. }) => assert_eq!((pid, generation), (by, turn)),
        other => panic!("the seat of {by}: {other:?}"),
    }
}
