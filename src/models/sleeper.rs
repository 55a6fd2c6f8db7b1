//! Sleeping: no wake-up is lost, in either direction, and a sleeper that gives up leaves nothing behind.
//!
//! A lost wake-up is a deadlock: loom reports it, and the stress test hangs.

use super::*;
use crate::protocol::wait_word::{ASLEEP, OWNER};
use crate::sync::AtomicU32;
use crate::sync::Ordering::Relaxed;
use crate::wait::Canceller;

/// Sleeps on a word of its own. It does not check on its peer: no peer dies here.
fn sleep_on<R>(word: &AtomicU32, poll: impl FnMut() -> Option<R>) -> R {
    sleep_until(ParkOn::Own(word), poll, || ())
}

/// A receiver sleeps for a message, then for another.
#[test]
fn sleeper_receives() {
    explore(|| {
        let ring = slot_ring(2);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            (1..=2).for_each(|n| sending.model_send(&mut s, [n, n]).unwrap());
        });
        let mut r = ring.model_receiver();
        for n in 1..=2 {
            let got = sleep_on(&ring.ends.lane.data_wait, || or_blocked(ring.model_recv(&mut r)));
            assert_eq!(got, Ok([n, n]));
        }
        sender.join().unwrap();
        assert_eq!(ring.ends.lane.data_wait.load(Relaxed) & ASLEEP, 0);
    });
}

/// Both sides sleep: the receiver for a message, the sender for space.
#[test]
fn sleeper_sends() {
    explore(|| {
        let ring = slot_ring(1);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                let space = &sending.ends.lane.space_wait;
                let sent = sleep_on(space, || or_blocked(sending.model_send(&mut s, [n, n])));
                assert_eq!(sent, Ok(()));
            }
        });
        let mut r = ring.model_receiver();
        for n in 1..=2 {
            let got = sleep_on(&ring.ends.lane.data_wait, || or_blocked(ring.model_recv(&mut r)));
            assert_eq!(got, Ok([n, n]));
        }
        sender.join().unwrap();
    });
}

/// A receiver sleeps for a record.
#[test]
fn sleeper_receives_record() {
    explore(|| {
        let ring = record_ring(4);
        let mut s = ring.model_sender();
        let sending = ring.clone();
        let sender = thread::spawn(move || {
            sending.model_send(&mut s, b"8 bytes!").unwrap();
        });
        let mut r = ring.model_receiver();
        let got = sleep_on(&ring.ends.lane.data_wait, || or_blocked(ring.model_recv(&mut r)));
        assert_eq!(got, Ok(b"8 bytes!".to_vec()));
        sender.join().unwrap();
    });
}

/// Two readers of a value sleep on one word until it changes.
#[test]
fn sleeper_sees_change() {
    explore(|| {
        let cells = cells(2);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let cells = cells.clone();
                thread::spawn(move || {
                    let poll = || or_blocked(cells.look_for_change(0, 0, 0));
                    let changed = sleep_until(ParkOn::Shared(&cells.lane.data_wait), poll, || ());
                    assert_eq!(changed, Ok(1));
                })
            })
            .collect();
        let mut s = cells.model_writer();
        cells.model_write(&mut s, [1, 1]).unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// A call is cancelled as it lies down, and ends all the same.
#[test]
fn sleeper_is_cancelled() {
    explore(|| {
        let word = ends().lane.part(|lane| &*lane.data_wait);
        let canceller = Canceller::new(Some((word.clone(), OWNER)));
        let other = canceller.clone();
        let cancels = thread::spawn(move || other.cancel());
        sleep_on(&word, || canceller.is_cancelled().then_some(()));
        cancels.join().unwrap();
    });
}

/// A call that waits for a peer ends when one takes its seat.
#[test]
fn sleeper_sees_a_claim() {
    explore(|| {
        let ends = ends();
        let claiming = ends.sender_side();
        let claimant = thread::spawn(move || {
            claim(&claiming, 7);
            claiming.wake_peers(false);
        });
        let waiting = ends.receiver_side();
        sleep_on(&waiting.own_word, || waiting.peer_sits().then_some(()));
        claimant.join().unwrap();
    });
}
