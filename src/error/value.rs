//! Why a seqlock's value could not be written or read.

use core::fmt;
use std::error::Error;

use super::{CANCELLED, Corrupt, FILE_LOST, FORKED};

/// Why a seqlock's writer cannot write.
///
/// # Examples
///
/// ```
/// # use ringway::WriteError;
/// # let (mut writer, _reader) = ringway::seqlock::pair::<u64>()?;
/// match writer.write(&7) {
///     Ok(()) => println!("written"),
///     Err(WriteError::Forked) => println!("the writer is the parent's"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The bytes are not the length of a value. Nothing was written. Only raw channels return this.
    WrongSize {
        /// Length of the given bytes.
        found: usize,
        /// Length of a value in bytes.
        expected: usize,
    },
    /// The region is corrupt.
    Corrupt(Corrupt),
}

/// Why a seqlock's reader got no value.
///
/// # Examples
///
/// ```
/// # use ringway::ReadError;
/// # let (_writer, mut reader) = ringway::seqlock::pair::<u64>()?;
/// match reader.read() {
///     Ok(value) => println!("{value}"),
///     Err(ReadError::Overtaken { .. }) => println!("the writer never pauses; try again"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The buffer is shorter than the value. Only raw channels return this.
    BufferTooShort {
        /// Length of the value in bytes.
        found: usize,
        /// Length of the buffer in bytes.
        buffer: usize,
    },
    /// The writer overtook every copy that the reader made. It writes without a pause, and faster than this process
    /// reads, or the region was tampered with. Reading again is safe.
    Overtaken {
        /// How many copies the reader made.
        tries: u32,
    },
    /// The region is corrupt.
    Corrupt(Corrupt),
}

/// Why a reader's wait for a change ended without one.
///
/// # Examples
///
/// ```
/// # use ringway::ChangedError;
/// # use std::time::Duration;
/// # let (_writer, mut reader) = ringway::seqlock::pair::<u64>()?;
/// match reader.changed_timeout(Duration::from_millis(1)) {
///     Ok(()) => println!("{}", reader.read()?),
///     Err(ChangedError::Timeout) => println!("still the same"),
///     Err(ChangedError::Closed | ChangedError::PeerDied { .. }) => println!("the writer is gone"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangedError {
    /// The writer left, and its last value was seen. A new writer may come: wait again only after
    /// [`Reader::has_writer`](crate::seqlock::Reader::has_writer) says that one has.
    Closed,
    /// The writer died, and the latest value, its own or a successor's, was seen. Reported once per death: the next
    /// call waits for a value.
    PeerDied {
        /// How often the writer's seat had been taken, including by the dead one.
        generation: u64,
    },
    /// The region's file was removed or replaced, so that a new peer cannot reach it. With
    /// [`watch_file`](crate::Options::watch_file), blocked calls report this, and every call reports it instead of
    /// [`Closed`](Self::Closed). Call `open_or_create` again, on both sides.
    FileLost,
    /// A [`Canceller`](crate::Canceller) ended the call, which was blocked.
    Cancelled,
    /// Nothing changed within the timeout.
    Timeout,
    /// The region is corrupt.
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
                "the writer left, and its last value was seen; read that, or wait again when another has taken its \
                 seat",
            ),
            ChangedError::PeerDied { generation } => write!(
                f,
                "the writer (generation {generation}) died, and the latest value was seen; wait again for the next \
                 value from its successor"
            ),
            ChangedError::FileLost => f.write_str(FILE_LOST),
            ChangedError::Cancelled => f.write_str(CANCELLED),
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
