//! Seats, and the deaths of their holders.

use std::mem::forget;

use ringway::{RecvError, bytes, spsc};

use crate::common::child::in_child;
use crate::reader::{can_read, hex, lines, read};

#[test]
fn a_seat_names_its_holder_and_counts_its_turns() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = spsc::Channel::<u64>::create(&path, 4).unwrap();
    assert_eq!(lines(&read(&path), "sender: "), ["nobody, generation 0, died 0"]);
    drop(channel.sender().unwrap());
    let (_tx, _rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let (said, this) = (read(&path), std::process::id());
    assert_eq!(lines(&said, "sender: "), [format!("process {this}, generation 2, died 0")]);
    assert_eq!(lines(&said, "receiver: "), [format!("process {this}, generation 1, died 0")]);
}

/// The first message of a dead sender's successor carries the news in its stamp.
#[test]
fn a_stamp_that_brings_news_of_a_death_is_read() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = spsc::Channel::<u64>::create(&path, 4).unwrap();
    in_child("the sender", || {
        let mut tx = channel.sender().unwrap();
        tx.send(&1).unwrap();
        forget(tx);
    });
    let mut tx = channel.sender().unwrap();
    [2, 3].iter().for_each(|value| tx.send(value).unwrap());
    let said = read(&path);
    let values = [1u64, 2, 3].map(|value| format!("{value}: {}", hex(&value.to_ne_bytes())));
    assert_eq!(lines(&said, "message at "), values);
    let this = std::process::id();
    assert_eq!(lines(&said, "sender: "), [format!("process {this}, generation 2, died 1")]);
    let mut rx = channel.receiver().unwrap();
    let received: Vec<_> = (0..4).map(|_| rx.recv()).collect();
    assert_eq!(received, [Ok(1), Err(RecvError::PeerDied { generation: 1 }), Ok(2), Ok(3)]);
}

/// And that of a ring of records in its header.
#[test]
fn a_record_that_brings_news_of_a_death_is_read() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = bytes::Channel::create(&path, 4096).unwrap();
    // The notice lies in the place of all bits of the position but the low 13.
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    for _ in 0..100 {
        tx.send(&[0; 4000]).unwrap();
        rx.recv().unwrap();
    }
    drop((tx, rx));
    in_child("the sender", || {
        let mut tx = channel.sender().unwrap();
        tx.send(b"first").unwrap();
        forget(tx);
    });
    let mut tx = channel.sender().unwrap();
    assert!(tx.position() > 1 << 13);
    ["", "third"].iter().for_each(|record| tx.send(record.as_bytes()).unwrap());
    let said = read(&path);
    let records: Vec<_> = lines(&said, "message at ").iter().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(records, [hex(b"first").as_str(), "", &hex(b"third")]);
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.recv().as_deref(), Ok(&b"first"[..]));
    assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 2 }));
    assert_eq!(rx.recv().as_deref(), Ok(&b""[..]));
}
