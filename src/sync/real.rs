//! The real ones.

use core::sync::atomic::compiler_fence;
use std::time::Instant;

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

pub(crate) use crate::os::futex;
pub(crate) use crate::os::membarrier::heavy_barrier;
pub(crate) use crate::os::nap::nap;

/// The clock.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The cheap half of the pair whose dear half is [`heavy_barrier`]: keeps the compiler from moving the wake-up check
/// before the publication. The processor is kept from it by the sleeper's `membarrier`, or by a full fence if this
/// process could not register (`fences`).
#[inline(always)]
pub(crate) fn light_barrier(fences: bool) {
    if fences { fence(Ordering::SeqCst) } else { compiler_fence(Ordering::SeqCst) }
}
