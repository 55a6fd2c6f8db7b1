//! The system calls by name, and those that are left alone.
//!
//! | left alone | why |
//! |---|---|
//! | `munmap`, `close`, `exit_group` | they do what they shall, whatever they say |
//! | `futex(FUTEX_WAKE)` | its answer is a number that nobody asks for |
//! | `getpid`, `gettid`, `geteuid`, `getuid`, `clock_gettime`, `sched_yield` | they cannot fail; libc and std rely on it |
//! | `clock_nanosleep` | std goes on when it is interrupted, and panics at what the kernel never says |
//! | `brk` | it is the allocator's |
//! | `fcntl(F_GETFD)` | debug builds of std ask so before they close a descriptor |
//! | `rt_sig*`, `sigaltstack` | std's own |

use nix::errno::Errno;
use nix::libc;

use crate::inject::Call;

/// What the kernel answers in place of a system call.
pub const ERRNOS: [Errno; 9] = [
    Errno::ENOMEM,
    Errno::EINTR,
    Errno::EACCES,
    Errno::EIO,
    Errno::ENOSYS,
    Errno::EMFILE,
    Errno::EAGAIN,
    Errno::ENOSPC,
    Errno::EPERM,
];

const LEFT_ALONE: &[i64] = &[
    libc::SYS_munmap,
    libc::SYS_close,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// Whether this call is one of those that are made to fail.
pub fn counts(call: &Call) -> bool {
    let [_, second, _] = call.arguments;
    match call.number {
        libc::SYS_futex => second as i32 & 0x7F != libc::FUTEX_WAKE,
        libc::SYS_fcntl => second as i32 != libc::F_GETFD,
        number => !LEFT_ALONE.contains(&number),
    }
}

/// Which argument is a path.
pub fn path_argument(number: i64) -> Option<usize> {
    match number {
        libc::SYS_openat | libc::SYS_newfstatat | libc::SYS_statx | libc::SYS_unlinkat | libc::SYS_readlinkat => {
            Some(1)
        }
        libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_readlink
        | libc::SYS_unlink
        | libc::SYS_open
        | libc::SYS_rename => Some(0),
        libc::SYS_linkat => Some(1),
        _ => None,
    }
}

pub fn fcntl_command(command: u64) -> &'static str {
    match command as i32 {
        libc::F_OFD_SETLK => "F_OFD_SETLK",
        libc::F_OFD_GETLK => "F_OFD_GETLK",
        libc::F_ADD_SEALS => "F_ADD_SEALS",
        libc::F_GET_SEALS => "F_GET_SEALS",
        libc::F_DUPFD => "F_DUPFD",
        libc::F_DUPFD_CLOEXEC => "F_DUPFD_CLOEXEC",
        libc::F_GETFL => "F_GETFL",
        libc::F_SETFD => "F_SETFD",
        _ => "?",
    }
}

/// The name of a system call. Empty for one that no operation is known to make.
pub fn name_of(number: i64) -> &'static str {
    const NAMES: &[(i64, &str)] = &[
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_open, "open"),
        (libc::SYS_openat, "openat"),
        (libc::SYS_stat, "stat"),
        (libc::SYS_lstat, "lstat"),
        (libc::SYS_fstat, "fstat"),
        (libc::SYS_newfstatat, "newfstatat"),
        (libc::SYS_statx, "statx"),
        (libc::SYS_statfs, "statfs"),
        (libc::SYS_fstatfs, "fstatfs"),
        (libc::SYS_lseek, "lseek"),
        (libc::SYS_pread64, "pread64"),
        (libc::SYS_pwrite64, "pwrite64"),
        (libc::SYS_mmap, "mmap"),
        (libc::SYS_mremap, "mremap"),
        (libc::SYS_mprotect, "mprotect"),
        (libc::SYS_madvise, "madvise"),
        (libc::SYS_mincore, "mincore"),
        (libc::SYS_msync, "msync"),
        (libc::SYS_mlock, "mlock"),
        (libc::SYS_munlock, "munlock"),
        (libc::SYS_fcntl, "fcntl"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_fallocate, "fallocate"),
        (libc::SYS_ftruncate, "ftruncate"),
        (libc::SYS_fchmod, "fchmod"),
        (libc::SYS_linkat, "linkat"),
        (libc::SYS_unlink, "unlink"),
        (libc::SYS_unlinkat, "unlinkat"),
        (libc::SYS_rename, "rename"),
        (libc::SYS_renameat2, "renameat2"),
        (libc::SYS_readlink, "readlink"),
        (libc::SYS_readlinkat, "readlinkat"),
        (libc::SYS_getcwd, "getcwd"),
        (libc::SYS_memfd_create, "memfd_create"),
        (libc::SYS_prlimit64, "prlimit64"),
        (libc::SYS_getrlimit, "getrlimit"),
        (libc::SYS_sysinfo, "sysinfo"),
        (libc::SYS_getrandom, "getrandom"),
        (libc::SYS_membarrier, "membarrier"),
        (libc::SYS_pidfd_open, "pidfd_open"),
        (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
        (libc::SYS_kill, "kill"),
        (libc::SYS_poll, "poll"),
        (libc::SYS_ppoll, "ppoll"),
        (libc::SYS_futex, "futex"),
        (libc::SYS_getrusage, "getrusage"),
    ];
    NAMES.iter().find(|(known, _)| *known == number).map_or("", |(_, name)| name)
}
