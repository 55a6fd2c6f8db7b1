//! A process leaves. Its peer sees that once, and so does a late one.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use ringway::{
    ChangedError, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, Wait, bytes, seqlock, spsc,
};

use crate::common::board::Board;
use crate::common::child::{Child, fork, in_child};
use crate::common::dirs::{disk_dir, file_in, shm_dir};
use crate::common::messages::{Numbered, check_record, record};
use crate::plan::LONG;

#[test]
fn a_receiver_that_comes_after_the_sender_drains_and_sees_its_end_once() {
    let dir = shm_dir();
    let path = file_in(&dir);
    drop(spsc::Channel::<u64>::create(&path, 8).unwrap());
    for sent in [5, 0] {
        in_child("sender", || {
            let mut tx = spsc::Channel::<u64>::open(&path).unwrap().sender().unwrap();
            (0..sent).for_each(|seq| tx.send(&u64::make(seq)).unwrap());
        });
        in_child("receiver", || {
            let mut rx = spsc::Channel::<u64>::open(&path).unwrap().receiver().unwrap();
            assert!(rx.is_closed());
            assert_eq!(rx.len(), sent);
            (0..sent).for_each(|seq| rx.recv().unwrap().check(seq));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            // It says so again and again, until a new sender comes.
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(RecvError::Closed)));
        });
        // This end was reported, so a receiver that comes now waits for a new sender.
        let board = Board::new();
        let late = fork("late receiver", || {
            let mut rx = spsc::Channel::<u64>::open(&path).unwrap().receiver().unwrap();
            assert!(!rx.is_closed());
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(rx.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
            rx.set_wait(Wait::Sleep);
            board[0].store(1, SeqCst);
            assert_eq!(rx.recv(), Ok(77));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        board.wait_for(0, 1);
        late.wait_until_asleep();
        spsc::Channel::<u64>::open(&path).unwrap().sender().unwrap().send(&77).unwrap();
        late.succeed();
    }
}

#[test]
fn a_record_receiver_that_comes_after_the_sender_drains_and_sees_its_end_once() {
    let dir = disk_dir();
    let path = file_in(&dir);
    drop(bytes::Channel::create(&path, 4096).unwrap());
    for sent in [5, 0] {
        in_child("sender", || {
            let mut tx = bytes::Channel::open(&path).unwrap().sender().unwrap();
            (0..sent).for_each(|seq| tx.send(&record(seq, 700)).unwrap());
        });
        in_child("receiver", || {
            let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
            assert!(rx.is_closed());
            assert_eq!(rx.len(), sent);
            (0..sent).for_each(|seq| check_record(&rx.recv().unwrap(), seq, 700));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let late = fork("late receiver", || {
            let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
            assert!(!rx.is_closed());
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv().unwrap(), b"new");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        late.wait_until_asleep();
        bytes::Channel::open(&path).unwrap().sender().unwrap().send(b"new").unwrap();
        late.succeed();
    }
}

/// A receiver that leaves before it is told the end leaves that to the next one.
#[test]
fn an_end_that_was_not_reported_is_reported_to_the_next_receiver() {
    let channel = spsc::Channel::<u64>::options().capacity(4).memfd().unwrap();
    in_child("sender", || (0..3).for_each(|seq| channel.sender().unwrap().send(&seq).unwrap()));
    in_child("first", || assert_eq!(channel.receiver().unwrap().recv(), Ok(0)));
    in_child("second", || {
        let mut rx = channel.receiver().unwrap();
        assert_eq!(rx.iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_sleeping_receiver_is_woken_by_the_senders_exit() {
    let slots = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let board = Board::new();
    let sender = fork("sender", || {
        let mut tx = slots.sender().unwrap();
        let mut record_tx = records.sender().unwrap();
        let mut writer = latest.writer().unwrap();
        tx.send(&5).unwrap();
        record_tx.send(b"five").unwrap();
        writer.write(&5).unwrap();
        board[0].store(1, SeqCst);
        board.wait_for(1, 1);
    });
    board.wait_for(0, 1);
    let sleepers = [
        fork("receiver", || {
            let mut rx = slots.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv(), Ok(5));
            assert!(!rx.is_closed());
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        }),
        fork("record receiver", || {
            let mut rx = records.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            assert_eq!(rx.recv().unwrap(), b"five");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        }),
        fork("reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(5));
            assert_eq!(reader.changed(), Err(ChangedError::Closed));
        }),
        fork("other reader", || {
            let mut reader = latest.reader();
            reader.set_wait(Wait::Sleep);
            assert_eq!(reader.read(), Ok(5));
            assert_eq!(reader.changed_timeout(LONG), Err(ChangedError::Closed));
        }),
    ];
    sleepers.iter().for_each(Child::wait_until_asleep);
    board[1].store(1, SeqCst);
    sender.succeed();
    sleepers.iter().for_each(Child::succeed);
}

#[test]
fn a_sleeping_sender_is_woken_by_the_receivers_exit() {
    let slots = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let board = Board::new();
    let receiver = fork("receiver", || {
        let (_rx, _record_rx) = (slots.receiver().unwrap(), records.receiver().unwrap());
        board[0].store(1, SeqCst);
        board.wait_for(1, 1);
    });
    board.wait_for(0, 1);
    let sleepers = [
        fork("sender", || {
            let mut tx = slots.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            assert_eq!(tx.send_some(&[1, 2, 3]), Ok(ringway::Sent(2)));
            assert!(!tx.is_closed());
            assert_eq!(tx.send(&3), Err(SendError::Closed));
            assert!(tx.is_closed());
            assert_eq!(tx.try_send(&3), Err(TrySendError::Refused(SendError::Closed)));
            assert_eq!(tx.len(), 2);
        }),
        fork("record sender", || {
            let mut tx = records.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&[1; 4080]).unwrap();
            assert_eq!(tx.send(&[2]), Err(SendError::Closed));
            assert_eq!(tx.send_some(&[&[2]]), Err(SendError::Closed));
            assert_eq!(tx.len(), 1);
        }),
    ];
    sleepers.iter().for_each(Child::wait_until_asleep);
    board[1].store(1, SeqCst);
    receiver.succeed();
    sleepers.iter().for_each(Child::succeed);
}

/// A sender that never has to wait learns it soon, too.
#[test]
fn an_awake_sender_sees_the_receivers_exit_within_two_sends() {
    let slots = spsc::Channel::<u64>::options().capacity(1 << 12).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(1 << 16).anonymous().unwrap();
    let (mut tx, mut record_tx) = (slots.sender().unwrap(), records.sender().unwrap());
    for generation in 0..3 {
        in_child("receiver", || {
            let (_rx, _record_rx) = (slots.receiver().unwrap(), records.receiver().unwrap());
        });
        // As far as the sender knows, all of the ring is free.
        let sent = (0..100).take_while(|_| tx.send(&1) == Ok(())).count();
        assert!(sent <= 1, "{sent} messages to a receiver that had left, generation {generation}");
        assert_eq!(tx.send(&1), Err(SendError::Closed));
        let sent = (0..100).take_while(|_| record_tx.send(b"x") == Ok(())).count();
        assert!(sent <= 1, "{sent} records to a receiver that had left, generation {generation}");
        assert_eq!(record_tx.try_send(b"x"), Err(TrySendError::Refused(SendError::Closed)));
        // For a sender that comes now, that is no news.
        drop((tx, record_tx));
        (tx, record_tx) = (slots.sender().unwrap(), records.sender().unwrap());
        assert!(!tx.is_closed() && !record_tx.is_closed());
        tx.send(&2).unwrap();
        record_tx.send(b"y").unwrap();
    }
}
