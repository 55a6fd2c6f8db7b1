//! A blocked call of one thread: polls for what it waits for, asks the kernel about the peer now and then, and sleeps.

use std::time::{Duration, Instant};

use super::Wait;
use crate::protocol::wait_word::{announce, park, withdraw};
use crate::sync::{AtomicU32, nap, now};

/// Polls between two looks at the clock, when spinning.
const POLLS: u32 = 16;

/// Checks of one word before each poll, when spinning. A poll asks everything, a check only the word that a message comes
/// with: what is done between two of them delays the message.
pub(crate) const SPINS: u32 = 64;

/// From then on, a spinning wait yields.
const YIELD_AFTER: Duration = Duration::from_millis(1);

/// From when on, and how often then, a blocked call asks the kernel whether its peer is alive: often enough to tell of a
/// death well within 50 ms.
const FIRST_CHECK: Duration = Duration::from_millis(4);
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// After so many checks in a row that found nobody in the peer's seat, a sleeper checks only this often: a peer that comes
/// wakes it.
const VACANT_CHECKS: u32 = 5;
const VACANT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a sleeper naps between two polls when nobody can be told to wake it: because the kernel refuses
/// `membarrier`, or the region is attached read-only.
const NAP: Duration = Duration::from_millis(1);

/// What a call blocks on.
pub(crate) trait Blocked {
    type Found;
    /// Looks for what is waited for, after up to `spins` checks of the one word that it comes with.
    fn poll(&mut self, spins: u32) -> Option<Self::Found>;
    /// Asks the kernel about the peer, whose death wakes nobody. What that brings to light, `poll` must find.
    ///
    /// Returns whether somebody sits there. If nobody does, it need not be asked as often.
    fn check_peer(&mut self) -> bool;
}

/// The word a sleeper announces itself in.
#[derive(Clone, Copy)]
pub(crate) enum ParkOn<'a> {
    /// Nobody else sleeps on it.
    Own(&'a AtomicU32),
    /// Several may.
    Shared(&'a AtomicU32),
    /// There is none that this process may write: it naps.
    Nothing,
}

/// A blocked call, and when it is to ask the kernel next.
struct Call<'a, B> {
    blocked: &'a mut B,
    deadline: Option<Instant>,
    next_check: Instant,
    /// How many checks in a row found nobody in the peer's seat.
    vacant: u32,
}

impl<B: Blocked> Call<'_, B> {
    /// How long until the kernel is to be asked again.
    fn until_check(&self) -> Duration {
        self.next_check.saturating_duration_since(now())
    }

    /// Asks the kernel if it is time to.
    fn check_peer_if_due(&mut self) {
        if self.until_check() == Duration::ZERO {
            self.vacant = if self.blocked.check_peer() { 0 } else { self.vacant + 1 };
            self.next_check = now() + if self.vacant > VACANT_CHECKS { VACANT_INTERVAL } else { CHECK_INTERVAL };
        }
    }

    /// How long the caller may sleep, and no longer than `most`; `None` if the deadline has passed.
    fn nap(&self, most: Duration) -> Option<Duration> {
        let nap = most.min(self.until_check());
        let Some(deadline) = self.deadline else { return Some(nap) };
        let left = deadline.saturating_duration_since(now());
        (left > Duration::ZERO).then(|| nap.min(left))
    }

    /// The last thing that is done before the deadline is said to have passed.
    fn last_poll(&mut self) -> Option<B::Found> {
        self.blocked.check_peer();
        self.blocked.poll(0)
    }

    /// Sleeps on `word` until there is an answer; `None` once the deadline has passed.
    fn park_on(&mut self, word: &AtomicU32) -> Option<B::Found> {
        loop {
            let announced = announce(word);
            // What was published before the announcement could be seen is found here.
            if let Some(found) = self.blocked.poll(0) {
                return Some(found);
            }
            let most = if announced.visible { Duration::MAX } else { NAP };
            // As long as it is slept on to the end, the announcement stands and need not be made again.
            loop {
                let Some(time) = self.nap(most) else { return self.last_poll() };
                let slept_out = park(word, announced, time);
                self.check_peer_if_due();
                if let Some(found) = self.blocked.poll(0) {
                    return Some(found);
                }
                if !slept_out {
                    // Somebody woke this sleeper, and may be about to take the seat.
                    self.vacant = 0;
                    self.next_check = self.next_check.min(now() + CHECK_INTERVAL);
                    break;
                }
            }
        }
    }

    /// Naps until there is an answer, without a word to announce it in; `None` once the deadline has passed.
    fn nap_on(&mut self) -> Option<B::Found> {
        loop {
            if let Some(found) = self.blocked.poll(0) {
                return Some(found);
            }
            let Some(time) = self.nap(NAP) else { return self.last_poll() };
            nap(time);
            self.check_peer_if_due();
        }
    }
}

/// Polls until there is an answer; `None` once the deadline has passed.
#[inline]
pub(crate) fn block<B: Blocked>(
    wait: Wait,
    deadline: Option<Instant>,
    park_on: ParkOn<'_>,
    blocked: &mut B,
) -> Option<B::Found> {
    let spin = wait.spins_for();
    let mut asked = None;
    if spin == Duration::ZERO {
        // It does not sleep before a look: it may be that there is nothing to wait for, or nobody.
        if let Some(found) = blocked.poll(0) {
            return Some(found);
        }
    } else {
        let mut start = None;
        loop {
            for _ in 0..POLLS {
                if let Some(found) = blocked.poll(SPINS) {
                    return Some(found);
                }
                core::hint::spin_loop();
            }
            // The clock is not asked before the first polls: an awake peer answers within them.
            let time = now();
            let waited = time - *start.get_or_insert(time);
            if deadline.is_some_and(|end| time >= end) {
                blocked.check_peer();
                return blocked.poll(0);
            }
            if waited >= spin {
                break;
            }
            if waited >= YIELD_AFTER {
                if waited >= FIRST_CHECK && asked.is_none_or(|at| time >= at + CHECK_INTERVAL) {
                    blocked.check_peer();
                    asked = Some(time);
                }
                std::thread::yield_now();
            }
        }
    }
    let next_check = asked.map_or_else(|| now() + FIRST_CHECK, |at| at + CHECK_INTERVAL);
    let mut call = Call { blocked, deadline, next_check, vacant: 0 };
    match park_on {
        ParkOn::Own(word) => {
            let found = call.park_on(word);
            withdraw(word);
            found
        }
        ParkOn::Shared(word) => call.park_on(word),
        ParkOn::Nothing => call.nap_on(),
    }
}
