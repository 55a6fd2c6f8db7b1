//! A receiver that must be told the truth about the process in the sender's seat.

use std::path::Path;
use std::thread;
use std::time::Duration;

use ringway::{ClaimError, RecvError, RecvTimeoutError, Seat, spsc};

use crate::common::backing::Backing;
use crate::holders::{Spsc, make};
use crate::words::{LONG, until};

/// A channel and its receiver, which must be told the truth about the process in the sender's seat.
pub struct Lookout {
    pub channel: Spsc,
    pub rx: spsc::Receiver<u64>,
    pub holder: u32,
    /// How often the sender's seat was taken.
    pub generation: u64,
    /// This process lacks what a claim needs. A claim may fail, with an error that says so.
    pub lame: bool,
}

impl Lookout {
    pub fn new(channel: Spsc) -> Self {
        let rx = channel.receiver().unwrap();
        Self { channel, rx, holder: 0, generation: 0, lame: false }
    }

    pub fn all(dir: &Path) -> [Self; 3] {
        Backing::ALL.map(|backing| Self::new(make(backing, dir)))
    }

    pub fn next(&mut self) -> u64 {
        loop {
            match self.rx.recv_timeout(LONG) {
                Ok(value) => return value,
                // The end of the holder before this one.
                Err(RecvTimeoutError::Refused(RecvError::Closed)) => thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Waits for a new holder, whose id is `holder`.
    pub fn meet(&mut self, holder: u32) {
        self.holder = holder;
        self.generation = self.next();
    }

    pub fn alive(&mut self) {
        match self.channel.sender() {
            Err(ClaimError::Taken { seat: Seat::Sender, pid, generation }) => {
                assert_eq!((pid, generation), (self.holder, self.generation));
            }
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if self.lame => {}
            other => panic!("the holder lives: {:?}", other.map(|tx| tx.generation())),
        }
        assert!(self.rx.has_sender());
        assert!(!self.rx.is_closed());
        assert_eq!(self.rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    }

    pub fn sees_death(&mut self) {
        let died = RecvTimeoutError::Refused(RecvError::PeerDied { generation: self.generation });
        assert_eq!(self.rx.recv_timeout(LONG), Err(died));
        assert_eq!(self.rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout), "told once");
    }

    /// Waits until the memory of a dead holder is gone, if only its lock can tell: others may still look into the
    /// memory.
    pub fn wait_until_freed(&self, by_lock: bool) {
        until(|| !by_lock || !self.rx.has_sender());
    }

    pub fn dead(&mut self) {
        assert!(!self.rx.has_sender());
        assert!(self.rx.is_closed());
        self.sees_death();
        match self.channel.sender() {
            Ok(tx) => self.generation += assert_next(self.generation, tx.generation()),
            Err(ClaimError::Os(_) | ClaimError::NoSignOfLife(_)) if self.lame => return,
            Err(error) => panic!("the holder is dead: {error:?}"),
        }
        assert_eq!(self.rx.recv(), Err(RecvError::Closed));
    }
}

pub fn assert_next(before: u64, now: u64) -> u64 {
    assert_eq!(now, before + 1);
    1
}
