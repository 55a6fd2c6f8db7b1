//! What a region says of itself: in use, and after those who used it have died.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, thread};

use ringway::zerocopy::IntoBytes;
use ringway::{Content, Holder, Memory, OpenError, Reason, Report, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::{Child, fork};
use crate::common::header;

/// A child that does its work, and then stays until it is killed.
fn stays(work: impl FnOnce()) -> Child {
    fork("child", || {
        work();
        loop {
            thread::park();
        }
    })
}

fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// All of the file except its permissions and times.
fn content(path: &std::path::Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn a_region_left_by_two_dead_processes_explains_itself() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs");
        drop(spsc::Channel::<[u64; 3]>::create(&path, 8).unwrap());
        let sender = stays(|| {
            let mut tx = spsc::Channel::<[u64; 3]>::open(&path).unwrap().sender().unwrap();
            (1..=5).for_each(|n| tx.send(&[n, n, n]).unwrap());
            std::mem::forget(tx);
        });
        let receiver = stays(|| {
            let mut rx = spsc::Channel::<[u64; 3]>::open(&path).unwrap().receiver().unwrap();
            assert_eq!(rx.recv(), Ok([1, 1, 1]));
            std::mem::forget(rx.recv_ref().unwrap());
            std::mem::forget(rx);
        });
        let seen = || Report::open(&path).unwrap();
        until(|| matches!(seen().content, Content::Messages { head: 2, end: 6, lent: true, .. }));
        let alive = seen();
        assert_eq!(alive.in_use, Some(true));
        assert!(alive.seats.iter().all(|seat| matches!(seat.holder, Holder::Alive { .. }) && seat.generation == 1));
        sender.kill();
        receiver.kill();

        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let before = content(&path);
        let report = seen();
        assert_eq!((report.kind, report.capacity, report.in_use), ("spsc", 8, Some(false)));
        assert_eq!((report.carries.size, report.carries.name.as_str()), (24, "[u64; 3]"));
        assert!(report.seats.iter().all(|seat| matches!(seat.holder, Holder::Dead { .. }) && seat.generation == 1));
        assert_eq!(report.content, Content::Messages { head: 2, end: 6, count: 4, reported: 0, lent: true });
        let text = report.to_string();
        for part in
            ["spsc channel of [u64; 3]", "nobody is attached", "died in it", "4 messages wait, positions 2 up to 6"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        let snapshot = spsc::Channel::<[u64; 3]>::options().open_snapshot(&path).unwrap();
        let mut rx = snapshot.receiver().unwrap();
        (2..=5).for_each(|n| assert_eq!(rx.try_recv(), Ok([n, n, n])));
        assert_eq!(content(&path), before, "who explains changes nothing");
    });
}

#[test]
fn every_kind_explains_itself() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        let records = bytes::Channel::create(path("records"), 4096).unwrap();
        let mut tx = records.sender().unwrap();
        let fresh = Report::open(path("records")).unwrap();
        assert_eq!(fresh.content, Content::Messages { head: 1, end: 1, count: 0, reported: 0, lent: false });
        assert_eq!(fresh.seats[0].holder, Holder::Alive { pid: std::process::id() });
        assert_eq!((fresh.seats[1].holder, fresh.seats[1].generation), (Holder::Nobody, 0));
        assert!(fresh.to_string().contains("receiver's seat was never taken"), "{fresh}");
        tx.send(&[7; 20]).unwrap();
        tx.send(&[]).unwrap();
        drop(tx);
        let report = Report::open(path("records")).unwrap();
        assert_eq!(report.content, Content::Messages { head: 1, end: 6, count: 2, reported: 0, lent: false });
        assert_eq!((report.kind, report.capacity), ("bytes", 4096));
        assert_eq!((report.seats[0].holder, report.seats[0].generation), (Holder::Nobody, 1));
        assert!(report.to_string().contains("generation 1 left"), "{report}");

        let state = seqlock::Channel::<u32>::create(path("state")).unwrap();
        assert_eq!(Report::open(path("state")).unwrap().content, Content::Value { version: 0 });
        let mut writer = state.writer().unwrap();
        (1..=3).for_each(|n| writer.write(&n).unwrap());
        let report = Report::open(path("state")).unwrap();
        assert_eq!((report.content, report.seats.len()), (Content::Value { version: 3 }, 1));
    });
}

#[test]
fn what_is_no_region_is_refused_and_garbage_is_called_so() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let refused = |result: Result<Report, OpenError>| result.expect_err("no region");
        assert!(matches!(refused(Report::open(&path)).reason(), Reason::Missing));
        fs::write(&path, [7; 9000]).unwrap();
        assert!(matches!(refused(Report::open(&path)).reason(), Reason::NotARegion { .. }));
        fs::remove_file(&path).unwrap();
        drop(spsc::Channel::<u64>::create(&path, 8).unwrap());
        let good = content(&path);
        for offset in (0..good.len()).step_by(8) {
            let mut bad = good.clone();
            bad[offset..offset + 8].copy_from_slice((u64::MAX / 3).as_bytes());
            fs::write(&path, &bad).unwrap();
            // The report may say anything of this, as long as it says it.
            let _ = Report::open(&path).map(|report| report.to_string());
        }
        let mut forged = good.clone();
        forged[20..24].copy_from_slice(&9u32.to_ne_bytes());
        header::seal(&mut forged);
        fs::write(&path, &forged).unwrap();
        assert!(matches!(refused(Report::open(&path)).reason(), Reason::Field { field: "kind", found: 9, .. }));
        let head = (header::number(&good, header::LANES_OFFSET) + header::number(&good, header::PADDING)) as usize;
        let mut garbage = good.clone();
        garbage[head..head + 8].copy_from_slice(&u64::MAX.to_ne_bytes());
        fs::write(&path, &garbage).unwrap();
        let report = Report::open(&path).unwrap();
        assert!(matches!(report.content, Content::Corrupt(_)), "{report}");
    });
}

#[test]
fn who_leaves_while_it_is_asked_after_is_not_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = spsc::Channel::<u64>::create(&path, 4).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Relaxed) {
                drop(channel.sender().unwrap());
            }
        });
        let dead = (0..4000).find_map(|_| match Report::open(&path).unwrap().seats[0].holder {
            Holder::Dead { pid } => Some(pid),
            _ => None,
        });
        done.store(true, Relaxed);
        assert_eq!(dead, None, "this process is {}", std::process::id());
    });
}

#[test]
fn a_report_says_what_holds_the_memory() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs");
        let file = spsc::Channel::<u64>::create(&path, 8).unwrap();
        let memfd = spsc::Channel::<u64>::options().capacity(8).memfd().unwrap();
        let behind_proc = |channel: &spsc::Channel<u64>| {
            Report::open(format!("/proc/self/fd/{}", channel.region().fd().unwrap().as_raw_fd())).unwrap()
        };
        let named = Report::open(&path).unwrap();
        assert!(named.memory == Memory::File && !named.to_string().contains("memfd"), "{named}");
        assert_eq!(behind_proc(&memfd).memory, Memory::Memfd);
        assert!(behind_proc(&memfd).to_string().contains("in a memfd\n"));
        file.region().unlink().unwrap();
        assert_eq!(behind_proc(&file).memory, Memory::File);
    });
}
