//! The least of a ring of records: a word with position and length, then the bytes, copied in and out by `memcpy`.
//! All records have one length, so that their first words lie where first words lay.

use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use ringway::zerocopy::IntoBytes;

use crate::channels::in_place::{consumed, produce};
use crate::line::{Line, Receiver, Result, Sender, show, shown};
use crate::shared::{Padded, share, share_one, spin_until};

#[derive(Clone, Copy)]
pub struct RecordRing {
    words: &'static [AtomicU64],
    head: &'static AtomicU64,
    len: usize,
}

impl RecordRing {
    /// A ring of `capacity` records of `len` bytes, a multiple of 8.
    pub fn new(len: usize, capacity: usize) -> Result<Self> {
        Ok(Self { words: share((1 + len / 8) * capacity)?, head: &share_one::<Padded>()?.0, len })
    }
}

/// A ring of records, known to one of its sides.
pub struct RecordEnd {
    ring: RecordRing,
    pos: u64,
    limit: u64,
    /// Where `pos` lies, in words.
    offset: usize,
    buffer: Vec<u64>,
}

impl RecordEnd {
    fn new(ring: RecordRing) -> Self {
        let mut end = Self { ring, pos: 0, limit: 0, offset: 0, buffer: vec![0; ring.len / 8] };
        end.limit = end.capacity();
        end
    }

    fn capacity(&self) -> u64 {
        (self.ring.words.len() / (1 + self.ring.len / 8)) as u64
    }

    #[inline(always)]
    fn payload(&self) -> *mut u64 {
        self.ring.words[self.offset + 1..].as_ptr().cast_mut().cast()
    }

    #[inline(always)]
    fn step(&mut self) {
        self.pos += 1;
        self.offset += 1 + self.ring.len / 8;
        if self.offset == self.ring.words.len() {
            self.offset = 0;
        }
    }

    #[cold]
    fn wait_for_space(&mut self) {
        let capacity = self.capacity();
        spin_until(|| {
            self.limit = self.ring.head.load(Acquire) + capacity;
            self.pos < self.limit
        });
    }

    #[inline(always)]
    fn reserve(&mut self) {
        if self.pos == self.limit {
            self.wait_for_space();
        }
    }

    #[inline(always)]
    fn publish(&mut self) {
        let first = (self.pos + 1) << 32 | self.ring.len as u64;
        self.ring.words[self.offset].store(first, Release);
        self.step();
    }

    /// Waits for the next record, and returns its length in words.
    #[inline(always)]
    fn peek(&self) -> usize {
        let mut first = 0;
        spin_until(|| {
            first = self.ring.words[self.offset].load(Acquire);
            first >> 32 == (self.pos + 1) & u64::from(u32::MAX)
        });
        first as u32 as usize / 8
    }

    #[inline(always)]
    fn consume(&mut self) {
        self.step();
        self.ring.head.store(self.pos, Release);
    }

    /// Sends what lies in the buffer.
    #[inline(always)]
    fn send(&mut self) {
        self.reserve();
        // SAFETY: the record's words are the sender's until its first word is stored.
        unsafe { self.payload().copy_from_nonoverlapping(self.buffer.as_ptr(), self.buffer.len()) };
        self.publish();
    }

    /// Receives the next record into the buffer.
    #[inline(always)]
    fn receive(&mut self) {
        let words = self.peek();
        let from = self.payload();
        let record = &mut self.buffer[..words];
        // SAFETY: the first word says that the words are there, and the sender waits for the head.
        unsafe { record.as_mut_ptr().copy_from_nonoverlapping(from, record.len()) };
        self.consume();
    }
}

impl Line for RecordRing {
    type Sender = RecordEnd;
    type Receiver = RecordEnd;

    fn sender(&self) -> Result<RecordEnd> {
        Ok(RecordEnd::new(*self))
    }

    fn receiver(&self) -> Result<RecordEnd> {
        Ok(RecordEnd::new(*self))
    }
}

impl Sender for RecordEnd {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(self.buffer.as_mut_bytes(), number);
        self.send();
        Ok(())
    }
}

impl Receiver for RecordEnd {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        self.receive();
        Ok(shown(self.buffer.as_bytes()))
    }
}

/// The same ring without the copies: a record is made and used where it lies.
pub struct InPlace(pub RecordRing);

/// An end of it.
pub struct InPlaceEnd(RecordEnd);

impl Line for InPlace {
    type Sender = InPlaceEnd;
    type Receiver = InPlaceEnd;

    fn sender(&self) -> Result<InPlaceEnd> {
        Ok(InPlaceEnd(RecordEnd::new(self.0)))
    }

    fn receiver(&self) -> Result<InPlaceEnd> {
        Ok(InPlaceEnd(RecordEnd::new(self.0)))
    }
}

impl Sender for InPlaceEnd {
    fn put(&mut self, number: u64) -> Result {
        self.0.reserve();
        // SAFETY: the record's words are the sender's until its first word is stored.
        unsafe { produce(self.0.payload(), self.0.buffer.len(), number) };
        self.0.publish();
        Ok(())
    }
}

impl Receiver for InPlaceEnd {
    fn get(&mut self) -> Result<u64> {
        self.0.peek();
        // SAFETY: the first word says that the words are there, and the sender waits for the head.
        let record = unsafe { slice::from_raw_parts(self.0.payload(), self.0.buffer.len()) };
        let number = consumed(record);
        self.0.consume();
        Ok(number)
    }
}

/// The same ring, whose sender makes every byte of a record before it goes in, and whose receiver uses every byte once it is out.
pub struct Produced(pub RecordRing);

/// An end of it.
pub struct ProducedEnd(RecordEnd);

impl Line for Produced {
    type Sender = ProducedEnd;
    type Receiver = ProducedEnd;

    fn sender(&self) -> Result<ProducedEnd> {
        Ok(ProducedEnd(RecordEnd::new(self.0)))
    }

    fn receiver(&self) -> Result<ProducedEnd> {
        Ok(ProducedEnd(RecordEnd::new(self.0)))
    }
}

impl Sender for ProducedEnd {
    fn put(&mut self, number: u64) -> Result {
        let words = self.0.buffer.len();
        // SAFETY: the buffer has that many words.
        unsafe { produce(self.0.buffer.as_mut_ptr(), words, number) };
        self.0.send();
        Ok(())
    }
}

impl Receiver for ProducedEnd {
    fn get(&mut self) -> Result<u64> {
        self.0.receive();
        Ok(consumed(&self.0.buffer))
    }
}
