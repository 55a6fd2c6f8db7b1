//! What most callers want to know of an error, without a match on two levels.

use super::{ChangedError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

impl SendError {
    /// Whether the receiver left.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(rx);
    /// assert!(tx.send(&1).is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self == SendError::Closed
    }

    /// Whether the receiver died.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _rx = rx;
    /// #     std::panic::resume_unwind(Box::new("the receiver dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(tx.send(&1).is_err_and(|error| error.is_peer_died())); // the receiver panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, SendError::PeerDied { .. })
    }

    /// Whether a [`Canceller`](crate::Canceller) ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.send(&1)?; // now the ring is full
    /// tx.canceller().cancel();
    /// assert!(tx.send(&2).is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self == SendError::Cancelled
    }
}

impl TrySendError {
    /// Whether there was no room.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.try_send(&1)?;
    /// assert!(tx.try_send(&2).is_err_and(|error| error.is_full()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        *self == TrySendError::Full
    }

    /// Whether the receiver left.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(rx);
    /// assert!(tx.try_send(&1).is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TrySendError::Refused(error) if error.is_closed())
    }

    /// Whether the receiver died.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _rx = rx;
    /// #     std::panic::resume_unwind(Box::new("the receiver dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(tx.try_send(&1).is_err_and(|error| error.is_peer_died())); // the receiver panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, TrySendError::Refused(error) if error.is_peer_died())
    }
}

impl SendTimeoutError {
    /// Whether there was no room for all of the time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// tx.send(&1)?;
    /// assert!(tx.send_timeout(&2, Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        *self == SendTimeoutError::Timeout
    }

    /// Whether the receiver left.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(rx);
    /// assert!(tx.send_timeout(&1, Duration::from_secs(1)).is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, SendTimeoutError::Refused(error) if error.is_closed())
    }

    /// Whether the receiver died.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _rx = rx;
    /// #     std::panic::resume_unwind(Box::new("the receiver dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(tx.send_timeout(&1, Duration::from_secs(1)).is_err_and(|error| error.is_peer_died())); // the receiver panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, SendTimeoutError::Refused(error) if error.is_peer_died())
    }

    /// Whether a [`Canceller`](crate::Canceller) ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # use std::time::Duration;
    /// tx.send(&1)?; // now the ring is full
    /// tx.canceller().cancel();
    /// assert!(tx.send_timeout(&2, Duration::from_secs(1)).is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, SendTimeoutError::Refused(error) if error.is_cancelled())
    }
}

impl RecvError {
    /// Whether the sender left.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(tx);
    /// assert!(rx.recv().is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self == RecvError::Closed
    }

    /// Whether the sender died.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _tx = tx;
    /// #     std::panic::resume_unwind(Box::new("the sender dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(rx.recv().is_err_and(|error| error.is_peer_died())); // the sender panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, RecvError::PeerDied { .. })
    }

    /// Whether a [`Canceller`](crate::Canceller) ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// rx.canceller().cancel();
    /// assert!(rx.recv().is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self == RecvError::Cancelled
    }
}

impl TryRecvError {
    /// Whether there was no message.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// assert!(rx.try_recv().is_err_and(|error| error.is_empty()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == TryRecvError::Empty
    }

    /// Whether the sender left.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(tx);
    /// assert!(rx.try_recv().is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, TryRecvError::Refused(error) if error.is_closed())
    }

    /// Whether the sender died.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _tx = tx;
    /// #     std::panic::resume_unwind(Box::new("the sender dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(rx.try_recv().is_err_and(|error| error.is_peer_died())); // the sender panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, TryRecvError::Refused(error) if error.is_peer_died())
    }
}

impl RecvTimeoutError {
    /// Whether no message came for all of the time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// assert!(rx.recv_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        *self == RecvTimeoutError::Timeout
    }

    /// Whether the sender left.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// drop(tx);
    /// assert!(rx.recv_timeout(Duration::from_secs(1)).is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, RecvTimeoutError::Refused(error) if error.is_closed())
    }

    /// Whether the sender died.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # let dies = std::thread::spawn(move || {
    /// #     let _tx = tx;
    /// #     std::panic::resume_unwind(Box::new("the sender dies"))
    /// # });
    /// # dies.join().unwrap_err();
    /// assert!(rx.recv_timeout(Duration::from_secs(1)).is_err_and(|error| error.is_peer_died())); // the sender panicked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, RecvTimeoutError::Refused(error) if error.is_peer_died())
    }

    /// Whether a [`Canceller`](crate::Canceller) ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(1)?;
    /// # use std::time::Duration;
    /// rx.canceller().cancel();
    /// assert!(rx.recv_timeout(Duration::from_secs(1)).is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, RecvTimeoutError::Refused(error) if error.is_cancelled())
    }
}

impl ChangedError {
    /// Whether the time passed without a change.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// # use std::time::Duration;
    /// assert!(reader.changed_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        *self == ChangedError::Timeout
    }

    /// Whether the writer left.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// # use std::time::Duration;
    /// drop(writer);
    /// assert!(reader.changed().is_err_and(|error| error.is_closed()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self == ChangedError::Closed
    }

    /// Whether the writer died.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// # use std::time::Duration;
    /// let writing = std::thread::spawn(move || {
    ///     let _writer = writer;
    ///     panic!("on purpose");
    /// });
    /// assert!(writing.join().is_err());
    /// assert!(reader.changed().is_err_and(|error| error.is_peer_died()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_peer_died(&self) -> bool {
        matches!(self, ChangedError::PeerDied { .. })
    }

    /// Whether a [`Canceller`](crate::Canceller) ended the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut writer, mut reader) = ringway::seqlock::pair::<u64>()?;
    /// # use std::time::Duration;
    /// reader.canceller().cancel();
    /// assert!(reader.changed().is_err_and(|error| error.is_cancelled()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self == ChangedError::Cancelled
    }
}
