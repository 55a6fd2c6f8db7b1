//! One operation under `ptrace(2)`. Its system calls are counted. One of them, or all like it, are not made, but fail.

use std::fmt;

use nix::errno::Errno;
use nix::libc::{self, user_regs_struct};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::calls::{self, name_of};
use crate::common::child::Child;
use crate::common::ptrace::{peek, ptrace, registers, set_register};

/// A system call that a process is about to make.
#[derive(Clone, Debug)]
pub struct Call {
    pub number: i64,
    pub arguments: [u64; 3],
    /// The path in its arguments, if there is one.
    pub path: String,
}

impl Call {
    pub fn name(&self) -> &'static str {
        name_of(self.number)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third] = self.arguments;
        match (self.name(), self.path.as_str()) {
            ("fcntl", _) => write!(f, "fcntl({})", calls::fcntl_command(second)),
            ("madvise", _) => write!(f, "madvise({third})"),
            ("", "") => write!(f, "system call {}", self.number),
            (name @ "mmap", _) => write!(f, "{name}({first:#x}, {second:#x}, {third})"),
            (name, "") => f.write_str(name),
            (name, path) => write!(f, "{name}({path:?})"),
        }
    }
}

/// Which system calls are made to fail.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its number among the calls that count, from 0.
    pub nth: usize,
    pub errno: Errno,
    /// All later calls of the same kind fail, too.
    pub lasting: bool,
}

/// What the kernel answers in every run. This stands for a kernel that lacks a feature.
pub type World = fn(&Call) -> Option<Errno>;

/// What was seen of an operation.
pub struct Run {
    /// The calls that count: those that the kernel may refuse.
    pub calls: Vec<Call>,
    /// The call that failed.
    pub hit: Option<Call>,
    /// It came to the end of its operation, and was held there.
    pub over: bool,
    pub ended: WaitStatus,
    /// How many system calls it made after the fault, if those were too many. It was killed then.
    pub endless: Option<usize>,
}

/// How many system calls an operation may make after one fault, and after a fault that lasts.
const MOST: [usize; 2] = [2_000, 20_000];

const ORIG_RAX: usize = std::mem::offset_of!(user_regs_struct, orig_rax);
const RAX: usize = std::mem::offset_of!(user_regs_struct, rax);

/// Waits for the child's next stop. Leaves its end for [`Child::end`].
fn next_stop(pid: Pid) -> WaitStatus {
    match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).unwrap() {
        ended @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => ended,
        _ => waitpid(pid, None).unwrap(),
    }
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    // If the child was killed meanwhile, the next wait says so.
    let _ = ptrace(libc::PTRACE_SYSCALL, pid, 0, signal.map_or(0, |signal| signal as usize));
}

/// Follows a child from its first mark to its second, holds it there while `beside` runs, and follows it to its end.
pub fn follow(child: &Child, fault: Option<Fault>, world: World, mut beside: impl FnMut()) -> Run {
    let pid = child.pid;
    let mut run = Run { calls: vec![], hit: None, over: false, ended: WaitStatus::StillAlive, endless: None };
    let mut after = 0;
    // The answer of the system call that the child is in.
    let mut answer: Option<Option<i32>> = None;
    let mut began = false;
    loop {
        match next_stop(pid) {
            WaitStatus::Stopped(_, Signal::SIGTRAP) if !began => {
                let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
                ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options as usize).unwrap();
                began = true;
                go_on(pid, None);
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                run.over = true;
                beside();
                ptrace(libc::PTRACE_DETACH, pid, 0, 0).unwrap();
                child.wait_for_end();
            }
            WaitStatus::PtraceSyscall(_) => {
                answer = match answer {
                    None => Some(entered(pid, &mut run, fault, world)),
                    Some(answer) => {
                        if let Some(result) = answer {
                            set_register(pid, RAX, i64::from(result) as u64);
                        }
                        None
                    }
                };
                after += usize::from(run.hit.is_some() && answer.is_some());
                if after > MOST[usize::from(fault.is_some_and(|fault| fault.lasting))] {
                    run.endless = Some(after);
                    child.kill();
                    return run;
                }
                go_on(pid, None);
            }
            WaitStatus::Stopped(_, signal) => go_on(pid, Some(signal)),
            _ => {
                run.ended = child.end();
                return run;
            }
        }
    }
}

/// The child enters a system call. Returns what the call answers without being made, if anything.
fn entered(pid: Pid, run: &mut Run, fault: Option<Fault>, world: World) -> Option<i32> {
    let registers = registers(pid);
    let mut call = Call {
        number: registers.orig_rax as i64,
        arguments: [registers.rdi, registers.rsi, registers.rdx],
        path: String::new(),
    };
    let due = |fault: &Fault| {
        let like_it = || run.hit.as_ref().is_some_and(|hit| hit.number == call.number);
        (run.calls.len() == fault.nth || fault.lasting && like_it()) && calls::counts(&call)
    };
    let injected = fault.filter(due);
    if calls::counts(&call) {
        // The path is read only if somebody will be told it, because reading the memory of another process takes long.
        if fault.is_none_or(|fault| fault.nth == run.calls.len()) {
            call.path = path_of(pid, &call);
        }
        run.calls.push(call.clone());
    }
    let result = if let Some(errno) = world(&call) {
        -(errno as i32)
    } else if let Some(fault) = injected {
        run.hit.get_or_insert(call);
        -(fault.errno as i32)
    } else if call.number == libc::SYS_clock_nanosleep {
        // The process waits for nothing but the clock.
        0
    } else {
        return None;
    };
    set_register(pid, ORIG_RAX, u64::MAX);
    Some(result)
}

fn path_of(pid: Pid, call: &Call) -> String {
    let Some(argument) = calls::path_argument(call.number) else { return String::new() };
    let mut path = vec![];
    for word in 0..32 {
        let Ok(word) = peek(pid, call.arguments[argument] + 8 * word) else { break };
        let bytes = word.to_ne_bytes();
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        path.extend_from_slice(&bytes[..len]);
        if len < bytes.len() {
            break;
        }
    }
    String::from_utf8_lossy(&path).into_owned()
}
