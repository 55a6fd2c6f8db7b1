//! The two sides of a seqlock.

use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering::SeqCst;

use fastrand::Rng;
use ringway::{ChangedError, seqlock};

use crate::common::messages::Latest;
use crate::ledger::{ATTEMPTED, COMMITTED, FIRST, Key, LEFT, Storm, Word};
use crate::ring::{Manner, insist};
use crate::ring_sides::SENDER;

/// Writes versions. The content of each is its key.
pub fn run_writer<const WORDS: usize>(
    storm: &Storm,
    channel: &seqlock::Channel<Latest<WORDS>>,
    round: u64,
    rng: &mut Rng,
) {
    let mut writer = insist(|| channel.writer());
    let (generation, manner) = (writer.generation(), Manner::random(rng));
    let last = storm.senders.last_before(generation, FIRST);
    let possible = storm.senders.get(last, COMMITTED)..=storm.senders.get(last, ATTEMPTED);
    assert!(possible.contains(&writer.version()), "goes on at {}, not {possible:?}", writer.version());
    storm.sender_begins(generation, round, writer.version() + 1);
    storm.keep_sending(generation, round, manner, |key| {
        writer.write(&Latest::make(key.pack())).unwrap();
        assert_eq!(writer.version(), key.seq);
    });
    drop(ManuallyDrop::into_inner(writer));
}

/// Watches the versions go by.
pub fn run_reader<const WORDS: usize>(
    storm: &Storm,
    channel: &seqlock::Channel<Latest<WORDS>>,
    member: usize,
    round: u64,
    rng: &mut Rng,
) {
    let senders = &storm.senders;
    let (mut reader, manner) = (channel.reader(), Manner::random(rng));
    reader.set_wait(manner.wait);
    let mut last = Key::unpack(storm.word(Word::Seen, member).load(SeqCst));
    let mut news = 0;
    storm.set(Word::UnderWay, member, round);
    loop {
        match reader.changed() {
            Ok(()) => {
                let value = reader.read().unwrap();
                value.check();
                let key = Key::unpack(value.version());
                assert_eq!(key.seq, reader.version());
                assert!(senders.attempted(key.generation).contains(&key.seq), "{key:?} was never written");
                assert!(key >= last && (key == last) == (key.seq == last.seq), "{key:?} after {last:?}");
                last = key;
                storm.set(Word::Seen, member, key.pack());
                storm.count(Word::Messages, 1);
                manner.lag(key.seq);
            }
            Err(ChangedError::PeerDied { generation: dead }) => {
                assert!(dead > news, "told of the death of writer {dead} after that of {news}");
                assert!(storm.may_be_dead(senders, SENDER, dead), "writer {dead} left, or is alive");
                let due = senders.get(senders.last_before(dead + 1, FIRST), COMMITTED);
                assert!(last.seq >= due, "told of the death of writer {dead} after {last:?}, before version {due}");
                news = dead;
                storm.count(Word::NewsToReceivers, 1);
            }
            Err(ChangedError::Closed) => {
                let newest = storm.get(Word::Newest);
                let seen = |gone: u64| senders.get(gone, LEFT) == 1 && senders.get(gone, COMMITTED) <= last.seq;
                assert!((1..=newest).rev().any(seen), "closed after {last:?}");
                storm.count(Word::Leavings, 1);
                if storm.is_over() && last.seq == senders.get(storm.get(Word::Newest), COMMITTED) {
                    return;
                }
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}
