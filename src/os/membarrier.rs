//! `membarrier(2)`: a full fence in every process that registered for it, paid by the one who asks.

use nix::libc;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: takes no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Lets this process answer [`heavy_barrier`]s. False: the kernel refuses, and this process must fence.
/// May be called again and again; holds for every thread, and until exec.
pub(crate) fn register() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

/// A full fence here and in every thread of every registered process. False: the kernel refuses, and
/// the caller must not rely on being woken.
pub(crate) fn heavy_barrier() -> bool {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}
