//! `futex(2)` on words that several processes map: never the private flavour, which would wake nobody.

use core::ptr;
use std::time::Duration;

use nix::libc;

use crate::sync::AtomicU32;

/// Sleeps while `word` holds `expected`, for at most `timeout`. May return for no reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|left| libc::timespec {
        tv_sec: left.as_secs().min(i64::MAX as u64) as libc::time_t,
        tv_nsec: left.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word is a live atomic, the timeout null or a live timespec; the kernel only reads both.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, timeout) };
}

/// Wakes everyone who sleeps on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the word is a live atomic; the kernel uses only its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
