//! Clocks that several processes can compare, or that stand while others run. In microseconds.
#![forbid(unsafe_code)]

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::retry::retry;

/// Time since some moment that is the same for all processes of a boot and of a time namespace; `None` if the kernel
/// refuses.
pub(crate) fn monotonic() -> Option<u64> {
    read(ClockId::CLOCK_MONOTONIC)
}

/// What the calling thread has used of a processor; `None` if the kernel refuses.
pub(crate) fn processor() -> Option<u64> {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> Option<u64> {
    retry(|| clock_gettime(clock)).ok().map(|time| Duration::from(time).as_micros() as u64)
}
