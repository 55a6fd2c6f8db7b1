//! Single operations by a process that has both ends to itself and is always awake: to be counted, not timed.

use std::hint::black_box;

use ringway::{Wait, bytes, seqlock, spsc};

use crate::channels::batches_in_place::{InPlaceReceiver, InPlaceSender};
use crate::line::{Line, Receiver, Result, Sender};
use crate::references::cell::Cell;
use crate::references::record_ring::RecordRing;
use crate::references::slot_ring::{self, slot_ring};
use crate::shared::share_one;

/// Does an operation so many times.
pub type Repeat = Box<dyn FnMut(u64) -> Result>;

/// What is counted.
pub const OPERATIONS: [&str; 19] = [
    NOTHING,
    "slot ring, send and receive 8 B",
    "spsc, send and receive 8 B",
    "slot ring, send and receive 64 B",
    "spsc, send and receive 64 B",
    "spsc, send and receive 64 B in place",
    "spsc, send and receive 64 x 8 B in batches",
    "spsc, send and receive 64 x 64 B in batches",
    "slot ring, send and receive 64 x 8 B in batches in place",
    "spsc, send and receive 64 x 8 B in batches in place",
    "slot ring, send and receive 64 x 64 B in batches in place",
    "spsc, send and receive 64 x 64 B in batches in place",
    "memcpy ring, send and receive 64 B",
    "bytes, send and receive 64 B",
    "bytes, send and receive 64 B in place",
    "bare seqlock, read",
    "seqlock, read",
    "bare seqlock, write",
    "seqlock, write",
];

/// What repeating costs by itself.
pub const NOTHING: &str = "nothing";

/// How many messages an operation moves.
pub fn messages(operation: &str) -> u64 {
    if operation.contains("batches") { 64 } else { 1 }
}

/// Makes what an operation needs.
pub fn start(operation: &str) -> Result<Repeat> {
    match operation {
        NOTHING => Ok(repeat(|| {
            black_box(());
            Ok(())
        })),
        "slot ring, send and receive 8 B" => line(&slot_ring::<1, 64>()?),
        "spsc, send and receive 8 B" => spsc_by_copy::<1>(),
        "slot ring, send and receive 64 B" => line(&slot_ring::<8, 64>()?),
        "spsc, send and receive 64 B" => spsc_by_copy::<8>(),
        "spsc, send and receive 64 B in place" => spsc_in_place(),
        "spsc, send and receive 64 x 8 B in batches" => spsc_in_batches::<1>(),
        "spsc, send and receive 64 x 64 B in batches" => spsc_in_batches::<8>(),
        "slot ring, send and receive 64 x 8 B in batches in place" => line(&slot_ring::InPlace(slot_ring::<1, 64>()?)),
        "spsc, send and receive 64 x 8 B in batches in place" => spsc_in_batches_in_place::<1>(),
        "slot ring, send and receive 64 x 64 B in batches in place" => line(&slot_ring::InPlace(slot_ring::<8, 64>()?)),
        "spsc, send and receive 64 x 64 B in batches in place" => spsc_in_batches_in_place::<8>(),
        "memcpy ring, send and receive 64 B" => line(&RecordRing::new(64, 64)?),
        "bytes, send and receive 64 B" => bytes_by_copy(),
        "bytes, send and receive 64 B in place" => bytes_in_place(),
        "bare seqlock, read" | "bare seqlock, write" => bare_seqlock(operation),
        "seqlock, read" | "seqlock, write" => the_seqlock(operation),
        _ => Err(format!("there is no operation {operation:?}").into()),
    }
}

/// The part that is counted: the name of this function tells where it begins and ends.
#[inline(never)]
fn counted_operations(count: u64, operation: &mut impl FnMut() -> Result) -> Result {
    (0..count).try_for_each(|_| operation())
}

fn repeat(mut operation: impl FnMut() -> Result + 'static) -> Repeat {
    Box::new(move |count| counted_operations(count, &mut operation))
}

fn line(line: &impl Line) -> Result<Repeat> {
    let (mut sender, mut receiver) = (line.sender()?, line.receiver()?);
    Ok(repeat(move || {
        sender.put(black_box(7))?;
        black_box(receiver.get()?);
        Ok(())
    }))
}

type SpscEnds<const N: usize> = (spsc::Sender<[u64; N]>, spsc::Receiver<[u64; N]>);

/// In a memfd, for an anonymous region cannot be made everywhere where instructions are counted.
fn spsc_ends<const N: usize>() -> Result<SpscEnds<N>> {
    let channel = spsc::Channel::options().capacity(64).prefault(true).memfd()?;
    let (mut sender, mut receiver) = (channel.sender()?, channel.receiver()?);
    sender.set_wait(Wait::Spin);
    receiver.set_wait(Wait::Spin);
    Ok((sender, receiver))
}

fn spsc_by_copy<const N: usize>() -> Result<Repeat> {
    let (mut sender, mut receiver) = spsc_ends::<N>()?;
    let value = [7; N];
    Ok(repeat(move || {
        sender.try_send(black_box(&value))?;
        black_box(receiver.try_recv()?);
        Ok(())
    }))
}

fn spsc_in_place() -> Result<Repeat> {
    let (mut sender, mut receiver) = spsc_ends::<8>()?;
    let value = [7; 8];
    Ok(repeat(move || {
        let mut slot = sender.try_send_ref()?;
        slot.write(black_box(&value));
        slot.send()?;
        let message = receiver.try_recv_ref()?;
        // SAFETY: this process's sender is the only one, and leaves a message alone once it is sent.
        black_box(unsafe { message.as_ref() });
        Ok(())
    }))
}

fn spsc_in_batches<const N: usize>() -> Result<Repeat> {
    let (mut sender, mut receiver) = spsc_ends::<N>()?;
    let (values, mut received) = ([[7; N]; 64], [[0; N]; 64]);
    Ok(repeat(move || {
        let sent = sender.try_send_some(black_box(&values))?.0;
        if receiver.try_recv_slice(black_box(&mut received))? != sent {
            return Err("a batch was not received whole".into());
        }
        Ok(())
    }))
}

/// What the laboratory's batches in place do.
fn spsc_in_batches_in_place<const N: usize>() -> Result<Repeat> {
    let (sender, receiver) = spsc_ends::<N>()?;
    let (mut sender, mut receiver) = (InPlaceSender(sender), InPlaceReceiver(receiver));
    Ok(repeat(move || {
        sender.put(black_box(7))?;
        black_box(receiver.get()?);
        Ok(())
    }))
}

fn bytes_ends() -> Result<(bytes::Sender, bytes::Receiver)> {
    let channel = bytes::Channel::options().capacity_bytes(4096).prefault(true).memfd()?;
    Ok((channel.sender()?, channel.receiver()?))
}

fn bytes_by_copy() -> Result<Repeat> {
    let (mut sender, mut receiver) = bytes_ends()?;
    let (record, mut buffer) = ([7; 64], [0; 64]);
    Ok(repeat(move || {
        sender.try_send(black_box(&record))?;
        black_box(receiver.try_recv_into(black_box(&mut buffer))?);
        Ok(())
    }))
}

fn bytes_in_place() -> Result<Repeat> {
    let (mut sender, mut receiver) = bytes_ends()?;
    let record = [7; 64];
    Ok(repeat(move || {
        let mut room = sender.try_send_ref(black_box(64))?;
        room.write_at(0, black_box(&record));
        room.send()?;
        let message = receiver.try_recv_ref()?;
        // SAFETY: this process's sender is the only one, and leaves a record alone once it is sent.
        black_box(unsafe { message.as_slice() });
        Ok(())
    }))
}

fn bare_seqlock(operation: &str) -> Result<Repeat> {
    let cell = share_one::<Cell>()?;
    if operation.ends_with("read") {
        return Ok(repeat(move || {
            black_box(cell.try_read());
            Ok(())
        }));
    }
    let mut version = 0;
    Ok(repeat(move || {
        version += 1;
        cell.write(version, black_box(&[7; 8]));
        Ok(())
    }))
}

fn the_seqlock(operation: &str) -> Result<Repeat> {
    let channel = seqlock::Channel::<[u64; 8]>::options().prefault(true).memfd()?;
    let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    let value = [7; 8];
    writer.write(&value)?;
    if operation.ends_with("read") {
        return Ok(repeat(move || {
            black_box(reader.read()?);
            Ok(())
        }));
    }
    Ok(repeat(move || Ok(writer.write(black_box(&value))?)))
}
