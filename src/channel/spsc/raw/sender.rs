//! The sending end of a ring of values of any type.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::channel::awaited::FreeSlot;
use crate::channel::endpoint::Endpoint;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::layout::WORD;
use crate::memory::Dynamic;
use crate::protocol::ends::after_publish;
use crate::protocol::slots::SlotRing;
use crate::wait::Wait;

/// The sending end: as [`spsc::Sender`](crate::spsc::Sender), for values as bytes.
pub struct Sender {
    pub(super) end: Endpoint,
    pub(super) ring: SlotRing<Dynamic>,
    /// Bytes of a value.
    pub(super) size: usize,
}

impl Sender {
    /// Sends the value with these bytes, waiting while the ring is full.
    ///
    /// # Errors
    ///
    /// [`SendError::WrongSize`], and those of [`spsc::Sender::send`](crate::spsc::Sender::send).
    pub fn send(&mut self, value: &[u8]) -> Result<(), SendError> {
        self.check(value)?;
        self.end.find(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes if there is room now.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], and those of [`send`](Self::send).
    pub fn try_send(&mut self, value: &[u8]) -> Result<(), TrySendError> {
        self.check(value).map_err(TrySendError::Refused)?;
        self.end.find_now(FreeSlot(&self.ring))?;
        self.put(value);
        Ok(())
    }

    /// Sends the value with these bytes, waiting for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::Timeout`], and those of [`send`](Self::send).
    pub fn send_timeout(&mut self, value: &[u8], timeout: Duration) -> Result<(), SendTimeoutError> {
        self.check(value).map_err(SendTimeoutError::Refused)?;
        self.end.find_within(FreeSlot(&self.ring), timeout)?;
        self.put(value);
        Ok(())
    }

    fn check(&self, value: &[u8]) -> Result<(), SendError> {
        let (found, expected) = (value.len(), self.size);
        if found == expected { Ok(()) } else { Err(SendError::WrongSize { found, expected }) }
    }

    fn put(&mut self, value: &[u8]) {
        let state = &mut *self.end.state;
        self.ring.slots.area().write(state.offset as usize * WORD, value);
        self.ring.publish(state);
        after_publish(&self.ring.ends.lane, state, self.end.fences);
    }

    /// How many values were sent and not yet received.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ring.len_for_sender(&self.end.state)
    }

    /// Whether everything sent was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.ends.is_drained(&self.end.state)
    }

    /// How many values the ring holds.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.ring.slots.capacity
    }

    /// The position of the next value: see [`spsc::Sender::position`](crate::spsc::Sender::position).
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.state.pos
    }

    /// How often the sender's seat has been taken, including by this sender.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.end.generation
    }

    /// Whether a living receiver holds its seat now. Asks the kernel.
    #[must_use]
    pub fn has_receiver(&self) -> bool {
        self.end.has_peer()
    }

    /// Whether a receiver held its seat since this sender came, and then left, or died and that was not reported yet.
    /// Asks the kernel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.peer_ended()
    }

    /// Sets how blocked calls wait from now on.
    pub fn set_wait(&mut self, wait: Wait) {
        self.end.wait = wait;
    }
}

impl core::fmt::Debug for Sender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("spsc::raw::Sender").field("end", &self.end).finish()
    }
}
