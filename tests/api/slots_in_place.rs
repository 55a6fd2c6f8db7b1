//! Values that are written and read in their slots.

use ringway::TryRecvError;

use crate::ends::{page, panics, ring};

#[test]
fn a_slot_is_published_by_send_alone_and_consumed_by_drop_alone() {
    let (_channel, mut tx, mut rx) = ring::<u64>(2);
    for turn in 0..7u64 {
        drop(tx.send_ref().unwrap());
        let mut slot = tx.try_send_ref().unwrap();
        slot.write(&666);
        drop(slot);
        assert_eq!((tx.len(), rx.len()), (0, 0));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let mut slot = tx.send_ref().unwrap();
        slot.write(&turn);
        assert_eq!(rx.len(), 0);
        slot.send().unwrap();
        assert_eq!(rx.len(), 1);

        let message = rx.recv_ref().unwrap();
        assert_eq!((message.read(), message.read()), (turn, turn));
        std::mem::forget(message);
        assert_eq!((tx.len(), rx.len()), (1, 1));
        let again = rx.try_recv_ref().unwrap();
        assert_eq!(again.read(), turn);
        assert_eq!(tx.len(), 1);
        drop(again);
        assert_eq!((tx.len(), rx.len()), (0, 0));
    }
}

#[test]
fn parts_of_a_slot_can_be_written_and_read() {
    let (_channel, mut tx, mut rx) = ring::<[u8; 10]>(1);
    tx.send(b"0123456789").unwrap();
    rx.recv().unwrap();
    let mut slot = tx.send_ref().unwrap();
    slot.write_at(2, b"ab");
    slot.write_at(9, b"z");
    slot.write_at(10, b"");
    slot.write_at(0, b"");
    slot.send().unwrap();
    let message = rx.recv_ref().unwrap();
    assert_eq!(&message.read(), b"01ab45678z");
    let mut part = [0; 3];
    message.read_at(7, &mut part);
    assert_eq!(&part, b"78z");
    message.read_at(10, &mut []);
    // SAFETY: the only sender is idle and uses this crate alone, and nobody forks.
    assert_eq!(unsafe { message.as_ref() }, b"01ab45678z");
}

#[test]
fn ranges_beyond_a_slot_or_record_panic_and_touch_nothing() {
    let (_channel, mut tx, mut rx) = ring::<[u8; 10]>(2);
    let (_records, mut record_tx, mut record_rx) = page();
    let outside = [(0, 11), (10, 1), (11, 0), (9, 2), (usize::MAX, 1), (usize::MAX, 0), (usize::MAX - 3, 10)];
    for (at, len) in outside {
        let bytes = vec![7; len];
        let mut slot = tx.send_ref().unwrap();
        slot.write(&[1; 10]);
        assert!(panics(|| slot.write_at(at, &bytes)), "{len} bytes at {at} of 10");
        slot.send().unwrap();
        let message = rx.recv_ref().unwrap();
        assert!(panics(|| message.read_at(at, &mut vec![0; len])), "{len} bytes at {at} of 10");
        assert_eq!(message.read(), [1; 10]);
        drop(message);

        let mut room = record_tx.send_ref(10).unwrap();
        room.write_at(0, &[1; 10]);
        assert!(panics(|| room.write_at(at, &bytes)), "{len} bytes at {at} of 10");
        room.send().unwrap();
        let found = record_rx.recv_ref().unwrap();
        assert!(panics(|| found.read_at(at, &mut vec![0; len])), "{len} bytes at {at} of 10");
        assert_eq!(found.to_vec(), [1; 10]);
    }
    // The part that was cut off is out of range, too.
    let mut room = record_tx.send_ref(10).unwrap();
    room.truncate(4);
    assert!(panics(|| room.write_at(4, &[1])));
    room.write_at(3, &[1]);
}
