//! What cases are called: which line, doing what job.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A case's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub line: Cow<'static, str>,
    pub job: Job,
}

/// What is asked of a line. Sizes are in bytes; what has none moves 64 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Job {
    /// Messages of this size there and back, both spinning.
    RoundTrip(usize),
    /// There and back, both asleep when the message comes.
    AsleepRoundTrip,
    /// Messages of this size, as many as go, one by one.
    OneWay(usize),
    /// Messages of this size, 64 in a call.
    Batches(usize),
    /// The same, every word of which the sender makes where it will lie and the receiver uses where it lies.
    BatchesInPlace(usize),
    /// Messages of this size, every byte of which the sender makes and the receiver uses.
    Produced(usize),
    /// Messages of 8 bytes over a ring of so many slots.
    Slots(usize),
    /// Messages sent on a schedule, whether or not the last one has arrived.
    Scheduled,
    /// A look at a value that nobody writes.
    Read,
    /// A writer, and so many processes that read without pause.
    Readers(usize),
    /// One sender, and so many processes that each receive over a line of their own.
    Receivers(usize),
}

pub const fn name(line: &'static str, job: Job) -> Name {
    Name { line: Cow::Borrowed(line), job }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.line, self.job)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Job::RoundTrip(size) => write!(f, "round trip {}", bytes(size)),
            Job::AsleepRoundTrip => f.write_str("round trip asleep"),
            Job::OneWay(size) => write!(f, "one way {}", bytes(size)),
            Job::Batches(size) => write!(f, "batches {}", bytes(size)),
            Job::BatchesInPlace(size) => write!(f, "batches in place {}", bytes(size)),
            Job::Produced(size) => write!(f, "produced {}", bytes(size)),
            Job::Slots(slots) => write!(f, "{slots} slots"),
            Job::Scheduled => f.write_str("on a schedule"),
            Job::Read => f.write_str("read"),
            Job::Readers(1) => f.write_str("write, 1 reader"),
            Job::Readers(readers) => write!(f, "write, {readers} readers"),
            Job::Receivers(1) => f.write_str("to 1 receiver"),
            Job::Receivers(receivers) => write!(f, "to {receivers} receivers"),
        }
    }
}

/// A size in words.
pub fn bytes(size: usize) -> String {
    if size < 1024 { format!("{size} B") } else { format!("{} KiB", size >> 10) }
}
