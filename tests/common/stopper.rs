//! Threads that stop with their test.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells threads to stop when it is dropped. A test that fails drops it too, so nobody waits for the threads for ever.
pub struct Stopper<'a>(pub &'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
