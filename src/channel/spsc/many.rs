//! Batches in place: messages that are written and published together, or read and then consumed in part or as a whole.

use super::{Message, Receiver, Sender};
use crate::channel::returns;
use crate::error::SendError;
use crate::layout::WORD;
use crate::memory::WordSlice;
use crate::protocol::ends::{after_consume, after_publish};

/// Free slots in a row, for writing in place: see [`Sender::reserve_many`]. If they are dropped without
/// [`send`](Self::send), they publish nothing.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// let mut slots = tx.reserve_many(3)?;
/// slots.write(0, &1);
/// slots.write(1, &2);
/// slots.send(2)?; // both become visible at once; the third slot stays free
/// assert_eq!(rx.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "slots that are not sent publish nothing"]
pub struct Reserved<'a, T: Message> {
    sender: &'a mut Sender<T>,
    /// Where the first one begins, in words.
    first: u64,
    len: usize,
}

impl<'a, T: Message> Reserved<'a, T> {
    pub(super) fn new(sender: &'a mut Sender<T>, most: usize) -> Self {
        let state = &*sender.end.state;
        let (first, len) = (state.offset, sender.ring.space_for(state, most));
        Self { sender, first, len }
    }

    /// How many slots there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// assert_eq!(tx.reserve_many(64)?.len(), 1); // the ring has four slots
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no slot. That is so only if none was requested.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// assert!(!tx.reserve_many(2)?.is_empty());
    /// assert!(tx.reserve_many(0)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    fn slot(&self, index: usize) -> WordSlice<'_> {
        assert!(index < self.len, "a slot that was reserved");
        let slots = &self.sender.ring.slots;
        slots.at(slots.ahead(self.first, index))
    }

    /// Writes `value` into slot `index`. Does nothing in a forked child, where [`send`](Self::send) returns an error.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slots = tx.reserve_many(2)?;
    /// slots.write(1, &20); // in any order
    /// slots.write(0, &10);
    /// slots.send(2)?;
    /// assert_eq!([rx.recv()?, rx.recv()?], [10, 20]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn write(&mut self, index: usize, value: &T) {
        let slot = self.slot(index);
        if !self.sender.end.state.is_forked_child() {
            slot.write(value);
        }
    }

    /// Writes `bytes` at byte `offset` of slot `index`. Bytes that are never written keep earlier messages' content.
    ///
    /// Does nothing in a forked child, where [`send`](Self::send) returns an error.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len), or the range extends beyond the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 4]>(4)?;
    /// let mut slots = tx.reserve_many(1)?;
    /// slots.write_at(0, 0, b"ab");
    /// slots.write_at(0, 2, b"cd");
    /// slots.send(1)?;
    /// assert_eq!(&rx.recv()?, b"abcd");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_at(&mut self, index: usize, offset: usize, bytes: &[u8]) {
        let at = self.byte(index) + offset;
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        if !self.sender.end.state.is_forked_child() {
            self.sender.ring.slots.area().write(at, bytes);
        }
    }

    /// The address of the `size_of::<T>()` bytes of slot `index`, aligned for `T`. Other processes may read and write
    /// there. Use it only for volatile or atomic accesses, only while the slots are held, and only in the process that
    /// holds them.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slots = tx.reserve_many(1)?;
    /// // SAFETY: the address is that of a slot which is held, and the access is volatile.
    /// unsafe { slots.as_mut_ptr(0).write_volatile(7) };
    /// slots.send(1)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn as_mut_ptr(&mut self, index: usize) -> *mut T {
        self.slot(index).as_ptr().cast_mut().cast()
    }

    fn byte(&self, index: usize) -> usize {
        assert!(index < self.len, "a slot that was reserved");
        self.sender.ring.slots.ahead(self.first, index) as usize * WORD
    }

    /// Publishes the messages in the first `count` slots, all at once: a receiver that waits for the first finds all of
    /// them. The other slots stay free.
    ///
    /// # Errors
    ///
    /// [`SendError::Forked`].
    ///
    /// # Panics
    ///
    /// If `count` is more than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// let mut slots = tx.reserve_many(4)?;
    /// let filled = slots.len().min(2);
    /// for index in 0..filled {
    ///     slots.write(index, &(index as u64));
    /// }
    /// slots.send(filled)?;
    /// assert_eq!(rx.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn send(self, count: usize) -> Result<(), SendError> {
        assert!(count <= self.len, "slots that were reserved");
        let Sender { end, ring } = self.sender;
        let state = &mut *end.state;
        if state.is_forked_child() {
            return Err(SendError::Forked);
        }
        ring.publish_some(state, count);
        after_publish(&ring.ends.lane, state, end.fences);
        Ok(())
    }
}

/// Messages in a row, for reading in place: see [`Receiver::peek_many`]. If it is dropped, they all stay in the ring.
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// tx.send_slice(&[1, 2, 3])?;
/// drop(rx.peek_many(64)?); // a look ahead consumes nothing
/// rx.peek_many(64)?.consume_up_to(1);
/// assert_eq!(rx.recv()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Peeked<'a, T: Message> {
    receiver: &'a mut Receiver<T>,
    /// Where the first one begins, in words.
    first: u64,
    len: usize,
    again: bool,
}

impl<'a, T: Message> Peeked<'a, T> {
    pub(super) fn new(receiver: &'a mut Receiver<T>, most: usize) -> Self {
        let Receiver { end, ring } = &mut *receiver;
        let state = &mut *end.state;
        // At least one was found. It is lent, unless none was requested.
        let (first, len) = (state.offset, ring.messages(state, most).min(most));
        let again = len > 0 && ring.ends.lend(state, state.pos + len as u64 - 1);
        Self { receiver, first, len, again }
    }

    /// How many messages there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// assert_eq!(rx.peek_many(2)?.len(), 2);
    /// assert_eq!(rx.peek_many(64)?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no message. That is so only if none was requested.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert!(!rx.peek_many(1)?.is_empty());
    /// assert!(rx.peek_many(0)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the first message was lent before and not consumed: see [`Receiver::is_redelivery`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// assert!(!rx.peek_many(64)?.is_redelivery());
    /// assert!(rx.peek_many(64)?.is_redelivery()); // it was lent, and not consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.again
    }

    #[inline(always)]
    fn slot(&self, index: usize) -> WordSlice<'_> {
        assert!(index < self.len, "a message that was found");
        let slots = &self.receiver.ring.slots;
        slots.at(slots.ahead(self.first, index))
    }

    /// A copy of message `index`.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[10, 20])?;
    /// let ahead = rx.peek_many(64)?;
    /// assert_eq!(ahead.read(1), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn read(&self, index: usize) -> T {
        const { returns::<T>() }
        self.slot(index).read()
    }

    /// Copies of the messages, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[10, 20, 30])?;
    /// let ahead = rx.peek_many(64)?;
    /// let small = ahead.iter().take_while(|value| *value < 25).count();
    /// ahead.consume_up_to(small);
    /// assert_eq!(rx.recv()?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len).map(|index| self.read(index))
    }

    /// The address of the `size_of::<T>()` bytes of message `index`, aligned for `T`. A hostile peer may write there.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// let ahead = rx.peek_many(64)?;
    /// // SAFETY: the address is that of a message which is held, and the access is volatile.
    /// assert_eq!(unsafe { ahead.as_ptr(0).read_volatile() }, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn as_ptr(&self, index: usize) -> *const T {
        self.slot(index).as_ptr().cast()
    }

    /// Message `index` in place, without a copy.
    ///
    /// # Safety
    ///
    /// As for [`RecvRef::as_ref`](super::RecvRef::as_ref), until the message is consumed.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u64; 100]>(4)?;
    /// # tx.send(&[1; 100])?;
    /// let ahead = rx.peek_many(64)?;
    /// // SAFETY: the sender is this process's own, and keeps the protocol.
    /// let first = unsafe { ahead.get_ref(0) };
    /// assert_eq!(first.iter().sum::<u64>(), 100); // without a copy
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub unsafe fn get_ref(&self, index: usize) -> &T {
        // SAFETY: aligned and inside the region by construction; the caller guarantees that nobody writes.
        unsafe { &*self.as_ptr(index) }
    }

    /// Consumes the first `count` messages. The others stay, and are the next to be received.
    ///
    /// Does nothing in a forked child.
    ///
    /// # Panics
    ///
    /// If `count` is more than [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send_slice(&[1, 2, 3])?;
    /// let ahead = rx.peek_many(64)?;
    /// let acknowledged = 2; // by the other side of a bridge
    /// ahead.consume_up_to(acknowledged);
    /// assert_eq!(rx.recv()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn consume_up_to(self, count: usize) {
        assert!(count <= self.len, "messages that were found");
        let Receiver { end, ring } = self.receiver;
        let state = &mut *end.state;
        if !state.is_forked_child() {
            ring.consume_some(state, count);
            after_consume(&ring.ends.lane, end.fences);
        }
    }
}

impl<T: Message> core::fmt::Debug for Reserved<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Reserved").field("sender", &self.sender).field("len", &self.len).finish()
    }
}

impl<T: Message> core::fmt::Debug for Peeked<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::Peeked").field("receiver", &self.receiver).field("len", &self.len).finish()
    }
}
