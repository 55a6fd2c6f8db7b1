//! A process is held just before it sleeps. It must not sleep through what comes just then.

use std::time::Duration;

use nix::libc;
use ringway::{ChangedError, RecvError, SendError, Wait, bytes, seqlock, spsc};

use crate::common::child::{Child, deadline, fork};
use crate::common::ptrace::ptrace;
use crate::hold::{be_held, hold_at_call};

/// Holds a forked child just before it first sleeps in `futex(2)`. A scheduler may hold it there, too. It has announced
/// its sleep and looked once more, and found nothing.
///
/// Its last look is worth something only after a barrier in every waker. Two cores hardly ever show that the barrier is
/// missing, so this checks it.
fn hold_before_sleep(child: &Child) {
    let barrier = std::cell::Cell::new(false);
    hold_at_call(child, |number, [first, operation]| {
        if number == libc::SYS_membarrier as u64 && first == libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED as u64 {
            barrier.set(true);
        }
        number == libc::SYS_futex as u64 && operation == libc::FUTEX_WAIT as u64
    });
    assert!(barrier.get(), "it goes to sleep without a barrier");
}

/// A reader is held between its last look and its sleep. It must not sleep through a change because another reader
/// announced a sleep of its own meanwhile.
#[test]
fn a_reader_held_before_its_sleep_sees_a_change_that_another_reader_saw() {
    let channel = seqlock::Channel::<u64>::options().anonymous().unwrap();
    let mut writer = channel.writer().unwrap();
    let held = fork("held reader", || {
        let mut reader = channel.reader();
        reader.set_wait(Wait::Sleep);
        be_held();
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok(1));
    });
    hold_before_sleep(&held);
    writer.write(&1).unwrap();
    let other = fork("other reader", || {
        let mut reader = channel.reader();
        reader.set_wait(Wait::Sleep);
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok(1));
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
    });
    other.wait_until_asleep();
    ptrace(libc::PTRACE_DETACH, held.pid, 0, 0).unwrap();
    // The writer still has its seat and writes no more, so nothing else would ever wake the reader.
    held.succeed_within(deadline().min(Duration::from_secs(60)));
    drop(writer);
    other.succeed();
}

/// The same place, for an end that has its wait word for itself. A message comes just then, or the peer ends.
#[test]
fn a_receiver_held_before_its_sleep_sees_the_message_and_the_end() {
    for sends in [true, false] {
        let channel = spsc::Channel::<u64>::options().capacity(2).anonymous().unwrap();
        let mut tx = channel.sender().unwrap();
        let held = fork("held receiver", || {
            let mut rx = channel.receiver().unwrap();
            rx.set_wait(Wait::Sleep);
            be_held();
            assert_eq!(rx.recv(), if sends { Ok(9) } else { Err(RecvError::Closed) });
        });
        hold_before_sleep(&held);
        let keep = if sends {
            tx.send(&9).unwrap();
            Some(tx)
        } else {
            drop(tx);
            None
        };
        ptrace(libc::PTRACE_DETACH, held.pid, 0, 0).unwrap();
        held.succeed_within(deadline().min(Duration::from_secs(60)));
        drop(keep);
    }
}

#[test]
fn a_sender_held_before_its_sleep_sees_the_room_and_the_end() {
    for receives in [true, false] {
        let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
        let mut rx = channel.receiver().unwrap();
        let held = fork("held sender", || {
            let mut tx = channel.sender().unwrap();
            tx.set_wait(Wait::Sleep);
            tx.send(&[1; 4080]).unwrap();
            be_held();
            assert_eq!(tx.send(&[2; 4080]), if receives { Ok(()) } else { Err(SendError::Closed) });
        });
        hold_before_sleep(&held);
        let keep = if receives {
            assert_eq!(rx.try_recv().unwrap(), [1; 4080]);
            Some(rx)
        } else {
            drop(rx);
            None
        };
        ptrace(libc::PTRACE_DETACH, held.pid, 0, 0).unwrap();
        held.succeed_within(deadline().min(Duration::from_secs(60)));
        drop(keep);
    }
}
