//! How calls end, or do not, when the peer ends: by leaving, by a panic; or when somebody cancels them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use ringway::{
    Canceller, ChangedError, RecvError, SendError, SendTimeoutError, TryRecvError, Wait, bytes, seqlock, spsc,
};

const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_millis(1);

fn ring(capacity: u64) -> spsc::Channel<u64> {
    spsc::Channel::options().capacity(capacity).anonymous().unwrap()
}

/// Drops `end` while the thread panics.
fn panic_with<E>(end: E, work: impl FnOnce(&mut E)) {
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let mut end = end;
        work(&mut end);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(panicked.is_err());
}

#[test]
fn a_panic_of_the_sender_is_reported_as_a_death_once() {
    let channel = ring(4);
    let (tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    panic_with(tx, |tx| tx.send(&7).unwrap());
    assert_eq!(rx.recv(), Ok(7));
    assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut next = channel.sender().unwrap();
    next.send(&8).unwrap();
    assert_eq!(rx.recv(), Ok(8));
    drop(next);
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}

/// One that comes later learns of it from the successor's first message.
#[test]
fn a_panic_is_reported_to_a_receiver_that_comes_later() {
    let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    panic_with(channel.sender().unwrap(), |tx| tx.send(b"before").unwrap());
    let mut tx = channel.sender().unwrap();
    tx.send(b"after").unwrap();
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.recv().unwrap(), b"before");
    assert_eq!(rx.recv(), Err(RecvError::PeerDied { generation: 1 }));
    assert_eq!(rx.recv().unwrap(), b"after");
}

#[test]
fn what_a_receiver_panics_over_comes_again() {
    let channel = ring(4);
    let mut tx = channel.sender().unwrap();
    (1..=3).for_each(|n| tx.send(&n).unwrap());
    panic_with(channel.receiver().unwrap(), |rx| {
        assert_eq!(rx.recv(), Ok(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let lent = rx.recv_ref().unwrap();
            assert_eq!(lent.read(), 2);
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panicked.is_err());
        assert!(rx.is_redelivery());
    });
    // A sender that is not blocked notices it with the message after the next.
    assert_eq!(tx.send(&4), Ok(()));
    assert_eq!(tx.send_timeout(&5, LONG), Err(SendTimeoutError::Refused(SendError::PeerDied { generation: 1 })));
    let mut rx = channel.receiver().unwrap();
    assert!(rx.is_redelivery());
    assert_eq!((rx.recv(), rx.is_redelivery(), rx.recv()), (Ok(2), false, Ok(3)));
}

#[test]
fn a_panic_of_the_writer_is_reported_to_readers() {
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let mut reader = channel.reader();
    panic_with(channel.writer().unwrap(), |writer| writer.write(&7).unwrap());
    assert_eq!((reader.changed(), reader.read()), (Ok(()), Ok(7)));
    assert_eq!(reader.changed_timeout(LONG), Err(ChangedError::PeerDied { generation: 1 }));
}

#[test]
fn a_receiver_that_outlives_its_senders_sees_only_messages() {
    let channel = ring(4);
    let mut rx = channel.receiver().unwrap();
    rx.outlive_peers(true);
    for n in 0..6 {
        let mut tx = channel.sender().unwrap();
        tx.send(&n).unwrap();
        if n % 2 == 0 {
            drop(tx)
        } else {
            panic_with(tx, |_| ())
        }
        assert_eq!(rx.try_recv(), Ok(n));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(rx.recv_timeout(SHORT).is_err_and(|error| error.is_timeout()));
    }
    thread::scope(|scope| {
        let next = scope.spawn(|| rx.recv());
        thread::sleep(Duration::from_millis(20));
        channel.sender().unwrap().send(&7).unwrap();
        assert_eq!(next.join().unwrap(), Ok(7));
    });
    rx.outlive_peers(false);
    drop(channel.sender().unwrap());
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}

#[test]
fn a_sender_that_outlives_its_receivers_fills_the_ring_and_waits() {
    let channel = ring(2);
    let mut tx = channel.sender().unwrap();
    tx.outlive_peers(true);
    for turn in 0..4 {
        let rx = channel.receiver().unwrap();
        if turn % 2 == 0 {
            drop(rx)
        } else {
            panic_with(rx, |_| ())
        }
        assert_eq!((tx.try_send(&1), tx.send(&2)), (Ok(()), Ok(())));
        assert!(tx.try_send(&3).is_err_and(|error| error.is_full()));
        assert_eq!(tx.send_timeout(&3, SHORT), Err(SendTimeoutError::Timeout));
        let mut rx = channel.receiver().unwrap();
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    }
    thread::scope(|scope| {
        let sending = scope.spawn(|| tx.send_slice(&[1, 2, 3]));
        thread::sleep(Duration::from_millis(20));
        let mut rx = channel.receiver().unwrap();
        assert!((1..=3).all(|n| rx.recv() == Ok(n)));
        assert_eq!(sending.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_reader_that_outlives_its_writers_sees_only_values() {
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let mut reader = channel.reader();
    reader.outlive_peers(true);
    for n in 1..4 {
        let mut writer = channel.writer().unwrap();
        writer.write(&n).unwrap();
        if n % 2 == 0 {
            drop(writer)
        } else {
            panic_with(writer, |_| ())
        }
        assert_eq!((reader.changed(), reader.read()), (Ok(()), Ok(n)));
        assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
    }
}

/// Spinning, spinning and then asleep, and asleep.
const WAYS: [Wait; 3] = [Wait::Spin, Wait::SpinThenSleep(Duration::from_micros(50)), Wait::Sleep];

#[test]
fn a_cancelled_call_ends_and_so_do_those_after_it() {
    for wait in WAYS {
        let channel = ring(1);
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        rx.set_wait(wait);
        tx.set_wait(wait);
        let (of_rx, of_tx) = (rx.canceller(), tx.canceller());
        thread::scope(|scope| {
            let blocked = scope.spawn(|| rx.recv());
            thread::sleep(Duration::from_millis(5));
            of_rx.cancel();
            assert_eq!(blocked.join().unwrap(), Err(RecvError::Cancelled));
        });
        assert!(rx.recv_timeout(LONG).is_err_and(|error| error == RecvError::Cancelled.into()));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "it never waits");
        tx.send(&1).unwrap();
        assert_eq!(rx.recv(), Ok(1), "it is there");
        tx.send(&2).unwrap();
        of_tx.cancel();
        assert_eq!(tx.send(&3), Err(SendError::Cancelled));
        of_rx.reset();
        of_tx.reset();
        assert_eq!(rx.recv(), Ok(2));
        assert_eq!(tx.send(&3), Ok(()));
    }
}

#[test]
fn a_cancelled_reader_ends() {
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let _writer = channel.writer().unwrap();
    for wait in WAYS {
        let mut reader = channel.reader();
        reader.set_wait(wait);
        let canceller = reader.canceller();
        thread::scope(|scope| {
            let blocked = scope.spawn(|| reader.changed());
            thread::sleep(Duration::from_millis(5));
            canceller.cancel();
            assert_eq!(blocked.join().unwrap(), Err(ChangedError::Cancelled));
        });
    }
}

static FROM_HANDLER: OnceLock<Canceller> = OnceLock::new();

extern "C" fn cancel(_: nix::libc::c_int) {
    if let Some(canceller) = FROM_HANDLER.get() {
        canceller.cancel();
    }
}

#[test]
fn a_signal_handler_cancels_a_blocked_call() {
    let channel = ring(1);
    let (_tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    rx.set_wait(Wait::Sleep);
    FROM_HANDLER.set(rx.canceller()).unwrap();
    let action = SigAction::new(SigHandler::Handler(cancel), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only loads, stores and wakes, which a handler may.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let sleeper = pthread_self();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(5));
            pthread_kill(sleeper, Signal::SIGUSR1).unwrap();
        });
        assert_eq!(rx.recv(), Err(RecvError::Cancelled));
    });
}

#[test]
fn a_call_waits_for_a_peer_and_a_claim_ends_it() {
    let channel = ring(1);
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    assert_eq!((tx.wait_for_peer(LONG), rx.wait_for_peer(LONG)), (Ok(()), Ok(())));
    drop(tx);
    assert!(rx.wait_for_peer(SHORT).is_err_and(|error| error.is_timeout()));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rx.wait_for_peer(LONG));
        thread::sleep(Duration::from_millis(5));
        let _tx = channel.sender().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    drop(rx);
    let mut tx = channel.sender().unwrap();
    assert_eq!(tx.wait_for_peer(SHORT), Err(SendTimeoutError::Timeout));
    let canceller = tx.canceller();
    canceller.cancel();
    assert_eq!(tx.wait_for_peer(LONG), Err(SendError::Cancelled.into()));
}

/// A process that waits where nobody sits wakes up a few times a second at first, and then once.
#[test]
fn a_call_that_waits_for_nobody_seldom_wakes_up() {
    let channel = ring(1);
    let mut rx = channel.receiver().unwrap();
    rx.set_wait(Wait::Sleep);
    let switches = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().voluntary_context_switches();
    let before = switches();
    assert!(rx.recv_timeout(Duration::from_secs(3)).is_err());
    let woken = switches() - before;
    assert!(woken < 40, "{woken} times in three seconds");
}

/// What `?` in `main` and `unwrap` print is the text, and the text stands there once.
#[test]
fn errors_print_their_text_by_debug_too() {
    let channel = ring(1);
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let taken = channel.sender().err().unwrap();
    assert_eq!(format!("{taken:?}"), format!("Taken: {taken}"));
    assert!(taken.to_string().contains(&std::process::id().to_string()));
    let empty = rx.try_recv().unwrap_err();
    assert_eq!(format!("{empty:?}"), format!("Empty: {empty}"));
    tx.send(&1).unwrap();
    let full = tx.try_send(&2).unwrap_err();
    assert_eq!(format!("{full:?}"), format!("Full: {full}"));
    let missing = spsc::Channel::<u64>::open("/nowhere/ring").unwrap_err();
    assert_eq!(format!("{missing:?}"), missing.to_string());
    let all: [&dyn std::error::Error; 4] = [&taken, &empty, &full, &missing];
    assert!(all.iter().all(|error| error.source().is_none()));
}

#[test]
fn a_slice_is_sent_as_a_whole_or_says_how_much_of_it() {
    let channel = ring(4);
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    let values: Vec<u64> = (0..1000).collect();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(tx.send_slice(&values), Ok(())));
        assert!((0..1000).all(|n| rx.recv() == Ok(n)));
    });
    assert_eq!(tx.try_send_some(&values), Ok(ringway::Sent(4)));
    drop(rx);
    let before = tx.position();
    assert_eq!(tx.send_slice(&values), Err(SendError::Closed));
    assert_eq!(tx.position(), before);
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (mut tx, mut rx) = (records.sender().unwrap(), records.receiver().unwrap());
    let (one, long) = (vec![7; 1000], vec![0; 1 << 20]);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(tx.send_slice(&vec![&one[..]; 50]), Ok(()));
            assert!(matches!(tx.send_slice(&[b"last", &long, b"never"]), Err(SendError::TooLong(_))));
            assert_eq!(tx.records(), 51);
        });
        assert!((0..50).all(|_| rx.recv().unwrap() == one));
        assert_eq!(rx.recv().unwrap(), b"last");
    });
}

#[test]
fn iterators_yield_a_death_and_go_on_and_end_when_the_sender_left() {
    let channel = ring(4);
    let mut rx = channel.receiver().unwrap();
    panic_with(channel.sender().unwrap(), |tx| tx.send(&1).unwrap());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [Ok(1), Err(RecvError::PeerDied { generation: 1 })]);
    panic_with(channel.sender().unwrap(), |tx| tx.send(&2).unwrap());
    let mut next = channel.sender().unwrap();
    (3..=4).for_each(|n| next.send(&n).unwrap());
    assert_eq!(rx.iter().take(2).collect::<Vec<_>>(), [Ok(2), Err(RecvError::PeerDied { generation: 2 })]);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [Ok(3), Ok(4)]);
    next.send(&5).unwrap();
    drop(next);
    let mut iter = rx.iter();
    assert_eq!((iter.next(), iter.next(), iter.next()), (Some(Ok(5)), None, None));
}

/// Whoever stops outliving its peers hears of one that has left, as if it had never outlived it.
#[test]
fn a_leaving_that_was_outlived_is_told_later() {
    let channel = ring(2);
    let (mut tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    tx.outlive_peers(true);
    drop(rx);
    tx.send_slice(&[1, 2]).unwrap();
    assert_eq!(tx.send_timeout(&3, SHORT), Err(SendTimeoutError::Timeout));
    assert!(tx.is_closed());
    tx.outlive_peers(false);
    assert_eq!(tx.send(&3), Err(SendError::Closed));
    let mut rx = channel.receiver().unwrap();
    rx.outlive_peers(true);
    drop(tx);
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
    assert!(rx.recv_timeout(SHORT).is_err_and(|error| error.is_timeout()));
    rx.outlive_peers(false);
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}
