//! Paths and descriptors that name no region, and files of others.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::fcntl::SealFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, mkfifo, setuid};
use ringway::{CopySign, OpenError, Reason, bytes};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::say::skip;
use crate::common::users::{NOBODY, by_descriptor, root};
use crate::refusal::{Latest, SEALS, Spsc, assert_reason, file, good, memfd, refused};
use crate::seats::fd_number;

/// A socket at `path`, which may be longer than the name of a socket.
fn listen(path: &Path) -> UnixListener {
    let (_open, dir) = by_descriptor(path.parent().unwrap());
    UnixListener::bind(dir.join(path.file_name().unwrap())).unwrap()
}

#[test]
fn paths_that_name_no_region() {
    alone(|| {
        let (dir, good) = good();
        let dir = dir.path();
        let at = |name: &str| dir.join(name);
        fs::create_dir(at("directory")).unwrap();
        symlink(&good, at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        let _listener = listen(&at("socket"));
        let latest = at("latest");
        Latest::create(&latest).unwrap();

        type Opens<'a> = Vec<(&'a str, Box<dyn Fn(&Path) -> Result<(), OpenError>>)>;
        let opens: Opens<'_> = vec![
            ("open", Box::new(|p| Spsc::open(p).map(drop))),
            ("open_or_create", Box::new(|p| Spsc::options().capacity(100).open_or_create(p).map(drop))),
            ("open_snapshot", Box::new(|p| Spsc::options().open_snapshot(p).map(drop))),
            ("open_read_only", Box::new(|p| Latest::open_read_only(p).map(drop))),
            ("bytes", Box::new(|p| bytes::Channel::open(p).map(drop))),
        ];
        for (name, open) in opens {
            let refused = |path: PathBuf| {
                println!("{name} {}", path.display());
                refused(Some(dir), || open(&path))
            };
            if name != "open_or_create" {
                assert_reason!(refused(at("missing")), Reason::Missing, "missing", "no such file");
            }
            assert_reason!(
                refused(at("directory")),
                Reason::NotAFile { found: "a directory" },
                "a directory",
                "regular"
            );
            for link in ["link", "dangling"] {
                let error = refused(at(link));
                assert_reason!(error, Reason::NotAFile { found: "a symbolic link" }, "a symbolic link", link);
            }
            // A fifo that is opened for reading blocks until someone writes.
            assert_reason!(refused(at("fifo")), Reason::NotAFile { found: "a fifo" }, "a fifo", "regular file");
            assert_reason!(refused(at("socket")), Reason::NotAFile { found } if found.contains("a socket"), "a socket");
            assert_reason!(
                refused("/dev/null".into()),
                Reason::NotAFile { found: "a device" },
                "a device",
                "/dev/null"
            );
            assert_reason!(refused("/dev/zero".into()), Reason::NotAFile { found: "a device" }, "a device");
            assert_reason!(refused("/proc/self/status".into()), Reason::Short { .. } | Reason::Os(_), "/proc");
            assert_reason!(refused(good.join("below")), Reason::Os(e) if e.call.starts_with("open"), "Not a directory");
            drop(refused("".into()));
            drop(refused(at(&"n".repeat(300))));
            drop(refused(Path::new("nul\0byte").into()));
        }
        Spsc::open(&good).unwrap();
        Latest::open_read_only(&latest).unwrap();
    });
}

#[test]
fn a_file_of_another_user_is_refused() {
    alone(|| {
        if !root() {
            return skip("another user's file: not root");
        }
        let (dir, path) = good();
        chown(&path, Some(Uid::from_raw(12345)), None).unwrap();
        let is_foreign = |error: OpenError| {
            assert_reason!(error, Reason::Owner { found: 12345, expected: 0 }, 12345, "expected 0", "owner(12345)");
        };
        is_foreign(refused(Some(dir.path()), || Spsc::open(&path)));
        is_foreign(refused(Some(dir.path()), || Spsc::options().capacity(100).open_or_create(&path)));
        is_foreign(refused(Some(dir.path()), || Spsc::options().adopt(&path)));
        Spsc::options().owner(12345).open(&path).unwrap();
        let error = refused(None, || Spsc::options().owner(54321).open(&path));
        assert_reason!(error, Reason::Owner { found: 12345, expected: 54321 }, 54321);

        // The user may read this file but does not trust its owner.
        let path = dir.path().join("latest");
        Latest::options().mode(0o644).create(&path).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (_open, dir) = by_descriptor(dir.path());
        let path = dir.join("latest");
        let child = fork("child", || {
            setuid(Uid::from_raw(NOBODY)).unwrap();
            let error = refused(None, || Latest::open_read_only(&path));
            assert_reason!(error, Reason::Owner { found: 0, expected: NOBODY }, "user 0", NOBODY);
            Latest::options().owner(0).open_read_only(&path).unwrap();
            let error = refused(None, || Latest::options().owner(0).open(&path));
            assert_reason!(
                error,
                Reason::Permission { found: Some((0o644, 0)), writing: true },
                "Permission denied",
                "0644",
                "user 0",
                "mode("
            );
        });
        child.succeed();
    });
}

#[test]
fn files_of_a_wrong_length() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        let whole = file(&path).metadata().unwrap().len();
        let contents = fs::read(&path).unwrap();
        // It ends in the header, or in the text of the schema.
        for len in [514, 512, 255, 1, 0] {
            file(&path).set_len(len).unwrap();
            let error = refused(Some(dir), || Spsc::open(&path));
            assert_reason!(error, Reason::Short { found, expected: 8193 } if *found == len, len, 8193, "truncated");
            let error = refused(Some(dir), || Spsc::options().open_snapshot(&path));
            assert_reason!(error, Reason::Short { found, .. } if *found == len, len);
        }
        // The file was truncated, was extended, or is no whole number of pages long.
        for len in [515, 4095, 4096, 4097, 8192, whole - 4096, whole - 1, whole + 1, whole + 4096, 1 << 40] {
            fs::write(&path, &contents).unwrap();
            file(&path).set_len(len).unwrap();
            let is_length = |error: OpenError| {
                let found_expected = (len, whole);
                assert_reason!(error, Reason::Length { found, expected } if (*found, *expected) == found_expected,
                    format!("found {len} bytes"), format!("expected {whole}"));
            };
            is_length(refused(Some(dir), || Spsc::open(&path)));
            is_length(refused(Some(dir), || Spsc::options().open_snapshot(&path)));
            is_length(refused(Some(dir), || Spsc::options().capacity(100).open_or_create(&path)));
        }
        fs::write(&path, &contents).unwrap();
        Spsc::open(&path).unwrap();
    });
}

#[test]
fn descriptors_that_hold_no_region() {
    alone(|| {
        let good = Spsc::options().capacity(100).memfd().unwrap();
        let contents = fs::read(format!("/proc/self/fd/{}", fd_number(&good))).unwrap();
        type Open = fn(OwnedFd) -> Result<Spsc, OpenError>;
        let open: Open = Spsc::from_fd;
        let from = |make: &dyn Fn() -> OwnedFd| refused(None, || open(make()));

        let (unsealed, some) = (SealFlag::empty(), SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW);
        assert_reason!(from(&|| memfd(&contents, unsealed)), Reason::Unsealed { found: 0, expected: 7 }, "0x0", "0x7");
        assert_reason!(from(&|| memfd(&contents, some)), Reason::Unsealed { found: 6, expected: 7 }, "0x6", "0x7");
        let unsealable = || {
            let file = File::from(memfd_create(c"test", MFdFlags::empty()).unwrap());
            file.write_all_at(&contents, 0).unwrap();
            file.into()
        };
        assert_reason!(from(&unsealable), Reason::Unsealed { found: 1, .. }, "0x1");
        // A file on a tmpfs has the same seals.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        Spsc::create(&path, 100).unwrap();
        assert_reason!(
            from(&|| file(&path).into()),
            Reason::Unsealed { found: 0 | 1, .. },
            "truncated while others use it"
        );

        let pipe = || nix::unistd::pipe().unwrap();
        assert_reason!(from(&|| pipe().0), Reason::Unsealed { found: 0, .. }, "let ringway make it", "memfd region");
        assert_reason!(from(&|| pipe().1), Reason::Unsealed { found: 0, .. }, "no memfd");
        assert_reason!(from(&|| File::open("/").unwrap().into()), Reason::Unsealed { found: 0, .. }, "no memfd");
        assert_reason!(
            from(&|| File::open("/dev/null").unwrap().into()),
            Reason::Unsealed { found: 0, .. },
            "no memfd"
        );
        let listener = || listen(&dir.path().join(fastrand::u64(..).to_string())).into();
        assert_reason!(from(&listener), Reason::Unsealed { found: 0, .. }, "no memfd");

        assert_reason!(from(&|| memfd(&[], SEALS)), Reason::Short { found: 0, expected: 8193 }, "found 0", 8193);
        assert_reason!(
            from(&|| memfd(&contents[..4096], SEALS)),
            Reason::Length { found: 4096, expected: 12288 },
            4096,
            12288
        );
        let mut random = fastrand::Rng::with_seed(1);
        let mut garbage = vec![0; contents.len()];
        random.fill(&mut garbage);
        assert_reason!(from(&|| memfd(&garbage, SEALS)), Reason::NotARegion { .. }, "ringway");
        assert_reason!(
            refused(None, || bytes::Channel::from_fd(memfd(&contents, SEALS))),
            Reason::Kind { found: "spsc", expected: "bytes" },
            "spsc",
            "bytes"
        );

        // A memfd that may not be written can only be read.
        let frozen = || memfd(&contents, SEALS | SealFlag::F_SEAL_WRITE);
        assert_reason!(from(&frozen), Reason::Copy { sign: CopySign::OtherFile }, "copy", "open_snapshot", "adopt");
        let latest = Latest::options().memfd().unwrap();
        let number = latest.region().fd().unwrap().as_raw_fd();
        let for_reading = || -> OwnedFd { File::open(format!("/proc/self/fd/{number}")).unwrap().into() };
        assert_reason!(refused(None, || Latest::from_fd(for_reading())), Reason::Os(e) if e.call == "mmap", "mmap");
        let read_only = Latest::options().from_fd_read_only(for_reading()).unwrap();
        latest.writer().unwrap().write(&[5; 4]).unwrap();
        assert_eq!(read_only.reader().read(), Ok([5; 4]));

        assert_reason!(from(&|| memfd(&contents, SEALS)), Reason::Copy { .. }, "made in another file");
        let anonymous = Spsc::options().capacity(1).anonymous().unwrap();
        assert_reason!(anonymous.region().inheritable_fd().expect_err("no file"), Reason::Anonymous, "memfd");
    });
}
