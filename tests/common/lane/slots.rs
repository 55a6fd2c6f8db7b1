//! A ring of slots as a [`Lane`].

use std::time::Duration;

use ringway::{
    ClaimError, Options, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, Wait,
    spsc,
};

use super::super::messages::Numbered;
use super::{InPlace, Lane, Read, Receives, Sends};

impl<T: Numbered> Lane for spsc::Channel<T> {
    type Message = T;
    type Sender = spsc::Sender<T>;
    type Receiver = spsc::Receiver<T>;

    fn sized(slots: u64) -> Options<Self> {
        Self::options().capacity(slots)
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    fn sender(&self) -> Result<spsc::Sender<T>, ClaimError> {
        self.sender()
    }

    fn receiver(&self) -> Result<spsc::Receiver<T>, ClaimError> {
        self.receiver()
    }

    fn make(seq: u64, _: usize) -> T {
        T::make(seq)
    }

    fn seq(message: &T) -> u64 {
        message.check(message.seq());
        message.seq()
    }

    fn check(message: &T, seq: u64, _: usize) {
        message.check(seq);
    }
}

fn write<T: Numbered>(slot: &mut spsc::SendRef<'_, T>, value: &T, cut: usize) {
    if cut == 0 {
        return slot.write(value);
    }
    let (front, back) = value.as_bytes().split_at(cut);
    slot.write_at(front.len(), back);
    slot.write_at(0, front);
}

impl<T: Numbered> Sends<T> for spsc::Sender<T> {
    fn len(&self) -> u64 {
        self.len()
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn has_receiver(&self) -> bool {
        self.has_receiver()
    }

    fn set_wait(&mut self, wait: Wait) {
        self.set_wait(wait);
    }

    fn send(&mut self, message: &T) -> Result<(), SendError> {
        self.send(message)
    }

    fn try_send(&mut self, message: &T) -> Result<(), TrySendError> {
        self.try_send(message)
    }

    fn send_timeout(&mut self, message: &T, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.send_timeout(message, timeout)
    }

    fn send_some(&mut self, messages: &[T]) -> Result<usize, SendError> {
        self.send_some(messages).map(|sent| sent.0)
    }

    fn try_send_some(&mut self, messages: &[T]) -> Result<usize, TrySendError> {
        self.try_send_some(messages).map(|sent| sent.0)
    }

    fn send_in_place(&mut self, message: &T, how: InPlace) -> Result<(), SendError> {
        let mut slot = self.send_ref()?;
        write(&mut slot, message, how.cut);
        slot.send()
    }

    fn try_send_in_place(&mut self, message: &T, how: InPlace) -> Result<(), TrySendError> {
        let mut slot = self.try_send_ref()?;
        write(&mut slot, message, how.cut);
        slot.send().map_err(TrySendError::Refused)
    }

    fn try_send_many(&mut self, messages: &[T]) -> Result<usize, TrySendError> {
        let mut slots = self.try_reserve_many(messages.len())?;
        let count = slots.len();
        messages.iter().take(count).enumerate().for_each(|(index, message)| slots.write(index, message));
        slots.send(count).map_err(TrySendError::Refused)?;
        Ok(count)
    }

    fn position(&self) -> u64 {
        self.position()
    }
}

impl<T: Numbered> Receives<T> for spsc::Receiver<T> {
    fn len(&self) -> u64 {
        self.len()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn generation(&self) -> u64 {
        self.generation()
    }

    fn has_sender(&self) -> bool {
        self.has_sender()
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn is_redelivery(&self) -> bool {
        self.is_redelivery()
    }

    fn set_wait(&mut self, wait: Wait) {
        self.set_wait(wait);
    }

    fn recv(&mut self) -> Result<T, RecvError> {
        self.recv()
    }

    fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.try_recv()
    }

    fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_timeout(timeout)
    }

    fn recv_slice(&mut self, most: usize, _: usize) -> Result<Vec<T>, RecvError> {
        let mut values = vec![T::make(0); most];
        let received = self.recv_slice(&mut values)?;
        values.truncate(received);
        Ok(values)
    }

    fn try_recv_slice(&mut self, most: usize, _: usize) -> Result<Vec<T>, TryRecvError> {
        let mut values = vec![T::make(0); most];
        let received = self.try_recv_slice(&mut values)?;
        values.truncate(received);
        Ok(values)
    }

    fn recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, T>, bool) -> R) -> Result<R, RecvError> {
        let slot = self.recv_ref()?;
        Ok(hold(&|| slot.read(), slot.is_redelivery()))
    }

    fn try_recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, T>, bool) -> R) -> Result<R, TryRecvError> {
        let slot = self.try_recv_ref()?;
        Ok(hold(&|| slot.read(), slot.is_redelivery()))
    }

    fn try_peek_many(&mut self, most: usize, count: usize, hold: impl FnOnce(bool)) -> Result<Vec<T>, TryRecvError> {
        let ahead = self.try_peek_many(most)?;
        let messages: Vec<T> = ahead.iter().collect();
        hold(ahead.is_redelivery());
        ahead.consume_up_to(count.min(messages.len()));
        Ok(messages)
    }

    fn position(&self) -> u64 {
        self.position()
    }
}
