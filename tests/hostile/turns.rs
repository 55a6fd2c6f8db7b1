//! A peer in the same process that overwrites a word between any two calls. The number of its round makes a failure
//! repeatable.

use std::sync::atomic::Ordering::Relaxed;

use ringway::{Fault, ReadError, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::raw::Raw;
use crate::numbers::evil;
use crate::rings::{Ends, MOMENT, Reckless};
use crate::verdict::claimed;

const ROUNDS: u64 = 3000;

/// Overwrites a word of the control page or one of the first `words` of the data area, but not in a seat.
pub fn scribble(raw: &Raw, random: &mut fastrand::Rng, near: u64, words: usize) {
    let value = evil(random, near);
    match random.u32(0..10) {
        0..3 => raw.head().store(value, Relaxed),
        3 if random.bool() => raw.reported().store(value, Relaxed),
        3 => raw.lent().store(value, Relaxed),
        4 => raw.data_wait().store(value as u32, Relaxed),
        5 => raw.space_wait().store(value as u32, Relaxed),
        _ => raw.data(random.usize(0..words)).store(value, Relaxed),
    }
}

pub fn scribble_seat(raw: &Raw, random: &mut fastrand::Rng) {
    let seat = random.usize(0..2);
    let word = [raw.holder(seat), raw.generation(seat), raw.died(seat)][random.usize(0..3)];
    let value = match random.u32(0..4) {
        0 => 0,
        1 => u64::MAX << 48,
        _ => evil(random, word.load(Relaxed)),
    };
    word.store(value, Relaxed);
}

fn take_turns<K: Reckless>(rounds: u64) {
    let mut found = 0;
    for round in 0..rounds {
        println!("round {round}");
        let mut random = fastrand::Rng::with_seed(round);
        let ring = K::new(&mut random);
        let raw = Raw::new(ring.region().fd().unwrap());
        let mut ends = Ends::new(ring);
        for _ in 0..40 {
            let near = raw.head().load(Relaxed).min(1 << 20);
            match random.u32(0..20) {
                0..8 => ends.send(&mut random),
                8..14 => ends.receive(&mut random),
                // Overwrites the place of the next header or stamp, or one near it.
                14 => {
                    let at = (near as usize).wrapping_sub(1) % raw.data_words();
                    raw.data(at).store(evil(&mut random, near), Relaxed);
                }
                15..18 => scribble(&raw, &mut random, near, 32),
                18 => scribble_seat(&raw, &mut random),
                _ => {
                    ends.look_around(&mut random);
                    if random.bool() { ends.renew_sender() } else { ends.renew_receiver() }
                }
            }
        }
        found += ends.corrupt();
    }
    assert!(u64::from(found) > rounds / 4, "only {found} times was anything found");
}

#[test]
fn a_hostile_peer_of_a_slot_ring_does_no_harm() {
    alone(|| take_turns::<spsc::Channel<[u8; 16]>>(ROUNDS));
}

#[test]
fn a_hostile_peer_of_a_record_ring_does_no_harm() {
    alone(|| take_turns::<bytes::Channel>(ROUNDS));
}

#[test]
fn a_hostile_peer_of_a_seqlock_does_no_harm() {
    alone(|| {
        let mut found = 0;
        for round in 0..ROUNDS {
            println!("round {round}");
            let mut random = fastrand::Rng::with_seed(round);
            let channel = seqlock::Channel::<[u64; 4]>::options().memfd().unwrap();
            let raw = Raw::new(channel.region().fd().unwrap());
            let mut writer = claimed(channel.writer());
            let mut reader = channel.reader();
            for _ in 0..40 {
                let latest = raw.latest().load(Relaxed);
                match random.u32(0..20) {
                    0..6 => {
                        if let Some(writer) = &mut writer {
                            writer.write(&[round; 4]).unwrap();
                        }
                    }
                    6..12 => match reader.read() {
                        Ok(_) => assert_eq!(reader.version(), latest),
                        Err(ReadError::Corrupt(corrupt)) => {
                            assert_eq!((corrupt.fault, corrupt.found), (Fault::Version, latest));
                            assert!(latest >= 1 << 62);
                            found += 1;
                        }
                        Err(other) => panic!("{other:?}"),
                    },
                    12 => {
                        let _ = (reader.has_changed(), reader.has_writer(), reader.changed_timeout(MOMENT));
                    }
                    13..15 => raw.latest().store(u64::MAX - random.u64(0..1 << 62), Relaxed),
                    // Marks are left alone, because a reader may wait for one.
                    15 => raw.data(random.usize(0..100) * 8 + random.usize(0..4)).store(random.u64(..), Relaxed),
                    16 => raw.data_wait().store(random.u32(..), Relaxed),
                    17 => scribble_seat(&raw, &mut random),
                    18 => {
                        if let Some(writer) = &mut writer {
                            // Makes the version possible again.
                            raw.latest().store(writer.version(), Relaxed);
                        }
                    }
                    _ => {
                        writer = claimed(channel.writer()).or(writer);
                        let _ = channel.snapshot().map(|copy| copy.reader().has_changed());
                    }
                }
            }
        }
        assert!(found > ROUNDS, "only {found} times was anything found");
    });
}
