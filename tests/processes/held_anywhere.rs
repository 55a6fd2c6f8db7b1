//! A process is held at any instruction of a call, while its peer goes on.

use std::sync::atomic::Ordering::SeqCst;

use ringway::{ChangedError, RecvError, TryRecvError, Wait, bytes, seqlock, spsc};

use crate::common::board::Board;
use crate::common::messages::{Latest, Numbered, Packet};
use crate::step::{STRIDE, at_every_place, go_on, hold_after};

/// The receiver is held between any two instructions. Meanwhile a message comes, and the sender ends. The receiver must
/// never see the end before the message.
#[test]
fn a_receiver_held_at_any_instruction_sees_the_message_before_the_end() {
    at_every_place(|steps| {
        let board = Board::new();
        let slots = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
        let mut tx = slots.sender().unwrap();
        let prepare = || slots.receiver().unwrap();
        let held = hold_after(steps, prepare, |mut rx| {
            let mut first = rx.try_recv();
            board[0].store(1, SeqCst);
            while first == Err(TryRecvError::Empty) {
                first = rx.try_recv();
            }
            assert_eq!(first, Ok(9));
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let over = board[0].load(SeqCst) == 1;
        tx.send(&9).unwrap();
        drop(tx);
        go_on(held);
        over
    });
}

#[test]
fn a_record_receiver_held_at_any_instruction_sees_the_record_before_the_end() {
    at_every_place(|steps| {
        let board = Board::new();
        let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut tx = records.sender().unwrap();
        let prepare = || records.receiver().unwrap();
        let held = hold_after(steps, prepare, |mut rx| {
            let mut first = rx.try_recv();
            board[0].store(1, SeqCst);
            while first == Err(TryRecvError::Empty) {
                first = rx.try_recv();
            }
            assert_eq!(first.unwrap(), b"nine");
            assert_eq!(rx.recv(), Err(RecvError::Closed));
        });
        let over = board[0].load(SeqCst) == 1;
        tx.send(b"nine").unwrap();
        drop(tx);
        go_on(held);
        over
    });
}

/// The same for a value and the end of its writer.
#[test]
fn a_reader_held_at_any_instruction_sees_the_last_value_before_the_end() {
    // The reader looks until there is something, so this covers several looks.
    for steps in (0..120 * STRIDE).step_by(STRIDE) {
        let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
        let mut writer = channel.writer().unwrap();
        let mut reader = channel.reader();
        // A reader in a system call that blocks could not be held.
        reader.set_wait(Wait::Spin);
        let prepare = || ();
        let held = hold_after(steps, prepare, |()| {
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(9));
            assert_eq!(reader.changed(), Err(ChangedError::Closed));
        });
        writer.write(&9).unwrap();
        drop(writer);
        go_on(held);
    }
}

/// A reader is held between any two instructions of a copy. Meanwhile the writer comes all the way round, and further.
#[test]
fn a_reader_held_at_any_instruction_and_overtaken_gets_a_whole_value() {
    const LAST: u64 = 150;
    at_every_place(|steps| {
        let board = Board::new();
        let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
        let mut writer = channel.writer().unwrap();
        writer.write(&Latest::make(1)).unwrap();
        let mut reader = channel.reader();
        let prepare = || ();
        let held = hold_after(steps, prepare, |()| {
            let value = reader.read().unwrap();
            board[0].store(1, SeqCst);
            value.check();
            assert_eq!(value.version(), reader.version());
            board.wait_for(1, 1);
            assert_eq!(reader.read(), Ok(Latest::make(LAST)));
        });
        let over = board[0].load(SeqCst) == 1;
        (2..=LAST).for_each(|version| writer.write(&Latest::make(version)).unwrap());
        board[1].store(1, SeqCst);
        go_on(held);
        over
    });
}

/// A writer is held between any two instructions of a write. A reader never waits for it, and never sees what it has
/// not finished.
#[test]
fn a_writer_held_at_any_instruction_hinders_no_reader() {
    at_every_place(|steps| {
        let board = Board::new();
        let channel = seqlock::Channel::<Latest<8>>::options().anonymous().unwrap();
        let mut reader = channel.reader();
        let prepare = || {
            let mut writer = channel.writer().unwrap();
            (1..=70).for_each(|version| writer.write(&Latest::make(version)).unwrap());
            (writer, Latest::make(71))
        };
        let held = hold_after(steps, prepare, |(mut writer, next)| {
            writer.write(&next).unwrap();
            board[0].store(1, SeqCst);
            (72..=140).for_each(|version| writer.write(&Latest::make(version)).unwrap());
        });
        let over = board[0].load(SeqCst) == 1;
        for _ in 0..3 {
            let value = reader.read().unwrap();
            value.check();
            assert!((70..140).contains(&value.version()));
            assert_eq!(value.version(), reader.version());
        }
        go_on(held);
        assert_eq!(reader.read(), Ok(Latest::make(140)));
        over
    });
}

/// A sender is held between any two instructions of a send. The receiver finds a whole message or none.
#[test]
fn a_sender_held_at_any_instruction_has_sent_a_whole_message_or_none() {
    at_every_place(|steps| {
        let slots = spsc::Channel::<Packet>::options().capacity(2).anonymous().unwrap();
        let mut rx = slots.receiver().unwrap();
        // Some laps leave other content in the ring, which must not come back.
        {
            let mut tx = slots.sender().unwrap();
            for seq in 0..4 {
                tx.send(&Packet::make(seq)).unwrap();
                rx.recv().unwrap().check(seq);
            }
        }
        let prepare = || (slots.sender().unwrap(), Packet::make(4));
        let held = hold_after(steps, prepare, |(mut tx, packet)| tx.send(&packet).unwrap());
        let early = rx.try_recv();
        let over = early.is_ok();
        assert!(over || early == Err(TryRecvError::Empty), "{early:?}");
        go_on(held);
        early.or_else(|_| rx.try_recv()).unwrap().check(4);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        over
    });
}

#[test]
fn a_record_sender_held_at_any_instruction_has_sent_a_whole_record_or_none() {
    let before: Vec<u8> = (0..4000).map(|i| 0x80 | i as u8).collect();
    at_every_place(|steps| {
        let records = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut rx = records.receiver().unwrap();
        {
            let mut tx = records.sender().unwrap();
            for _ in 0..3 {
                tx.send(&before).unwrap();
                assert_eq!(rx.recv().unwrap(), before);
            }
        }
        let prepare = || records.sender().unwrap();
        let held = hold_after(steps, prepare, |mut tx| tx.send(&[0x77; 100]).unwrap());
        let early = rx.try_recv();
        let over = early.is_ok();
        assert!(over || early == Err(TryRecvError::Empty), "{early:?}");
        go_on(held);
        assert_eq!(early.or_else(|_| rx.try_recv()).unwrap(), [0x77; 100]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
        over
    });
}
