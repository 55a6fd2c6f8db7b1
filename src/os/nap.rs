//! A short sleep that never panics. The standard library's does if a system-call filter refuses the call.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

/// Sleeps for `time`. If the kernel refuses, yields once instead.
pub(crate) fn nap(time: Duration) {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = libc::timespec {
            tv_sec: left.as_secs().min(i64::MAX as u64) as libc::time_t,
            tv_nsec: left.subsec_nanos().into(),
        };
        // SAFETY: the kernel reads `left`, and a null pointer makes it write nothing.
        let refused =
            unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const left, core::ptr::null_mut()) };
        match Errno::from_raw(refused) {
            Errno::EINTR if Instant::now() < end => {}
            Errno::UnknownErrno | Errno::EINTR => return,
            _ => return std::thread::yield_now(),
        }
    }
}
