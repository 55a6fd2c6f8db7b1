//! The two sides of a ring. A kill may leave one message undecided, and the checks allow for no more.

use std::mem::ManuallyDrop;

use fastrand::Rng;
use ringway::{RecvError, SendError};

use crate::common::lane::{Lane, Receives, Sends};
use crate::ledger::{BY_VALUE, COMMITTED, FIRST, IN_PLACE, Key, LEFT, MODE, NEWS, NOTED, ROUND, Storm, Word};
use crate::ring::{Manner, Ring};

pub const SENDER: usize = 0;

const RECEIVER: usize = 1;

/// Sends from the first number that may not have been sent, until it is killed or told to leave.
pub fn run_sender<L: Lane>(storm: &Storm, ring: &Ring<L>, round: u64, rng: &mut Rng) {
    let manner = Manner::random(rng);
    let mut tx = ring.sender(manner);
    let generation = tx.generation();
    let last = storm.senders.last_before(generation, FIRST);
    storm.sender_begins(generation, round, storm.senders.get(last, COMMITTED) + 1);
    let mut news = 0;
    storm.keep_sending(generation, round, manner, |key| {
        while let Err(error) = ring.send(&mut tx, key.pack(), manner) {
            let SendError::PeerDied { generation: dead } = error else { panic!("{error}") };
            assert!(dead > news, "told of the death of receiver {dead} after that of {news}");
            assert!(storm.may_be_dead(&storm.receivers, RECEIVER, dead), "receiver {dead} is alive");
            news = dead;
            storm.count(Word::NewsToSenders, 1);
        }
    });
    drop(ManuallyDrop::into_inner(tx));
}

/// What a receiver knows of what came before it, and what its predecessors may have taken with them.
struct Inbox<'a> {
    storm: &'a Storm,
    generation: u64,
    last: Key,
    news: u64,
    /// Nothing came yet. A predecessor may have been told what it had no time to note.
    fresh: bool,
    /// How many messages may be lost: one for each predecessor that received by value and noted nothing since.
    may_lack: u64,
    /// The last message may come again: a predecessor that received in place noted it while it held it.
    may_repeat: bool,
}

impl<'a> Inbox<'a> {
    fn inherit(storm: &'a Storm, generation: u64) -> Self {
        let before = &storm.receivers;
        let heir_of = before.last_before(generation, NOTED);
        let by_value = |earlier: &u64| before.get(*earlier, MODE) == BY_VALUE;
        Self {
            storm,
            generation,
            last: Key::unpack(before.get(heir_of, NOTED)),
            news: before.get(before.last_before(generation, NEWS), NEWS),
            fresh: true,
            may_lack: (heir_of..generation).filter(by_value).count() as u64,
            may_repeat: before.get(heir_of, MODE) == IN_PLACE,
        }
    }

    fn message(&mut self, key: u64, again: bool) {
        let (key, last, senders) = (Key::unpack(key), self.last, &self.storm.senders);
        assert!(senders.attempted(key.generation).contains(&key.seq), "{key:?} was never sent");
        assert!(!again || self.fresh, "{key:?} comes again to the same receiver");
        if key == last {
            assert!(again && self.may_repeat, "{key:?} was received before; said to come again: {again}");
            self.storm.count(Word::Again, 1);
        } else {
            assert!(key > last, "{key:?} after {last:?}");
            let lost = senders.sent_between(last, key);
            assert!(lost <= self.may_lack, "{key:?} after {last:?}: {lost} lost, {} may be", self.may_lack);
            self.storm.count(Word::Lost, lost);
        }
        assert!(key.generation > self.news, "{key:?} after the news that its sender died");
        let death = senders.killed_before(key.generation);
        let due = key.generation > last.generation && death >= last.generation.max(1);
        assert!(!due || self.fresh || self.news == death, "{key:?} after {last:?}, without the news of {death}");
        (self.last, self.fresh, self.may_lack, self.may_repeat) = (key, false, 0, false);
        self.storm.receivers.set(self.generation, NOTED, key.pack());
        self.storm.count(Word::Messages, 1);
    }

    fn death(&mut self, dead: u64) {
        let (last, senders) = (self.last, &self.storm.senders);
        assert!(dead > self.news, "told of the death of sender {dead} after that of {}", self.news);
        assert!(dead >= last.generation, "told of the death of sender {dead} after {last:?}");
        assert!(self.storm.may_be_dead(senders, SENDER, dead), "sender {dead} left, or is alive; I know {last:?}");
        let rest = senders.sent_since(last, dead);
        assert!(rest <= self.may_lack, "told of the death of sender {dead} after {last:?}, {rest} too early");
        (self.news, self.fresh, self.may_repeat) = (dead, false, false);
        self.storm.receivers.set(self.generation, NEWS, dead);
        self.storm.count(Word::NewsToReceivers, 1);
    }

    /// Nothing says which of those that left was meant, so it must be true of one of them.
    fn leaving(&self) {
        let (last, senders) = (self.last, &self.storm.senders);
        let newest = self.storm.get(Word::Newest);
        let reported =
            |gone: u64| self.fresh || senders.killed_before(gone) <= self.news.max(last.generation.saturating_sub(1));
        let drained = |gone: u64| senders.sent_since(last, gone) <= self.may_lack;
        let mut gone = (last.generation.max(1)..=newest).filter(|gone| senders.get(*gone, LEFT) == 1);
        assert!(
            gone.any(|gone| reported(gone) && drained(gone)),
            "closed after {last:?} and the news of {}",
            self.news
        );
        self.storm.count(Word::Leavings, 1);
    }
}

pub fn run_receiver<L: Lane>(storm: &Storm, ring: &Ring<L>, round: u64, rng: &mut Rng) {
    let manner = Manner::random(rng);
    let mut rx = ring.receiver(manner);
    let generation = rx.generation();
    let mut inbox = Inbox::inherit(storm, generation);
    storm.receivers.set(generation, ROUND, round);
    storm.receivers.set(generation, MODE, if manner.in_place { IN_PLACE } else { BY_VALUE });
    storm.set(Word::UnderWay, RECEIVER, round);
    loop {
        let mut note = |key, again| {
            inbox.message(key, again);
            manner.lag(key);
        };
        match ring.recv(&mut rx, manner, &mut note) {
            Ok(()) => {}
            Err(RecvError::PeerDied { generation }) => inbox.death(generation),
            Err(RecvError::Closed) => {
                inbox.leaving();
                if storm.is_over() && storm.senders.sent_since(inbox.last, storm.get(Word::Newest)) == 0 {
                    return;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}
