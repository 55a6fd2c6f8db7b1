//! A ring that a few messages fill.

use ringway::{bytes, spsc};

use crate::common::lane::Lane;
use crate::common::messages::{Numbered, Packet};

/// How many messages fill a ring.
pub const FULL: u64 = 4;

/// A kind of ring that [`FULL`] messages fill.
pub trait Small: Lane {
    /// Its capacity, in the unit of its kind.
    const CAPACITY: u64;

    /// The length of message `seq`.
    fn length(seq: u64) -> usize;
    /// Moves an empty ring to where the next message, or the next but one, crosses its end.
    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver);

    fn small() -> Self {
        Self::sized(Self::CAPACITY).memfd().unwrap()
    }

    fn message(seq: u64) -> Self::Message {
        Self::make(seq, Self::length(seq))
    }
}

impl Small for spsc::Channel<Packet> {
    const CAPACITY: u64 = FULL;

    fn length(_: u64) -> usize {
        size_of::<Packet>()
    }

    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver) {
        for seq in 500..500 + 2 * FULL - 1 {
            tx.try_send(&Packet::make(seq)).unwrap();
            rx.try_recv().unwrap();
        }
    }
}

impl Small for bytes::Channel {
    const CAPACITY: u64 = 4096;

    /// Any four in a row fill the ring: they take 14, 2, 9 and 485 of its 512 words.
    fn length(seq: u64) -> usize {
        [100, 8, 60, 3872][seq as usize % 4]
    }

    fn pad(tx: &mut Self::Sender, rx: &mut Self::Receiver) {
        tx.try_send(&[0x99; 506 * 8]).unwrap();
        rx.try_recv().unwrap();
    }
}
