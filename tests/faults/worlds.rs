//! Kernels and file systems that lack something. This is what they answer, whatever else fails.

use nix::errno::Errno;
use nix::libc;

use crate::inject::Call;

/// A file system without `O_TMPFILE`.
pub fn no_tmpfile(call: &Call) -> Option<Errno> {
    let asked = call.number == libc::SYS_openat && call.arguments[2] as i32 & libc::O_TMPFILE == libc::O_TMPFILE;
    asked.then_some(Errno::EOPNOTSUPP)
}

/// A file system without locks.
pub fn no_locks(call: &Call) -> Option<Errno> {
    let asked = [libc::F_OFD_SETLK, libc::F_OFD_GETLK].contains(&(call.arguments[1] as i32));
    (call.number == libc::SYS_fcntl && asked).then_some(Errno::EOPNOTSUPP)
}

/// A kernel before 5.3, or a filter that does not know pidfds.
pub fn no_pidfds(call: &Call) -> Option<Errno> {
    (call.number == libc::SYS_pidfd_open).then_some(Errno::ENOSYS)
}

/// A kernel before 4.16, or a filter that does not allow it.
pub fn no_membarrier(call: &Call) -> Option<Errno> {
    (call.number == libc::SYS_membarrier).then_some(Errno::ENOSYS)
}

/// An emulator of another processor.
pub fn no_mirror(call: &Call) -> Option<Errno> {
    (call.number == libc::SYS_mremap).then_some(Errno::ENOMEM)
}
