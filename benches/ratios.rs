//! What ringway costs between two processes, beside the least that does the same.
//!
//! ```text
//! cargo bench --bench ratios
//! ```
//!
//! Two processes are pinned to two processors, on different cores if there are such. In every slice each
//! case has its turn of a few milliseconds, so that whatever else the machine does hits all of them alike.
//! A turn is timed in short stretches, and its time is their median: a stretch in which one of the two
//! processes did not run does not count. The ratio of two cases is the median over the slices, with its
//! quartiles; only ratios mean anything from one machine to the next.
//!
//! The references know no API, no errors, no dead peers and no sleepers, and trust what they read.

use std::error::Error;
use std::hint::{black_box, spin_loop};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, fence};
use std::thread::yield_now;
use std::time::Instant;
use std::{array, env, fs, slice};

use nix::libc::{self, c_int};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::utsname::uname;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use ringway::{Wait, bytes, page_faults, seqlock, spsc};
use zerocopy::FromZeros;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Slices that count.
const SLICES: u64 = 60;

/// Slices before those that count. A fork leaves shared pages for the child to fault in, and some are
/// touched only where a record crosses the end of its ring.
const WARM_UP: u64 = 4;

/// Stretches of a turn that are timed.
const STRETCHES: usize = 48;

/// Slots of a ring that is streamed through.
const DEEP: usize = 1024;

/// Slots of a ring that never holds more than one message.
const SHALLOW: usize = 64;

/// Messages of a batch.
const BATCH: usize = 64;

/// The most a round trip may take, in round trips of a bare cache line.
const ROUND_TRIP: f64 = 1.25;

/// The most a message one way may take, in messages of the bare slot ring.
const ONE_WAY: f64 = 1.5;

/// Looks until `done`. Once that takes long it yields: the peer may be waiting for this very processor.
#[inline(always)]
fn spin_until(mut done: impl FnMut() -> bool) {
    let mut looks = 0;
    while !done() {
        looks += 1;
        if looks < 20_000 {
            spin_loop();
        } else {
            yield_now();
        }
    }
}

/// A pair of cache lines, for processors fetch them in pairs.
#[derive(FromZeros)]
#[repr(C, align(128))]
struct Padded(AtomicU64);

/// Zeroes that this process and those it forks share for good.
fn share<T: FromZeros>(count: usize) -> Result<&'static [T]> {
    let len = NonZeroUsize::new(count * size_of::<T>()).ok_or("nothing to share")?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
    let memory = unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE) }?;
    // SAFETY: pages are aligned enough; zeroes are a `T`; nothing unmaps them.
    Ok(unsafe { slice::from_raw_parts(memory.cast().as_ptr(), count) })
}

/// A way from one process to the other, made before there are two.
trait Line: 'static {
    type Sender: Sender;
    type Receiver: Receiver;

    fn sender(&self) -> Result<Self::Sender>;
    fn receiver(&self) -> Result<Self::Receiver>;
}

trait Sender: 'static {
    /// Sends a message that shows `number`.
    fn put(&mut self, number: u64) -> Result;
}

trait Receiver: 'static {
    /// Receives a message whole, and returns its number.
    fn get(&mut self) -> Result<u64>;
}

/// The number that every word of a payload shows.
#[inline(always)]
fn number_of<const N: usize>(payload: &[u64; N]) -> u64 {
    black_box(payload)[N - 1]
}

/// The least of a round trip: a number in a cache line of one's own.
#[derive(Clone, Copy)]
struct CacheLine {
    word: &'static AtomicU64,
    seen: u64,
}

impl CacheLine {
    fn new() -> Result<Self> {
        Ok(Self { word: &share::<Padded>(1)?[0].0, seen: 0 })
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

/// The least of a slot ring: payload, then stamp; the head on a line of its own.
#[derive(FromZeros)]
#[repr(C)]
struct Slots<const N: usize, const CAPACITY: usize> {
    slots: [Slot<N>; CAPACITY],
    head: Padded,
}

#[derive(FromZeros)]
#[repr(C)]
struct Slot<const N: usize> {
    payload: [AtomicU64; N],
    /// The position after this one's, once the message of that position is there.
    stamp: AtomicU64,
}

impl<const N: usize> Slot<N> {
    #[inline(always)]
    fn payload(&self) -> *mut [u64; N] {
        self.payload.as_ptr().cast_mut().cast()
    }
}

/// A slot ring, known to one of its sides.
struct SlotEnd<const N: usize, const CAPACITY: usize> {
    ring: &'static Slots<N, CAPACITY>,
    pos: u64,
    /// The head as the sender last saw it, and the capacity.
    limit: u64,
}

impl<const N: usize, const CAPACITY: usize> SlotEnd<N, CAPACITY> {
    #[inline(always)]
    fn slot(&self) -> &'static Slot<N> {
        &self.ring.slots[self.pos as usize % CAPACITY]
    }

    #[inline(always)]
    fn send(&mut self, value: &[u64; N]) {
        if self.pos == self.limit {
            self.wait_for_space();
        }
        let slot = self.slot();
        // SAFETY: the receiver has done with the slot, and looks at it next after the stamp.
        unsafe { slot.payload().write(*value) };
        self.pos += 1;
        slot.stamp.store(self.pos, Release);
    }

    #[cold]
    fn wait_for_space(&mut self) {
        spin_until(|| {
            self.limit = self.ring.head.0.load(Acquire) + CAPACITY as u64;
            self.pos < self.limit
        });
    }

    #[inline(always)]
    fn receive(&mut self) -> [u64; N] {
        let slot = self.slot();
        self.pos += 1;
        spin_until(|| slot.stamp.load(Acquire) == self.pos);
        // SAFETY: the stamp says that the payload is there, and the sender waits for the head.
        unsafe { slot.payload().read() }
    }

    #[inline(always)]
    fn consumed(&self) {
        self.ring.head.0.store(self.pos, Release);
    }
}

impl<const N: usize, const CAPACITY: usize> Line for &'static Slots<N, CAPACITY> {
    type Sender = SlotEnd<N, CAPACITY>;
    type Receiver = SlotEnd<N, CAPACITY>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(SlotEnd { ring: self, pos: 0, limit: CAPACITY as u64 })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        self.sender()
    }
}

impl<const N: usize, const CAPACITY: usize> Sender for SlotEnd<N, CAPACITY> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.send(&[number; N]);
        Ok(())
    }
}

impl<const N: usize, const CAPACITY: usize> Receiver for SlotEnd<N, CAPACITY> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let value = self.receive();
        self.consumed();
        Ok(number_of(&value))
    }
}

impl<const N: usize> Line for spsc::Channel<[u64; N]> {
    type Sender = spsc::Sender<[u64; N]>;
    type Receiver = spsc::Receiver<[u64; N]>;

    fn sender(&self) -> Result<Self::Sender> {
        let mut sender = self.sender()?;
        sender.set_wait(Wait::Spin);
        Ok(sender)
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut receiver = self.receiver()?;
        receiver.set_wait(Wait::Spin);
        Ok(receiver)
    }
}

impl<const N: usize> Sender for spsc::Sender<[u64; N]> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        Ok(self.send(&[number; N])?)
    }
}

impl<const N: usize> Receiver for spsc::Receiver<[u64; N]> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(number_of(&self.recv()?))
    }
}

/// The same line, in batches.
struct Batches<L, const N: usize>(L);

struct Batch<E, const N: usize> {
    end: E,
    values: [[u64; N]; BATCH],
}

impl<L: Line, const N: usize> Line for Batches<L, N>
where
    Batch<L::Sender, N>: Sender,
    Batch<L::Receiver, N>: Receiver,
{
    type Sender = Batch<L::Sender, N>;
    type Receiver = Batch<L::Receiver, N>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(Batch { end: self.0.sender()?, values: [[0; N]; BATCH] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(Batch { end: self.0.receiver()?, values: [[0; N]; BATCH] })
    }
}

impl<const N: usize> Sender for Batch<spsc::Sender<[u64; N]>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[BATCH - 1] = [number; N];
        let mut sent = 0;
        while sent < BATCH {
            sent += self.end.send_slice(&self.values[sent..])?;
        }
        Ok(())
    }
}

impl<const N: usize> Receiver for Batch<spsc::Receiver<[u64; N]>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut received = 0;
        while received < BATCH {
            received += self.end.recv_slice(&mut self.values[received..])?;
        }
        Ok(number_of(&black_box(&self.values)[BATCH - 1]))
    }
}

impl<const N: usize, const CAPACITY: usize> Sender for Batch<SlotEnd<N, CAPACITY>, N> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        self.values[BATCH - 1] = [number; N];
        for value in &self.values {
            self.end.send(value);
        }
        Ok(())
    }
}

impl<const N: usize, const CAPACITY: usize> Receiver for Batch<SlotEnd<N, CAPACITY>, N> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        for value in &mut self.values {
            *value = self.end.receive();
            self.end.consumed();
        }
        Ok(number_of(&black_box(&self.values)[BATCH - 1]))
    }
}

/// The least of a ring of records: a word with position and length, then the bytes, copied by `memcpy`.
/// All records have one length, so that their first words lie where first words lay.
#[derive(Clone, Copy)]
struct Records {
    words: &'static [AtomicU64],
    head: &'static AtomicU64,
    len: usize,
}

impl Records {
    fn new(len: usize, capacity: usize) -> Result<Self> {
        Ok(Self { words: share((1 + len / 8) * capacity)?, head: &share::<Padded>(1)?[0].0, len })
    }
}

/// A ring of records, known to one of its sides.
struct RecordEnd {
    ring: Records,
    pos: u64,
    limit: u64,
    /// Where `pos` lies, in words.
    offset: usize,
    buffer: Vec<u8>,
}

impl RecordEnd {
    fn capacity(&self) -> u64 {
        (self.ring.words.len() / (1 + self.ring.len / 8)) as u64
    }

    #[inline(always)]
    fn bytes(&self) -> *mut u8 {
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
}

impl Line for Records {
    type Sender = RecordEnd;
    type Receiver = RecordEnd;

    fn sender(&self) -> Result<RecordEnd> {
        let mut end = RecordEnd { ring: *self, pos: 0, limit: 0, offset: 0, buffer: vec![0; self.len] };
        end.limit = end.capacity();
        Ok(end)
    }

    fn receiver(&self) -> Result<RecordEnd> {
        self.sender()
    }
}

impl Sender for RecordEnd {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        if self.pos == self.limit {
            self.wait_for_space();
        }
        show(&mut self.buffer, number);
        // SAFETY: the record's bytes are the sender's until its first word is stored.
        unsafe { self.bytes().copy_from_nonoverlapping(self.buffer.as_ptr(), self.buffer.len()) };
        let first = (self.pos + 1) << 32 | self.buffer.len() as u64;
        self.ring.words[self.offset].store(first, Release);
        self.step();
        Ok(())
    }
}

impl Receiver for RecordEnd {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let mut first = 0;
        spin_until(|| {
            first = self.ring.words[self.offset].load(Acquire);
            first >> 32 == self.pos + 1
        });
        let record = &mut self.buffer[..first as u32 as usize];
        let bytes = self.ring.words[self.offset + 1..].as_ptr().cast();
        // SAFETY: the first word says that the bytes are there, and the sender waits for the head.
        unsafe { record.as_mut_ptr().copy_from_nonoverlapping(bytes, record.len()) };
        self.step();
        self.ring.head.store(self.pos, Release);
        Ok(shown(&self.buffer))
    }
}

/// Makes a record show a number, at its end.
#[inline(always)]
fn show(record: &mut [u8], number: u64) {
    if let Some(last) = record.last_chunk_mut() {
        *last = number.to_ne_bytes();
    }
}

#[inline(always)]
fn shown(record: &[u8]) -> u64 {
    black_box(record).last_chunk().map_or(0, |&last| u64::from_ne_bytes(last))
}

/// A `bytes` channel for records of one length.
struct Bytes {
    channel: bytes::Channel,
    len: usize,
}

impl Bytes {
    /// A ring of about the size of `capacity` records.
    fn new(len: usize, capacity: usize) -> Result<Self> {
        let bytes = ((8 + len) * capacity) as u64;
        Ok(Self { channel: bytes::Channel::options().capacity_bytes(bytes).prefault(true).anonymous()?, len })
    }
}

struct BytesEnd<E> {
    end: E,
    buffer: Vec<u8>,
}

impl Line for Bytes {
    type Sender = BytesEnd<bytes::Sender>;
    type Receiver = BytesEnd<bytes::Receiver>;

    fn sender(&self) -> Result<Self::Sender> {
        let mut end = self.channel.sender()?;
        end.set_wait(Wait::Spin);
        Ok(BytesEnd { end, buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut end = self.channel.receiver()?;
        end.set_wait(Wait::Spin);
        Ok(BytesEnd { end, buffer: vec![0; self.len] })
    }
}

impl Sender for BytesEnd<bytes::Sender> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(self.end.send(&self.buffer)?)
    }
}

impl Receiver for BytesEnd<bytes::Receiver> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        self.end.recv_into(&mut self.buffer)?;
        Ok(shown(&self.buffer))
    }
}

/// The least of a seqlock.
#[derive(FromZeros)]
#[repr(C, align(128))]
struct Cell {
    mark: AtomicU64,
    value: [AtomicU64; 8],
}

impl Cell {
    #[inline(always)]
    fn write(&self, version: u64, value: &[u64; 8]) {
        self.mark.store(2 * version - 1, Relaxed);
        fence(Release);
        for (word, &value) in self.value.iter().zip(value) {
            word.store(value, Relaxed);
        }
        self.mark.store(2 * version, Release);
    }

    #[inline(always)]
    fn try_read(&self) -> Option<[u64; 8]> {
        let mark = self.mark.load(Acquire);
        let value = array::from_fn(|word| self.value[word].load(Relaxed));
        fence(Acquire);
        (mark.is_multiple_of(2) && self.mark.load(Relaxed) == mark).then_some(value)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Parent,
    Child,
}

/// What a process does in a case, for so many steps.
type Work = Box<dyn FnMut(u64) -> Result>;

/// A case before there are two processes.
struct Plan {
    name: &'static str,
    /// Messages of one step.
    messages: u64,
    /// Steps in a stretch.
    steps: u64,
    /// What it is compared to, and the most it may take.
    against: Vec<(&'static str, Option<f64>)>,
    start: Box<dyn FnOnce(Side) -> Result<Work>>,
}

impl Plan {
    fn new(name: &'static str, steps: u64, start: impl FnOnce(Side) -> Result<Work> + 'static) -> Self {
        Self { name, messages: 1, steps, against: Vec::new(), start: Box::new(start) }
    }

    fn against(mut self, reference: &'static str, most: Option<f64>) -> Self {
        self.against.push((reference, most));
        self
    }

    /// The child sends, the parent receives.
    fn one_way(name: &'static str, steps: u64, line: impl Line) -> Self {
        Self::new(name, steps, move |side| {
            let mut number = 0;
            if side == Side::Child {
                let mut sender = line.sender()?;
                return Ok(Box::new(move |count| {
                    for _ in 0..count {
                        number += 1;
                        sender.put(number)?;
                    }
                    Ok(())
                }));
            }
            let mut receiver = line.receiver()?;
            Ok(Box::new(move |count| {
                for _ in 0..count {
                    number += 1;
                    check(receiver.get()?, number)?;
                }
                Ok(())
            }))
        })
    }

    /// [`one_way`](Self::one_way) in batches, each of which is a step.
    fn batches<L: Line, const N: usize>(name: &'static str, steps: u64, line: L) -> Self
    where
        Batches<L, N>: Line,
    {
        Self { messages: BATCH as u64, ..Self::one_way(name, steps, Batches::<L, N>(line)) }
    }

    /// The parent sends, and the child sends back.
    fn round_trip<L: Line>(name: &'static str, steps: u64, [there, back]: [L; 2]) -> Self {
        Self::new(name, steps, move |side| {
            let mut number = 0;
            if side == Side::Child {
                let (mut receiver, mut sender) = (there.receiver()?, back.sender()?);
                return Ok(Box::new(move |count| {
                    for _ in 0..count {
                        sender.put(receiver.get()?)?;
                    }
                    Ok(())
                }));
            }
            let (mut sender, mut receiver) = (there.sender()?, back.receiver()?);
            Ok(Box::new(move |count| {
                for _ in 0..count {
                    number += 1;
                    sender.put(number)?;
                    check(receiver.get()?, number)?;
                }
                Ok(())
            }))
        })
    }

    /// The parent works alone.
    fn alone<F: FnMut() -> Result + 'static>(
        name: &'static str,
        steps: u64,
        work: impl FnOnce() -> Result<F> + 'static,
    ) -> Self {
        Self::new(name, steps, move |side| {
            if side == Side::Child {
                return Ok(Box::new(|_| Ok(())));
            }
            let mut work = work()?;
            Ok(Box::new(move |count| (0..count).try_for_each(|_| work())))
        })
    }

    /// The parent writes version after version, while the child reads until the next case.
    fn watched<W: FnMut(u64) -> Result + 'static>(
        name: &'static str,
        steps: u64,
        shared: &'static Shared,
        writer: impl FnOnce() -> Result<W> + 'static,
        mut read: impl FnMut() + 'static,
    ) -> Self {
        Self::new(name, steps, move |side| {
            let mut number = 0;
            if side == Side::Child {
                return Ok(Box::new(move |_| {
                    let turn = shared.turn.0.load(Acquire);
                    while shared.turn.0.load(Relaxed) == turn {
                        read();
                        number += 1;
                        shared.reads.0.store(number, Relaxed);
                    }
                    Ok(())
                }));
            }
            let mut write = writer()?;
            Ok(Box::new(move |count| {
                // A stretch without a reader would count for nothing.
                let reads = shared.reads.0.load(Relaxed);
                spin_until(|| shared.reads.0.load(Relaxed) != reads);
                for _ in 0..count {
                    number += 1;
                    write(number)?;
                }
                Ok(())
            }))
        })
    }
}

#[inline(always)]
fn check(found: u64, expected: u64) -> Result {
    if found == expected { Ok(()) } else { Err(format!("message {expected} came as {found}").into()) }
}

/// All cases, each reference before those that are compared to it.
fn plans(shared: &'static Shared) -> Result<Vec<Plan>> {
    fn slots<const N: usize, const CAPACITY: usize>() -> Result<&'static Slots<N, CAPACITY>> {
        Ok(&share(1)?[0])
    }
    fn spsc<const N: usize>(capacity: usize) -> Result<spsc::Channel<[u64; N]>> {
        Ok(spsc::Channel::options().capacity(capacity as u64).prefault(true).anonymous()?)
    }
    let cell = &share::<Cell>(1)?[0];
    let source = &share::<[AtomicU64; 8]>(1)?[0];
    let values = seqlock::Channel::<[u64; 8]>::options().prefault(true);
    let (quiet, busy) = (values.anonymous()?, values.anonymous()?);
    let (mut quiet_reader, mut busy_reader) = (quiet.reader(), busy.reader());

    Ok(vec![
        Plan::one_way("slot ring, 64 B", 4096, slots::<8, DEEP>()?),
        Plan::one_way("spsc, 64 B", 4096, spsc::<8>(DEEP)?).against("slot ring, 64 B", Some(ONE_WAY)),
        Plan::one_way("slot ring, 8 B", 4096, slots::<1, DEEP>()?),
        Plan::one_way("spsc, 8 B", 4096, spsc::<1>(DEEP)?).against("slot ring, 8 B", None),
        Plan::batches::<_, 8>("slot ring, 64 B in batches", 64, slots::<8, DEEP>()?),
        Plan::batches::<_, 8>("spsc, 64 B in batches", 64, spsc::<8>(DEEP)?)
            .against("slot ring, 64 B in batches", None),
        Plan::batches::<_, 1>("slot ring, 8 B in batches", 64, slots::<1, DEEP>()?),
        Plan::batches::<_, 1>("spsc, 8 B in batches", 64, spsc::<1>(DEEP)?).against("slot ring, 8 B in batches", None),
        Plan::one_way("record ring, 64 B", 4096, Records::new(64, DEEP)?),
        Plan::one_way("bytes, 64 B", 4096, Bytes::new(64, DEEP)?).against("record ring, 64 B", None),
        Plan::one_way("record ring, 4 KiB", 256, Records::new(4 << 10, 64)?),
        Plan::one_way("bytes, 4 KiB", 256, Bytes::new(4 << 10, 64)?).against("record ring, 4 KiB", None),
        Plan::one_way("record ring, 64 KiB", 16, Records::new(64 << 10, 16)?),
        Plan::one_way("bytes, 64 KiB", 16, Bytes::new(64 << 10, 16)?).against("record ring, 64 KiB", None),
        Plan::round_trip("cache line, round trip", 256, [CacheLine::new()?, CacheLine::new()?]),
        Plan::round_trip("slot ring, round trip", 256, [slots::<8, SHALLOW>()?, slots::<8, SHALLOW>()?])
            .against("cache line, round trip", None),
        Plan::round_trip("spsc, round trip", 256, [spsc::<8>(SHALLOW)?, spsc::<8>(SHALLOW)?])
            .against("cache line, round trip", Some(ROUND_TRIP))
            .against("slot ring, round trip", None),
        Plan::round_trip("bytes, round trip", 256, [Bytes::new(64, SHALLOW)?, Bytes::new(64, SHALLOW)?])
            .against("cache line, round trip", Some(ROUND_TRIP))
            .against("slot ring, round trip", None),
        Plan::alone("plain copy, 64 B", 16384, move || {
            Ok(move || {
                let source = black_box(source).as_ptr().cast::<[u64; 8]>();
                // SAFETY: nobody writes there.
                black_box(unsafe { source.read() });
                Ok(())
            })
        }),
        Plan::alone("seqlock read, nobody writes", 16384, move || {
            quiet.writer()?.write(&[1; 8])?;
            Ok(move || {
                black_box(quiet_reader.read()?);
                Ok(())
            })
        })
        .against("plain copy, 64 B", None),
        Plan::watched(
            "bare seqlock write, one reads",
            1024,
            shared,
            move || {
                Ok(move |version| {
                    cell.write(version, &[version; 8]);
                    Ok(())
                })
            },
            move || {
                black_box(cell.try_read());
            },
        ),
        Plan::watched(
            "seqlock write, one reads",
            1024,
            shared,
            move || {
                let mut writer = busy.writer()?;
                Ok(move |version| Ok(writer.write(&[version; 8])?))
            },
            move || {
                // Overtaken or not, it was a look.
                let _ = black_box(busy_reader.read());
            },
        )
        .against("bare seqlock write, one reads", None),
    ])
}

/// What the two processes agree by.
#[derive(FromZeros)]
#[repr(C)]
struct Shared {
    /// Turns begun so far; cases take them in order.
    turn: Padded,
    /// Values the child has read, whole or not.
    reads: Padded,
    /// The child's page faults in the slices that count.
    faults: Padded,
}

/// The turn that ends the child.
const QUIT: u64 = u64::MAX;

/// A case, on one side.
struct Case {
    name: &'static str,
    messages: u64,
    steps: u64,
    against: Vec<(&'static str, Option<f64>)>,
    work: Work,
    /// Nanoseconds per message, slice by slice.
    times: Vec<f64>,
}

impl Case {
    /// The case's turn on the parent's side: nanoseconds per message, the median of the stretches.
    fn time(&mut self) -> Result<f64> {
        let mut times = [0; STRETCHES];
        (self.work)(self.steps)?;
        for time in &mut times {
            let start = Instant::now();
            (self.work)(self.steps)?;
            *time = start.elapsed().as_nanos() as u64;
        }
        let (_, median, _) = times.select_nth_unstable(STRETCHES / 2);
        Ok(*median as f64 / (self.steps * self.messages) as f64)
    }

    /// The same turn on the child's side.
    fn serve(&mut self) -> Result {
        (self.work)(self.steps * (1 + STRETCHES as u64))
    }
}

/// Page faults of this process while it works.
fn faults_of<R>(work: impl FnOnce() -> Result<R>) -> Result<(R, u64)> {
    let faults = || page_faults().map(|faults| faults.minor + faults.major);
    let before = faults()?;
    let result = work()?;
    Ok((result, faults()? - before))
}

/// What the child does: its side of every turn, until it is told to end.
fn serve(shared: &Shared, cases: &mut [Case]) -> Result {
    let count = cases.len() as u64;
    let mut seen = 0;
    loop {
        spin_until(|| shared.turn.0.load(Acquire) != seen);
        // A turn of the parent's alone may have come and gone meanwhile.
        seen = shared.turn.0.load(Acquire);
        if seen == QUIT {
            return Ok(());
        }
        let case = &mut cases[((seen - 1) % count) as usize];
        let ((), faults) = faults_of(|| case.serve())?;
        if seen > WARM_UP * count {
            shared.faults.0.fetch_add(faults, Relaxed);
        }
    }
}

/// What the parent does: all cases in turn, slice by slice. Returns its page faults.
fn measure(shared: &Shared, cases: &mut [Case]) -> Result<u64> {
    let mut all_faults = 0;
    for slice in 0..WARM_UP + SLICES {
        for case in &mut *cases {
            shared.turn.0.fetch_add(1, Release);
            let (time, faults) = faults_of(|| case.time())?;
            if slice >= WARM_UP {
                case.times.push(time);
                all_faults += faults;
            }
        }
    }
    Ok(all_faults)
}

/// The quartiles.
fn quartiles(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn print(cases: &[Case]) -> Result {
    println!("{:<28}{:>9}  {:<30}{:>9}   ratio [quartiles]    target", "", "ns", "against", "ns");
    for case in cases {
        let [_, time, _] = quartiles(case.times.iter().copied());
        for &(name, most) in &case.against {
            let reference = cases.iter().find(|case| case.name == name).ok_or(name)?;
            let [_, its_time, _] = quartiles(reference.times.iter().copied());
            let pairs = case.times.iter().zip(&reference.times);
            let [low, ratio, high] = quartiles(pairs.map(|(mine, its)| mine / its));
            let target = most.map_or(String::new(), |most| {
                format!("   <= {most:.2}: {}", if ratio <= most { "met" } else { "missed" })
            });
            let measured = format!("{:<28}{time:>9.1}  {name:<30}{its_time:>9.1}", case.name);
            println!("{measured}   {ratio:.2} [{low:.2}, {high:.2}]{target}");
        }
    }
    Ok(())
}

/// The first processor this process may use, and another, on another core if there is one.
fn choose_processors() -> Result<Option<[usize; 2]>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let first = cpus.next().ok_or("there is no processor to run on")?;
    let others: Vec<_> = cpus.collect();
    let elsewhere = others.iter().find(|&&cpu| core_of(cpu) != core_of(first));
    Ok(elsewhere.or(others.first()).map(|&other| [first, other]))
}

/// What the kernel calls the processors of this one's core.
fn core_of(cpu: usize) -> Option<String> {
    fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")).ok()
}

fn pin(cpu: usize) -> Result {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}

/// Whether the child is to end now.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// Ends this process when its child dies, for it may be waiting for it in a way that nothing ends.
extern "C" fn child_ended(_signal: c_int) {
    const MESSAGE: &[u8] = b"ratios: the child process died\n";
    if !FINISHED.load(Relaxed) {
        // SAFETY: the message is readable for its length.
        unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        // SAFETY: may be called in a signal handler, and leaves nothing behind that matters.
        unsafe { libc::_exit(1) };
    }
}

/// Starts the other process.
fn start_child() -> Result<Side> {
    let flags = SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP;
    let action = SigAction::new(SigHandler::Handler(child_ended), flags, SigSet::empty());
    // SAFETY: the handler makes only calls that a handler may make.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    let parent = getpid();
    // SAFETY: this process has one thread, so the child may do whatever this one may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Parent),
        ForkResult::Child => {
            // When the parent dies, nobody else would end this process.
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == parent { Ok(Side::Child) } else { Err("the parent died".into()) }
        }
    }
}

fn processor_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or(env::consts::ARCH, |(_, model)| model).to_owned()
}

fn run() -> Result {
    let Some(cpus) = choose_processors()? else {
        println!("ratios: takes two processors, and this process may use one");
        return Ok(());
    };
    let shared = &share::<Shared>(1)?[0];
    let plans = plans(shared)?;

    let side = start_child()?;
    pin(cpus[side as usize])?;
    let mut cases = Vec::new();
    for Plan { name, messages, steps, against, start } in plans {
        let times = Vec::with_capacity(SLICES as usize);
        cases.push(Case { name, messages, steps, against, work: start(side)?, times });
    }
    if side == Side::Child {
        return serve(shared, &mut cases);
    }

    let faults = measure(shared, &mut cases)?;
    FINISHED.store(true, Relaxed);
    shared.turn.0.store(QUIT, Release);
    waitpid(None, None)?;

    let kernel = uname()?;
    let (system, release) = (kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy());
    let [parent, child] = cpus;
    println!("{}; processors {parent} and {child}; {system} {release}", processor_model());
    println!("page faults in {SLICES} slices: {faults} here, {} in the other process", shared.faults.0.load(Relaxed));
    println!();
    print(&cases)
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") || env::args().any(|argument| argument == "--test") {
        println!("ratios: measures only under `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ratios: {error}");
            ExitCode::FAILURE
        }
    }
}
