//! The processes of a run: how they start, wait for their turns, and end.
//!
//! A process without a turn sleeps. None outlives the others: the kernel ends a child whose parent dies, and the parent
//! ends when a child does, for it may be waiting for it in a way that nothing ends, and when anything takes too long.

use std::fs;
use std::process::exit;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use nix::libc::{self, c_int};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use ringway::zerocopy::FromZeros;

use crate::line::Result;
use crate::processors::pin;
use crate::shared::{Futex, spin_until};

/// What all processes see of the course of the run.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Board {
    /// The last turn that is over.
    pub over: Futex,
    /// Not 0 in the slices that count.
    pub counting: Futex,
}

/// By which one of the others is called to its turns.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Bell {
    /// The turn it was called to last.
    turn: Futex,
    /// The case of that turn.
    case: AtomicU32,
    /// The last turn it has served to the end.
    done: Futex,
}

/// The case that ends who is called to it.
const QUIT: u32 = u32::MAX;

impl Bell {
    pub fn ring(&self, turn: u32, case: usize) -> Result {
        self.case.store(case as u32, Relaxed);
        self.turn.0.store(turn, Release);
        self.turn.wake()
    }

    pub fn dismiss(&self, turn: u32) -> Result {
        self.ring(turn, QUIT as usize)
    }

    pub fn wait_until_done(&self, turn: u32) {
        spin_until(|| self.done.0.load(Acquire) == turn);
    }

    /// Serves turn after turn; `work` is told the case and the turn.
    pub fn serve(&self, mut work: impl FnMut(usize, u32) -> Result) -> Result {
        let mut seen = 0;
        loop {
            seen = self.turn.wait_while(seen)?;
            let case = self.case.load(Relaxed);
            if case == QUIT {
                return Ok(());
            }
            work(case as usize, seen)?;
            self.done.0.store(seen, Release);
        }
    }
}

/// Whether children are to end now.
pub static FINISHED: AtomicBool = AtomicBool::new(false);

/// What all cases are called, and the one that is on, for complaints.
pub static CASES: OnceLock<Vec<String>> = OnceLock::new();
pub static ON: AtomicUsize = AtomicUsize::new(0);

/// The seconds that no turn takes, nor the making of one case's ends.
pub const TOO_LONG: u32 = 20;

extern "C" fn end(signal: c_int) {
    if signal == libc::SIGCHLD && FINISHED.load(Relaxed) {
        return;
    }
    let what = if signal == libc::SIGCHLD { "a process died" } else { "took too long" };
    let case = CASES.get().and_then(|cases| cases.get(ON.load(Relaxed)));
    for part in ["laboratory: ", case.map_or("", String::as_str), ": ", what, "\n"] {
        // SAFETY: the text is readable for its length.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: may be called in a signal handler, and leaves nothing behind that matters.
    unsafe { libc::_exit(1) };
}

/// Has this process end when a child of its dies, or when an alarm goes off: what it measures may wait forever.
pub fn end_with_children() -> Result {
    FINISHED.store(false, Relaxed);
    let flags = SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP;
    let action = SigAction::new(SigHandler::Handler(end), flags, SigSet::empty());
    for signal in [Signal::SIGCHLD, Signal::SIGALRM] {
        // SAFETY: the handler makes only calls that a handler may make.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Starts a process that does `work` on a processor and ends. Only from the process's only thread.
pub fn start(processor: usize, work: impl FnOnce() -> Result) -> Result<Pid> {
    let parent = getpid();
    // SAFETY: this process has one thread, so the child may do whatever this one may.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        return Ok(child);
    }
    let lead = || {
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err("the parent died".into());
        }
        pin(processor)?;
        populate_code()?;
        work()
    };
    exit(or_complain(lead()))
}

/// Faults in this process's code, of which a child has none mapped: it may come to some of it only in a turn that counts.
/// Where the kernel cannot, the faults are counted.
pub fn populate_code() -> Result {
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let Some((range, rest)) = line.split_once(' ') else { continue };
        let (true, Some((from, to))) = (rest.starts_with("r-xp"), range.split_once('-')) else { continue };
        let (from, to) = (usize::from_str_radix(from, 16)?, usize::from_str_radix(to, 16)?);
        // SAFETY: to populate a mapping changes nothing that is in it.
        unsafe { libc::madvise(from as *mut _, to - from, libc::MADV_POPULATE_READ) };
    }
    Ok(())
}

/// The exit code of a process or thread that is done.
pub fn or_complain(result: Result) -> i32 {
    result.map_or_else(
        |error| {
            eprintln!("laboratory: {error}");
            1
        },
        |()| 0,
    )
}
