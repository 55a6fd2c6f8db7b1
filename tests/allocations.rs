//! Sending, receiving and waiting allocate nothing. Nor does asking the kernel whether the peer lives.

#![cfg(not(loom))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use ringway::{RecvTimeoutError, SendTimeoutError, Wait, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::child::fork;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: this is the system's allocator. The counter needs no allocation and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller promises what the system's allocator demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller promises what the system's allocator demands.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| Box::new(std::hint::black_box(1))).1, 1);
}

#[test]
fn messages_allocate_nothing() {
    let values = spsc::Channel::<[u64; 8]>::options().capacity(64).anonymous().unwrap();
    let (mut tx, mut rx) = (values.sender().unwrap(), values.receiver().unwrap());
    let records = bytes::Channel::options().capacity_bytes(1 << 16).anonymous().unwrap();
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    let latest = seqlock::Channel::<[u64; 8]>::options().anonymous().unwrap();
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    let (mut batch, mut buffer) = ([[7; 8]; 32], [0; 4096]);
    let ((), count) = allocations(|| {
        for n in 0..1000 {
            tx.send(&[n; 8]).unwrap();
            assert_eq!(rx.recv(), Ok([n; 8]));
            tx.send_slice(&batch).unwrap();
            rx.recv_slice(&mut batch).unwrap();
            record_tx.send(&buffer).unwrap();
            record_rx.recv_into(&mut buffer).unwrap();
            writer.write(&[n; 8]).unwrap();
            assert_eq!(reader.read(), Ok([n; 8]));
        }
    });
    assert_eq!(count, 0);
}

/// The other end belongs to another process: only then is the kernel asked for all that it knows.
#[test]
fn waiting_allocates_nothing() {
    alone(|| {
        for wait in [Wait::Spin, Wait::default(), Wait::Sleep] {
            let [there, back] = [1, 2].map(|_| spsc::Channel::<u64>::options().capacity(1).memfd().unwrap());
            let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
            tx.set_wait(wait);
            rx.set_wait(wait);
            let child = fork("child", || {
                let (mut tx, _rx) = (there.sender().unwrap(), back.receiver().unwrap());
                tx.send(&0).unwrap();
                std::thread::sleep(Duration::MAX);
            });
            rx.recv().unwrap();
            // Long enough to ask the kernel twice whether the peer lives.
            let time = Duration::from_millis(50);
            assert_eq!(allocations(|| rx.recv_timeout(time)), (Err(RecvTimeoutError::Timeout), 0), "{wait:?}");
            tx.send(&1).unwrap();
            assert_eq!(allocations(|| tx.send_timeout(&2, time)), (Err(SendTimeoutError::Timeout), 0), "{wait:?}");
            child.kill();
        }
    });
}
