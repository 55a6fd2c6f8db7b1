//! Snapshots are private. So are snapshots of a region in use.

use ringway::{RecvError, Region, TryRecvError, TrySendError, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::backing::Backing;
use crate::common::child::fork;
use crate::regions::{Latest, Spsc, contents, on};

#[test]
fn a_snapshot_of_a_slot_ring_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in [Backing::Memfd, Backing::File] {
            let channel = on(backing, &Spsc::options().capacity(2000), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0..3000 {
                tx.try_send(&i).unwrap();
                assert_eq!(rx.try_recv(), Ok(i));
            }
            (3000..4500).for_each(|i| tx.try_send(&i).unwrap());
            let before = contents(channel.region());
            let mut copies = vec![channel.snapshot().unwrap()];
            if let Some(path) = channel.region().path() {
                copies.push(Spsc::options().open_snapshot(path).unwrap());
            }
            // The copies are looked at only after the original has changed.
            for copy in &copies {
                let (mut tx, mut rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
                (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                (0..2000).for_each(|i| tx.try_send(&i).unwrap());
                assert_eq!(tx.try_send(&0), Err(TrySendError::Full));
                (0..2000).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
                drop(tx);
                assert_eq!(rx.recv(), Err(RecvError::Closed));
                assert!(copy.region().fd().is_none());
            }
            assert!(before == contents(channel.region()), "nothing of it reached the {backing:?}");

            let copy = channel.snapshot().unwrap();
            (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
            (0..2000).for_each(|i| tx.try_send(&i).unwrap());
            let mut rx = copy.receiver().unwrap();
            (3000..4500).for_each(|i| assert_eq!(rx.try_recv(), Ok(i), "what is later does not reach the snapshot"));
            // The sender of the original neither sits at the copy nor left it.
            assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        }
    });
}

/// A record of 1,000 bytes.
pub fn record(i: u64) -> Vec<u8> {
    (0..125).flat_map(|word| (i * 1000 + word).to_ne_bytes()).collect()
}

/// In this ring a record crosses the end, so the mirror must be a copy of the same pages.
#[test]
fn a_snapshot_of_a_record_ring_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in [Backing::Memfd, Backing::File] {
            let channel = on(backing, &bytes::Channel::options().capacity_bytes(8192), dir.path());
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0..6 {
                tx.try_send(&record(i)).unwrap();
                assert_eq!(rx.try_recv().unwrap(), record(i));
            }
            // 6 · 1008 of 8192 bytes are used, so the third of these records crosses the end.
            (6..13).for_each(|i| tx.try_send(&record(i)).unwrap());
            let before = contents(channel.region());
            let (copy, other) = (channel.snapshot().unwrap(), channel.snapshot().unwrap());

            let (mut copied_tx, mut copied) = (copy.sender().unwrap(), copy.receiver().unwrap());
            (6..13).for_each(|i| assert!(copied.try_recv().unwrap() == record(i), "record {i}"));
            assert_eq!(copied.try_recv(), Err(TryRecvError::Empty));
            for i in 0..100 {
                copied_tx.try_send(&record(i)).unwrap();
                assert!(copied.try_recv() == Ok(record(i)), "record {i} of the copy itself");
            }
            assert!(before == contents(channel.region()), "nothing of it reached the {backing:?}");

            // The original goes on, all the way round.
            (6..13).for_each(|i| assert_eq!(rx.try_recv().unwrap(), record(i)));
            (20..28).for_each(|i| tx.try_send(&record(i)).unwrap());
            let mut other = other.receiver().unwrap();
            for i in 6..13 {
                assert!(other.try_recv().unwrap() == record(i), "record {i}: later ones do not reach the snapshot");
            }
        }
    });
}

#[test]
fn a_snapshot_of_a_value_is_private() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        for backing in [Backing::Memfd, Backing::File] {
            let channel = on(backing, &Latest::options(), dir.path());
            let mut writer = channel.writer().unwrap();
            (0..100).for_each(|i| writer.write(&[i; 4]).unwrap());
            let before = contents(channel.region());
            let copy = channel.snapshot().unwrap();
            assert_eq!(copy.reader().read(), Ok([99; 4]));
            let mut copied = copy.writer().unwrap();
            (1000..1200).for_each(|i| copied.write(&[i; 4]).unwrap());
            assert_eq!(copy.reader().read(), Ok([1199; 4]));
            assert!(before == contents(channel.region()), "nothing of it reached the {backing:?}");
            let copy = channel.snapshot().unwrap();
            (100..300).for_each(|i| writer.write(&[i; 4]).unwrap());
            assert_eq!(copy.reader().read(), Ok([99; 4]));
            assert_eq!(channel.reader().read(), Ok([299; 4]));
        }
    });
}

/// Takes snapshots while a child sends and receives without a pause.
fn snapshots_in_use(region: &Region, busy: impl FnOnce(), mut look: impl FnMut()) {
    let before = contents(region);
    let child = fork("busy", busy);
    // The child has begun, however late it was scheduled.
    while before == contents(region) {
        std::thread::yield_now();
    }
    (0..200).for_each(|_| look());
    child.kill();
}

#[test]
fn a_snapshot_of_a_slot_ring_in_use_is_a_prefix_of_what_was_sent() {
    alone(|| {
        let channel = spsc::Channel::<[u64; 512]>::options().capacity(32).memfd().unwrap();
        let busy = || {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0.. {
                tx.send(&[i; 512]).unwrap();
                if tx.len() > 20 {
                    rx.recv().unwrap();
                }
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let mut rx = channel.snapshot().unwrap().receiver().unwrap();
            let mut last = None;
            loop {
                match rx.try_recv() {
                    Ok(value) => {
                        assert_eq!(value, [value[0]; 512], "part one message, part another");
                        assert!(last.is_none_or(|last| value[0] == last + 1), "{last:?} {}", value[0]);
                        last = Some(value[0]);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    });
}

#[test]
fn a_snapshot_of_a_record_ring_in_use_is_a_prefix_of_what_was_sent() {
    alone(|| {
        let channel = bytes::Channel::options().capacity_bytes(16384).memfd().unwrap();
        let busy = || {
            let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
            for i in 0.. {
                tx.send(&record(i)).unwrap();
                if tx.len() > 10 {
                    rx.recv_into(&mut [0; 1000]).unwrap();
                }
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let mut rx = channel.snapshot().unwrap().receiver().unwrap();
            let mut last = None;
            loop {
                match rx.try_recv() {
                    Ok(value) => {
                        let i = u64::from_ne_bytes(value[..8].try_into().unwrap()) / 1000;
                        assert!(value == record(i), "part one record, part another");
                        assert!(last.is_none_or(|last| i == last + 1), "{last:?} {i}");
                        last = Some(i);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
        });
    });
}

#[test]
fn a_snapshot_of_a_value_in_use_has_a_whole_one() {
    alone(|| {
        let channel = seqlock::Channel::<[u64; 512]>::options().memfd().unwrap();
        let values: Vec<[u64; 512]> = (1..9).map(|i| [i; 512]).collect();
        // The child may be seen to have begun before it has written.
        channel.writer().unwrap().write(&values[0]).unwrap();
        let busy = || {
            let mut writer = channel.writer().unwrap();
            loop {
                values.iter().for_each(|value| writer.write(value).unwrap());
            }
        };
        snapshots_in_use(channel.region(), busy, || {
            let value = channel.snapshot().unwrap().reader().read().expect("the copy has a value");
            assert!(value[0] > 0);
            assert_eq!(value, [value[0]; 512]);
        });
    });
}

/// The copy of a ring tells its end, too, even if the receiver of the ring was already told.
#[test]
fn a_snapshot_of_a_finished_ring_says_that_it_is_finished() {
    alone(|| {
        let channel = Spsc::options().capacity(2).memfd().unwrap();
        channel.sender().unwrap().send(&1).unwrap();
        let mut rx = channel.receiver().unwrap();
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError::Closed)));
        assert_eq!(channel.snapshot().unwrap().receiver().unwrap().recv(), Err(RecvError::Closed));
    });
}
