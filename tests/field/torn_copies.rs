//! Copies of regions in use. What is torn is not delivered, or is said to be torn.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ringway::{Content, CopySign, Reason, RecvError, Report, TryRecvError, bytes, seqlock};

use crate::common::stopper::Stopper;
use crate::copies::{Latest, Spsc, cp, is_copy};

/// A snapshot of a copy delivers whole messages, in order and without a gap, whatever was going on.
#[test]
fn copies_of_a_busy_ring_of_records_deliver_no_torn_one() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = bytes::Channel::create(&live, 1 << 18).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 1u64.. {
                tx.send(&i.to_le_bytes().repeat((i % 97) as usize + 1)).unwrap();
                if i > 300 {
                    rx.recv().unwrap();
                }
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let mut received = 0;
        for _ in 0..300 {
            cp(&live, &copy);
            is_copy(&bytes::Channel::open(&copy).unwrap_err(), CopySign::OtherFile);
            // The report tells how many messages the others give.
            let report = Report::open(&copy).unwrap();
            let len = bytes::Channel::options().open_snapshot(&copy).unwrap().receiver().unwrap().len();
            assert!(matches!(report.content, Content::Messages { count, .. } if count == len), "{len}, and {report}");
            for channel in [bytes::Channel::options().open_snapshot(&copy), bytes::Channel::options().adopt(&copy)] {
                let mut rx = channel.unwrap().receiver().unwrap();
                let mut last = None;
                let end = loop {
                    match rx.try_recv() {
                        Ok(got) => {
                            let n = u64::from_le_bytes(got[..8].try_into().unwrap());
                            assert_eq!(got, n.to_le_bytes().repeat((n % 97) as usize + 1));
                            assert!(last.is_none_or(|last| n == last + 1));
                            (last, received) = (Some(n), received + 1);
                        }
                        Err(end) => break end,
                    }
                };
                // The copy may hold nothing that cannot be. The first copies may have been made before the sender came.
                assert!(matches!(end, TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)), "{end:?}");
            }
        }
        drop(stopper);
        assert!(received > 0);
    });
}

/// Some values of a copied ring of values may be torn (see `open_snapshot`): a stamp comes last, and the value before
/// it may have been read before it was written. Everything else must be as in any ring.
#[test]
fn copies_of_a_busy_ring_of_values_hold_a_ring_that_can_be_used() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = Spsc::create(&live, 10_000).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 1u64.. {
                tx.send(&i).unwrap();
                if i > 300 {
                    rx.recv().unwrap();
                }
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        let mut received = 0;
        for _ in 0..300 {
            cp(&live, &copy);
            let copied = Spsc::options().open_snapshot(&copy).unwrap();
            let mut rx = copied.receiver().unwrap();
            let waiting = rx.len();
            let end = loop {
                match rx.try_recv() {
                    Ok(_) => received += 1,
                    Err(end) => break end,
                }
            };
            assert!(matches!(end, TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)), "{end:?}");
            assert!(waiting <= copied.capacity());
            let mut tx = copied.sender().unwrap();
            for lap in 0..2 * copied.capacity() {
                tx.try_send(&lap).unwrap();
                assert_eq!(rx.try_recv(), Ok(lap));
            }
        }
        drop(stopper);
        assert!(received > 0);
    });
}

#[test]
fn copies_of_a_busy_value_hold_a_whole_one_or_say_so() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = seqlock::Channel::<[u64; 100]>::create(&live).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopper = Stopper(&stop);
        scope.spawn(|| {
            let mut writer = channel.writer().unwrap();
            let mut i = 0;
            while !stop.load(Relaxed) {
                i += 1;
                writer.write(&[i; 100]).unwrap();
            }
        });
        let mut whole = 0;
        for _ in 0..1000 {
            cp(&live, &copy);
            match seqlock::Channel::<[u64; 100]>::options().open_snapshot(&copy) {
                Ok(channel) => {
                    let value = channel.reader().read().unwrap();
                    assert!(value.iter().all(|word| *word == value[0]), "torn: {value:?}");
                    whole += 1;
                }
                Err(error) => assert!(matches!(error.reason(), Reason::NothingWhole), "{error:?}"),
            }
        }
        drop(stopper);
        assert!(whole > 0);
    });
}

/// All values were being written. That is not the same as if none was ever written.
#[test]
fn a_copied_value_is_a_whole_one_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let mut writer = Latest::create(&live).unwrap().writer().unwrap();
    (1..=3).for_each(|n| writer.write(&[n; 4]).unwrap());
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // A cell has 64 bytes: four words, and the mark.
    let tear = |version: u64| file.write_all_at(&[0xEE; 8], 8192 + version * 64 + 32).unwrap();
    tear(3);
    assert!(matches!(Report::open(&copy).unwrap().content, Content::Value { version: 2 }));
    assert_eq!(Latest::options().open_snapshot(&copy).unwrap().reader().read(), Ok([2; 4]));
    (1..=2).for_each(tear);
    let report = Report::open(&copy).unwrap();
    assert!(matches!(report.content, Content::NothingWhole), "{report}");
    for error in [Latest::options().open_snapshot(&copy).unwrap_err(), Latest::options().adopt(&copy).unwrap_err()] {
        assert!(matches!(error.reason(), Reason::NothingWhole), "{error:?}");
        assert!(error.to_string().contains("recreate"), "{error}");
    }
}

/// One stamp came to the disk, and the one before it did not.
#[test]
fn what_lies_behind_a_gap_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let channel = Spsc::create(&live, 8).unwrap();
    let mut tx = channel.sender().unwrap();
    (1..=5).for_each(|n| tx.send(&n).unwrap());
    cp(&live, &copy);
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    // The payload and the stamp of the third slot.
    file.write_all_at(&[0; 16], 2 * 4096 + 2 * 16).unwrap();
    let adopted = Spsc::options().adopt(&copy).unwrap();
    let mut rx = adopted.receiver().unwrap();
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
    assert!(rx.try_recv().is_err());
    adopted.sender().unwrap().send(&6).unwrap();
    assert_eq!(rx.recv(), Ok(6));
    assert!(matches!(Report::open(&copy).unwrap().content, Content::Messages { count: 0, .. }));
}
