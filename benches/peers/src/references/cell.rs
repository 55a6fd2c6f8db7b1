//! The least of a seqlock, and a plain copy.

use std::array;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

use ringway::zerocopy::FromZeros;

/// A value of 64 bytes, and a mark that is odd while it is written.
#[derive(FromZeros)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(128))]
pub struct Cell {
    mark: AtomicU64,
    value: [AtomicU64; 8],
}

impl Cell {
    #[inline(always)]
    pub fn write(&self, version: u64, value: &[u64; 8]) {
        self.mark.store(2 * version - 1, Relaxed);
        fence(Release);
        for (word, &value) in self.value.iter().zip(value) {
            word.store(value, Relaxed);
        }
        self.mark.store(2 * version, Release);
    }

    #[inline(always)]
    pub fn try_read(&self) -> Option<[u64; 8]> {
        let mark = self.mark.load(Acquire);
        let value = array::from_fn(|word| self.value[word].load(Relaxed));
        fence(Acquire);
        (mark.is_multiple_of(2) && self.mark.load(Relaxed) == mark).then_some(value)
    }

    /// A copy of the value, for a caller that knows that nobody writes.
    ///
    /// # Safety
    ///
    /// Nobody writes.
    #[inline(always)]
    pub unsafe fn copy(&self) -> [u64; 8] {
        // SAFETY: aligned and initialized; the caller vouches that nobody writes.
        unsafe { self.value.as_ptr().cast::<[u64; 8]>().read() }
    }
}
