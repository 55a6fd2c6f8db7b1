//! A ring that carries numbered messages, whatever its kind. Suites that test every kind in the same way use this.
//!
//! | | |
//! |---|---|
//! | [`slots`] | a ring of slots |
//! | [`records`] | a ring of records |

mod records;
mod slots;

use std::fmt::Debug;
use std::time::Duration;

use ringway::{
    Channel, ClaimError, Options, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    Wait,
};

/// A kind of ring. A suite that needs more of it adds a trait that has this one as its supertrait.
///
/// Messages are numbered. If messages of this kind have a length, the caller gives it. Slots ignore it.
pub trait Lane: Channel {
    type Message: Clone + PartialEq + Debug;
    type Sender: Sends<Self::Message>;
    type Receiver: Receives<Self::Message>;

    /// How to make a ring of that capacity, in the unit of its kind.
    fn sized(capacity: u64) -> Options<Self>;
    fn capacity(&self) -> u64;
    fn sender(&self) -> Result<Self::Sender, ClaimError>;
    fn receiver(&self) -> Result<Self::Receiver, ClaimError>;

    /// Message `seq`, of `len` bytes.
    fn make(seq: u64, len: usize) -> Self::Message;
    /// The number that a message carries, if it has room for one. Fails unless the message is whole.
    fn seq(message: &Self::Message) -> u64;
    /// Fails unless this is message `seq` of `len` bytes, every bit of it.
    fn check(message: &Self::Message, seq: u64, len: usize);
}

/// How a message is written in place. By default it is written as a whole, into exactly the room it needs.
#[derive(Clone, Copy, Default)]
pub struct InPlace {
    /// If this is not 0, the bytes from here on are written first, and those before them second.
    pub cut: usize,
    /// How many bytes more than needed are asked for, where a message has a length.
    pub spare: usize,
}

/// The sending end of a [`Lane`].
pub trait Sends<M> {
    fn len(&self) -> u64;
    fn generation(&self) -> u64;
    fn has_receiver(&self) -> bool;
    fn set_wait(&mut self, wait: Wait);
    fn send(&mut self, message: &M) -> Result<(), SendError>;
    fn try_send(&mut self, message: &M) -> Result<(), TrySendError>;
    fn send_timeout(&mut self, message: &M, timeout: Duration) -> Result<(), SendTimeoutError>;
    fn send_some(&mut self, messages: &[M]) -> Result<usize, SendError>;
    fn try_send_some(&mut self, messages: &[M]) -> Result<usize, TrySendError>;
    fn send_in_place(&mut self, message: &M, how: InPlace) -> Result<(), SendError>;
    fn try_send_in_place(&mut self, message: &M, how: InPlace) -> Result<(), TrySendError>;
    /// Sends as many of `messages` as there is room for. Slots are filled in where they lie, and published at once.
    fn try_send_many(&mut self, messages: &[M]) -> Result<usize, TrySendError>;
    fn position(&self) -> u64;
}

/// The receiving end of a [`Lane`].
pub trait Receives<M> {
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool;
    fn generation(&self) -> u64;
    fn has_sender(&self) -> bool;
    fn is_closed(&self) -> bool;
    fn is_redelivery(&self) -> bool;
    fn set_wait(&mut self, wait: Wait);
    fn recv(&mut self) -> Result<M, RecvError>;
    fn try_recv(&mut self) -> Result<M, TryRecvError>;
    fn recv_timeout(&mut self, timeout: Duration) -> Result<M, RecvTimeoutError>;
    /// Receives at most `most` messages. Where messages have a length, they have `bytes` bytes together at most.
    fn recv_slice(&mut self, most: usize, bytes: usize) -> Result<Vec<M>, RecvError>;
    fn try_recv_slice(&mut self, most: usize, bytes: usize) -> Result<Vec<M>, TryRecvError>;
    /// Calls `hold` while the message is lent. `hold` is told whether the message was lent before.
    fn recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, M>, bool) -> R) -> Result<R, RecvError>;
    fn try_recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, M>, bool) -> R) -> Result<R, TryRecvError>;
    /// Looks at `most` messages at most, where they lie, and consumes the first `count` of them, or all if there are fewer.
    /// Calls `hold` in between. `hold` is told whether the first was lent before.
    fn try_peek_many(&mut self, most: usize, count: usize, hold: impl FnOnce(bool)) -> Result<Vec<M>, TryRecvError>;
    fn position(&self) -> u64;
}

/// Reads a message that is lent.
pub type Read<'a, M> = dyn Fn() -> M + 'a;
