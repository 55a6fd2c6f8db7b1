//! Sleeping: no wake-up is lost, in either direction, and a sleeper that gives up leaves nothing behind.
//!
//! A lost wake-up shows as a deadlock: loom reports it, and the plain run hangs.

use super::*;
use std::time::Duration;

use crate::protocol::wait_word::{self, ASLEEP, Watch};
use crate::sync::AtomicU32;
use crate::sync::Ordering::Relaxed;

/// A sleeper that asks nobody: no peer dies here.
struct Looks<F>(F);

impl<R, F: FnMut() -> Option<R>> Watch for Looks<F> {
    type Found = R;

    fn look(&mut self) -> Option<R> {
        (self.0)()
    }

    fn inquire(&mut self) {}

    fn until_inquiry(&self) -> Duration {
        Duration::MAX
    }
}

fn sleep_until<R>(word: &AtomicU32, owned: bool, look: impl FnMut() -> Option<R>) -> Option<R> {
    wait_word::sleep_until(word, owned, None, &mut Looks(look))
}

fn or_blocked<R: PartialEq>(result: Result<R, Stop>) -> Option<Result<R, Stop>> {
    (result != Err(Stop::Blocked)).then_some(result)
}

/// A receiver that sleeps for a message, then for another.
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
            let got = sleep_until(&ring.control.data_wait, true, || or_blocked(ring.model_recv(&mut r)));
            assert_eq!(got, Some(Ok([n, n])));
        }
        sender.join().unwrap();
        assert_eq!(ring.control.data_wait.load(Relaxed) & ASLEEP, 0);
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
                let space = &sending.control.space_wait;
                let sent = sleep_until(space, true, || or_blocked(sending.model_send(&mut s, [n, n])));
                assert_eq!(sent, Some(Ok(())));
            }
        });
        let mut r = ring.model_receiver();
        for n in 1..=2 {
            let got = sleep_until(&ring.control.data_wait, true, || or_blocked(ring.model_recv(&mut r)));
            assert_eq!(got, Some(Ok([n, n])));
        }
        sender.join().unwrap();
    });
}

/// A reader of records that sleeps.
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
        let got = sleep_until(&ring.control.data_wait, true, || or_blocked(ring.model_recv(&mut r)));
        assert_eq!(got, Some(Ok(b"8 bytes!".to_vec())));
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
                    let changed = || (cells.control.sent.latest.load(Relaxed) != 0).then_some(());
                    sleep_until(&cells.control.data_wait, false, changed).unwrap();
                })
            })
            .collect();
        let mut s = cells.model_writer();
        cells.model_write(&mut s, [1, 1]).unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}
