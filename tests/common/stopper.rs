//! Threads that stop with their test.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells threads to stop when it is dropped, also when its test fails, so that whoever waits for them does not for ever.
pub struct Stopper<'a>(pub &'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
