//! A ring under test, and how a process behaves at its end of it.

use std::mem::ManuallyDrop;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use ringway::{ClaimError, RecvError, SendError, Wait};

use crate::common::backing::Backing;
use crate::common::child::deadline;
use crate::common::lane::{InPlace, Lane, Receives, Sends};
use crate::common::messages::{mix, record_len};

/// A ring under test. `most` is the longest content of a record in it: at least three records fit.
#[derive(Clone)]
pub struct Ring<L> {
    lane: L,
    most: usize,
}

/// Is called with the key of a message and whether it is said to come again. If the message is received in place, this
/// comes before it is given back.
type Note<'a> = dyn FnMut(u64, bool) + 'a;

impl<L: Lane> Ring<L> {
    pub fn make(capacity: u64, backing: Backing, path: &Path) -> Self {
        Self::on(backing.make(&L::sized(capacity), path))
    }

    /// The same region, opened anew.
    pub fn open(&self, path: &Path) -> Self {
        Self::on(L::options().open(path).unwrap())
    }

    fn on(lane: L) -> Self {
        let most = ((lane.capacity() as usize).saturating_sub(16) / 4).min(2000);
        Self { lane, most }
    }

    pub fn sender(&self, manner: Manner) -> ManuallyDrop<L::Sender> {
        let mut tx = insist(|| self.lane.sender());
        tx.set_wait(manner.wait);
        tx
    }

    pub fn receiver(&self, manner: Manner) -> ManuallyDrop<L::Receiver> {
        let mut rx = insist(|| self.lane.receiver());
        rx.set_wait(manner.wait);
        rx
    }

    /// The length of the message with this key. A record holds the key and content.
    fn length(&self, key: u64) -> usize {
        size_of_val(&key) + record_len(key, self.most)
    }

    pub fn send(&self, tx: &mut L::Sender, key: u64, manner: Manner) -> Result<(), SendError> {
        let message = L::make(key, self.length(key));
        if manner.in_place { tx.send_in_place(&message, InPlace { cut: 4, spare: 8 }) } else { tx.send(&message) }
    }

    pub fn recv(&self, rx: &mut L::Receiver, manner: Manner, note: &mut Note<'_>) -> Result<(), RecvError> {
        if manner.in_place {
            return rx.recv_in_place(|read, again| note(self.key_of(&read()), again));
        }
        let again = rx.is_redelivery();
        note(self.key_of(&rx.recv()?), again);
        Ok(())
    }

    /// The key of a message. Fails unless the message is whole.
    fn key_of(&self, message: &L::Message) -> u64 {
        let key = L::seq(message);
        L::check(message, key, self.length(key));
        key
    }
}

/// Takes a seat whose last holder was killed. The kernel may not be done with the holder yet. A process that panics
/// does not leave its seat, which would mislead the others.
pub fn insist<T>(mut claim: impl FnMut() -> Result<T, ClaimError>) -> ManuallyDrop<T> {
    let limit = Instant::now() + deadline();
    loop {
        match claim() {
            Ok(seat) => return ManuallyDrop::new(seat),
            Err(ClaimError::Taken { .. }) if Instant::now() < limit => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// How a process behaves at its end of a channel.
#[derive(Clone, Copy)]
pub struct Manner {
    pub wait: Wait,
    pub in_place: bool,
    /// It takes its time now and then, so that its peer goes to sleep.
    pub lags: bool,
}

impl Manner {
    pub fn random(rng: &mut Rng) -> Self {
        let wait = rng.choice([Wait::Spin, Wait::SpinThenSleep(Duration::from_micros(50)), Wait::Sleep]).unwrap();
        Self { wait, in_place: rng.bool(), lags: rng.bool() }
    }

    pub fn lag(self, seq: u64) {
        if self.lags && mix(seq) % 16 == 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}
