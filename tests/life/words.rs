//! Words between the processes of the tests.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

use crate::common::raw::Raw;
use crate::holders::Spsc;

/// How often each thing is tried.
pub const ROUNDS: usize = 200;

/// Longer than anything here takes. A call that waits so long hangs.
pub const LONG: Duration = Duration::from_secs(30);

/// Waits until something is done, and leaves the processors to those it waits for.
pub fn until(mut done: impl FnMut() -> bool) {
    for looks in 0.. {
        match looks {
            _ if done() => return,
            ..16 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// Memory that all processes share, for words between them.
pub fn board() -> Raw {
    Raw::new(Spsc::options().capacity(64).memfd().unwrap().region().fd().unwrap())
}

pub fn say(word: &AtomicU64, value: usize) {
    word.store(value as u64, Release);
}

pub fn wait_for(word: &AtomicU64, value: usize) {
    until(|| word.load(Acquire) == value as u64);
}
