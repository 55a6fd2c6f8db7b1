//! A `/proc` that shows less than everything, or other processes, or that is not there.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::Pid;
use ringway::{ClaimError, KillError, Reason, RecvError, RecvTimeoutError, bytes};

use crate::answers::{Spsc, TWO_CHECKS};
use crate::common::alone::{alone, in_memory};
use crate::common::child::{Child, fork};
use crate::common::mounts::private_mounts;
use crate::common::say::skip;
use crate::filter::refuse;

/// Mounts a `/proc` that shows processes and nothing else, for this process alone.
fn bare_proc() -> Result<(), Errno> {
    private_mounts()?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("subset=pid"))?;
    assert!(!Path::new("/proc/meminfo").exists());
    Ok(())
}

#[test]
fn where_proc_shows_only_processes_the_living_live_and_memory_is_known() {
    alone(|| {
        // The file lies in memory. Nobody could say of a file on a disk whether it is of this boot.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = dir.path().join("region");
        // Another process makes the file, so this one knows nothing of its boot from before.
        let holder = fork("holder", || {
            let channel = Spsc::create(&path, 4).unwrap();
            let _tx = channel.sender().unwrap();
            loop {
                nix::unistd::pause();
            }
        });
        while !path.exists() {
            std::thread::yield_now();
        }
        if let Err(error) = bare_proc() {
            return skip(&format!("a /proc of processes only: {error}"));
        }
        let needed = 100 << 30;
        let options = bytes::Channel::options().capacity_bytes(needed);
        for made in [options.memfd(), options.anonymous()] {
            let error = made.unwrap_err();
            assert!(matches!(error.reason(), Reason::NoSpace { needed: n } if *n > needed), "{error}");
        }
        match bytes::Channel::options().capacity_bytes(needed).huge_pages(true).memfd().unwrap_err().reason() {
            Reason::NoHugePages { .. } | Reason::HugePagesUnsupported => {}
            other => panic!("{other}"),
        }
        let channel = Spsc::open(&path).unwrap();
        let mut rx = channel.receiver().unwrap();
        while !rx.has_sender() {
            std::thread::yield_now();
        }
        assert!(matches!(rx.recv_timeout(TWO_CHECKS), Err(RecvTimeoutError::Timeout)));
        assert!(matches!(channel.sender(), Err(ClaimError::Taken { .. })));
        let error = channel.kill_and_take_sender(Duration::ZERO).err().unwrap();
        assert!(matches!(error, KillError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("boot_id") && !text.contains("namespace"), "{text}");
        assert!(rx.has_sender());
        holder.kill();
        assert!(matches!(rx.recv(), Err(RecvError::PeerDied { .. })));
        drop(channel.sender().unwrap());
    });
}

/// `struct clone_args` of `linux/sched.h`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks a child that has the same id in this PID namespace and in the one around it.
fn fork_with_equal_ids(work: impl FnOnce()) -> Result<Child, Errno> {
    for id in 20_000..30_000 {
        let ids: [libc::pid_t; 2] = [id; 2];
        let exit_signal = libc::SIGCHLD as u64;
        let args = CloneArgs { exit_signal, set_tid: ids.as_ptr() as u64, set_tid_size: 2, ..Default::default() };
        // SAFETY: the arguments and ids live across the call, which copies this process as `fork` does.
        match Errno::result(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) }) {
            Ok(0) => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: the call ends this process without the exit handlers of its parent.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            Ok(child) => return Ok(Child::new(Pid::from_raw(child as i32))),
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EEXIST)
}

/// A holder is process 1 of its namespace. To a process that has the same id in both namespaces, `/proc` shows another
/// process 1.
#[test]
fn an_id_that_two_namespaces_give_shows_nobody_the_other_ones_processes() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        if let Err(error) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID) {
            return skip(&format!("a PID namespace: {error}"));
        }
        let holder = fork("holder", || {
            let channel = Spsc::create(&path, 4).unwrap();
            refuse(&[libc::SYS_pidfd_open], Errno::EPERM);
            let _tx = channel.sender().unwrap();
            let asker = fork_with_equal_ids(|| {
                let own = std::fs::read_link("/proc/self").unwrap();
                assert_eq!(own.to_str(), Some(std::process::id().to_string().as_str()));
                let channel = Spsc::open(&path).unwrap();
                let mut rx = channel.receiver().unwrap();
                assert!(matches!(rx.recv_timeout(TWO_CHECKS), Err(RecvTimeoutError::Timeout)));
                assert!(matches!(channel.sender(), Err(ClaimError::Taken { .. })));
            });
            match asker {
                Ok(asker) => asker.succeed(),
                Err(error) => skip(&format!("a child whose id is chosen: {error}")),
            }
        });
        holder.succeed();
    });
}

#[test]
fn a_file_is_made_without_proc_or_the_error_names_it() {
    alone(|| {
        // The file lies in memory. The boot of a file on a disk must be known.
        let (dir, disk) = (in_memory(), tempfile::tempdir().unwrap());
        let path = dir.path().join("region");
        let child = fork("child", || {
            let unmounted = private_mounts().and_then(|()| umount2("/proc", MntFlags::MNT_DETACH));
            if let Err(error) = unmounted {
                return skip(&format!("no /proc: {error}"));
            }
            drop(Spsc::create(&path, 4).unwrap());
            let missing = Spsc::create(dir.path().join("missing/region"), 4).unwrap_err();
            assert!(matches!(missing.reason(), Reason::NoDirectory), "{missing}");
            drop(Spsc::open(&path).unwrap());
            if let Err(error) = Spsc::create(disk.path().join("region"), 4) {
                assert!(error.to_string().contains("mount /proc"), "{error}");
            }
        });
        child.succeed();
    });
}
