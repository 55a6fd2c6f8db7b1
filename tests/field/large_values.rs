//! Values that are larger than a stack. If there is a place for a value, it does not pass over the stack.

use std::thread;
use std::time::Duration;

use ringway::zerocopy::{FromZeros, IntoBytes};
use ringway::{RecvTimeoutError, TryRecvError, seqlock, spsc};

/// Six times as large as the stacks of the threads here.
type Large = [u8; 3 << 20];

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

fn large(n: u8) -> Box<Large> {
    let mut value = Large::new_box_zeroed().unwrap();
    value.as_mut_bytes().fill(n);
    value
}

fn assert_is(value: &Large, n: u8) {
    assert!(value.iter().all(|byte| *byte == n), "not all {n}");
}

#[test]
fn a_ring_of_large_values_needs_no_large_stack() {
    on_a_small_stack(|| {
        let channel = spsc::Channel::<Large>::options().capacity(4).memfd().unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let mut place = large(0);
        assert_eq!(rx.try_recv_into(&mut place), Err(TryRecvError::Empty));
        assert_eq!(rx.recv_into_timeout(&mut place, Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        assert_is(&place, 0);

        tx.send(&large(1)).unwrap();
        rx.recv_into(&mut place).unwrap();
        assert_is(&place, 1);
        tx.try_send(&large(2)).unwrap();
        rx.try_recv_into(&mut place).unwrap();
        assert_is(&place, 2);
        tx.send_timeout(&large(3), Duration::from_secs(60)).unwrap();
        rx.recv_into_timeout(&mut place, Duration::from_secs(60)).unwrap();
        assert_is(&place, 3);

        let mut slot = tx.send_ref().unwrap();
        slot.write(&large(4));
        slot.send().unwrap();
        let guard = rx.recv_ref().unwrap();
        guard.read_into(&mut place);
        drop(guard);
        assert_is(&place, 4);

        let mut values = Large::new_vec_zeroed(3).unwrap();
        values.iter_mut().zip(5..).for_each(|(value, n)| value.fill(n));
        assert_eq!(tx.send_some(&values), Ok(ringway::Sent(3)));
        values.as_mut_bytes().fill(0);
        let mut received = 0;
        while received < 3 {
            received += rx.recv_slice(&mut values[received..]).unwrap();
        }
        values.iter().zip(5..).for_each(|(value, n)| assert_is(value, n));
    });
}

#[test]
fn a_large_value_of_a_seqlock_needs_no_large_stack() {
    on_a_small_stack(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        let channel = seqlock::Channel::<Large>::create(&path).unwrap();
        let (mut writer, mut reader) = (channel.writer().unwrap(), channel.reader());
        let mut place = large(9);
        reader.read_into(&mut place).unwrap();
        assert_is(&place, 0);
        (1..=5).for_each(|n| writer.write(&large(n)).unwrap());
        reader.read_into(&mut place).unwrap();
        assert_is(&place, 5);
        assert_eq!(reader.version(), 5);
        let snapshots = [channel.snapshot().unwrap(), seqlock::Channel::options().open_snapshot(&path).unwrap()];
        writer.write(&large(6)).unwrap();
        for snapshot in snapshots {
            let mut reader = snapshot.reader();
            reader.read_into(&mut place).unwrap();
            assert_is(&place, 5);
            assert_eq!(reader.version(), 5);
        }
    });
}

#[test]
fn a_snapshot_of_large_messages_needs_no_large_stack() {
    on_a_small_stack(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        let channel = spsc::Channel::<Large>::create(&path, 2).unwrap();
        channel.sender().unwrap().send(&large(7)).unwrap();
        let snapshot = spsc::Channel::<Large>::options().open_snapshot(&path).unwrap();
        let mut place = large(0);
        snapshot.receiver().unwrap().recv_into(&mut place).unwrap();
        assert_is(&place, 7);
    });
}
