//! What a storm is, and how a process that was started anew learns of it.

use std::time::{Duration, Instant};

use ringway::Wait;

use crate::common::child::deadline;
use crate::common::messages::mix;

/// Longer than any wait that must succeed, and shorter than the deadline of a child.
pub const LONG: Duration = Duration::from_secs(100);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Spsc64,
    Spsc8,
    Bytes,
    Seqlock,
    BigSeqlock,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backing {
    /// A file on tmpfs. The processes are started anew.
    Shm,
    /// A file on the ordinary disk. The processes are started anew.
    Disk,
    /// No name. The processes are forked.
    Anonymous,
    /// A memfd that processes inherit when they are started anew.
    Inherited,
    /// A memfd that is sent over a Unix socket to processes that were started anew.
    Sent,
}

/// Which side takes its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slow {
    Neither,
    Sender,
    Receiver,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub kind: Kind,
    /// Slots, or bytes.
    pub capacity: u64,
    pub wait: Wait,
    pub slow: Slow,
    pub count: u64,
}

const KINDS: [Kind; 5] = [Kind::Spsc64, Kind::Spsc8, Kind::Bytes, Kind::Seqlock, Kind::BigSeqlock];

pub const WAITS: [Wait; 3] = [Wait::Spin, Wait::Sleep, Wait::SpinThenSleep(Duration::from_micros(50))];

const SLOWS: [Slow; 3] = [Slow::Neither, Slow::Sender, Slow::Receiver];

impl Plan {
    pub fn role(&self, side: &str, place: &str) -> String {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap();
        let wait = WAITS.iter().position(|wait| *wait == self.wait).unwrap();
        let slow = SLOWS.iter().position(|slow| *slow == self.slow).unwrap();
        format!("{side}|{place}|{kind}|{}|{wait}|{slow}|{}", self.capacity, self.count)
    }

    pub fn parse(role: &str) -> (String, String, Plan) {
        let fields: Vec<&str> = role.split('|').collect();
        let number = |i: usize| fields[i].parse::<usize>().unwrap();
        let plan = Plan {
            kind: KINDS[number(2)],
            capacity: number(3) as u64,
            wait: WAITS[number(4)],
            slow: SLOWS[number(5)],
            count: number(6) as u64,
        };
        (fields[0].to_owned(), fields[1].to_owned(), plan)
    }

    pub fn loud(&self) -> bool {
        self.count >= 5_000_000
    }

    pub fn progress(&self, who: &str, seq: u64, last: &mut u64) {
        if self.loud() && seq / 1_000_000 > *last {
            *last = seq / 1_000_000;
            eprintln!("{who} of {:?}, capacity {}, {:?}: {last} million", self.kind, self.capacity, self.wait);
        }
    }

    pub fn limit(&self) -> Duration {
        if self.loud() { Duration::from_secs(3600) } else { deadline() }
    }
}

/// Loses some time at about every 64th message.
pub fn pause(slow: bool, seq: u64) {
    if slow && mix(seq ^ 0xBEEF) % 64 == 0 {
        if mix(seq) % 2 == 0 {
            std::thread::yield_now();
        } else {
            let until = Instant::now() + Duration::from_micros(20);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
    }
}
