//! Child processes that cannot outlive their test.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, alarm};

use super::alone::{LIMIT, is_alone};

/// How long a child may live: `RINGWAY_TEST_DEADLINE` seconds, or 300.
pub fn deadline() -> Duration {
    let seconds = std::env::var("RINGWAY_TEST_DEADLINE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(300))
}

/// A child process. It is killed when it is late or when this is dropped, and always reaped.
#[must_use = "dropping it kills the child"]
#[derive(Debug)]
pub struct Child {
    pub pid: Pid,
    name: String,
    /// What it says when it panics. `None` in a test that runs alone: its children write to their own standard error,
    /// and their alarm ends them when they are late.
    log: Option<File>,
    started: Instant,
    reaped: Cell<bool>,
    traced: Cell<bool>,
}

/// Has the kernel kill this process when its parent dies. It may be blocked for ever.
pub fn die_with_parent() {
    set_pdeathsig(Signal::SIGKILL).unwrap();
}

/// Where a forked child's panics are written: its log's descriptor, or -1 in the process of the tests.
static PANICS_TO: AtomicI32 = AtomicI32::new(-1);

/// Sets the hook in the parent. In a child, a thread that was not copied could hold the lock of the hook for ever.
fn report_panics_of_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let fd = PANICS_TO.load(SeqCst);
            if fd < 0 {
                return usual(info);
            }
            // SAFETY: this is the log of the child, which stays open for as long as the child lives.
            let log = unsafe { BorrowedFd::borrow_raw(fd) };
            let _ = nix::unistd::write(log, format!("{info}\n").as_bytes());
        }));
    });
}

/// Forks a child that runs `work` and exits. A panic in it is a failure that [`Child::succeed`] reports.
pub fn fork(name: &str, work: impl FnOnce()) -> Child {
    let log = (!is_alone()).then(|| {
        report_panics_of_children();
        tempfile::tempfile().unwrap()
    });
    // SAFETY: the child runs on with a copy of this thread alone. It uses the C allocator, which survives a fork. It
    // takes no lock of another test, and leaves by `_exit`.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => Child::with_log(child, name, log),
        ForkResult::Child => {
            die_with_parent();
            match &log {
                Some(log) => PANICS_TO.store(log.as_raw_fd(), SeqCst),
                None => _ = alarm::set(LIMIT),
            }
            finish(work)
        }
    }
}

/// Forks in the middle of a function. `None` in the child, which must end in [`end`]. For tests that run alone.
pub fn split() -> Option<Child> {
    assert!(is_alone());
    // SAFETY: the other threads of the process only wait, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Parent { child } => Some(Child::new(child)),
        ForkResult::Child => None,
    }
}

/// Runs `body` in a child that [`split`] made, and ends the child: with success unless `body` panics.
pub fn end(body: impl FnOnce()) -> ! {
    die_with_parent();
    alarm::set(LIMIT);
    finish(body)
}

fn finish(work: impl FnOnce()) -> ! {
    let code = if catch_unwind(AssertUnwindSafe(work)).is_ok() { 0 } else { 101 };
    // SAFETY: the call ends this process without the destructors and exit handlers of its parent.
    unsafe { libc::_exit(code) }
}

/// Runs `work` in a child of its own, and demands that it ends well. The watchdog can kill the child.
pub fn in_child(name: &str, work: impl FnOnce()) {
    fork(name, work).succeed();
}

impl Child {
    /// The child of a test that runs alone.
    pub fn new(pid: Pid) -> Self {
        Self::with_log(pid, "the child", None)
    }

    pub fn with_log(pid: Pid, name: &str, log: Option<File>) -> Self {
        let (reaped, traced) = (Cell::new(false), Cell::new(false));
        Self { pid, name: name.to_owned(), log, started: Instant::now(), reaped, traced }
    }

    /// Waits for its end. Kills it if that takes longer than [`deadline`].
    pub fn end(&self) -> WaitStatus {
        self.end_within(deadline())
    }

    /// Waits until it ends and leaves its end for [`Child::end`]. This returns sooner than looking again and again.
    pub fn wait_for_end(&self) {
        waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    }

    fn end_within(&self, limit: Duration) -> WaitStatus {
        assert!(!self.reaped.get(), "{} was reaped before", self.name);
        let mut nap = Duration::from_micros(200);
        // An alarm ends the children of a test that runs alone, so there is no need to look at the clock.
        let how = self.log.as_ref().map(|_| WaitPidFlag::WNOHANG);
        loop {
            match waitpid(self.pid, how).unwrap() {
                WaitStatus::StillAlive => {}
                WaitStatus::Stopped(..) | WaitStatus::Continued(_) => {}
                ended => {
                    self.reaped.set(true);
                    return ended;
                }
            }
            if self.started.elapsed() > limit {
                let state = self.threads();
                self.discard();
                let log = self.log();
                panic!("{} (process {}) still ran after {limit:?}:\n{state}{log}", self.name, self.pid);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(5));
        }
    }

    /// Waits for its end and demands that it ended well.
    pub fn succeed(&self) {
        self.succeed_within(deadline());
    }

    pub fn succeed_within(&self, limit: Duration) {
        let ended = self.end_within(limit);
        assert_eq!(ended, WaitStatus::Exited(self.pid, 0), "{}: {}", self.name, self.log());
    }

    /// Waits for its end and demands that a signal killed it.
    pub fn killed_by(&self, signal: Signal) {
        let ended = self.end();
        let killed = matches!(ended, WaitStatus::Signaled(_, by, _) if by == signal);
        assert!(killed, "{}: {ended:?} {}", self.name, self.log());
    }

    /// Kills it, and demands that it had not ended before.
    pub fn kill(&self) {
        kill(self.pid, Signal::SIGKILL).unwrap();
        self.killed_by(Signal::SIGKILL);
    }

    /// Kills it unless it was reaped.
    fn discard(&self) {
        if !self.reaped.replace(true) {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }

    /// Whether this process has begun to trace it.
    pub fn is_traced(&self) -> bool {
        self.traced.get()
    }

    pub fn set_traced(&self) {
        self.traced.set(true);
    }

    /// Whether it still runs. This leaves its end for [`Child::end`].
    pub fn running(&self) -> bool {
        !self.reaped.get() && !matches!(self.state(), 'Z' | '?')
    }

    /// What it said when it panicked.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Some(mut log) = self.log.as_ref() {
            let _ = log.seek(SeekFrom::Start(0));
            let _ = log.read_to_string(&mut text);
        }
        text
    }

    /// The letter of `/proc/PID/stat`.
    pub fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|fields| fields.trim().chars().next());
        state.unwrap_or('?')
    }

    /// What its threads do: their state, clock ticks of user and system time, and system call.
    fn threads(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let lines = tasks.map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            let field = |i: usize| fields.get(i).copied().unwrap_or("?");
            format!("thread {:?}: {} {} {} in {call}", task.file_name(), field(0), field(11), field(12))
        });
        lines.collect()
    }

    /// Waits until it sleeps in the kernel in the given system call.
    fn wait_until_in(&self, call: libc::c_long) {
        let wanted = format!("{call} ");
        let mut seen = 0;
        let limit = Instant::now() + deadline();
        while seen < 3 {
            let text = std::fs::read_to_string(format!("/proc/{}/syscall", self.pid)).unwrap_or_default();
            seen = if text.starts_with(&wanted) && self.state() == 'S' { seen + 1 } else { 0 };
            assert!(Instant::now() < limit, "{} never slept in system call {call}: {text}", self.name);
            assert!(self.running(), "{} ended early", self.name);
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits until it sleeps in `futex(2)`.
    pub fn wait_until_asleep(&self) {
        self.wait_until_in(libc::SYS_futex);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.discard();
    }
}
