//! The slot ring: publication (A1), reuse (A2), wrap-around, full and empty, close.

use super::*;
use crate::layout::FIRST;
use crate::protocol::seat::End;

fn message(n: u64) -> [u64; 2] {
    [n, n ^ u64::MAX]
}

/// A1: a visible message is whole. The receiver never waits, so that it may look at any moment.
#[test]
fn slots_publication() {
    explore(|| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                sending.model_send(&mut s, message(n)).unwrap();
            }
        });
        let mut r = ring.model_receiver();
        let mut received = 0;
        let mut look = || match ring.model_recv(&mut r) {
            Ok(value) => {
                received += 1;
                assert_eq!(value, message(received));
            }
            Err(stop) => assert_eq!(stop, Stop::Blocked),
        };
        look();
        look();
        sender.join().unwrap();
        look();
        look();
        assert_eq!(received, 2);
    });
}

/// A2: a slot is not written again before its message has been copied. The sender never waits.
#[test]
fn slots_reuse() {
    explore(|| {
        let ring = slot_ring(1);
        let mut s = ring.model_sender();
        ring.model_send(&mut s, message(1)).unwrap();
        let mut r = ring.model_receiver();
        let receiving = ring.clone();
        let receiver = thread::spawn(move || {
            assert_eq!(receiving.model_recv(&mut r), Ok(message(1)));
            r
        });
        let sent = (0..2).any(|_| ring.model_send(&mut s, message(2)).is_ok());
        let mut r = receiver.join().unwrap();
        assert_eq!(ring.model_recv(&mut r), if sent { Ok(message(2)) } else { Err(Stop::Blocked) });
    });
}

/// A batch becomes visible as a whole, with its first message. The later stamps of a batch come first, but a concurrent
/// count includes no message behind a gap.
#[test]
fn slots_end_in_batches() {
    explore(|| {
        // A ring of three, so that the count looks at the second slot first.
        let ring = slot_ring(3);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            sending.look_for_space(&mut s).unwrap();
            assert_eq!(sending.put_some(&mut s, &[message(1), message(2)]), 2);
        });
        let counted = (ring.end(FIRST) - FIRST) as usize;
        let mut r = ring.model_receiver();
        let mut values = [message(0); 3];
        let received = ring.take_some(&mut r, &mut values);
        assert!(received == 0 || received == 2, "{received} messages of a batch of two");
        assert!(counted <= received, "{counted} messages of which {received} can be received");
        for (n, value) in (1..).zip(&values[..received]) {
            assert_eq!(*value, message(n));
        }
        sender.join().unwrap();
        assert_eq!(ring.end(FIRST), FIRST + 2);
    });
}

/// A1: messages that are read where they lie are whole, and a batch that was filled in place is seen at once.
#[test]
fn slots_in_place() {
    for batch in [true, false] {
        explore(move || {
            let ring = slot_ring(3);
            let (mut s, mut r) = (ring.model_sender(), ring.model_receiver());
            // The two messages are the ring's last slot and its first.
            for n in 8..10 {
                ring.model_commit(&mut s, message(n)).unwrap();
                assert_eq!(ring.model_recv(&mut r), Ok(message(n)));
            }
            let sending = ring.clone();
            let sender = thread::spawn(move || {
                if batch {
                    sending.look_for_space(&mut s).unwrap();
                    (0..2).for_each(|index| {
                        sending.slots.at(sending.slots.ahead(s.offset, index)).write(&message(index as u64 + 1))
                    });
                    sending.publish_some(&mut s, 2);
                } else {
                    // Without the wake-up check, whose fence would order what the stamps must.
                    (1..=2).for_each(|n| sending.model_commit(&mut s, message(n)).unwrap());
                }
            });
            let found = ring.messages(&r, 3);
            assert!(!batch || found == 0 || found == 2, "{found} messages of a batch of two");
            for index in 0..found {
                assert_eq!(
                    ring.slots.at(ring.slots.ahead(r.offset, index)).read::<[u64; 2]>(),
                    message(index as u64 + 1)
                );
            }
            ring.consume_some(&mut r, found);
            sender.join().unwrap();
            assert_eq!(ring.messages(&r, 3), 2 - found);
        });
    }
}

/// A3: a count between two batches includes no message behind one that it has not seen.
#[test]
fn slots_end_between_batches() {
    explore(|| {
        let ring = slot_ring(6);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            sending.look_for_space(&mut s).unwrap();
            assert_eq!(sending.put_some(&mut s, &[message(1), message(2), message(3)]), 3);
            assert_eq!(sending.put_some(&mut s, &[message(4), message(5)]), 2);
        });
        let counted = (ring.end(FIRST) - FIRST) as usize;
        let mut r = ring.model_receiver();
        let received = ring.take_some(&mut r, &mut [message(0); 6]);
        assert!(counted <= received, "{counted} messages of which {received} can be received");
        sender.join().unwrap();
    });
}

/// Wrap-around, full and empty: both sides wait.
#[test]
fn slots_wrap() {
    for capacity in [1, 2] {
        explore(move || {
            let ring = slot_ring(capacity);
            let mut s = ring.model_sender();
            let sending = ring.clone();
            let sender = thread::spawn(move || {
                for n in 1..=3 {
                    until_unblocked(|| sending.model_send(&mut s, message(n))).unwrap();
                }
            });
            let mut r = ring.model_receiver();
            for n in 1..=3 {
                assert_eq!(until_unblocked(|| ring.model_recv(&mut r)).unwrap(), message(n));
            }
            sender.join().unwrap();
        });
    }
}

/// The receiver drains the ring of a sender that left, and then sees it closed.
#[test]
fn slots_close() {
    explore(|| {
        let ring = slot_ring(2);
        let sending = ring.clone();
        let claim = claim(&ring.ends.sender_side(), 7);
        let mut s = ring.model_sender();
        let sender = thread::spawn(move || {
            // This skips the wake-up check: its fence would hide a missing ordering of the seat.
            sending.look_for_space(&mut s).unwrap();
            sending.slot(&s).write(&message(1));
            sending.publish(&mut s);
            seat::release(&sending.ends.lane.sender, claim.word);
        });
        let mut r = ring.model_receiver();
        let first = ring.model_recv(&mut r);
        assert!(matches!(first, Ok(_) | Err(Stop::Blocked)), "closed before it was drained: {first:?}");
        sender.join().unwrap();
        if first.is_err() {
            assert_eq!(ring.model_recv(&mut r), Ok(message(1)));
        }
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Ended(End::Left(1))));
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Ended(End::Left(1))));
    });
}

/// A sender that panics is reported as dead, after all it sent, and never as one that left.
#[test]
fn slots_panic() {
    explore(|| {
        let ring = slot_ring(2);
        let (sending, side) = (ring.clone(), ring.ends.sender_side());
        let claim = claim(&side, 7);
        let mut s = ring.model_sender();
        let sender = thread::spawn(move || {
            sending.model_send(&mut s, message(1)).unwrap();
            side.panicked(claim.generation);
            side.leave(claim.word, false);
        });
        let mut r = ring.model_receiver();
        assert_eq!(until_unblocked(|| ring.model_recv(&mut r)), Ok(message(1)));
        assert_eq!(until_unblocked(|| ring.model_recv(&mut r)), Err(Stop::Ended(End::Died(1))));
        sender.join().unwrap();
    });
}

/// A copy of a ring in use may hold a stamp behind a slot that was copied before it was published. No message behind
/// that gap is delivered, neither now nor once a sender has filled it.
#[test]
fn a_copy_holds_no_message_behind_a_gap() {
    explore(|| {
        let ring = slot_ring(4);
        let mut s = ring.model_sender();
        (1..=3).for_each(|n| ring.model_send(&mut s, message(n)).unwrap());
        let second = 2 * ring.slots.stride() - 1;
        ring.slots.area().word(second).store(0, crate::sync::Ordering::Relaxed);
        ring.retain(FIRST, FIRST + 3);
        assert_eq!(ring.end(FIRST), FIRST + 1);
        let mut r = ring.model_receiver();
        assert_eq!(ring.model_recv(&mut r), Ok(message(1)));
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Blocked));
        ring.model_send(&mut ring.model_sender(), message(9)).unwrap();
        assert_eq!(ring.model_recv(&mut r), Ok(message(9)));
        assert_eq!(ring.model_recv(&mut r), Err(Stop::Blocked));
    });
}

/// A receiver that took many messages in a row lets the sender run ahead, and detects this anywhere in the ring.
#[cfg(not(loom))]
#[test]
fn a_receiver_in_full_flow_lets_the_sender_run_ahead() {
    let ring = slot_ring(33);
    let (mut s, mut r) = (ring.model_sender(), ring.model_receiver());
    assert_eq!(ring.wants_ahead(&mut r), None, "nothing taken yet");
    for n in 0..40 {
        for sent in 1..=4 {
            ring.model_send(&mut s, message(n)).unwrap();
            assert_eq!(ring.is_ahead(&r, 2), sent > 2);
        }
        let taken = if n % 2 == 0 { 4 } else { 1 };
        (0..taken).for_each(|_| _ = ring.model_recv(&mut r).unwrap());
        assert_eq!(ring.wants_ahead(&mut r), (taken > 1).then_some(2));
        assert_eq!(ring.wants_ahead(&mut r), None, "just waited");
        (taken..4).for_each(|_| _ = ring.model_recv(&mut r).unwrap());
        ring.let_run_ahead(&mut r);
    }
    assert_eq!(slot_ring(16).wants_ahead(&mut r), None, "a small ring");
}
