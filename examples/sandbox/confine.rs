//! Namespaces, an empty root, another user: what a confined process no longer sees.

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, chdir, execv, getegid, geteuid, pivot_root, setgid, setgroups, setuid};

/// Who a confined process of root becomes: a user that has nothing.
const NOBODY: u32 = 65534;

/// Starts this program anew, in namespaces of its own, with `arguments` and the number of `fd`.
///
/// It is not confined yet: it has this process's descriptors, files and user, and gives them up by [`enter`].
pub fn start(arguments: &[&str], fd: OwnedFd) -> Result<Pid, Box<dyn Error>> {
    let program = CString::new("/proc/self/exe")?;
    let number = fd.as_raw_fd().to_string();
    let words = ["sandbox"].iter().chain(arguments).copied().chain(["--fd", &number]);
    let words = words.map(CString::new).collect::<Result<Vec<_>, _>>()?;

    let user = geteuid();
    // Who is not root may have these namespaces only inside a user namespace of its own.
    let users = if user.is_root() { 0 } else { libc::CLONE_NEWUSER };
    let flags = users
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::SIGCHLD;
    let (group, none) = (getegid(), 0_usize);
    // SAFETY: as `fork`, which the arguments make of it: this process has one thread, and the child soon execs.
    match unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), none, none, none, none) } {
        -1 => Err(format!("namespaces: {}", std::io::Error::last_os_error()).into()),
        0 => {
            let exec = || -> Result<(), Box<dyn Error>> {
                set_pdeathsig(Signal::SIGKILL)?;
                if !user.is_root() {
                    fs::write("/proc/self/setgroups", "deny")?;
                    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
                    fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
                }
                execv(&program, &words)?;
                Ok(())
            };
            if let Err(error) = exec() {
                eprintln!("SKIPPED sandbox: {error}");
            }
            // SAFETY: ends the child without what its parent wants done at its end.
            unsafe { libc::_exit(crate::NO_SANDBOX.into()) }
        }
        child => Ok(Pid::from_raw(child as i32)),
    }
}

/// Gives up all files but a `/proc` of this PID namespace, all descriptors but standard output, standard error and `fd`,
/// and, where it is root, the user.
pub fn enter(fd: i32) -> Result<(), Box<dyn Error>> {
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).map_err(|e| format!("a mount namespace: {e}"))?;
    // Any directory does: nobody else sees what is mounted there.
    let root = std::env::temp_dir();
    mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some("size=16k,mode=755"))?;
    chdir(&root)?;
    // A claim reads who this process is, and opens the memfd anew, in /proc. It needs no more of it than this.
    fs::create_dir("proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "proc", Some("proc"), flags, Some("subset=pid")).map_err(|e| format!("mount /proc: {e}"))?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    mount(none, "/", none, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, none)?;

    for (first, last) in [(0, 0), (3, fd - 1), (fd + 1, i32::MAX)] {
        if first <= last {
            // SAFETY: takes no memory; nothing in this program owns one of them yet.
            unsafe { libc::close_range(first as u32, last as u32, 0) };
        }
    }

    // A user namespace of its own has no other user to become, but outside, its root is nobody in particular.
    if fs::read_to_string("/proc/self/uid_map")?.split_whitespace().nth(2) != Some("1") {
        setgroups(&[])?;
        setgid(Gid::from_raw(NOBODY))?;
        setuid(Uid::from_raw(NOBODY))?;
    }
    // It is cleared where the user changes.
    set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}
