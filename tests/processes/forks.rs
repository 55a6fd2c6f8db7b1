//! Forks with live endpoints. The child can do nothing with them, and the parent goes on.

use ringway::{
    RecvError, RecvTimeoutError, Seat, SendError, TryRecvError, TrySendError, WriteError, bytes, seqlock, spsc,
};

use crate::common::child::{fork, in_child};
use crate::common::messages::{Numbered, Packet, check_record, record};
use crate::plan::LONG;
use crate::seats::generation_of;

/// Everything that a forked child may try with the endpoints of its parent.
fn all_is_forked(
    tx: &mut spsc::Sender<u64>,
    rx: &mut spsc::Receiver<u64>,
    record_tx: &mut bytes::Sender,
    record_rx: &mut bytes::Receiver,
    writer: &mut seqlock::Writer<u64>,
) {
    let send = SendError::Forked;
    assert_eq!(tx.send(&1), Err(send));
    assert_eq!(tx.try_send(&1), Err(TrySendError::Refused(send)));
    assert_eq!(tx.send_timeout(&1, LONG), Err(ringway::SendTimeoutError::Refused(send)));
    assert_eq!(tx.send_some(&[1]), Err(send));
    assert_eq!(tx.try_send_some(&[1]), Err(TrySendError::Refused(send)));
    assert_eq!(tx.send_ref().err(), Some(send));
    assert_eq!(tx.try_send_ref().err(), Some(TrySendError::Refused(send)));
    let recv = RecvError::Forked;
    assert_eq!(rx.recv(), Err(recv));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(recv)));
    assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Refused(recv)));
    assert_eq!(rx.recv_slice(&mut [0]), Err(recv));
    assert_eq!(rx.try_recv_slice(&mut [0]), Err(TryRecvError::Refused(recv)));
    assert_eq!(rx.recv_ref().err(), Some(recv));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Refused(recv)));
    assert_eq!(rx.iter().next(), Some(Err(recv)));
    let _ = (tx.len(), rx.len(), tx.is_closed(), rx.is_closed());
    assert_eq!(record_tx.send(b"x"), Err(send));
    assert_eq!(record_tx.try_send(b"x"), Err(TrySendError::Refused(send)));
    assert_eq!(record_tx.send(&[0; 5000]), Err(send));
    assert_eq!(record_tx.send_some(&[b"x"]), Err(send));
    assert_eq!(record_tx.try_send_some(&[b"x"]), Err(TrySendError::Refused(send)));
    assert_eq!(record_tx.send_ref(1).err(), Some(send));
    assert_eq!(record_tx.try_send_ref(1).err(), Some(TrySendError::Refused(send)));
    assert_eq!(record_rx.recv(), Err(recv));
    assert_eq!(record_rx.try_recv(), Err(TryRecvError::Refused(recv)));
    assert_eq!(record_rx.recv_into(&mut [0; 10]), Err(recv));
    assert_eq!(record_rx.recv_slice(&mut [0; 10], &mut [0]), Err(recv));
    assert_eq!(record_rx.recv_ref().err(), Some(recv));
    let _ = (record_tx.len(), record_rx.len());
    assert_eq!(writer.write(&1), Err(WriteError::Forked));
}

#[test]
fn a_childs_use_of_its_parents_endpoints_says_so_and_changes_nothing() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    let parent = nix::unistd::getpid();
    // The rings are empty, partly filled and full, at every offset.
    for turn in 0..12u64 {
        let fill = turn % 4;
        for seq in 0..fill {
            tx.send(&(turn * 10 + seq)).unwrap();
            record_tx.send(&record(turn * 10 + seq, 1000)).unwrap();
        }
        writer.write(&turn).unwrap();
        {
            let child = fork("child", || {
                all_is_forked(&mut tx, &mut rx, &mut record_tx, &mut record_rx, &mut writer);
                // A reader holds nothing, so it works.
                assert_eq!(reader.read(), Ok(turn));
                // In the child, too, the parent has the seats.
                for error in [slots.sender().err(), records.sender().err(), latest.writer().err()] {
                    assert_eq!(generation_of(error.unwrap(), Seat::Sender, parent), 1);
                }
                // Dropping them here must not free them.
                // SAFETY: this process ends by `_exit`: its copies are never used or dropped again.
                unsafe { std::ptr::drop_in_place(&mut tx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut rx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut record_tx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut record_rx) };
                // SAFETY: as above.
                unsafe { std::ptr::drop_in_place(&mut writer) };
            });
            child.succeed();
        }
        assert!(!tx.is_closed() && !rx.is_closed() && !record_tx.is_closed() && !record_rx.is_closed());
        assert!(reader.has_writer());
        assert_eq!(generation_of(slots.sender().err().unwrap(), Seat::Sender, parent), 1);
        assert_eq!(generation_of(slots.receiver().err().unwrap(), Seat::Receiver, parent), 1);
        assert_eq!(generation_of(records.receiver().err().unwrap(), Seat::Receiver, parent), 1);
        assert_eq!(generation_of(latest.writer().err().unwrap(), Seat::Sender, parent), 1);
        assert_eq!((tx.len(), rx.len(), record_rx.len()), (fill, fill, fill));
        for seq in 0..fill {
            assert_eq!(rx.try_recv(), Ok(turn * 10 + seq));
            check_record(&record_rx.try_recv().unwrap(), turn * 10 + seq, 1000);
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(record_rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn guards_that_cross_a_fork_do_nothing_in_the_child() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    tx.send(&1).unwrap();
    record_tx.send(b"one").unwrap();
    let mut room = tx.send_ref().unwrap();
    room.write(&2);
    let mut record_room = record_tx.send_ref(3).unwrap();
    record_room.write_at(0, b"two");
    let message = rx.recv_ref().unwrap();
    let found = record_rx.recv_ref().unwrap();
    // The child moves out of its copy of these.
    let (room, record_room, message, found) = {
        let mut moved = Some((room, record_room, message, found));
        let child = fork("child", || {
            let (mut room, mut record_room, message, found) = moved.take().unwrap();
            room.write(&666);
            record_room.write_at(0, b"bad");
            assert_eq!(room.send(), Err(SendError::Forked));
            assert_eq!(record_room.send(), Err(SendError::Forked));
            assert_eq!(message.read(), 1);
            assert_eq!(found.to_vec(), b"one");
            drop((message, found));
        });
        child.succeed();
        moved.take().unwrap()
    };
    room.send().unwrap();
    record_room.send().unwrap();
    assert_eq!(message.read(), 1);
    assert_eq!(found.to_vec(), b"one");
    drop((message, found));
    assert_eq!((rx.len(), record_rx.len()), (1, 1));
    assert_eq!(rx.recv(), Ok(2));
    assert_eq!(record_rx.recv().unwrap(), b"two");
}

/// This comes after some laps, so a position that a wiped guard might store would be one of long ago.
#[test]
fn guards_that_are_dropped_in_a_child_consume_nothing() {
    let slots = spsc::Channel::<u64>::options().capacity(3).anonymous().unwrap();
    let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
    let (mut record_tx, mut record_rx) = (records.sender().unwrap(), records.receiver().unwrap());
    for seq in 0..40 {
        tx.send(&seq).unwrap();
        record_tx.send(&record(seq, 4000)).unwrap();
        {
            let mut guards = Some((rx.recv_ref().unwrap(), record_rx.recv_ref().unwrap()));
            in_child("child", || drop(guards.take()));
            // This looks before the guards of the parent say where it is.
            assert_eq!((tx.len(), record_tx.len()), (1, 1));
            assert_eq!(tx.try_send_some(&[1000, 1001, 1002]), Ok(ringway::Sent(2)));
            assert_eq!(tx.try_send(&1002), Err(TrySendError::Full));
            assert_eq!(record_tx.try_send(b"last"), Ok(()));
            let (message, found) = guards.take().unwrap();
            assert_eq!(message.read(), seq);
            check_record(&found.to_vec(), seq, 4000);
            drop((message, found));
        }
        assert_eq!((tx.len(), record_tx.len()), (2, 1));
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1000), Ok(1001)));
        assert_eq!(record_rx.try_recv().unwrap(), b"last");
    }
}

/// Both sides of a busy ring fork now and then. The children meddle and die, and the storm goes on.
#[test]
fn forks_under_traffic_change_nothing() {
    const COUNT: u64 = 60_000;
    let channel = spsc::Channel::<Packet>::options().capacity(16).anonymous().unwrap();
    let sender = fork("sender", || {
        let mut tx = channel.sender().unwrap();
        for seq in 0..COUNT {
            if seq % 3000 == 100 {
                in_child("sender's child", || {
                    assert_eq!(tx.send(&Packet::make(1 << 40)), Err(SendError::Forked));
                    assert_eq!(tx.try_send(&Packet::make(1 << 40)), Err(TrySendError::Refused(SendError::Forked)));
                    // SAFETY: this process ends by `_exit`: its copy is never used or dropped again.
                    unsafe { std::ptr::drop_in_place(&mut tx) };
                });
            }
            tx.send(&Packet::make(seq)).unwrap();
        }
    });
    let receiver = fork("receiver", || {
        let mut rx = channel.receiver().unwrap();
        for seq in 0..COUNT {
            if seq % 3000 == 200 {
                in_child("receiver's child", || {
                    (0..1000).for_each(|_| assert_eq!(rx.recv(), Err(RecvError::Forked)));
                    assert_eq!(rx.try_recv_slice(&mut [Packet::make(0); 4]), Err(RecvError::Forked.into_try()));
                    // SAFETY: this process ends by `_exit`: its copy is never used or dropped again.
                    unsafe { std::ptr::drop_in_place(&mut rx) };
                });
            }
            rx.recv().unwrap().check(seq);
        }
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    sender.succeed();
    receiver.succeed();
}

trait IntoTry {
    fn into_try(self) -> TryRecvError;
}

impl IntoTry for RecvError {
    fn into_try(self) -> TryRecvError {
        TryRecvError::Refused(self)
    }
}

/// A channel that was made before a fork works on both sides of it, in both directions and over generations.
#[test]
fn a_channel_crosses_forks_of_forks() {
    let channel = spsc::Channel::<u64>::options().capacity(4).anonymous().unwrap();
    in_child("child", || {
        channel.sender().unwrap().send(&1).unwrap();
        in_child("grandchild", || channel.sender().unwrap().send(&2).unwrap());
    });
    in_child("another", || assert_eq!(channel.receiver().unwrap().recv(), Ok(1)));
    let mut rx = channel.receiver().unwrap();
    assert_eq!(rx.recv(), Ok(2));
    assert_eq!(rx.recv(), Err(RecvError::Closed));
}
