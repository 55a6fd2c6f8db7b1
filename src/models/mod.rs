//! Models of the protocols, which run the same code that runs on a mapping.
//!
//! Each model runs in two ways. Under loom (`RUSTFLAGS="--cfg loom" cargo test --release --lib models`), it tries every
//! order of the atomic operations with at most three preemptions, and every value that a relaxed load may return. As a
//! plain stress test, it runs over an anonymous region, with real threads.
//!
//! Payload words are loom's atomics too, so a model detects a torn copy. `.ci/weaken` breaks each ordering in turn and
//! requires a model to fail.
#![forbid(unsafe_code)]

mod cell;
mod deaths;
mod records;
mod rows;
mod seats;
mod sleeper;
mod slots;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::layout::Process;
use crate::memory::{CellOf, Of};
use crate::protocol::cell::Cells;
use crate::protocol::ends::{after_consume, after_publish};
use crate::protocol::records::RecordRing;
use crate::protocol::seat::{self, Claim};
use crate::protocol::slots::SlotRing;
use crate::protocol::{Side, State, Stop};
use crate::wait::{Blocked, ParkOn, Wait, block};

/// The holder word of every endpoint that is modelled without a seat.
const HOLDER: u64 = 1;

fn process(pid: u32) -> Process {
    Process { pid, identity: pid * 10, same_origin: true, locked: false }
}

/// Repeats an operation until it is no longer blocked, and lets others run in between.
fn until_unblocked<R>(mut attempt: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
    loop {
        match attempt() {
            Err(Stop::Blocked) => thread::yield_now(),
            result => return result,
        }
    }
}

/// The slot ring of the models.
type Slots = SlotRing<Of<[u64; 2]>>;

impl Slots {
    fn model_sender(&self) -> State {
        self.sender_state(HOLDER).unwrap()
    }

    fn model_receiver(&self) -> State {
        self.receiver_state(HOLDER).unwrap()
    }

    /// Sends two words, unless the ring is full.
    fn model_send(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        self.model_commit(s, value)?;
        after_publish(&self.ends.lane, s, false);
        Ok(())
    }

    fn model_commit(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        if !self.has_space(s) {
            self.look_for_space(s)?;
        }
        self.put(s, &value);
        Ok(())
    }

    /// Checks that the next message is there.
    fn find(&self, s: &mut State) -> Result<(), Stop> {
        if self.has_message(s) { Ok(()) } else { self.look_for_message(s) }
    }

    /// Receives two words, unless the ring is empty.
    fn model_recv(&self, s: &mut State) -> Result<[u64; 2], Stop> {
        let value = match self.try_take(s) {
            Some(value) => value,
            None => {
                self.look_for_message(s)?;
                self.take(s)
            }
        };
        after_consume(&self.ends.lane, false);
        Ok(value)
    }
}

impl RecordRing {
    fn model_sender(&self) -> State {
        self.sender_state(HOLDER).unwrap()
    }

    fn model_receiver(&self) -> State {
        self.receiver_state(HOLDER).unwrap()
    }

    fn model_send(&self, s: &mut State, record: &[u8]) -> Result<(), Stop> {
        self.model_commit(s, record)?;
        after_publish(&self.ends.lane, s, false);
        Ok(())
    }

    fn model_commit(&self, s: &mut State, record: &[u8]) -> Result<(), Stop> {
        if !self.has_space(s, record.len()) {
            self.look_for_space(s, record.len())?;
        }
        self.write(s, record);
        self.publish(s, record.len());
        Ok(())
    }

    /// Checks that the next record is there, and returns its length in bytes.
    fn find(&self, s: &mut State) -> Result<usize, Stop> {
        self.message(s).map_or_else(|| self.look_for_message(s), Ok)
    }

    fn model_recv(&self, s: &mut State) -> Result<Vec<u8>, Stop> {
        let len = self.find(s)?;
        let record = self.area.read_vec(self.payload(s), len);
        self.consume(s, len);
        after_consume(&self.ends.lane, false);
        Ok(record)
    }
}

/// The cells of the models.
type Values = Cells<CellOf<[u64; 2]>>;

impl Values {
    fn model_writer(&self) -> State {
        self.writer_state(HOLDER).unwrap()
    }

    fn model_write(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        self.write(s, &value, false)
    }
}

/// Takes a seat, for a process that sees everyone alive.
fn claim(side: &Side, pid: u32) -> Claim {
    seat::claim(&side.seat, process(pid), |_| false, |_| Ok::<_, ()>(()), |_| ()).unwrap()
}

/// A call that sleeps at once, until `poll` finds something. `check_peer` asks the simulated kernel as time passes.
struct Sleeper<P, I> {
    poll: P,
    check_peer: I,
}

impl<R, P: FnMut() -> Option<R>, I: FnMut()> Blocked for Sleeper<P, I> {
    type Found = R;

    fn poll(&mut self, _: u32) -> Option<R> {
        (self.poll)()
    }

    fn check_peer(&mut self) -> bool {
        (self.check_peer)();
        true
    }
}

fn sleep_until<R>(park_on: ParkOn<'_>, poll: impl FnMut() -> Option<R>, check_peer: impl FnMut()) -> R {
    block(Wait::Sleep, None, park_on, &mut Sleeper { poll, check_peer }).expect("no deadline")
}

/// `None` while an operation is blocked.
fn or_blocked<R>(result: Result<R, Stop>) -> Option<Result<R, Stop>> {
    if let Err(Stop::Blocked) = result { None } else { Some(result) }
}

/// Runs a participant that may die before one of its atomic operations. Returns whether it died.
fn catch_death(participant: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(participant)) {
        Ok(()) => false,
        Err(payload) if payload.is::<Died>() => true,
        Err(payload) => resume_unwind(payload),
    }
}

#[cfg(loom)]
mod backend {
    use crossbeam_utils::CachePadded;

    use super::{CellOf, Of, RecordRing, Slots, Values};
    use crate::layout::{Checkpoint, FIRST, Lane, ReceiverLine, Row, Seat, SenderLine, cell_words};
    use crate::memory::{View, WordArea};
    use crate::protocol::Ends;
    use crate::sync::{AtomicU32, AtomicU64};

    pub(crate) use crate::sync::{Died, alive, live_for, time_passes};
    pub(crate) use loom::sync::atomic::AtomicBool;

    /// What a closure needs to run in another thread. Loom has only one real thread, so it needs nothing.
    pub(crate) trait Sendable {}
    impl<T> Sendable for T {}
    pub(crate) use loom::thread;

    /// Explores every order of the model's operations, with at most three preemptions.
    pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    fn seat() -> Seat {
        let word = || AtomicU64::new(0);
        Seat {
            holder: word(),
            generation: word(),
            barrier: word(),
            died: word(),
            ended: word(),
            swept: word(),
            name: std::array::from_fn(|_| word()),
        }
    }

    pub(crate) fn ends() -> Ends {
        let word = || AtomicU64::new(0);
        let lane = View::on_heap(Lane {
            sender: CachePadded::new(seat()),
            receiver_line: CachePadded::new(ReceiverLine {
                head: AtomicU64::new(FIRST),
                reported: word(),
                lent: word(),
                tally: word(),
            }),
            sender_line: CachePadded::new(SenderLine {
                latest: word(),
                batch: word(),
                turn: word(),
                checkpoints: std::array::from_fn(|_| Checkpoint { position: word(), records: word() }),
            }),
            data_wait: CachePadded::new(AtomicU32::new(0)),
            space_wait: CachePadded::new(AtomicU32::new(0)),
        });
        Ends { lane, receiver: View::on_heap(seat()) }
    }

    /// A table of seats.
    pub(crate) fn table(number: usize) -> View<[Row]> {
        let row =
            |_| Row { seat: seat(), cursor: AtomicU64::new(0), wait: AtomicU32::new(0), unused: AtomicU32::new(0) };
        View::on_heap((0..number).map(row).collect::<Vec<_>>()).part(Vec::as_slice)
    }

    /// A word of its own.
    pub(crate) fn word() -> View<AtomicU64> {
        View::on_heap(AtomicU64::new(0))
    }

    pub(crate) fn slot_ring(capacity: u64) -> Slots {
        let words = capacity as usize * Of::<[u64; 2]>::WORDS;
        Slots::new(ends(), WordArea::on_heap(words, false), capacity, Of::STRIDE)
    }

    pub(crate) fn record_ring(words: u64) -> RecordRing {
        RecordRing::new(ends(), WordArea::on_heap(words as usize, true), words)
    }

    pub(crate) fn cells(cells: u64) -> Values {
        let words = cells as usize * cell_words(16, 8).unwrap();
        Values::new(ends().lane, WordArea::on_heap(words, false), cells, CellOf::SHAPE)
    }
}

#[cfg(not(loom))]
mod backend {
    use super::{RecordRing, Slots, Values};
    use crate::error::TypeFingerprint;
    use crate::layout::{Kind, Row};
    use crate::memory::View;
    use crate::protocol::Ends;
    use crate::region::header::Spec;
    use crate::region::{Region, Settings};
    use crate::sync::AtomicU64;
    use crate::{bytes, seqlock, spsc};

    pub(crate) use std::thread;

    /// Nobody dies in the stress test.
    pub(crate) struct Died;
    pub(crate) fn live_for(_: u64) {}
    pub(crate) fn alive() -> bool {
        true
    }
    /// Real time passes by itself.
    pub(crate) fn time_passes() {}
    pub(crate) use std::sync::atomic::AtomicBool;

    pub(crate) trait Sendable: Send {}
    impl<T: Send> Sendable for T {}

    /// Runs the model often enough for threads to meet in many ways.
    pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
        (0..50).for_each(|_| model());
    }

    pub(crate) fn ends() -> Ends {
        slot_ring(1).ends
    }

    fn region(rows: usize) -> Region {
        let carries = TypeFingerprint { size: 8, align: 8, name: "u64".into(), described: None };
        let spec = Spec { kind: Kind::Spsc, carries: Some(carries), capacity: Some(1), rows: Some(rows as u64) };
        Region::anonymous(&spec, &Settings::default()).unwrap()
    }

    /// A table of seats.
    pub(crate) fn table(number: usize) -> View<[Row]> {
        region(number).writable_rows().unwrap()
    }

    /// A word of its own.
    pub(crate) fn word() -> View<AtomicU64> {
        region(0).writable().unwrap().control.part(|control| &control.region.patrol)
    }

    pub(crate) fn slot_ring(capacity: u64) -> Slots {
        spsc::Channel::<[u64; 2]>::options().capacity(capacity).anonymous().unwrap().writable().unwrap()
    }

    /// A mirrored ring has whole pages, so this one has more words than requested.
    pub(crate) fn record_ring(words: u64) -> RecordRing {
        bytes::Channel::options().capacity_bytes(words * 8).anonymous().unwrap().writable().unwrap()
    }

    pub(crate) fn cells(cells: u64) -> Values {
        let made = seqlock::Channel::<[u64; 2]>::options().anonymous().unwrap().writable().unwrap();
        Values { cells: made.cells.fewer(cells), ..made }
    }
}

pub(crate) use backend::*;
