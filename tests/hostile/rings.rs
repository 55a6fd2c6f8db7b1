//! Ends of a ring that do anything, at random.

use std::time::Duration;

use ringway::{Corrupt, bytes, spsc};

use crate::common::lane::Lane;
use crate::verdict::{Sticky, claimed, of_recv_timeout, of_send_timeout, of_try_recv, of_try_send};

/// Too short to wait for anything.
pub const MOMENT: Duration = Duration::from_micros(20);

/// Looks, but not at every message, because looking asks the kernel.
fn now_and_then(random: &mut fastrand::Rng, look: impl FnOnce()) {
    if random.u32(0..8) == 0 {
        look();
    }
}

/// A kind of ring, and one random call on either end of it. The call returns what it found to be corrupt.
pub trait Reckless: Lane {
    /// A small capacity, in the unit of the kind.
    fn small(random: &mut fastrand::Rng) -> u64;
    fn send_somehow(tx: &mut Self::Sender, random: &mut fastrand::Rng) -> Option<Corrupt>;
    fn receive_somehow(rx: &mut Self::Receiver, random: &mut fastrand::Rng) -> Option<Corrupt>;

    /// A small ring in a memfd.
    fn new(random: &mut fastrand::Rng) -> Self {
        Self::sized(Self::small(random)).memfd().unwrap()
    }
}

impl<const N: usize> Reckless for spsc::Channel<[u8; N]> {
    fn small(random: &mut fastrand::Rng) -> u64 {
        random.u64(1..9)
    }

    fn send_somehow(tx: &mut Self::Sender, random: &mut fastrand::Rng) -> Option<Corrupt> {
        assert!(tx.len() <= tx.capacity());
        now_and_then(random, || _ = (tx.is_empty(), tx.is_closed(), tx.has_receiver()));
        match random.u32(0..20) {
            0 => of_send_timeout(tx.send_timeout(&[1; N], MOMENT)),
            1..8 => of_try_send(tx.try_send(&[1; N])),
            8..12 => of_try_send(tx.try_send_some(&[[1; N]; 3])),
            12..14 => of_try_send(tx.try_send_ref()),
            14..17 => of_try_send(tx.try_reserve_many(3).map(|mut slots| {
                let count = random.usize(0..=slots.len());
                (0..count).for_each(|index| slots.write(index, &[3; N]));
                slots.send(count).unwrap();
            })),
            _ => match tx.try_send_ref() {
                Ok(mut slot) => {
                    slot.write(&[2; N]);
                    slot.send().unwrap();
                    None
                }
                error => of_try_send(error),
            },
        }
    }

    fn receive_somehow(rx: &mut Self::Receiver, random: &mut fastrand::Rng) -> Option<Corrupt> {
        assert!(rx.len() <= rx.capacity());
        now_and_then(random, || _ = (rx.is_empty(), rx.is_closed(), rx.has_sender(), rx.is_redelivery()));
        match random.u32(0..20) {
            0 => of_recv_timeout(rx.recv_timeout(MOMENT)),
            1..8 => of_try_recv(rx.try_recv()),
            8..12 => of_try_recv(rx.try_recv_slice(&mut [[0; N]; 3])),
            12..15 => of_try_recv(rx.try_peek_many(4).map(|found| {
                let count = random.usize(0..=found.iter().count());
                found.consume_up_to(count);
            })),
            _ => match rx.try_recv_ref() {
                Ok(slot) => {
                    let (whole, mut part) = (slot.read(), [0]);
                    slot.read_at(N - 1, &mut part);
                    drop((whole, slot));
                    None
                }
                error => of_try_recv(error),
            },
        }
    }
}

impl Reckless for bytes::Channel {
    fn small(_: &mut fastrand::Rng) -> u64 {
        4096
    }

    fn send_somehow(tx: &mut Self::Sender, random: &mut fastrand::Rng) -> Option<Corrupt> {
        let most = tx.max_len();
        now_and_then(random, || _ = (tx.len(), tx.is_empty(), tx.is_closed(), tx.has_receiver()));
        let len = if random.bool() { random.usize(0..200) } else { random.usize(0..most + 20) };
        let record = vec![9; len];
        match random.u32(0..20) {
            0 => of_send_timeout(tx.send_timeout(&record, MOMENT)),
            1..8 => of_try_send(tx.try_send(&record)),
            8..12 => of_try_send(tx.try_send_some(&[&record, b"", &record])),
            12..14 => of_try_send(tx.try_send_ref(len)),
            _ => match tx.try_send_ref(len) {
                Ok(mut slot) => {
                    slot.write_at(0, &record);
                    slot.truncate(len / 2);
                    slot.send().unwrap();
                    None
                }
                error => of_try_send(error),
            },
        }
    }

    fn receive_somehow(rx: &mut Self::Receiver, random: &mut fastrand::Rng) -> Option<Corrupt> {
        let most = rx.capacity() as usize;
        now_and_then(random, || _ = (rx.len(), rx.is_empty(), rx.is_closed(), rx.has_sender(), rx.is_redelivery()));
        match random.u32(0..20) {
            0 => of_recv_timeout(rx.recv_timeout(MOMENT)),
            1..6 => of_try_recv(rx.try_recv().inspect(|record| assert!(record.len() < most))),
            6..10 => {
                let mut buffer = vec![0xA7; if random.bool() { 100 } else { most }];
                let received = rx.try_recv_into(&mut buffer);
                let written = received.as_ref().map_or(0, |len| *len);
                assert!(buffer[written..].iter().all(|byte| *byte == 0xA7), "more was written than was received");
                of_try_recv(received)
            }
            10..13 => of_try_recv(rx.try_recv_slice(&mut [0; 300], &mut [0; 5])),
            13..16 => of_try_recv(rx.try_peek_many().map(|mut ahead| {
                while let Some(record) = ahead.next_record() {
                    assert!(record.len() < most && record.to_vec().len() == record.len());
                }
                let count = random.usize(0..=ahead.seen());
                ahead.consume_up_to(count);
            })),
            _ => match rx.try_recv_ref() {
                Ok(record) => {
                    assert!(record.len() < most && record.to_vec().len() == record.len());
                    None
                }
                error => of_try_recv(error),
            },
        }
    }
}

/// Both ends of a ring, if their seats could be taken.
pub struct Ends<K: Reckless> {
    pub ring: K,
    tx: Option<K::Sender>,
    rx: Option<K::Receiver>,
    sent: Sticky,
    received: Sticky,
}

impl<K: Reckless> Ends<K> {
    pub fn new(ring: K) -> Self {
        let (tx, rx) = (claimed(ring.sender()), claimed(ring.receiver()));
        Self { ring, tx, rx, sent: Sticky::default(), received: Sticky::default() }
    }

    pub fn send(&mut self, random: &mut fastrand::Rng) {
        if let Some(tx) = &mut self.tx {
            self.sent.look(K::send_somehow(tx, random));
        }
    }

    pub fn receive(&mut self, random: &mut fastrand::Rng) {
        if let Some(rx) = &mut self.rx {
            self.received.look(K::receive_somehow(rx, random));
        }
    }

    /// How many ends found the region corrupt.
    pub fn corrupt(&self) -> u32 {
        u32::from(self.sent.is_corrupt()) + u32::from(self.received.is_corrupt())
    }

    pub fn renew_sender(&mut self) {
        self.tx = None;
        (self.tx, self.sent) = (claimed(self.ring.sender()), Sticky::default());
    }

    pub fn renew_receiver(&mut self) {
        self.rx = None;
        (self.rx, self.received) = (claimed(self.ring.receiver()), Sticky::default());
    }

    /// Takes new ends for those that found the region corrupt, or could not be had.
    pub fn renew_corrupt(&mut self) {
        if self.tx.is_none() || self.sent.is_corrupt() {
            self.renew_sender();
        }
        if self.rx.is_none() || self.received.is_corrupt() {
            self.renew_receiver();
        }
    }

    /// Asks for seats that are taken, and copies the region. The copy may be anything, or be refused.
    pub fn look_around(&mut self, random: &mut fastrand::Rng) {
        drop((claimed(self.ring.sender()), claimed(self.ring.receiver())));
        let copy = self.ring.snapshot().ok();
        if let Some(mut rx) = copy.and_then(|copy| claimed(copy.receiver())) {
            K::receive_somehow(&mut rx, random);
        }
    }
}
