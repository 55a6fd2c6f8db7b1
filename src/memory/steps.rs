//! Counts looks at shared memory: at a word, at some words in a row, or at a structure of words.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count() {
    STEPS.set(STEPS.get() + 1);
}

/// How many looks `work` takes.
#[allow(dead_code, reason = "not used where messages are copied word by word")]
pub(crate) fn of<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = STEPS.get();
    let result = work();
    (result, STEPS.get() - before)
}
