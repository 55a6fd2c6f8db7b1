//! Every bad input gives a typed error that says what was found, never a panic or a signal, and leaves no
//! file, descriptor or mapping behind.
#![cfg(not(loom))]

mod common;

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkfifo, setgid, setuid};
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
use ringway::{
    ChangedError, ClaimError, CopySign, Corrupt, Fault, OpenError, ReadError, Reason, RecvError, RecvTimeoutError,
    Seat, SendError, SendTimeoutError, TooLong, TryRecvError, TrySendError, bytes, seqlock, spsc,
};
use tempfile::TempDir;

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::common::raw::{Raw, checksum, seal_header};
use crate::common::say::skip;
use crate::common::users::{by_descriptor, root};

const NOBODY: u32 = 65534;

/// Makes `call` fail, and checks that it leaves nothing behind, in `dir` or in this process.
fn refused<T: Debug>(dir: Option<&Path>, mut call: impl FnMut() -> Result<T, OpenError>) -> OpenError {
    // What is made once and for all (a table of the allocator, say) is made by the first call.
    drop(call());
    let before = Footprint::now(dir);
    let error = call().expect_err("it is refused");
    assert_eq!(before, Footprint::now(dir), "{error}");
    assert!(error.to_string().starts_with(error.place()), "{error}");
    error
}

/// Checks an error's reason, and that its text says what it should.
macro_rules! assert_reason {
    ($error:expr, $pattern:pat $(if $guard:expr)?, $($says:expr),* $(,)?) => {{
        let error = $error;
        assert!(matches!(error.reason(), $pattern $(if $guard)?), "{error:?}");
        let text = error.to_string();
        $(assert!(text.contains(&$says.to_string()), "{text:?} does not say {:?}", $says.to_string());)*
    }};
}

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

/// A good spsc region of 100 slots in a file of its own directory.
fn good() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    Spsc::create(&path, 100).unwrap();
    (dir, path)
}

fn file(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// A socket at `path`, which may be longer than the name of a socket.
fn listen(path: &Path) -> UnixListener {
    let (_open, dir) = by_descriptor(path.parent().unwrap());
    UnixListener::bind(dir.join(path.file_name().unwrap())).unwrap()
}

/// A memfd with these bytes and seals.
fn memfd(contents: &[u8], seals: SealFlag) -> OwnedFd {
    let file = File::from(memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).unwrap());
    file.write_all_at(contents, 0).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

#[test]
fn capacities_that_cannot_be() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = &dir.join("new");
        let spsc = |capacity| Spsc::options().capacity(capacity);
        let bytes = |capacity| bytes::Channel::options().capacity_bytes(capacity);

        let zero = || refused(Some(dir), || spsc(0).create(path));
        assert_reason!(zero(), Reason::Capacity { found: 0, .. }, "capacity of 0", "at least 1", path.display());
        assert_reason!(refused(None, || spsc(0).memfd()), Reason::Capacity { found: 0, .. }, "at least 1");
        assert_reason!(refused(None, || spsc(0).anonymous()), Reason::Capacity { found: 0, .. }, "at least 1");
        let unset = refused(Some(dir), || Spsc::options().create(path));
        assert_reason!(unset, Reason::Capacity { found: 0, .. }, "to be set");
        let unset = refused(Some(dir), || bytes::Channel::options().open_or_create(path));
        assert_reason!(unset, Reason::Capacity { found: 0, .. }, "to be set");

        for odd in [0, 1, 7, 12, 4097, u64::MAX] {
            let is_odd = |error: OpenError| {
                assert_reason!(error, Reason::Capacity { found, .. } if *found == odd, odd, "multiple of 8");
            };
            is_odd(refused(Some(dir), || bytes(odd).create(path)));
            is_odd(refused(Some(dir), || bytes(odd).open_or_create(path)));
            is_odd(refused(None, || bytes(odd).memfd()));
            is_odd(refused(None, || bytes(odd).anonymous()));
        }

        let most = i64::MAX as u64;
        for large in [u64::MAX, u64::MAX / 16, 1 << 61, 1 << 60, most / 8, most / 16, most] {
            let is_large = |error: OpenError| {
                assert_reason!(error, Reason::Capacity { found, .. } if *found == large, large, "63 bits");
            };
            is_large(refused(Some(dir), || spsc(large).create(path)));
            is_large(refused(Some(dir), || spsc(large).open_or_create(path)));
            is_large(refused(None, || spsc(large).memfd()));
            is_large(refused(None, || spsc(large).anonymous()));
        }

        // Any other number of slots is kept exactly.
        for slots in [1, 3, 7, 513] {
            let channel = spsc(slots).anonymous().unwrap();
            assert_eq!(channel.capacity(), slots);
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for lap in 0..3 {
                (0..slots).for_each(|i| tx.try_send(&(lap * slots + i)).unwrap());
                assert_eq!(tx.try_send(&0), Err(TrySendError::Full));
                (0..slots).for_each(|i| assert_eq!(rx.try_recv(), Ok(lap * slots + i)));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

#[test]
fn a_capacity_in_bytes_is_named_in_bytes() {
    alone(|| {
        let large = (1 << 63) - 8;
        for large in [1 << 61, 1 << 62, large, u64::MAX - 7] {
            let error = refused(None, || bytes::Channel::options().capacity_bytes(large).memfd());
            assert_reason!(error, Reason::Capacity { found, .. } if *found == large, large, "63 bits");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("region");
        bytes::Channel::create(path, 8192).unwrap();
        let error = refused(None, || bytes::Channel::options().capacity_bytes(16384).open_or_create(path));
        assert_reason!(error, Reason::OtherCapacity { found: 8192, expected: 16384 }, 8192, 16384);
    });
}

/// More than any address space holds, but not more than can be counted. (Not for a memfd: while the
/// kernel takes page after page for one, it kills others.)
#[test]
fn a_capacity_beyond_all_memory_is_refused_at_once() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("new");
        for large in [1 << 50, 1 << 57] {
            let options = bytes::Channel::options().capacity_bytes(large);
            let error = refused(Some(dir.path()), || options.create(path));
            assert_reason!(error, Reason::NoSpace { .. } | Reason::Os(_), "new");
            let error = refused(None, || options.anonymous());
            assert_reason!(error, Reason::NoSpace { .. } | Reason::Os(_), "anonymous region");
        }
    });
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(8192))]
struct Overaligned([u8; 8192]);

#[derive(FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(4096))]
struct PageAligned([u8; 4096]);

#[derive(FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct ANameOfMoreThanSixtyFourBytesWhichIsMoreThanTheHeaderOfARegionHolds(u64);

#[test]
fn types_that_cannot_cross() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = &dir.join("new");

        let error = refused(Some(dir), || spsc::Channel::<[u64; 0]>::options().capacity(4).create(path));
        let expected = "[u64; 0] (0 bytes, aligned to 8)";
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.size == 0, expected, "at least one byte");
        let error = refused(None, || seqlock::Channel::<()>::options().memfd());
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.name == "()", "at least one byte");

        let error = refused(Some(dir), || spsc::Channel::<Overaligned>::options().capacity(4).create(path));
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.align == 8192, 8192, "at most 4096");
        let error = refused(None, || seqlock::Channel::<Overaligned>::options().anonymous());
        assert_reason!(error, Reason::UnsupportedType { found, .. } if found.align == 8192, 8192, "at most 4096");
        let channel = spsc::Channel::<PageAligned>::options().capacity(2).anonymous().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for lap in 0..5 {
            tx.try_send(&PageAligned([lap; 4096])).unwrap();
            let received = rx.try_recv_ref().unwrap();
            assert_eq!(received.as_ptr().addr() % 4096, 0);
            assert!(received.read().0 == [lap; 4096]);
        }
        let channel = seqlock::Channel::<PageAligned>::options().anonymous().unwrap();
        channel.writer().unwrap().write(&PageAligned([3; 4096])).unwrap();
        assert!(channel.reader().read().unwrap().0 == [3; 4096]);

        type Long = ANameOfMoreThanSixtyFourBytesWhichIsMoreThanTheHeaderOfARegionHolds;
        let error = refused(Some(dir), || spsc::Channel::<Long>::options().capacity(4).create(path));
        assert_reason!(error, Reason::TypeName { found: 67, expected: 64 }, 67, 64, "type_name");
        let error = refused(None, || Latest::options().type_name("n".repeat(65)).memfd());
        assert_reason!(error, Reason::TypeName { found: 65, expected: 64 }, 65, 64);
        let shortened = spsc::Channel::<Long>::options().capacity(4).type_name("n".repeat(64));
        shortened.create(path).unwrap();
        shortened.open(path).unwrap();
    });
}

/// A name is padded with zeroes, so that it cannot hold one.
#[test]
fn what_was_created_can_be_opened_whatever_its_type_name() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for (i, name) in ["", "a\0b", "\0", "a b", "ü", "Vec<u8>"].iter().enumerate() {
            let path = dir.path().join(i.to_string());
            let options = Spsc::options().capacity(4).type_name(*name);
            match options.create(&path) {
                Ok(_) => drop(options.open(&path).unwrap()),
                Err(error) => assert!(name.contains('\0') && !path.exists(), "{error}"),
            }
        }
    });
}

#[test]
fn a_record_that_is_too_long_is_refused_and_the_channel_goes_on() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(8).memfd().unwrap();
        let most = channel.max_len();
        assert_eq!((channel.capacity(), most), (4096, 4080));
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let long = vec![1; most + 1];
        let error = SendError::TooLong(TooLong { found: most + 1, most });
        for lap in 0..5 {
            assert_eq!(tx.send(&long), Err(error));
            assert_eq!(tx.try_send(&long), Err(TrySendError::Refused(error)));
            assert_eq!(tx.send_timeout(&long, Duration::MAX), Err(SendTimeoutError::Refused(error)));
            assert_eq!(tx.send_ref(most + 1).err(), Some(error));
            assert_eq!(tx.try_send_ref(most + 1).err(), Some(TrySendError::Refused(error)));
            assert_eq!(tx.send_slice(&[&long]), Err(error));
            let enormous = SendError::TooLong(TooLong { found: usize::MAX, most });
            assert_eq!(tx.send_ref(usize::MAX).err(), Some(enormous));
            // As not the first of a batch it ends the batch.
            assert_eq!(tx.send_slice(&[b"short", &long, b"never"]), Ok(1));
            assert_eq!(rx.recv().unwrap(), b"short");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let longest = vec![lap; most];
            tx.try_send(&longest).unwrap();
            assert_eq!(tx.try_send(b""), Err(TrySendError::Full));
            assert_eq!(rx.recv().unwrap(), longest);
        }
        let text = error.to_string();
        assert!(text.contains("4081 bytes") && text.contains("at most 4080"), "{text}");
    });
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
            // Opened for reading, a fifo would block until someone writes.
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

        // One that a user may read, but who does not trust its owner.
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
        for len in [0, 1, 255] {
            file(&path).set_len(len).unwrap();
            let error = refused(Some(dir), || Spsc::open(&path));
            assert_reason!(error, Reason::Short { found, expected: 8193 } if *found == len, len, 8193, "truncated");
            let error = refused(Some(dir), || Spsc::options().open_snapshot(&path));
            assert_reason!(error, Reason::Short { found, .. } if *found == len, len);
        }
        // Truncated, extended, and no whole number of pages.
        for len in [256, 4095, 4096, 4097, 8192, whole - 4096, whole - 1, whole + 1, whole + 4096, 1 << 40] {
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

/// The header of the region in a file, to be changed.
struct Header {
    file: File,
    good: [u8; 256],
}

impl Header {
    fn of(path: &Path) -> Self {
        let file = file(path);
        let mut good = [0; 256];
        file.read_exact_at(&mut good, 0).unwrap();
        assert_eq!(u64::from_ne_bytes(good[248..].try_into().unwrap()), checksum(&good), "where the checksum lies");
        Self { file, good }
    }

    fn write(&self, header: &[u8]) {
        self.file.write_all_at(header, 0).unwrap();
    }

    /// Puts `value` at byte `at`, and the checksum that fits.
    fn forge(&self, changes: &[(usize, &[u8])]) {
        let mut header = self.good;
        for (at, value) in changes {
            header[*at..*at + value.len()].copy_from_slice(value);
        }
        seal_header(&mut header);
        self.write(&header);
    }
}

/// Where the numbers of a header lie: name, byte, bytes.
const FIELDS: [(&str, usize, usize); 14] = [
    ("endian", 8, 4),
    ("version", 12, 4),
    ("word size", 16, 4),
    ("kind", 20, 4),
    ("cache line padding", 24, 8),
    ("page size", 32, 8),
    ("region length", 40, 8),
    ("data length", 48, 8),
    ("capacity", 56, 8),
    ("stride", 64, 8),
    ("type size", 72, 8),
    ("type align", 80, 8),
    ("reserved part", 152, 8),
    ("reserved part", 240, 8),
];

#[test]
fn headers_of_others() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        let header = Header::of(&path);
        let open = || refused(Some(dir), || Spsc::open(&path));
        let kept = fs::read(&path).unwrap();

        header.write(b"RINGWAY\n");
        assert_reason!(open(), Reason::NotARegion { found } if found == b"RINGWAY\n", "RINGWAY", "ringway");
        fs::write(&path, vec![0; kept.len()]).unwrap();
        assert_reason!(open(), Reason::NotARegion { found: [0, 0, 0, 0, 0, 0, 0, 0] }, "expected \"ringway");
        fs::write(&path, &kept).unwrap();

        // The other byte order has a checksum of its own, so it is looked at before.
        let mut swapped = header.good;
        swapped[8..12].reverse();
        header.write(&swapped);
        assert_reason!(open(), Reason::Endianness, "byte order");

        let version = u32::from_ne_bytes(header.good[12..16].try_into().unwrap());
        let mut other = header.good;
        other[12..16].copy_from_slice(&(version + 1).to_ne_bytes());
        header.write(&other);
        assert_reason!(open(), Reason::Version { found, expected } if (*found, *expected) == (version + 1, version),
            format!("version {}", version + 1), format!("expected {version}"));

        header.write(&[&header.good[..248], &[7; 8]].concat());
        let sum = checksum(&header.good);
        assert_reason!(open(), Reason::Checksum { found: 0x0707_0707_0707_0707, expected } if *expected == sum,
            "0x707070707070707", format!("{sum:#x}"));

        for (name, at, expected) in [("word size", 16, 64), ("cache line padding", 24, 128), ("page size", 32, 4096)] {
            header.forge(&[(at, &[1, 1])]);
            assert_reason!(open(), Reason::Field { field, expected: wanted, .. } if (*field, *wanted) == (name, expected),
                name, expected);
        }
        header.forge(&[(240, &[1])]);
        assert_reason!(open(), Reason::Field { field: "reserved part", .. }, "reserved");
        header.forge(&[(20, &2u32.to_ne_bytes())]);
        assert_reason!(open(), Reason::Kind { found: "bytes", expected: "spsc" }, "bytes", "spsc");
        header.forge(&[(20, &9u32.to_ne_bytes())]);
        assert_reason!(open(), Reason::Field { field: "kind", found: 9, expected: 1 }, "kind", 9);
        header.forge(&[(72, &[4])]);
        assert_reason!(open(), Reason::Type { found, expected } if (found.size, expected.size) == (4, 8),
            "u64 (4 bytes, aligned to 8)", "u64 (8 bytes, aligned to 8)");
        header.forge(&[(80, &[4])]);
        assert_reason!(open(), Reason::Type { found, expected } if (found.align, expected.align) == (4, 8),
            "u64 (8 bytes, aligned to 4)");
        header.forge(&[(88, b"i64")]);
        assert_reason!(open(), Reason::Type { found, expected } if found.name == "i64" && expected.name == "u64",
            "i64 (8", "u64 (8");
        header.forge(&[(88, &[0xFF; 64])]);
        assert_reason!(open(), Reason::Type { .. }, "u64 (8");
        header.forge(&[(64, &[4])]);
        assert_reason!(open(), Reason::Field { field: "stride", found: 4, expected: 2 }, "stride");
        header.forge(&[(56, &[0])]);
        assert_reason!(open(), Reason::Field { field: "capacity", found: 0, .. }, "capacity");
        header.forge(&[(56, &1000u64.to_ne_bytes())]);
        assert_reason!(open(), Reason::Field { field: "data length", found: 4096, expected: 16384 }, 4096, 16384);
        header.forge(&[(48, &8192u64.to_ne_bytes())]);
        assert_reason!(open(), Reason::Field { field: "data length", found: 8192, expected: 4096 }, 8192);
        header.forge(&[(40, &8192u64.to_ne_bytes())]);
        assert_reason!(open(), Reason::Field { field: "region length", found: 8192, expected: 12288 }, 12288);

        // By other programs, not by a forger.
        header.write(&header.good);
        assert_reason!(
            refused(Some(dir), || bytes::Channel::open(&path)),
            Reason::Kind { found: "spsc", expected: "bytes" },
            "spsc",
            "bytes"
        );
        assert_reason!(
            refused(Some(dir), || seqlock::Channel::<u64>::open_read_only(&path)),
            Reason::Kind { found: "spsc", expected: "seqlock" },
            "seqlock"
        );
        assert_reason!(refused(Some(dir), || spsc::Channel::<i64>::open(&path)), Reason::Type { .. }, "u64", "i64");
        assert_reason!(refused(Some(dir), || spsc::Channel::<[u64; 2]>::open(&path)), Reason::Type { .. }, "[u64; 2]");
        assert_reason!(
            refused(Some(dir), || Spsc::options().type_name("u64 v2").open(&path)),
            Reason::Type { .. },
            "u64 v2"
        );
        Spsc::open(&path).unwrap();
    });
}

#[test]
fn every_flipped_bit_of_the_header_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        drop(Spsc::open(&path));
        let before = Footprint::now(Some(dir.path()));
        for bit in 0..256 * 8 {
            let mut flipped = header.good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            header.write(&flipped);
            let error = Spsc::open(&path).expect_err("a bit is flipped");
            let right = match (bit / 8, error.reason()) {
                (0..8, Reason::NotARegion { found }) => found == &flipped[..8],
                (8..12, Reason::Field { field: "byte order mark", expected: 0x0102_0304, .. }) => true,
                (12..16, Reason::Version { expected: 4, .. }) => true,
                (16.., Reason::Checksum { expected, .. }) => *expected == checksum(&flipped),
                _ => false,
            };
            assert!(right, "bit {bit}: {error}");
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
        header.write(&header.good);
        Spsc::open(&path).unwrap();
    });
}

#[test]
fn random_headers_are_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        drop(Spsc::open(&path));
        let before = Footprint::now(Some(dir.path()));
        let mut random = fastrand::Rng::with_seed(20_251_120);
        for round in 0..10_000 {
            let mut bytes = [0; 256];
            random.fill(&mut bytes);
            // The more of it is right, the further the checks get.
            let right = [0, 16, 24, 40][round % 4];
            bytes[..right].copy_from_slice(&header.good[..right]);
            if right > 0 {
                seal_header(&mut bytes);
            }
            header.write(&bytes);
            let error = Spsc::open(&path).expect_err("garbage");
            match (right, error.reason()) {
                (0, Reason::NotARegion { .. })
                | (16, Reason::Field { field: "word size", .. })
                | (24, Reason::Field { field: "cache line padding", .. })
                | (40, Reason::Field { field: "reserved part", .. }) => {}
                _ => panic!("round {round}: {error}"),
            }
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
    });
}

/// A header whose numbers were chosen, with a checksum that fits: refused, or a region that can be used.
#[test]
fn forged_headers_are_refused_or_harmless() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        let mut random = fastrand::Rng::with_seed(7);
        let mut accepted = 0;
        for round in 0..4000 {
            let mut changes = Vec::new();
            for _ in 0..random.usize(1..5) {
                let field = FIELDS[random.usize(2..FIELDS.len())];
                let number = match random.u32(0..6) {
                    0 => 0,
                    1 => 1 << random.u32(0..64),
                    2 => (1u64 << random.u32(0..64)).wrapping_sub(1),
                    3 => u64::MAX - random.u64(0..9000),
                    4 => 4096 * random.u64(0..5),
                    _ => random.u64(0..300),
                };
                changes.push((field, number.to_ne_bytes()));
            }
            let forged: Vec<_> = changes.iter().map(|((_, at, len), bytes)| (*at, &bytes[..*len])).collect();
            header.file.set_len(4096 * random.u64(1..5)).unwrap();
            header.forge(&forged);
            if let Ok(channel) = Spsc::open(&path) {
                accepted += 1;
                println!("round {round}: accepted {changes:?}");
                use_spsc(&channel);
            }
        }
        assert!(accepted > 0, "the capacity may be any that fits the pages");
        drop(dir);
    });
}

/// Sends and receives without a panic, whatever the region says of itself.
fn use_spsc(channel: &Spsc) {
    let (Ok(mut tx), Ok(mut rx)) = (channel.sender(), channel.receiver()) else { return };
    for i in 0..1000 {
        let sent = tx.try_send(&i);
        let received = rx.try_recv();
        assert!(sent.is_err() || received.is_ok() || !tx.is_empty(), "{sent:?} {received:?}");
    }
}

#[test]
fn a_forged_capacity_whose_size_overflows_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        header.file.set_len(8192).unwrap();
        for capacity in [u64::MAX, 1 << 60, u64::MAX / 16 + 1, 1 << 63] {
            let capacity: u64 = capacity;
            header.forge(&[(56, &capacity.to_ne_bytes()), (48, &0u64.to_ne_bytes()), (40, &8192u64.to_ne_bytes())]);
            let error = refused(Some(dir.path()), || Spsc::open(&path));
            assert_reason!(error, Reason::Field { field: "capacity" | "data length", .. }, "forged");
        }
    });
}

#[test]
fn create_leaves_what_exists_alone() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        Spsc::open(&path).unwrap().sender().unwrap().send(&77).unwrap();
        let text = dir.join("text");
        fs::write(&text, "precious").unwrap();
        fs::create_dir(dir.join("directory")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        let kept = fs::read(&path).unwrap();
        for name in ["region", "text", "directory", "dangling"] {
            let path = dir.join(name);
            let exists = |error: OpenError| assert_reason!(error, Reason::Exists, name, "exists");
            exists(refused(Some(dir), || Spsc::create(&path, 100)));
            exists(refused(Some(dir), || bytes::Channel::create(&path, 4096)));
            exists(refused(Some(dir), || Latest::create(&path)));
        }
        assert_eq!(fs::read(&path).unwrap(), kept);
        assert_eq!(fs::read(&text).unwrap(), b"precious");
        assert_eq!(Spsc::open(&path).unwrap().receiver().unwrap().recv(), Ok(77));
    });
}

#[test]
fn a_directory_that_is_missing_or_may_not_be_written() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let below = dir.join("missing/region");
        // Not `Missing`, whose text says to create the file.
        for error in [
            refused(Some(dir), || Spsc::create(&below, 100)),
            refused(Some(dir), || Spsc::options().capacity(100).open_or_create(&below)),
        ] {
            let text = error.to_string();
            assert!(text.contains("missing/region"), "{text}");
            assert!(!text.contains("create it first"), "create says: create it first. {text}");
        }
        fs::write(dir.join("file"), "").unwrap();
        let error = refused(Some(dir), || Spsc::create(dir.join("file/region"), 100));
        assert_reason!(error, Reason::Os(e) if e.call.starts_with("open"), "Not a directory");

        fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
        let (_open, reachable) = by_descriptor(dir);
        let (dir, path) = (reachable.as_path(), &reachable.join("region"));
        let child = fork("child", || {
            if root() {
                setuid(Uid::from_raw(NOBODY)).unwrap();
            }
            for error in [
                refused(Some(dir), || Spsc::create(path, 100)),
                refused(Some(dir), || Spsc::options().capacity(100).open_or_create(path)),
            ] {
                assert_reason!(error, Reason::DirectoryPermission { .. }, "Permission denied", "region");
            }
        });
        child.succeed();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    });
}

/// Who has given up root can make and open regions all the same.
#[test]
fn after_setuid_regions_can_be_made() {
    alone(|| {
        if !root() {
            return skip("setuid: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(Uid::from_raw(NOBODY)), None).unwrap();
        let (_open, reachable) = by_descriptor(dir.path());
        let path = &reachable.join("region");
        let child = fork("child", || {
            setgid(Gid::from_raw(NOBODY)).unwrap();
            setuid(Uid::from_raw(NOBODY)).unwrap();
            let channel = Spsc::create(path, 100).unwrap();
            channel.sender().unwrap().send(&1).unwrap();
            assert_eq!(Spsc::open(path).unwrap().receiver().unwrap().recv(), Ok(1));
            Spsc::options().capacity(4).memfd().unwrap();
        });
        child.succeed();
    });
}

#[test]
fn another_capacity_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        for capacity in [1, 99, 101, 1 << 40, u64::MAX] {
            let is_other = |error: OpenError| {
                assert_reason!(error, Reason::OtherCapacity { found: 100, expected } if *expected == capacity,
                    "capacity 100", format!("expected {capacity}"));
            };
            is_other(refused(Some(dir), || Spsc::options().capacity(capacity).open_or_create(&path)));
            is_other(refused(Some(dir), || Spsc::options().capacity(capacity).open(&path)));
        }
        let channel = Spsc::options().capacity(100).open_or_create(&path).unwrap();
        assert_eq!(channel.capacity(), 100);
    });
}

const RACES: usize = 1000;

/// Two threads that start each race together; each race has a path of its own.
fn race<T: Send>(dir: &Path, attempt: impl Fn(&Path) -> T + Sync, judge: impl Fn(usize, T, T) + Sync) {
    let start = Barrier::new(2);
    let run = |first: bool, results: std::sync::mpsc::SyncSender<(bool, T)>| {
        for race in 0..RACES {
            start.wait();
            let _ = results.send((first, attempt(&dir.join(race.to_string()))));
        }
    };
    std::thread::scope(|scope| {
        // Few results wait to be judged: each holds a descriptor.
        let (results, received) = std::sync::mpsc::sync_channel(8);
        let others = results.clone();
        scope.spawn(|| run(true, others));
        scope.spawn(|| run(false, results));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for race in 0..RACES {
            while ours.len() <= race || theirs.len() <= race {
                let (first, result) = received.recv().unwrap();
                if first { &mut ours } else { &mut theirs }.push(Some(result));
            }
            judge(race, ours[race].take().unwrap(), theirs[race].take().unwrap());
            fs::remove_file(dir.join(race.to_string())).unwrap();
        }
    });
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "no file is left");
}

#[test]
fn of_two_creators_one_wins() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        race(
            dir.path(),
            |path| Spsc::create(path, 8),
            |race, a, b| {
                let lost = match (a, b) {
                    (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
                    both => panic!("race {race}: {both:?}"),
                };
                assert_reason!(lost, Reason::Exists, race);
            },
        );
    });
}

#[test]
fn two_who_open_or_create_share_one_region() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        race(
            dir.path(),
            |path| Spsc::options().capacity(8).open_or_create(path),
            |race, a, b| {
                let (a, b) = (a.unwrap(), b.unwrap());
                a.sender().unwrap().send(&(race as u64)).unwrap();
                assert_eq!(b.receiver().unwrap().recv(), Ok(race as u64));
            },
        );
    });
}

#[test]
fn a_full_file_system_is_an_error_and_leaves_no_file() {
    alone(|| {
        if !root() {
            return skip("a full tmpfs: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let child = fork("child", || {
            if let Err(error) = unshare(CloneFlags::CLONE_NEWNS) {
                return skip(&format!("a full tmpfs: unshare: {error}"));
            }
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).unwrap();
            if let Err(error) = mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("size=64k")) {
                return skip(&format!("a full tmpfs: mount: {error}"));
            }
            let path = dir.join("region");
            let needed = 2 * 4096 + 16 * 8192;
            let is_full = |error: OpenError| {
                assert_reason!(error, Reason::NoSpace { needed: n } if *n == needed, needed, "no room");
            };
            is_full(refused(Some(dir), || Spsc::create(&path, 8192)));
            is_full(refused(Some(dir), || Spsc::options().capacity(8192).open_or_create(&path)));
            let error = refused(Some(dir), || bytes::Channel::create(&path, 1 << 20));
            assert_reason!(error, Reason::NoSpace { needed: 1_056_768 }, 1_056_768);
            // What was taken for the attempt was given back: all the memory is still there.
            let channel = bytes::Channel::create(&path, 14 * 4096).unwrap();
            channel.sender().unwrap().send(&vec![1; channel.max_len()]).unwrap();
            let error = refused(Some(dir), || Spsc::create(dir.join("another"), 1));
            assert_reason!(error, Reason::NoSpace { needed: 12288 }, 12288);
        });
        child.succeed();
    });
}

#[test]
fn the_file_size_limit_is_an_error_and_no_signal() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = dir.join("region");
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        // The region of 100 slots takes three pages.
        for limit in [0, 1, 4096, 3 * 4096 - 1] {
            setrlimit(Resource::RLIMIT_FSIZE, limit, hard).unwrap();
            let is_limit = |error: OpenError| {
                assert_reason!(error, Reason::FileSizeLimit { needed: 12288, limit: found } if *found == limit,
                    12288, format!("allows {limit}"), "RLIMIT_FSIZE");
            };
            is_limit(refused(Some(dir), || Spsc::create(&path, 100)));
            is_limit(refused(Some(dir), || Spsc::options().capacity(100).open_or_create(&path)));
            is_limit(refused(None, || Spsc::options().capacity(100).memfd()));
            Spsc::options().capacity(100).anonymous().unwrap();
        }
        setrlimit(Resource::RLIMIT_FSIZE, 3 * 4096, hard).unwrap();
        Spsc::create(&path, 100).unwrap();
        Spsc::options().capacity(100).memfd().unwrap();
    });
}

#[test]
fn the_descriptor_limit_is_an_error() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        let channel = Spsc::open(&path).unwrap();
        // The lowest number that is free.
        let open = File::open("/").unwrap().as_raw_fd() as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Descriptors can be looked at only while there are some left.
        let before = Footprint::now(Some(dir));
        let errors = {
            setrlimit(Resource::RLIMIT_NOFILE, open, hard).unwrap();
            let errors = [
                Spsc::open(&path).map(drop),
                Spsc::create(dir.join("new"), 4).map(drop),
                Spsc::options().capacity(4).open_or_create(dir.join("new")).map(drop),
                Spsc::options().open_snapshot(&path).map(drop),
                Spsc::options().capacity(4).memfd().map(drop),
            ];
            let claim = channel.sender().map(drop);
            let inherited = channel.region().inheritable_fd().map(drop);
            let anonymous = Spsc::options().capacity(4).anonymous().map(drop);
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            anonymous.unwrap();
            assert_reason!(
                inherited.expect_err("no descriptor left"),
                Reason::DescriptorLimit { .. } | Reason::Os(_),
                ""
            );
            let claim = claim.expect_err("no descriptor left");
            let exhausted = |os: &ringway::OsError| os.source.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32);
            assert!(matches!(&claim, ClaimError::Os(e) if exhausted(e)), "{claim:?}");
            errors
        };
        for error in errors {
            let error = error.expect_err("no descriptor left");
            assert_reason!(error, Reason::DescriptorLimit { limit } if *limit == open,
                format!("allows {open}"), "RLIMIT_NOFILE");
        }
        assert_eq!(before, Footprint::now(Some(dir)));
        // The claim that failed took no seat.
        channel.sender().unwrap().send(&1).unwrap();
    });
}

#[test]
fn the_lock_limit_is_an_error() {
    alone(|| {
        if !root() {
            return skip("RLIMIT_MEMLOCK: not root, who could be exempt");
        }
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(Uid::from_raw(NOBODY)), None).unwrap();
        let (_open, dir) = by_descriptor(dir.path());
        let dir = dir.as_path();
        let child = fork("child", || {
            setrlimit(Resource::RLIMIT_MEMLOCK, 4 * 4096, 4 * 4096).unwrap();
            setuid(Uid::from_raw(NOBODY)).unwrap();
            let path = dir.join("region");
            let needed = 2 * 4096 + 16 * 1024;
            let options = Spsc::options().capacity(1024).lock(true);
            let is_limit = |error: OpenError| {
                assert_reason!(error, Reason::LockLimit { needed: n, limit: 16384 } if *n == needed,
                    format!("{needed} bytes to lock"), "allows 16384", "RLIMIT_MEMLOCK");
            };
            is_limit(refused(Some(dir), || options.create(&path)));
            is_limit(refused(Some(dir), || options.open_or_create(&path)));
            is_limit(refused(None, || options.memfd()));
            is_limit(refused(None, || options.anonymous()));
            Spsc::create(&path, 1024).unwrap();
            is_limit(refused(Some(dir), || Spsc::options().lock(true).open(&path)));
            setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).unwrap();
            let error = refused(None, || options.anonymous());
            assert_reason!(error, Reason::LockLimit { limit: 0, .. }, "allows 0");
        });
        child.succeed();
    });
}

const HUGE: &str = "/proc/sys/vm/nr_hugepages";

/// What the pool holds, restored on drop.
struct Pool(String);

impl Drop for Pool {
    fn drop(&mut self) {
        fs::write(HUGE, &self.0).unwrap();
    }
}

#[test]
fn huge_pages_of_an_empty_pool_and_of_a_full_one() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let options = Spsc::options().capacity(100).huge_pages(true);
        let error = refused(Some(dir.path()), || options.create(dir.path().join("region")));
        assert_reason!(error, Reason::HugePagesUnsupported, "hugetlbfs");

        let Ok(kept) = fs::read_to_string(HUGE) else { return skip("huge pages: the kernel has none") };
        if kept.trim() == "0" {
            let needed = 3 << 21;
            let is_empty = |error: OpenError| {
                assert_reason!(error, Reason::NoHugePages { needed: n } if *n == needed, needed, "nr_hugepages");
            };
            is_empty(refused(None, || options.memfd()));
            is_empty(refused(None, || options.anonymous()));
            let options = bytes::Channel::options().capacity_bytes(8).huge_pages(true);
            is_empty(refused(None, || options.memfd()));
            is_empty(refused(None, || options.anonymous()));
        } else {
            skip("huge pages of an empty pool: it is not empty");
        }

        if !root() {
            return skip("huge pages: not root");
        }
        let pool = Pool(kept);
        let wanted = pool.0.trim().parse::<u32>().unwrap() + 8;
        let reserved = fs::write(HUGE, wanted.to_string()).is_ok();
        if !reserved || fs::read_to_string(HUGE).unwrap().trim() != wanted.to_string() {
            return skip("huge pages: none could be reserved");
        }
        for channel in [options.memfd().unwrap(), options.prefault(true).anonymous().unwrap()] {
            assert_eq!((channel.region().page_size(), channel.region().size()), (1 << 21, 3 << 21));
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0..1000 {
                tx.try_send(&i).unwrap();
                assert_eq!(rx.try_recv(), Ok(i));
            }
            if let Some(fd) = channel.region().fd() {
                drop((tx, rx));
                let unasked = Spsc::from_fd(fd.try_clone_to_owned().unwrap()).expect_err("not asked for");
                assert!(matches!(unasked.reason(), Reason::HugePagesUnasked), "{unasked}");
                let again = Spsc::options().huge_pages(true).from_fd(fd.try_clone_to_owned().unwrap()).unwrap();
                again.sender().unwrap().send(&7).unwrap();
                assert_eq!(channel.receiver().unwrap().recv(), Ok(7));
            }
        }
        let options = bytes::Channel::options().capacity_bytes(8).huge_pages(true);
        for channel in [options.memfd().unwrap(), options.anonymous().unwrap()] {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            let record: Vec<u8> = (0..1_500_000u32).map(|i| (i % 251) as u8).collect();
            // The second crosses the end.
            for _ in 0..3 {
                tx.try_send(&record).unwrap();
                assert!(rx.try_recv().unwrap() == record);
            }
        }
        drop(options);
        drop(pool);
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
        // A file in a tmpfs has the same one.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        Spsc::create(&path, 100).unwrap();
        assert_reason!(
            from(&|| file(&path).into()),
            Reason::Unsealed { found: 0 | 1, .. },
            "truncated under its users"
        );

        let pipe = || nix::unistd::pipe().unwrap();
        assert_reason!(from(&|| pipe().0), Reason::NotAFile { .. }, "regular file", "memfd region");
        assert_reason!(from(&|| pipe().1), Reason::NotAFile { .. }, "regular file");
        assert_reason!(from(&|| File::open("/").unwrap().into()), Reason::NotAFile { .. }, "regular file");
        assert_reason!(from(&|| File::open("/dev/null").unwrap().into()), Reason::NotAFile { .. }, "regular file");
        let listener = || listen(&dir.path().join(fastrand::u64(..).to_string())).into();
        assert_reason!(from(&listener), Reason::NotAFile { .. }, "regular file");

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

        // One that may not be written can only be read.
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

fn fd_number(channel: &Spsc) -> i32 {
    channel.region().fd().unwrap().as_raw_fd()
}

/// Checks that a seat is taken by this process, in this generation.
fn assert_taken<T>(claimed: Result<T, ClaimError>, expected: Seat, generation: u64) {
    let error = claimed.err().expect("the seat is taken");
    let me = std::process::id();
    let right = matches!(&error, ClaimError::Taken { seat, pid, generation: found }
        if (*seat, *pid, *found) == (expected, me, generation));
    assert!(right, "{error:?}, expected {expected:?} {me} {generation}");
    let text = error.to_string();
    let says = [me.to_string(), format!("generation {generation}"), expected.to_string()];
    assert!(says.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_taken_seat_names_its_holder() {
    alone(|| {
        let spsc = Spsc::options().capacity(4).anonymous().unwrap();
        let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
        let latest = Latest::options().memfd().unwrap();
        for generation in 1..2000 {
            let (sender, receiver) = (spsc.sender().unwrap(), spsc.receiver().unwrap());
            assert_taken(spsc.sender(), Seat::Sender, generation);
            assert_taken(spsc.clone().receiver(), Seat::Receiver, generation);
            drop((sender, receiver));
        }
        for generation in 1..4 {
            let (sender, receiver) = (bytes.sender().unwrap(), bytes.receiver().unwrap());
            assert_taken(bytes.sender(), Seat::Sender, generation);
            assert_taken(bytes.receiver(), Seat::Receiver, generation);
            drop((sender, receiver));
            let _writer = latest.writer().unwrap();
            assert_taken(latest.writer(), Seat::Sender, generation);
        }
    });
}

#[test]
fn a_read_only_region_has_no_seat_to_take() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latest");
        let latest = Latest::create(&path).unwrap();
        let read_only = Latest::open_read_only(&path).unwrap();
        let memfd = Latest::options().memfd().unwrap();
        let fd = memfd.region().fd().unwrap().try_clone_to_owned().unwrap();
        for channel in [read_only, Latest::options().from_fd_read_only(fd).unwrap()] {
            let error = channel.writer().err().expect("nothing may be stored");
            assert!(matches!(error, ClaimError::ReadOnly), "{error:?}");
            assert!(error.to_string().contains("read-only"));
            assert!(!channel.reader().has_writer());
        }
        latest.writer().unwrap();
    });
}

// What follows is about peers that write whatever they like into the region.

const CORRUPT_HEADS: [u64; 6] = [0, 2, 1_000_000_001, 1 << 62, u64::MAX, u64::MAX / 2];

#[test]
fn a_head_that_cannot_be_is_found_by_the_sender() {
    alone(|| {
        for head in CORRUPT_HEADS {
            let spsc = Spsc::options().capacity(4).memfd().unwrap();
            let raw = Raw::new(spsc.region().fd().unwrap());
            let mut tx = spsc.sender().unwrap();
            raw.head().store(head, Relaxed);
            let corrupt = Corrupt { fault: Fault::Head, found: head, position: 1 };
            assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            // Once found, for ever.
            raw.head().store(1, Relaxed);
            assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            assert_eq!(tx.send(&1), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.try_send_slice(&[1]), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            assert_eq!(tx.send_slice(&[1]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_ref().err(), Some(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_timeout(&1, Duration::MAX), Err(SendTimeoutError::Refused(SendError::Corrupt(corrupt))));
            let text = SendError::Corrupt(corrupt).to_string();
            assert!(text.contains(&format!("{head:#x}")) && text.contains("position 1"), "{text}");
            // The region is as good as before, for an endpoint that has not seen it otherwise.
            drop(tx);
            spsc.sender().unwrap().try_send(&1).unwrap();

            let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
            let raw = Raw::new(bytes.region().fd().unwrap());
            let mut tx = bytes.sender().unwrap();
            raw.head().store(head, Relaxed);
            assert_eq!(tx.try_send(b"a"), Err(TrySendError::Refused(SendError::Corrupt(corrupt))));
            raw.head().store(1, Relaxed);
            assert_eq!(tx.send(b"a"), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send(&[0; 5000]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_slice(&[b"a"]), Err(SendError::Corrupt(corrupt)));
            assert_eq!(tx.send_ref(1).err(), Some(SendError::Corrupt(corrupt)));
        }
    });
}

#[test]
fn a_head_that_cannot_be_is_found_by_who_takes_a_seat() {
    alone(|| {
        let spsc = Spsc::options().capacity(4).memfd().unwrap();
        let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
        for head in [0, 1 << 62, u64::MAX] {
            let corrupt = Corrupt { fault: Fault::Head, found: head, position: 0 };
            Raw::new(spsc.region().fd().unwrap()).head().store(head, Relaxed);
            Raw::new(bytes.region().fd().unwrap()).head().store(head, Relaxed);
            for error in [
                spsc.sender().err().unwrap(),
                spsc.receiver().err().unwrap(),
                bytes.sender().err().unwrap(),
                bytes.receiver().err().unwrap(),
            ] {
                assert!(matches!(error, ClaimError::Corrupt(c) if c == corrupt), "{error:?}");
                assert!(error.to_string().contains(&format!("{head:#x}")));
            }
        }
        // The seats were given back, and nothing beyond was harmed.
        Raw::new(spsc.region().fd().unwrap()).head().store(1, Relaxed);
        spsc.sender().unwrap().send(&5).unwrap();
        assert_eq!(spsc.receiver().unwrap().recv(), Ok(5));
    });
}

#[test]
fn a_stamp_that_cannot_be_is_found_by_the_receiver() {
    alone(|| {
        for stamp in [1, 3, 1 << 40, u64::MAX] {
            let channel = Spsc::options().capacity(4).memfd().unwrap();
            let raw = Raw::new(channel.region().fd().unwrap());
            let mut rx = channel.receiver().unwrap();
            raw.data(1).store(stamp, Relaxed);
            let corrupt = Corrupt { fault: Fault::Stamp, found: stamp, position: 1 };
            let error = TryRecvError::Refused(RecvError::Corrupt(corrupt));
            assert_eq!(rx.try_recv(), Err(error));
            // Once found, for ever: also when the word is as expected, or as a peer may choose it.
            for later in [2, 0, 1, u64::MAX] {
                raw.data(1).store(later, Relaxed);
                assert_eq!(rx.try_recv(), Err(error), "after a stamp of {later}");
                assert_eq!(rx.try_recv_ref().err(), Some(error), "after a stamp of {later}");
                assert_eq!(rx.try_recv_slice(&mut [0]), Err(error));
                assert_eq!(rx.recv(), Err(RecvError::Corrupt(corrupt)));
                let in_time = rx.recv_timeout(Duration::MAX);
                assert_eq!(in_time, Err(RecvTimeoutError::Refused(RecvError::Corrupt(corrupt))));
                assert_eq!(rx.iter().next(), None);
            }
            assert_eq!(raw.head().load(Relaxed), 1, "nothing was consumed");
        }
    });
}

#[test]
fn a_record_header_that_cannot_be_is_found() {
    alone(|| {
        let most = 4096 - 16;
        let tag = |pos: u64| pos << 30;
        // Another position's, no length, a longer one than fits, the longest there can be, garbage.
        let wrong = [
            tag(2) | 2,
            1 << 63 | tag(2) | 2,
            tag(1),
            tag(1) | (most + 2),
            tag(1) | 0x3FFF_FFFF,
            1,
            u64::MAX,
            tag(0) | 5,
        ];
        for header in wrong {
            let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
            let raw = Raw::new(channel.region().fd().unwrap());
            let mut rx = channel.receiver().unwrap();
            raw.data(0).store(header, Relaxed);
            assert_eq!((rx.len(), rx.is_empty()), (0, true));
            let corrupt = Corrupt { fault: Fault::RecordHeader, found: header, position: 1 };
            let error = TryRecvError::Refused(RecvError::Corrupt(corrupt));
            assert_eq!(rx.try_recv(), Err(error));
            for later in [tag(1) | 2, 0, tag(0) | 1, 1, u64::MAX] {
                raw.data(0).store(later, Relaxed);
                assert_eq!(rx.try_recv(), Err(error), "after {later:#x}");
                assert_eq!(rx.try_recv_ref().err(), Some(error));
                assert_eq!(rx.try_recv_into(&mut [0; 8]), Err(error));
                assert_eq!(rx.try_recv_slice(&mut [0; 8], &mut [0]), Err(error));
                assert_eq!(rx.recv(), Err(RecvError::Corrupt(corrupt)));
            }
            raw.data(0).store(header, Relaxed);
            let claimed = channel.sender().err().unwrap();
            let right = matches!(claimed, ClaimError::Corrupt(Corrupt { fault: Fault::RecordHeader, found, .. })
                if found == header);
            assert!(right, "{claimed:?}");
        }
        // A length that fits, behind which there is garbage.
        let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        let mut rx = channel.receiver().unwrap();
        raw.data(0).store(tag(1) | (most + 1), Relaxed);
        assert_eq!(rx.try_recv().unwrap().len(), most as usize);
        raw.data(511).store(7, Relaxed);
        let corrupt = Corrupt { fault: Fault::RecordHeader, found: 7, position: 512 };
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Corrupt(corrupt))));
    });
}

#[test]
fn a_version_that_cannot_be_is_found() {
    alone(|| {
        let channel = Latest::options().memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        let mut reader = channel.reader();
        let mut writer = channel.writer().unwrap();
        writer.write(&[1; 4]).unwrap();
        for version in [u64::MAX, 1 << 62, u64::MAX / 2] {
            raw.latest().store(version, Relaxed);
            let error = reader.read().expect_err("no version is so large");
            let right = |corrupt: &Corrupt| corrupt.fault == Fault::Version && corrupt.found == version;
            assert!(matches!(&error, ReadError::Corrupt(corrupt) if right(corrupt)), "{error:?}");
            assert!(error.to_string().contains(&format!("{version:#x}")), "{error}");
            let changed = reader.changed_timeout(Duration::from_millis(1));
            let right = match &changed {
                Ok(()) => true,
                Err(ChangedError::Corrupt(corrupt)) => right(corrupt),
                Err(_) => false,
            };
            assert!(right, "{changed:?}");
        }
        drop(writer);
        let error = channel.writer().err().unwrap();
        assert!(matches!(error, ClaimError::Corrupt(Corrupt { fault: Fault::Version, .. })), "{error:?}");
        // A version whose cell holds another: never believed, and not for ever looked at.
        raw.latest().store(2, Relaxed);
        let error = reader.read().expect_err("no such version was written");
        assert!(matches!(error, ReadError::Overtaken { .. } | ReadError::Corrupt(_)), "{error:?}");
        raw.latest().store(1, Relaxed);
        assert_eq!(reader.read(), Ok([1; 4]));
    });
}

#[test]
fn seat_words_that_cannot_be() {
    alone(|| {
        let channel = Spsc::options().capacity(4).memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        // Generations that contradict: 5 << 56 against 0.
        for pid in [0, 1, 4_194_303] {
            raw.holder(0).store(5 << 56 | pid, Relaxed);
            let error = channel.sender().err().unwrap();
            let right =
                matches!(error, ClaimError::CorruptSeat { seat: Seat::Sender, found } if found == 5 << 56 | pid);
            assert!(right, "{error:?}");
            assert!(error.to_string().contains(&format!("{:#x}", 5 << 56 | pid)));
            assert!(!channel.receiver().unwrap().is_closed());
        }
        raw.holder(0).store(0, Relaxed);
        drop(channel.sender().unwrap());

        // The largest count there is, which agrees with the holder's word: no room for one more.
        for (holder, generation) in [(0, u64::MAX), (u64::MAX << 56, u64::MAX), (u64::MAX << 56, u64::MAX - 1)] {
            raw.holder(1).store(holder, Relaxed);
            raw.generation(1).store(generation, Relaxed);
            for _ in 0..3 {
                match channel.receiver() {
                    Ok(_) | Err(ClaimError::CorruptSeat { seat: Seat::Receiver, .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
}
