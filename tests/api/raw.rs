//! Channels of values whose type the program does not know, beside typed ones of the same region.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ringway::{
    ChangedError, ReadError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, WriteError, seqlock, spsc,
};

use crate::common::child::{Child, deadline, fork};
use crate::common::messages::{Latest, Numbered, Packet};
use ringway::zerocopy::IntoBytes;

type Bytes<const N: usize> = [u8; N];

/// A typed and a raw end take turns at both ends, at every offset.
fn crosses<T: Numbered>(slots: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let typed = spsc::Channel::<T>::create(&path, slots).unwrap();
    let any = spsc::raw::Channel::open(&path).unwrap();
    assert_eq!((any.carries().size, any.capacity()), (size_of::<T>() as u64, slots));
    let mut next = 0;
    for _ in 0..3 * slots {
        let (mut tx, mut rx) = (any.sender().unwrap(), typed.receiver().unwrap());
        tx.send(T::make(next).as_bytes()).unwrap();
        rx.recv().unwrap().check(next);
        drop((tx, rx));
        let (mut tx, mut rx) = (typed.sender().unwrap(), any.receiver().unwrap());
        tx.send(&T::make(next + 1)).unwrap();
        assert_eq!(rx.len(), 1);
        let mut buffer = vec![0xA5; size_of::<T>() + 3];
        assert_eq!(rx.recv_into(&mut buffer), Ok(size_of::<T>()));
        assert_eq!(buffer[..size_of::<T>()], *T::make(next + 1).as_bytes());
        assert_eq!(buffer[size_of::<T>()..], [0xA5; 3]);
        next += 2;
        assert_eq!((tx.position(), rx.position()), (next + 1, next + 1));
    }
}

#[test]
fn values_cross_between_typed_and_raw_ends() {
    crosses::<u64>(3);
    crosses::<Packet>(5);
}

#[test]
fn a_raw_ring_is_full_and_empty_and_refuses_what_is_no_value() {
    let any = spsc::raw::Channel::options().capacity(2).type_layout(5, 1).memfd().unwrap();
    let (mut tx, mut rx) = (any.sender().unwrap(), any.receiver().unwrap());
    let (no, moment) = (TryRecvError::Empty, Duration::from_millis(1));
    assert_eq!(rx.try_recv_into(&mut [0; 5]), Err(no));
    assert!(rx.recv_into_timeout(&mut [0; 5], moment).is_err());
    assert_eq!(rx.recv_into(&mut [0; 4]), Err(RecvError::BufferTooShort { found: 5, buffer: 4 }));
    let wrong = SendError::WrongSize { found: 4, expected: 5 };
    assert_eq!(tx.send(b"four"), Err(wrong));
    assert_eq!(tx.try_send(b"four"), Err(TrySendError::Refused(wrong)));
    tx.send(b"fives").unwrap();
    tx.try_send(b"value").unwrap();
    assert_eq!(tx.try_send(b"other"), Err(TrySendError::Full));
    assert!(tx.send_timeout(b"other", moment).is_err());
    assert_eq!((tx.len(), rx.len(), tx.is_empty(), rx.is_empty()), (2, 2, false, false));
    assert!(tx.has_receiver() && rx.has_sender());
    assert_eq!(rx.recv().unwrap(), b"fives");
    assert_eq!(rx.recv().unwrap(), b"value");
    drop(tx);
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}

#[test]
fn a_raw_ring_that_names_its_type_is_opened_by_a_typed_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = spsc::raw::Channel::options().capacity(4).type_layout(8, 8).type_name("u64");
    options.create(&path).unwrap().sender().unwrap().send(&7u64.to_ne_bytes()).unwrap();
    assert_eq!(spsc::Channel::<u64>::open(&path).unwrap().receiver().unwrap().recv(), Ok(7));
    let other = spsc::raw::Channel::options().type_layout(4, 4).open(&path).unwrap_err();
    assert!(matches!(other.reason(), Reason::Type { .. }), "{other}");
    let other = seqlock::raw::Channel::open(&path).unwrap_err();
    assert!(matches!(other.reason(), Reason::Kind { found: "spsc", expected: "seqlock" }), "{other}");
    let none = spsc::raw::Channel::options().capacity(4).memfd().unwrap_err();
    assert!(matches!(none.reason(), Reason::NoType), "{none}");
    for (size, align) in [(0, 1), (8, 0), (8, 3), (8, 8192)] {
        let refused = spsc::raw::Channel::options().capacity(4).type_layout(size, align).memfd().unwrap_err();
        assert!(matches!(refused.reason(), Reason::UnsupportedType { .. }), "{refused}");
    }
}

#[test]
fn raw_snapshots_hold_what_typed_ones_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (ring, value) = (dir.path().join("ring"), dir.path().join("value"));
    let typed = spsc::Channel::<u64>::create(&ring, 4).unwrap();
    (1..4u64).for_each(|n| typed.sender().unwrap().send(&n).unwrap());
    let copy = spsc::raw::Channel::options().open_snapshot(&ring).unwrap();
    let mut rx = copy.receiver().unwrap();
    (1..4u64).for_each(|n| assert_eq!(rx.recv().unwrap(), n.to_ne_bytes()));
    assert_eq!(typed.receiver().unwrap().len(), 3);
    let typed = seqlock::Channel::<Latest<8>>::create(&value).unwrap();
    typed.writer().unwrap().write(&Latest::make(1)).unwrap();
    let mut found: Bytes<64> = [0; 64];
    seqlock::raw::Channel::options().open_snapshot(&value).unwrap().reader().read_into(&mut found).unwrap();
    assert_eq!(found, *Latest::<8>::make(1).as_bytes());
}

#[test]
fn a_raw_value_is_written_read_and_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let typed = seqlock::Channel::<Latest<40>>::create(&path).unwrap();
    let any = seqlock::raw::Channel::open(&path).unwrap();
    let mut only = seqlock::raw::Channel::open_read_only(&path).unwrap().reader();
    let (mut reader, mut typed_reader) = (any.reader(), typed.reader());
    let mut found = vec![0; 320];
    assert_eq!((reader.read_into(&mut found), reader.version()), (Ok(320), 0));
    for version in 1..100 {
        let value = Latest::<40>::make(version);
        if version % 2 == 0 {
            any.writer().unwrap().write(value.as_bytes()).unwrap();
        } else {
            typed.writer().unwrap().write(&value).unwrap();
        }
        assert!(reader.has_changed());
        reader.changed().unwrap();
        assert_eq!(reader.read_into(&mut found), Ok(320));
        assert_eq!((found.as_slice(), reader.version()), (value.as_bytes(), version));
        assert_eq!(only.read_into(&mut found), Ok(320));
        assert_eq!(found, value.as_bytes());
        typed_reader.read().unwrap().check();
    }
    assert!(reader.changed_timeout(Duration::from_millis(1)).is_err() && !reader.has_writer());
    assert_eq!(reader.read_into(&mut [0; 319]), Err(ReadError::BufferTooShort { found: 320, buffer: 319 }));
    let wrong = WriteError::WrongSize { found: 1, expected: 320 };
    assert_eq!(any.writer().unwrap().write(&[1]), Err(wrong));
    assert_eq!(any.writer().unwrap().version(), 99);
}

#[test]
fn a_raw_ring_says_whether_its_peer_left() {
    let channel = spsc::raw::Channel::options().capacity(2).type_layout(8, 8).memfd().unwrap();
    let (mut tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    assert_eq!((tx.capacity(), rx.capacity()), (2, 2));
    assert!(!tx.is_closed() && !rx.is_closed());
    drop(rx);
    assert!(tx.is_closed());
    let mut rx = channel.receiver().unwrap();
    tx.send(&[7; 8]).unwrap();
    drop(tx);
    assert!(rx.is_closed());
    assert_eq!(rx.recv(), Ok(vec![7; 8]));
}

#[test]
fn a_raw_receiver_makes_a_vector_of_each_value() {
    let channel = spsc::raw::Channel::options().capacity(3).type_layout(5, 1).memfd().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    for value in [b"first", b"other", b"third"] {
        tx.send(value).unwrap();
    }
    assert_eq!(rx.try_recv().as_deref(), Ok(&b"first"[..]));
    assert_eq!(rx.recv_timeout(deadline()).as_deref(), Ok(&b"other"[..]));
    assert_eq!(rx.recv().as_deref(), Ok(&b"third"[..]));
}

#[test]
fn a_raw_receiver_knows_what_a_typed_one_was_lent() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let typed = spsc::Channel::<u64>::create(&path, 2).unwrap();
    let mut tx = typed.sender().unwrap();
    (1..3).for_each(|n| tx.send(&n).unwrap());
    std::mem::forget(typed.receiver().unwrap().recv_ref().unwrap());
    let mut rx = spsc::raw::Channel::open(&path).unwrap().receiver().unwrap();
    assert!(rx.is_redelivery());
    assert_eq!(rx.recv(), Ok(1u64.to_ne_bytes().to_vec()));
    assert!(!rx.is_redelivery());
}

#[test]
fn a_raw_reader_makes_a_vector_of_the_value() {
    let typed = seqlock::Channel::<u64>::options().memfd().unwrap();
    let mut reader =
        seqlock::raw::Channel::from_fd(typed.region().fd().unwrap().try_clone_to_owned().unwrap()).unwrap().reader();
    assert_eq!((reader.read(), reader.version()), (Ok(vec![0; 8]), 0));
    typed.writer().unwrap().write(&7).unwrap();
    assert_eq!((reader.read(), reader.version()), (Ok(7u64.to_ne_bytes().to_vec()), 1));
}

#[test]
fn raw_channels_in_use_are_copied() {
    let ring = spsc::raw::Channel::options().capacity(2).type_layout(8, 8).memfd().unwrap();
    ring.sender().unwrap().send(&[7; 8]).unwrap();
    let copy = ring.snapshot().unwrap();
    assert_eq!(ring.receiver().unwrap().recv(), Ok(vec![7; 8]));
    assert_eq!(copy.receiver().unwrap().recv(), Ok(vec![7; 8]));
    let value = seqlock::raw::Channel::options().type_layout(8, 8).memfd().unwrap();
    value.writer().unwrap().write(&[1; 8]).unwrap();
    let copy = value.snapshot().unwrap();
    value.writer().unwrap().write(&[2; 8]).unwrap();
    assert_eq!((copy.reader().read(), value.reader().read()), (Ok(vec![1; 8]), Ok(vec![2; 8])));
}

/// A process that takes a seat, and keeps it until it is killed.
fn holder<S>(take: impl Fn() -> S, is_taken: impl Fn() -> bool) -> Child {
    let child = fork("holder", || {
        let _seat = take();
        loop {
            std::thread::park();
        }
    });
    while !is_taken() {
        std::thread::yield_now();
    }
    child
}

#[test]
fn raw_channels_kill_the_holder_of_a_seat_and_take_it() {
    let typed = spsc::Channel::<u64>::options().capacity(2).memfd().unwrap();
    let any = spsc::raw::Channel::from_fd(typed.region().fd().unwrap().try_clone_to_owned().unwrap()).unwrap();
    let rx = any.receiver().unwrap();
    let child = holder(|| typed.sender().unwrap(), || rx.has_sender());
    assert!(any.sender().is_err());
    let tx = any.kill_and_take_sender(deadline()).unwrap();
    child.killed_by(Signal::SIGKILL);
    assert_eq!(tx.generation(), 2);
    drop(rx);
    let child = holder(|| typed.receiver().unwrap(), || tx.has_receiver());
    assert!(any.receiver().is_err());
    let mut rx = any.kill_and_take_receiver(deadline()).unwrap();
    child.killed_by(Signal::SIGKILL);
    assert_eq!(rx.generation(), 3);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::PeerDied { generation: 1 })));
    let typed = seqlock::Channel::<u64>::options().memfd().unwrap();
    let any = seqlock::raw::Channel::from_fd(typed.region().fd().unwrap().try_clone_to_owned().unwrap()).unwrap();
    let child = holder(|| typed.writer().unwrap(), || any.reader().has_writer());
    assert!(any.writer().is_err());
    assert_eq!(any.kill_and_take_writer(deadline()).unwrap().generation(), 2);
    child.killed_by(Signal::SIGKILL);
}

/// The ends of raw channels wait as those of typed ones do.
#[test]
fn raw_ends_outlive_wait_for_and_cancel() {
    const SHORT: Duration = Duration::from_millis(1);
    let ring = spsc::raw::Channel::options().capacity(1).type_layout(8, 8).memfd().unwrap();
    let (mut tx, mut rx) = (ring.sender().unwrap(), ring.receiver().unwrap());
    assert_eq!((tx.wait_for_peer(SHORT), rx.wait_for_peer(SHORT)), (Ok(()), Ok(())));
    tx.outlive_peers(true);
    rx.outlive_peers(true);
    drop(rx);
    assert_eq!(tx.wait_for_peer(SHORT), Err(SendTimeoutError::Timeout));
    let soon = Instant::now() + SHORT;
    assert_eq!(tx.send_deadline(&[1; 8], soon), Ok(()), "there is room, whoever left");
    assert_eq!(tx.send_deadline(&[2; 8], soon), Err(SendTimeoutError::Timeout));
    assert!(matches!(tx.send_deadline(&[2], soon), Err(SendTimeoutError::Refused(SendError::WrongSize { .. }))));
    let stop = tx.canceller();
    stop.cancel();
    assert_eq!(tx.send(&[2; 8]), Err(SendError::Cancelled));
    stop.reset();
    drop(tx);

    let mut rx = ring.receiver().unwrap();
    rx.outlive_peers(true);
    assert_eq!(rx.recv_deadline(soon), Ok(vec![1; 8]), "it is there, however late");
    assert_eq!(rx.recv_deadline(soon), Err(RecvTimeoutError::Timeout));
    rx.canceller().cancel();
    assert_eq!(rx.recv(), Err(RecvError::Cancelled));

    let value = seqlock::raw::Channel::options().type_layout(8, 8).memfd().unwrap();
    let mut reader = value.reader();
    reader.outlive_peers(true);
    drop(value.writer().unwrap());
    assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
    reader.canceller().cancel();
    assert_eq!(reader.changed(), Err(ChangedError::Cancelled));
}
