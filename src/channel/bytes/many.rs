//! Batches in place: records that are read, and then consumed in part or as a whole.

use super::Receiver;
use crate::protocol::ends::after_consume;
use crate::protocol::records::RecordRing;

/// Reads the records that are there in place, one after the other: see [`Receiver::peek_many`]. If it is dropped, they
/// all stay in the ring.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
/// tx.send_slice(&[b"one", b"two", b"three"])?;
/// drop(rx.peek_many()?); // a look ahead consumes nothing
/// let mut ahead = rx.peek_many()?;
/// ahead.next_record();
/// ahead.consume_up_to(1);
/// assert_eq!(rx.recv()?, b"two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Peeked<'a> {
    receiver: &'a mut Receiver,
    /// Position and offset of the next record to read.
    pos: u64,
    offset: u64,
    seen: usize,
    /// No record begins here or behind it, unless a peer makes them up.
    limit: u64,
    again: bool,
}

impl<'a> Peeked<'a> {
    pub(super) fn new(receiver: &'a mut Receiver) -> Self {
        let state = &*receiver.end.state;
        let (pos, offset, again) = (state.pos, state.offset, state.redelivers());
        let limit = pos + receiver.ring.capacity;
        Self { receiver, pos, offset, seen: 0, limit, again }
    }

    /// Whether the first record was lent before and not consumed: see [`Receiver::is_redelivery`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a job")?;
    /// rx.peek_many()?.next_record();
    /// assert!(rx.peek_many()?.is_redelivery()); // it was lent, and not consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.again
    }

    /// How many records [`next_record`](Self::next_record) has returned so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two"])?;
    /// let mut ahead = rx.peek_many()?;
    /// while ahead.next_record().is_some() {}
    /// assert_eq!(ahead.seen(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The next record, if it is there now. Also `None` if something else must be reported before it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two"])?;
    /// let mut ahead = rx.peek_many()?;
    /// while let Some(record) = ahead.next_record() {
    ///     println!("{} bytes: {:?}", record.len(), record.to_vec());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_record(&mut self) -> Option<PeekedRecord<'_>> {
        if self.pos >= self.limit {
            return None;
        }
        let Receiver { end, ring } = &mut *self.receiver;
        let len = ring.message_at(self.pos, self.offset)?;
        let at = ring.payload_at(self.offset);
        if !end.state.is_forked_child() {
            ring.ends.lend(&mut end.state, self.pos);
        }
        (self.pos, self.offset) = ring.after(self.pos, self.offset, len);
        self.seen += 1;
        Some(PeekedRecord { ring: &self.receiver.ring, at, len })
    }

    /// Consumes the first `count` records. The others stay, and are the next to be received.
    ///
    /// Does nothing in a forked child.
    ///
    /// # Panics
    ///
    /// If `count` is more than [`seen`](Self::seen).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send_slice(&[b"one", b"two", b"three"])?;
    /// let mut ahead = rx.peek_many()?;
    /// while ahead.next_record().is_some() {}
    /// let acknowledged = 2; // by the other side of a bridge
    /// ahead.consume_up_to(acknowledged);
    /// assert_eq!(rx.recv()?, b"three");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consume_up_to(self, count: usize) {
        assert!(count <= self.seen, "records that were looked at");
        let Receiver { end, ring } = self.receiver;
        let state = &mut *end.state;
        // One by one: if this process dies in between, it has consumed whole records, and the tally says which.
        for _ in 0..count {
            // A hostile peer may have removed it, or made it reach beyond what was looked at.
            let Some(len) = ring.message(state) else { break };
            if ring.after(state.pos, state.offset, len).0 > self.pos {
                break;
            }
            ring.consume(state, len);
        }
        if !state.is_forked_child() {
            after_consume(&ring.ends.lane, end.fences);
        }
    }
}

/// A record in the ring, for reading in place.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
/// tx.send(b"a line")?;
/// let mut ahead = rx.peek_many()?;
/// let record = ahead.next_record().ok_or("nothing there")?;
/// assert_eq!(record.to_vec(), b"a line");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PeekedRecord<'a> {
    pub(super) ring: &'a RecordRing,
    /// Where its bytes begin, in bytes.
    pub(super) at: usize,
    pub(super) len: usize,
}

impl PeekedRecord<'_> {
    /// The record's length in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?;
    /// assert_eq!(rx.peek_many()?.next_record().map(|record| record.len()), Some(10));
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
    /// tx.send(b"")?;
    /// assert!(rx.peek_many()?.next_record().is_some_and(|record| record.is_empty()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `bytes` from the record, from byte `offset` on.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the record.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"12345678")?;
    /// let mut ahead = rx.peek_many()?;
    /// let record = ahead.next_record().ok_or("nothing there")?;
    /// let mut part = [0; 3];
    /// record.read_at(2, &mut part);
    /// assert_eq!(&part, b"345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= self.len), "a range inside the record");
        self.ring.area.read_bytes(self.at + offset, bytes);
    }

    /// A copy of the record.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a line")?;
    /// let line = rx.peek_many()?.next_record().map(|record| record.to_vec());
    /// assert_eq!(line.as_deref(), Some(&b"a line"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.ring.area.read_vec(self.at, self.len)
    }

    /// The address of the record's [`len`](Self::len) bytes, aligned to 8. A hostile peer may write there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"x")?;
    /// let mut ahead = rx.peek_many()?;
    /// let record = ahead.next_record().ok_or("nothing there")?;
    /// // SAFETY: the address is that of a record which is held, and the access is volatile.
    /// assert_eq!(unsafe { record.as_ptr().read_volatile() }, b'x');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.ring.area.address(self.at, self.len)
    }
}

impl core::fmt::Debug for Peeked<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::Peeked").field("receiver", &self.receiver).field("seen", &self.seen).finish()
    }
}

impl core::fmt::Debug for PeekedRecord<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::PeekedRecord").field("len", &self.len).finish()
    }
}
