//! How the errors of one call are related: of the form that waits, the one that never does, and the one with a timeout.

use super::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

/// Why a non-blocking call did nothing: there is nothing to do now, or waiting would not help.
pub(crate) trait Try: Sized {
    /// Why waiting would not help.
    type Refused;
    /// The error of the same call with a timeout.
    type TimedOut: From<Self>;

    /// `Ok(())` if waiting would help.
    fn refused(self) -> Result<(), Self::Refused>;
}

impl Try for TrySendError {
    type Refused = SendError;
    type TimedOut = SendTimeoutError;

    fn refused(self) -> Result<(), SendError> {
        match self {
            TrySendError::Full => Ok(()),
            TrySendError::Refused(error) => Err(error),
        }
    }
}

impl Try for TryRecvError {
    type Refused = RecvError;
    type TimedOut = RecvTimeoutError;

    fn refused(self) -> Result<(), RecvError> {
        match self {
            TryRecvError::Empty => Ok(()),
            TryRecvError::Refused(error) => Err(error),
        }
    }
}

impl From<TrySendError> for SendTimeoutError {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => SendTimeoutError::Timeout,
            TrySendError::Refused(error) => SendTimeoutError::Refused(error),
        }
    }
}

impl From<TryRecvError> for RecvTimeoutError {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Refused(error) => RecvTimeoutError::Refused(error),
        }
    }
}

impl From<SendError> for TrySendError {
    fn from(error: SendError) -> Self {
        TrySendError::Refused(error)
    }
}

impl From<SendError> for SendTimeoutError {
    fn from(error: SendError) -> Self {
        SendTimeoutError::Refused(error)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        TryRecvError::Refused(error)
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        RecvTimeoutError::Refused(error)
    }
}
