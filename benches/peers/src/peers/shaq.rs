//! shaq: its single-producer, single-consumer queue in a shared file.
//!
//! One side creates the queue in the file and the other joins it, as in its example
//! (`examples/enqueue_dequeue.rs` in documentation of shaq 4.3.0). The file is in shared memory
//! and has no name, so that nothing stays behind. All versions from 4.4 to 5.1.1 need a compiler after 1.95; their queue
//! differs only in how sizes are checked.
//!
//! One by one, messages go by `try_write` and `try_read`. Batches go by `write_batch` and
//! `try_reserve_read_batch`, to which the documentation of these two points
//! (documentation of shaq 4.3.0, `shaq::spsc::Producer`). Both sides poll: its waits would spin for a
//! while and then sleep. Big messages go as batches of one, for these are written and read where they lie,
//! while `try_write` and `try_read` move them by value. Batches in place go in the same way, read by
//! `as_slices`.

use std::fs::File;
use std::hint::black_box;
use std::num::NonZeroUsize;

use shaq::error::Error;
use shaq::spsc::{Consumer, Producer, minimum_file_size};

use super::{BATCH, Scratch, look_for, look_until};
use crate::channels::batches_in_place::{Used, made};
use crate::line::{Line, Receiver, Result, Sender, number_of};

/// One by one.
pub struct Shaq<const N: usize>(Queue);

/// In batches.
pub struct ShaqBatches<const N: usize>(Queue);

/// In batches, where they lie.
pub struct ShaqInPlace<const N: usize>(Queue);

/// One by one, where they lie.
pub struct ShaqBig<const N: usize>(Queue);

struct Queue {
    file: File,
    capacity: usize,
}

impl Queue {
    fn new(scratch: &Scratch, capacity: usize) -> Result<Self> {
        Ok(Self { file: scratch.nameless_file()?, capacity })
    }

    fn producer<const N: usize>(&self) -> Result<Producer<[u64; N]>> {
        // SAFETY: nobody else creates the queue, and no other producer joins it.
        Ok(unsafe { Producer::create(&self.file, minimum_file_size::<[u64; N]>(self.capacity)) }?)
    }

    fn consumer<const N: usize>(&self) -> Result<Consumer<[u64; N]>> {
        look_for(|| {
            if self.file.metadata()?.len() == 0 {
                return Ok(None);
            }
            // SAFETY: no other consumer joins the queue, and the producer is for the same type.
            match unsafe { Consumer::join(&self.file) } {
                Ok(consumer) => Ok(Some(consumer)),
                // The producer is about to fill in the header.
                Err(Error::InvalidMagic) => Ok(None),
                Err(error) => Err(format!("{error:?}").into()),
            }
        })
    }
}

impl<const N: usize> Shaq<N> {
    pub fn new(scratch: &Scratch, capacity: usize) -> Result<Self> {
        Ok(Self(Queue::new(scratch, capacity)?))
    }
}

impl<const N: usize> ShaqBatches<N> {
    pub fn new(scratch: &Scratch, capacity: usize) -> Result<Self> {
        Ok(Self(Queue::new(scratch, capacity)?))
    }
}

impl<const N: usize> ShaqInPlace<N> {
    pub fn new(scratch: &Scratch, capacity: usize) -> Result<Self> {
        Ok(Self(Queue::new(scratch, capacity)?))
    }
}

impl<const N: usize> ShaqBig<N> {
    pub fn new(scratch: &Scratch, capacity: usize) -> Result<Self> {
        Ok(Self(Queue::new(scratch, capacity)?))
    }
}

impl<const N: usize> Line for Shaq<N> {
    type Sender = Producer<[u64; N]>;
    type Receiver = Consumer<[u64; N]>;

    fn sender(&self) -> Result<Self::Sender> {
        self.0.producer()
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        self.0.consumer()
    }
}

impl<const N: usize> Sender for Producer<[u64; N]> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        look_until(|| Ok(self.try_write([number; N]).is_ok()))
    }
}

impl<const N: usize> Receiver for Consumer<[u64; N]> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(number_of(&look_for(|| Ok(self.try_read()))?))
    }
}

pub struct Batch<E, const N: usize> {
    end: E,
    values: [[u64; N]; BATCH],
}

impl<const N: usize> Line for ShaqBatches<N> {
    type Sender = Batch<Producer<[u64; N]>, N>;
    type Receiver = Batch<Consumer<[u64; N]>, N>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(Batch { end: self.0.producer()?, values: [[0; N]; BATCH] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(Batch { end: self.0.consumer()?, values: [[0; N]; BATCH] })
    }
}

impl<const N: usize> Sender for Batch<Producer<[u64; N]>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[BATCH - 1] = [number; N];
        let mut rest = &self.values[..];
        while !rest.is_empty() {
            let count = look_for(|| {
                let mut batch = self.end.write_batch();
                let count = rest.iter().take_while(|&&value| batch.try_write(value).is_ok()).count();
                Ok((count > 0).then_some(count))
            })?;
            rest = &rest[count..];
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Batch<Consumer<[u64; N]>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut rest = &mut self.values[..];
        while let Some(most) = NonZeroUsize::new(rest.len()) {
            let count = look_for(|| {
                let Some(batch) = self.end.try_reserve_read_batch(most) else { return Ok(None) };
                let (first, second) = batch.as_slices();
                rest[..first.len()].copy_from_slice(first);
                rest[first.len()..batch.len()].copy_from_slice(second);
                Ok(Some(batch.len()))
            })?;
            rest = &mut rest[count..];
        }
        Ok(number_of(&black_box(&self.values)[BATCH - 1]))
    }
}

pub struct InPlace<E>(E);

impl<const N: usize> Line for ShaqInPlace<N> {
    type Sender = InPlace<Producer<[u64; N]>>;
    type Receiver = InPlace<Consumer<[u64; N]>>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(InPlace(self.0.producer()?))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(InPlace(self.0.consumer()?))
    }
}

impl<const N: usize> Sender for InPlace<Producer<[u64; N]>> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        let mut sent = 0;
        while sent < BATCH {
            let before = sent;
            look_until(|| {
                let mut batch = self.0.write_batch();
                while sent < BATCH {
                    // SAFETY: a place that there is has a value before the batch ends.
                    let Some(place) = (unsafe { batch.try_as_mut() }) else { break };
                    place.write(made(number, sent));
                    sent += 1;
                }
                Ok(sent > before)
            })?;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for InPlace<Consumer<[u64; N]>> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let (mut used, mut received) = (Used::new(), 0);
        while let Some(most) = NonZeroUsize::new(BATCH - received) {
            received += look_for(|| {
                let Some(batch) = self.0.try_reserve_read_batch(most) else { return Ok(None) };
                let (first, second) = batch.as_slices();
                first.iter().chain(second).for_each(|value| used.add(value));
                Ok(Some(batch.len()))
            })?;
        }
        Ok(used.number())
    }
}

pub struct Big<E, const N: usize> {
    end: E,
    value: Box<[u64; N]>,
}

impl<const N: usize> Line for ShaqBig<N> {
    type Sender = Big<Producer<[u64; N]>, N>;
    type Receiver = Big<Consumer<[u64; N]>, N>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(Big { end: self.0.producer()?, value: Box::new([0; N]) })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(Big { end: self.0.consumer()?, value: Box::new([0; N]) })
    }
}

impl<const N: usize> Sender for Big<Producer<[u64; N]>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.value[N - 1] = number;
        look_until(|| {
            let mut batch = self.end.write_batch();
            // SAFETY: a place that there is has a value before the batch ends.
            let place = unsafe { batch.try_as_mut() };
            Ok(place.map(|place| place.write(*self.value)).is_some())
        })
    }
}

impl<const N: usize> Receiver for Big<Consumer<[u64; N]>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        look_until(|| {
            let Some(batch) = self.end.try_reserve_read_batch(NonZeroUsize::MIN) else { return Ok(false) };
            *self.value = batch[0];
            Ok(true)
        })?;
        Ok(number_of(&self.value))
    }
}
