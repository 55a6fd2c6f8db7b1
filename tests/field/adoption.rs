//! Copies that are made regions of their own, in their place.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use ringway::{FileState, OpenError, Reason, TryRecvError, bytes};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::header;
use crate::common::mounts::mounted;
use crate::common::say::skip;
use crate::common::users::by_descriptor;
use crate::copies::{Latest, Spsc, cp};

#[test]
fn an_adopted_copy_keeps_its_mode_and_goes_on_where_its_original_was() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = bytes::Channel::options().capacity_bytes(4096).mode(0o640).create(&live).unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    for n in 0..100u8 {
        tx.send(&[n; 40]).unwrap();
        if n < 90 {
            rx.recv().unwrap();
        }
    }
    cp(&live, &copy);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o640)).unwrap();
    let adopted = bytes::Channel::options().adopt(&copy).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing lies beside it");
    // The next one that adopts the copy opens it.
    let other = bytes::Channel::options().adopt(&copy).unwrap();
    assert_eq!(other.region().id(), adopted.region().id());
    let (mut tx, mut rx) = (adopted.sender().unwrap(), other.receiver().unwrap());
    tx.send(&[100; 40]).unwrap();
    for n in 90..=100u8 {
        assert_eq!(rx.recv().unwrap(), [n; 40]);
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(adopted.region().file_state(), FileState::Named);
}

#[test]
fn of_many_who_adopt_a_copy_one_makes_the_region() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let _live = Spsc::create(&live, 8).unwrap();
    for _ in 0..30 {
        cp(&live, &copy);
        let adopt = || Spsc::options().adopt(&copy).unwrap().region().id();
        let ids: Vec<u128> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(adopt)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::remove_file(&copy).unwrap();
    }
}

/// Each of them needs room for the region before it can know that another was faster.
#[test]
fn many_come_at_once_where_there_is_room_for_one_region() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let mounted = crate::common::mounts::private_mounts().and_then(|()| mounted("tmpfs", dir.path(), "size=7m"));
        let _mounted = match mounted {
            Ok(mounted) => mounted,
            Err(errno) => return skip(&format!("tmpfs: {errno}")),
        };
        let (path, copy) = (dir.path().join("region"), dir.path().join("copy"));
        let options = bytes::Channel::options().capacity_bytes(2 << 20);
        let at_once = |make: &(dyn Fn() -> Result<bytes::Channel, OpenError> + Sync)| {
            let ids: Vec<u128> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| make().unwrap().region().id())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        };
        for _ in 0..5 {
            at_once(&|| options.open_or_create(&path));
            cp(&path, &copy);
            at_once(&|| options.adopt(&copy));
            fs::remove_file(&path).unwrap();
            fs::remove_file(&copy).unwrap();
        }
    });
}

/// Root restored a backup and gave it to its user, but not to the user's group.
#[test]
fn a_copy_is_adopted_by_its_owner_who_is_not_in_its_group() {
    alone(|| {
        if !crate::common::users::root() {
            return skip("another user: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
        let _live = Spsc::create(&live, 8).unwrap();
        cp(&live, &copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o660)).unwrap();
        std::os::unix::fs::chown(&copy, Some(12345), None).unwrap();
        let (_open, reachable) = by_descriptor(dir.path());
        let child = fork("child", || {
            nix::unistd::setgid(nix::unistd::Gid::from_raw(12345)).unwrap();
            nix::unistd::setuid(nix::unistd::Uid::from_raw(12345)).unwrap();
            Spsc::options().adopt(reachable.join("copy")).unwrap();
        });
        child.succeed();
        let there = fs::metadata(&copy).unwrap();
        assert_eq!((there.uid(), there.gid(), there.mode() & 0o777), (12345, 12345, 0o600));
    });
}

/// What cannot be adopted stays as it is.
#[test]
fn a_copy_that_cannot_be_adopted_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let _live = Spsc::create(&live, 8).unwrap();
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // The head is at a position that cannot be.
    let start = fs::read(&copy).unwrap();
    let [line, lane] = [header::PADDING, header::LANES_OFFSET].map(|at| header::number(&start, at));
    file.write_all_at(&u64::MAX.to_ne_bytes(), lane + line).unwrap();
    let before = fs::read(&copy).unwrap();
    assert!(matches!(Spsc::options().adopt(&copy).unwrap_err().reason(), Reason::Corrupt(_)));
    assert!(matches!(Spsc::options().capacity(9).adopt(&copy).unwrap_err().reason(), Reason::OtherCapacity { .. }));
    assert!(matches!(Latest::options().adopt(&copy).unwrap_err().reason(), Reason::Kind { .. }));
    assert!(fs::read(&copy).unwrap() == before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
