//! Clocks that several processes can compare, or that stand while others run. In microseconds.
#![forbid(unsafe_code)]

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::retry::retry;

/// Time since some moment that is the same for all processes of a boot and of a time namespace; 0 if the kernel refuses.
pub(crate) fn monotonic() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// What the calling thread has used of a processor; 0 if the kernel refuses.
pub(crate) fn processor() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> u64 {
    retry(|| clock_gettime(clock)).map_or(0, |time| Duration::from(time).as_micros() as u64)
}
