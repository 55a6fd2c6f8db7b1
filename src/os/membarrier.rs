//! `membarrier(2)`: a full fence in every process that registered for it. The caller pays for it.
#![forbid(unsafe_code)]

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process for [`heavy_barrier`]s. False if the kernel refuses: this process must then use fences of its
/// own. May be called repeatedly. Applies to every thread, until exec.
pub(crate) fn register() -> bool {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

/// A full fence here and in every thread of every registered process. False if the kernel refuses: the caller must then
/// not rely on being woken.
pub(crate) fn heavy_barrier() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}
