//! The least of a round trip: each side stores a number to a cache line of its own and spins on the other's.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::line::{Line, Receiver, Result, Sender};
use crate::shared::{Padded, share_one, spin_until};

/// A number in a cache line: for round trips, since a number not yet seen is overwritten.
#[derive(Clone, Copy)]
pub struct CacheLine {
    word: &'static AtomicU64,
    seen: u64,
}

impl CacheLine {
    pub fn new() -> Result<Self> {
        Ok(Self { word: &share_one::<Padded>()?.0, seen: 0 })
    }
}

impl Line for CacheLine {
    type Sender = Self;
    type Receiver = Self;

    fn sender(&self) -> Result<Self> {
        Ok(*self)
    }

    fn receiver(&self) -> Result<Self> {
        Ok(*self)
    }
}

impl Sender for CacheLine {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.word.store(number, Release);
        Ok(())
    }
}

impl Receiver for CacheLine {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut number = 0;
        spin_until(|| {
            number = self.word.load(Acquire);
            number != self.seen
        });
        self.seen = number;
        Ok(number)
    }
}
