//! What an operation answers, whichever operation it is.

use ringway::{
    ChangedError, ClaimError, ReadError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError, WriteError,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// It did what it was asked for.
    Done,
    /// Full, empty, unchanged, or not in time.
    Blocked,
    /// The peer left.
    Closed,
    /// The peer of this generation died.
    Died(u64),
    /// The region holds what cannot be.
    Corrupt,
    /// The seat is taken, or the buffer is too short.
    Refused,
    /// No living process has the other seat.
    Alone,
}

/// Sums an answer up.
pub trait Says {
    fn says(self) -> Said;
}

impl<T, E: Says> Says for Result<T, E> {
    fn says(self) -> Said {
        self.map_or_else(E::says, |_| Said::Done)
    }
}

impl<T> Says for Option<T> {
    fn says(self) -> Said {
        if self.is_some() { Said::Done } else { Said::Blocked }
    }
}

impl Says for SendError {
    fn says(self) -> Said {
        match self {
            SendError::Closed => Said::Closed,
            SendError::PeerDied { generation } => Said::Died(generation),
            SendError::Corrupt(_) => Said::Corrupt,
            other => panic!("{other}"),
        }
    }
}

impl Says for TrySendError {
    fn says(self) -> Said {
        match self {
            TrySendError::Full => Said::Blocked,
            TrySendError::Refused(error) => error.says(),
            other => panic!("{other}"),
        }
    }
}

impl Says for SendTimeoutError {
    fn says(self) -> Said {
        match self {
            SendTimeoutError::Timeout => Said::Blocked,
            SendTimeoutError::Refused(error) => error.says(),
            other => panic!("{other}"),
        }
    }
}

impl Says for RecvError {
    fn says(self) -> Said {
        match self {
            RecvError::Closed => Said::Closed,
            RecvError::PeerDied { generation } => Said::Died(generation),
            RecvError::Corrupt(_) => Said::Corrupt,
            RecvError::BufferTooShort { .. } => Said::Refused,
            other => panic!("{other}"),
        }
    }
}

impl Says for TryRecvError {
    fn says(self) -> Said {
        match self {
            TryRecvError::Empty => Said::Blocked,
            TryRecvError::Refused(error) => error.says(),
            other => panic!("{other}"),
        }
    }
}

impl Says for RecvTimeoutError {
    fn says(self) -> Said {
        match self {
            RecvTimeoutError::Timeout => Said::Blocked,
            RecvTimeoutError::Refused(error) => error.says(),
            other => panic!("{other}"),
        }
    }
}

impl Says for WriteError {
    fn says(self) -> Said {
        match self {
            WriteError::Corrupt(_) => Said::Corrupt,
            other => panic!("{other}"),
        }
    }
}

impl Says for ReadError {
    fn says(self) -> Said {
        match self {
            ReadError::Overtaken { .. } => Said::Blocked,
            ReadError::Corrupt(_) => Said::Corrupt,
            other => panic!("{other}"),
        }
    }
}

impl Says for ChangedError {
    fn says(self) -> Said {
        match self {
            ChangedError::Closed => Said::Closed,
            ChangedError::PeerDied { generation } => Said::Died(generation),
            ChangedError::Timeout => Said::Blocked,
            ChangedError::Corrupt(_) => Said::Corrupt,
            other => panic!("{other}"),
        }
    }
}

impl Says for ClaimError {
    fn says(self) -> Said {
        match self {
            ClaimError::Taken { .. } => Said::Refused,
            ClaimError::Corrupt(_) | ClaimError::CorruptSeat { .. } => Said::Corrupt,
            other => panic!("{other}"),
        }
    }
}

/// Sums up whether anybody is at the other end.
pub fn peer(is_there: bool) -> Said {
    if is_there { Said::Done } else { Said::Alone }
}

/// Sums up whether a channel is closed.
pub fn closed(is_closed: bool) -> Said {
    if is_closed { Said::Closed } else { Said::Done }
}

/// Stands for any answer at all, which it drops.
pub fn done<T>(_: T) -> Said {
    Said::Done
}
