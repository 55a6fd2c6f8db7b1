//! Why an end of a ring could not send or receive.

use core::fmt;
use std::error::Error;

use super::{CANCELLED, Corrupt, FILE_LOST, FORKED};

/// A record too long for a ring of this capacity.
///
/// # Examples
///
/// ```
/// # use ringway::{SendError, TooLong};
/// # let (mut tx, _rx) = ringway::bytes::pair(1 << 16)?;
/// let record = vec![0; 100_000];
/// if let Err(SendError::TooLong(TooLong { found, most })) = tx.send(&record) {
///     assert_eq!((found, most), (100_000, tx.max_len()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The record's length in bytes.
    pub found: usize,
    /// The maximum length for this channel, in bytes.
    pub most: usize,
}

/// Why [`send`](crate::spsc::Sender::send) cannot go on.
///
/// # Examples
///
/// ```
/// # use ringway::SendError;
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// drop(rx);
/// match tx.send(&1) {
///     Ok(()) => println!("sent"),
///     Err(SendError::Closed | SendError::PeerDied { .. }) => println!("the receiver is gone"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver left. What it had not consumed stays in the region. A sender that is not blocked may notice this
    /// only with the message after the next.
    Closed,
    /// The receiver died, and the ring is full; or it panicked, or its successor left. What was not consumed stays there for the next
    /// receiver. Reported once per death, even if a successor holds the seat by now: the next call waits for that one.
    PeerDied {
        /// How often the receiver's seat had been taken, including by the dead one.
        generation: u64,
    },
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file was removed or replaced, so that a new peer cannot reach it. With
    /// [`watch_file`](crate::Options::watch_file), blocked calls report this, and every call reports it instead of
    /// [`Closed`](Self::Closed). Call `open_or_create` again, on both sides.
    FileLost,
    /// A [`Canceller`](crate::Canceller) ended the call, which was blocked. Nothing was sent.
    Cancelled,
    /// The record is too long for the channel. Nothing was sent; the channel stays usable.
    TooLong(TooLong),
    /// The bytes are not the length of a value. Nothing was sent; the channel stays usable. Only raw channels return this.
    WrongSize {
        /// Length of the given bytes.
        found: usize,
        /// Length of a value in bytes.
        expected: usize,
    },
    /// The region is corrupt.
    Corrupt(Corrupt),
}

/// Why [`try_send`](crate::spsc::Sender::try_send) did not send.
///
/// # Examples
///
/// ```
/// # use ringway::{SendError, TrySendError};
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// match tx.try_send(&1) {
///     Ok(()) => println!("sent"),
///     Err(TrySendError::Full) => println!("later"),
///     Err(TrySendError::Refused(SendError::Closed)) => println!("the receiver left"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room now.
    Full,
    /// Waiting would not help.
    Refused(SendError),
}

/// Why [`send_timeout`](crate::spsc::Sender::send_timeout) did not send.
///
/// # Examples
///
/// ```
/// # use ringway::SendTimeoutError;
/// # use std::time::Duration;
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// match tx.send_timeout(&1, Duration::from_secs(1)) {
///     Ok(()) => println!("sent"),
///     Err(SendTimeoutError::Timeout) => println!("the receiver is slow, or not there"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTimeoutError {
    /// There was no room within the timeout. Nothing was sent.
    Timeout,
    /// Waiting would not help.
    Refused(SendError),
}

/// Why [`recv`](crate::spsc::Receiver::recv) cannot go on.
///
/// # Examples
///
/// ```
/// # use ringway::RecvError;
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// # let dies = std::thread::spawn(move || {
/// #     let _tx = tx;
/// #     std::panic::resume_unwind(Box::new("the sender dies"))
/// # });
/// # dies.join().unwrap_err();
/// match rx.recv() {
///     Ok(message) => println!("{message}"),
///     Err(RecvError::Closed) => println!("the sender has said all"),
///     Err(RecvError::PeerDied { generation }) => println!("sender {generation} died; wait for its successor"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The sender left, and everything it sent was received. This receiver returns it again until another sender takes
    /// the seat. To sleep until one does, drop the receiver and take its seat again.
    Closed,
    /// The sender died, and everything it sent was received. Reported once per death, to one receiver, even if a
    /// successor holds the seat by now: later messages are the successor's, and the next call waits for one.
    PeerDied {
        /// How often the sender's seat had been taken, including by the dead one.
        generation: u64,
    },
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file was removed or replaced, so that a new peer cannot reach it. With
    /// [`watch_file`](crate::Options::watch_file), blocked calls report this, and every call reports it instead of
    /// [`Closed`](Self::Closed). Call `open_or_create` again, on both sides.
    FileLost,
    /// A [`Canceller`](crate::Canceller) ended the call, which was blocked.
    Cancelled,
    /// The buffer is shorter than the record, which stays in the ring.
    BufferTooShort {
        /// The record's length in bytes.
        found: usize,
        /// The buffer's length in bytes.
        buffer: usize,
    },
    /// The region is corrupt.
    Corrupt(Corrupt),
}

/// Why [`try_recv`](crate::spsc::Receiver::try_recv) got nothing.
///
/// # Examples
///
/// ```
/// # use ringway::{RecvError, TryRecvError};
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// match rx.try_recv() {
///     Ok(message) => println!("{message}"),
///     Err(TryRecvError::Empty) => println!("later"),
///     Err(TryRecvError::Refused(RecvError::Closed)) => println!("the sender left"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is no message now.
    Empty,
    /// Waiting would not help.
    Refused(RecvError),
}

/// Why [`recv_timeout`](crate::spsc::Receiver::recv_timeout) got nothing.
///
/// # Examples
///
/// ```
/// # use ringway::RecvTimeoutError;
/// # use std::time::Duration;
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
/// match rx.recv_timeout(Duration::from_millis(1)) {
///     Ok(message) => println!("{message}"),
///     Err(RecvTimeoutError::Timeout) => println!("the sender is slow, or not there"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// No message came within the timeout.
    Timeout,
    /// Waiting would not help.
    Refused(RecvError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed => f.write_str("the receiver left; send again when another has taken its seat, or end"),
            SendError::PeerDied { generation } => write!(
                f,
                "the receiver (generation {generation}) died; what it had not consumed is kept for its successor: send \
                 again to wait for one"
            ),
            SendError::Forked => f.write_str(FORKED),
            SendError::FileLost => f.write_str(FILE_LOST),
            SendError::Cancelled => f.write_str(CANCELLED),
            SendError::TooLong(TooLong { found, most }) => write!(
                f,
                "a record of {found} bytes, expected at most {most}; split it, or create the channel with a \
                 larger capacity_bytes (a record of 1 GiB or more is always split)"
            ),
            SendError::WrongSize { found, expected } => {
                write!(f, "{found} bytes, expected the {expected} of a value; send exactly one value")
            }
            SendError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full => {
                f.write_str("the channel is full; let the receiver take something, or wait for it with send")
            }
            TrySendError::Refused(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SendTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout => {
                f.write_str("the channel stayed full for all of the time given; try again, or give it more")
            }
            SendTimeoutError::Refused(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Closed => f.write_str(
                "the sender left, and everything it sent was received; receive again when another has taken its seat, \
                 or end",
            ),
            RecvError::PeerDied { generation } => write!(
                f,
                "the sender (generation {generation}) died, and everything it sent was received; receive again to \
                 wait for its successor"
            ),
            RecvError::Forked => f.write_str(FORKED),
            RecvError::FileLost => f.write_str(FILE_LOST),
            RecvError::Cancelled => f.write_str(CANCELLED),
            RecvError::BufferTooShort { found, buffer } => write!(
                f,
                "a record of {found} bytes for a buffer of {buffer}; it stays in the channel: receive it \
                 with a longer one"
            ),
            RecvError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the channel is empty; try again, or wait for a message with recv"),
            TryRecvError::Refused(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvTimeoutError::Timeout => {
                f.write_str("the channel stayed empty for all of the time given; try again, or give it more")
            }
            RecvTimeoutError::Refused(error) => error.fmt(f),
        }
    }
}

impl Error for SendError {}
impl Error for TrySendError {}
impl Error for SendTimeoutError {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
