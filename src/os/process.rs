//! Which process this is, told apart from every other that has had or will have its id.

use std::fs;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::libc;

use crate::error::OsError;
use crate::layout::Process;

/// A process id is reused; a pidfd's inode number is not, for a whole boot (since Linux 6.9). On older
/// kernels, where all pidfds share one inode, the start time in clock ticks stands in for it.
///
/// The top bit of the identity says which it is, so that the two are never compared.
pub(crate) fn this() -> Result<Process, OsError> {
    let pid = std::process::id();
    let identity = match pidfd_inode(pid)? {
        Some(inode) => inode as u32 & !START_TIME,
        None => start_time()? as u32 | START_TIME,
    };
    Ok(Process { pid, identity })
}

const START_TIME: u32 = 1 << 31;
/// `PIDFS_MAGIC`: the file system that gives every process its own inode.
const PIDFS: i64 = 0x5049_4446;

fn pidfd_inode(pid: u32) -> Result<Option<u64>, OsError> {
    // SAFETY: takes no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        let error = OsError::last("pidfd_open");
        return match error.errno() {
            nix::errno::Errno::ENOSYS | nix::errno::Errno::EPERM => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: the kernel just made this descriptor and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let system = nix::sys::statfs::fstatfs(&fd).map_err(|e| OsError::new("fstatfs", e))?;
    if system.filesystem_type().0 as i64 != PIDFS {
        return Ok(None);
    }
    let stat = nix::sys::stat::fstat(fd.as_fd()).map_err(|e| OsError::new("fstat", e))?;
    Ok(Some(stat.st_ino))
}

/// Clock ticks from boot to the start of this process: field 22 of `/proc/self/stat`.
fn start_time() -> Result<u64, OsError> {
    let failed = |source| OsError { call: "read /proc/self/stat", source };
    let stat = fs::read_to_string("/proc/self/stat").map_err(failed)?;
    // The second field, in parentheses, may hold anything, so count from the last of them.
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    field.and_then(|text| text.parse().ok()).ok_or_else(|| failed(std::io::Error::other("no start time in it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_same_twice() {
        let first = this().unwrap();
        assert_eq!(first, this().unwrap());
        assert_eq!(first.pid, std::process::id());
    }

    #[test]
    fn the_start_time_can_be_read() {
        assert!(start_time().unwrap() > 0);
    }
}
