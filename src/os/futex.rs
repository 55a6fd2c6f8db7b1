//! `futex(2)` on words that several processes map. Never the private flavour, which wakes no other process.

use core::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::nap::nap;

/// How long a caller sleeps where the kernel refuses `futex(2)` and nobody can wake it.
const UNWAKEABLE_SLEEP: Duration = Duration::from_millis(1);

/// Sleeps while `word` holds `expected`, for at most `time`; true if it slept that long. May wake up early for no
/// reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, time: Duration) -> bool {
    let timeout = libc::timespec {
        tv_sec: time.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: time.subsec_nanos().into(),
    };
    let timeout = ptr::from_ref(&timeout);
    // SAFETY: the word is a live atomic, the timeout a live timespec; the kernel only reads both.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, timeout) };
    match Errno::result(result) {
        Err(Errno::ETIMEDOUT) => true,
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => false,
        // Refused: nobody can wake this caller, so it polls.
        Err(_) => {
            nap(UNWAKEABLE_SLEEP.min(time));
            false
        }
    }
}

/// Wakes at most `most` sleepers on `word`.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the word is a live atomic; the kernel uses only its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
}
