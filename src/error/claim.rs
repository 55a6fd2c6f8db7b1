//! Why a seat could not be taken.

use core::fmt;
use std::error::Error;

use nix::errno::Errno;

use super::{Corrupt, OsError};

/// The places at a channel, one holder each.
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
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimError {
    /// Someone who is alive sits there, as far as the kernel says.
    Taken {
        /// Which seat.
        seat: Seat,
        /// The process that holds it, as it sees itself in its PID namespace.
        pid: u32,
        /// How often the seat was taken so far, this holder's turn included.
        generation: u64,
    },
    /// The region is attached read-only; only a seqlock's readers can use it so.
    ReadOnly,
    /// The region holds what cannot be.
    Corrupt(Corrupt),
    /// The seat's words contradict each other: the region is corrupt.
    CorruptSeat {
        /// Which seat.
        seat: Seat,
        /// What its word holds.
        found: u64,
    },
    /// This process is not in the boot and PID namespace where the region was made, or has no `/proc` to say so: only
    /// a lock on the region's file could tell others that it lives. To take one it must open the file anew, which the
    /// file's mode forbids to its user. See `docs/sandbox.md`.
    FileMode {
        /// The mode of the memfd or file.
        found: u32,
        /// The user it belongs to, as this process sees users.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// The same, but the lock failed for this reason.
    NoSignOfLife(OsError),
    /// The kernel refused what an endpoint needs.
    Os(OsError),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::Taken { seat, pid, generation } => {
                write!(f, "the {seat} seat is taken by process {pid} (generation {generation}), which is ")?;
                f.write_str(if *pid == std::process::id() {
                    "this very process, or has its id in another PID namespace; use the end that it has, or drop that first"
                } else {
                    "alive; let it leave first, or end it with kill_and_take_sender and its like"
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
                 {user}, must open it anew to lock it, for nothing else tells others that it lives; make the region \
                 with mode(0o644), or take the seat before the process is confined"
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
                    "{} failed: {}; only a lock on the region's file can tell others that this process lives, which is \
                     elsewhere than the region was made, or has no /proc to say so; {advice}",
                    error.call, error.source
                )
            }
            ClaimError::Os(error) => error.fmt(f),
        }
    }
}

impl Error for ClaimError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ClaimError::NoSignOfLife(error) | ClaimError::Os(error) => Some(error),
            ClaimError::Corrupt(corrupt) => Some(corrupt),
            _ => None,
        }
    }
}

impl From<OsError> for ClaimError {
    fn from(error: OsError) -> Self {
        ClaimError::Os(error)
    }
}

/// Why the holder of a seat could not be killed, or the seat not be taken after it.
#[derive(Debug)]
#[non_exhaustive]
pub enum KillError {
    /// This very process sits there.
    OwnProcess,
    /// The holder lives in another PID namespace than this process or the region's creator, or cannot be asked
    /// after: its id names nobody that may be ended. Nothing was done.
    OutOfReach {
        /// Its process id, in its own PID namespace.
        pid: u32,
    },
    /// The kernel, or a filter before it, refuses to say what became of the holder. Nothing was done.
    Refused {
        /// Its process id.
        pid: u32,
        /// What was refused.
        error: OsError,
    },
    /// The holder was sent `SIGKILL`, and the kernel had not ended it in the time given. Nothing was taken from
    /// it; try again.
    NotGone {
        /// Its process id.
        pid: u32,
    },
    /// The holder is gone, but the seat could not be taken: another may have been faster.
    Claim(ClaimError),
    /// The kernel refused, for instance to end another user's process.
    Os(OsError),
}

impl fmt::Display for KillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KillError::OwnProcess => f.write_str("this process itself sits there; drop its endpoint instead"),
            KillError::OutOfReach { pid } => write!(
                f,
                "the holder is process {pid} of another PID namespace, or cannot be asked after; kill it from a \
                 process beside it"
            ),
            KillError::Refused { pid, error } => write!(
                f,
                "process {pid} cannot be asked after, so it may be alive: {error}; allow that call to this process, or \
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

impl Error for KillError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            KillError::Claim(error) => Some(error),
            KillError::Os(error) | KillError::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}

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
