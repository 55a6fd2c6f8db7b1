//! Each operation, while a word holds a number that protocols trip over: each such number, in each word of the control
//! page, and in the words of the data area that matter.
//!
//! In each case four things must hold. The operation ends, in as much processor time as a child has; a system call that
//! sleeps for ever does not count. It answers by a value. It calls nobody gone whose seat was left alone. It writes
//! where its kind may write and nowhere else, in the region and beside the buffers of the caller.
//!
//! There are tens of thousands of words and numbers, and some thirty operations: millions of cases. Every
//! `RINGWAY_HOSTILE_STRIDE`-th is tried, by default few. With 1 all are, which takes an hour:
//!
//! ```text
//! RUSTFLAGS="-C overflow-checks -C debug-assertions" RINGWAY_HOSTILE_STRIDE=1 RINGWAY_HOSTILE_SECONDS=3600 \
//!     cargo test --release --test hostile words -- --nocapture
//! ```

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::WaitStatus;
use nix::unistd::alarm;

use crate::common::alone::alone;
use crate::common::board::Board;
use crate::common::child::fork;
use crate::common::raw::Raw;
use crate::numbers::number;
use crate::record_scene::Records;
use crate::rescue::rescued;
use crate::said::Said;
use crate::scenes::{Acts, Operation, Scene};
use crate::slot_scene::Slots;
use crate::trial::{PAGE, Trial};
use crate::value_scene::Values;

/// By default, one of so many cases is tried.
const STRIDE: usize = 803;
/// The words that decide most are tried so many times more often.
const DENSER: usize = 16;
/// How many seconds of processor time the cases of one word may take.
const PROCESSOR: u64 = 60;

/// What an operation of this kind may write.
fn writable(acts: Acts, raw: &Raw) -> Vec<Range<usize>> {
    let word = |word: &AtomicU64| raw.byte_of(word)..raw.byte_of(word) + 8;
    let (consumed, sent) = (raw.line_of(raw.head()), raw.line_of(raw.latest()));
    let waits = [raw.line_of(raw.data_wait()), raw.line_of(raw.space_wait())];
    let data = 2 * PAGE..2 * PAGE + 8 * raw.data_words();
    let (no_sender, no_receiver) = (word(raw.died(0)), word(raw.died(1)));
    match acts {
        Acts::Sends => [vec![no_receiver, sent, data], waits.to_vec()].concat(),
        Acts::Receives => [vec![no_sender, consumed], waits.to_vec()].concat(),
        Acts::Waits => vec![no_sender, raw.line_of(raw.data_wait())],
        Acts::LooksAtReceiver => vec![no_receiver],
        Acts::LooksAtSender => vec![no_sender],
        Acts::SeatsSender => [vec![no_receiver, sent, data, raw.line_of(raw.holder(0))], waits.to_vec()].concat(),
        Acts::SeatsReceiver => [vec![no_sender, consumed, raw.line_of(raw.holder(1))], waits.to_vec()].concat(),
        Acts::Copies => vec![],
    }
}

/// The seat whose holder an operation may call gone, if the words of that seat were forged.
fn seat_of_peer(acts: Acts) -> usize {
    match acts {
        Acts::Sends | Acts::LooksAtReceiver | Acts::SeatsReceiver => 1,
        Acts::Receives | Acts::Waits | Acts::LooksAtSender | Acts::SeatsSender | Acts::Copies => 0,
    }
}

/// Tries one operation after one word was set to one number.
fn try_case<S: Scene>(trial: &Trial<S>, (byte, number): (usize, u64), operation: &Operation<S>) {
    let raw = &trial.raw;
    let mut ends = trial.ends();
    let sound = if operation.blocks { raw.image() } else { Vec::new() };
    raw.word(byte).store(number, Relaxed);
    let forged = raw.image();
    let mut call = || (operation.run)(&trial.scene, &mut ends);
    let (said, rescued) = if operation.blocks { rescued(raw, &sound, call) } else { (call(), false) };
    let is_seat = raw.line_of(raw.holder(seat_of_peer(operation.acts))).contains(&byte);
    let gone = matches!(said, Said::Died(_) | Said::Closed | Said::Alone);
    assert!(!gone || is_seat, "{said:?}, of one who is alive and there");
    let after = raw.image();
    if rescued || forged == after {
        return;
    }
    let writable = writable(operation.acts, raw);
    for (index, (before, after)) in forged.iter().zip(after).enumerate() {
        let may = *before == after || writable.iter().any(|range| range.contains(&(8 * index)));
        assert!(may, "it wrote {after:#x} over {before:#x} at byte {} of the region", 8 * index);
    }
}

/// Tries all cases of one kind, or every n-th. The cases of each word run in a child of their own.
fn try_all<S: Scene>(name: &str, stride: usize) {
    alarm::set(number("RINGWAY_HOSTILE_SECONDS").unwrap_or(0) as u32 + 180);
    let (start, board, trial) = (Instant::now(), Board::new(), Trial::<S>::new());
    let (mut cases, mut all, mut failures) = (0, 0, Vec::new());
    let (bytes, operations) = (trial.bytes(), &trial.operations);
    let each = trial.numbers.len() * operations.len();
    let hot = trial.hot_bytes();
    for byte in &bytes {
        let stride = if hot.contains(byte) { stride.div_ceil(DENSER) } else { stride };
        let chosen = (0..each).filter(|case| (all + case) % stride == 0);
        let runs: Vec<_> = chosen.map(|case| (case / operations.len(), case % operations.len())).collect();
        (all, cases) = (all + each, cases + runs.len());
        let child = fork("the cases of a word", || {
            let (_, hard) = getrlimit(Resource::RLIMIT_CPU).unwrap();
            setrlimit(Resource::RLIMIT_CPU, PROCESSOR, hard).unwrap();
            for (number, operation) in runs {
                board[0].store(number as u64, SeqCst);
                board[1].store(operation as u64, SeqCst);
                try_case(&trial, (*byte, trial.numbers[number]), &operations[operation]);
            }
        });
        let status = child.end();
        if !matches!(status, WaitStatus::Exited(_, 0)) {
            let [number, operation] = [0, 1].map(|word| board[word].load(SeqCst) as usize);
            let (number, operation) = (trial.numbers[number], operations[operation].name);
            failures.push(format!("{operation} with {number:#x} at byte {byte}: {status:?}"));
        }
    }
    let (words, numbers, operations) = (bytes.len(), trial.numbers.len(), operations.len());
    let seconds = start.elapsed().as_secs_f64();
    println!("{name}: {words} words x {numbers} numbers x {operations} operations: {cases} of {all} in {seconds:.1} s");
    assert!(failures.is_empty(), "{} words do harm:\n{}", failures.len(), failures.join("\n"));
}

/// One of so many cases is tried. `longer` is for kinds that tell little more than others.
fn stride(longer: usize) -> usize {
    let given = number("RINGWAY_HOSTILE_STRIDE");
    given.map_or(STRIDE * longer, |given| if given == 1 { 1 } else { given as usize * longer })
}

#[test]
fn every_word_of_a_slot_ring() {
    alone(|| {
        try_all::<Slots<8>>("slots of 8 bytes", stride(1));
        try_all::<Slots<24>>("slots of 24 bytes", stride(4));
        try_all::<Slots<200>>("slots of 200 bytes", stride(4));
    });
}

#[test]
fn every_word_of_a_record_ring() {
    alone(|| try_all::<Records>("records", stride(1)));
}

#[test]
fn every_word_of_a_seqlock() {
    alone(|| try_all::<Values>("values", stride(1)));
}
