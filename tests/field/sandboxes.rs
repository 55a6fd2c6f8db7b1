//! Processes that are confined in one way or another: whether they can take a seat, which signs of life they give, and
//! that others are told of their death. The test demands what the table in `docs/sandbox.md` says.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chdir, chroot, pause, setgid, setgroups, setuid};
use ringway::{ClaimError, KillError, RecvError, RecvTimeoutError, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::descriptor::{receive_fd, send_fd};
use crate::common::mounts::unmount_proc;
use crate::common::namespaces::born;
use crate::common::raw::Raw;
use crate::common::say::skip;
use crate::common::users::{NOBODY, root};
use crate::filter::refuse;

type Spsc = spsc::Channel<u64>;
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);
/// Bits of the word of a holder: a lock tells whether it lives, and its process id does.
const LOCKED: u64 = 1 << 46;
const SAME_NAMESPACE: u64 = 1 << 47;

/// What comes of a claim.
#[derive(Debug, PartialEq)]
enum Outcome {
    Sits { by_pid: bool, by_lock: bool },
    FileMode,
    NoSign(Errno),
}
use Outcome::{FileMode, NoSign};

const BOTH: Outcome = Outcome::Sits { by_pid: true, by_lock: true };
const BY_PID: Outcome = Outcome::Sits { by_pid: true, by_lock: false };
const BY_LOCK: Outcome = Outcome::Sits { by_pid: false, by_lock: true };

struct Sandbox {
    name: &'static str,
    /// The namespaces that the sandbox has for itself.
    flags: c_int,
    enter: &'static [fn()],
    /// Whether the process takes the seat before it enters the sandbox.
    seated_before: bool,
    /// What comes of a claim if the memfd has the default mode 0600, and if it has mode 0644.
    outcomes: [Outcome; 2],
}

const PIDS: c_int = libc::CLONE_NEWPID;
const MOUNTS: c_int = libc::CLONE_NEWNS;

fn sandboxes() -> Vec<Sandbox> {
    let entered = |name, flags, enter, outcomes| Sandbox { name, flags, enter, seated_before: false, outcomes };
    let denied = || NoSign(Errno::EPERM);
    let no_proc = || [NoSign(Errno::ENOENT), NoSign(Errno::ENOENT)];
    vec![
        entered("none", 0, &[], [BOTH, BOTH]),
        entered("another user", 0, &[another_user], [BY_PID, BOTH]),
        entered("a user namespace", libc::CLONE_NEWUSER, &[], [BOTH, BOTH]),
        entered("another user, a user namespace", 0, &[another_user, user_namespace], [BY_PID, BOTH]),
        entered("a PID namespace", PIDS, &[], [BY_LOCK, BY_LOCK]),
        entered("a PID namespace, another user", PIDS, &[another_user], [FileMode, BY_LOCK]),
        entered("a PID namespace, its /proc", PIDS | MOUNTS, &[own_proc, another_user], [FileMode, BY_LOCK]),
        entered("/proc with subset=pid", PIDS | MOUNTS, &[pids_only, another_user], [FileMode, BY_LOCK]),
        entered("subset=pid, the old PID namespace", MOUNTS, &[pids_only, another_user], [FileMode, BY_LOCK]),
        entered("/proc with hidepid=2", MOUNTS, &[hidden_pids, another_user], [BY_PID, BOTH]),
        entered("no /proc", MOUNTS, &[unmount_proc], no_proc()),
        entered("a PID namespace, no /proc", PIDS | MOUNTS, &[unmount_proc, another_user], no_proc()),
        entered("an empty root", MOUNTS, &[empty_root, another_user], no_proc()),
        entered("no pidfd_open", 0, &[no_pidfds], [BOTH, BOTH]),
        entered("no open", 0, &[no_open], [denied(), denied()]),
        Sandbox {
            name: "all of it, entered from the seat",
            flags: 0,
            enter: &[other_namespaces, empty_root, another_user, no_pidfds, no_open],
            seated_before: true,
            outcomes: [BOTH, BOTH],
        },
        Sandbox {
            name: "all of it in a PID namespace, entered from the seat",
            flags: PIDS,
            enter: &[other_namespaces, empty_root, another_user, no_pidfds, no_open],
            seated_before: true,
            outcomes: [BY_LOCK, BY_LOCK],
        },
    ]
}

fn another_user() {
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(NOBODY)).unwrap();
    setuid(Uid::from_raw(NOBODY)).unwrap();
}

fn user_namespace() {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
}

fn other_namespaces() {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC).unwrap();
}

/// Only for a process with a mount namespace of its own.
fn mount_proc(options: Option<&str>) {
    unmount_proc();
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), options).unwrap();
}

fn own_proc() {
    mount_proc(None);
}

fn pids_only() {
    mount_proc(Some("subset=pid"));
    assert!(!Path::new("/proc/meminfo").exists());
}

fn hidden_pids() {
    mount_proc(Some("hidepid=2"));
}

/// Enters a new file system, which goes with the namespace.
fn empty_root() {
    unmount_proc();
    mount(Some("tmpfs"), "/proc", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    chroot("/proc").and_then(|()| chdir("/")).unwrap();
    assert_eq!(fs::read_dir("/").unwrap().count(), 0);
}

fn no_pidfds() {
    refuse(&[libc::SYS_pidfd_open], Errno::EPERM);
}

fn no_open() {
    refuse(&[libc::SYS_openat], Errno::EPERM);
}

/// Enters the sandbox and claims the sender's seat. The claim must end as expected. If it succeeds, the process stays.
fn claim(sandbox: &Sandbox, fd: OwnedFd, expected: &Outcome) {
    let open = || Spsc::options().capacity(4).from_fd(fd).unwrap();
    let enter = || sandbox.enter.iter().for_each(|step| step());
    let channel = if sandbox.seated_before {
        open()
    } else {
        enter();
        open()
    };
    let claim = channel.sender();
    if sandbox.seated_before {
        enter();
    }
    let outcome = match claim {
        Ok(mut tx) => {
            assert!(matches!(expected, Outcome::Sits { .. }), "{}: it sits", sandbox.name);
            tx.send(&7).unwrap();
            loop {
                pause();
            }
        }
        Err(ClaimError::FileMode { found: 0o600, .. }) => FileMode,
        Err(ClaimError::NoSignOfLife(error)) => NoSign(Errno::from_raw(error.source.raw_os_error().unwrap())),
        Err(error) => panic!("{}: {error}", sandbox.name),
    };
    assert_eq!(outcome, *expected, "{}", sandbox.name);
}

/// Has a sandboxed process claim the sender's seat of a memfd of this mode, and kills the process if it sits there. The
/// process is forked before the memfd is made, so it knows no more of its surroundings than a program that has just
/// started.
fn try_out(sandbox: &Sandbox, mode: u32, expected: &Outcome) {
    let (mine, its) = UnixStream::pair().unwrap();
    let (_, child) = born(sandbox.flags, || claim(sandbox, receive_fd(&its), expected));
    let channel = Spsc::options().capacity(4).mode(mode).memfd().unwrap();
    let mut rx = channel.receiver().unwrap();
    send_fd(&mine, channel.region().fd().unwrap());
    let &Outcome::Sits { by_pid, by_lock } = expected else { return child.succeed() };
    assert_eq!(rx.recv_timeout(LONG), Ok(7));
    let word = Raw::new(channel.region().fd().unwrap()).holder(0).load(Acquire);
    assert_eq!((word & SAME_NAMESPACE != 0, word & LOCKED != 0), (by_pid, by_lock));
    assert!(rx.has_sender());
    if !by_pid {
        assert!(matches!(channel.kill_and_take_sender(LONG), Err(KillError::OutOfReach { .. })));
    }
    child.kill();
    let died = RecvError::PeerDied { generation: 1 };
    assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(died)));
}

#[test]
fn a_confined_peer_sits_where_the_table_says_and_its_death_is_reported() {
    alone(|| {
        if !root() {
            return skip("sandboxes: only root may make all of them");
        }
        for sandbox in sandboxes() {
            for (mode, expected) in [0o600, 0o644].into_iter().zip(&sandbox.outcomes) {
                println!("{}, mode {mode:o}: {expected:?}", sandbox.name);
                fork("child", || try_out(&sandbox, mode, expected)).succeed();
            }
        }
    });
}
