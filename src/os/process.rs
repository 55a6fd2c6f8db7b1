//! Which process this is, told apart from every other that has had or will have its id, and whether another
//! still is.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::fstatfs;

use super::owned::Owned;
use super::retry::{retry, retry_io};
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

/// This process's id, and what tells it from others that have had or will have the same; `None` where neither a
/// pidfd nor `/proc` says.
///
/// A process id is reused; a pidfd's inode number is not, for a whole boot (since Linux 6.9). On older
/// kernels, where all pidfds share one inode, and where a pidfd is refused, the start time in clock ticks stands in
/// for it.
pub(crate) fn this() -> (u32, Option<u32>) {
    let pid = std::process::id();
    let inode = Pidfd::open(pid).and_then(|fd| fd.inode()).ok().flatten();
    let identity = match inode {
        Some(inode) => Some(inode as u32 & !START_TIME),
        None => start_time("self").ok().map(|time| time as u32 | START_TIME),
    };
    (pid, identity)
}

/// This boot and this process's PID and time namespaces as one number, never 0.
/// Two namespaces of one kind have two numbers, unless the first was gone before the second came. (In another time
/// namespace, a process has another start time.)
///
/// # Errors
///
/// What `/proc` does not say.
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
/// What `/proc` does not say.
pub(crate) fn boot() -> Result<u64, OsError> {
    // No lock, which a child forked meanwhile would find held for ever.
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

/// What became of the process that was `pid`, in this process's PID namespace, and had this identity.
pub(crate) fn fate(pid: u32, identity: u32) -> Fate {
    match Pidfd::open(pid) {
        Ok(fd) => fd.fate_of(pid, identity),
        Err(_) if is_missing(pid) => Fate::Gone,
        // The kernel has no pidfds, or this process may not have one, or no more descriptors.
        Err(_) if identity & START_TIME != 0 => by_start_time(pid, identity),
        Err(_) => Fate::Unknown,
    }
}

/// Whether no process has this id. A filter may answer any call with any error, so this is believed only if two
/// calls say so that know this process itself.
fn is_missing(pid: u32) -> bool {
    let own = std::process::id();
    let asked: [fn(u32) -> nix::Result<()>; 3] = [
        |pid| Pidfd::open(pid).map(drop).map_err(|error| error.errno()),
        |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), None),
        |pid| {
            // SAFETY: takes no memory. The first thread of a process has its id; signal 0 is none.
            let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, 0) };
            Errno::result(answer).map(drop)
        },
    ];
    let says = |ask: &&fn(u32) -> nix::Result<()>| {
        // The id of a thread that is no process's: `EINVAL`, and since Linux 6.15 `ENOENT`, from the first.
        matches!(ask(pid), Err(Errno::ESRCH | Errno::EINVAL | Errno::ENOENT)) && ask(own).is_ok()
    };
    asked.iter().filter(says).count() >= 2
}

/// A process with this id exists, or did a moment ago.
fn by_start_time(pid: u32, identity: u32) -> Fate {
    // In the `/proc` of another PID namespace, ids are other processes'.
    if !is_own_proc() {
        return Fate::Unknown;
    }
    match start_time(&pid.to_string()) {
        Ok(time) if time as u32 | START_TIME == identity => Fate::Alive,
        Ok(_) => Fate::Gone,
        Err(_) => Fate::Unknown,
    }
}

/// Whether `/proc` is of this process's PID namespace. That `/proc/self` has this process's id does not show it: two
/// namespaces may give it the same. `NSpid` has its id in each namespace from that of `/proc` down to its own.
fn is_own_proc() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() == 1)
}

/// A process, named by what no other can ever have.
pub(crate) struct Pidfd(Owned);

impl Pidfd {
    pub fn open(pid: u32) -> Result<Self, OsError> {
        // SAFETY: takes no memory.
        let fd = retry(|| Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }));
        let fd = fd.map_err(|e| OsError::new("pidfd_open", e))?;
        // SAFETY: the kernel just made this descriptor and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        Ok(Self(Owned::opened(File::from(fd))?))
    }

    /// `None` where pidfds have no inodes of their own.
    fn inode(&self) -> Result<Option<u64>, OsError> {
        let file = self.0.get()?;
        let system = retry(|| fstatfs(file)).map_err(|e| OsError::new("fstatfs", e))?;
        if system.filesystem_type().0 as i64 != PIDFS {
            return Ok(None);
        }
        let (_, inode) = self.0.id();
        Ok((inode != 0).then_some(inode))
    }

    /// What became of the process that had this identity, given that this is the one with its id.
    pub fn fate_of(&self, pid: u32, identity: u32) -> Fate {
        let fate = match self.inode() {
            Ok(Some(inode)) if identity & START_TIME == 0 => {
                let same = inode as u32 & !START_TIME == identity;
                // Another has the id by now: twice the same one, lest it be a descriptor that is another's by now.
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
        match (fate, self.ended(Duration::ZERO)) {
            (Fate::Gone, _) => Fate::Gone,
            // Its start time may be unknown because it has just ended.
            (_, Ok(true)) => Fate::Gone,
            (fate, Ok(false)) => fate,
            (_, Err(_)) => Fate::Unknown,
        }
    }

    /// Which of the questions about it the kernel refuses, if one.
    pub fn refusal(&self, pid: u32) -> Option<OsError> {
        let polled = || self.ended(Duration::ZERO).map_err(|errno| OsError::new("poll", errno));
        let asked = self.inode().err().or_else(|| polled().err());
        asked.or_else(|| start_time(&pid.to_string()).err())
    }

    /// Waits until the process, every thread of it, has ended; false when `timeout` has passed.
    pub fn ended(&self, timeout: Duration) -> Result<bool, Errno> {
        let start = Instant::now();
        let own = self.0.get().map_err(|_| Errno::EBADF)?;
        let mut fds = [PollFd::new(own.as_fd(), PollFlags::POLLIN)];
        loop {
            let answered = retry(|| {
                let left = timeout.saturating_sub(start.elapsed());
                poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
            });
            // The time that `poll` knows is shorter than what a caller may ask for, and in milliseconds. A fast timer
            // may interrupt it for all of that time.
            if matches!(answered, Ok(0) | Err(Errno::EINTR)) && start.elapsed() < timeout {
                continue;
            }
            answered?;
            let events = fds[0].revents().unwrap_or(PollFlags::empty());
            // Somebody closed the descriptor, and perhaps another file has its number: that says nothing of the
            // process.
            if events.contains(PollFlags::POLLNVAL) || !events.is_empty() && self.0.get().is_err() {
                return Err(Errno::EBADF);
            }
            return Ok(events.contains(PollFlags::POLLIN));
        }
    }

    /// Ends the process with `SIGKILL`. That it has ended already, whatever the kernel says of the signal then, is no
    /// error.
    pub fn kill(&self) -> Result<(), OsError> {
        let (fd, info) = (self.0.get()?.as_raw_fd(), core::ptr::null::<libc::siginfo_t>());
        // SAFETY: a null `info` is allowed, and nothing else is memory.
        let send = || Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, info, 0) });
        match retry(send) {
            Err(errno) if self.ended(Duration::ZERO) != Ok(true) => Err(OsError::new("pidfd_send_signal", errno)),
            _ => Ok(()),
        }
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
        let (pid, identity) = this();
        assert_eq!((pid, identity), this());
        let identity = identity.unwrap();
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
        assert_eq!(origin().unwrap(), origin().unwrap());
    }
}
