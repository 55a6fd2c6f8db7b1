//! Every form in which a message is sent or received.

use ringway::{RecvError, TryRecvError, bytes, spsc};

use crate::common::lane::{InPlace, Lane};
use crate::common::messages::{Numbered, record_len};

/// The longest record in a storm. Longer ones would take all the time to fill in.
pub const MOST: usize = 4080;

/// The forms of sending and receiving that a [`Lane`] does not have.
pub trait EveryForm: Lane {
    /// How many messages are sent or received at once, at most.
    const BATCH: u64;

    /// Fails unless the ring has the capacity that was asked for.
    fn assert_sized(&self, capacity: u64);
    /// How message `seq` is written in parts.
    fn in_parts(seq: u64, random: usize) -> InPlace;
    /// Takes room for a message, writes something else there, and does not send it.
    fn abandon(tx: &mut Self::Sender, bytes: &[u8]);
    fn recv_into(rx: &mut Self::Receiver) -> Result<Self::Message, RecvError>;
    fn try_recv_into(rx: &mut Self::Receiver) -> Result<Self::Message, TryRecvError>;
    /// Reads a message without consuming it, so it comes again.
    fn peek(rx: &mut Self::Receiver) -> Self::Message;
    fn recv_by_reference(rx: &mut Self::Receiver) -> Self::Message;
    fn recv_in_parts(rx: &mut Self::Receiver, random: usize) -> Self::Message;
    /// Takes `count` messages from the iterator.
    fn iterate(rx: &mut Self::Receiver, count: usize) -> Vec<Self::Message>;

    fn length(seq: u64) -> usize {
        record_len(seq, MOST)
    }

    fn message(seq: u64) -> Self::Message {
        Self::make(seq, Self::length(seq))
    }

    #[track_caller]
    fn assert_is(message: &Self::Message, seq: u64) {
        Self::check(message, seq, Self::length(seq));
    }
}

impl<T: Numbered> EveryForm for spsc::Channel<T> {
    const BATCH: u64 = 40;

    fn assert_sized(&self, capacity: u64) {
        assert_eq!(self.capacity(), capacity);
    }

    fn in_parts(_: u64, random: usize) -> InPlace {
        InPlace { cut: random & 7, spare: 0 }
    }

    fn abandon(tx: &mut spsc::Sender<T>, bytes: &[u8]) {
        if let Ok(mut slot) = tx.try_send_ref() {
            slot.write_at(0, &bytes[..bytes.len().min(size_of::<T>())]);
        }
    }

    fn recv_into(rx: &mut spsc::Receiver<T>) -> Result<T, RecvError> {
        let mut value = T::make(0);
        rx.recv_into(&mut value).map(|()| value)
    }

    fn try_recv_into(rx: &mut spsc::Receiver<T>) -> Result<T, TryRecvError> {
        let mut value = T::make(0);
        rx.try_recv_into(&mut value).map(|()| value)
    }

    fn peek(rx: &mut spsc::Receiver<T>) -> T {
        let slot = rx.recv_ref().unwrap();
        let value = slot.read();
        std::mem::forget(slot);
        value
    }

    fn recv_by_reference(rx: &mut spsc::Receiver<T>) -> T {
        let slot = rx.recv_ref().unwrap();
        // SAFETY: the only sender uses this crate alone, and nobody forks here.
        *unsafe { slot.as_ref() }
    }

    fn recv_in_parts(rx: &mut spsc::Receiver<T>, random: usize) -> T {
        let slot = rx.recv_ref().unwrap();
        let mut value = T::make(0);
        let (front, back) = value.as_mut_bytes().split_at_mut(random & 7);
        slot.read_at(front.len(), back);
        slot.read_at(0, front);
        value
    }

    fn iterate(rx: &mut spsc::Receiver<T>, count: usize) -> Vec<T> {
        rx.iter().take(count).map(Result::unwrap).collect()
    }
}

impl EveryForm for bytes::Channel {
    const BATCH: u64 = 12;

    fn assert_sized(&self, capacity: u64) {
        assert_eq!(self.capacity(), capacity);
        assert_eq!(self.max_len() as u64, capacity - 16);
    }

    /// Now and then it asks for more room than it needs.
    fn in_parts(seq: u64, random: usize) -> InPlace {
        let len = Self::length(seq);
        InPlace { cut: len / 2, spare: (random % 64).min(MOST - len) }
    }

    fn abandon(tx: &mut bytes::Sender, bytes: &[u8]) {
        if let Ok(mut room) = tx.try_send_ref(bytes.len()) {
            room.write_at(0, bytes);
        }
    }

    fn recv_into(rx: &mut bytes::Receiver) -> Result<Vec<u8>, RecvError> {
        let mut buffer = vec![0; MOST];
        rx.recv_into(&mut buffer).map(|len| buffer[..len].to_vec())
    }

    fn try_recv_into(rx: &mut bytes::Receiver) -> Result<Vec<u8>, TryRecvError> {
        let mut buffer = vec![0; MOST];
        rx.try_recv_into(&mut buffer).map(|len| buffer[..len].to_vec())
    }

    fn peek(rx: &mut bytes::Receiver) -> Vec<u8> {
        let found = rx.recv_ref().unwrap();
        let record = found.to_vec();
        std::mem::forget(found);
        record
    }

    fn recv_by_reference(rx: &mut bytes::Receiver) -> Vec<u8> {
        let found = rx.recv_ref().unwrap();
        // SAFETY: the only sender uses this crate alone, and nobody forks here.
        unsafe { found.as_slice() }.to_vec()
    }

    fn recv_in_parts(rx: &mut bytes::Receiver, _: usize) -> Vec<u8> {
        let found = rx.recv_ref().unwrap();
        let mut record = vec![0; found.len()];
        let (front, back) = record.split_at_mut(found.len() / 3);
        found.read_at(front.len(), back);
        found.read_at(0, front);
        record
    }

    fn iterate(rx: &mut bytes::Receiver, count: usize) -> Vec<Vec<u8>> {
        rx.iter().take(count).map(Result::unwrap).collect()
    }
}
