//! Which process this is, told apart from every other that has had or will have its id, and whether another
//! still is.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::OsError;

/// What the kernel knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    /// It ended, and every one of its threads with it; its id may be another's by now.
    Gone,
    /// It cannot be asked.
    Unknown,
}

/// Set in an identity that is a start time and no inode number, so that the two are never compared.
const START_TIME: u32 = 1 << 31;
/// `PIDFS_MAGIC`: the file system that gives every process its own inode.
const PIDFS: i64 = 0x5049_4446;

/// This process's id, and what tells it from others that have had or will have the same.
///
/// A process id is reused; a pidfd's inode number is not, for a whole boot (since Linux 6.9). On older
/// kernels, where all pidfds share one inode, the start time in clock ticks stands in for it.
pub(crate) fn this() -> Result<(u32, u32), OsError> {
    let pid = std::process::id();
    let inode = match Pidfd::open(pid) {
        Ok(fd) => fd.inode()?,
        Err(error) if matches!(error.errno(), Errno::ENOSYS | Errno::EPERM) => None,
        Err(error) => return Err(error),
    };
    let identity = match inode {
        Some(inode) => inode as u32 & !START_TIME,
        None => start_time("self")? as u32 | START_TIME,
    };
    Ok((pid, identity))
}

/// This boot and this process's PID and time namespaces as one number, never 0; `None` where `/proc` does not say.
/// Two namespaces of one kind have two numbers, unless the first was gone before the second came. (In another time
/// namespace, a process has another start time.)
pub(crate) fn home() -> Option<u64> {
    let pids = fs::metadata("/proc/thread-self/ns/pid").ok()?.ino();
    // Missing before Linux 5.6.
    let time = fs::metadata("/proc/thread-self/ns/time").map_or(0, |time| time.ino());
    Some((boot()? ^ pids ^ time.rotate_left(32)).max(1))
}

/// This boot, as a number, never 0; `None` where `/proc` does not say.
pub(crate) fn boot() -> Option<u64> {
    // No lock, which a child forked meanwhile would find held for ever.
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    let known = KNOWN.load(Relaxed);
    if known != 0 {
        return Some(known);
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = u128::from_str_radix(&id.trim().replace('-', ""), 16).ok()?;
    let boot = ((id >> 64) as u64 ^ id as u64).max(1);
    KNOWN.store(boot, Relaxed);
    Some(boot)
}

/// What became of the process that was `pid`, in this process's PID namespace, and had this identity.
pub(crate) fn fate(pid: u32, identity: u32) -> Fate {
    match Pidfd::open(pid) {
        Ok(fd) => fd.fate_of(pid, identity),
        // ESRCH: there is none; the others: the id is that of a thread, so no process has it.
        Err(error) if matches!(error.errno(), Errno::ESRCH | Errno::EINVAL | Errno::ENOENT) => Fate::Gone,
        // The kernel has no pidfds, or this process may not have one, or no more descriptors.
        Err(_) => match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), None) {
            Err(Errno::ESRCH) => Fate::Gone,
            _ if identity & START_TIME != 0 => by_start_time(pid, identity),
            _ => Fate::Unknown,
        },
    }
}

/// A process with this id exists, or did a moment ago.
fn by_start_time(pid: u32, identity: u32) -> Fate {
    // In the `/proc` of another PID namespace, ids are other processes'.
    if fs::read_link("/proc/self").ok().is_none_or(|own| own.as_os_str() != std::process::id().to_string().as_str()) {
        return Fate::Unknown;
    }
    match start_time(&pid.to_string()) {
        Ok(time) if time as u32 | START_TIME == identity => Fate::Alive,
        Ok(_) => Fate::Gone,
        Err(_) => Fate::Unknown,
    }
}

/// A process, named by what no other can ever have.
pub(crate) struct Pidfd(OwnedFd);

impl Pidfd {
    pub fn open(pid: u32) -> Result<Self, OsError> {
        // SAFETY: takes no memory.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(OsError::last("pidfd_open"));
        }
        // SAFETY: the kernel just made this descriptor and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// `None` where pidfds have no inodes of their own.
    fn inode(&self) -> Result<Option<u64>, OsError> {
        let system = nix::sys::statfs::fstatfs(&self.0).map_err(|e| OsError::new("fstatfs", e))?;
        if system.filesystem_type().0 as i64 != PIDFS {
            return Ok(None);
        }
        let stat = nix::sys::stat::fstat(self.0.as_fd()).map_err(|e| OsError::new("fstat", e))?;
        Ok(Some(stat.st_ino))
    }

    /// What became of the process that had this identity, given that this is the one with its id.
    pub fn fate_of(&self, pid: u32, identity: u32) -> Fate {
        let fate = self.fate_seen(pid, identity);
        // If somebody closes descriptors at this moment, what was asked may have been another.
        if fate == Fate::Gone && self.inode().is_err() { Fate::Unknown } else { fate }
    }

    fn fate_seen(&self, pid: u32, identity: u32) -> Fate {
        let same = match self.inode() {
            Ok(Some(inode)) if identity & START_TIME == 0 => inode as u32 & !START_TIME == identity,
            Ok(_) if identity & START_TIME != 0 => match by_start_time(pid, identity) {
                Fate::Alive => true,
                Fate::Gone => false,
                // It may be that it has just ended.
                Fate::Unknown => {
                    return if self.ended(Duration::ZERO) == Ok(true) { Fate::Gone } else { Fate::Unknown };
                }
            },
            _ => return Fate::Unknown,
        };
        match self.ended(Duration::ZERO) {
            _ if !same => Fate::Gone,
            Ok(true) => Fate::Gone,
            Ok(false) => Fate::Alive,
            Err(_) => Fate::Unknown,
        }
    }

    /// Waits until the process, every thread of it, has ended; false when `timeout` has passed.
    pub fn ended(&self, timeout: Duration) -> Result<bool, Errno> {
        let start = Instant::now();
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Err(Errno::EINTR) => {}
                // The time that `poll` knows is shorter than what a caller may ask for, and in milliseconds.
                Ok(0) if start.elapsed() < timeout => {}
                result => {
                    result?;
                    let events = fds[0].revents().unwrap_or(PollFlags::empty());
                    // Somebody closed the descriptor: that says nothing of the process.
                    if events.contains(PollFlags::POLLNVAL) {
                        return Err(Errno::EBADF);
                    }
                    return Ok(events.contains(PollFlags::POLLIN));
                }
            }
        }
    }

    /// Ends the process with `SIGKILL`. That it has ended already, whatever the kernel says of the signal then, is no
    /// error.
    pub fn kill(&self) -> Result<(), OsError> {
        let info = core::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null `info` is allowed, and nothing else is memory.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, info, 0) };
        let refused = OsError::last("pidfd_send_signal");
        if sent == 0 || self.ended(Duration::ZERO) == Ok(true) { Ok(()) } else { Err(refused) }
    }
}

/// Clock ticks from boot to the start of a process: field 22 of `/proc/PID/stat`.
fn start_time(pid: &str) -> Result<u64, OsError> {
    let failed = |source| OsError { call: "read /proc/PID/stat", source };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(failed)?;
    // The second field, in parentheses, may hold anything, so count from the last of them.
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    field.and_then(|text| text.parse().ok()).ok_or_else(|| failed(std::io::Error::other("no start time in it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_the_same_twice_and_alive() {
        let (pid, identity) = this().unwrap();
        assert_eq!((pid, identity), this().unwrap());
        assert_eq!(pid, std::process::id());
        assert_eq!(fate(pid, identity), Fate::Alive);
        assert_eq!(fate(pid, identity ^ 1), Fate::Gone);
    }

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let started = start_time("self").unwrap();
        assert!(started > 0);
        let identity = started as u32 | START_TIME;
        assert_eq!(fate(std::process::id(), identity), Fate::Alive);
        assert_eq!(fate(std::process::id(), (started as u32 ^ 1) | START_TIME), Fate::Gone);
    }

    #[test]
    fn nobody_has_the_largest_id() {
        assert_eq!(fate((1 << 22) - 1, 5), Fate::Gone);
    }

    #[test]
    fn a_process_that_was_reaped_meanwhile_is_no_error_to_end() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Pidfd::open(child.id()).unwrap();
        assert_eq!(process.ended(Duration::ZERO), Ok(false));
        child.kill().unwrap();
        assert_eq!(process.ended(Duration::from_secs(60)), Ok(true));
        process.kill().unwrap();
        child.wait().unwrap();
        process.kill().unwrap();
        assert_eq!(process.ended(Duration::ZERO), Ok(true));
    }

    #[test]
    fn a_home_is_the_same_twice() {
        assert!(home().is_some());
        assert_eq!(home(), home());
    }
}
