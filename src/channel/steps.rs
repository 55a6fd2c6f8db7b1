//! Checks how often each call accesses shared memory against the limit in its module's documentation.
//!
//! Reading or writing a word of the region, of a lane, or of the control words is one access; so is copying a message.
#![forbid(unsafe_code)]

use crate::memory::steps::of;
use crate::protocol::tally::WALK;
use crate::{bytes, seqlock, spsc};

/// The limit for a claim, and for anything else that reads seats.
const SEATS: u64 = 200;
/// The limit for a message, and for checking whether there is one.
const MESSAGE: u64 = 40;

fn at_most<R>(most: u64, name: &str, work: impl FnOnce() -> R) -> R {
    let (result, steps) = of(work);
    assert!(steps <= most, "{name}: {steps} looks, of {most} at most");
    result
}

#[test]
fn a_record_ring_of_a_million_words_full_of_nothing() {
    let words = 1 << 20;
    let channel = bytes::Channel::options().capacity_bytes(words * 8).anonymous().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let mut sent = 0;
    while at_most(MESSAGE, "try_send", || tx.try_send(&[])).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, words - 1);
    assert_eq!(at_most(MESSAGE, "Sender::len", || tx.len()), sent);
    assert_eq!(at_most(WALK + MESSAGE, "Receiver::len", || rx.len()), sent);
    assert!(!at_most(MESSAGE, "Sender::is_empty", || tx.is_empty()));
    assert!(!at_most(MESSAGE, "Receiver::is_empty", || rx.is_empty()));
    at_most(MESSAGE, "try_recv", || rx.try_recv()).unwrap();
    drop(at_most(MESSAGE, "try_recv_ref", || rx.try_recv_ref()).unwrap());
    at_most(3 * MESSAGE, "try_peek_many", || {
        let mut ahead = rx.try_peek_many().unwrap();
        (0..3).for_each(|_| _ = ahead.next_record().unwrap());
        ahead.consume_up_to(0);
    });
    assert_eq!(at_most(WALK + MESSAGE, "Receiver::records", || rx.records()), 2);
    assert_eq!(at_most(MESSAGE, "Sender::records", || tx.records()), sent);
    drop((tx, rx));
    let tx = at_most(WALK + SEATS, "sender", || channel.sender()).unwrap();
    let rx = at_most(SEATS, "receiver", || channel.receiver()).unwrap();
    assert_eq!((tx.len(), rx.len()), (sent - 2, sent - 2));
    let copy = at_most(2 * words + 2 * WALK + SEATS, "snapshot", || channel.snapshot()).unwrap();
    assert_eq!(copy.receiver().unwrap().len(), sent - 2);
    assert_eq!(at_most(MESSAGE, "Sender::len", || copy.sender().unwrap().len()), sent - 2);
}

/// The longest distance from a checkpoint to the end.
#[test]
fn a_record_ring_just_before_its_next_checkpoint() {
    let channel = bytes::Channel::options().capacity_bytes(1 << 22).anonymous().unwrap();
    let mut tx = channel.sender().unwrap();
    (0..WALK - 1).for_each(|_| tx.try_send(&[]).unwrap());
    drop(tx);
    let (tx, steps) = of(|| channel.sender().unwrap());
    assert!((WALK..=WALK + SEATS).contains(&steps), "sender: {steps} looks");
    assert_eq!(tx.len(), WALK - 1);
    // A record longer than that distance.
    let (mut tx, mut rx) = (tx, channel.receiver().unwrap());
    let long = vec![1; 9 * WALK as usize];
    for _ in 0..3 {
        tx.try_send(&long).unwrap();
        tx.try_send(&[2]).unwrap();
    }
    assert_eq!((tx.len(), rx.len()), (WALK + 5, WALK + 5));
    drop(tx);
    (0..WALK - 1).for_each(|_| assert!(rx.try_recv().unwrap().is_empty()));
    for _ in 0..3 {
        assert_eq!((rx.try_recv().unwrap().len(), rx.try_recv().unwrap()), (long.len(), vec![2]));
    }
    assert_eq!((channel.sender().unwrap().len(), rx.len()), (0, 0));
}

#[test]
fn a_slot_ring_of_a_million_messages() {
    let slots: u64 = 1 << 20;
    let channel = spsc::Channel::<u8>::options().capacity(slots).anonymous().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let values = vec![1; slots as usize];
    let mut sent = 0;
    while sent < values.len() {
        sent += tx.try_send_some(&values[sent..]).unwrap().0;
    }
    at_most(MESSAGE, "try_send", || tx.try_send(&1)).expect_err("full");
    assert_eq!(at_most(MESSAGE, "Sender::len", || tx.len()), slots);
    assert_eq!(at_most(20 + MESSAGE, "Receiver::len", || rx.len()), slots);
    assert!(!at_most(MESSAGE, "Sender::is_empty", || tx.is_empty()));
    assert!(!at_most(MESSAGE, "Receiver::is_empty", || rx.is_empty()));
    at_most(MESSAGE, "try_recv", || rx.try_recv()).unwrap();
    at_most(10 * MESSAGE, "try_reserve_many", || tx.try_reserve_many(10).unwrap().send(1)).unwrap();
    at_most(10 * MESSAGE, "try_peek_many", || {
        let found = rx.try_peek_many(10).unwrap();
        let all = found.iter().count();
        found.consume_up_to(all);
    });
    at_most(MESSAGE, "position", || (tx.position(), rx.position()));
    // The state that a sender leaves if it dies while it sends a batch, with much of the ring free.
    let mut received = 11;
    while received < slots / 2 {
        received += rx.try_recv_slice(&mut vec![0; 1024]).unwrap() as u64;
    }
    let ring = channel.writable().unwrap();
    let first = ring.end(1 + received);
    ring.ends.lane.sender_line.batch.store(first, crate::sync::Ordering::Relaxed);
    drop((tx, rx));
    let most = 4 * (20 + 4) + 2 * 1024 + SEATS;
    drop(at_most(most, "sender after a batch", || channel.sender()).unwrap());
    drop(at_most(SEATS, "receiver", || channel.receiver()).unwrap());
}

#[test]
fn a_value_that_is_not_being_written() {
    let channel = seqlock::Channel::<[u64; 5000]>::options().anonymous().unwrap();
    let (mut writer, mut reader) = (channel.writer().unwrap(), channel.reader());
    at_most(MESSAGE, "write", || writer.write(&[1; 5000])).unwrap();
    at_most(MESSAGE, "read", || reader.read()).unwrap();
    at_most(MESSAGE, "read_into", || reader.read_into(&mut [0; 5000])).unwrap();
    let cells = channel.writable().unwrap();
    cells.cells.at(1).word(5000).store(77, crate::sync::Ordering::Relaxed);
    at_most(MESSAGE, "read of a forged mark", || reader.read()).expect_err("garbage");
}
