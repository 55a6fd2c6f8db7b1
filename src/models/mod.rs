//! Models of the protocols, over the very code that runs on a mapping.
//!
//! Each body runs twice: under loom (`RUSTFLAGS="--cfg loom" cargo test --release --lib models`), which
//! tries every order of the atomic operations with at most three preemptions, and every value a relaxed
//! load may return; and as a plain stress test over an anonymous region, with real threads.
//!
//! Payload words are loom's atomics too, so a torn copy is seen. `.ci/weaken` breaks each ordering in turn
//! and wants a model to fail.
#![forbid(unsafe_code)]

mod cell;
mod deaths;
mod records;
mod seat;
mod sleeper;
mod slots;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::layout::Process;
use crate::protocol::cell::Cells;
use crate::protocol::records::RecordRing;
use crate::protocol::slots::SlotRing;
use crate::protocol::{State, Stop, after_consume, after_publish};

/// Stands in the seat of every endpoint that is modelled without one.
const HOLDER: u64 = 1;

fn process(pid: u32) -> Process {
    Process { pid, identity: pid * 10, at_home: true, locked: false }
}

/// Tries an operation until it is no longer blocked, and lets others run in between.
fn insist<R>(mut attempt: impl FnMut() -> Result<R, Stop>) -> Result<R, Stop> {
    loop {
        match attempt() {
            Err(Stop::Blocked) => thread::yield_now(),
            result => return result,
        }
    }
}

impl SlotRing<[u64; 2]> {
    fn model_sender(&self) -> State {
        self.sender_state(HOLDER).unwrap()
    }

    fn model_receiver(&self) -> State {
        self.receiver_state(HOLDER).unwrap()
    }

    /// Sends two words, or says that the ring is full.
    fn model_send(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        self.model_commit(s, value)?;
        after_publish(&self.control, s, false);
        Ok(())
    }

    fn model_commit(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        self.reserve(s)?;
        self.put(s, &value);
        Ok(())
    }

    /// Receives two words, or says that the ring is empty.
    fn model_recv(&self, s: &mut State) -> Result<[u64; 2], Stop> {
        let value = match self.try_take(s) {
            Some(value) => value,
            None => {
                self.peek(s)?;
                self.take(s)
            }
        };
        after_consume(&self.control, false);
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
        after_publish(&self.control, s, false);
        Ok(())
    }

    fn model_commit(&self, s: &mut State, record: &[u8]) -> Result<(), Stop> {
        self.reserve(s, record.len())?;
        self.write(s, record);
        self.publish(s, record.len());
        Ok(())
    }

    fn model_recv(&self, s: &mut State) -> Result<Vec<u8>, Stop> {
        let len = self.peek(s)?;
        let record = self.data.read_vec(self.payload(s), len);
        self.consume(s, len);
        after_consume(&self.control, false);
        Ok(record)
    }
}

impl Cells<[u64; 2]> {
    fn model_writer(&self) -> State {
        self.writer_state(HOLDER).unwrap()
    }

    fn model_write(&self, s: &mut State, value: [u64; 2]) -> Result<(), Stop> {
        self.write(s, &value, false)
    }
}

/// Runs a participant that may be ended before one of its atomic operations, and says whether it was.
fn mortal(participant: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(participant)) {
        Ok(()) => false,
        Err(payload) if payload.is::<Died>() => true,
        Err(payload) => resume_unwind(payload),
    }
}

#[cfg(loom)]
mod world {
    use std::sync::Arc;
    use std::time::Duration;

    use crossbeam_utils::CachePadded;

    use super::{Cells, RecordRing, SlotRing};
    use crate::layout::{Checkpoint, Control, FIRST, HeadLine, Seat, SentLine, cell_words, slot_words};
    use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
    use crate::words::{View, Words};

    pub(crate) use crate::sync::model::{Died, alive, live_for};
    pub(crate) use futex::time_passes;
    pub(crate) use loom::sync::atomic::AtomicBool;

    /// What a closure needs to run in another thread: loom has but one.
    pub(crate) trait Sendable {}
    impl<T> Sendable for T {}
    pub(crate) use loom::thread;

    /// Explores every order of the model's operations, with at most three preemptions.
    pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    pub(crate) fn control() -> View<Control> {
        let seat = || Seat {
            holder: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            barrier: AtomicU64::new(0),
            died: AtomicU64::new(0),
        };
        View::on_heap(Control {
            seats: std::array::from_fn(|_| CachePadded::new(seat())),
            consumed: CachePadded::new(HeadLine {
                head: AtomicU64::new(FIRST),
                told: AtomicU64::new(0),
                handed: AtomicU64::new(0),
                tally: AtomicU64::new(0),
            }),
            sent: CachePadded::new(SentLine {
                latest: AtomicU64::new(0),
                batch: AtomicU64::new(0),
                turn: AtomicU64::new(0),
                checkpoints: std::array::from_fn(|_| Checkpoint {
                    position: AtomicU64::new(0),
                    records: AtomicU64::new(0),
                }),
            }),
            data_wait: CachePadded::new(AtomicU32::new(0)),
            space_wait: CachePadded::new(AtomicU32::new(0)),
            flags: CachePadded::new(AtomicU64::new(0)),
        })
    }

    pub(crate) fn slot_ring(capacity: u64) -> SlotRing<[u64; 2]> {
        let stride = slot_words(16, 8).unwrap();
        let data = Words::on_heap(capacity as usize * stride, false);
        SlotRing::new(control(), data, capacity)
    }

    pub(crate) fn record_ring(words: u64) -> RecordRing {
        RecordRing::new(control(), Words::on_heap(words as usize, true), words)
    }

    pub(crate) fn cells(cells: u64) -> Cells<[u64; 2]> {
        let words = cells as usize * cell_words(16, 8).unwrap();
        Cells::new(control(), Words::on_heap(words, false), cells)
    }

    /// What `membarrier` and the compiler's fence on the other side amount to together.
    pub(crate) fn heavy_barrier() -> bool {
        fence(Ordering::SeqCst);
        true
    }

    /// The futex, as a queue for each word.
    pub(crate) mod futex {
        use super::*;
        use loom::sync::{Condvar, Mutex};

        #[derive(Default)]
        struct Queues {
            of: Vec<(usize, Arc<Condvar>)>,
            time_passes: bool,
        }

        loom::lazy_static! {
            static ref QUEUES: Mutex<Queues> = Mutex::new(Queues::default());
        }

        fn queue_of(queues: &mut Queues, word: &AtomicU32) -> Arc<Condvar> {
            let key = std::ptr::from_ref(word).addr();
            if let Some((_, queue)) = queues.of.iter().find(|(other, _)| *other == key) {
                return queue.clone();
            }
            let queue = Arc::new(Condvar::new());
            queues.of.push((key, queue.clone()));
            queue
        }

        /// True if it slept for all of the time, of which none passes until [`time_passes`].
        pub(crate) fn wait(word: &AtomicU32, expected: u32, _: Duration) -> bool {
            let mut queues = QUEUES.lock().unwrap();
            let queue = queue_of(&mut queues, word);
            if !queues.time_passes && word.load(Ordering::Relaxed) == expected {
                queues = queue.wait(queues).unwrap();
            }
            queues.time_passes
        }

        /// From now on, nobody sleeps for longer than they said.
        pub(crate) fn time_passes() {
            let mut queues = QUEUES.lock().unwrap();
            queues.time_passes = true;
            queues.of.iter().for_each(|(_, queue)| queue.notify_all());
        }

        /// All of them: no model has more than are woken at once.
        pub(crate) fn wake(word: &AtomicU32, _: u32) {
            let mut queues = QUEUES.lock().unwrap();
            queue_of(&mut queues, word).notify_all();
        }
    }
}

#[cfg(not(loom))]
mod world {
    use super::{Cells, RecordRing, SlotRing};
    use crate::layout::Control;
    use crate::words::View;
    use crate::{bytes, seqlock, spsc};

    pub(crate) use std::thread;

    /// Never dies here: see the loom arm.
    pub(crate) struct Died;
    pub(crate) fn live_for(_: u64) {}
    pub(crate) fn alive() -> bool {
        true
    }
    /// It does by itself.
    pub(crate) fn time_passes() {}
    pub(crate) use std::sync::atomic::AtomicBool;

    pub(crate) trait Sendable: Send {}
    impl<T: Send> Sendable for T {}

    /// Runs the model often enough for threads to meet in many ways.
    pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
        (0..50).for_each(|_| model());
    }

    pub(crate) fn control() -> View<Control> {
        slot_ring(1).control.clone()
    }

    pub(crate) fn slot_ring(capacity: u64) -> SlotRing<[u64; 2]> {
        spsc::Channel::<[u64; 2]>::options().capacity(capacity).anonymous().unwrap().writable().unwrap()
    }

    /// A mirrored ring has whole pages, so it has more words here than were asked for.
    pub(crate) fn record_ring(words: u64) -> RecordRing {
        bytes::Channel::options().capacity_bytes(words * 8).anonymous().unwrap().writable().unwrap()
    }

    pub(crate) fn cells(cells: u64) -> Cells<[u64; 2]> {
        let made = seqlock::Channel::<[u64; 2]>::options().anonymous().unwrap().writable().unwrap();
        Cells { data: made.data.fewer(cells), ..made }
    }
}

pub(crate) use world::*;
