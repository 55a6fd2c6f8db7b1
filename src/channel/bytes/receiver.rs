//! The receiving end of the ring.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::{Peeked, RecvRef};
use crate::channel::awaited::Record;
use crate::channel::endpoint::Endpoint;
use crate::channel::iter::{Iter, Receive, items_now};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::layout::WORD;
use crate::protocol::ends::after_consume;
use crate::protocol::records::RecordRing;
use crate::wait::{Canceller, Wait};

/// The receiving end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. After it is dropped, the sender sees `Closed`, and records that it did not receive stay in the
/// ring.
///
/// # Examples
///
/// ```
/// let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
/// channel.sender()?.send_slice(&[b"one", b"two"])?;
/// assert_eq!(channel.receiver()?.recv()?, b"one");
/// assert_eq!(channel.receiver()?.recv()?, b"two"); // a successor goes on where the first one left
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Receiver {
    pub(super) end: Endpoint,
    pub(super) ring: RecordRing,
}

impl Receiver {
    /// Receives the next record into a new vector, waiting until there is one. To receive without
    /// allocating, see [`recv_into`](Self::recv_into) and [`recv_ref`](Self::recv_ref).
    ///
    /// # Errors
    ///
    /// - [`RecvError::Closed`]: the ring is empty, and the sender left.
    /// - [`RecvError::PeerDied`]: the ring is empty, and the sender died.
    /// - [`RecvError::Forked`]: this process is a forked child of the receiver's.
    /// - [`RecvError::FileLost`], [`RecvError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?;
    /// drop(tx);
    /// assert_eq!(rx.recv()?, b"any length"); // waits if there is none
    /// assert_eq!(rx.recv(), Err(RecvError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv(&mut self) -> Result<Vec<u8>, RecvError> {
        let len = self.end.find(Record(&self.ring))?;
        Ok(self.take(len))
    }

    /// Receives the next record if there is one now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv`](Self::recv). A death is among them only if something asked before, or
    /// the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(b"a line")?;
    /// assert_eq!(rx.try_recv()?, b"a line");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_recv(&mut self) -> Result<Vec<u8>, TryRecvError> {
        let len = self.end.find_now(Record(&self.ring))?;
        Ok(self.take(len))
    }

    /// Receives the next record, waiting for one for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvTimeoutError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// assert_eq!(rx.recv_timeout(Duration::from_secs(1))?, b"a line");
    /// assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        let len = self.end.find_within(Record(&self.ring), timeout)?;
        Ok(self.take(len))
    }

    /// Receives the next record, waiting for one until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvTimeoutError;
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// let deadline = Instant::now() + Duration::from_millis(1); // for all of the request
    /// assert_eq!(rx.recv_deadline(deadline)?, b"a line");
    /// assert_eq!(rx.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Vec<u8>, RecvTimeoutError> {
        let len = self.end.find_by(Record(&self.ring), deadline)?;
        Ok(self.take(len))
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let record = self.ring.area.read_vec(self.ring.payload(&self.end.state), len);
        self.consume(len);
        record
    }

    /// Receives the next record into the front of `buffer`, waiting until there is one, and returns its length in
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`], which leaves the record in the ring, and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?;
    /// let mut buffer = [0; 64]; // of the caller's: nothing is allocated
    /// let len = rx.recv_into(&mut buffer)?;
    /// assert_eq!(&buffer[..len], b"any length");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        let len = self.end.find(Record(&self.ring))?;
        self.take_into(len, buffer)
    }

    /// Receives the next record into the front of `buffer` if there is one now, and returns its length in bytes.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], and those of [`recv_into`](Self::recv_into). A death is among them only if something asked
    /// before, or the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut buffer = [0; 64];
    /// assert_eq!(rx.try_recv_into(&mut buffer), Err(TryRecvError::Empty));
    /// tx.send(b"a line")?;
    /// assert_eq!(rx.try_recv_into(&mut buffer), Ok(6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv_into(&mut self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        let len = self.end.find_now(Record(&self.ring))?;
        self.take_into(len, buffer).map_err(TryRecvError::Refused)
    }

    /// Receives the next record into the front of `buffer`, waiting for one for at most `timeout`, and returns its
    /// length in bytes.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv_into`](Self::recv_into).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// let mut short = [0; 2];
    /// let error = rx.recv_into_timeout(&mut short, Duration::from_secs(1));
    /// assert_eq!(error, Err(RecvError::BufferTooShort { found: 6, buffer: 2 }.into()));
    /// assert_eq!(rx.recv()?, b"a line"); // it stayed in the ring
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_into_timeout(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, RecvTimeoutError> {
        let len = self.end.find_within(Record(&self.ring), timeout)?;
        self.take_into(len, buffer).map_err(RecvTimeoutError::Refused)
    }

    /// Takes the record that is there, of `len` bytes.
    #[inline(always)]
    fn take_into(&mut self, len: usize, buffer: &mut [u8]) -> Result<usize, RecvError> {
        let Some(front) = buffer.get_mut(..len) else {
            return Err(RecvError::BufferTooShort { found: len, buffer: buffer.len() });
        };
        self.ring.area.read_bytes(self.ring.payload(&self.end.state), front);
        self.consume(len);
        Ok(len)
    }

    #[inline(always)]
    pub(super) fn consume(&mut self, len: usize) {
        // This is read before the store, because the compiler assumes that the store may change any memory.
        let lane = &*self.ring.ends.lane;
        self.ring.consume(&mut self.end.state, len);
        after_consume(lane, self.end.fences);
    }

    /// Receives records into `buffer`, back to back, for as long as they fit and `ends` has room; waits until there is
    /// one. `ends[i]` becomes the byte offset at which record `i` ends. Returns how many records it received: 0 only if
    /// `ends` is empty.
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`] if the first does not fit, and those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two", b"three"])?;
    /// let (mut buffer, mut ends) = ([0; 1024], [0; 64]);
    /// let received = rx.recv_slice(&mut buffer, &mut ends)?; // waits for one, takes all that fit
    /// assert_eq!(ends[..received], [3, 6, 11]);
    /// assert_eq!(&buffer[ends[1]..ends[2]], b"three");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_slice(&mut self, buffer: &mut [u8], ends: &mut [usize]) -> Result<usize, RecvError> {
        if ends.is_empty() {
            return Ok(0);
        }
        let first = self.end.find(Record(&self.ring))?;
        self.take_slice(first, buffer, ends)
    }

    /// [`recv_slice`](Self::recv_slice), waiting for a record for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`], and those of [`recv_slice`](Self::recv_slice).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two"])?;
    /// let (mut buffer, mut ends) = ([0; 1024], [0; 64]);
    /// assert_eq!(rx.recv_slice_timeout(&mut buffer, &mut ends, Duration::from_secs(1)), Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_slice_timeout(
        &mut self,
        buffer: &mut [u8],
        ends: &mut [usize],
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError> {
        if ends.is_empty() {
            return Ok(0);
        }
        let first = self.end.find_within(Record(&self.ring), timeout)?;
        Ok(self.take_slice(first, buffer, ends)?)
    }

    /// [`recv_slice`](Self::recv_slice), but only of the records that are there now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none, and those of [`recv_slice`](Self::recv_slice). A death is among them only
    /// if something asked before, or the sender panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TryRecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let (mut buffer, mut ends) = ([0; 1024], [0; 64]);
    /// assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Err(TryRecvError::Empty));
    /// tx.send_slice(&[b"one", b"two"])?;
    /// assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv_slice(&mut self, buffer: &mut [u8], ends: &mut [usize]) -> Result<usize, TryRecvError> {
        if ends.is_empty() {
            return Ok(0);
        }
        let first = self.end.find_now(Record(&self.ring))?;
        self.take_slice(first, buffer, ends).map_err(TryRecvError::Refused)
    }

    /// Takes the record that is there, of `len` bytes, and those after it.
    #[inline(always)]
    fn take_slice(&mut self, mut len: usize, buffer: &mut [u8], ends: &mut [usize]) -> Result<usize, RecvError> {
        let (mut received, mut filled) = (0, 0);
        for end in ends {
            let space = &mut buffer[filled..];
            let space_len = space.len();
            let Some(front) = space.get_mut(..len) else {
                if received == 0 {
                    return Err(RecvError::BufferTooShort { found: len, buffer: space_len });
                }
                break;
            };
            self.ring.area.read_bytes(self.ring.payload(&self.end.state), front);
            self.ring.consume(&mut self.end.state, len);
            filled += len;
            *end = filled;
            received += 1;
            match self.ring.message(&self.end.state) {
                Some(next) => len = next,
                None => break,
            }
        }
        after_consume(&self.ring.ends.lane, self.end.fences);
        Ok(received)
    }

    /// The next record, for reading in place; waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// # tx.send(&[7; 1000])?;
    /// let record = rx.recv_ref()?; // waits if there is none
    /// let mut front = [0; 2];
    /// record.read_at(0, &mut front); // only what is needed is copied
    /// assert_eq!((record.len(), front), (1000, [7, 7]));
    /// drop(record); // consumes it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn recv_ref(&mut self) -> Result<RecvRef<'_>, RecvError> {
        let len = self.end.find(Record(&self.ring))?;
        Ok(RecvRef::new(self, len))
    }

    /// The next record, for reading in place, if there is one now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(rx.try_recv_ref().is_err_and(|error| error.is_empty()));
    /// tx.send(b"a line")?;
    /// assert_eq!(rx.try_recv_ref()?.len(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<RecvRef<'_>, TryRecvError> {
        let len = self.end.find_now(Record(&self.ring))?;
        Ok(RecvRef::new(self, len))
    }

    /// The next record, for reading in place; waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// assert_eq!(rx.recv_ref_timeout(Duration::from_secs(1))?.to_vec(), b"a line");
    /// assert!(rx.recv_ref_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<RecvRef<'_>, RecvTimeoutError> {
        let len = self.end.find_within(Record(&self.ring), timeout)?;
        Ok(RecvRef::new(self, len))
    }

    /// Reads the records that are there in place, one after the other; waits until there is one. None is consumed until
    /// [`Peeked::consume_up_to`]: to read them again, call this again. Use it for a bridge that acknowledges late.
    ///
    /// If this process ends before it consumes them, its successor gets the records that were read as
    /// [redeliveries](Self::is_redelivery).
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(4096).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// for record in ["one", "two", "three"] {
    ///     tx.send(record.as_bytes())?;
    /// }
    /// let mut ahead = rx.peek_many()?;
    /// while let Some(record) = ahead.next_record() {
    ///     println!("{} bytes on their way", record.len());
    /// }
    /// // The other side has acknowledged two of them.
    /// ahead.consume_up_to(2);
    /// assert_eq!(rx.recv()?, b"three");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_many(&mut self) -> Result<Peeked<'_>, RecvError> {
        self.end.find(Record(&self.ring))?;
        Ok(Peeked::new(self))
    }

    /// [`peek_many`](Self::peek_many), if there is a record now.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks like `Empty` until something asks, such
    /// as [`has_sender`](Self::has_sender).
    ///
    /// # Errors
    ///
    /// Those of [`try_recv`](Self::try_recv).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(rx.try_peek_many().is_err_and(|error| error.is_empty()));
    /// tx.send(b"a line")?;
    /// let mut ahead = rx.try_peek_many()?;
    /// assert_eq!(ahead.next_record().map(|record| record.len()), Some(6));
    /// assert_eq!(rx.recv()?, b"a line"); // it was not consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_peek_many(&mut self) -> Result<Peeked<'_>, TryRecvError> {
        self.end.find_now(Record(&self.ring))?;
        Ok(Peeked::new(self))
    }

    /// [`peek_many`](Self::peek_many) that waits for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// let mut ahead = rx.peek_many_timeout(Duration::from_secs(1))?;
    /// assert!(ahead.next_record().is_some() && ahead.next_record().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_many_timeout(&mut self, timeout: Duration) -> Result<Peeked<'_>, RecvTimeoutError> {
        self.end.find_within(Record(&self.ring), timeout)?;
        Ok(Peeked::new(self))
    }

    /// The position of the next record, in words of 8 bytes. The first record ever sent has position 1. 0 in a forked
    /// child, and if the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?; // two words, and one for the header
    /// assert_eq!(rx.position(), 1);
    /// rx.recv()?;
    /// assert_eq!(rx.position(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How many records were received so far, by this receiver and those before it. A bridge that is restarted goes on
    /// from there. Walks the records from the sender's last checkpoint on, as [`len`](Self::len) does. 0 in a forked
    /// child, and if the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// channel.sender()?.send_slice(&[b"one", b"two", b"three"])?;
    /// let mut rx = channel.receiver()?;
    /// rx.recv()?;
    /// rx.recv()?;
    /// drop(rx);
    /// assert_eq!(channel.receiver()?.records(), 2); // a successor goes on from there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn records(&self) -> u64 {
        self.ring.records_received(&self.end.state)
    }

    /// An iterator over the records as they come, each in a vector of its own: the results of [`recv`](Self::recv). It
    /// ends when the sender has left and everything is received. A [`RecvError::PeerDied`] does not end it: the records of
    /// a successor follow. Any other error is its last item.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(4096).anonymous()?;
    /// # let (mut tx, mut rx) = (channel.sender()?, channel.receiver()?);
    /// # tx.send(b"a line")?;
    /// # drop(tx);
    /// for record in &mut rx {
    ///     println!("{}", String::from_utf8_lossy(&record?));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, Self> {
        Iter::new(self)
    }

    /// An iterator over the records that are there now: the results of [`try_recv`](Self::try_recv) until that finds none.
    /// An error is its last item.
    ///
    /// It never asks the kernel whether the sender lives: one that was killed looks as if it had sent nothing until
    /// something asks, such as [`has_sender`](Self::has_sender).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two"])?;
    /// let there_now = rx.try_iter().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(there_now, [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> impl Iterator<Item = Result<Vec<u8>, RecvError>> {
        items_now(|| self.try_recv())
    }

    /// How many records were sent and not yet received.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two", b"three"])?;
    /// rx.recv()?;
    /// assert_eq!(rx.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_receiver(&self.end.state)
    }

    /// Whether there is no record now.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(rx.is_empty());
    /// tx.send(b"a line")?;
    /// assert!(!rx.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty(&self.end.state)
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`](crate::Options::capacity_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1000)?;
    /// assert!(rx.capacity() > 1000); // rounded up to whole pages
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// How often the receiver's seat has been taken, including by this receiver. The sender's `PeerDied` names this
    /// number.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// assert_eq!(channel.receiver()?.generation(), 1);
    /// assert_eq!(channel.receiver()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether the next record was lent before and not consumed, by [`recv_ref`](Self::recv_ref) or
    /// [`peek_many`](Self::peek_many). The receiver that lent it ended before it dropped the guard, or this receiver
    /// forgot the guard (`mem::forget`).
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// # channel.sender()?.send(b"a job")?;
    /// let mut rx = channel.receiver()?;
    /// std::mem::forget(rx.recv_ref()?); // as if it crashed in the middle of its work
    /// drop(rx);
    /// let rx = channel.receiver()?;
    /// assert!(rx.is_redelivery()); // somebody may have worked on the next record
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.end.state.redelivers()
    }

    /// Whether a living sender holds its seat now. Asks the kernel.
    ///
    /// If it finds the sender dead, later calls say so, also those that never wait: `PeerDied`, once the ring is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(rx.has_sender());
    /// drop(tx);
    /// assert!(!rx.has_sender());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_sender(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether the sender left, or died and that was not reported yet. Its records may still be there. Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// assert_eq!(rx.recv()?, b"a line"); // what it sent is still there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// Sets how blocked calls wait from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// rx.set_wait(Wait::Spin); // a processor of its own, for the shortest delay
    /// assert_eq!(rx.wait(), Wait::Spin);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }

    /// How blocked calls wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Wait;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert_eq!(rx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the sender leaves or dies: `recv` then waits for the next sender, and never returns
    /// [`RecvError::Closed`] or [`RecvError::PeerDied`]. Nor does any other call. For services that restart. Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(4096).anonymous()?;
    /// let mut rx = channel.receiver()?;
    /// rx.outlive_peers(true);
    /// for record in [b"one", b"two"] {
    ///     let mut tx = channel.sender()?; // each leaves before the next one comes
    ///     tx.send(record)?;
    /// }
    /// assert_eq!([rx.recv()?, rx.recv()?], [b"one", b"two"]);
    /// assert!(rx.try_recv().is_err_and(|error| error.is_empty()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.end.outlives_peers = yes;
    }

    /// Waits until a living sender holds its seat, for at most `timeout`. A claim wakes this call.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`]: none came. [`RecvError::Forked`], [`RecvError::Cancelled`], [`RecvError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let mut rx = channel.receiver()?;
    /// assert!(rx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _tx = channel.sender()?; // usually in another process
    /// rx.wait_for_peer(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.end.wait_for_peer::<TryRecvError>(timeout)
    }

    /// What ends the blocked calls of this receiver, from any thread or a signal handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::RecvError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let canceller = rx.canceller();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| canceller.cancel());
    ///     assert_eq!(rx.recv(), Err(RecvError::Cancelled));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

impl Receive for Receiver {
    type Message = Vec<u8>;

    fn next_message(&mut self) -> Result<Vec<u8>, RecvError> {
        self.recv()
    }
}

impl<'a> IntoIterator for &'a mut Receiver {
    type Item = Result<Vec<u8>, RecvError>;
    type IntoIter = Iter<'a, Receiver>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl core::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::Receiver").field("end", &self.end).finish()
    }
}
