//! No wake-up is lost, and a process that sleeps uses no processor time.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::libc;
use ringway::{ChangedError, RecvError, Wait, bytes, seqlock, spsc};

use crate::common::board::Board;
use crate::common::child::{Child, fork};
use crate::common::messages::{Latest, Numbered, Packet, check_record, fill_record, mix, record};
use crate::common::proc::cpu_time_and_sleeps;
use crate::common::role::exec;

/// What this process has registered for, says `membarrier(2)`. `None` before Linux 6.3.
fn registrations() -> Option<libc::c_long> {
    const GET_REGISTRATIONS: libc::c_int = 1 << 9;
    // SAFETY: the call is given no memory.
    let mask = unsafe { libc::syscall(libc::SYS_membarrier, GET_REGISTRATIONS, 0, 0) };
    (mask >= 0).then_some(mask)
}

/// A sleeper counts on this: a waker must have registered, or pay for a fence at every message.
pub fn every_endpoint_answers_membarrier() {
    let expected = libc::c_long::from(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    let Some(before) = registrations() else { return };
    assert_eq!(before & expected, 0, "a new program has not registered");
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let _reader = channel.reader();
    let _writer = channel.writer().unwrap();
    assert_eq!(registrations().unwrap() & expected, expected);
}

#[test]
fn a_waker_registers_for_the_sleepers_barrier() {
    exec("registration", "barrier", false).succeed();
}

/// A message comes just as the receiver goes to sleep, again and again. Each side must see the store of the other, or
/// the receiver sleeps and nobody knows.
#[test]
fn no_wake_up_is_lost_where_a_message_meets_a_sleeper_on_its_way() {
    const ROUNDS: u64 = 60_000;
    let slots = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let board = Board::new();
    let receiver = fork("receiver", || {
        let mut rx = slots.receiver().unwrap();
        rx.set_wait(Wait::Sleep);
        for seq in 0..ROUNDS {
            rx.recv().unwrap().check(seq);
            board[0].store(seq + 1, SeqCst);
        }
    });
    let sender = fork("sender", || {
        let mut tx = slots.sender().unwrap();
        for seq in 0..ROUNDS {
            board.wait_for(0, seq);
            // The receiver is on its way to sleep, which takes about this long.
            (0..mix(seq) % 256).for_each(|_| std::hint::spin_loop());
            tx.send(&u64::make(seq)).unwrap();
        }
    });
    sender.succeed();
    receiver.succeed();
}

/// Two rings of one slot. Both sides sleep at every message, so one lost wake-up stops everything.
fn ping_pong<T: Numbered>(rounds: u64, wait: Wait) {
    let there = spsc::Channel::<T>::options().capacity(1).anonymous().unwrap();
    let back = spsc::Channel::<T>::options().capacity(1).anonymous().unwrap();
    let echo = fork("echo", || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        rx.set_wait(wait);
        tx.set_wait(wait);
        for seq in 0..rounds {
            let value = rx.recv().unwrap();
            value.check(seq);
            tx.send(&value).unwrap();
        }
    });
    let caller = fork("caller", || {
        let (mut tx, mut rx) = (there.sender().unwrap(), back.receiver().unwrap());
        rx.set_wait(wait);
        tx.set_wait(wait);
        for seq in 0..rounds {
            tx.send(&T::make(seq)).unwrap();
            rx.recv().unwrap().check(seq);
        }
    });
    caller.succeed();
    echo.succeed();
}

#[test]
fn no_wake_up_is_lost_in_spsc_ping_pong() {
    ping_pong::<u64>(100_000, Wait::Sleep);
}

#[test]
fn no_wake_up_is_lost_where_spinning_ends_as_the_message_comes() {
    ping_pong::<Packet>(25_000, Wait::SpinThenSleep(Duration::from_micros(5)));
}

#[test]
#[ignore = "takes a minute or more"]
fn no_wake_up_is_lost_in_two_million_round_trips() {
    let child = fork("all of it", || ping_pong::<u64>(2_000_000, Wait::Sleep));
    child.succeed_within(Duration::from_secs(3600));
}

#[test]
fn no_wake_up_is_lost_in_bytes_ping_pong() {
    let there = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let back = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    const ROUNDS: u64 = 60_000;
    let echo = fork("echo", || {
        let (mut rx, mut tx) = (there.receiver().unwrap(), back.sender().unwrap());
        rx.set_wait(Wait::Sleep);
        tx.set_wait(Wait::Sleep);
        for _ in 0..ROUNDS {
            let found = rx.recv_ref().unwrap();
            tx.send(&found.to_vec()).unwrap();
        }
    });
    let caller = fork("caller", || {
        let (mut tx, mut rx) = (there.sender().unwrap(), back.receiver().unwrap());
        rx.set_wait(Wait::Sleep);
        tx.set_wait(Wait::Sleep);
        for seq in 0..ROUNDS {
            tx.send(&record(seq, 300)).unwrap();
            check_record(&rx.recv().unwrap(), seq, 300);
        }
    });
    caller.succeed();
    echo.succeed();
}

/// Both directions of waiting at once: the sender sleeps for room and the receiver for records. Each record fills the
/// ring.
#[test]
fn no_wake_up_is_lost_where_every_record_fills_the_ring() {
    let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    const ROUNDS: u64 = 30_000;
    let sender = fork("sender", || {
        let mut tx = channel.sender().unwrap();
        tx.set_wait(Wait::Sleep);
        let mut bytes = vec![0; tx.max_len()];
        for seq in 0..ROUNDS {
            fill_record(seq, &mut bytes[..64]);
            tx.send(&bytes).unwrap();
        }
    });
    let receiver = fork("receiver", || {
        let mut rx = channel.receiver().unwrap();
        rx.set_wait(Wait::Sleep);
        let (mut bytes, mut front) = (vec![0; 4080], [0; 64]);
        for seq in 0..ROUNDS {
            assert_eq!(rx.recv_into(&mut bytes), Ok(4080));
            fill_record(seq, &mut front);
            assert_eq!(bytes[..64], front);
        }
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    sender.succeed();
    receiver.succeed();
}

/// Three readers sleep. The writer goes on only when all of them have seen its value.
#[test]
fn every_sleeping_reader_is_woken_by_every_change() {
    const ROUNDS: u64 = 10_000;
    let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
    let board = Board::new();
    let readers: Vec<Child> = (0..3)
        .map(|me| {
            let (channel, board) = (&channel, &board);
            fork(&format!("reader {me}"), move || {
                let mut reader = channel.reader();
                reader.set_wait(Wait::Sleep);
                for version in 1..=ROUNDS {
                    reader.changed().unwrap();
                    let value = reader.read().unwrap();
                    value.check();
                    assert_eq!(value.version(), version);
                    board[me].store(version, SeqCst);
                }
                assert_eq!(reader.changed(), Err(ChangedError::Closed));
            })
        })
        .collect();
    let writer = fork("writer", || {
        let mut writer = channel.writer().unwrap();
        for version in 1..=ROUNDS {
            writer.write(&Latest::make(version)).unwrap();
            (0..3).for_each(|reader| board.wait_for(reader, version));
        }
    });
    writer.succeed();
    readers.iter().for_each(Child::succeed);
}

/// Runs `wait` for a second or more and demands that it slept: it used next to no processor time, and woke only to ask
/// the kernel about its peer, every 20 ms.
fn sleeps(wait: impl FnOnce()) {
    let started = Instant::now();
    let (before, slept) = cpu_time_and_sleeps();
    wait();
    let (after, woken) = cpu_time_and_sleeps();
    let (used, seconds) = (after - before, started.elapsed().as_secs_f64());
    assert!(used.as_secs_f64() < 0.05 * seconds, "{used:?} of processor time in {seconds} s");
    let woken = (woken - slept) as f64;
    assert!(woken < 100.0 * seconds, "woken {woken} times in {seconds} s");
}

#[test]
fn a_blocked_call_uses_no_processor_time() {
    let full = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let empty = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let latest = seqlock::Channel::<u64>::options().memfd().unwrap();
    let read_only = {
        let fd = latest.region().fd().unwrap().try_clone_to_owned().unwrap();
        seqlock::Channel::<u64>::options().from_fd_read_only(fd).unwrap()
    };
    let children = [
        fork("receiver", || {
            let mut rx = empty.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            sleeps(|| assert_eq!(rx.recv(), Ok(1)));
        }),
        fork("sender", || {
            let mut tx = full.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&1).unwrap();
            sleeps(|| tx.send(&2).unwrap());
        }),
        fork("receiver by default", || {
            let mut rx = records.receiver().unwrap();
            sleeps(|| assert_eq!(rx.recv().unwrap(), [7; 7]));
        }),
        fork("reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            sleeps(|| reader.changed().unwrap());
        }),
    ];
    let napper = fork("read-only reader", || {
        let mut reader = read_only.reader();
        reader.set_wait(Wait::Sleep);
        let (before, _) = cpu_time_and_sleeps();
        reader.changed().unwrap();
        // A read-only reader looks a thousand times a second.
        assert!(cpu_time_and_sleeps().0 - before < Duration::from_millis(200));
    });
    children.iter().for_each(Child::wait_until_asleep);
    std::thread::sleep(Duration::from_secs(1));
    assert!(children.iter().all(Child::running) && napper.running());
    empty.sender().unwrap().send(&1).unwrap();
    let mut rx = full.receiver().unwrap();
    assert_eq!(rx.recv(), Ok(1));
    records.sender().unwrap().send(&[7; 7]).unwrap();
    latest.writer().unwrap().write(&1).unwrap();
    children.iter().for_each(Child::succeed);
    napper.succeed();
}
