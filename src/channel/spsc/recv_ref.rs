//! A message that is read in place, and consumed afterwards.

use core::mem::needs_drop;

use std::thread::panicking;

use super::{Message, Receiver};
use crate::channel::returns;
use crate::layout::WORD;

/// A message in the ring. Dropping it consumes the message, unless the thread panics: then it is the next to be received,
/// as a [redelivery](Receiver::is_redelivery).
///
/// # Examples
///
/// ```
/// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
/// tx.send(&7)?;
/// let message = rx.recv_ref()?;
/// assert_eq!(tx.len(), 1); // still in the ring: if this process dies now, the next receiver gets it
/// drop(message);
/// assert_eq!(tx.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RecvRef<'a, T: Message> {
    receiver: &'a mut Receiver<T>,
    at: usize,
    again: bool,
}

impl<'a, T: Message> RecvRef<'a, T> {
    /// Lends the message that was found. If this process ends before consuming it, the next receiver learns of that.
    #[inline(always)]
    pub(super) fn new(receiver: &'a mut Receiver<T>) -> Self {
        let Receiver { end, ring } = &mut *receiver;
        let state = &mut *end.state;
        let at = state.offset as usize * WORD;
        let again = ring.ends.lend(state, state.pos);
        Self { receiver, at, again }
    }

    /// Whether the message was lent before and not consumed: see [`Receiver::is_redelivery`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// std::mem::forget(rx.recv_ref()?); // as if it crashed in the middle of its work
    /// assert!(rx.recv_ref()?.is_redelivery());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_redelivery(&self) -> bool {
        self.again
    }

    /// A copy of the whole value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// let message = rx.recv_ref()?;
    /// assert_eq!(message.read(), 7); // and use it, before it is consumed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn read(&self) -> T {
        const { returns::<T>() }
        self.value()
    }

    #[inline(always)]
    fn value(&self) -> T {
        self.receiver.ring.slots.area().slice(self.at / WORD, size_of::<T>().div_ceil(WORD)).read()
    }

    /// Copies the whole value straight into `place`: see [`Receiver::recv_into`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 1000]>(4)?;
    /// # tx.send(&[7; 1000])?;
    /// let mut place = Box::new([0; 1000]);
    /// rx.recv_ref()?.read_into(&mut place);
    /// assert_eq!(place[999], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_into(&self, place: &mut T) {
        if needs_drop::<T>() {
            return self.read_over(place);
        }
        self.receiver.ring.slots.area().read_bytes(self.at, place.as_mut_bytes());
    }

    /// Not inlined, so that [`read_into`](Self::read_into) has no value on its stack.
    #[inline(never)]
    fn read_over(&self, place: &mut T) {
        *place = self.value();
    }

    /// Fills `bytes` from the value, from byte `offset` on.
    ///
    /// # Panics
    ///
    /// If the range extends beyond the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u8; 8]>(4)?;
    /// tx.send(b"12345678")?;
    /// let mut part = [0; 3];
    /// rx.recv_ref()?.read_at(2, &mut part);
    /// assert_eq!(&part, b"345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_at(&self, offset: usize, bytes: &mut [u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(end.is_some_and(|end| end <= size_of::<T>()), "a range inside the value");
        self.receiver.ring.slots.area().read_bytes(self.at + offset, bytes);
    }

    /// The address of the message's `size_of::<T>()` bytes, aligned for `T`. A hostile peer may write there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<u64>(4)?;
    /// tx.send(&7)?;
    /// let message = rx.recv_ref()?;
    /// // SAFETY: the address is that of a message which is held, and the access is volatile.
    /// assert_eq!(unsafe { message.as_ptr().read_volatile() }, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const T {
        self.receiver.ring.slots.area().address(self.at, size_of::<T>()).cast()
    }

    /// The message in place, without a copy.
    ///
    /// # Safety
    ///
    /// No process may write to the message while the reference lives. A sender that uses this crate does not: the slot
    /// belongs to this receiver until the guard is dropped. So every process that can write the region must be trusted
    /// to use it only through this crate, and this process must not be a child forked since the guard was made.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (mut tx, mut rx) = ringway::spsc::pair::<[u64; 100]>(4)?;
    /// # tx.send(&[1; 100])?;
    /// let message = rx.recv_ref()?;
    /// // SAFETY: the sender is this process's own, and keeps the protocol.
    /// let values = unsafe { message.as_ref() };
    /// assert_eq!(values.iter().sum::<u64>(), 100); // without a copy
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub unsafe fn as_ref(&self) -> &T {
        // SAFETY: aligned and inside the region by construction; the caller guarantees that nobody writes.
        unsafe { &*self.as_ptr() }
    }
}

impl<T: Message> Drop for RecvRef<'_, T> {
    fn drop(&mut self) {
        // What panics has not done its work: the message comes again.
        if !self.receiver.end.state.is_forked_child() && !panicking() {
            self.receiver.consume();
        }
    }
}

impl<T: Message> core::fmt::Debug for RecvRef<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::RecvRef").field("receiver", &self.receiver).field("again", &self.again).finish()
    }
}
