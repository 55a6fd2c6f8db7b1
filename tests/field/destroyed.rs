//! Nothing is destroyed before everything that can fail has been done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringway::{ClaimError, KillError, Reason, Wait, bytes, in_use, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::footprint::Footprint;
use crate::common::users::{NOBODY, by_descriptor, root};

type Spsc = spsc::Channel<u64>;

/// A region in which the message 7 waits.
fn region(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("region");
    Spsc::create(&path, 8).unwrap().sender().unwrap().send(&7).unwrap();
    path
}

fn is_as_it_was(path: &Path) {
    assert!(!in_use(path).unwrap());
    let snapshot = Spsc::options().open_snapshot(path).unwrap();
    assert_eq!(snapshot.receiver().unwrap().try_recv(), Ok(7));
}

#[test]
fn a_region_that_cannot_be_recreated_stays() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = region(dir.path());
        let refused = |reason: Option<ringway::OpenError>, text: &str| {
            let error = reason.expect(text).to_string();
            assert!(error.contains(text), "{error}");
            is_as_it_was(&path);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{error}");
        };
        let long = "x".repeat(65);
        for _ in 0..2 {
            let before = Footprint::now(Some(dir.path()));
            refused(Spsc::options().recreate(&path).err(), "capacity(");
            refused(Spsc::options().capacity(0).recreate(&path).err(), "capacity(");
            refused(Spsc::options().capacity(u64::MAX).recreate(&path).err(), "capacity(");
            refused(Spsc::options().capacity(8).type_name(&long).recreate(&path).err(), "type_name");
            refused(Spsc::options().capacity(8).type_name("a\0b").recreate(&path).err(), "NUL");
            refused(Spsc::options().capacity(8).huge_pages(true).recreate(&path).err(), "huge pages");
            refused(bytes::Channel::options().capacity_bytes(7).recreate(&path).err(), "capacity_bytes(");
            assert_eq!(before, Footprint::now(Some(dir.path())));
        }
        // The size does not fit the file system, or the limit on files.
        refused(Spsc::options().capacity(1 << 50).recreate(&path).err(), "");
        let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 1 << 16, hard).unwrap();
        refused(Spsc::options().capacity(1 << 20).recreate(&path).err(), "RLIMIT_FSIZE");
        setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
        refused(seqlock::Channel::<[u8; 1 << 20]>::options().type_name(&long).recreate(&path).err(), "type_name");
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 4, hard).unwrap();
        let error = Spsc::options().capacity(8).recreate(&path).err();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        refused(error, "RLIMIT_NOFILE");
        // After that it can be made anew.
        let anew = Spsc::options().capacity(9).recreate(&path).unwrap();
        assert_eq!(anew.capacity(), 9);
        assert!(anew.receiver().unwrap().try_recv().is_err());
    });
}

#[test]
fn a_region_in_use_is_not_recreated_and_nothing_lies_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = region(dir.path());
    let user = Spsc::open(&path).unwrap();
    let error = Spsc::options().capacity(8).recreate(&path).unwrap_err();
    assert!(matches!(error.reason(), Reason::InUse), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(user.receiver().unwrap().try_recv(), Ok(7));
}

#[test]
fn a_region_in_a_directory_that_may_not_be_written_stays() {
    alone(|| {
        if !root() {
            return crate::common::say::skip("another user: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (_open, reachable) = by_descriptor(dir.path());
        std::os::unix::fs::chown(region(dir.path()), Some(65534), None).unwrap();
        let path = reachable.join("region");
        let child = fork("child", || {
            nix::unistd::setuid(nix::unistd::Uid::from_raw(NOBODY)).unwrap();
            Spsc::options().capacity(8).recreate(&path).unwrap_err();
            is_as_it_was(&path);
        });
        child.succeed();
    });
}

/// The claim that would follow cannot be made, so nobody is ended for it.
#[test]
fn a_holder_is_not_evicted_for_a_seat_that_cannot_be_taken() {
    alone(|| {
        let channel = Spsc::options().capacity(8).memfd().unwrap();
        let mut rx = channel.receiver().unwrap();
        rx.set_wait(Wait::Sleep);
        let child = fork("child", || {
            let mut tx = channel.sender().unwrap();
            tx.send(&1).unwrap();
            loop {
                std::thread::park();
            }
        });
        assert_eq!(rx.recv(), Ok(1));
        // There is no memory for the new holder's own page.
        let (soft, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
        setrlimit(Resource::RLIMIT_AS, 1 << 20, hard).unwrap();
        let killed = channel.kill_and_take_sender(Duration::from_secs(60)).map(drop);
        setrlimit(Resource::RLIMIT_AS, soft, hard).unwrap();
        let error = killed.unwrap_err();
        assert!(matches!(error, KillError::Claim(ClaimError::Os(_))), "{error:?}");
        assert!(rx.has_sender(), "the holder was ended for nothing");
        let tx = channel.kill_and_take_sender(Duration::from_secs(60)).unwrap();
        assert_eq!(tx.generation(), 2);
        child.killed_by(nix::sys::signal::Signal::SIGKILL);
    });
}
