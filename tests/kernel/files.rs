//! The file of a region: its size, mode, content and name.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::stat::{Mode, fstat, umask};
use ringway::{ClaimError, Flush, Reason, RecvError, RecvTimeoutError, bytes};

use crate::common::alone::alone;
use crate::common::backing::Backing;
use crate::common::child::fork;
use crate::common::mounts::overlay;
use crate::common::say::skip;
use crate::regions::{Latest, Spsc, on, open_file};

#[test]
fn a_file_truncated_behind_our_back_is_an_error_of_ours() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let (ring, latest) = (dir.path().join("ring"), dir.path().join("latest"));
        drop(bytes::Channel::create(&ring, 1 << 16).unwrap());
        drop(Latest::create(&latest).unwrap());
        for (path, whole) in [(&ring, (1 << 16) + 8192), (&latest, 16384)] {
            assert_eq!(fs::metadata(path).unwrap().len(), whole);
            for len in [whole - 1, whole - 4096, 8192, 4096, 512, 511, 0] {
                OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
                let errors = if path == &ring {
                    vec![
                        bytes::Channel::open(path).map(drop),
                        bytes::Channel::options().open_snapshot(path).map(drop),
                        bytes::Channel::options().prefault(true).lock(true).open(path).map(drop),
                    ]
                } else {
                    vec![
                        Latest::open(path).map(drop),
                        Latest::open_read_only(path).map(drop),
                        Latest::options().open_snapshot(path).map(drop),
                    ]
                };
                for error in errors {
                    let error = error.expect_err("it is too short");
                    let right = match error.reason() {
                        Reason::Length { found, expected } => (*found, *expected) == (len, whole),
                        Reason::Short { found, .. } => *found == len && len <= 512,
                        _ => false,
                    };
                    assert!(right, "{error}");
                }
            }
        }
    });
}

#[test]
fn what_was_sent_can_be_read_from_the_file() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in Backing::ALL {
            let channel = on(backing, &bytes::Channel::options().capacity_bytes(4096), dir.path());
            let mut tx = channel.sender().unwrap();
            for (flush, text) in
                [(Flush::Wait, b"a record to be waited for"), (Flush::Start, b"another, to be begun with")]
            {
                tx.send(text).unwrap();
                channel.region().flush(flush).unwrap();
                if backing == Backing::File {
                    let mut all = vec![0; channel.region().size() as usize];
                    open_file(channel.region()).read_exact_at(&mut all, 0).unwrap();
                    assert!(all.windows(text.len()).any(|window| window == text));
                }
            }
        }
    });
}

#[test]
fn a_memfd_keeps_its_size() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let channel = Spsc::options().capacity(100).memfd().unwrap();
        let file = File::from(channel.region().fd().unwrap().try_clone_to_owned().unwrap());
        let size = channel.region().size();
        for len in [0, 4096, size - 1, size + 1, size + 4096] {
            assert_eq!(file.set_len(len).unwrap_err().raw_os_error(), Some(libc::EPERM), "{len}");
        }
        assert_eq!(file.metadata().unwrap().len(), size);
        assert_eq!(file.write_at(b"x", size).unwrap_err().raw_os_error(), Some(libc::EPERM));
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        let more = fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE));
        assert_eq!(more, Err(nix::errno::Errno::EPERM), "nobody can seal it against its users");
        drop(dir);
    });
}

#[test]
fn modes_are_as_given_whatever_the_umask() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for mask in [0, 0o022, 0o077, 0o777] {
            umask(Mode::from_bits_truncate(mask));
            for mode in [None, Some(0o600), Some(0o640), Some(0o666), Some(0o400), Some(0o000)] {
                let path = dir.path().join(format!("{mask:o} {mode:?}"));
                let options = Spsc::options().capacity(4);
                let options = mode.map_or(options.clone(), |mode| options.mode(mode));
                let (file, memfd) = (options.create(&path).unwrap(), options.memfd().unwrap());
                for region in [file.region(), memfd.region()] {
                    let found = fstat(region.fd().unwrap()).unwrap().st_mode & 0o7777;
                    assert_eq!(found, mode.unwrap_or(0o600), "umask {mask:o}");
                }
                let named = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                assert_eq!(named, mode.unwrap_or(0o600));
            }
        }
    });
}

#[test]
fn unlink_removes_the_file_only_if_it_is_the_same() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = Spsc::create(&path, 4).unwrap();
        let opened = Spsc::open(&path).unwrap();
        opened.region().unlink().unwrap();
        assert!(!path.exists());
        assert_eq!(channel.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        // Those who are attached go on.
        channel.sender().unwrap().send(&1).unwrap();
        assert_eq!(opened.receiver().unwrap().recv(), Ok(1));

        let other = Spsc::create(&path, 4).unwrap();
        assert_eq!(channel.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(path.exists(), "it is another's");
        fs::rename(&path, dir.path().join("renamed")).unwrap();
        std::os::unix::fs::symlink("renamed", &path).unwrap();
        assert_eq!(other.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(path.exists(), "a link to it is not it");
        let memfd = Spsc::options().capacity(4).memfd().unwrap();
        assert_eq!(memfd.region().unlink().unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// On overlayfs, a mapping of a file holds no lock that was taken on the file.
#[test]
fn on_an_overlay_the_living_live_and_the_dead_are_dead() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let overlay = match overlay(dir.path()) {
            Ok(overlay) => overlay,
            Err(errno) => return skip(&format!("overlayfs: {errno}")),
        };
        let channel = Spsc::create(overlay.merged.join("region"), 4).unwrap();
        let mut rx = channel.receiver().unwrap();
        let go = Latest::options().anonymous().unwrap();
        let mut go_on = go.reader();
        let child = fork("child", || {
            let mut tx = channel.sender().unwrap();
            tx.send(&7).unwrap();
            go.writer().unwrap().write(&[1; 4]).unwrap();
            loop {
                thread::park();
            }
        });
        go_on.changed().unwrap();
        assert_eq!(rx.recv(), Ok(7));
        assert!(rx.has_sender() && !rx.is_closed());
        assert_eq!(rx.recv_timeout(Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
        assert!(matches!(channel.sender().err(), Some(ClaimError::Taken { generation: 1, .. })));
        child.kill();
        assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
        assert_eq!(channel.sender().unwrap().generation(), 2);
    });
}
