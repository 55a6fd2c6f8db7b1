//! A short sleep that nothing can turn into a panic, as a filter that refuses it does with the standard library's.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

/// Sleeps for that long; where the kernel refuses, yields instead, once.
pub(crate) fn nap(time: Duration) {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = libc::timespec {
            tv_sec: left.as_secs().min(i64::MAX as u64) as libc::time_t,
            tv_nsec: left.subsec_nanos().into(),
        };
        // SAFETY: reads the time, and is told to write nothing.
        let refused =
            unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const left, core::ptr::null_mut()) };
        match Errno::from_raw(refused) {
            Errno::EINTR if Instant::now() < end => {}
            Errno::UnknownErrno | Errno::EINTR => return,
            _ => return std::thread::yield_now(),
        }
    }
}
