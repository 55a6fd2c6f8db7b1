//! Children in namespaces of their own.

use nix::libc;
use nix::unistd::Pid;

use super::child::{Child, end};

/// Makes a process by the bare system call, with the namespaces in `flags`. `None` in the child.
pub fn cloned(flags: libc::c_int) -> Option<Pid> {
    let (flags, none) = (libc::c_long::from(flags | libc::SIGCHLD), 0_usize);
    // SAFETY: with these arguments the call is a fork. The other threads of the process only wait.
    match unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) } {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        0 => None,
        pid => Some(Pid::from_raw(pid as i32)),
    }
}

/// Makes a process that runs `body`. Returns its id here, and the child.
pub fn born(flags: libc::c_int, body: impl FnOnce()) -> (u32, Child) {
    match cloned(flags) {
        Some(pid) => (pid.as_raw() as u32, Child::new(pid)),
        None => end(body),
    }
}
