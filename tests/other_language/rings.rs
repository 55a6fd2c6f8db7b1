//! Messages that wait, at every offset of both rings.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use ringway::{bytes, spsc};

use crate::common::header;
use crate::common::messages::{Numbered, Packet, record};
use crate::reader::{Moments, can_read, hex, lines, read, read_all};

/// The lines that name these messages.
fn told(waiting: &VecDeque<(u64, Vec<u8>)>) -> Vec<String> {
    waiting.iter().map(|(position, message)| format!("{position}: {}", hex(message))).collect()
}

/// Fills the ring, takes some, and so on, for more than three laps.
fn slots<T: Numbered>(slots: u64, at_once: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = spsc::Channel::<T>::create(&path, slots).unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let (mut waiting, mut moments) = (VecDeque::new(), Moments::new("message at "));
    moments.add(&path, told(&waiting));
    while tx.position() < 3 * slots + 2 {
        while tx.len() < slots {
            let (position, message) = (tx.position(), T::make(tx.position()));
            tx.send(&message).unwrap();
            waiting.push_back((position, message.as_bytes().to_vec()));
            moments.add(&path, told(&waiting));
        }
        for _ in 0..at_once {
            rx.recv().unwrap();
            waiting.pop_front();
        }
        moments.add(&path, told(&waiting));
    }
    while rx.try_recv().is_ok() {}
    waiting.clear();
    moments.add(&path, told(&waiting));
    moments.check();
}

#[test]
fn values_wait_in_slots_of_every_size() {
    if can_read() {
        slots::<u64>(3, 2);
        slots::<[u8; 3]>(1, 1);
        slots::<[u8; 41]>(5, 3);
        slots::<Packet>(7, 4);
    }
}

/// Records of all lengths, the empty one among them, also across the end of the ring.
#[test]
fn records_wait_at_every_offset() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = bytes::Channel::create(&path, 4096).unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let (mut waiting, mut moments) = (VecDeque::new(), Moments::new("message at "));
    let mut send = |message: Vec<u8>, waiting: &mut VecDeque<_>| {
        let position = tx.position();
        let sent = tx.try_send(&message).is_ok();
        if sent {
            waiting.push_back((position, message));
        }
        sent
    };
    moments.add(&path, told(&waiting));
    assert!(send(Vec::new(), &mut waiting));
    moments.add(&path, told(&waiting));
    let mut crossed = 0;
    for seq in 0..1000 {
        while !send(record(seq, 1000), &mut waiting) {
            rx.recv().unwrap();
            waiting.pop_front();
        }
        let (position, message) = waiting.back().unwrap();
        let first = (position - 1) % 512 * 8;
        let crosses = first + 8 + message.len() as u64 > 4096;
        crossed += u32::from(crosses);
        if crosses || seq % 50 == 49 {
            moments.add(&path, told(&waiting));
        }
    }
    assert!(crossed > 10, "{crossed} records crossed the end");
    while rx.try_recv().is_ok() {}
    waiting.clear();
    moments.add(&path, told(&waiting));
    // The longest, and nothing beside it.
    assert!(send(vec![0xA5; channel.max_len()], &mut waiting));
    moments.add(&path, told(&waiting));
    moments.check();
}

/// The header says what the ring carries.
#[test]
fn a_ring_says_its_kind_type_and_schema() {
    if !can_read() {
        return;
    }
    #[ringway::message]
    #[repr(C)]
    struct Größe {
        höhe: f32,
    }
    let dir = tempfile::tempdir().unwrap();
    let [slots, records, raw] = ["slots", "records", "raw"].map(|name| dir.path().join(name));
    spsc::Channel::<Größe>::create(&slots, 4).unwrap();
    bytes::Channel::create(&records, 4096).unwrap();
    spsc::raw::Channel::options().capacity(2).type_layout(12, 4).type_name("it's \u{1b}[m").create(&raw).unwrap();
    let [slots, records, raw]: [String; 3] = read_all(&[slots, records, raw]).try_into().unwrap();
    assert!(slots.starts_with("kind: spsc\ntype: 'Größe', 4 bytes\nschema: {höhe:f32@0}\n"));
    assert!(records.starts_with("kind: bytes\ntype: '[u8]', 1 bytes\nschema: none\n"));
    assert!(raw.starts_with("kind: spsc\ntype: \"it's \\x1b[m\", 12 bytes\nschema: none\n"));
}

/// A batch whose first stamp is not there yet.
#[test]
fn what_lies_behind_a_gap_does_not_wait() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = spsc::Channel::<u64>::create(&path, 4).unwrap();
    channel.sender().unwrap().send_slice(&[1, 2, 3]).unwrap();
    assert_eq!(lines(&read(&path), "message at ").len(), 3);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut page = [0; header::PAGE];
    file.read_exact_at(&mut page, 0).unwrap();
    let data = header::number(&page, header::DATA_OFFSET);
    file.write_all_at(&[0; 8], data + 8).unwrap();
    assert_eq!(lines(&read(&path), "message at "), [""; 0]);
}
