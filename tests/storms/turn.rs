//! One storm runs at a time, with random numbers that can be had again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::common::say::say;

/// Lets one storm run at a time, so that storms do not disturb what the others measure.
pub fn take_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seed of the random numbers. A test that fails says it.
pub struct Seed(pub u64);

impl Seed {
    pub fn new() -> Self {
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
