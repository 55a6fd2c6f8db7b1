//! The system calls that are left to a confined process: those that ringway makes, and what a Rust program needs to end.

use std::io;

use nix::libc;
use nix::sys::prctl::set_no_new_privs;

/// What `from_fd` asks for: is it a sealed memfd, does the header fit, is all of its memory there?
const OPEN: &[libc::c_long] = &[
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_fcntl,
    libc::SYS_pread64,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_fallocate,
    libc::SYS_sysinfo,
];

/// What taking a seat does besides: it says who it is, and opens the memfd anew to lock it.
const CLAIM: &[libc::c_long] =
    &[libc::SYS_openat, libc::SYS_read, libc::SYS_close, libc::SYS_getpid, libc::SYS_gettid, libc::SYS_pidfd_open];

/// What messages need: sleep, wake, and ask whether the peer lives.
const MESSAGES: &[libc::c_long] =
    &[libc::SYS_futex, libc::SYS_membarrier, libc::SYS_clock_gettime, libc::SYS_sched_yield, libc::SYS_kill];

/// What the allocator, this example and its end need.
const PROGRAM: &[libc::c_long] = &[
    libc::SYS_geteuid,
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_write,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What messages need, by the names of this processor.
#[cfg(target_arch = "x86_64")]
const NAMED: &[libc::c_long] = &[libc::SYS_poll, libc::SYS_readlink];
#[cfg(target_arch = "aarch64")]
const NAMED: &[libc::c_long] = &[libc::SYS_ppoll, libc::SYS_readlinkat];

/// `AUDIT_ARCH_X86_64` or `AUDIT_ARCH_AARCH64`: the numbers of another processor's system calls mean other calls.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;
/// Where a filter finds the number and the architecture, in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;

/// One instruction; `yes` and `no` are how many to skip.
fn line(code: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: yes, jf: no, k }
}

/// Has the kernel answer every other system call of this process by EPERM, from now on and for good.
pub fn allow_no_more() -> io::Result<()> {
    let calls: Vec<u32> =
        [OPEN, CLAIM, MESSAGES, NAMED, PROGRAM].concat().into_iter().map(|call| call as u32).collect();
    let mut program = vec![
        line(LOAD, ARCHITECTURE_AT, 0, 0),
        line(IF_EQUAL, ARCHITECTURE, 1, 0),
        line(ANSWER, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        line(LOAD, NUMBER_AT, 0, 0),
    ];
    // A call in the list skips the rest of the list, and the refusal behind it.
    let left = |i| u8::try_from(calls.len() - i).map_err(|_| io::Error::other("too many system calls"));
    for (i, &call) in calls.iter().enumerate() {
        program.push(line(IF_EQUAL, call, left(i)?, 0));
    }
    program.push(line(ANSWER, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0));
    program.push(line(ANSWER, libc::SECCOMP_RET_ALLOW, 0, 0));

    // Without it, only root may set a filter.
    set_no_new_privs()?;
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program and its lines live until the call returns, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
