//! ringfire: a ring of slots in a file of `/dev/shm`, in its lossless mode.
//!
//! The ring is made with `FlowControl::LosslessBackpressure`, without which a slow reader loses messages
//! ("Lossless Backpressure Flow Control" in documentation of ringfire 0.5.2). Only readers in the
//! ring's registry hold the writer back, so the writer waits until its reader is there. The registry has
//! space for that one reader, and there is less to look through when the ring is full.
//!
//! The reader polls (`try_recv`, `recv_batch`), as in its own comparison (`benches/ipc_compare.rs` in the crate).
//! The writer does what the documentation shows: `push` and `push_batch` wait for space by themselves. They
//! spin, then yield, and sleep ten microseconds at a time if the ring stays full; polling `try_push` was no faster.
//!
//! Payloads of variable length (`BlobProducer`) are always lossy, so big messages take slots of their size.
//! They are received into a buffer, as batches of one: `try_recv` returns them by value, which takes three times
//! as long at 64 KiB.

use std::fs;
use std::hint::black_box;
use std::io::ErrorKind;
use std::path::PathBuf;

use ringfire::{FlowControl, RingConsumer, RingProducer, RingProducerBuilder, RingfireError};

use super::{BATCH, Scratch, look_for, look_until};
use crate::line::{Line, Receiver, Result, Sender, number_of};

/// One message at a time, or in batches of as many.
pub struct Ringfire<const N: usize, const MANY: usize = 1> {
    path: PathBuf,
    capacity: u64,
}

pub type RingfireBatches<const N: usize> = Ringfire<N, BATCH>;

impl<const N: usize, const MANY: usize> Ringfire<N, MANY> {
    pub fn new(scratch: &Scratch, capacity: usize) -> Self {
        Self { path: scratch.path("ringfire"), capacity: capacity as u64 }
    }
}

pub struct Producer<const N: usize, const MANY: usize> {
    end: RingProducer<[u64; N]>,
    values: Vec<[u64; N]>,
}

pub struct Consumer<const N: usize, const MANY: usize> {
    end: RingConsumer<[u64; N]>,
    values: Vec<[u64; N]>,
}

impl<const N: usize, const MANY: usize> Line for Ringfire<N, MANY> {
    type Sender = Producer<N, MANY>;
    type Receiver = Consumer<N, MANY>;

    fn sender(&self) -> Result<Self::Sender> {
        let options =
            RingProducerBuilder::new(self.capacity).flow_control(FlowControl::LosslessBackpressure).max_readers(1);
        let end = options.build::<[u64; N], _>(&self.path)?;
        look_until(|| Ok(end.registry().is_some_and(|readers| readers.min_cursor().is_some())))?;
        Ok(Producer { end, values: vec![[0; N]; MANY] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let end = look_for(|| match RingConsumer::attach(&self.path) {
            Ok(end) => Ok(Some(end)),
            // The file is not there yet, or not filled in.
            Err(RingfireError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(RingfireError::InvalidMagic { .. } | RingfireError::CorruptLayout(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        // Both sides have it, so that nothing stays behind however they end.
        fs::remove_file(&self.path)?;
        Ok(Consumer { end, values: vec![[0; N]; MANY] })
    }
}

impl<const N: usize, const MANY: usize> Sender for Producer<N, MANY> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[MANY - 1] = [number; N];
        if MANY == 1 {
            self.end.push(&self.values[0]);
        } else {
            self.end.push_batch(&self.values);
        }
        Ok(())
    }
}

impl<const N: usize, const MANY: usize> Receiver for Consumer<N, MANY> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        if MANY == 1 && N <= 8 {
            return Ok(number_of(&look_for(|| Ok(self.end.try_recv()))?));
        }
        let mut received = 0;
        while received < MANY {
            let rest = &mut self.values[received..];
            received += look_for(|| Ok(Some(self.end.recv_batch(rest)).filter(|&count| count > 0)))?;
        }
        Ok(number_of(&black_box(&self.values)[MANY - 1]))
    }
}
