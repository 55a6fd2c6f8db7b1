//! The sending end of the ring.

use std::time::{Duration, Instant};

use crate::channel::Sent;
use crate::channel::awaited::Room;
use crate::channel::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::layout::WORD;
use crate::protocol::ends::after_publish;
use crate::protocol::records::RecordRing;
use crate::protocol::tally::Count;
use crate::wait::{Canceller, Wait};

/// The sending end. At most one exists among all processes at a time. Any thread of the process that took it may use
/// it, one at a time. After it is dropped, the receiver drains the ring and then sees `Closed`.
///
/// # Examples
///
/// ```
/// let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
/// let mut tx = channel.sender()?;
/// assert!(channel.sender().is_err()); // one at a time
/// std::thread::spawn(move || tx.send(b"a line")).join().expect("no panic")?; // any thread may use it
/// assert!(channel.sender().is_ok()); // it was dropped in that thread
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender {
    pub(super) end: Endpoint,
    pub(super) ring: RecordRing,
}

impl Sender {
    /// Sends `record`, waiting while there is no room for it.
    ///
    /// A receiver that leaves may be noticed late: the first record after that may still be sent, and then waits in the ring
    /// for the next receiver. To know before, ask [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// - [`SendError::TooLong`]: the record is longer than [`max_len`](Self::max_len).
    /// - [`SendError::Closed`]: the receiver left.
    /// - [`SendError::PeerDied`]: the receiver died, and the ring is full; or it panicked.
    /// - [`SendError::Forked`]: this process is a forked child of the sender's.
    /// - [`SendError::FileLost`], [`SendError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?;
    /// assert_eq!(rx.recv()?, b"any length");
    /// let too_long = vec![0; tx.max_len() + 1];
    /// assert!(matches!(tx.send(&too_long), Err(SendError::TooLong(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn send(&mut self, record: &[u8]) -> Result<(), SendError> {
        self.end.find(Room(&self.ring, record.len()))?;
        self.put(record);
        Ok(())
    }

    /// Sends `record` if there is room for it now.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send). A death is among them only if something asked before, or
    /// the receiver panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.try_send(&[0; 60_000])?;
    /// assert!(tx.try_send(&[0; 60_000]).is_err_and(|error| error.is_full()));
    /// rx.recv()?;
    /// tx.try_send(&[0; 60_000])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send(&mut self, record: &[u8]) -> Result<(), TrySendError> {
        self.end.find_now(Room(&self.ring, record.len()))?;
        self.put(record);
        Ok(())
    }

    /// Sends `record`, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendTimeoutError;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_timeout(&[0; 60_000], Duration::from_secs(1))?;
    /// assert_eq!(tx.send_timeout(&[0; 60_000], Duration::from_millis(1)), Err(SendTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_timeout(&mut self, record: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.end.find_within(Room(&self.ring, record.len()), timeout)?;
        self.put(record);
        Ok(())
    }

    /// Sends `record`, waiting for room until `deadline`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendTimeoutError;
    /// # use std::time::{Duration, Instant};
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let deadline = Instant::now() + Duration::from_millis(1); // for both together
    /// tx.send_deadline(&[0; 60_000], deadline)?;
    /// assert_eq!(tx.send_deadline(&[0; 60_000], deadline), Err(SendTimeoutError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_deadline(&mut self, record: &[u8], deadline: Instant) -> Result<(), SendTimeoutError> {
        self.end.find_by(Room(&self.ring, record.len()), deadline)?;
        self.put(record);
        Ok(())
    }

    /// Sends `record` in the free space.
    #[inline(always)]
    fn put(&mut self, record: &[u8]) {
        self.ring.write(&self.end.state, record);
        self.publish(record.len());
    }

    /// Sends the record that was written in place.
    #[inline(always)]
    fn publish(&mut self, len: usize) {
        // These are read before the store, because the compiler assumes that the store may change any memory.
        let (lane, state) = (&*self.ring.ends.lane, &mut *self.end.state);
        self.ring.publish(state, len);
        after_publish(lane, state, self.end.fences);
    }

    /// Sends all of `records`, waiting for room as often as needed.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send). The first of the records may have been sent: [`records`](Self::records) before and
    /// after the call tells how many. So a record that is too long is an error after those before it were sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two", b"three"])?;
    /// assert_eq!(rx.recv()?, b"one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_slice(&mut self, records: &[&[u8]]) -> Result<(), SendError> {
        let mut rest = records;
        while !rest.is_empty() {
            let Sent(sent) = self.send_some(rest)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends as many of `records` as there is room for, and waits until there is room for the first. Returns how many it
    /// sent: 0 only if `records` is empty.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send); nothing was sent then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Sent;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let records = [&[1; 40_000][..], &[2; 20_000], &[3; 20_000]];
    /// let Sent(sent) = tx.send_some(&records)?;
    /// assert_eq!(records[sent..], [&[3; 20_000][..]]); // there was room for two
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_some(&mut self, records: &[&[u8]]) -> Result<Sent, SendError> {
        let Some(first) = records.first() else { return Ok(Sent(0)) };
        self.end.find(Room(&self.ring, first.len()))?;
        Ok(self.put_slice(records))
    }

    /// Sends as many of `records` as there is room for now, and returns how many it sent. A record that is too long ends
    /// the batch before it.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if `records` is not empty and there is room for none, and those of [`send`](Self::send). A
    /// record that is too long is an error only if it is the first. A death is among them only if something asked before,
    /// or the receiver panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{Sent, TrySendError};
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let records = [&[1; 40_000][..], &[2; 40_000]];
    /// assert_eq!(tx.try_send_some(&records)?, Sent(1));
    /// assert_eq!(tx.try_send_some(&records[1..]), Err(TrySendError::Full));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send_some(&mut self, records: &[&[u8]]) -> Result<Sent, TrySendError> {
        let Some(first) = records.first() else { return Ok(Sent(0)) };
        self.end.find_now(Room(&self.ring, first.len()))?;
        Ok(self.put_slice(records))
    }

    /// Whether there is space for a record of `len` bytes. If something new prevents that, the next call reports it.
    #[inline(always)]
    fn has_space(&mut self, len: usize) -> bool {
        self.ring.has_space(&self.end.state, len)
            || len <= self.ring.max_len && self.ring.look_for_space(&mut self.end.state, len).is_ok()
    }

    /// Sends the first of `records` in the free space, and as many of the others as there is room for.
    #[inline(always)]
    fn put_slice(&mut self, records: &[&[u8]]) -> Sent {
        let mut sent = 0;
        for record in records {
            let len = record.len();
            if sent > 0 && !self.has_space(len) {
                break;
            }
            self.ring.write(&self.end.state, record);
            self.ring.publish(&mut self.end.state, len);
            sent += 1;
        }
        after_publish(&self.ring.ends.lane, &mut self.end.state, self.end.fences);
        Sent(sent)
    }

    /// Room for a record of `len` bytes, for writing in place; waits while there is none.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(1000)?; // waits while there is no room
    /// record.write_at(0, b"the front");
    /// record.truncate(9);
    /// record.send()?;
    /// assert_eq!(rx.recv()?, b"the front");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_ref(&mut self, len: usize) -> Result<SendRef<'_>, SendError> {
        self.end.find(Room(&self.ring, len))?;
        Ok(self.lend(len))
    }

    /// Room for a record of `len` bytes, for writing in place, if there is some now.
    ///
    /// It never asks the kernel whether the receiver lives: one that was killed looks like `Full` until something asks,
    /// such as [`has_receiver`](Self::has_receiver).
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.try_send_ref(60_000)?;
    /// record.write_at(0, b"the front");
    /// record.send()?;
    /// assert!(tx.try_send_ref(60_000).is_err_and(|error| error.is_full()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_send_ref(&mut self, len: usize) -> Result<SendRef<'_>, TrySendError> {
        self.end.find_now(Room(&self.ring, len))?;
        Ok(self.lend(len))
    }

    /// Room for a record of `len` bytes, for writing in place; waits for at most `timeout` while there is none.
    ///
    /// # Errors
    ///
    /// Those of [`send_timeout`](Self::send_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let record = tx.send_ref_timeout(60_000, Duration::from_secs(1))?;
    /// record.send()?;
    /// assert!(tx.send_ref_timeout(60_000, Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_ref_timeout(&mut self, len: usize, timeout: Duration) -> Result<SendRef<'_>, SendTimeoutError> {
        self.end.find_within(Room(&self.ring, len), timeout)?;
        Ok(self.lend(len))
    }

    fn lend(&mut self, len: usize) -> SendRef<'_> {
        SendRef { at: self.ring.payload(&self.end.state), len, sender: self }
    }

    /// The position of the next record, in words of 8 bytes. The first record ever sent has position 1, and each sender
    /// goes on where the last one ended. 0 in a forked child, and if the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert_eq!(tx.position(), 1);
    /// tx.send(b"any length")?; // two words, and one for the header
    /// assert_eq!(tx.position(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How many records were sent so far, by this sender and those before it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// tx.send_slice(&[b"one", b"two"])?;
    /// drop(tx);
    /// assert_eq!(channel.sender()?.records(), 2); // a successor counts on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn records(&self) -> u64 {
        Count::sent(&self.end.state).records
    }

    /// How many records were sent and not yet received.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two", b"three"])?;
    /// rx.recv()?;
    /// assert_eq!(tx.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// assert!(!tx.is_empty());
    /// rx.recv()?;
    /// assert!(tx.is_empty()); // the receiver has everything
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.ends.is_drained(&self.end.state)
    }

    /// How many bytes the ring holds: see [`Options::capacity_bytes`](crate::Options::capacity_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1000)?;
    /// assert!(tx.capacity() > 1000); // rounded up to whole pages
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.capacity * WORD as u64
    }

    /// The longest record that the ring takes, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let chunk = vec![0; tx.max_len()];
    /// tx.send(&chunk)?; // fills the ring
    /// assert!(tx.try_send(b"").is_err_and(|error| error.is_full()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring.max_len
    }

    /// How often the sender's seat has been taken, including by this sender. The receiver's `PeerDied` names this
    /// number.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// assert_eq!(channel.sender()?.generation(), 1);
    /// assert_eq!(channel.sender()?.generation(), 2); // its successor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a living receiver holds its seat now. Asks the kernel.
    ///
    /// If it finds the receiver dead, later calls say so, also those that never wait: `PeerDied`, once the ring is full.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(tx.has_receiver());
    /// drop(rx);
    /// assert!(!tx.has_receiver());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver held its seat since this sender came, and then left, or died and that was not reported yet.
    /// Asks the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let tx = channel.sender()?;
    /// assert!(!tx.is_closed()); // no receiver came yet
    /// drop(channel.receiver()?);
    /// assert!(tx.is_closed()); // one came and left
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
    /// tx.set_wait(Wait::Sleep); // the receiver is slow, and needs the processor
    /// assert_eq!(tx.wait(), Wait::Sleep);
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
    /// assert_eq!(tx.wait(), Wait::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait(&self) -> Wait {
        self.end.wait
    }

    /// Sets whether calls go on when the receiver leaves or dies: `send` then fills the ring, waits for the next receiver, and
    /// never returns [`SendError::Closed`] or [`SendError::PeerDied`]. Nor does any other call. For services that restart.
    /// Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::TrySendError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.outlive_peers(true);
    /// drop(rx);
    /// tx.send_slice(&[&[0; 30_000], &[0; 30_000]])?; // wait in the ring for the next receiver
    /// assert_eq!(tx.try_send(&[0; 30_000]), Err(TrySendError::Full)); // not `Closed`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outlive_peers(&mut self, yes: bool) {
        self.end.outlives_peers = yes;
    }

    /// Waits until a living receiver holds its seat, for at most `timeout`. A claim wakes this call.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`]: none came. [`SendError::Forked`], [`SendError::Cancelled`], [`SendError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let channel = ringway::bytes::Channel::options().capacity_bytes(1 << 16).anonymous()?;
    /// let mut tx = channel.sender()?;
    /// assert!(tx.wait_for_peer(Duration::from_millis(1)).is_err_and(|error| error.is_timeout()));
    /// let _rx = channel.receiver()?; // usually in another process
    /// tx.wait_for_peer(Duration::from_secs(60))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_peer(&mut self, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.end.wait_for_peer::<TrySendError>(timeout)
    }

    /// What ends the blocked calls of this sender, from any thread or a signal handler. Each call returns the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::SendError;
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(&[0; 60_000])?;
    /// let canceller = tx.canceller();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| canceller.cancel());
    ///     assert_eq!(tx.send(&[0; 60_000]), Err(SendError::Cancelled)); // there is no room
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canceller(&mut self) -> Canceller {
        self.end.canceller()
    }
}

/// A record in the ring, for writing in place. If it is dropped without [`send`](Self::send), it publishes nothing.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
/// let mut record = tx.send_ref(6)?;
/// record.write_at(0, b"a line");
/// drop(record); // changed its mind: nothing is sent
/// assert!(rx.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a record that is not sent publishes nothing"]
pub struct SendRef<'a> {
    sender: &'a mut Sender,
    at: usize,
    len: usize,
}

impl SendRef<'_> {
    /// The record's length in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(100)?;
    /// record.truncate(10);
    /// assert_eq!(record.len(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the record has no bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// assert!(tx.send_ref(0)?.is_empty());
    /// tx.send_ref(0)?.send()?; // a record of no bytes is one, too
    /// assert_eq!(rx.recv()?, b"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes `bytes` at byte `offset` of the record. Bytes that are never written keep earlier records' content.
    ///
    /// Does nothing in a forked child, where [`send`](Self::send) returns an error.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the record.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(4)?;
    /// record.write_at(0, b"ab");
    /// record.write_at(2, b"cd");
    /// record.send()?;
    /// assert_eq!(rx.recv()?, b"abcd");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.len), "a range inside the record");
        if !self.sender.end.state.is_forked_child() {
            self.sender.ring.area.write(self.at + offset, bytes);
        }
    }

    /// Shortens the record to `len` bytes. Does nothing if it is not longer.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(1000)?; // the most that it may become
    /// record.write_at(0, b"short");
    /// record.truncate(5);
    /// record.send()?;
    /// assert_eq!(rx.recv()?, b"short");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The address of the record's [`len`](Self::len) bytes, aligned to 8. Other processes may read and write there.
    /// Use it only for volatile or atomic accesses, only while this record is held, and only in the process that holds
    /// it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(1)?;
    /// // SAFETY: the address is that of a record which is held, and the access is volatile.
    /// unsafe { record.as_mut_ptr().write_volatile(b'x') };
    /// record.send()?;
    /// assert_eq!(rx.recv()?, b"x");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.sender.ring.area.address_mut(self.at, self.len)
    }

    /// The record's bytes, for writing in place. They hold what earlier records left, or zeroes.
    ///
    /// # Safety
    ///
    /// For as long as the reference is used, no other process reads or writes these bytes, and this process has not forked
    /// since it took the seat. Of peers that follow the protocol none does: a receiver reads a record only when it is
    /// published. A hostile one may; then this is a data race.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(100)?;
    /// // SAFETY: the receiver is this process's own, and follows the protocol.
    /// unsafe { record.as_mut_slice() }.fill(7);
    /// record.send()?;
    /// assert_eq!(rx.recv()?, [7; 100]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: inside the region by construction; the caller guarantees the rest.
        unsafe { core::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }

    /// Publishes the record.
    ///
    /// # Errors
    ///
    /// [`SendError::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// let mut record = tx.send_ref(6)?;
    /// record.write_at(0, b"a line");
    /// assert_eq!(record.send(), Ok(())); // from now on the receiver has it
    /// assert_eq!(rx.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(self) -> Result<(), SendError> {
        if self.sender.end.state.is_forked_child() {
            return Err(SendError::Forked);
        }
        self.sender.publish(self.len);
        Ok(())
    }
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::Sender").field("end", &self.end).finish()
    }
}

impl core::fmt::Debug for SendRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::SendRef").field("sender", &self.sender).field("len", &self.len).finish()
    }
}
