//! What every process says of itself, on pages that outlive it: what it is about to do, and what it has done.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::common::board::Board;
use crate::ring::Manner;

/// The name of a message: the generation of its sender, and its number in the whole sequence. Later messages have
/// greater names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub generation: u64,
    pub seq: u64,
}

const SEQ_BITS: u32 = 28;

impl Key {
    pub fn pack(self) -> u64 {
        assert!(self.seq < 1 << SEQ_BITS);
        self.generation << SEQ_BITS | self.seq
    }

    pub fn unpack(word: u64) -> Self {
        Self { generation: word >> SEQ_BITS, seq: word & ((1 << SEQ_BITS) - 1) }
    }
}

/// Eight words for each generation of a seat. Only the process of that generation writes them.
pub struct Ledger(Vec<Board>);

const ROW: usize = 8;

const ROWS: usize = 512 / ROW;

/// The number of its first message. 0: it was never under way.
pub const FIRST: usize = 0;

/// The greatest number that it may have sent.
pub const ATTEMPTED: usize = 1;

/// The greatest number that it has sent.
pub const COMMITTED: usize = 2;

/// It is about to leave, and nobody kills it.
pub const LEFT: usize = 3;

/// The round in which it was forked.
pub const ROUND: usize = 4;

/// How it receives, when it begins: [`BY_VALUE`] or [`IN_PLACE`].
pub const MODE: usize = 5;

/// The message it received last.
pub const NOTED: usize = 6;

/// The last death it was told of.
pub const NEWS: usize = 7;

pub const BY_VALUE: u64 = 1;

pub const IN_PLACE: u64 = 2;

impl Ledger {
    pub fn new(generations: u64) -> Self {
        Self((0..=generations as usize / ROWS).map(|_| Board::new()).collect())
    }

    pub fn word(&self, generation: u64, field: usize) -> &AtomicU64 {
        let row = generation as usize;
        &self.0[row / ROWS][row % ROWS * ROW + field]
    }

    pub fn get(&self, generation: u64, field: usize) -> u64 {
        self.word(generation, field).load(SeqCst)
    }

    pub fn set(&self, generation: u64, field: usize, value: u64) {
        self.word(generation, field).store(value, SeqCst);
    }

    pub fn last_before(&self, generation: u64, field: usize) -> u64 {
        (1..generation).rev().find(|earlier| self.get(*earlier, field) != 0).unwrap_or(0)
    }

    /// How many messages a generation has surely sent.
    fn sent(&self, generation: u64) -> u64 {
        match self.get(generation, FIRST) {
            0 => 0,
            first => self.get(generation, COMMITTED) + 1 - first,
        }
    }

    pub fn attempted(&self, generation: u64) -> RangeInclusive<u64> {
        self.get(generation, FIRST).max(1)..=self.get(generation, ATTEMPTED)
    }

    /// How many messages after `last` the generations up to `generation` have surely sent.
    pub fn sent_since(&self, last: Key, generation: u64) -> u64 {
        let rest = self.get(last.generation, COMMITTED).saturating_sub(last.seq);
        rest + (last.generation + 1..=generation).map(|later| self.sent(later)).sum::<u64>()
    }

    /// How many messages were surely sent between two others.
    pub fn sent_between(&self, last: Key, next: Key) -> u64 {
        if last.generation == next.generation {
            return next.seq - last.seq - 1;
        }
        self.sent_since(last, next.generation - 1) + next.seq - self.get(next.generation, FIRST)
    }

    /// The last generation before this one that ended without leaving.
    pub fn killed_before(&self, generation: u64) -> u64 {
        (1..generation).rev().find(|earlier| self.get(*earlier, LEFT) == 0).unwrap_or(0)
    }
}

/// The words of the board of a storm.
#[derive(Clone, Copy)]
pub enum Word {
    /// The sender leaves in this round.
    Stop,
    /// The storm is over once the sender has left.
    Finish,
    /// The first member of the cast to fail, counted from 1.
    Culprit,
    /// The newest sender's generation.
    Newest,
    Messages,
    /// Sends of which nobody knows whether they were done, because the sender died.
    Undecided,
    Lost,
    Again,
    NewsToReceivers,
    NewsToSenders,
    Leavings,
    /// One word for each member of the cast: the round in which it was forked, once it is under way.
    UnderWay = 100,
    /// The round of the last member that was killed.
    Killed = 200,
    /// What each reader saw last.
    Seen = 300,
}

pub struct Storm {
    pub senders: Ledger,
    pub receivers: Ledger,
    pub board: Board,
}

impl Storm {
    pub fn new(generations: u64) -> Self {
        Self { senders: Ledger::new(generations), receivers: Ledger::new(generations), board: Board::new() }
    }

    pub fn word(&self, word: Word, index: usize) -> &AtomicU64 {
        &self.board[word as usize + index]
    }

    pub fn get(&self, word: Word) -> u64 {
        self.word(word, 0).load(SeqCst)
    }

    pub fn set(&self, word: Word, index: usize, value: u64) {
        self.word(word, index).store(value, SeqCst);
    }

    pub fn count(&self, word: Word, more: u64) {
        self.word(word, 0).fetch_add(more, SeqCst);
    }

    /// Whether the holder of a seat may have died: it did not leave, and was forked no later than the last member that
    /// was killed.
    pub fn may_be_dead(&self, ledger: &Ledger, member: usize, generation: u64) -> bool {
        let killed = self.word(Word::Killed, member).load(SeqCst);
        ledger.get(generation, LEFT) == 0 && ledger.get(generation, ROUND) <= killed
    }

    /// Writes the first entry of a sender: where it goes on.
    pub fn sender_begins(&self, generation: u64, round: u64, first: u64) {
        for (field, value) in [(ROUND, round), (COMMITTED, first - 1), (ATTEMPTED, first - 1), (FIRST, first)] {
            self.senders.set(generation, field, value);
        }
        self.set(Word::Newest, 0, generation);
        self.set(Word::UnderWay, 0, round);
    }

    /// Sends the next messages by `send`, until it is told to stop.
    pub fn keep_sending(&self, generation: u64, round: u64, manner: Manner, mut send: impl FnMut(Key)) {
        let mut seq = self.senders.get(generation, FIRST);
        while self.get(Word::Stop) < round {
            manner.lag(seq);
            self.senders.set(generation, ATTEMPTED, seq);
            send(Key { generation, seq });
            self.senders.set(generation, COMMITTED, seq);
            seq += 1;
        }
        self.senders.set(generation, LEFT, 1);
    }

    /// Whether the storm is over, for a process that sees nobody at the other end.
    pub fn is_over(&self) -> bool {
        if self.get(Word::Finish) == 1 && self.senders.get(self.get(Word::Newest), LEFT) == 1 {
            return true;
        }
        std::thread::sleep(Duration::from_micros(50));
        false
    }
}
