//! `spsc`, message by message and in batches.

use std::hint::black_box;

use ringway::{Wait, spsc};

use crate::line::{Line, Pair, Receiver, Result, Sender, number_of};

/// Messages of a batch.
pub const BATCH: usize = 64;

/// A ring of values of `N` words.
pub struct Spsc<const N: usize> {
    channel: spsc::Channel<[u64; N]>,
    wait: Wait,
}

impl<const N: usize> Spsc<N> {
    pub fn new(capacity: usize, wait: Wait) -> Result<Self> {
        let channel = spsc::Channel::options().capacity(capacity as u64).prefault(true).anonymous()?;
        Ok(Self { channel, wait })
    }
}

/// One end of it, and a value.
pub struct SpscEnd<E, const N: usize> {
    pub end: E,
    value: Box<[u64; N]>,
}

type SenderEnd<const N: usize> = SpscEnd<spsc::Sender<[u64; N]>, N>;
type ReceiverEnd<const N: usize> = SpscEnd<spsc::Receiver<[u64; N]>, N>;

impl<const N: usize> Line for Spsc<N> {
    type Sender = SenderEnd<N>;
    type Receiver = ReceiverEnd<N>;

    fn sender(&self) -> Result<Self::Sender> {
        let mut end = self.channel.sender()?;
        end.set_wait(self.wait);
        Ok(SpscEnd { end, value: Box::new([0; N]) })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut end = self.channel.receiver()?;
        end.set_wait(self.wait);
        Ok(SpscEnd { end, value: Box::new([0; N]) })
    }
}

impl<const N: usize> Pair for Spsc<N> {
    type Sender = SenderEnd<N>;
    type Receiver = ReceiverEnd<N>;

    fn pair(&self) -> Result<(Self::Sender, Self::Receiver)> {
        Ok((self.sender()?, self.receiver()?))
    }
}

impl<const N: usize> Sender for SenderEnd<N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        if N <= 8 {
            return Ok(self.end.send(&[number; N])?);
        }
        self.value[N - 1] = number;
        Ok(self.end.send(&self.value)?)
    }
}

impl<const N: usize> Receiver for ReceiverEnd<N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(number_of(&self.end.recv()?))
    }
}

/// The same, in batches, each of which shows a number in its last value.
pub struct Batches<const N: usize>(pub Spsc<N>);

/// One end of it, and a batch.
pub struct BatchEnd<E, const N: usize> {
    end: E,
    values: Vec<[u64; N]>,
}

impl<const N: usize> Line for Batches<N> {
    type Sender = BatchEnd<spsc::Sender<[u64; N]>, N>;
    type Receiver = BatchEnd<spsc::Receiver<[u64; N]>, N>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(BatchEnd { end: self.0.sender()?.end, values: vec![[0; N]; BATCH] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(BatchEnd { end: self.0.receiver()?.end, values: vec![[0; N]; BATCH] })
    }
}

impl<const N: usize> Sender for BatchEnd<spsc::Sender<[u64; N]>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[BATCH - 1] = [number; N];
        let mut sent = 0;
        while sent < BATCH {
            sent += self.end.send_some(&self.values[sent..])?.0;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for BatchEnd<spsc::Receiver<[u64; N]>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut received = 0;
        while received < BATCH {
            received += self.end.recv_slice(&mut self.values[received..])?;
        }
        Ok(number_of(&black_box(&self.values)[BATCH - 1]))
    }
}
