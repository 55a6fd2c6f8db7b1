//! Snapshots: channels of their own, taken of channels at rest and in use.

use ringway::zerocopy::{FromBytes, IntoBytes};
use ringway::{RecvError, TryRecvError, bytes, seqlock, spsc};

use crate::ends::{Watchdog, ring, some_bytes};

#[test]
fn a_snapshot_is_a_channel_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for capacity in [3, 1000] {
        let path = dir.path().join(format!("slots{capacity}"));
        let channel = spsc::Channel::<u64>::create(&path, capacity).unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for i in 0..2 * capacity {
            tx.send(&i).unwrap();
            rx.recv().unwrap();
        }
        tx.send_slice(&[1, 2, 3]).unwrap();
        for copy in [channel.snapshot().unwrap(), spsc::Channel::<u64>::options().open_snapshot(&path).unwrap()] {
            // The seats of the copy are free, although those of the region are not.
            let (mut copy_tx, mut copy_rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
            assert_eq!((copy_tx.len(), copy_rx.len()), (3, 3));
            assert_eq!(copy_rx.iter().take(3).map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
            for i in 0..3 * capacity {
                copy_tx.try_send(&(i + 100)).unwrap();
                assert_eq!(copy_rx.try_recv(), Ok(i + 100));
            }
            // A copy can be copied.
            copy_tx.send(&5).unwrap();
            let second = copy.snapshot().unwrap();
            assert_eq!(second.receiver().unwrap().recv(), Ok(5));
            assert_eq!(copy_rx.recv(), Ok(5));
        }
        assert_eq!((tx.len(), rx.len()), (3, 3), "the region noticed nothing");
        assert_eq!(rx.iter().take(3).map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
    }

    let latest = seqlock::Channel::<u64>::options().memfd().unwrap();
    let mut writer = latest.writer().unwrap();
    (1..=9).for_each(|i| writer.write(&i).unwrap());
    let copy = latest.snapshot().unwrap();
    writer.write(&10).unwrap();
    let mut reader = copy.reader();
    assert_eq!((reader.read(), reader.version()), (Ok(9), 9));
    copy.writer().unwrap().write(&77).unwrap();
    assert_eq!(reader.read(), Ok(77));
    assert_eq!(latest.reader().read(), Ok(10));
    // A region on any backing can be copied.
    let (anonymous, mut tx, _rx) = ring::<u64>(1);
    tx.send(&3).unwrap();
    let copy = anonymous.snapshot().unwrap();
    assert_eq!(copy.receiver().unwrap().recv(), Ok(3));
    assert_eq!(tx.len(), 1);
}

/// A record that crosses the end lies partly in the second mapping of the data. The copy must hold all of it, whatever
/// the region does afterwards.
#[test]
fn a_snapshot_keeps_a_record_across_the_end() {
    for backing in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let options = bytes::Channel::options().capacity_bytes(4096);
        let channel = if backing == 0 { options.create(dir.path().join("records")) } else { options.memfd() }.unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        tx.send(&[0; 3000]).unwrap();
        rx.recv().unwrap();
        let crossing = some_bytes(1, 3000);
        tx.send(&crossing).unwrap();
        let copy = channel.snapshot().unwrap();
        // The region overwrites all of it.
        for i in 0..5 {
            assert_eq!(rx.recv().unwrap().len(), 3000);
            tx.send(&[i; 3000]).unwrap();
        }
        let mut copy_rx = copy.receiver().unwrap();
        assert!(copy_rx.try_recv().unwrap() == crossing, "the copy changed after it was made");
        assert_eq!(copy_rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
    }
}

/// A copy can be sent to, too. The receiver must find at the start what the sender writes beyond the end.
#[test]
fn a_snapshot_goes_on_for_many_laps() {
    let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    // This leaves no word of the data zero.
    for _ in 0..3 {
        tx.send(&[0xFF; 4080]).unwrap();
        rx.recv().unwrap();
    }
    let copy = channel.snapshot().unwrap();
    let (mut copy_tx, mut copy_rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
    for i in 0..2000u64 {
        let bytes = some_bytes(i, i as usize % 1500);
        copy_tx.try_send(&bytes).unwrap();
        assert_eq!(copy_rx.try_recv().unwrap(), bytes, "record {i}");
        assert_eq!(copy_rx.try_recv(), Err(TryRecvError::Empty), "record {i}");
    }
}

/// A message. All its words follow from its number.
fn message(i: u64) -> [u64; 7] {
    std::array::from_fn(|word| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ word as u64)
}

/// Fails unless the messages are whole, in order and without a gap.
fn whole_and_in_order(mut next: impl FnMut() -> Result<[u64; 7], TryRecvError>) {
    let mut before = None;
    loop {
        match next() {
            Ok(found) => {
                // This is the inverse of the factor.
                let i = found[0].wrapping_mul(0xF1DE_83E1_9937_733D);
                assert_eq!(found, message(i), "a message that is not whole");
                assert!(before.is_none_or(|before| before + 1 == i), "{i} came after {before:?}");
                before = Some(i);
            }
            Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs `look` again and again while another thread runs `work` without a pause.
fn while_busy(work: impl FnOnce(&dyn Fn() -> bool) + Send, look: impl Fn()) {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let _watchdog = Watchdog::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| work(&|| !stop.load(Relaxed)));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..1500).for_each(|_| look())));
        stop.store(true, Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn snapshots_of_a_busy_ring_hold_whole_messages() {
    let slots = spsc::Channel::<[u64; 7]>::options().capacity(256).memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
        for i in (1..).take_while(|_| busy()) {
            tx.send(&message(i)).unwrap();
            if i > 100 {
                rx.recv().unwrap();
            }
        }
    };
    while_busy(work, || {
        let mut rx = slots.snapshot().unwrap().receiver().unwrap();
        whole_and_in_order(|| rx.try_recv());
    });
}

#[test]
fn snapshots_of_busy_records_hold_whole_ones() {
    let records = bytes::Channel::options().capacity_bytes(16384).memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let (mut tx, mut rx) = (records.sender().unwrap(), records.receiver().unwrap());
        for i in (1..).take_while(|_| busy()) {
            tx.send(message(i).as_bytes()).unwrap();
            if i > 100 {
                rx.recv().unwrap();
            }
        }
    };
    while_busy(work, || {
        let mut rx = records.snapshot().unwrap().receiver().unwrap();
        whole_and_in_order(|| {
            rx.try_recv().map(|found| <[u64; 7]>::read_from_bytes(&found).expect("a record of its length"))
        });
    });
}

#[test]
fn snapshots_of_a_busy_value_hold_a_whole_one() {
    let latest = seqlock::Channel::<[u64; 7]>::options().memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let mut writer = latest.writer().unwrap();
        for i in (1..).take_while(|_| busy()) {
            writer.write(&message(i)).unwrap();
        }
    };
    while_busy(work, || {
        let mut reader = latest.snapshot().unwrap().reader();
        let found = reader.read().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found, if reader.version() == 0 { [0; 7] } else { message(reader.version()) });
    });
}
