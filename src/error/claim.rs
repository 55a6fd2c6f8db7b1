//! Why a seat could not be taken.

use core::fmt;
use std::error::Error;

use nix::errno::Errno;

use super::{Corrupt, OpenError, OsError};

/// The seats of a channel. Each has at most one holder.
///
/// # Examples
///
/// ```
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
/// # use ringway::{ClaimError, Seat};
/// let _rx = channel.receiver()?;
/// assert!(matches!(channel.receiver(), Err(ClaimError::Taken { seat: Seat::Receiver, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seat {
    /// The sender's, or the writer's.
    Sender,
    /// The receiver's.
    Receiver,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Seat::Sender => "sender's (or writer's)",
            Seat::Receiver => "receiver's",
        })
    }
}

/// Why a seat could not be taken.
///
/// # Examples
///
/// ```
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
/// # use ringway::ClaimError;
/// let _tx = channel.sender()?;
/// match channel.sender() {
///     Err(ClaimError::Taken { pid, .. }) => println!("process {pid} sends already"),
///     other => drop(other?),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum ClaimError {
    /// A process that is alive, as far as the kernel says, holds the seat.
    Taken {
        /// Which seat.
        seat: Seat,
        /// The process that holds it, as it sees itself in its PID namespace.
        pid: u32,
        /// How often the seat has been taken so far, including by this holder.
        generation: u64,
    },
    /// The region is attached read-only. Only a seqlock's readers can use it that way.
    ReadOnly,
    /// The region is corrupt.
    Corrupt(Corrupt),
    /// The seat's words contradict each other: the region is corrupt.
    CorruptSeat {
        /// Which seat.
        seat: Seat,
        /// The value of its word.
        found: u64,
    },
    /// This process must lock the region's file, and the file's mode does not let its user open the file anew for that.
    ///
    /// It is not in the boot and PID namespace where the region was made, or has no `/proc` to find out. So only a lock
    /// can show others that it is alive. See `docs/sandbox.md`.
    FileMode {
        /// The mode of the memfd or file.
        found: u32,
        /// The user id of its owner, as this process sees it.
        owner: u32,
        /// The user id of this process.
        user: u32,
    },
    /// As [`FileMode`](Self::FileMode), but the lock failed for this reason.
    NoSignOfLife(OsError),
    /// The kernel refused something that an endpoint needs.
    Os(OsError),
    /// The region could not be made. Only `pair` returns this.
    Open(OpenError),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::Taken { seat, pid, generation } => {
                write!(f, "the {seat} seat is taken by process {pid} (generation {generation}), which is ")?;
                f.write_str(if *pid == std::process::id() {
                    "this very process, or has the same id in another PID namespace; use its endpoint, or drop that \
                     first"
                } else {
                    "alive; let it leave first, or end it with kill_and_take_sender or its like"
                })
            }
            ClaimError::ReadOnly => f.write_str("the region is attached read-only; open it for writing to take a seat"),
            ClaimError::Corrupt(corrupt) => corrupt.fmt(f),
            ClaimError::CorruptSeat { seat, found } => write!(
                f,
                "the region is corrupt: the {seat} seat holds {found:#x}, which contradicts its count; \
                 make a new region"
            ),
            ClaimError::FileMode { found, owner, user } => write!(
                f,
                "the region's memfd or file has mode {found:04o} and belongs to user {owner}; this process, of user \
                 {user}, must open it anew to lock it, because only a lock shows others that it is alive; make the \
                 region with mode(0o644), or take the seat before the process is confined"
            ),
            ClaimError::NoSignOfLife(error) => {
                let advice = match error.errno() {
                    Errno::ENOENT => "mount /proc here, or take the seat before the process is confined",
                    Errno::EOPNOTSUPP => "use a memfd, or take the seat where the region was made",
                    Errno::EMFILE | Errno::EBADF => error.advice(),
                    _ => "let the sandbox allow it, or take the seat before the process is confined",
                };
                write!(
                    f,
                    "{} failed: {}; only a lock on the region's file can show others that this process is alive, \
                     because /proc does not show that it is in the region's PID namespace; {advice}",
                    error.call, error.source
                )
            }
            ClaimError::Os(error) => error.fmt(f),
            ClaimError::Open(error) => error.fmt(f),
        }
    }
}

impl From<OpenError> for ClaimError {
    fn from(error: OpenError) -> Self {
        ClaimError::Open(error)
    }
}

impl Error for ClaimError {}

impl From<OsError> for ClaimError {
    fn from(error: OsError) -> Self {
        ClaimError::Os(error)
    }
}

/// Why the holder of a seat could not be killed, or its seat could not be taken.
///
/// # Examples
///
/// ```
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
/// # use ringway::KillError;
/// # use std::time::Duration;
/// let _tx = channel.sender()?;
/// let killed = channel.kill_and_take_sender(Duration::from_secs(1));
/// assert!(matches!(killed, Err(KillError::OwnProcess)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum KillError {
    /// This process itself holds the seat.
    OwnProcess,
    /// The holder is in another PID namespace than this process or the region's creator, or the kernel does not
    /// identify it. Its id could name another process here. Nothing was done.
    OutOfReach {
        /// Its process id, in its own PID namespace.
        pid: u32,
    },
    /// The kernel, or a system-call filter, refuses to say whether the holder is alive. Nothing was done.
    Refused {
        /// Its process id.
        pid: u32,
        /// The call that was refused.
        error: OsError,
    },
    /// The holder was sent `SIGKILL`, but had not ended within the timeout. Its seat was not taken; try again.
    NotGone {
        /// Its process id.
        pid: u32,
    },
    /// The holder is gone, but the seat could not be taken. Another claimant may have been faster.
    Claim(ClaimError),
    /// The kernel refused, for instance to end another user's process.
    Os(OsError),
}

impl fmt::Display for KillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KillError::OwnProcess => f.write_str("this process itself holds the seat; drop its endpoint instead"),
            KillError::OutOfReach { pid } => write!(
                f,
                "the holder is process {pid} of another PID namespace, or the kernel does not identify it; kill it \
                 from a process in its namespace"
            ),
            KillError::Refused { pid, error } => write!(
                f,
                "the kernel does not say whether process {pid} is alive: {error}; allow that call to this process, or \
                 kill it from one that may make it"
            ),
            KillError::NotGone { pid } => {
                write!(f, "process {pid} was killed, but has not ended in the time given; try again")
            }
            KillError::Claim(error) => error.fmt(f),
            KillError::Os(error) => error.fmt(f),
        }
    }
}

impl Error for KillError {}

impl From<ClaimError> for KillError {
    fn from(error: ClaimError) -> Self {
        KillError::Claim(error)
    }
}

impl From<OsError> for KillError {
    fn from(error: OsError) -> Self {
        KillError::Os(error)
    }
}
