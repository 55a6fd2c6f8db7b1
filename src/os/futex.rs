//! `futex(2)` on words that several processes map: never the private flavour, which would wake nobody.

use core::ptr;
use std::time::Duration;

use nix::libc;

use crate::sync::AtomicU32;

/// Sleeps while `word` holds `expected`, for at most `timeout`; true if it slept that long. May return earlier
/// for no reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> bool {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let timeout = ptr::from_ref(&timeout);
    // SAFETY: the word is a live atomic, the timeout a live timespec; the kernel only reads both.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, timeout) };
    result < 0 && nix::errno::Errno::last() == nix::errno::Errno::ETIMEDOUT
}

/// Wakes up to `most` of those who sleep on `word`.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the word is a live atomic; the kernel uses only its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
}
