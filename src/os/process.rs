//! Identifies this process, even among all that have had or will have its id, and tells whether another process is
//! still alive.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::fstatfs;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::owned::Owned;
use super::retry::{retry, retry_io};
use crate::error::OsError;

/// What the kernel knows about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    /// It ended, with all of its threads. Its id may belong to another process by now.
    Gone,
    /// The kernel does not say.
    Unknown,
}

impl Fate {
    /// What another question says, if this one was not answered.
    pub fn or_else(self, other: impl FnOnce() -> Fate) -> Fate {
        if self == Fate::Unknown { other() } else { self }
    }
}

/// The bits of an identity: as many as a seat has room for.
pub(crate) const IDENTITY_BITS: u32 = 24;
/// Marks an identity as a start time instead of an inode number, so that the two are never compared.
const START_TIME: u32 = 1 << (IDENTITY_BITS - 1);
/// `PIDFS_MAGIC`: the file system that gives each process an inode of its own.
const PIDFS: i64 = 0x5049_4446;

/// This process's id, and its identity, which distinguishes it from others that have had or will have the same id.
/// `None` if neither a pidfd nor `/proc` gives one.
///
/// A process id is reused; a pidfd's inode number is not, for a whole boot (since Linux 6.9). On older kernels all
/// pidfds share one inode. There, and where a pidfd is refused, the start time in clock ticks replaces it.
pub(crate) fn current() -> (u32, Option<u32>) {
    let pid = std::process::id();
    let inode = Pidfd::open(pid).and_then(|fd| fd.inode()).ok().flatten();
    let identity = match inode {
        Some(inode) => Some(of_inode(inode)),
        None => start_time("self").ok().map(of_start),
    };
    (pid, identity)
}

/// An identity from the inode number of a pidfd. Two processes with one id have the same only if eight million others began
/// between them.
fn of_inode(inode: u64) -> u32 {
    inode as u32 & (START_TIME - 1)
}

/// An identity from a start time in clock ticks. Two processes with one id have the same only if the one began exactly 23
/// hours, or a multiple of that, after the other.
fn of_start(time: u64) -> u32 {
    time as u32 & (START_TIME - 1) | START_TIME
}

/// This boot and this process's PID and time namespaces as one number, never 0. The time namespace counts because a
/// process's start time differs between them. Two namespaces of one kind have different numbers, unless the first was
/// gone before the second was made.
///
/// # Errors
///
/// `/proc` does not show one of them.
pub(crate) fn origin() -> Result<u64, OsError> {
    let pids = namespace("stat /proc/thread-self/ns/pid", "/proc/thread-self/ns/pid")?;
    // Missing before Linux 5.6.
    let time = match namespace("stat /proc/thread-self/ns/time", "/proc/thread-self/ns/time") {
        Err(error) if error.errno() == Errno::ENOENT => 0,
        answer => answer?,
    };
    Ok((boot()? ^ pids ^ time.rotate_left(32)).max(1))
}

fn namespace(call: &'static str, path: &str) -> Result<u64, OsError> {
    let metadata = retry_io(|| fs::metadata(path)).map_err(|source| OsError { call, source })?;
    Ok(metadata.ino())
}

/// This boot, as a number, never 0.
///
/// # Errors
///
/// `/proc` does not show it.
pub(crate) fn boot() -> Result<u64, OsError> {
    // Not a lock: a child forked meanwhile would find it held for ever.
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    let known = KNOWN.load(Relaxed);
    if known != 0 {
        return Ok(known);
    }
    let failed = |source| OsError { call: "read /proc/sys/kernel/random/boot_id", source };
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(failed)?;
    let id = u128::from_str_radix(&id.trim().replace('-', ""), 16);
    let id = id.map_err(|_| failed(std::io::Error::other("no id in it")))?;
    let boot = ((id >> 64) as u64 ^ id as u64).max(1);
    KNOWN.store(boot, Relaxed);
    Ok(boot)
}

/// What became of the process that had the id `pid`, in this process's PID namespace, and this identity.
pub(crate) fn fate(pid: u32, identity: u32) -> Fate {
    match Pidfd::open(pid) {
        Ok(fd) => fd.fate_of(pid, identity),
        Err(_) if is_missing(pid) => Fate::Gone,
        // The kernel has no pidfds, or this process may not open one, or it has no descriptor left.
        Err(_) if identity & START_TIME != 0 => by_start_time(pid, identity),
        Err(_) => Fate::Unknown,
    }
}

/// Whether no process has this id. A system-call filter may answer any call with any error. So this takes two calls
/// that say so, and each must find this process itself.
fn is_missing(pid: u32) -> bool {
    let own = std::process::id();
    let calls: [fn(u32) -> nix::Result<()>; 3] = [
        |pid| Pidfd::open(pid).map(drop).map_err(|error| error.errno()),
        |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), None),
        |pid| {
            // SAFETY: takes no memory. A process's first thread has the process's id; signal 0 sends nothing.
            let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, 0) };
            Errno::result(answer).map(drop)
        },
    ];
    let finds_none = |call: &&fn(u32) -> nix::Result<()>| {
        // For the id of a thread that is not a process's first, `pidfd_open` says `EINVAL`, since Linux 6.15 `ENOENT`.
        matches!(call(pid), Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT)) && call(own).is_ok()
    };
    calls.iter().filter(finds_none).count() >= 2
}

/// The fate of a process by its start time. A process with this id exists, or did a moment ago.
fn by_start_time(pid: u32, identity: u32) -> Fate {
    // In the `/proc` of another PID namespace, the same id names another process.
    if !is_own_proc() {
        return Fate::Unknown;
    }
    match start_time(&pid.to_string()) {
        Ok(time) if of_start(time) == identity => Fate::Alive,
        Ok(_) => Fate::Gone,
        Err(_) => Fate::Unknown,
    }
}

/// Whether `/proc` shows this process's PID namespace. Comparing this process's id with `/proc/self` would not do: it
/// may have the same id in two namespaces. `NSpid` lists its id in each namespace from that of `/proc` down to its own.
fn is_own_proc() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() == 1)
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// A handle that can never come to name another process.
pub(crate) struct Pidfd(Owned);

impl Pidfd {
    pub fn open(pid: u32) -> Result<Self, OsError> {
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let open = |process| pidfd_open(process, PidfdFlags::empty()).map_err(errno);
        let fd = process.ok_or(Errno::EINVAL).and_then(|process| retry(|| open(process)));
        let fd = fd.map_err(|e| OsError::new("pidfd_open", e))?;
        Ok(Self(Owned::opened(File::from(fd))?))
    }

    /// `None` if pidfds have no inodes of their own.
    fn inode(&self) -> Result<Option<u64>, OsError> {
        let file = self.0.get()?;
        let system = retry(|| fstatfs(file)).map_err(|e| OsError::new("fstatfs", e))?;
        if system.filesystem_type().0 as i64 != PIDFS {
            return Ok(None);
        }
        let (_, inode) = self.0.id();
        Ok((inode != 0).then_some(inode))
    }

    /// What became of the process that had this identity, given that this pidfd names the one with its id.
    pub fn fate_of(&self, pid: u32, identity: u32) -> Fate {
        let fate = match self.inode() {
            Ok(Some(inode)) if identity & START_TIME == 0 => {
                let same = of_inode(inode) == identity;
                // Another process has the id by now. A second pidfd must agree, since somebody may have closed this
                // descriptor and its number may belong to another file.
                let again = || Self::open(pid).and_then(|again| again.inode());
                match same {
                    true => Fate::Alive,
                    false if again().is_ok_and(|other| other == Some(inode)) => Fate::Gone,
                    false => Fate::Unknown,
                }
            }
            Ok(_) if identity & START_TIME != 0 => by_start_time(pid, identity),
            _ => return Fate::Unknown,
        };
        match (fate, self.wait_for_end(Duration::ZERO)) {
            (Fate::Gone, _) => Fate::Gone,
            // Its start time may be unknown because it has just ended.
            (_, Ok(true)) => Fate::Gone,
            (fate, Ok(false)) => fate,
            (_, Err(_)) => Fate::Unknown,
        }
    }

    /// The error of the first call about this process that the kernel refuses, if it refuses one.
    pub fn refusal(&self, pid: u32) -> Option<OsError> {
        let polled = || self.wait_for_end(Duration::ZERO).map_err(|errno| OsError::new("poll", errno));
        let refused = self.inode().err().or_else(|| polled().err());
        refused.or_else(|| start_time(&pid.to_string()).err())
    }

    /// Waits until the process has ended, with all of its threads. False if `timeout` passes first.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<bool, Errno> {
        let start = Instant::now();
        let own = self.0.get().map_err(|_| Errno::EBADF)?;
        let mut fds = [PollFd::new(own.as_fd(), PollFlags::POLLIN)];
        loop {
            let answered = retry(|| {
                let left = timeout.saturating_sub(start.elapsed());
                poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
            });
            // `poll` counts in milliseconds, and its longest timeout is shorter than the caller's may be. A fast timer
            // may interrupt it all that time.
            if matches!(answered, Ok(0) | Err(Errno::EINTR)) && start.elapsed() < timeout {
                continue;
            }
            answered?;
            let events = fds[0].revents().unwrap_or(PollFlags::empty());
            // Somebody closed the descriptor, and its number may belong to another file. The answer says nothing about
            // the process.
            if events.contains(PollFlags::POLLNVAL) || !events.is_empty() && self.0.get().is_err() {
                return Err(Errno::EBADF);
            }
            return Ok(events.contains(PollFlags::POLLIN));
        }
    }

    /// Ends the process with `SIGKILL`. It is no error if the process has ended already, whatever the kernel returns
    /// for the signal then.
    pub fn kill(&self) -> Result<(), OsError> {
        let fd = self.0.get()?;
        match retry(|| pidfd_send_signal(fd, Signal::KILL).map_err(errno)) {
            Err(errno) if self.wait_for_end(Duration::ZERO) != Ok(true) => {
                Err(OsError::new("pidfd_send_signal", errno))
            }
            _ => Ok(()),
        }
    }
}

/// Clock ticks from boot to the start of a process: field 22 of `/proc/PID/stat`.
fn start_time(pid: &str) -> Result<u64, OsError> {
    let failed = |source| OsError { call: "read /proc/PID/stat", source };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(failed)?;
    // The second field, in parentheses, may hold anything, so count from the last parenthesis.
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    field.and_then(|text| text.parse().ok()).ok_or_else(|| failed(std::io::Error::other("no start time in it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_process_keeps_its_identity_and_is_alive() {
        let (pid, identity) = current();
        assert_eq!((pid, identity), current());
        let identity = identity.unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(fate(pid, identity), Fate::Alive);
        assert_eq!(fate(pid, identity ^ 1), Fate::Gone);
    }

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let started = start_time("self").unwrap();
        assert!(started > 0);
        let identity = of_start(started);
        assert_eq!(fate(std::process::id(), identity), Fate::Alive);
        assert_eq!(fate(std::process::id(), of_start(started ^ 1)), Fate::Gone);
    }

    #[test]
    fn a_process_with_an_unused_id_is_gone() {
        assert_eq!(fate((1 << 22) - 1, 5), Fate::Gone);
    }

    #[test]
    fn killing_a_process_that_was_reaped_is_no_error() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Pidfd::open(child.id()).unwrap();
        assert_eq!(process.wait_for_end(Duration::ZERO), Ok(false));
        child.kill().unwrap();
        assert_eq!(process.wait_for_end(Duration::from_secs(60)), Ok(true));
        process.kill().unwrap();
        child.wait().unwrap();
        process.kill().unwrap();
        assert_eq!(process.wait_for_end(Duration::ZERO), Ok(true));
    }

    #[test]
    fn the_origin_does_not_change() {
        assert_eq!(origin().unwrap(), origin().unwrap());
    }
}
