//! rtrb: a ring between two threads of one process.
//!
//! `push` and `pop` are polled, and for batches the slices of its chunks, in the loops that their
//! documentation of rtrb 0.4.1 shows (`rtrb::Producer`).

use std::hint::black_box;

use rtrb::{Consumer, Producer, RingBuffer};

use super::{BATCH, look_for, look_until};
use crate::line::{Pair, Receiver, Result, Sender, number_of};

/// One by one.
pub struct Rtrb<const N: usize> {
    capacity: usize,
}

/// In batches.
pub struct RtrbBatches<const N: usize> {
    capacity: usize,
}

impl<const N: usize> Rtrb<N> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity }
    }
}

impl<const N: usize> RtrbBatches<N> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity }
    }
}

impl<const N: usize> Pair for Rtrb<N> {
    type Sender = Producer<[u64; N]>;
    type Receiver = Consumer<[u64; N]>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        Ok(RingBuffer::new(self.capacity))
    }
}

impl<const N: usize> Sender for Producer<[u64; N]> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        look_until(|| Ok(self.push([number; N]).is_ok()))
    }
}

impl<const N: usize> Receiver for Consumer<[u64; N]> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(number_of(&look_for(|| Ok(self.pop().ok()))?))
    }
}

pub struct Batch<E, const N: usize> {
    end: E,
    values: [[u64; N]; BATCH],
}

impl<const N: usize> Pair for RtrbBatches<N> {
    type Sender = Batch<Producer<[u64; N]>, N>;
    type Receiver = Batch<Consumer<[u64; N]>, N>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        let (producer, consumer) = RingBuffer::new(self.capacity);
        let values = [[0; N]; BATCH];
        Ok((Batch { end: producer, values }, Batch { end: consumer, values }))
    }
}

impl<const N: usize> Sender for Batch<Producer<[u64; N]>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[BATCH - 1] = [number; N];
        let mut rest = &self.values[..];
        while !rest.is_empty() {
            let (pushed, _) =
                look_for(|| Ok(Some(self.end.push_partial_slice(rest)).filter(|(some, _)| !some.is_empty())))?;
            rest = &rest[pushed.len()..];
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Batch<Consumer<[u64; N]>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut rest = &mut self.values[..];
        while !rest.is_empty() {
            let count = look_for(|| Ok(Some(self.end.pop_partial_slice(rest).0.len()).filter(|&count| count > 0)))?;
            rest = &mut rest[count..];
        }
        Ok(number_of(&black_box(&self.values)[BATCH - 1]))
    }
}
