//! A record that is read in place, and consumed afterwards.

use std::thread::panicking;

use super::{PeekedRecord, Receiver};

/// A record in the ring. Dropping it consumes the record, unless the thread panics: then it is the next to be received, as a
/// [redelivery](Receiver::is_redelivery).
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
/// tx.send(b"a job")?;
/// let record = rx.recv_ref()?;
/// assert_eq!(tx.len(), 1); // still in the ring: if this process dies now, the next receiver gets it
/// drop(record);
/// assert_eq!(tx.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RecvRef<'a> {
    receiver: &'a mut Receiver,
    at: usize,
    len: usize,
    again: bool,
}

impl<'a> RecvRef<'a> {
    /// Lends the record that was found, of `len` bytes. If this process ends before consuming it, the next receiver
    /// learns of that.
    #[inline(always)]
    pub(super) fn new(receiver: &'a mut Receiver, len: usize) -> Self {
        let Receiver { end, ring } = &mut *receiver;
        let state = &mut *end.state;
        let at = ring.payload(state);
        let again = ring.ends.lend(state, state.pos);
        Self { receiver, at, len, again }
    }

    #[inline(always)]
    fn record(&self) -> PeekedRecord<'_> {
        PeekedRecord { ring: &self.receiver.ring, at: self.at, len: self.len }
    }

    /// Whether the record was lent before and not consumed: see [`Receiver::is_redelivery`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a job")?;
    /// std::mem::forget(rx.recv_ref()?); // as if it crashed in the middle of its work
    /// assert!(rx.recv_ref()?.is_redelivery());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.again
    }

    /// The record's length in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"any length")?;
    /// assert_eq!(rx.recv_ref()?.len(), 10);
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
    /// assert!(rx.recv_ref()?.is_empty());
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
    /// let mut part = [0; 3];
    /// rx.recv_ref()?.read_at(2, &mut part);
    /// assert_eq!(&part, b"345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        self.record().read_at(offset, bytes);
    }

    /// A copy of the record.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a job")?;
    /// let record = rx.recv_ref()?;
    /// assert_eq!(record.to_vec(), b"a job"); // and use it, before it is consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "read")]
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.record().to_vec()
    }

    /// The address of the record's [`len`](Self::len) bytes, aligned to 8. A hostile peer may write there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"x")?;
    /// let record = rx.recv_ref()?;
    /// // SAFETY: the address is that of a record which is held, and the access is volatile.
    /// assert_eq!(unsafe { record.as_ptr().read_volatile() }, b'x');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.record().as_ptr()
    }

    /// The record in place, without a copy.
    ///
    /// # Safety
    ///
    /// No process may write to the record while the reference lives. A sender that uses this crate does not: the bytes
    /// belong to this receiver until the guard is dropped. So every process that can write the region must be trusted
    /// to use it only through this crate, and this process must not be a child forked since the guard was made.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::bytes::pair(1 << 16)?;
    /// tx.send(b"a long text")?;
    /// let record = rx.recv_ref()?;
    /// // SAFETY: the sender is this process's own, and keeps the protocol.
    /// let text = unsafe { record.as_slice() };
    /// assert!(text.starts_with(b"a long")); // without a copy
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: inside the region by construction; the caller guarantees that nobody writes.
        unsafe { core::slice::from_raw_parts(self.as_ptr(), self.len) }
    }
}

impl Drop for RecvRef<'_> {
    fn drop(&mut self) {
        // What panics has not done its work: the message comes again.
        if !self.receiver.end.state.is_forked_child() && !panicking() {
            self.receiver.consume(self.len);
        }
    }
}

impl core::fmt::Debug for RecvRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("bytes::RecvRef").field("receiver", &self.receiver).field("len", &self.len).finish()
    }
}
