//! `futex(2)` on words that several processes map. Never the private flavour, which wakes no other process.
#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};

use super::nap::nap;

/// How long a caller sleeps where the kernel refuses `futex(2)` and nobody can wake it.
const UNWAKEABLE_SLEEP: Duration = Duration::from_millis(1);

/// Sleeps while `word` holds `expected`, for at most `time`; true if it slept that long. May wake up early for no
/// reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, time: Duration) -> bool {
    let timeout = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    match futex::wait(word, Flags::empty(), expected, Some(&timeout)) {
        Err(Errno::TIMEDOUT) => true,
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => false,
        // Refused: nobody can wake this caller, so it polls.
        Err(_) => {
            nap(UNWAKEABLE_SLEEP.min(time));
            false
        }
    }
}

/// Wakes at most `most` sleepers on `word`.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // There is no cure where the kernel refuses: a sleeper looks by itself after a while.
    let _ = futex::wake(word, Flags::empty(), most);
}
