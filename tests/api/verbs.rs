//! Calls with a deadline or a timeout, in place and in batches; pairs; how large a ring must be; what ends print.

use std::time::{Duration, Instant};

use ringway::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, Wait, bytes, seqlock, spsc};

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(300);

#[test]
fn slots_are_waited_for_in_every_form() {
    let (mut tx, mut rx) = spsc::pair::<u64>(2).unwrap();
    let soon = || Instant::now() + SHORT;
    assert_eq!(rx.recv_deadline(soon()), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_ref_timeout(SHORT).err(), Some(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_slice_timeout(&mut [0; 3], SHORT), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_slice_timeout(&mut [], SHORT), Ok(0));
    assert_eq!(tx.send_deadline(&1, Instant::now() + LONG), Ok(()));
    let mut slot = tx.send_ref_timeout(LONG).unwrap();
    // SAFETY: the only receiver is this thread's.
    unsafe { *slot.as_mut() = 2 };
    slot.send().unwrap();
    assert_eq!(tx.send_deadline(&3, soon()), Err(SendTimeoutError::Timeout));
    assert_eq!(tx.send_ref_timeout(SHORT).err(), Some(SendTimeoutError::Timeout));
    assert_eq!(rx.recv_ref_timeout(LONG).unwrap().read(), 1);
    assert_eq!(rx.recv_deadline(Instant::now() + LONG), Ok(2));
    tx.send_slice(&[4, 5]).unwrap();
    let mut room = [0; 3];
    assert_eq!((rx.recv_slice_timeout(&mut room, LONG), room), (Ok(2), [4, 5, 0]));
    drop(tx);
    assert_eq!(rx.recv_deadline(Instant::now() + LONG), Err(RecvError::Closed.into()));
}

#[test]
fn records_are_waited_for_in_every_form() {
    let (mut tx, mut rx) = bytes::pair(4096).unwrap();
    let soon = || Instant::now() + SHORT;
    assert_eq!(rx.recv_deadline(soon()), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_ref_timeout(SHORT).err(), Some(RecvTimeoutError::Timeout));
    let mut record = tx.send_ref_timeout(2000, LONG).unwrap();
    // SAFETY: the only receiver is this thread's.
    unsafe { record.as_mut_slice() }.fill(7);
    record.send().unwrap();
    assert_eq!(tx.send_deadline(&[0; 1500], Instant::now() + LONG), Ok(()));
    assert_eq!(tx.send_deadline(&[0; 1500], soon()), Err(SendTimeoutError::Timeout));
    assert_eq!(tx.send_ref_timeout(1500, SHORT).err(), Some(SendTimeoutError::Timeout));
    assert_eq!(rx.recv_ref_timeout(LONG).unwrap().to_vec(), [7; 2000]);
    assert_eq!(rx.recv_deadline(Instant::now() + LONG).unwrap(), [0; 1500]);
    let (mut room, mut ends) = ([0; 3], [0; 2]);
    assert_eq!(rx.recv_slice_timeout(&mut room, &mut ends, SHORT), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_slice_timeout(&mut room, &mut [], SHORT), Ok(0));
    tx.send_slice(&[b"a", b"b"]).unwrap();
    assert_eq!((rx.recv_slice_timeout(&mut room, &mut ends, LONG), &room[..2], ends), (Ok(2), &b"ab"[..], [1, 2]));
    tx.send(b"long").unwrap();
    let too_short = RecvError::BufferTooShort { found: 4, buffer: 3 };
    assert_eq!(rx.recv_slice_timeout(&mut room, &mut ends, LONG), Err(too_short.into()));
    drop(rx);
    let too_long = vec![0; 1 << 16];
    assert!(matches!(
        tx.send_ref_timeout(1 << 16, SHORT).err(),
        Some(SendTimeoutError::Refused(SendError::TooLong(_)))
    ));
    assert!(matches!(tx.send_deadline(&too_long, soon()), Err(SendTimeoutError::Refused(SendError::TooLong(_)))));
}

#[test]
fn a_ring_holds_as_many_records_as_was_asked_for() {
    for len in [0, 1, 7, 8, 9, 64, 1000, 1500, 4000] {
        for records in [1, 2, 3, 17, 100] {
            let (mut tx, _rx) = bytes::pair(bytes::capacity_for(records, len)).unwrap();
            let record = vec![1; len];
            assert!((0..records).all(|_| tx.try_send(&record) == Ok(())), "{records} records of {len} bytes");
        }
    }
    // Anonymous rings have whole pages. Seven words times 73 and one more are a page; eight times 64 and one more are not.
    for (records, len, capacity) in [(73, 48, 4096), (64, 56, 8192)] {
        let (mut tx, _rx) = bytes::pair(bytes::capacity_for(records, len)).unwrap();
        assert_eq!(tx.capacity(), capacity);
        assert!((0..records).all(|_| tx.try_send(&vec![1; len]) == Ok(())), "{records} records of {len} bytes");
    }
    assert_eq!(bytes::capacity_for(u64::MAX, 8), u64::MAX);
    assert!(bytes::pair(u64::MAX).is_err());
}

#[test]
fn channels_of_every_kind_are_made_or_opened_by_one_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    for _ in 0..2 {
        assert_eq!(spsc::Channel::<u64>::open_or_create(path("slots"), 4).unwrap().capacity(), 4);
        assert_eq!(bytes::Channel::open_or_create(path("records"), 4096).unwrap().capacity(), 4096);
        seqlock::Channel::<u64>::open_or_create(path("value")).unwrap();
    }
}

#[test]
fn the_way_to_wait_is_chosen_for_all_ends_or_for_one() {
    let channel = spsc::Channel::<u64>::options().capacity(1).wait(Wait::Sleep).anonymous().unwrap();
    let (mut tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    tx.set_wait(Wait::Spin);
    assert_eq!((tx.wait(), rx.wait()), (Wait::Spin, Wait::Sleep));
    let value = seqlock::Channel::<u64>::options().wait(Wait::Spin).anonymous().unwrap();
    assert_eq!(value.reader().wait(), Wait::Spin);
}

/// What `dbg!` shows says which end it is and where it stands.
#[test]
fn ends_and_guards_can_be_printed() {
    let (mut tx, mut rx) = spsc::pair::<u64>(4).unwrap();
    tx.send_slice(&[1, 2]).unwrap();
    assert!(format!("{tx:?}").starts_with("spsc::Sender") && format!("{tx:?}").contains("position: 3"));
    assert!(format!("{:?}", rx.recv_ref().unwrap()).contains("spsc::RecvRef"));
    assert!(format!("{:?}", rx.peek_many(4).unwrap()).contains("len: 1"));
    assert!(format!("{:?}", tx.reserve_many(2).unwrap()).contains("len: 2"));
    assert!(format!("{:?}", tx.send_ref().unwrap()).contains("spsc::SendRef"));
    let (mut tx, rx) = bytes::pair(4096).unwrap();
    assert!(format!("{:?}", tx.send_ref(7).unwrap()).contains("len: 7"));
    assert!(format!("{rx:?}").starts_with("bytes::Receiver"));
    let (writer, reader) = seqlock::pair::<u64>().unwrap();
    assert!(format!("{writer:?}{reader:?}").contains("seqlock::Reader"));
}
