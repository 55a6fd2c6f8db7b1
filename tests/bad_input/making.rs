//! Files that cannot be made, and processes that make one at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;

use nix::unistd::{Gid, Uid, chown, setgid, setuid};
use ringway::{OpenError, Reason, bytes};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::say::skip;
use crate::common::users::{NOBODY, by_descriptor, root};
use crate::refusal::{Latest, Spsc, assert_reason, good, refused};

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
        // The error is not `Missing`: the text of that says to create the file.
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

/// A process that has given up root can still make and open regions.
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

const RACES: usize = 1000;

/// Two threads start each race together. Each race has a path of its own.
fn race<T: Send>(dir: &Path, attempt: impl Fn(&Path) -> T + Sync, judge: impl Fn(usize, T, T) + Sync) {
    let start = Barrier::new(2);
    let run = |first: bool, results: std::sync::mpsc::SyncSender<(bool, T)>| {
        for race in 0..RACES {
            start.wait();
            let _ = results.send((first, attempt(&dir.join(race.to_string()))));
        }
    };
    std::thread::scope(|scope| {
        // Only a few results wait to be judged, because each holds a descriptor.
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
