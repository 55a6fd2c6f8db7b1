//! Holds a child after a number of instructions.

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};

use crate::common::child::{Child, fork};
use crate::common::ptrace::ptrace;
use crate::hold::{be_held, hold_at_call};

/// How many instructions lie between two places at which a child is held. A release build has fewer of them.
pub const STRIDE: usize = if cfg!(debug_assertions) { 23 } else { 3 };

/// Calls `hold_there` with more and more instructions. Ends when the interrupted work was over before them a few times
/// in a row.
pub fn at_every_place(mut hold_there: impl FnMut(usize) -> bool) {
    let (mut before, mut after) = (0, 0);
    for steps in (0..).step_by(STRIDE) {
        after = if hold_there(steps) { after + 1 } else { 0 };
        before += usize::from(after == 0);
        if after == 3 {
            break;
        }
        assert!(steps < 30_000, "it is never over");
    }
    assert!(before > 5, "held {before} times before it was over: too late to see anything");
}

/// A forked child that is held after `steps` instructions of `work`. Those of `prepare` do not count.
pub fn hold_after<T>(steps: usize, prepare: impl FnOnce() -> T, work: impl FnOnce(T)) -> Child {
    let child = fork("held child", || {
        let prepared = prepare();
        be_held();
        // The counting begins here.
        nix::unistd::getppid();
        work(prepared);
    });
    hold_at_call(&child, |number, _| number == libc::SYS_getppid as u64);
    step(&child, steps);
    child
}

fn step(child: &Child, steps: usize) {
    for _ in 0..steps + 1 {
        ptrace(libc::PTRACE_SINGLESTEP, child.pid, 0, 0).unwrap();
        assert!(matches!(waitpid(child.pid, None), Ok(WaitStatus::Stopped(..))), "step {steps}");
    }
}

pub fn go_on(child: Child) {
    ptrace(libc::PTRACE_DETACH, child.pid, 0, 0).unwrap();
    child.succeed();
}
