//! Two inodes behind one path, and a path whose meaning changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ringway::{
    ChangedError, FileState, Reason, RecvError, RecvTimeoutError, Report, SendError, SendTimeoutError, Wait, bytes,
    seqlock, spsc,
};

use crate::common::alone::alone;
use crate::common::child::fork;
use crate::common::mounts::overlay;
use crate::common::say::skip;
use crate::common::stopper::Stopper;

type Spsc = spsc::Channel<u64>;
type Latest = seqlock::Channel<[u64; 4]>;

const WAITS: [Wait; 3] = [Wait::Spin, Wait::SpinThenSleep(Duration::from_micros(50)), Wait::Sleep];

#[test]
fn a_waiter_on_a_removed_file_gets_an_error_where_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    for wait in WAITS {
        for replaced in [false, true] {
            let options = Spsc::options().capacity(1).watch_file(true);
            let channel = options.create(&path).unwrap();
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            tx.set_wait(wait);
            rx.set_wait(wait);
            assert_eq!(channel.region().file_state(), FileState::Named);
            assert_eq!(rx.recv_timeout(Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
            fs::remove_file(&path).unwrap();
            let other = replaced.then(|| Spsc::create(&path, 1).unwrap());
            let expected = if replaced { FileState::Replaced } else { FileState::Removed };
            assert_eq!(channel.region().file_state(), expected);
            assert!(expected.is_lost());
            assert_eq!(rx.recv(), Err(RecvError::FileLost));
            assert!(RecvError::FileLost.to_string().contains("open_or_create"));
            // The messages that are there are taken all the same.
            tx.send(&1).unwrap();
            assert_eq!(tx.send(&2), Err(SendError::FileLost));
            let late = tx.send_timeout(&2, Duration::from_secs(60));
            assert_eq!(late, Err(SendTimeoutError::Refused(SendError::FileLost)));
            assert_eq!(rx.recv(), Ok(1));
            drop(other);
            let _ = fs::remove_file(&path);
        }
    }
}

#[test]
fn records_and_values_are_watched_too() {
    let dir = tempfile::tempdir().unwrap();
    let (records, latest) = (dir.path().join("records"), dir.path().join("latest"));
    let records_channel = bytes::Channel::options().capacity_bytes(4096).watch_file(true).create(&records).unwrap();
    let mut rx = records_channel.receiver().unwrap();
    let latest_channel = Latest::options().watch_file(true).create(&latest).unwrap();
    let mut read_only = Latest::options().watch_file(true).open_read_only(&latest).unwrap().reader();
    let mut reader = latest_channel.reader();
    fs::remove_file(&records).unwrap();
    fs::remove_file(&latest).unwrap();
    assert_eq!(rx.recv(), Err(RecvError::FileLost));
    assert_eq!(reader.changed(), Err(ChangedError::FileLost));
    assert_eq!(read_only.changed(), Err(ChangedError::FileLost));
    latest_channel.writer().unwrap().write(&[1; 4]).unwrap();
    assert_eq!((reader.changed(), read_only.changed()), (Ok(()), Ok(())));
}

#[test]
fn a_name_that_was_removed_on_purpose_is_not_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = Spsc::options().capacity(1).watch_file(true).create(&path).unwrap();
    let other = Spsc::options().watch_file(true).open(&path).unwrap();
    let mut rx = other.receiver().unwrap();
    channel.region().unlink().unwrap();
    assert_eq!(other.region().file_state(), FileState::Unlinked);
    assert_eq!(rx.recv_timeout(Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
    // The name is also kept if another region has it by now.
    let _newer = Spsc::create(&path, 1).unwrap();
    assert_eq!(other.region().file_state(), FileState::Unlinked);
    assert_eq!(rx.recv_timeout(Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
    // The name could not be taken away, so it was not.
    assert!(channel.region().unlink().is_err());
}

/// Two users of a region take its name away at once. One of them does, and both meant it.
#[test]
fn of_two_who_take_a_name_away_on_purpose_neither_makes_it_an_accident() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    for _ in 0..300 {
        let one = Spsc::create(&path, 1).unwrap();
        let other = Spsc::open(&path).unwrap();
        let barrier = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for channel in [&one, &other] {
                scope.spawn(|| {
                    barrier.wait();
                    let _ = channel.region().unlink();
                });
            }
        });
        assert_eq!(
            (one.region().file_state(), other.region().file_state()),
            (FileState::Unlinked, FileState::Unlinked)
        );
    }
}

#[test]
fn a_memfd_behind_proc_is_not_lost() {
    let channel = Latest::options().memfd().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&channel.region().fd().unwrap());
    let path = format!("/proc/self/fd/{fd}");
    let through = Latest::options().watch_file(true).open_read_only(path).unwrap();
    assert_eq!(through.region().file_state(), FileState::Unknown);
    assert_eq!(through.reader().changed_timeout(Duration::from_millis(30)), Err(ChangedError::Timeout));
}

#[test]
fn a_copy_in_the_place_of_the_region_is_reported_with_the_way_on() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("region"), dir.path().join("copy"));
    let options = Spsc::options().capacity(4).watch_file(true);
    let mut rx = options.create(&path).unwrap().receiver().unwrap();
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_eq!(rx.recv(), Err(RecvError::FileLost));
    assert!(RecvError::FileLost.to_string().contains("adopt"));
    let error = options.open_or_create(&path).unwrap_err();
    assert!(matches!(error.reason(), Reason::Copy { .. }), "{error}");
    options.adopt(&path).unwrap().receiver().unwrap();
}

#[test]
fn nothing_is_reported_unless_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = Spsc::create(&path, 1).unwrap();
    let mut rx = channel.receiver().unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(rx.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout));
    assert_eq!(channel.region().file_state(), FileState::Removed);
    assert_eq!(Spsc::options().capacity(1).memfd().unwrap().region().file_state(), FileState::Unknown);
}

/// The recipe of the documentation, with a cleaner that removes the file again and again.
#[test]
fn a_long_running_pair_meets_again() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = dir.path().join("region");
    let options = Spsc::options().capacity(4).watch_file(true);
    let (stop, rounds) = (AtomicBool::new(false), 20);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let mut tx = options.open_or_create(&path).unwrap().sender().unwrap();
            let mut n = 0;
            while !stop.load(Relaxed) {
                n += 1;
                match tx.send_timeout(&n, Duration::from_secs(1)) {
                    Err(SendTimeoutError::Refused(SendError::FileLost)) => {
                        tx = options.open_or_create(&path).unwrap().sender().unwrap();
                    }
                    // A sender that never blocks asks nobody, and need not.
                    Ok(()) if n % 8 == 0 => std::thread::sleep(Duration::from_millis(30)),
                    Ok(()) => {}
                    // The receiver left, and is about to take the seat anew.
                    Err(_) => std::thread::yield_now(),
                }
            }
        });
        let mut rx = options.open_or_create(&path).unwrap().receiver().unwrap();
        for _ in 0..rounds {
            rx.recv().unwrap();
            fs::remove_file(&path).unwrap();
            let end = loop {
                if let Err(end) = rx.recv() {
                    break end;
                }
            };
            assert_eq!(end, RecvError::FileLost);
            rx = options.open_or_create(&path).unwrap().receiver().unwrap();
        }
        drop(stopper);
        // The sender may be waiting at a full ring.
        while rx.recv_timeout(Duration::from_millis(1)).is_ok() {}
        drop(rx);
    });
}

#[test]
fn a_changed_directory_changes_no_path() {
    alone(|| {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::env::set_current_dir(dir.path()).unwrap();
        let channel = Spsc::create("region", 1).unwrap();
        let opened = Spsc::open("./region").unwrap();
        let report = Report::open("region").unwrap();
        std::env::set_current_dir(elsewhere.path()).unwrap();
        let path = channel.region().path().unwrap();
        assert!(path.is_absolute() && opened.region().path() == Some(path));
        assert_eq!(report.place, path.display().to_string());
        assert_eq!(channel.region().file_state(), FileState::Named);
        assert!(opened.sender().is_ok());
        channel.region().unlink().unwrap();
        assert!(!dir.path().join("region").exists());
        let error = Spsc::open("region").unwrap_err();
        assert!(error.place().starts_with(elsewhere.path().to_str().unwrap()), "{error}");
    });
}

/// The first writer of a file in a lower layer gets a copy of it. A process that maps the lower file never sees what is
/// written there.
#[test]
fn a_region_in_a_lower_layer_is_not_split() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let place = match overlay(dir.path()) {
            Ok(overlay) => overlay,
            Err(errno) => return skip(&format!("overlayfs: {errno}")),
        };
        let lower = Latest::create(place.lower.join("latest")).unwrap();
        let mut writer = lower.writer().unwrap();
        writer.write(&[1; 4]).unwrap();
        fs::set_permissions(place.lower.join("latest"), fs::Permissions::from_mode(0o644)).unwrap();
        let merged = place.merged.join("latest");
        let read_only = Latest::options().watch_file(true).open_read_only(&merged);
        let error = Latest::open(&merged).unwrap_err();
        assert!(matches!(error.reason(), Reason::Copy { .. }), "{error}");
        if let Ok(read_only) = read_only {
            // The lower file is the region. The path leads to the copy now.
            let mut reader = read_only.reader();
            assert_eq!(reader.read(), Ok([1; 4]));
            assert_eq!(read_only.region().file_state(), FileState::Replaced);
            assert_eq!(reader.changed(), Err(ChangedError::FileLost));
        }
        let adopted = Latest::options().adopt(&merged).unwrap();
        let mut reader = Latest::open_read_only(&merged).unwrap().reader();
        adopted.writer().unwrap().write(&[2; 4]).unwrap();
        assert_eq!(reader.read(), Ok([2; 4]));
        let child = fork("child", || assert_eq!(lower.reader().read(), Ok([1; 4])));
        child.succeed();
    });
}
