//! What single operations cost a process that has both ends of a channel to itself.
//!
//! ```text
//! cargo bench --bench operations
//! ```
//!
//! Nothing here crosses from one processor to another: it is the instructions that are measured. What it
//! costs between two processes, the laboratory in `benches/peers` measures.

#![allow(missing_docs, reason = "`criterion_group!` makes a public function without any")]

use std::error::Error;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringway::{bytes, seqlock, spsc};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A value of `8 * N` bytes there and back, by copy and in place.
fn spsc_of<const N: usize>(c: &mut Criterion) -> Result {
    let channel = spsc::Channel::<[u64; N]>::options().capacity(64).prefault(true).anonymous()?;
    let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    let value = [7; N];
    let mut group = c.benchmark_group(format!("spsc of {} bytes", size_of_val(&value)));
    group.throughput(Throughput::Elements(1));
    group.bench_function("try_send and try_recv", |b| {
        b.iter(|| {
            let sent = tx.try_send(black_box(&value));
            (sent, rx.try_recv())
        });
    });
    group.bench_function("try_send_ref and try_recv_ref", |b| {
        b.iter(|| -> Result<_> {
            let mut slot = tx.try_send_ref()?;
            slot.write(black_box(&value));
            slot.send()?;
            Ok(rx.try_recv_ref()?.read())
        });
    });
    group.finish();
    Ok(())
}

/// A record of `len` bytes there and back, by copy and in place.
fn bytes_of(c: &mut Criterion, len: usize) -> Result {
    let channel = bytes::Channel::options().capacity_bytes(1 << 16).prefault(true).anonymous()?;
    let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    let record = vec![7; len];
    let mut buffer = vec![0; len];
    let mut group = c.benchmark_group(format!("bytes of {len} bytes"));
    group.throughput(Throughput::Elements(1));
    group.bench_function("try_send and try_recv_into", |b| {
        b.iter(|| {
            let sent = tx.try_send(black_box(&record));
            (sent, rx.try_recv_into(black_box(&mut buffer)))
        });
    });
    group.bench_function("try_send_ref and try_recv_ref", |b| {
        b.iter(|| -> Result {
            let mut room = tx.try_send_ref(len)?;
            room.write_at(0, black_box(&record));
            room.send()?;
            rx.try_recv_ref()?.read_at(0, black_box(&mut buffer));
            Ok(())
        });
    });
    group.finish();
    Ok(())
}

fn seqlock_of<const N: usize>(c: &mut Criterion) -> Result {
    let channel = seqlock::Channel::<[u64; N]>::options().prefault(true).anonymous()?;
    let (mut writer, mut reader) = (channel.writer()?, channel.reader());
    let value = [7; N];
    let mut group = c.benchmark_group(format!("seqlock of {} bytes", size_of_val(&value)));
    group.bench_function("write", |b| b.iter(|| writer.write(black_box(&value))));
    group.bench_function("read", |b| b.iter(|| reader.read()));
    group.finish();
    Ok(())
}

/// What comes before the first message and after the last.
fn set_up(c: &mut Criterion) -> Result {
    let options = spsc::Channel::<u64>::options().capacity(64);
    let channel = options.anonymous()?;
    // Settles once what only the first claim of a process does.
    drop(channel.sender()?);
    let mut group = c.benchmark_group("set up");
    group.bench_function("create and drop an anonymous region", |b| b.iter(|| options.anonymous()));
    group.bench_function("claim and drop a seat", |b| b.iter(|| channel.sender()));
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) -> Result {
    spsc_of::<1>(c)?;
    spsc_of::<8>(c)?;
    spsc_of::<128>(c)?;
    bytes_of(c, 64)?;
    bytes_of(c, 4 << 10)?;
    seqlock_of::<8>(c)?;
    set_up(c)
}

fn operations(c: &mut Criterion) {
    all(c).expect("a channel of this process alone");
}

criterion_group!(benches, operations);
criterion_main!(benches);
