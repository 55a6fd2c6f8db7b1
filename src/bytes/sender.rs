//! The sending end of the ring.

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TooLong, TrySendError};
use crate::layout::WORD;
use crate::protocol::records::RecordRing;
use crate::protocol::{Stop, after_publish};
use crate::wait::{Patience, Wait};

/// The sending end: one at a time for all processes, usable from one thread at a time of the process that
/// took it. Dropping it lets the receiver drain the ring and then see `Closed`.
pub struct Sender {
    pub(super) end: Endpoint,
    pub(super) ring: RecordRing,
}

impl Sender {
    /// Sends `record`, waiting while there is no room for it.
    ///
    /// # Errors
    ///
    /// The record is longer than the ring takes; [`SendError::Closed`], or [`SendError::PeerDied`] if the ring is full;
    /// this process is a forked child of the sender's, or the region is corrupt.
    #[inline]
    pub fn send(&mut self, record: &[u8]) -> Result<(), SendError> {
        loop {
            match self.send_patiently(record, Some(Patience::Forever)) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Sends `record` if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send).
    #[inline]
    pub fn try_send(&mut self, record: &[u8]) -> Result<(), TrySendError> {
        self.send_patiently(record, None)
    }

    /// Sends `record`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    pub fn send_timeout(&mut self, record: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        Ok(self.send_patiently(record, Some(Patience::lasting(timeout)))?)
    }

    #[inline(always)]
    fn send_patiently(&mut self, record: &[u8], patience: Option<Patience>) -> Result<(), TrySendError> {
        self.reserve(record.len(), patience)?;
        self.ring.write(&self.end.state, record);
        self.publish(record.len());
        Ok(())
    }

    /// Finds room for the next record: the byte its payload begins at.
    #[inline(always)]
    fn reserve(&mut self, len: usize, patience: Option<Patience>) -> Result<usize, TrySendError> {
        let most = RecordRing::max_len(self.ring.capacity);
        if len > most {
            self.end.state.check()?;
            return Err(TrySendError::Refused(SendError::TooLong(TooLong { found: len, most })));
        }
        match (self.ring.reserve(&mut self.end.state, len), patience) {
            (Err(Stop::Blocked), Some(patience)) => {
                let ring = &self.ring;
                loop {
                    let settled =
                        self.end.wait_until(patience, |state, glances| ring.watch_for_space(state, len, glances));
                    match ring.reserve(&mut self.end.state, len) {
                        // The peer left, and another came.
                        Err(Stop::Blocked) if settled => {}
                        result => return result.map_err(|stop| self.end.note_told(stop).into()),
                    }
                }
            }
            (result, _) => result.map_err(|stop| self.end.note_told(stop).into()),
        }
    }

    #[inline(always)]
    fn publish(&mut self, len: usize) {
        self.ring.publish(&mut self.end.state, len);
        after_publish(&self.end.control, &mut self.end.state, self.end.fences);
    }

    /// Sends as many of `records` as there is room for, waiting until there is room for the first, and
    /// returns how many: 0 only if `records` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send); nothing was sent then.
    pub fn send_slice(&mut self, records: &[&[u8]]) -> Result<usize, SendError> {
        let Some(first) = records.first() else { return Ok(0) };
        loop {
            let room = self.reserve(first.len(), Some(Patience::Forever));
            match room.and_then(|_| self.try_send_slice(records)) {
                Ok(sent) => return Ok(sent),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Sends as many of `records` as there is room for now, and returns how many.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if there is room for none of at least one, and those of
    /// [`send`](Self::send). A record that is too long ends a batch before it; it is an error only as the
    /// first.
    #[inline]
    pub fn try_send_slice(&mut self, records: &[&[u8]]) -> Result<usize, TrySendError> {
        let most = RecordRing::max_len(self.ring.capacity);
        let mut sent = 0;
        for record in records {
            if sent == 0 {
                self.reserve(record.len(), None)?;
            } else if record.len() > most || self.ring.reserve(&mut self.end.state, record.len()).is_err() {
                // What stopped it, if it was news, the next call tells.
                break;
            }
            self.ring.write(&self.end.state, record);
            self.ring.publish(&mut self.end.state, record.len());
            sent += 1;
        }
        if sent > 0 {
            after_publish(&self.end.control, &mut self.end.state, self.end.fences);
        }
        Ok(sent)
    }

    /// Room for a record of `len` bytes, to be filled in where it lies; waits while there is none.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_ref(&mut self, len: usize) -> Result<SendRef<'_>, SendError> {
        loop {
            match self.reserve(len, Some(Patience::Forever)) {
                Ok(at) => return Ok(SendRef { at, len, sender: self }),
                Err(TrySendError::Full) => {}
                Err(TrySendError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Room for a record of `len` bytes, if there is some now.
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    pub fn try_send_ref(&mut self, len: usize) -> Result<SendRef<'_>, TrySendError> {
        let at = self.reserve(len, None)?;
        Ok(SendRef { at, len, sender: self })
    }

    /// Records sent and not yet received. Walks them.
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender()
    }

    /// Whether everything sent was received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`](crate::Options::capacity_bytes).
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record the ring takes, in bytes.
    pub fn max_len(&self) -> usize {
        RecordRing::max_len(self.ring.capacity)
    }

    /// How often the sender's seat was taken, this turn included: the receiver's `PeerDied` names it.
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a receiver that is alive sits there now. Asks the kernel.
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver sat there since this sender came, and left or died untold. Asks the kernel.
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// How blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

/// A record in the ring, being filled in. Dropped without [`send`](Self::send), it publishes nothing.
#[must_use = "a record that is not sent publishes nothing"]
pub struct SendRef<'a> {
    sender: &'a mut Sender,
    at: usize,
    len: usize,
}

impl SendRef<'_> {
    /// The record's length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the record has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes `bytes` at byte `offset` of the record. What is never written holds earlier records' bytes.
    ///
    /// In a forked child it does nothing; [`send`](Self::send) says so.
    ///
    /// # Panics
    ///
    /// The range reaches beyond the record.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.len), "a range inside the record");
        if self.sender.end.state.holder != 0 {
            self.sender.ring.data.write(self.at + offset, bytes);
        }
    }

    /// Shortens the record to `len` bytes; does nothing if it is not longer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The record's address, for [`len`](Self::len) bytes, aligned to 8. Other processes may read and
    /// write there: use it for volatile or atomic accesses, and only while this record is held, in the
    /// process that holds it.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.sender.ring.data.address(self.at, self.len)
    }

    /// Publishes the record.
    ///
    /// # Errors
    ///
    /// [`SendError::Forked`].
    pub fn send(self) -> Result<(), SendError> {
        if self.sender.end.state.holder == 0 {
            return Err(SendError::Forked);
        }
        self.sender.publish(self.len);
        Ok(())
    }
}
