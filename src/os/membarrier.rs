//! `membarrier(2)`: a full fence in every process that registered for it. The caller pays for it.

use nix::libc;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: takes no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Registers this process for [`heavy_barrier`]s. False if the kernel refuses: this process must then use fences of its
/// own. May be called repeatedly. Applies to every thread, until exec.
pub(crate) fn register() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

/// A full fence here and in every thread of every registered process. False if the kernel refuses: the caller must then
/// not rely on being woken.
pub(crate) fn heavy_barrier() -> bool {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}
