//! The least of a round trip between two that sleep: each side sleeps in the kernel until the other's word
//! changes.

use std::sync::atomic::Ordering::Release;

use crate::line::{Line, Receiver, Result, Sender};
use crate::shared::{Futex, share_one};

/// A number in a word to sleep on.
#[derive(Clone, Copy)]
pub struct FutexLine {
    word: &'static Futex,
    seen: u32,
}

impl FutexLine {
    pub fn new() -> Result<Self> {
        Ok(Self { word: share_one()?, seen: 0 })
    }
}

impl Line for FutexLine {
    type Sender = Self;
    type Receiver = Self;

    fn sender(&self) -> Result<Self> {
        Ok(*self)
    }

    fn receiver(&self) -> Result<Self> {
        Ok(*self)
    }
}

impl Sender for FutexLine {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.word.0.store(number as u32, Release);
        self.word.wake()
    }
}

impl Receiver for FutexLine {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        self.seen = self.word.wait_while(self.seen)?;
        Ok(self.seen.into())
    }
}
