//! Every error: what was found, what was expected, and what to do.
//!
//! Making and opening a region has one rich type, [`OpenError`]; claiming a seat [`ClaimError`]; the
//! operations on the hot path small ones.
#![forbid(unsafe_code)]

use core::fmt;
use std::error::Error;
use std::io;

use nix::errno::Errno;

/// What a peer that follows the protocol cannot have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u64)]
pub enum Fault {
    /// A slot's stamp is neither that of the message expected there nor that of the lap before.
    Stamp = 1,
    /// The receiver's position lies before what it had consumed, or beyond what was sent.
    Head = 2,
    /// A record's header names another position, or a length that no record can have.
    RecordHeader = 3,
    /// A seqlock's version is larger than any writer can reach.
    Version = 4,
    /// A count of records contradicts the position up to which they were counted.
    Count = 5,
}

impl Fault {
    pub(crate) fn from_u64(raw: u64) -> Option<Fault> {
        [Fault::Stamp, Fault::Head, Fault::RecordHeader, Fault::Version, Fault::Count]
            .into_iter()
            .find(|f| *f as u64 == raw)
    }
}

/// The region holds what cannot be: a peer broke the protocol, or another program wrote into it.
///
/// The endpoint that found it stays unusable. Nothing was read or written outside the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Which word is wrong.
    pub fault: Fault,
    /// What it holds.
    pub found: u64,
    /// The endpoint's own position when it looked.
    pub position: u64,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, expected) = match self.fault {
            Fault::Stamp => ("a slot's stamp", "that of this position or of the lap before"),
            Fault::Head => ("the receiver's position", "one between what was consumed and what was sent"),
            Fault::RecordHeader => ("a record's header", "this position's tag and a length that fits"),
            Fault::Version => ("the latest version", "one that a writer can reach"),
            Fault::Count => ("a count of records", "one that fits its position"),
        };
        let Corrupt { found, position, .. } = self;
        write!(f, "the region is corrupt: {what}")?;
        match self.fault {
            Fault::Stamp | Fault::RecordHeader => write!(f, " at position {position}")?,
            _ if *position > 0 => write!(f, ", seen from position {position},")?,
            // Whoever looked has no position of its own yet.
            _ => {}
        }
        write!(f, " holds {found:#x}, expected {expected}; a peer broke the protocol: make a new region")
    }
}

impl Error for Corrupt {}

/// A record that no ring of this capacity can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The record's length in bytes.
    pub found: usize,
    /// The longest this channel takes, in bytes.
    pub most: usize,
}

/// Why [`send`](crate::spsc::Sender::send) cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver left. What it had not consumed stays in the region. An awake sender finds out with the
    /// message after the next.
    Closed,
    /// The receiver died, and the ring is full, or its successor left. What was not consumed stays there for the
    /// next. Said once for a death, even if a successor sits there by now: the next call waits for that one.
    PeerDied {
        /// How often the receiver's seat had been taken, the dead one's turn included.
        generation: u64,
    },
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file was removed or replaced, so that whoever comes now is elsewhere; said by blocked calls, where
    /// [`watch_file`](crate::Options::watch_file) asked for it. Call `open_or_create` again, on both sides.
    FileLost,
    /// The record is longer than the channel takes. Nothing was sent; the channel goes on.
    TooLong(TooLong),
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

/// Why [`try_send`](crate::spsc::Sender::try_send) did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room now.
    Full,
    /// Waiting would not help.
    Refused(SendError),
}

/// Why [`send_timeout`](crate::spsc::Sender::send_timeout) did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendTimeoutError {
    /// There was no room in time. Nothing was sent.
    Timeout,
    /// Waiting would not help.
    Refused(SendError),
}

/// Why [`recv`](crate::spsc::Receiver::recv) cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The sender left, and everything it sent was taken. The same receiver says so again until another
    /// sender sits; to sleep until one does, drop the receiver and take the seat again.
    Closed,
    /// The sender died, and everything it sent was taken. Said once for a death, to one receiver, even if a
    /// successor sits there by now: what comes next is that one's, and the next call waits for it.
    PeerDied {
        /// How often the sender's seat had been taken, the dead one's turn included.
        generation: u64,
    },
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region's file was removed or replaced, so that whoever comes now is elsewhere; said by blocked calls, where
    /// [`watch_file`](crate::Options::watch_file) asked for it. Call `open_or_create` again, on both sides.
    FileLost,
    /// The buffer is shorter than the record, which stays where it is.
    BufferTooShort {
        /// The record's length in bytes.
        found: usize,
        /// The buffer's.
        buffer: usize,
    },
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

/// Why [`try_recv`](crate::spsc::Receiver::try_recv) got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is nothing now.
    Empty,
    /// Waiting would not help.
    Refused(RecvError),
}

/// Why [`recv_timeout`](crate::spsc::Receiver::recv_timeout) got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// Waiting would not help.
    Refused(RecvError),
}

/// Why a seqlock's writer cannot write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// This endpoint belongs to the process that forked this one.
    Forked,
    /// The region holds what cannot be.
    Corrupt(Corrupt),
}

/// Why a seqlock's reader got no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
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

const FORKED: &str = "this endpoint belongs to the process that forked this one; claim one of your own \
                      from the channel, which crosses a fork";
const FILE_LOST: &str = "the region's file was removed or replaced: whoever comes now is elsewhere; drop this end and its \
                         channel, and call open_or_create again, on both sides; where that finds a copy, adopt it";

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed => f.write_str("the receiver left; send again when another sits there, or end"),
            SendError::PeerDied { generation } => write!(
                f,
                "the receiver (generation {generation}) died; what it had not consumed waits for its successor: send \
                 again to wait for that"
            ),
            SendError::Forked => f.write_str(FORKED),
            SendError::FileLost => f.write_str(FILE_LOST),
            SendError::TooLong(TooLong { found, most }) => write!(
                f,
                "a record of {found} bytes, expected at most {most}; split it, or create the channel with a \
                 larger capacity_bytes if it is less than 1 GiB"
            ),
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
                "the sender left, and everything it sent was taken; receive again when another sits there, or end",
            ),
            RecvError::PeerDied { generation } => write!(
                f,
                "the sender (generation {generation}) died, and everything it sent was taken; receive again to \
                 wait for its successor"
            ),
            RecvError::Forked => f.write_str(FORKED),
            RecvError::FileLost => f.write_str(FILE_LOST),
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

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Forked => f.write_str(FORKED),
            WriteError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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

impl Error for SendError {}
impl Error for TrySendError {}
impl Error for SendTimeoutError {}
impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}
impl Error for WriteError {}
impl Error for ReadError {}
impl Error for ChangedError {}

/// A system call that failed.
#[derive(Debug)]
pub struct OsError {
    /// The call's name.
    pub call: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

impl OsError {
    pub(crate) fn new(call: &'static str, errno: Errno) -> Self {
        Self { call, source: errno.into() }
    }

    /// What to do about it, as far as the call does not matter.
    fn advice(&self) -> &'static str {
        match self.errno() {
            Errno::EMFILE => "raise RLIMIT_NOFILE, or close some descriptors",
            Errno::ENFILE => "raise fs.file-max, or close some descriptors",
            Errno::ENOMEM => "free some memory, or raise RLIMIT_AS or vm.max_map_count",
            Errno::ENOSPC | Errno::EDQUOT => "free some space, or use another file system",
            Errno::EACCES | Errno::EPERM => "give this process that permission: to its user, or in its sandbox",
            Errno::ENOSYS => "use a kernel that has it, or allow it in the sandbox",
            Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP => "use another path",
            Errno::EROFS | Errno::EOPNOTSUPP => "use another file system, or a memfd",
            Errno::EBADF => "keep the region's descriptor open",
            Errno::EIO => "check the disk",
            Errno::ENOENT if self.call.contains("/proc") => "mount /proc",
            Errno::UnknownErrno => "",
            _ => "try again, or look the error up in errno(3)",
        }
    }

    pub(crate) fn errno(&self) -> Errno {
        Errno::from_raw(self.source.raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.call, self.source)?;
        match self.advice() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl Error for OsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

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
                    "alive; it must leave first, or be evicted"
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

/// Why the holder of a seat could not be evicted, or the seat not be taken after it.
#[derive(Debug)]
#[non_exhaustive]
pub enum EvictError {
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

impl fmt::Display for EvictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvictError::OwnProcess => f.write_str("this process itself sits there; drop its endpoint instead"),
            EvictError::OutOfReach { pid } => write!(
                f,
                "the holder is process {pid} of another PID namespace, or cannot be asked after; evict it from a \
                 process beside it"
            ),
            EvictError::Refused { pid, error } => write!(
                f,
                "process {pid} cannot be asked after, so it may be alive: {error}; allow that call to this process, or \
                 evict from one that may make it"
            ),
            EvictError::NotGone { pid } => {
                write!(f, "process {pid} was killed, but has not ended in the time given; try again")
            }
            EvictError::Claim(error) => error.fmt(f),
            EvictError::Os(error) => error.fmt(f),
        }
    }
}

impl Error for EvictError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            EvictError::Claim(error) => Some(error),
            EvictError::Os(error) | EvictError::Refused { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<ClaimError> for EvictError {
    fn from(error: ClaimError) -> Self {
        EvictError::Claim(error)
    }
}

impl From<OsError> for EvictError {
    fn from(error: OsError) -> Self {
        EvictError::Os(error)
    }
}
