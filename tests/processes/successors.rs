//! A process comes after another, and goes on where the other stopped.

use std::sync::atomic::Ordering::SeqCst;

use ringway::{RecvError, Seat, SendError, Wait, bytes, seqlock, spsc};

use crate::common::board::Board;
use crate::common::child::{fork, in_child};
use crate::common::dirs::{disk_dir, file_in, shm_dir};
use crate::common::messages::{Numbered, Packet, check_record, mix, record};
use crate::forms::EveryForm;
use crate::plan::{Kind, Plan, Slow};
use crate::seats::generation_of;
use crate::sides::send_all;

/// A sender that was told `Closed` goes on when a new receiver has come.
#[test]
fn a_sender_goes_on_with_the_next_receiver() {
    let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
    let mut tx = channel.sender().unwrap();
    assert_eq!(tx.send_some(&[0, 1]), Ok(ringway::Sent(2)));
    in_child("first receiver", || assert_eq!(channel.receiver().unwrap().recv(), Ok(0)));
    assert_eq!(tx.send(&2), Err(SendError::Closed));
    let board = Board::new();
    let second = fork("second receiver", || {
        let mut rx = channel.receiver().unwrap();
        board[0].store(1, SeqCst);
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(rx.recv(), Ok(2));
        assert_eq!(rx.recv(), Ok(3));
        assert_eq!(rx.recv(), Err(RecvError::Closed));
    });
    board.wait_for(0, 1);
    tx.send(&2).unwrap();
    tx.send(&3).unwrap();
    drop(tx);
    second.succeed();
}

#[test]
fn a_file_region_outlives_everyone_and_a_new_pair_goes_on_where_they_stopped() {
    for dir in [shm_dir(), disk_dir()] {
        let (slots, records, latest) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        drop(spsc::Channel::<Packet>::create(&slots, 7).unwrap());
        drop(bytes::Channel::create(&records, 4096).unwrap());
        drop(seqlock::Channel::<u64>::create(&latest).unwrap());
        let (mut sent, mut received) = (0, 0);
        // Between two turns, no process has the file open.
        for turn in 1..=40u64 {
            let send = (mix(turn) % 8).min(7 - (sent - received));
            in_child("sender", || {
                let channel = spsc::Channel::<Packet>::open(&slots).unwrap();
                let mut tx = channel.sender().unwrap();
                let again = channel.sender().err().unwrap();
                assert_eq!(generation_of(again, Seat::Sender, nix::unistd::getpid()), turn);
                assert_eq!(tx.len(), sent - received);
                let mut record_tx = bytes::Channel::open(&records).unwrap().sender().unwrap();
                assert_eq!(record_tx.len(), sent - received);
                for seq in sent..sent + send {
                    tx.try_send(&Packet::make(seq)).unwrap();
                    record_tx.try_send(&record(seq, 500)).unwrap();
                }
                let mut writer = seqlock::Channel::<u64>::open(&latest).unwrap().writer().unwrap();
                assert_eq!(writer.version(), turn - 1);
                writer.write(&turn).unwrap();
            });
            sent += send;
            let receive = mix(turn ^ 0xF00) % (sent - received + 1);
            in_child("receiver", || {
                let channel = spsc::Channel::<Packet>::open(&slots).unwrap();
                let mut rx = channel.receiver().unwrap();
                let again = channel.receiver().err().unwrap();
                assert_eq!(generation_of(again, Seat::Receiver, nix::unistd::getpid()), turn);
                assert_eq!(rx.len(), sent - received);
                let mut record_rx = bytes::Channel::open(&records).unwrap().receiver().unwrap();
                assert_eq!(record_rx.len(), sent - received);
                for seq in received..received + receive {
                    rx.try_recv().unwrap().check(seq);
                    check_record(&record_rx.try_recv().unwrap(), seq, 500);
                }
                let mut reader = seqlock::Channel::<u64>::open_read_only(&latest).unwrap().reader();
                assert_eq!(reader.read(), Ok(turn));
                assert_eq!(reader.version(), turn);
            });
            received += receive;
        }
        assert!(sent > 40, "the rings went round several times");
    }
}

/// Both sides are replaced again and again while the other goes on. The sequence has no gap.
#[test]
fn the_sequence_goes_on_over_successors_on_a_busy_ring() {
    const EACH: u64 = 400;
    const TURNS: u64 = 25;
    let dir = shm_dir();
    let path = file_in(&dir);
    drop(bytes::Channel::create(&path, 4096).unwrap());
    let plan = |count| Plan { kind: Kind::Bytes, capacity: 4096, wait: Wait::Sleep, slow: Slow::Neither, count };
    let senders = fork("senders", || {
        for turn in 0..TURNS {
            let mut tx = bytes::Channel::open(&path).unwrap().sender().unwrap();
            tx.set_wait(Wait::Sleep);
            send_all::<bytes::Channel>(&mut tx, turn * EACH, &plan(EACH));
        }
    });
    // A receiver that stays sees the end of each sender, or goes on with the next one.
    let receiver = fork("receiver", || {
        let mut rx = bytes::Channel::open(&path).unwrap().receiver().unwrap();
        let mut seq = 0;
        while seq < EACH * TURNS {
            match rx.recv() {
                Ok(found) => {
                    bytes::Channel::assert_is(&found, seq);
                    seq += 1;
                }
                Err(RecvError::Closed) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    });
    senders.succeed();
    receiver.succeed();
}
