//! Limits of the process and of the machine.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, chown, setuid};
use ringway::{ClaimError, OpenError, Reason, bytes};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::common::huge_pages::{Enlarged, in_pool};
use crate::common::say::skip;
use crate::common::users::{NOBODY, by_descriptor, root};
use crate::refusal::{Spsc, assert_reason, good, refused};

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
            // The failed attempt gave back what it took: all the memory is still there.
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
        // A region of 100 slots takes three pages.
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
        // This is the lowest number that is free.
        let open = File::open("/").unwrap().as_raw_fd() as u64;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Looking at descriptors takes one, so this comes before the limit is reached.
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
        // The failed claim took no seat.
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

#[test]
fn huge_pages_of_an_empty_pool_and_of_a_full_one() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let options = Spsc::options().capacity(100).huge_pages(true);
        let error = refused(Some(dir.path()), || options.create(dir.path().join("region")));
        assert_reason!(error, Reason::HugePagesUnsupported, "hugetlbfs");

        let Some(had) = in_pool() else { return skip("huge pages: the kernel has none") };
        if had == 0 {
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

        let pool = match Enlarged::by(8) {
            Ok(pool) => pool,
            Err(why) => return skip(&format!("huge pages: {why}")),
        };
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
            // The second record crosses the end.
            for _ in 0..3 {
                tx.try_send(&record).unwrap();
                assert!(rx.try_recv().unwrap() == record);
            }
        }
        drop(options);
        drop(pool);
    });
}
