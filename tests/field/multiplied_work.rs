//! Work that a hostile peer would multiply. What it does costs others a bounded time. `src/steps.rs` counts how often
//! each call looks at shared memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use std::{fs, thread};

use nix::libc;
use ringway::{Content, Fault, ReadError, Report, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::raw::Raw;

/// A bit of a wait word: somebody sleeps.
const ASLEEP: u32 = 1;

fn futex(address: usize, operation: i32, value: u32) -> i64 {
    let none = std::ptr::null::<libc::timespec>();
    // SAFETY: the kernel reads the word at the address, or uses that alone.
    unsafe { libc::syscall(libc::SYS_futex, address, operation, value, none) }
}

/// How many threads of this process sleep.
fn asleep() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let states = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    states.filter(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))).count()
}

/// How many of `count` sleepers on a word are still asleep after `wake`.
fn left_asleep(raw: Raw, word: fn(&Raw) -> &AtomicU32, count: usize, wake: impl FnOnce()) -> usize {
    word(&raw).store(ASLEEP, SeqCst);
    let address = word(&raw).as_ptr().addr();
    let (before, started) = (asleep(), Arc::new(AtomicUsize::new(0)));
    let sleepers: Vec<_> = (0..count)
        .map(|_| {
            let started = started.clone();
            let sleep = move || {
                started.fetch_add(1, SeqCst);
                futex(address, libc::FUTEX_WAIT, ASLEEP);
            };
            thread::Builder::new().stack_size(64 << 10).spawn(sleep).unwrap()
        })
        .collect();
    while started.load(SeqCst) < count || asleep() < before + count {
        thread::sleep(Duration::from_millis(5));
    }
    wake();
    let left = futex(address, libc::FUTEX_WAKE, i32::MAX as u32);
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    left as usize
}

#[test]
fn a_ring_wakes_one_however_many_sleep_on_its_word() {
    alone(|| {
        let ring = spsc::Channel::<u64>::options().capacity(4).memfd().unwrap();
        let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let raw = || Raw::new(ring.region().fd().unwrap());
        assert_eq!(left_asleep(raw(), Raw::data_wait, 20, || tx.try_send(&1).unwrap()), 19);
        assert_eq!(left_asleep(raw(), Raw::space_wait, 20, || assert_eq!(rx.try_recv(), Ok(1))), 19);
        let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
        let (mut tx, mut rx) = (records.sender().unwrap(), records.receiver().unwrap());
        let raw = || Raw::new(records.region().fd().unwrap());
        assert_eq!(left_asleep(raw(), Raw::data_wait, 20, || tx.try_send(b"one").unwrap()), 19);
        assert_eq!(left_asleep(raw(), Raw::space_wait, 20, || assert_eq!(rx.try_recv().unwrap(), b"one")), 19);
        assert_eq!(left_asleep(raw(), Raw::data_wait, 20, || drop(tx)), 19);
    });
}

#[test]
fn a_writer_wakes_no_more_than_a_thousand_readers() {
    alone(|| {
        let state = seqlock::Channel::<u64>::options().memfd().unwrap();
        let mut writer = state.writer().unwrap();
        let raw = Raw::new(state.region().fd().unwrap());
        assert_eq!(left_asleep(raw, Raw::data_wait, 1030, || writer.write(&1).unwrap()), 1030 - 1024);
    });
}

/// A mark that no writer can have left is called corrupt, and nobody waits for it.
#[test]
fn a_forged_mark_is_corrupt_and_not_a_faster_writer() {
    alone(|| {
        let state = seqlock::Channel::<u64>::options().memfd().unwrap();
        let (mut writer, mut reader) = (state.writer().unwrap(), state.reader());
        (1..=3).for_each(|n| writer.write(&n).unwrap());
        let raw = Raw::new(state.region().fd().unwrap());
        // Each cell has a line: the value, and behind it the mark.
        let mark = raw.data(3 * 8 + 1);
        assert_eq!(mark.load(SeqCst), 3);
        for forged in [0, 2, 4, 3 + 128, 1 << 61, u64::MAX] {
            mark.store(forged, SeqCst);
            let Err(ReadError::Corrupt(corrupt)) = reader.read() else { panic!("mark {forged} is believed") };
            assert_eq!((corrupt.fault, corrupt.found), (Fault::Version, forged));
            assert!(matches!(reader.read_into(&mut 0), Err(ReadError::Corrupt(_))));
            state.snapshot().expect_err("a copy of garbage");
        }
        mark.store(3, SeqCst);
        assert_eq!(reader.read(), Ok(3));
    });
}

/// The counts that a peer forges are refused, or cut down to what fits the positions.
#[test]
fn a_forged_count_is_refused_or_bounded() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        let channel = bytes::Channel::create(&path, 4096).unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let raw = Raw::new(channel.region().fd().unwrap());
        (0..3u8).for_each(|n| tx.send(&[n; 20]).unwrap());
        assert_eq!(rx.recv(), Ok(vec![0; 20]));
        assert_eq!((tx.len(), rx.len(), tx.is_empty(), rx.is_empty()), (2, 2, false, false));
        let good = raw.copy();
        for word in [raw.tally(), raw.checkpoint(0), raw.checkpoint(1), raw.turn()] {
            for forged in [0, 1, 2, 5, 1 << 27, 1 << 28, (1 << 28) + 4, 1 << 36, 1 << 62, 1 << 63, u64::MAX] {
                word.store(forged, SeqCst);
                assert!(tx.len() <= 512 && rx.len() <= 512, "more records than words");
                assert!(!tx.is_empty() && !rx.is_empty());
                if let Content::Messages { head, end, count, .. } = Report::open(&path).unwrap().content {
                    assert!(count <= end - head);
                }
                if let Ok(copy) = channel.snapshot() {
                    let mut rx = copy.receiver().unwrap();
                    while rx.try_recv().is_ok() {}
                }
                raw.restore(&good);
            }
        }
        drop((tx, rx));
        let free = raw.copy();
        raw.tally().store(raw.tally().load(SeqCst) + 1, SeqCst);
        let refused = channel.receiver().expect_err("a count that fits no position").to_string();
        assert!(refused.contains("a count of records") && refused.contains("make a new region"), "{refused}");
        raw.restore(&free);
        raw.checkpoint(0).store(1 << 62, SeqCst);
        let refused = channel.sender().expect_err("a position that cannot be").to_string();
        assert!(refused.contains("a count of records"), "{refused}");
        raw.restore(&free);
        let (tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        assert_eq!((tx.len(), rx.len()), (2, 2));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(vec![1; 20]), Ok(vec![2; 20])));
        assert_eq!((tx.len(), rx.len(), tx.is_empty(), rx.is_empty()), (0, 0, true, true));
    });
}
