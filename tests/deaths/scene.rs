//! A ring in the state in which a victim comes, and what its survivor hears after that.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use ringway::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

use crate::common::board::Board;
use crate::common::lane::{Receives, Sends};
use crate::common::victim::die;
use crate::small::{FULL, Small};

/// A blocked call asks the kernel about its peer when its time is up, at the latest.
pub const SOON: Duration = Duration::from_micros(100);

/// The state of a ring when the victim comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    pub name: &'static str,
    /// How many messages are in it, numbered from 0.
    pub held: u64,
    /// The messages cross the end of the ring, and the ring holds what was there a lap ago.
    pub wraps: bool,
    /// How often the victim's seat was taken before.
    pub turns: u64,
}

pub const NEW: State = State { name: "new", held: 0, wraps: false, turns: 0 };
pub const ONE: State = State { name: "one", held: 1, wraps: false, turns: 1 };
pub const FILLED: State = State { name: "full", held: FULL, wraps: false, turns: 1 };
pub const EDGE: State = State { name: "wrapped", held: 0, wraps: true, turns: 1 };
pub const ACROSS: State = State { name: "wrapped", held: 3, wraps: true, turns: 1 };
/// The victim's predecessor died, and nobody was told. A receiver died while it held the first message.
pub const HEIR: State = State { name: "heir", held: 1, wraps: false, turns: 2 };

/// The same without a message, so that the next three messages are short.
pub const EMPTY_HEIR: State = State { held: 0, ..HEIR };

impl State {
    pub fn heir(&self) -> bool {
        self.turns == 2
    }

    /// The end of the victim's predecessor, if there is news of it.
    pub fn end_before(&self) -> Option<Event> {
        [None, Some(Event::Closed), Some(Event::Died(2))][self.turns as usize]
    }
}

/// What an endpoint hears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Message(u64),
    Closed,
    Died(u64),
}

pub fn messages(seqs: std::ops::Range<u64>) -> impl Iterator<Item = Event> {
    seqs.map(Event::Message)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Sender,
    Receiver,
}

/// What the victim says, on a page that outlives the victim.
pub struct LastWords(Board);

impl LastWords {
    pub fn new() -> Self {
        Self(Board::new())
    }

    /// Says how many messages it sent or received, or whether it has the seat.
    pub fn say(&self, number: u64) {
        self.0[0].store(1 + number, SeqCst);
    }

    /// What it said, if it came so far.
    pub fn said(&self) -> Option<u64> {
        self.0[0].load(SeqCst).checked_sub(1)
    }

    /// Says whether it holds a message.
    pub fn say_lent(&self, lent: bool) {
        self.0[1].store(u64::from(lent), SeqCst);
    }

    pub fn lent(&self) -> bool {
        self.0[1].load(SeqCst) == 1
    }
}

/// A ring in its state, and the survivor's end of it.
pub struct Scene<K: Small> {
    pub ring: K,
    pub tx: Option<K::Sender>,
    pub rx: Option<K::Receiver>,
    pub words: LastWords,
    /// Messages sent so far.
    pub next: u64,
    /// The survivor waits with a timeout, and the call asks the kernel when it is over. Otherwise the survivor asks.
    pub patient: bool,
}

impl<K: Small> Scene<K> {
    pub fn new(state: State, victim: Side) -> Self {
        let ring = K::small();
        let survivor = |side| side != victim || state.turns > 0;
        let mut tx = survivor(Side::Sender).then(|| ring.sender().unwrap());
        let mut rx = survivor(Side::Receiver).then(|| ring.receiver().unwrap());
        if let (Some(tx), Some(rx)) = (&mut tx, &mut rx) {
            if state.wraps {
                K::pad(tx, rx);
            }
            (0..state.held).for_each(|seq| tx.try_send(&K::message(seq)).unwrap());
        }
        match victim {
            Side::Sender => tx = None,
            Side::Receiver => rx = None,
        }
        if state.heir() {
            die(|| match victim {
                Side::Sender => std::mem::forget(ring.sender().unwrap()),
                Side::Receiver => {
                    let mut rx = ring.receiver().unwrap();
                    rx.try_recv_in_place(|_, _| raise(Signal::SIGKILL).unwrap()).unwrap();
                }
            });
        }
        Self { ring, tx, rx, words: LastWords::new(), next: state.held, patient: false }
    }

    pub fn tx(&mut self) -> &mut K::Sender {
        self.tx.as_mut().unwrap()
    }

    pub fn rx(&mut self) -> &mut K::Receiver {
        self.rx.as_mut().unwrap()
    }

    /// Receives until nothing comes any more.
    pub fn drain(&mut self) -> Vec<Event> {
        let patient = self.patient;
        let rx = self.rx();
        let mut log = vec![];
        loop {
            assert!(log.len() < 20, "it never ends: {log:?}");
            let mut received = if patient { rx.recv_timeout(SOON) } else { rx.try_recv().map_err(Into::into) };
            if !patient && matches!(received, Err(RecvTimeoutError::Timeout)) {
                rx.has_sender();
                received = rx.try_recv().map_err(Into::into);
            }
            log.push(match received {
                Ok(message) => Event::Message(K::seq(&message)),
                Err(RecvTimeoutError::Timeout) => return log,
                Err(RecvTimeoutError::Refused(RecvError::PeerDied { generation })) => Event::Died(generation),
                Err(RecvTimeoutError::Refused(RecvError::Closed)) => {
                    assert!(matches!(rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed))));
                    log.push(Event::Closed);
                    return log;
                }
                Err(other) => panic!("{other}, after {log:?}"),
            });
        }
    }

    /// Sends until there is no room any more. Returns what else it heard.
    pub fn fill(&mut self) -> Vec<Event> {
        let (mut next, patient) = (self.next, self.patient);
        let tx = self.tx();
        let mut log = vec![];
        let log = loop {
            assert!(log.len() < 20 && next < 100, "it never ends: {log:?}");
            let message = K::message(next);
            let try_send = |tx: &mut K::Sender| tx.try_send(&message).map_err(SendTimeoutError::from);
            let mut sent = if patient { tx.send_timeout(&message, SOON) } else { try_send(tx) };
            if !patient && sent == Err(SendTimeoutError::Timeout) {
                tx.has_receiver();
                sent = try_send(tx);
            }
            log.push(match sent {
                Ok(()) => {
                    next += 1;
                    continue;
                }
                Err(SendTimeoutError::Timeout) => break log,
                Err(SendTimeoutError::Refused(SendError::PeerDied { generation })) => Event::Died(generation),
                Err(SendTimeoutError::Refused(SendError::Closed)) => {
                    assert_eq!(tx.try_send(&message), Err(TrySendError::Refused(SendError::Closed)));
                    log.push(Event::Closed);
                    break log;
                }
                Err(other) => panic!("{other}, after {log:?}"),
            });
        };
        self.next = next;
        log
    }
}
