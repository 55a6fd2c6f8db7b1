//! `futex(2)` on words that several processes map: never the private flavour, which would wake nobody.

use core::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::nap::nap;
use std::sync::atomic::AtomicU32;

/// How long one sleeps whom nobody can wake.
const UNHEARD: Duration = Duration::from_millis(1);

/// Sleeps while `word` holds `expected`, for at most `time`; true if it slept that long. May return earlier
/// for no reason.
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
        // Refused: then nobody wakes this one either, and it looks for itself.
        Err(_) => {
            nap(UNHEARD.min(time));
            false
        }
    }
}

/// Wakes up to `most` of those who sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the word is a live atomic; the kernel uses only its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
}
