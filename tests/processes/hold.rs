//! Holds a child at a system call or after an instruction, by `ptrace(2)`.

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::common::child::{Child, fork};
use crate::common::ptrace::{ptrace, trace_me};

/// The system call that a stopped child is about to make, and its first two arguments.
fn system_call_of(pid: Pid) -> Option<(u64, [u64; 2])> {
    // `struct ptrace_syscall_info`: op in byte 0 (1: entry); number and arguments in words 3 and on.
    let mut info = [0u64; 16];
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes to `info`, which is that large.
    let result = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid.as_raw(), size, info.as_mut_ptr()) };
    assert!(result > 0, "PTRACE_GET_SYSCALL_INFO: {}", std::io::Error::last_os_error());
    (info[0] & 0xFF == 1).then_some((info[3], [info[4], info[5]]))
}

/// Lets a held child go on to a system call with such a number, and holds it before the call is made.
fn hold_at(child: &Child, wanted: impl Fn(u64) -> bool) {
    hold_at_call(child, |number, _| wanted(number));
}

pub fn hold_at_call(child: &Child, wanted: impl Fn(u64, [u64; 2]) -> bool) {
    if !child.is_traced() {
        assert!(matches!(waitpid(child.pid, None), Ok(WaitStatus::Stopped(..))), "{} ended early", child.pid);
        ptrace(libc::PTRACE_SETOPTIONS, child.pid, 0, (libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL) as usize)
            .unwrap();
        child.set_traced();
    }
    loop {
        ptrace(libc::PTRACE_SYSCALL, child.pid, 0, 0).unwrap();
        match waitpid(child.pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {}
            other => panic!("the child was to go on: {other:?}"),
        }
        if system_call_of(child.pid).is_some_and(|(number, arguments)| wanted(number, arguments)) {
            return;
        }
    }
}

/// Asks the parent to trace this forked child, and stops for it.
pub fn be_held() {
    trace_me().unwrap();
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).unwrap();
}

/// How many instructions lie between two places at which a child is held. A release build has fewer of them.
#[cfg(target_arch = "x86_64")]
pub const STRIDE: usize = if cfg!(debug_assertions) { 23 } else { 3 };

/// Calls `hold_there` with more and more instructions. Ends when the interrupted work was over before them a few times
/// in a row.
#[cfg(target_arch = "x86_64")]
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
#[cfg(target_arch = "x86_64")]
pub fn hold_after<T>(steps: usize, prepare: impl FnOnce() -> T, work: impl FnOnce(T)) -> Child {
    let child = fork("held child", || {
        let prepared = prepare();
        be_held();
        // The counting begins here.
        nix::unistd::getppid();
        work(prepared);
    });
    hold_at(&child, |number| number == libc::SYS_getppid as u64);
    step(&child, steps);
    child
}

#[cfg(target_arch = "x86_64")]
fn step(child: &Child, steps: usize) {
    for _ in 0..steps + 1 {
        ptrace(libc::PTRACE_SINGLESTEP, child.pid, 0, 0).unwrap();
        assert!(matches!(waitpid(child.pid, None), Ok(WaitStatus::Stopped(..))), "step {steps}");
    }
}

#[cfg(target_arch = "x86_64")]
pub fn go_on(child: Child) {
    ptrace(libc::PTRACE_DETACH, child.pid, 0, 0).unwrap();
    child.succeed();
}
