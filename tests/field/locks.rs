//! Locks that cannot be had, at first or later.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ringway::{ClaimError, Reason, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::filter::refuse;

type Spsc = spsc::Channel<u64>;
type Value = seqlock::Channel<u64>;

/// All of a file, from a byte on.
fn whole(kind: libc::c_int, from: i64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: from,
        l_len: 0,
        l_pid: 0,
    }
}

fn stranger_locks(file: &File, from: i64) {
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK, from))).unwrap();
}

#[test]
fn a_stranger_that_locks_the_whole_file_hinders_no_claim_at_home_whether_the_first_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = Spsc::create(&path, 4).unwrap();
    drop(channel.sender().unwrap());
    let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    // The lock begins at byte 1. A lock on byte 0 says who is attached, and this process is.
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
            let child = fork("child", || {
                refuse(&[libc::SYS_fcntl], errno);
                for made in [Spsc::create(&new, 4), Spsc::open(&path)] {
                    let error = made.unwrap_err();
                    let Reason::Os(os) = error.reason() else { panic!("{errno}: {error}") };
                    assert_eq!((os.call, os.source.raw_os_error()), ("fcntl(F_OFD_SETLK)", Some(errno as i32)));
                }
            });
            child.succeed();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{errno}");
        }
    });
}

/// A reader of a value is attached, although it writes nothing. Without its lock, the file could be removed while it
/// reads.
#[test]
fn a_reader_is_attached_or_gets_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    drop(Value::create(&path).unwrap());
    let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    stranger_locks(&stranger, 0);
    let error = Value::options().open_read_only(&path).err().unwrap();
    assert!(matches!(error.reason(), Reason::Locked { .. }), "{error}");
    drop(stranger);
    let _reading = Value::options().open_read_only(&path).unwrap();
    let error = ringway::remove_unused(&path).unwrap_err();
    assert!(matches!(error.reason(), Reason::InUse), "{error}");
}

#[test]
fn a_file_locked_whole_by_a_stranger_is_refused_at_once_and_may_still_be_read() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = Spsc::create(&path, 4).unwrap();
        channel.sender().unwrap().try_send(&7).unwrap();
        let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let refused = |pid: Option<u32>| {
            let refused = [
                Spsc::open(&path).err(),
                Spsc::options().capacity(4).open_or_create(&path).err(),
                Spsc::options().capacity(4).recreate(&path).err(),
                ringway::remove_unused(&path).err(),
            ];
            for error in refused.map(Option::unwrap) {
                let Reason::Locked { pid: found } = error.reason() else { panic!("{error}") };
                assert_eq!(*found, pid, "{error}");
                assert!(error.to_string().contains("has locked the whole file"), "{error}");
            }
            assert_eq!(ringway::Report::open(&path).unwrap().in_use, Some(true));
            assert_eq!(Spsc::options().open_snapshot(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
            // Nobody may attach to the region, but its copy can be adopted.
            let copy = dir.path().join("copy");
            fs::copy(&path, &copy).unwrap();
            assert_eq!(Spsc::options().adopt(&copy).unwrap().receiver().unwrap().try_recv(), Ok(7));
            fs::remove_file(copy).unwrap();
        };
        // Everyone who is attached holds a lock there. A stranger can lock it only when they are gone.
        drop(channel);
        stranger_locks(&stranger, 0);
        refused(None);
        drop(stranger);
        // This lock belongs to a process. It is gone as soon as the process closes any descriptor of the file.
        let (mut reader, mut writer) = UnixStream::pair().unwrap();
        let process = fork("child", || {
            let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            fcntl(&stranger, FcntlArg::F_SETLK(&whole(libc::F_WRLCK, 0))).unwrap();
            writer.write_all(&std::process::id().to_ne_bytes()).unwrap();
            nix::unistd::pause();
        });
        drop(writer);
        let mut pid = [0; 4];
        reader.read_exact(&mut pid).unwrap();
        refused(Some(u32::from_ne_bytes(pid)));
        process.kill();
        // A shared lock keeps nobody from attaching, but a remover cannot tell it from the lock of a user.
        let reader = File::open(&path).unwrap();
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK, 0))).unwrap();
        let channel = Spsc::open(&path).unwrap();
        let error = ringway::remove_unused(&path).unwrap_err();
        assert!(matches!(error.reason(), Reason::Locked { pid: None } | Reason::InUse), "{error}");
        drop(reader);
        // All of the region but the first byte is locked, and its name is removed.
        let stranger = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        stranger_locks(&stranger, 1);
        let error = channel.region().unlink().unwrap_err();
        assert!(error.to_string().contains("has locked the whole file"), "{error}");
    });
}
