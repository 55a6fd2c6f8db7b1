//! How a blocked call waits: spin, then sleep.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::protocol::wait_word::{self, Watch};
use crate::sync::AtomicU32;

/// How a blocked call waits for its peer. Whichever it is, an awake peer pays nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Looks again and again, for the shortest delay, and uses a whole processor. After a millisecond
    /// it yields between looks, so that a peer on the same processor gets its turn.
    Spin,
    /// Spins for this long, then sleeps in the kernel. The default, with 50 microseconds: about what it
    /// costs to wake a sleeper.
    SpinThenSleep(Duration),
    /// Sleeps at once: for peers that share a processor, or seldom talk.
    Sleep,
}

impl Default for Wait {
    fn default() -> Self {
        Wait::SpinThenSleep(Duration::from_micros(50))
    }
}

impl Wait {
    /// How long it spins.
    pub(crate) fn spins(self) -> Duration {
        match self {
            Wait::Spin => Duration::MAX,
            Wait::SpinThenSleep(time) => time,
            Wait::Sleep => Duration::ZERO,
        }
    }
}

/// How long one call is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Forever,
    Until(Instant),
}

impl Patience {
    /// From now on; a time too long for the clock is for ever.
    pub fn lasting(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Patience::Forever, Patience::Until)
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Patience::Forever => None,
            Patience::Until(end) => Some(end),
        }
    }
}

/// Looks between two looks at the clock, when spinning.
const LOOKS: u32 = 16;

/// Glances before each look, when spinning. A look asks everything, a glance only the word that a message
/// comes with: what is done between two of them delays the message.
pub(crate) const GLANCES: u32 = 64;

/// From then on, a spinning wait yields.
const YIELD_AFTER: Duration = Duration::from_millis(1);

/// The word a sleeper announces itself in.
#[derive(Clone, Copy)]
pub(crate) enum Bed<'a> {
    /// Nobody else sleeps on it.
    Own(&'a AtomicU32),
    /// Several may.
    Shared(&'a AtomicU32),
    /// There is none it may write.
    None,
}

/// From when on, and how often then, a blocked call asks the kernel whether its peer is alive: often enough to
/// tell of a death well within 50 ms.
const FIRST_INQUIRY: Duration = Duration::from_millis(4);
const INQUIRIES: Duration = Duration::from_millis(20);

/// A blocked call: what it looks for, and whom it asks about.
struct Blocked<P, Q> {
    poll: P,
    ask: Q,
    next_inquiry: Instant,
}

impl<R, P: FnMut(u32) -> Option<R>, Q: FnMut()> Watch for Blocked<P, Q> {
    type Found = R;

    fn look(&mut self) -> Option<R> {
        (self.poll)(0)
    }

    fn inquire(&mut self) {
        (self.ask)();
        self.next_inquiry = Instant::now() + INQUIRIES;
    }

    fn until_inquiry(&self) -> Duration {
        self.next_inquiry.saturating_duration_since(Instant::now())
    }
}

/// Polls until there is an answer; `None` when patience has run out. `poll` is told how many glances to
/// make before it looks. `ask` asks the kernel about the peer; what that brings to light, `poll` must find.
#[inline]
pub(crate) fn until<R>(
    wait: Wait,
    patience: Patience,
    bed: Bed<'_>,
    mut poll: impl FnMut(u32) -> Option<R>,
    mut ask: impl FnMut(),
) -> Option<R> {
    let deadline = patience.deadline();
    let spin = wait.spins();
    let mut asked = None;
    if spin == Duration::ZERO {
        // Not to bed before a look: it may be that there is nothing to wait for, or nobody to.
        if let Some(result) = poll(0) {
            return Some(result);
        }
    } else {
        let mut start = None;
        loop {
            for _ in 0..LOOKS {
                if let Some(result) = poll(GLANCES) {
                    return Some(result);
                }
                core::hint::spin_loop();
            }
            // The clock is not asked before the first looks: an awake peer answers within them.
            let now = Instant::now();
            let waited = now - *start.get_or_insert(now);
            if deadline.is_some_and(|end| now >= end) {
                ask();
                return poll(0);
            }
            if waited >= spin {
                break;
            }
            if waited >= YIELD_AFTER {
                if waited >= FIRST_INQUIRY && asked.is_none_or(|at| now >= at + INQUIRIES) {
                    ask();
                    asked = Some(now);
                }
                std::thread::yield_now();
            }
        }
    }
    let next_inquiry = asked.map_or_else(|| Instant::now() + FIRST_INQUIRY, |at| at + INQUIRIES);
    let mut blocked = Blocked { poll, ask, next_inquiry };
    match bed {
        Bed::Own(word) => wait_word::sleep_until(word, true, deadline, &mut blocked),
        Bed::Shared(word) => wait_word::sleep_until(word, false, deadline, &mut blocked),
        Bed::None => wait_word::nap_until(deadline, &mut blocked),
    }
}
