//! Storms in which either side, or both, are killed at any moment and followed by others.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use fastrand::Rng;
use ringway::{bytes, seqlock, spsc};
use tempfile::TempDir;

use crate::cast::{Cast, rage};
use crate::common::backing::Backing;
use crate::common::dirs::{disk_dir, file_in, shm_dir};
use crate::common::lane::Lane;
use crate::common::messages::{Latest, Packet, mix};
use crate::common::say::say;
use crate::ledger::{Storm, Word};
use crate::ring::Ring;
use crate::ring_sides::{SENDER, run_receiver, run_sender};
use crate::turn::{Seed, take_turn};
use crate::value_sides::{run_reader, run_writer};

/// What is counted in a storm, and the name of each count.
const COUNTED: [(Word, &str); 7] = [
    (Word::Messages, "messages"),
    (Word::Undecided, "sends undecided"),
    (Word::Lost, "messages lost with their receivers"),
    (Word::Again, "seen again"),
    (Word::NewsToReceivers, "deaths told to receivers"),
    (Word::NewsToSenders, "to senders"),
    (Word::Leavings, "times closed"),
];

/// What one storm is like: its channel, and how many are killed in it.
struct Course {
    tiny: bool,
    backing: Backing,
    /// Makes a directory, in which its file lies if it has one.
    dir: fn() -> TempDir,
    kills: u64,
    seed: u64,
}

impl Course {
    fn place(&self) -> (TempDir, PathBuf) {
        let dir = (self.dir)();
        let path = file_in(&dir);
        (dir, path)
    }
}

/// Runs a storm of one kind, and calls back after each round.
type Run = fn(&Storm, &Course, &mut dyn FnMut(u64));

/// A storm on a ring. Each message takes `UNITS` units of its capacity.
fn ring_storm<L: Lane, const UNITS: u64>(storm: &Storm, course: &Course, progress: &mut dyn FnMut(u64)) {
    let (_dir, path) = course.place();
    let ring = Ring::<L>::make(UNITS * if course.tiny { 2 } else { 1024 }, course.backing, &path);
    let act = |member, round, rng: &mut Rng| {
        let ring = if course.backing == Backing::File && rng.bool() { ring.open(&path) } else { ring.clone() };
        if member == SENDER { run_sender(storm, &ring, round, rng) } else { run_receiver(storm, &ring, round, rng) }
    };
    rage(&mut Cast::new(storm, 2, course.seed, &act), course.kills, progress);
}

fn seqlock_storm(storm: &Storm, course: &Course, progress: &mut dyn FnMut(u64)) {
    if course.tiny { value_storm::<8>(storm, course, progress) } else { value_storm::<512>(storm, course, progress) }
}

fn value_storm<const WORDS: usize>(storm: &Storm, course: &Course, progress: &mut dyn FnMut(u64)) {
    let (_dir, path) = course.place();
    let channel = course.backing.make(&seqlock::Channel::<Latest<WORDS>>::options(), &path);
    let act = |member, round, rng: &mut Rng| match member {
        SENDER => run_writer(storm, &channel, round, rng),
        1 if course.backing == Backing::File => {
            run_reader::<WORDS>(storm, &seqlock::Channel::open_read_only(&path).unwrap(), member, round, rng)
        }
        _ => run_reader(storm, &channel, member, round, rng),
    };
    rage(&mut Cast::new(storm, 3, course.seed, &act), course.kills, progress);
}

const PLACES: [(Backing, fn() -> TempDir); 4] =
    [(Backing::File, shm_dir), (Backing::File, disk_dir), (Backing::Memfd, disk_dir), (Backing::Anonymous, disk_dir)];

/// Runs storms of about `each` kills, in every place in turn, until there were `kills`.
fn storms(kind: &str, run: Run, kills: u64, each: u64) {
    let _turn = take_turn();
    let seed = Seed::new();
    let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let (mut killed, mut counts) = (0, [0; COUNTED.len()]);
    for storm in 0.. {
        if killed >= kills {
            break;
        }
        let ((backing, dir), tiny) = (PLACES[storm % 4], (storm + storm / 4) % 2 == 0);
        let (before, so_far) = (killed, Cell::new(0));
        let mut progress = |kills: u64| {
            if terminal && kills / 100 > so_far.get() / 100 {
                let _ = write!(std::io::stderr(), "\r{kind}: {} kills ", before + kills);
            }
            so_far.set(kills);
        };
        let course = Course { tiny, backing, dir, kills: each, seed: mix(seed.0 ^ storm as u64) };
        // One round in eight kills nobody, and one in four no sender.
        let storm = Storm::new(each * 3 + 100);
        run(&storm, &course, &mut progress);
        killed += so_far.get();
        counts.iter_mut().zip(COUNTED).for_each(|(sum, (word, _))| *sum += storm.get(word));
    }
    let counts: Vec<_> = counts.iter().zip(COUNTED).map(|(count, (_, name))| format!("{count} {name}")).collect();
    say(&format!("{kind}: {killed} kills in {:.1?}, {}", start.elapsed(), counts.join(", ")));
}

const THOUSAND: (u64, u64) = (1000, 250);

const HUNDRED_THOUSAND: (u64, u64) = (100_000, 1000);

fn storms_of_words((kills, each): (u64, u64)) {
    storms("words", ring_storm::<spsc::Channel<u64>, 1>, kills, each);
}

fn storms_of_packets((kills, each): (u64, u64)) {
    storms("packets", ring_storm::<spsc::Channel<Packet>, 1>, kills, each);
}

fn storms_of_records((kills, each): (u64, u64)) {
    storms("records", ring_storm::<bytes::Channel, 64>, kills, each);
}

fn storms_of_values((kills, each): (u64, u64)) {
    storms("values", seqlock_storm, kills, each);
}

#[test]
fn a_thousand_kills_on_a_ring_of_words() {
    storms_of_words(THOUSAND);
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_kills_on_a_ring_of_words() {
    storms_of_words(HUNDRED_THOUSAND);
}

#[test]
fn a_thousand_kills_on_a_ring_of_packets() {
    storms_of_packets(THOUSAND);
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_kills_on_a_ring_of_packets() {
    storms_of_packets(HUNDRED_THOUSAND);
}

#[test]
fn a_thousand_kills_on_a_ring_of_records() {
    storms_of_records(THOUSAND);
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_kills_on_a_ring_of_records() {
    storms_of_records(HUNDRED_THOUSAND);
}

#[test]
fn a_thousand_kills_on_a_seqlock() {
    storms_of_values(THOUSAND);
}

#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_kills_on_a_seqlock() {
    storms_of_values(HUNDRED_THOUSAND);
}
