//! A ring of records of any length: one sender, one receiver, lossless and in order.
//!
//! Every record is contiguous for its receiver, whether or not it crosses the end of the ring: the data is
//! mapped twice in a row. A record may be as long as the ring, less 16 bytes.
//!
//! ```
//! use ringway::bytes;
//!
//! let channel = bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
//! let mut tx = channel.sender()?;
//! let mut rx = channel.receiver()?;
//! tx.send(b"any length")?;
//! assert_eq!(rx.recv()?, b"any length");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::{Endpoint, receiver_baseline};
use crate::error::{
    ClaimError, OpenError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TooLong, TryRecvError,
    TrySendError,
};
use crate::layout::{Kind, RECEIVER, SENDER, WORD};
use crate::options::{Options, sealed};
use crate::protocol::Stop;
use crate::protocol::records::RecordRing;
use crate::region::Region;
use crate::region::header::Spec;
use crate::sync::Ordering::Acquire;
use crate::sync::fence;
use crate::wait::{Patience, Wait};

/// A mapped ring. Inert: to send or receive, take one of its seats.
///
/// Cheap to clone, and good on both sides of a fork.
#[derive(Clone)]
pub struct Channel {
    region: Arc<Region>,
    ring: RecordRing,
    spec: Spec,
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::Channel").field("region", &self.region).field("capacity", &self.capacity()).finish()
    }
}

impl sealed::Channel for Channel {
    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn spec(capacity: Option<u64>, type_name: Option<&str>) -> Result<Spec, Reason> {
        let words = match capacity {
            Some(bytes) if bytes == 0 || bytes % WORD as u64 != 0 => {
                return Err(Reason::Capacity { found: bytes, expected: "a multiple of 8 bytes, and at least 8" });
            }
            other => other.map(|bytes| bytes / WORD as u64),
        };
        Ok(Spec {
            kind: Kind::Bytes,
            type_size: 1,
            type_align: 1,
            type_name: type_name.unwrap_or("[u8]").to_owned(),
            capacity: words,
            stride: 1,
            mirrored: true,
        })
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn from_region(region: Region, spec: Spec) -> Self {
        let ring = RecordRing { control: region.control(), data: region.data(), capacity: region.capacity() };
        Self { region: Arc::new(region), ring, spec }
    }

    fn copy(&self) -> Result<Self, OpenError> {
        let corrupt = |stop| OpenError::new(self.region.place(), Reason::from(stop));
        for _ in 0..COPIES {
            let end = self.ring.reach(self.ring.head().map_err(corrupt)?);
            let copy = Self::from_region(self.region.copy(&self.spec)?, self.spec.clone());
            fence(Acquire);
            let head = self.ring.head().map_err(corrupt)?;
            if copy.ring.hold_only(head, end.max(head)) {
                return Ok(copy);
            }
        }
        Err(OpenError::new(self.region.place(), Reason::Busy))
    }
}

/// How often a copy of a ring in use is tried: one fails only where a payload that looks like a header was
/// written during the walk.
const COPIES: usize = 10;

impl Options<Channel> {
    /// How many bytes the ring holds, a multiple of 8; rounded up to whole pages. Every record takes 8
    /// bytes besides its own, padded to a multiple of 8, and 8 bytes of the ring are never used.
    pub fn capacity_bytes(self, bytes: u64) -> Self {
        self.with_capacity(bytes)
    }
}

impl Channel {
    /// How to make or open a region for this channel.
    pub fn options() -> Options<Self> {
        Options::new()
    }

    /// [`Options::create`] with `capacity_bytes` and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn create(path: impl AsRef<Path>, capacity_bytes: u64) -> Result<Self, OpenError> {
        Self::options().capacity_bytes(capacity_bytes).create(path)
    }

    /// [`Options::open`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// [`Options::from_fd`] with the defaults.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, OpenError> {
        Self::options().from_fd(fd)
    }

    /// Takes the sender's seat for this process. It goes on after the last record that was sent.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn sender(&self) -> Result<Sender, ClaimError> {
        let ring = self.ring.clone();
        let end = Endpoint::claim(&self.region, SENDER, |holder| {
            ring.sender_state(holder, receiver_baseline(&ring.control))
        })?;
        Ok(Sender { end, ring })
    }

    /// Takes the receiver's seat for this process. It goes on at the first record that was not received.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] names who sits there.
    pub fn receiver(&self) -> Result<Receiver, ClaimError> {
        let ring = self.ring.clone();
        let end = Endpoint::claim(&self.region, RECEIVER, |holder| ring.receiver_state(holder))?;
        Ok(Receiver { end, ring })
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`].
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record the ring takes, in bytes: the capacity less 16, and less than 4 GiB.
    pub fn max_len(&self) -> usize {
        RecordRing::max_len(self.ring.capacity)
    }

    /// The memory behind the channel.
    pub fn region(&self) -> &Region {
        &self.region
    }

    #[cfg(test)]
    pub(crate) fn ring(&self) -> &RecordRing {
        &self.ring
    }

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    pub fn snapshot(&self) -> Result<Self, OpenError> {
        sealed::Channel::copy(self)
    }
}

/// The sending end: one at a time for all processes, usable from one thread at a time of the process that
/// took it. Dropping it lets the receiver drain the ring and then see `Closed`.
pub struct Sender {
    end: Endpoint,
    ring: RecordRing,
}

impl Sender {
    /// Sends `record`, waiting while there is no room for it.
    ///
    /// # Errors
    ///
    /// The record is longer than the ring takes, the receiver left, this process is a forked child of the
    /// sender's, or the region is corrupt.
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
                        result => return Ok(result?),
                    }
                }
            }
            (result, _) => Ok(result?),
        }
    }

    #[inline(always)]
    fn publish(&mut self, len: usize) {
        self.ring.publish(&mut self.end.state, len);
        self.ring.after_publish(&mut self.end.state, self.end.fences);
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
        let mut sent = 0;
        for record in records {
            match self.reserve(record.len(), None) {
                Ok(_) => self.ring.write(&self.end.state, record),
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
            self.ring.publish(&mut self.end.state, record.len());
            sent += 1;
        }
        if sent > 0 {
            self.ring.after_publish(&mut self.end.state, self.end.fences);
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

    /// How many bytes the ring holds: see [`Options::capacity_bytes`].
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record the ring takes, in bytes.
    pub fn max_len(&self) -> usize {
        RecordRing::max_len(self.ring.capacity)
    }

    /// Whether a receiver sits there now.
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver sat there since this sender came, and left.
    pub fn is_closed(&self) -> bool {
        self.end.peer_left()
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

/// The receiving end: one at a time for all processes, usable from one thread at a time of the process
/// that took it. Dropping it lets the sender see `Closed`; what it did not receive stays in the ring.
pub struct Receiver {
    end: Endpoint,
    ring: RecordRing,
}

impl Receiver {
    /// Receives the next record into a new vector, waiting until there is one. To receive without
    /// allocating, see [`recv_into`](Self::recv_into) and [`recv_ref`](Self::recv_ref).
    ///
    /// # Errors
    ///
    /// The sender left and the ring is empty, this process is a forked child of the receiver's, or the
    /// region is corrupt.
    pub fn recv(&mut self) -> Result<Vec<u8>, RecvError> {
        Ok(self.recv_ref()?.to_vec())
    }

    /// Receives the next record if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Vec<u8>, TryRecvError> {
        Ok(self.try_recv_ref()?.to_vec())
    }

    /// Receives the next record, waiting for one for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        let (at, len) = self.peek(Some(Patience::lasting(timeout)))?;
        Ok(RecvRef { at, len, receiver: self }.to_vec())
    }

    /// Receives the next record into the front of `buffer`, waiting until there is one, and returns its
    /// length.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`], which leaves the record where it is, and those of
    /// [`recv`](Self::recv).
    #[inline]
    pub fn recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        loop {
            match self.recv_into_patiently(buffer, Some(Patience::Forever)) {
                Ok(len) => return Ok(len),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Receives the next record into the front of `buffer` if there is one now, and returns its length.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv_into`](Self::recv_into).
    #[inline]
    pub fn try_recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        self.recv_into_patiently(buffer, None)
    }

    #[inline(always)]
    fn recv_into_patiently(&mut self, buffer: &mut [u8], patience: Option<Patience>) -> Result<usize, TryRecvError> {
        let (at, len) = self.peek(patience)?;
        let Some(front) = buffer.get_mut(..len) else {
            let error = RecvError::BufferTooShort { found: len, buffer: buffer.len() };
            return Err(TryRecvError::Refused(error));
        };
        self.ring.data.read_bytes(at, front);
        self.consume(len);
        Ok(len)
    }

    /// Finds the next record: the byte its payload begins at, and its length.
    #[inline(always)]
    fn peek(&mut self, patience: Option<Patience>) -> Result<(usize, usize), TryRecvError> {
        match (self.ring.peek(&mut self.end.state), patience) {
            (Err(Stop::Blocked), Some(patience)) => {
                let ring = &self.ring;
                loop {
                    let settled =
                        self.end.wait_until(patience, |state, glances| ring.watch_for_message(state, glances));
                    match ring.peek(&mut self.end.state) {
                        // The peer left, and another came.
                        Err(Stop::Blocked) if settled => {}
                        result => return Ok(result?),
                    }
                }
            }
            (result, _) => Ok(result?),
        }
    }

    #[inline(always)]
    fn consume(&mut self, len: usize) {
        self.ring.consume(&mut self.end.state, len);
        self.ring.after_consume(self.end.fences);
    }

    /// Receives records, back to back, into `buffer`, waiting until there is one, as long as they fit and
    /// `ends` has room: `ends[i]` becomes the offset at which record `i` ends. Returns how many: 0 only
    /// if `ends` is empty.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`] if the first does not fit, and those of [`recv`](Self::recv).
    pub fn recv_slice(&mut self, buffer: &mut [u8], ends: &mut [usize]) -> Result<usize, RecvError> {
        if ends.is_empty() {
            return Ok(0);
        }
        loop {
            let first = self.peek(Some(Patience::Forever));
            match first.and_then(|_| self.try_recv_slice(buffer, ends)) {
                Ok(received) => return Ok(received),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// [`recv_slice`](Self::recv_slice) of the records that are there now.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none, and those of [`recv_slice`](Self::recv_slice).
    #[inline]
    pub fn try_recv_slice(&mut self, buffer: &mut [u8], ends: &mut [usize]) -> Result<usize, TryRecvError> {
        let (mut received, mut filled) = (0, 0);
        for end in ends {
            let (at, len) = match self.ring.peek(&mut self.end.state) {
                Ok(found) => found,
                Err(stop) if received == 0 => return Err(stop.into()),
                Err(_) => break,
            };
            let space = &mut buffer[filled..];
            let space_len = space.len();
            let Some(front) = space.get_mut(..len) else {
                if received == 0 {
                    let error = RecvError::BufferTooShort { found: len, buffer: space_len };
                    return Err(TryRecvError::Refused(error));
                }
                break;
            };
            self.ring.data.read_bytes(at, front);
            self.ring.consume(&mut self.end.state, len);
            filled += len;
            *end = filled;
            received += 1;
        }
        if received > 0 {
            self.ring.after_consume(self.end.fences);
        }
        Ok(received)
    }

    /// The next record where it lies; waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_>, RecvError> {
        loop {
            match self.peek(Some(Patience::Forever)) {
                Ok((at, len)) => return Ok(RecvRef { at, len, receiver: self }),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Refused(error)) => return Err(error),
            }
        }
    }

    /// The next record where it lies, if there is one now.
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_>, TryRecvError> {
        let (at, len) = self.peek(None)?;
        Ok(RecvRef { at, len, receiver: self })
    }

    /// The records as they come, each in a vector of its own, until [`recv`](Self::recv) gives an error.
    pub fn iter(&mut self) -> Iter<'_> {
        Iter { receiver: self }
    }

    /// Records sent and not yet received. Walks them.
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no record now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`].
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// Whether a sender sits there now.
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left. What it sent may still be there.
    pub fn is_closed(&self) -> bool {
        self.end.peer_left()
    }

    /// How blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

/// A record in the ring. Dropping it consumes the record.
pub struct RecvRef<'a> {
    receiver: &'a mut Receiver,
    at: usize,
    len: usize,
}

impl RecvRef<'_> {
    /// The record's length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the record has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies a part of the record, from byte `offset` on.
    ///
    /// # Panics
    ///
    /// The range reaches beyond the record.
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.len), "a range inside the record");
        self.receiver.ring.data.read_bytes(self.at + offset, bytes);
    }

    /// A copy of the record.
    pub fn to_vec(&self) -> Vec<u8> {
        self.receiver.ring.data.read_vec(self.at, self.len)
    }

    /// The record's address, for [`len`](Self::len) bytes, aligned to 8. A hostile peer may write there.
    pub fn as_ptr(&self) -> *const u8 {
        self.receiver.ring.data.address(self.at, self.len)
    }

    /// The record in place, without a copy.
    ///
    /// # Safety
    ///
    /// No process writes to the record while the reference lives. A sender that uses this crate does not:
    /// the bytes are this receiver's until the guard is dropped. So every process that can write the
    /// region must be trusted to use it through this crate alone, and this process must not be a child
    /// forked since the guard was made.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: inside the region by construction; the caller vouches that nobody writes.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), self.len) }
    }
}

impl Drop for RecvRef<'_> {
    fn drop(&mut self) {
        if self.receiver.end.state.holder != 0 {
            self.receiver.consume(self.len);
        }
    }
}

/// The records of a [`Receiver`], as they come.
pub struct Iter<'a> {
    receiver: &'a mut Receiver,
}

impl Iterator for Iter<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.receiver.recv().ok()
    }
}

impl<'a> IntoIterator for &'a mut Receiver {
    type Item = Vec<u8>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
