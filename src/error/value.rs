//! Why a seqlock's value could not be written or read.

use core::fmt;
use std::error::Error;

use super::{Corrupt, FILE_LOST, FORKED};

/// Why a seqlock's writer cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The bytes are not as many as the value has. Nothing was written. Only a raw channel says so.
    WrongSize {
        /// How many bytes there are.
        found: usize,
        /// How many the value has.
        expected: usize,
    },
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

/// Why a seqlock's reader got no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The buffer is shorter than the value. Only a raw channel says so.
    BufferTooShort {
        /// The value's length in bytes.
        found: usize,
        /// The buffer's.
        buffer: usize,
    },
    /// The writer overtook every one of this many copies: it writes without a pause, and faster than
    /// this process reads, or the region was tampered with. Reading again is safe.
    Overtaken {
        /// Copies made.
        tries: u32,
    },
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

/// Why a reader's wait for a change ended without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangedError {
    /// The writer left, and its last value was seen. A new writer may come: call again to wait for it
    /// only after [`Reader::has_writer`](crate::seqlock::Reader::has_writer) says so.
    Closed,
    /// The writer died, and the latest value was seen, be it its own or a successor's. Said once for a death: the
    /// next call waits for a value.
    PeerDied {
        /// How often the writer's seat had been taken, the dead one's turn included.
        generation: u64,
    },
    /// The region's file was removed or replaced, so that whoever comes now is elsewhere; said by blocked calls, where
    /// [`watch_file`](crate::Options::watch_file) asked for it. Call `open_or_create` again, on both sides.
    FileLost,
    /// Nothing changed in time.
    Timeout,
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Forked => f.write_str(FORKED),
            WriteError::WrongSize { found, expected } => {
                write!(f, "{found} bytes, expected the {expected} of a value; write exactly one value")
            }
            WriteError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::BufferTooShort { found, buffer } => {
                write!(f, "a value of {found} bytes for a buffer of {buffer}; read it with a longer one")
            }
            ReadError::Overtaken { tries } => {
                write!(f, "the writer overtook each of {tries} copies; read again, or let the writer pause")
            }
            ReadError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for ChangedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangedError::Closed => f.write_str(
                "the writer left, and its last value was seen; read that, or wait again when another sits there",
            ),
            ChangedError::PeerDied { generation } => write!(
                f,
                "the writer (generation {generation}) died, and the latest value was seen; wait again for its \
                 successor's next"
            ),
            ChangedError::FileLost => f.write_str(FILE_LOST),
            ChangedError::Timeout => {
                f.write_str("nothing changed for all of the time given; wait again, or read the value as it is")
            }
            ChangedError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl Error for WriteError {}
impl Error for ReadError {}
impl Error for ChangedError {}
