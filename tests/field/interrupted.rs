//! System calls that a signal interrupts.

use std::fs;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use ringway::{bytes, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::huge_pages::Enlarged;
use crate::common::say::skip;
use crate::filter::refuse;

extern "C" fn ignore(_: libc::c_int) {}

/// From now on a signal comes every `micros`, and interrupts whatever call it meets. Call this in a forked child, which
/// has one thread only: with more, another thread could take all the signals.
fn be_interrupted(micros: i64) {
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
    let every = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the kernel reads one live timer and writes none.
    Errno::result(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }).unwrap();
}

#[test]
fn regions_are_made_and_opened_under_a_fast_timer() {
    alone(|| {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let under_a_timer = |micros| {
            be_interrupted(micros);
            let path = dir.path().join("region");
            let options = bytes::Channel::options().capacity_bytes(100 << 20).prefault(true);
            let made = options.create(&path).unwrap();
            drop(options.open(&path).unwrap());
            made.region().unlink().unwrap();
            options.memfd().unwrap();
            options.anonymous().unwrap();
        };
        for micros in [4000, 1000] {
            fork("child", || under_a_timer(micros)).succeed();
        }
    });
}

#[test]
fn huge_pages_are_had_under_a_fast_timer() {
    alone(|| {
        let pool = match Enlarged::by(110) {
            Ok(pool) => pool,
            Err(why) => return skip(&format!("huge pages: {why}")),
        };
        let under_a_timer = |micros| {
            be_interrupted(micros);
            for _ in 0..5 {
                let options = spsc::Channel::<[u64; 7]>::options().capacity(200 << 14).huge_pages(true);
                let channel = options.memfd().unwrap();
                assert!(channel.region().size() >= 200 << 20);
            }
        };
        for micros in [4000, 1000] {
            fork("child", || under_a_timer(micros)).succeed();
        }
        drop(pool);
    });
}

/// Every call of this crate that can be interrupted, according to the documents of the kernel or of a file system.
/// (`pread` and `fchmod` are made by the standard library, which makes them again for as long as it takes.)
const CALLS: [libc::c_long; 15] = [
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_ftruncate,
    libc::SYS_fstatfs,
    libc::SYS_ioctl,
    libc::SYS_linkat,
    libc::SYS_madvise,
    libc::SYS_memfd_create,
    libc::SYS_mlock,
    libc::SYS_msync,
    libc::SYS_pidfd_open,
    libc::SYS_poll,
    libc::SYS_statx,
    libc::SYS_unlink,
    libc::SYS_futex,
];

/// Every call always says that it was interrupted. Each operation ends nevertheless, with an error that names it or
/// without one.
#[test]
fn a_call_that_is_interrupted_for_ever_hangs_nobody() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        drop(bytes::Channel::create(&path, 4096).unwrap());
        for call in CALLS {
            let child = fork("child", || {
                refuse(&[call], Errno::EINTR);
                let errors = [
                    bytes::Channel::create(dir.path().join("new"), 4096).err(),
                    bytes::Channel::open(&path).err(),
                    bytes::Channel::options().capacity_bytes(64).prefault(true).memfd().err(),
                ];
                for error in errors.into_iter().flatten() {
                    assert!(error.to_string().contains("nterrupted"), "{call}: {error}");
                }
                let Ok(channel) = bytes::Channel::open(&path) else { return };
                let Ok(mut rx) = channel.receiver() else { return };
                let _ = rx.recv_timeout(std::time::Duration::from_millis(10));
            });
            child.succeed();
            let _ = fs::remove_file(dir.path().join("new"));
        }
    });
}
