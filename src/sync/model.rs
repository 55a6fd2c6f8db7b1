//! Their models: loom's atomics with a death before any operation, and what the kernel does with them.
//!
//! Every operation first calls [`step`], where a model may end the participant that runs it: from then on nothing it
//! does reaches memory, as after `SIGKILL`.

pub(crate) use loom::sync::atomic::Ordering;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What a participant that dies unwinds with.
pub(crate) struct Died;

loom::thread_local! {
    /// Operations left to live, counted down; `None`: immortal.
    static LEFT: Cell<Option<u64>> = Cell::new(None);
}

/// Lets the calling participant live for `operations` more atomic operations.
pub(crate) fn live_for(operations: u64) {
    LEFT.with(|left| left.set(Some(operations)));
}

/// Whether the calling participant can still do anything.
pub(crate) fn alive() -> bool {
    LEFT.with(Cell::get) != Some(0)
}

/// False once the participant is dead: the operation must not reach memory.
fn step() -> bool {
    match LEFT.with(Cell::get) {
        None => true,
        Some(0) if std::thread::panicking() => false,
        Some(0) => std::panic::resume_unwind(Box::new(Died)),
        Some(left) => {
            LEFT.with(|cell| cell.set(Some(left - 1)));
            true
        }
    }
}

pub(crate) fn fence(order: Ordering) {
    if step() {
        loom::sync::atomic::fence(order);
    }
}

macro_rules! atomic {
    ($name:ident, $value:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }
            pub(crate) fn load(&self, order: Ordering) -> $value {
                if step() { self.0.load(order) } else { 0 }
            }
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                if step() {
                    self.0.store(value, order);
                }
            }
            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                if step() { self.0.fetch_max(value, order) } else { 0 }
            }
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                if step() { self.0.fetch_or(value, order) } else { 0 }
            }
            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                if step() { self.0.fetch_and(value, order) } else { 0 }
            }
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                if step() { self.0.compare_exchange(current, new, success, failure) } else { Err(0) }
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);

impl AtomicU32 {
    /// No step of a participant: it is in the kernel.
    fn seen_by_kernel(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// loom knows no `membarrier`; what the pair of barriers amounts to is a full fence on both sides.
pub(crate) fn light_barrier(_: bool) {
    fence(Ordering::SeqCst)
}

/// See [`light_barrier`].
pub(crate) fn heavy_barrier() -> bool {
    fence(Ordering::SeqCst);
    true
}

loom::lazy_static! {
    /// Hours since the start, once time passes; 0 before. Not one of loom's atomics: a look at the clock is no step of a
    /// participant.
    static ref HOURS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
}

/// The clock: it stands until [`time_passes`], and then is an hour later at each look.
pub(crate) fn now() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let hours = match HOURS.load(std::sync::atomic::Ordering::SeqCst) {
        0 => 0,
        _ => HOURS.fetch_add(1, std::sync::atomic::Ordering::SeqCst),
    };
    *START.get_or_init(Instant::now) + Duration::from_secs(3600) * hours
}

pub(crate) use futex::time_passes;
pub(crate) use std::thread::sleep as nap;

/// The futex, as a queue for each word.
pub(crate) mod futex {
    use std::sync::Arc;
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    use super::AtomicU32;

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
        if !queues.time_passes && word.seen_by_kernel() == expected {
            queues = queue.wait(queues).unwrap();
        }
        queues.time_passes
    }

    /// From now on, nobody sleeps for longer than they said.
    pub(crate) fn time_passes() {
        let mut queues = QUEUES.lock().unwrap();
        queues.time_passes = true;
        super::HOURS.store(1, std::sync::atomic::Ordering::SeqCst);
        queues.of.iter().for_each(|(_, queue)| queue.notify_all());
    }

    /// All of them: no model has more than are woken at once.
    pub(crate) fn wake(word: &AtomicU32, _: u32) {
        let mut queues = QUEUES.lock().unwrap();
        queue_of(&mut queues, word).notify_all();
    }
}
