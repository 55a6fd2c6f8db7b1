//! The advice in errors can be followed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use nix::unistd::{Uid, setuid};
use ringway::{ClaimError, Reason, Report, bytes, in_use, remove_unused, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::say::skip;
use crate::common::stopper::Stopper;
use crate::common::users::{by_descriptor, root};

type Spsc = spsc::Channel<u64>;
const OTHER: u32 = 12345;

#[test]
fn another_users_region_can_be_looked_at_and_removed_as_the_error_says() {
    alone(|| {
        if !root() {
            return skip("another user's file: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        Spsc::create(&path, 8).unwrap().sender().unwrap().send(&7).unwrap();
        chown(&path, Some(OTHER), None).unwrap();
        assert_eq!(in_use(&path).ok(), Some(false));
        assert_eq!(Report::options().owner(OTHER).in_use(&path).ok(), Some(false));
        for report in [Report::open(&path).unwrap(), Report::options().owner(OTHER).open(&path).unwrap()] {
            assert!(report.to_string().contains("1 message waits"), "{report}");
        }
        assert!(matches!(Report::options().owner(1).open(&path).unwrap_err().reason(), Reason::Owner { .. }));
        assert_eq!(Spsc::options().open_snapshot(&path).unwrap().receiver().unwrap().try_recv(), Ok(7));
        let error = remove_unused(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("options().owner({OTHER})")), "{error}");
        Report::options().owner(OTHER).remove_unused(&path).unwrap();
        assert!(!path.exists());
    });
}

/// A region is in use. Its user is one whom the process that looks does not trust.
#[test]
fn another_users_region_in_use_can_be_looked_at() {
    alone(|| {
        if !root() {
            return skip("another user's file: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let channel = bytes::Channel::create(&path, 4096).unwrap();
        chown(&path, Some(OTHER), None).unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stopper = Stopper(&stop);
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    tx.send(&[1; 24]).unwrap();
                    rx.recv().unwrap();
                }
            });
            for _ in 0..100 {
                let report = Report::open(&path).unwrap();
                assert!(report.to_string().contains(&format!("process {}", std::process::id())), "{report}");
            }
            drop(stopper);
        });
    });
}

#[test]
fn what_open_or_create_makes_for_another_owner_it_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = Spsc::options().capacity(8).owner(OTHER);
    let first = options.open_or_create(&path).unwrap();
    let second = options.open_or_create(&path).unwrap();
    assert_eq!(first.region().id(), second.region().id());
}

#[test]
fn a_file_that_may_not_be_opened_names_its_mode() {
    alone(|| {
        if !root() {
            return skip("another user: not root");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let _channel = Spsc::create(dir.path().join("region"), 8).unwrap();
        // Another user may not enter the directory for temporary files.
        let (_open, reachable) = by_descriptor(dir.path());
        let path = reachable.join("region");
        let child = fork("child", || {
            setuid(Uid::from_raw(OTHER)).unwrap();
            let error = Spsc::options().owner(0).open(&path).unwrap_err();
            let reason = error.reason();
            assert!(matches!(reason, Reason::Permission { found: Some((0o600, 0)), writing: true }), "{reason:?}");
            let text = error.to_string();
            assert!(["0600", "user 0", "mode("].iter().all(|word| text.contains(word)), "{text}");
        });
        child.succeed();
    });
}

#[test]
fn errors_name_the_call_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let says = |text: String, words: &[&str]| {
        assert!(words.iter().all(|word| text.contains(word)), "{text:?} does not say all of {words:?}");
    };
    let error = |result: Result<Spsc, ringway::OpenError>| result.unwrap_err().to_string();
    says(error(Spsc::options().create(&path)), &["capacity of 0", "capacity(slots)"]);
    says(error(Spsc::options().capacity(0).create(&path)), &["capacity of 0", "capacity(slots)"]);
    let none = bytes::Channel::options().create(&path).unwrap_err().to_string();
    says(none, &["capacity_bytes(bytes)"]);

    Spsc::create(&path, 8).unwrap();
    let other = spsc::Channel::<[u8; 8]>::open(&path).unwrap_err().to_string();
    says(other, &["u64", "[u8; 8]", "type_name", "older", "recreate"]);
    let mut contents = fs::read(&path).unwrap();
    contents[12] = 3;
    fs::write(&path, &contents).unwrap();
    says(error(Spsc::open(&path)), &["version 3", "expected 5", "recreate"]);

    // A file that is not ours must never be removed.
    for foreign in [&b"sixteen bytes..."[..], &[0; 5000], b""] {
        fs::write(&path, foreign).unwrap();
        for text in [error(Spsc::open(&path)), Report::open(&path).unwrap_err().to_string()] {
            assert!(!text.contains("remove") && text.contains("use another path"), "{text}");
        }
        remove_unused(&path).unwrap_err();
        Spsc::options().capacity(8).recreate(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), foreign);
    }
}

#[test]
fn a_seat_that_this_process_has_says_so() {
    alone(|| {
        let channel = seqlock::Channel::<u64>::options().memfd().unwrap();
        let writer = channel.writer().unwrap();
        let Err(error) = channel.writer() else { panic!("the seat is taken") };
        assert!(matches!(error, ClaimError::Taken { pid, .. } if pid == std::process::id()));
        assert!(error.to_string().contains("this very process"), "{error}");
        let child = fork("child", || {
            let Err(error) = channel.writer() else { panic!("the seat is taken") };
            assert!(!error.to_string().contains("this very process"), "{error}");
        });
        child.succeed();
        drop(writer);
    });
}
