//! How a blocked call waits: it spins, then sleeps.
#![forbid(unsafe_code)]

mod block;
mod cancel;

use std::time::Duration;

pub(crate) use block::{Blocked, ParkOn, SPINS, block};
pub use cancel::Canceller;

/// How a blocked call waits for its peer. Whichever it is, an awake peer pays nothing for it.
///
/// # Examples
///
/// ```
/// use ringway::{Wait, spsc};
/// use std::time::Duration;
/// let (mut tx, mut rx) = spsc::pair::<u64>(4)?;
/// tx.set_wait(Wait::Spin);
/// rx.set_wait(Wait::SpinThenSleep(Duration::from_micros(10)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    fn spins_for(self) -> Duration {
        match self {
            Wait::Spin => Duration::MAX,
            Wait::SpinThenSleep(time) => time,
            Wait::Sleep => Duration::ZERO,
        }
    }

    /// Whether it spins at all.
    pub(crate) fn spins(self) -> bool {
        self.spins_for() != Duration::ZERO
    }
}
