//! Many messages at once, where they lie; and positions, which go on from one end to its successor.

use ringway::{SendError, bytes, spsc};

use crate::common::child::in_child;
use crate::common::lane::{Lane, Receives, Sends};
use crate::common::messages::Packet;

/// From every offset, as many as there are up to every number, and consumed up to every one of them.
fn looks_ahead_from_every_offset<K: Lane>(ring: K, room: u64, len: usize) {
    let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let mut next = 0;
    for round in 0..40 {
        let filled = round % (room + 1);
        let messages: Vec<_> = (next..next + filled).map(|seq| K::make(seq, len)).collect();
        let mut sent = 0;
        while sent < messages.len() {
            sent += tx.try_send_many(&messages[sent..]).unwrap();
        }
        for consumed in (0..=filled as usize).cycle().take(3 * room as usize) {
            let left = rx.len() as usize;
            if left == 0 {
                break;
            }
            let mut was_lent = false;
            let most = 1 + (round as usize + consumed) % room as usize;
            let found = rx.try_peek_many(most, consumed, |again| was_lent = again).unwrap();
            assert_eq!(found.len(), most.min(left), "{most} of {left}");
            let first = next + filled - left as u64;
            (first..).zip(&found).for_each(|(seq, message)| K::check(message, seq, len));
            assert_eq!(rx.len() as usize, left - consumed.min(found.len()));
            assert_eq!(rx.is_redelivery(), consumed < found.len());
        }
        while rx.try_recv().is_ok() {}
        next += filled;
        assert_eq!(tx.position(), rx.position());
    }
}

#[test]
fn slots_are_filled_and_read_in_place_from_every_offset() {
    looks_ahead_from_every_offset(spsc::Channel::<Packet>::options().capacity(5).anonymous().unwrap(), 5, 0);
    looks_ahead_from_every_offset(spsc::Channel::<u64>::options().capacity(7).anonymous().unwrap(), 7, 0);
}

#[test]
fn records_are_looked_at_from_every_offset() {
    // A record that crosses the end comes at every round.
    looks_ahead_from_every_offset(bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap(), 6, 600);
}

#[test]
fn what_is_not_sent_or_not_consumed_changes_nothing() {
    let channel = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let mut slots = tx.reserve_many(9).unwrap();
    assert_eq!(slots.len(), 4);
    slots.write(0, &1);
    drop(slots);
    assert!(rx.is_empty());
    let mut slots = tx.reserve_many(2).unwrap();
    slots.write_at(0, 0, &7u64.to_ne_bytes());
    slots.write_at(1, 0, &8u64.to_ne_bytes());
    slots.send(1).unwrap();
    assert_eq!((tx.len(), rx.len()), (1, 1));
    assert_eq!(rx.peek_many(5).unwrap().read(0), 7);
    assert_eq!(rx.peek_many(5).unwrap().len(), 1);
    assert!(rx.peek_many(0).unwrap().is_empty() && tx.reserve_many(0).unwrap().is_empty());
    rx.peek_many(1).unwrap().consume_up_to(0);
    assert_eq!(rx.recv(), Ok(7));
    tx.reserve_many(0).unwrap().send(0).unwrap();
    assert!(rx.is_empty());
    tx.send(&9).unwrap();
    assert_eq!(rx.recv(), Ok(9));
}

#[test]
fn a_batch_in_place_has_at_most_8_kib_of_slots() {
    let channel = spsc::Channel::<[u64; 8]>::options().capacity(1024).anonymous().unwrap();
    let mut tx = channel.sender().unwrap();
    assert_eq!(tx.reserve_many(1000).unwrap().len(), 1024 / 9);
}

#[test]
fn a_child_publishes_and_consumes_nothing() {
    let channel = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    // So that positions are not those that the zeroes of a child would make.
    tx.send(&0).unwrap();
    rx.recv().unwrap();
    tx.send(&1).unwrap();
    let mut slots = tx.reserve_many(2).unwrap();
    slots.write(0, &2);
    let ahead = rx.peek_many(2).unwrap();
    in_child("forked with both guards", move || {
        slots.write(0, &3);
        assert_eq!(slots.send(1), Err(SendError::Forked));
        assert_eq!(ahead.read(0), 1);
        ahead.consume_up_to(1);
    });
    assert_eq!((tx.len(), rx.recv()), (1, Ok(1)));
    assert!(rx.is_empty() && tx.is_empty());
}

/// Positions and counts go on from one end to its successor, and tell how far each side is.
fn goes_on_where_the_last_one_was<K: Lane>(ring: &K, len: usize) {
    for turn in 0..3 {
        let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let (sent, received) = (tx.position(), rx.position());
        assert_eq!(sent, received);
        assert!(turn > 0 || sent == 1);
        (0..5).for_each(|seq| tx.try_send(&K::make(seq, len)).unwrap());
        let all = tx.position();
        for _ in 0..5 {
            assert!(rx.position() < all);
            rx.try_recv().unwrap();
        }
        assert_eq!(rx.position(), all);
    }
}

#[test]
fn positions_go_on_from_one_end_to_its_successor() {
    let slots = spsc::Channel::<u64>::options().capacity(8).anonymous().unwrap();
    goes_on_where_the_last_one_was(&slots, 0);
    assert_eq!(slots.sender().unwrap().position(), 16);
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    goes_on_where_the_last_one_was(&records, 100);
    let (tx, rx) = (records.sender().unwrap(), records.receiver().unwrap());
    assert_eq!((tx.records(), rx.records()), (15, 15));
}

/// The receiver's count is exact where the sender has made checkpoints and where it has not.
#[test]
fn a_count_of_records_survives_both_ends() {
    let channel = bytes::Channel::options().capacity_bytes(1 << 21).anonymous().unwrap();
    let (mut sent, mut received) = (0, 0);
    for turn in 1..4 {
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        assert_eq!((tx.records(), rx.records()), (sent, received));
        for _ in 0..turn * 30_000 {
            tx.try_send(b"7 bytes").unwrap();
            sent += 1;
        }
        for _ in 0..turn * 30_000 - 1000 {
            rx.try_recv().unwrap();
            received += 1;
        }
        assert_eq!((tx.records(), rx.records()), (sent, received));
        while rx.len() > 2000 {
            rx.try_recv().unwrap();
            received += 1;
        }
    }
    assert_eq!(channel.snapshot().unwrap().sender().unwrap().records(), sent);
}
