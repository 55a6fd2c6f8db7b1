//! Sudden death under load: storms in which either side, or both, are killed at any moment and followed by
//! others; how soon the survivor hears of it; and a worker that the kernel ends for want of memory.
//!
//! The oracle is a [`Ledger`] beside the channel, in which every process says what it is about to do and what it
//! has done. Whatever a kill leaves undecided by one message, and no more, is allowed for.
#![cfg(not(loom))]

mod common;

use std::cell::Cell;
use std::fs;
use std::io::{IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use ringway::{ChangedError, ClaimError, RecvError, SendError, Wait, bytes, seqlock, spsc};

use crate::common::board::Board;
use crate::common::child::{Child, deadline, fork, in_child};
use crate::common::messages::{Latest, Numbered, Packet, check_record, mix, record};
use crate::common::say::{say, skip};

/// One storm at a time: what they measure and how they are scheduled is not each other's business.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says which random numbers a failure came from.
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        Self(std::env::var("RINGWAY_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap()))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("with RINGWAY_TEST_SEED={}", self.0));
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// What everyone says of himself.

/// A message's name: the generation of its sender, and its number in the sequence of all of them. Later messages
/// have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    generation: u64,
    seq: u64,
}

const SEQ_BITS: u32 = 28;

impl Key {
    fn pack(self) -> u64 {
        assert!(self.seq < 1 << SEQ_BITS);
        self.generation << SEQ_BITS | self.seq
    }

    fn unpack(word: u64) -> Self {
        Self { generation: word >> SEQ_BITS, seq: word & ((1 << SEQ_BITS) - 1) }
    }
}

/// Eight words for each generation of a seat, each written by that generation's process alone.
struct Ledger(Vec<Board>);

const ROW: usize = 8;
const ROWS: usize = 512 / ROW;

/// The first number it sends; 0: it was never under way.
const FIRST: usize = 0;
/// The greatest number it may have sent.
const ATTEMPTED: usize = 1;
/// The greatest number it has sent.
const COMMITTED: usize = 2;
/// It is about to leave, and nobody kills it.
const LEFT: usize = 3;
/// The round in which it was forked.
const ROUND: usize = 4;
/// How it receives, once it may: [`BY_VALUE`] or [`IN_PLACE`].
const MODE: usize = 5;
/// The message it received last.
const NOTED: usize = 6;
/// The last death it was told of.
const NEWS: usize = 7;

const BY_VALUE: u64 = 1;
const IN_PLACE: u64 = 2;

impl Ledger {
    fn new(generations: u64) -> Self {
        Self((0..=generations as usize / ROWS).map(|_| Board::new()).collect())
    }

    fn word(&self, generation: u64, field: usize) -> &AtomicU64 {
        let row = generation as usize;
        &self.0[row / ROWS][row % ROWS * ROW + field]
    }

    fn get(&self, generation: u64, field: usize) -> u64 {
        self.word(generation, field).load(SeqCst)
    }

    fn set(&self, generation: u64, field: usize, value: u64) {
        self.word(generation, field).store(value, SeqCst);
    }

    fn last_before(&self, generation: u64, field: usize) -> u64 {
        (1..generation).rev().find(|earlier| self.get(*earlier, field) != 0).unwrap_or(0)
    }

    /// How many messages of a generation were surely sent.
    fn sent(&self, generation: u64) -> u64 {
        match self.get(generation, FIRST) {
            0 => 0,
            first => self.get(generation, COMMITTED) + 1 - first,
        }
    }

    fn attempted(&self, generation: u64) -> RangeInclusive<u64> {
        self.get(generation, FIRST).max(1)..=self.get(generation, ATTEMPTED)
    }

    /// How many messages after `last` were surely sent by generations up to `generation`.
    fn sent_since(&self, last: Key, generation: u64) -> u64 {
        let rest = self.get(last.generation, COMMITTED).saturating_sub(last.seq);
        rest + (last.generation + 1..=generation).map(|later| self.sent(later)).sum::<u64>()
    }

    /// How many messages were surely sent between two.
    fn sent_between(&self, last: Key, next: Key) -> u64 {
        if last.generation == next.generation {
            return next.seq - last.seq - 1;
        }
        self.sent_since(last, next.generation - 1) + next.seq - self.get(next.generation, FIRST)
    }

    /// The last generation before this one that did not leave, but ended.
    fn killed_before(&self, generation: u64) -> u64 {
        (1..generation).rev().find(|earlier| self.get(*earlier, LEFT) == 0).unwrap_or(0)
    }
}

/// Words of a storm's board.
#[derive(Clone, Copy)]
enum Word {
    /// The sender leaves in this round.
    Stop,
    /// The storm is over once the sender has left.
    Finish,
    /// The first member of the cast to fail, counted from 1.
    Culprit,
    /// The newest sender's generation.
    Newest,
    Messages,
    /// Sends of which the dead left nobody knowing whether they were done.
    Undecided,
    Lost,
    Again,
    NewsToReceivers,
    NewsToSenders,
    Leavings,
    /// One for each member of the cast: the round in which it was forked, once it is under way.
    UnderWay = 100,
    /// The round of the last one that was killed.
    Killed = 200,
    /// What each reader saw last.
    Seen = 300,
}

struct Storm {
    senders: Ledger,
    receivers: Ledger,
    board: Board,
}

impl Storm {
    fn new(generations: u64) -> Self {
        Self { senders: Ledger::new(generations), receivers: Ledger::new(generations), board: Board::new() }
    }

    fn word(&self, word: Word, index: usize) -> &AtomicU64 {
        &self.board[word as usize + index]
    }

    fn get(&self, word: Word) -> u64 {
        self.word(word, 0).load(SeqCst)
    }

    fn set(&self, word: Word, index: usize, value: u64) {
        self.word(word, index).store(value, SeqCst);
    }

    fn count(&self, word: Word, more: u64) {
        self.word(word, 0).fetch_add(more, SeqCst);
    }

    /// Whether a seat's holder may have died: it did not leave, and was not forked after the last that was killed.
    fn may_be_dead(&self, ledger: &Ledger, member: usize, generation: u64) -> bool {
        let killed = self.word(Word::Killed, member).load(SeqCst);
        ledger.get(generation, LEFT) == 0 && ledger.get(generation, ROUND) <= killed
    }

    /// A sender's first entry: where it goes on.
    fn sender_begins(&self, generation: u64, round: u64, first: u64) {
        for (field, value) in [(ROUND, round), (COMMITTED, first - 1), (ATTEMPTED, first - 1), (FIRST, first)] {
            self.senders.set(generation, field, value);
        }
        self.set(Word::Newest, 0, generation);
        self.set(Word::UnderWay, 0, round);
    }

    /// Sends what follows, by `send`, until it is told to stop.
    fn keep_sending(&self, generation: u64, round: u64, manner: Manner, mut send: impl FnMut(Key)) {
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

    /// Whether the storm is over, for one who sees nobody at the other end.
    fn is_over(&self) -> bool {
        if self.get(Word::Finish) == 1 && self.senders.get(self.get(Word::Newest), LEFT) == 1 {
            return true;
        }
        std::thread::sleep(Duration::from_micros(50));
        false
    }
}

/// Takes a seat, whose last holder was killed, but the kernel may not be done with it yet. Who panics does not leave
/// it: that would mislead the others.
fn insist<T>(mut claim: impl FnMut() -> Result<T, ClaimError>) -> ManuallyDrop<T> {
    let limit = Instant::now() + deadline();
    loop {
        match claim() {
            Ok(seat) => return ManuallyDrop::new(seat),
            Err(ClaimError::Taken { .. }) if Instant::now() < limit => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// The channels under test, seen alike.

/// How a process behaves at its end of a channel.
#[derive(Clone, Copy)]
struct Manner {
    wait: Wait,
    in_place: bool,
    /// It takes its time now and then, so that its peer goes to sleep.
    lags: bool,
}

impl Manner {
    fn random(rng: &mut Rng) -> Self {
        let wait = rng.choice([Wait::Spin, Wait::SpinThenSleep(Duration::from_micros(50)), Wait::Sleep]).unwrap();
        Self { wait, in_place: rng.bool(), lags: rng.bool() }
    }

    fn lag(self, seq: u64) {
        if self.lags && mix(seq).is_multiple_of(16) {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A ring's sender. Dropping it leaves the seat.
struct Tx {
    generation: u64,
    send: Box<dyn FnMut(u64) -> Result<(), SendError>>,
}

/// A ring's receiver. Dropping it leaves the seat.
struct Rx {
    generation: u64,
    recv: Box<Recv>,
}

type Recv = dyn FnMut(&mut Note<'_>) -> Result<(), RecvError>;

/// Is given a message and whether it is said to come again; where it is received in place, before it is given back.
type Note<'a> = dyn FnMut(u64, bool) + 'a;

/// A message of a fixed size that carries a key.
trait Keyed: Numbered {
    fn key(&self) -> u64;

    fn checked(&self) -> u64 {
        self.check(self.key());
        self.key()
    }
}

impl Keyed for u64 {
    fn key(&self) -> u64 {
        self >> 24
    }
}

impl Keyed for Packet {
    fn key(&self) -> u64 {
        self.seq
    }
}

fn slot_tx<T: Keyed>(channel: &spsc::Channel<T>, manner: Manner) -> Result<Tx, ClaimError> {
    let mut tx = channel.sender()?;
    tx.set_wait(manner.wait);
    let generation = tx.generation();
    let send = move |key| {
        let value = T::make(key);
        if !manner.in_place {
            return tx.send(&value);
        }
        let mut slot = tx.send_ref()?;
        let (front, back) = value.as_bytes().split_at(size_of::<T>() / 2);
        slot.write_at(front.len(), back);
        slot.write_at(0, front);
        slot.send()
    };
    Ok(Tx { generation, send: Box::new(send) })
}

fn slot_rx<T: Keyed>(channel: &spsc::Channel<T>, manner: Manner) -> Result<Rx, ClaimError> {
    let mut rx = channel.receiver()?;
    rx.set_wait(manner.wait);
    let generation = rx.generation();
    let recv = move |note: &mut Note<'_>| {
        if manner.in_place {
            let slot = rx.recv_ref()?;
            note(slot.read().checked(), slot.is_redelivery());
        } else {
            let again = rx.is_redelivery();
            note(rx.recv()?.checked(), again);
        }
        Ok(())
    };
    Ok(Rx { generation, recv: Box::new(recv) })
}

/// The longest record's content: at least three fit.
fn most(channel: &bytes::Channel) -> usize {
    (channel.max_len() / 4).min(2000)
}

/// A record: its key, and content of a length that follows from it, up to `most`.
fn keyed_record(key: u64, most: usize) -> Vec<u8> {
    [&key.to_le_bytes(), &record(key, most)[..]].concat()
}

fn key_of_record(found: &[u8], most: usize) -> u64 {
    let (key, content) = found.split_first_chunk().expect("a record with a key");
    let key = u64::from_le_bytes(*key);
    check_record(content, key, most);
    key
}

fn record_tx(channel: &bytes::Channel, manner: Manner) -> Result<Tx, ClaimError> {
    let (mut tx, most) = (channel.sender()?, most(channel));
    tx.set_wait(manner.wait);
    let generation = tx.generation();
    let send = move |key| {
        let record = keyed_record(key, most);
        if !manner.in_place {
            return tx.send(&record);
        }
        let mut space = tx.send_ref(record.len() + 8)?;
        space.write_at(0, &record);
        space.truncate(record.len());
        space.send()
    };
    Ok(Tx { generation, send: Box::new(send) })
}

fn record_rx(channel: &bytes::Channel, manner: Manner) -> Result<Rx, ClaimError> {
    let (mut rx, most) = (channel.receiver()?, most(channel));
    rx.set_wait(manner.wait);
    let generation = rx.generation();
    let recv = move |note: &mut Note<'_>| {
        if manner.in_place {
            let record = rx.recv_ref()?;
            note(key_of_record(&record.to_vec(), most), record.is_redelivery());
        } else {
            let again = rx.is_redelivery();
            note(key_of_record(&rx.recv()?, most), again);
        }
        Ok(())
    };
    Ok(Rx { generation, recv: Box::new(recv) })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Backing {
    Shm,
    Disk,
    Memfd,
    Anonymous,
}

impl Backing {
    /// Where its file goes; elsewhere nothing does.
    fn place(self) -> (tempfile::TempDir, PathBuf) {
        let dir = if self == Backing::Shm { "/dev/shm" } else { env!("CARGO_TARGET_TMPDIR") };
        let dir = tempfile::tempdir_in(dir).unwrap();
        let path = dir.path().join("region");
        (dir, path)
    }

    fn is_file(self) -> bool {
        matches!(self, Backing::Shm | Backing::Disk)
    }
}

/// `Options` has one set of methods for every kind, but its trait is sealed.
macro_rules! make {
    ($options:expr, $backing:expr, $path:expr) => {
        match $backing {
            Backing::Shm | Backing::Disk => $options.create($path),
            Backing::Memfd => $options.memfd(),
            Backing::Anonymous => $options.anonymous(),
        }
        .unwrap()
    };
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Spsc8,
    Spsc64,
    Bytes,
    Seqlock,
}

#[derive(Clone)]
enum Ring {
    Words(spsc::Channel<u64>),
    Packets(spsc::Channel<Packet>),
    Bytes(bytes::Channel),
}

impl Ring {
    fn make(kind: Kind, tiny: bool, backing: Backing, path: &Path) -> Self {
        let slots = if tiny { 2 } else { 1024 };
        match kind {
            Kind::Spsc8 => Ring::Words(make!(spsc::Channel::options().capacity(slots), backing, path)),
            Kind::Spsc64 => Ring::Packets(make!(spsc::Channel::options().capacity(slots), backing, path)),
            Kind::Bytes => Ring::Bytes(make!(bytes::Channel::options().capacity_bytes(slots * 64), backing, path)),
            Kind::Seqlock => unreachable!("no ring"),
        }
    }

    /// The same, opened anew.
    fn open(&self, path: &Path) -> Self {
        match self {
            Ring::Words(_) => Ring::Words(spsc::Channel::open(path).unwrap()),
            Ring::Packets(_) => Ring::Packets(spsc::Channel::open(path).unwrap()),
            Ring::Bytes(_) => Ring::Bytes(bytes::Channel::open(path).unwrap()),
        }
    }

    fn sender(&self, manner: Manner) -> ManuallyDrop<Tx> {
        insist(|| match self {
            Ring::Words(channel) => slot_tx(channel, manner),
            Ring::Packets(channel) => slot_tx(channel, manner),
            Ring::Bytes(channel) => record_tx(channel, manner),
        })
    }

    fn receiver(&self, manner: Manner) -> ManuallyDrop<Rx> {
        insist(|| match self {
            Ring::Words(channel) => slot_rx(channel, manner),
            Ring::Packets(channel) => slot_rx(channel, manner),
            Ring::Bytes(channel) => record_rx(channel, manner),
        })
    }
}

// ---------------------------------------------------------------------------------------------------
// The two sides of a ring.

const SENDER: usize = 0;
const RECEIVER: usize = 1;

/// Sends from the number on whose sending is not sure, until it is killed or told to leave.
fn run_sender(storm: &Storm, ring: &Ring, round: u64, rng: &mut Rng) {
    let manner = Manner::random(rng);
    let mut tx = ring.sender(manner);
    let generation = tx.generation;
    let last = storm.senders.last_before(generation, FIRST);
    storm.sender_begins(generation, round, storm.senders.get(last, COMMITTED) + 1);
    let mut news = 0;
    storm.keep_sending(generation, round, manner, |key| {
        while let Err(error) = (tx.send)(key.pack()) {
            let SendError::PeerDied { generation: dead } = error else { panic!("{error}") };
            assert!(dead > news, "told of the death of receiver {dead} after that of {news}");
            assert!(storm.may_be_dead(&storm.receivers, RECEIVER, dead), "receiver {dead} is alive");
            news = dead;
            storm.count(Word::NewsToSenders, 1);
        }
    });
    drop(ManuallyDrop::into_inner(tx));
}

/// What a receiver knows of what was received before it, and what its predecessors may have taken with them.
struct Inbox<'a> {
    storm: &'a Storm,
    generation: u64,
    last: Key,
    news: u64,
    /// Nothing came yet: a predecessor may have been told what it had no time to note.
    fresh: bool,
    /// How many messages may be lost: one for each that received by value and noted nothing since.
    may_lack: u64,
    /// The last message may come again: it was noted in the hands of one that received in place.
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

    /// Which of those that left was meant is not said, so there must be one of whom it is true.
    fn leaving(&self) {
        let (last, senders) = (self.last, &self.storm.senders);
        let newest = self.storm.get(Word::Newest);
        let told =
            |gone: u64| self.fresh || senders.killed_before(gone) <= self.news.max(last.generation.saturating_sub(1));
        let drained = |gone: u64| senders.sent_since(last, gone) <= self.may_lack;
        let mut gone = (last.generation.max(1)..=newest).filter(|gone| senders.get(*gone, LEFT) == 1);
        assert!(gone.any(|gone| told(gone) && drained(gone)), "closed after {last:?} and the news of {}", self.news);
        self.storm.count(Word::Leavings, 1);
    }
}

fn run_receiver(storm: &Storm, ring: &Ring, round: u64, rng: &mut Rng) {
    let manner = Manner::random(rng);
    let mut rx = ring.receiver(manner);
    let generation = rx.generation;
    let mut inbox = Inbox::inherit(storm, generation);
    storm.receivers.set(generation, ROUND, round);
    storm.receivers.set(generation, MODE, if manner.in_place { IN_PLACE } else { BY_VALUE });
    storm.set(Word::UnderWay, RECEIVER, round);
    loop {
        let mut note = |key, again| {
            inbox.message(key, again);
            manner.lag(key);
        };
        match (rx.recv)(&mut note) {
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

// ---------------------------------------------------------------------------------------------------
// The two sides of a seqlock.

/// Writes versions, each with its key as content.
fn run_writer<const WORDS: usize>(storm: &Storm, channel: &seqlock::Channel<Latest<WORDS>>, round: u64, rng: &mut Rng) {
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
fn run_reader<const WORDS: usize>(
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

// ---------------------------------------------------------------------------------------------------
// Who kills them.

/// The processes of a storm, told apart by their place: the sender is the first. Each is run by `act`, which is
/// given place, round, and random numbers.
struct Cast<'a> {
    storm: &'a Storm,
    act: &'a dyn Fn(usize, u64, &mut Rng),
    seed: u64,
    alive: Vec<Option<Child>>,
    /// The rounds in which they were forked.
    born: Vec<u64>,
    killed: Vec<Child>,
}

impl<'a> Cast<'a> {
    fn new(storm: &'a Storm, size: usize, seed: u64, act: &'a dyn Fn(usize, u64, &mut Rng)) -> Self {
        let alive = (0..size).map(|_| None).collect();
        Self { storm, act, seed, alive, born: vec![0; size], killed: Vec::new() }
    }

    /// Forks whoever is missing.
    fn complete(&mut self, round: u64) {
        for member in 0..self.alive.len() {
            if self.alive[member].is_some() {
                continue;
            }
            let seed = mix(self.seed ^ round << 8 ^ member as u64);
            let act = || {
                let _first = Culprit(self.storm, member);
                (self.act)(member, round, &mut Rng::with_seed(seed));
            };
            self.alive[member] = Some(fork(&format!("member {member} of round {round}"), act));
            self.born[member] = round;
        }
    }

    /// Waits until everyone is under way, and something was received that had not been before.
    fn meet(&mut self) {
        let (storm, born) = (self.storm, self.born.clone());
        let under_way = |(member, born): (usize, &u64)| storm.word(Word::UnderWay, member).load(SeqCst) == *born;
        self.wait_until(|_| born.iter().enumerate().all(under_way));
        let before = storm.get(Word::Messages);
        self.wait_until(|_| storm.get(Word::Messages) > before);
        // Until here, their predecessors' bodies may have sat in the seats.
        self.reap();
    }

    fn wait_until(&mut self, there: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + deadline();
        while !there(self) {
            std::thread::sleep(Duration::from_micros(30));
            if let Some(culprit) = self.storm.get(Word::Culprit).checked_sub(1) {
                self.alive[culprit as usize].iter().for_each(Child::succeed);
                self.reap();
                panic!("a member of the cast failed, and was killed before it could say how");
            }
            assert!(Instant::now() < limit, "nobody gets any further");
        }
    }

    fn kill(&mut self, member: usize, round: u64) {
        let child = self.alive[member].take().unwrap();
        self.storm.set(Word::Killed, member, round);
        kill(child.pid, Signal::SIGKILL).unwrap();
        self.killed.push(child);
    }

    fn reap(&mut self) {
        self.killed.drain(..).for_each(reap_killed);
    }

    /// Lets a member end by itself.
    fn leave(&mut self, member: usize) {
        self.wait_until(|cast| cast.alive[member].as_ref().is_some_and(|child| !child.running()));
        self.alive[member].take().unwrap().succeed();
    }
}

/// Names the first process to fail: what others see after that is its doing.
struct Culprit<'a>(&'a Storm, usize);

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.word(Word::Culprit, 0).compare_exchange(0, self.1 as u64 + 1, SeqCst, SeqCst);
        }
    }
}

/// Reaps a child that a signal killed, and lets any other say what went wrong.
fn reap_killed(child: Child) {
    match waitid(Id::Pid(child.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap() {
        WaitStatus::Signaled(_, Signal::SIGKILL, _) => drop(child.end()),
        ended => {
            child.succeed();
            panic!("{ended:?}");
        }
    }
}

/// Kills `quota` processes at random moments, always followed by others; then all leave.
fn rage(cast: &mut Cast<'_>, quota: u64, mut progress: impl FnMut(u64)) {
    let storm = cast.storm;
    let mut rng = Rng::with_seed(cast.seed);
    let (mut kills, mut round) = (0, 0);
    while kills < quota {
        round += 1;
        cast.complete(round);
        // Now and then they die while they are still taking their seats.
        if rng.u8(..16) > 0 {
            cast.meet();
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..3000)));
        if rng.u8(..8) == 0 {
            storm.set(Word::Stop, 0, round);
            cast.leave(SENDER);
            continue;
        }
        let mut victims: Vec<usize> = (0..cast.alive.len()).filter(|_| rng.bool()).collect();
        rng.shuffle(&mut victims);
        victims.iter().for_each(|victim| cast.kill(*victim, round));
        kills += victims.len() as u64;
        progress(kills);
        if rng.bool() {
            cast.reap();
        }
    }
    cast.complete(round + 1);
    cast.meet();
    storm.set(Word::Finish, 0, 1);
    storm.set(Word::Stop, 0, round + 1);
    (0..cast.alive.len()).for_each(|member| cast.leave(member));
    let undecided = |sender: &u64| storm.senders.get(*sender, ATTEMPTED) > storm.senders.get(*sender, COMMITTED);
    storm.count(Word::Undecided, (1..=storm.get(Word::Newest)).filter(undecided).count() as u64);
}

/// What is counted in a storm, and what it is called.
const COUNTED: [(Word, &str); 7] = [
    (Word::Messages, "messages"),
    (Word::Undecided, "sends undecided"),
    (Word::Lost, "messages lost with their receivers"),
    (Word::Again, "seen again"),
    (Word::NewsToReceivers, "deaths told to receivers"),
    (Word::NewsToSenders, "to senders"),
    (Word::Leavings, "times closed"),
];

/// One storm on one channel.
fn storm_of(kind: Kind, tiny: bool, backing: Backing, kills: u64, seed: u64, progress: impl FnMut(u64)) -> Storm {
    // One round in eight kills nobody, and one in four no sender.
    let storm = Storm::new(kills * 3 + 100);
    let (_dir, path) = backing.place();
    match (kind, tiny) {
        (Kind::Seqlock, true) => seqlock_storm::<8>(&storm, backing, &path, kills, seed, progress),
        (Kind::Seqlock, false) => seqlock_storm::<512>(&storm, backing, &path, kills, seed, progress),
        _ => {
            let ring = Ring::make(kind, tiny, backing, &path);
            let act = |member, round, rng: &mut Rng| {
                let ring = if backing.is_file() && rng.bool() { ring.open(&path) } else { ring.clone() };
                if member == SENDER {
                    run_sender(&storm, &ring, round, rng)
                } else {
                    run_receiver(&storm, &ring, round, rng)
                }
            };
            rage(&mut Cast::new(&storm, 2, seed, &act), kills, progress);
        }
    }
    storm
}

fn seqlock_storm<const WORDS: usize>(
    storm: &Storm,
    backing: Backing,
    path: &Path,
    kills: u64,
    seed: u64,
    progress: impl FnMut(u64),
) {
    let channel: seqlock::Channel<Latest<WORDS>> = make!(seqlock::Channel::options(), backing, path);
    let act = |member, round, rng: &mut Rng| match member {
        SENDER => run_writer(storm, &channel, round, rng),
        1 if backing.is_file() => {
            run_reader::<WORDS>(storm, &seqlock::Channel::open_read_only(path).unwrap(), member, round, rng)
        }
        _ => run_reader(storm, &channel, member, round, rng),
    };
    rage(&mut Cast::new(storm, 3, seed, &act), kills, progress);
}

const BACKINGS: [Backing; 4] = [Backing::Shm, Backing::Disk, Backing::Memfd, Backing::Anonymous];

/// Storms of about `each` kills, on every backing in turn, until there were `kills`.
fn storms(kind: Kind, kills: u64, each: u64) {
    let _turn = alone();
    let seed = Seed::new();
    let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let (mut killed, mut counts) = (0, [0; COUNTED.len()]);
    for storm in 0.. {
        if killed >= kills {
            break;
        }
        let (backing, tiny) = (BACKINGS[storm % 4], (storm + storm / 4) % 2 == 0);
        let (before, so_far) = (killed, Cell::new(0));
        let progress = |kills: u64| {
            if terminal && kills / 100 > so_far.get() / 100 {
                let _ = write!(std::io::stderr(), "\r{kind:?}: {} kills ", before + kills);
            }
            so_far.set(kills);
        };
        let storm = storm_of(kind, tiny, backing, each, mix(seed.0 ^ storm as u64), progress);
        killed += so_far.get();
        counts.iter_mut().zip(COUNTED).for_each(|(sum, (word, _))| *sum += storm.get(word));
    }
    let counts: Vec<_> = counts.iter().zip(COUNTED).map(|(count, (_, name))| format!("{count} {name}")).collect();
    say(&format!("{kind:?}: {killed} kills in {:.1?}, {}", start.elapsed(), counts.join(", ")));
}

macro_rules! storms {
    ($($short:ident, $long:ident: $kind:ident;)*) => {$(
        #[test]
        fn $short() {
            storms(Kind::$kind, 1000, 250);
        }

        #[test]
        #[ignore = "takes minutes"]
        fn $long() {
            storms(Kind::$kind, 100_000, 1000);
        }
    )*};
}

storms! {
    a_thousand_kills_on_a_ring_of_words, a_hundred_thousand_kills_on_a_ring_of_words: Spsc8;
    a_thousand_kills_on_a_ring_of_packets, a_hundred_thousand_kills_on_a_ring_of_packets: Spsc64;
    a_thousand_kills_on_a_ring_of_records, a_hundred_thousand_kills_on_a_ring_of_records: Bytes;
    a_thousand_kills_on_a_seqlock, a_hundred_thousand_kills_on_a_seqlock: Seqlock;
}

// ---------------------------------------------------------------------------------------------------
// Which death is told, where many came and went before the receiver looked.

const PLAIN: Manner = Manner { wait: Wait::Sleep, in_place: false, lags: false };

/// A sender's turn: whether it sends a message, and whether it is killed.
type Turn = (bool, bool);

/// What a receiver gets that comes to all this late: a message, by its sender, or the news of a death.
fn expected(turns: &[Turn]) -> Vec<Result<u64, RecvError>> {
    let (mut events, mut death) = (Vec::new(), None);
    let told = |death: &mut Option<u64>| death.take().map(|generation| Err(RecvError::PeerDied { generation }));
    for (generation, (sends, killed)) in (1..).zip(turns) {
        if *sends {
            events.extend(told(&mut death));
            events.push(Ok(generation));
        }
        death = if *killed { Some(generation) } else { death };
    }
    events.extend(told(&mut death));
    events
}

fn received(kind: Kind, turns: &[Turn]) -> Vec<Result<u64, RecvError>> {
    let ring = Ring::make(kind, false, Backing::Anonymous, Path::new(""));
    for (sends, killed) in turns {
        let child = fork("sender", || {
            let mut tx = ring.sender(PLAIN);
            if *sends {
                let generation = tx.generation;
                (tx.send)(generation).unwrap();
            }
            if *killed {
                kill(nix::unistd::Pid::this(), Signal::SIGKILL).unwrap();
            }
            drop(ManuallyDrop::into_inner(tx));
        });
        if *killed { reap_killed(child) } else { child.succeed() }
    }
    // The last one's end, where it is told of.
    let last = fork("last sender", || drop(ManuallyDrop::into_inner(ring.sender(PLAIN))));
    last.succeed();
    let (mut rx, mut events) = (ring.receiver(PLAIN), Vec::new());
    loop {
        let mut message = 0;
        match (rx.recv)(&mut |key, _| message = key) {
            Ok(()) => events.push(Ok(message)),
            Err(RecvError::Closed) => return events,
            Err(error) => events.push(Err(error)),
        }
        assert!(events.len() <= 2 * turns.len(), "no end: {events:?}");
    }
}

#[test]
fn a_late_receiver_is_told_of_each_death_in_its_place() {
    let _turn = alone();
    let seed = Seed::new();
    let mut rng = Rng::with_seed(seed.0);
    let [silent_death, death, leaving] = [(false, true), (true, true), (true, false)];
    let mut cases = vec![
        vec![death, leaving, death, leaving],
        [vec![leaving; 20], vec![death, leaving]].concat(),
        [vec![silent_death; 20], vec![leaving]].concat(),
    ];
    cases.extend((0..6).map(|_| (0..40).map(|_| (rng.u8(..4) == 0, rng.bool())).collect()));
    for (case, kind) in cases.iter().zip([Kind::Spsc8, Kind::Spsc64, Kind::Bytes].into_iter().cycle()) {
        in_child("late receiver", || assert_eq!(received(kind, case), expected(case), "{kind:?} after {case:?}"));
    }
}

// ---------------------------------------------------------------------------------------------------
// How soon the survivor hears of it.

/// A process, as a descriptor that can be polled for its end.
fn pidfd(child: &Child) -> OwnedFd {
    // SAFETY: takes no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.pid.as_raw(), 0) };
    assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel just made it, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Channels at a time, each with a survivor and, one after another, its victims.
const LANES: usize = 20;
/// Words of a lane: how many victims sat down, how many deaths were told of, and when the last one was.
const SEATED: usize = 0;
const TOLD: usize = 100;
const TOLD_AT: usize = 200;

/// Sits down, and waits to be killed.
fn be_victim<T>(board: &Board, lane: usize, claim: impl FnOnce() -> Result<T, ClaimError>) {
    let _seat = claim().unwrap();
    board[SEATED + lane].fetch_add(1, SeqCst);
    std::thread::sleep(deadline());
}

/// Is told of one death after another, by a call that blocks.
fn survive(board: &Board, lane: usize, start: Instant, mut blocked: impl FnMut() -> Option<u64>) {
    for death in 1.. {
        let told = blocked();
        board[TOLD_AT + lane].store(start.elapsed().as_nanos() as u64, SeqCst);
        assert_eq!(told, Some(death));
        board[TOLD + lane].store(death, SeqCst);
    }
}

/// Kills the victims of all lanes, one after another and then `deaths` times over; how long each time the survivor
/// took to return after the kernel had said so, in milliseconds.
fn latencies(deaths: u64, survivor: &dyn Fn(&Board, usize, Instant), victim: &dyn Fn(&Board, usize)) -> Vec<f64> {
    let (board, start) = (&Board::new(), Instant::now());
    let fork_all = |name: &str, act: &dyn Fn(usize)| (0..LANES).map(|lane| fork(name, || act(lane))).collect();
    let _survivors: Vec<Child> = fork_all("survivor", &|lane| survivor(board, lane, start));
    let mut found = Vec::new();
    for death in 1..=deaths {
        let victims: Vec<Child> = fork_all("victim", &|lane| victim(board, lane));
        (0..LANES).for_each(|lane| board.wait_for(SEATED + lane, death));
        let mut known_at = Vec::new();
        for victim in &victims {
            std::thread::sleep(Duration::from_micros(fastrand::u64(..2000)));
            let fd = pidfd(victim);
            kill(victim.pid, Signal::SIGKILL).unwrap();
            poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            known_at.push(start.elapsed().as_nanos() as u64);
        }
        for (lane, known_at) in known_at.into_iter().enumerate() {
            board.wait_for(TOLD + lane, death);
            let told_at = board[TOLD_AT + lane].load(SeqCst);
            found.push((told_at as f64 - known_at as f64) / 1e6);
        }
        victims.into_iter().for_each(reap_killed);
    }
    found
}

#[test]
fn the_news_of_a_death_comes_soon() {
    let _turn = alone();
    let ring = |_| spsc::Channel::<u64>::options().capacity(2).memfd().unwrap();
    let [empty, full]: [[_; LANES]; 2] = [std::array::from_fn(ring), std::array::from_fn(ring)];
    let values: [_; LANES] = std::array::from_fn(|_| seqlock::Channel::<u64>::options().memfd().unwrap());
    let in_recv = |board: &Board, lane: usize, start| {
        let mut rx = empty[lane].receiver().unwrap();
        survive(board, lane, start, || match rx.recv() {
            Err(RecvError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let in_send = |board: &Board, lane: usize, start| {
        let mut tx = full[lane].sender().unwrap();
        while tx.try_send(&0).is_ok() {}
        survive(board, lane, start, || match tx.send(&0) {
            Err(SendError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let in_changed = |board: &Board, lane: usize, start| {
        let mut reader = values[lane].reader();
        survive(board, lane, start, || match reader.changed() {
            Err(ChangedError::PeerDied { generation }) => Some(generation),
            _ => None,
        });
    };
    let sends = |board: &Board, lane: usize| be_victim(board, lane, || empty[lane].sender());
    let receives = |board: &Board, lane: usize| be_victim(board, lane, || full[lane].receiver());
    let writes = |board: &Board, lane: usize| be_victim(board, lane, || values[lane].writer());
    report_latencies("recv", latencies(400 / LANES as u64, &in_recv, &sends));
    report_latencies("send", latencies(300 / LANES as u64, &in_send, &receives));
    report_latencies("changed", latencies(300 / LANES as u64, &in_changed, &writes));
}

fn report_latencies(call: &str, mut found: Vec<f64>) {
    found.sort_by(f64::total_cmp);
    let (count, median, worst) = (found.len(), found[found.len() / 2], found[found.len() - 1]);
    say(&format!("blocked in {call}, told of {count} deaths: median {median:.1} ms, worst {worst:.1} ms"));
}

// ---------------------------------------------------------------------------------------------------
// Ended for want of memory.

/// A memory cgroup with a limit, removed on drop.
struct Cgroup(PathBuf);

const CGROUP_LIMIT: usize = 64 << 20;
const PIECE: usize = 1 << 16;

impl Cgroup {
    /// Of version 1, or of version 2; otherwise, why there is none.
    fn new() -> Result<Self, String> {
        let mut refused = Vec::new();
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let group = Path::new(root).join(format!("ringway-storms-{}", std::process::id()));
            let made = fs::create_dir(&group).map(|()| Self(group.clone())).and_then(|made| {
                // The next line would otherwise make an ordinary file where this is no cgroup.
                fs::metadata(group.join(limit)).map(|_| made)
            });
            match made.and_then(|made| fs::write(group.join(limit), CGROUP_LIMIT.to_string()).map(|()| made)) {
                Ok(made) => return Ok(made),
                Err(error) => refused.push(format!("{}: {error}", group.display())),
            }
        }
        Err(refused.join("; "))
    }

    fn join(&self) {
        fs::write(self.0.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let limit = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_sender_ended_for_want_of_memory_is_heard_out() {
    let _turn = alone();
    let cgroup = match Cgroup::new() {
        Ok(cgroup) => cgroup,
        Err(why) => return skip(&format!("no memory cgroup can be made here: {why}")),
    };
    in_child("survivor", || {
        let channel = spsc::Channel::<u64>::options().capacity(8).memfd().unwrap();
        let committed = Board::new();
        let mut rx = channel.receiver().unwrap();
        let glutton = fork("glutton", || {
            cgroup.join();
            let mut tx = channel.sender().unwrap();
            // Four times the limit: where the machine swaps, the group may go beyond it for a while.
            for seq in 1..=(4 * CGROUP_LIMIT as u64) / PIECE as u64 {
                tx.send(&seq).unwrap();
                committed[0].store(seq, SeqCst);
                std::mem::forget(vec![1u8; PIECE]);
            }
        });
        let mut last = 0;
        let end = loop {
            match rx.recv() {
                Ok(seq) => assert_eq!(seq, std::mem::replace(&mut last, seq) + 1),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvError::PeerDied { generation: 1 });
        assert!((committed[0].load(SeqCst)..).take(2).any(|possible| possible == last), "{last} received");
        reap_killed(glutton);
        let heir = fork("heir", || channel.sender().unwrap().send(&(last + 1)).unwrap());
        assert_eq!((rx.recv(), rx.recv()), (Ok(last + 1), Err(RecvError::Closed)));
        heir.succeed();
        say(&format!("ended for want of memory after {last} messages"));
    });
}
