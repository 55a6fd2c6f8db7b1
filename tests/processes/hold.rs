//! Holds a child at a system call, by `ptrace(2)`.

use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::common::child::Child;
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

/// Lets a held child go on to a system call that is wanted, by its number and first two arguments, and holds it before
/// the call is made.
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
