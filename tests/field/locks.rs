//! Locks that cannot be had, at first or later.

use std::fs::{self, File, OpenOptions};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ringway::{ClaimError, Reason, spsc};

use crate::filter::refuse;
use crate::support::{alone, fork};

type Spsc = spsc::Channel<u64>;

/// Locks all of a file from a byte on.
fn stranger_locks(file: &File, from: i64) {
    let all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: from,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&all)).unwrap();
}

#[test]
fn a_stranger_that_locks_the_whole_file_hinders_no_claim_at_home_whether_the_first_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = Spsc::create(&path, 4).unwrap();
    drop(channel.sender().unwrap());
    let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // From byte 1 on: the first one says who is attached, and this process is.
    stranger_locks(&stranger, 1);
    let mut tx = channel.sender().unwrap();
    let mut rx = channel.receiver().unwrap();
    tx.send(&7).unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
    assert!(matches!(channel.sender(), Err(ClaimError::Taken { .. })));
}

#[test]
fn who_cannot_attach_neither_makes_nor_opens_a_region_and_leaves_nothing() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("region"), dir.path().join("new"));
        drop(Spsc::create(&path, 4).unwrap());
        for errno in [Errno::ENOMEM, Errno::ENOLCK, Errno::EACCES, Errno::EPERM, Errno::ENOSYS, Errno::EINVAL] {
            let child = fork(|| {
                refuse(&[libc::SYS_fcntl], errno);
                for made in [Spsc::create(&new, 4), Spsc::open(&path)] {
                    let error = made.unwrap_err();
                    let Reason::Os(os) = error.reason() else { panic!("{errno}: {error}") };
                    assert_eq!((os.call, os.source.raw_os_error()), ("fcntl(F_OFD_SETLK)", Some(errno as i32)));
                }
            });
            child.ok();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{errno}");
        }
    });
}

#[test]
fn who_finds_the_whole_file_locked_by_a_stranger_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    drop(Spsc::create(&path, 4).unwrap());
    let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    stranger_locks(&stranger, 0);
    let refused = [
        Spsc::open(&path).err(),
        Spsc::options().capacity(4).recreate(&path).err(),
        ringway::remove_unused(&path).err(),
        ringway::Report::open(&path).err(),
    ];
    for error in refused.map(Option::unwrap) {
        assert!(matches!(error.reason(), Reason::BeingRemoved), "{error}");
        assert!(error.to_string().contains("another program has locked the file"), "{error}");
    }
}
