//! A ring of records as a [`Lane`].

use std::time::Duration;

use ringway::{
    ClaimError, Options, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError, Wait,
    bytes,
};

use super::super::messages::{assert_same, fill_record};
use super::{InPlace, Lane, Read, Receives, Sends};

impl Lane for bytes::Channel {
    type Message = Vec<u8>;
    type Sender = bytes::Sender;
    type Receiver = bytes::Receiver;

    fn sized(bytes: u64) -> Options<Self> {
        Self::options().capacity_bytes(bytes)
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    fn sender(&self) -> Result<bytes::Sender, ClaimError> {
        self.sender()
    }

    fn receiver(&self) -> Result<bytes::Receiver, ClaimError> {
        self.receiver()
    }

    /// The first eight bytes are the number, as far as there is room. The others follow from number and length.
    fn make(seq: u64, len: usize) -> Vec<u8> {
        let mut record = vec![0; len];
        fill_record(seq ^ (len as u64) << 40, &mut record);
        let number = len.min(8);
        record[..number].copy_from_slice(&seq.to_le_bytes()[..number]);
        record
    }

    fn seq(message: &Vec<u8>) -> u64 {
        let number = message.first_chunk().expect("a record with a number");
        let seq = u64::from_le_bytes(*number);
        Self::check(message, seq, message.len());
        seq
    }

    fn check(message: &Vec<u8>, seq: u64, len: usize) {
        assert_same(message, &Self::make(seq, len), seq);
    }
}

fn write(room: &mut bytes::SendRef<'_>, record: &[u8], how: InPlace) {
    if how.cut == 0 {
        room.write_at(0, record);
    } else {
        let (front, back) = record.split_at(how.cut);
        room.write_at(front.len(), back);
        room.write_at(0, front);
    }
    if how.spare > 0 {
        room.truncate(record.len());
        assert_eq!(room.len(), record.len());
    }
}

/// The records that lie in a buffer, by their ends.
fn split(buffer: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
    let mut begin = 0;
    ends.iter().map(|end| buffer[std::mem::replace(&mut begin, *end)..*end].to_vec()).collect()
}

impl Sends<Vec<u8>> for bytes::Sender {
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

    fn send(&mut self, message: &Vec<u8>) -> Result<(), SendError> {
        self.send(message)
    }

    fn try_send(&mut self, message: &Vec<u8>) -> Result<(), TrySendError> {
        self.try_send(message)
    }

    fn send_timeout(&mut self, message: &Vec<u8>, timeout: Duration) -> Result<(), SendTimeoutError> {
        self.send_timeout(message, timeout)
    }

    fn send_some(&mut self, messages: &[Vec<u8>]) -> Result<usize, SendError> {
        self.send_some(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>()).map(|sent| sent.0)
    }

    fn try_send_some(&mut self, messages: &[Vec<u8>]) -> Result<usize, TrySendError> {
        self.try_send_some(&messages.iter().map(Vec::as_slice).collect::<Vec<_>>()).map(|sent| sent.0)
    }

    fn send_in_place(&mut self, message: &Vec<u8>, how: InPlace) -> Result<(), SendError> {
        let mut room = self.send_ref(message.len() + how.spare)?;
        write(&mut room, message, how);
        room.send()
    }

    fn try_send_in_place(&mut self, message: &Vec<u8>, how: InPlace) -> Result<(), TrySendError> {
        let mut room = self.try_send_ref(message.len() + how.spare)?;
        write(&mut room, message, how);
        room.send().map_err(TrySendError::Refused)
    }

    fn try_send_many(&mut self, messages: &[Vec<u8>]) -> Result<usize, TrySendError> {
        Sends::try_send_some(self, messages)
    }

    fn position(&self) -> u64 {
        self.position()
    }
}

impl Receives<Vec<u8>> for bytes::Receiver {
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

    fn recv(&mut self) -> Result<Vec<u8>, RecvError> {
        self.recv()
    }

    fn try_recv(&mut self) -> Result<Vec<u8>, TryRecvError> {
        self.try_recv()
    }

    fn recv_timeout(&mut self, timeout: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        self.recv_timeout(timeout)
    }

    fn recv_slice(&mut self, most: usize, bytes: usize) -> Result<Vec<Vec<u8>>, RecvError> {
        let (mut buffer, mut ends) = (vec![0; bytes], vec![0; most]);
        let received = self.recv_slice(&mut buffer, &mut ends)?;
        Ok(split(&buffer, &ends[..received]))
    }

    fn try_recv_slice(&mut self, most: usize, bytes: usize) -> Result<Vec<Vec<u8>>, TryRecvError> {
        let (mut buffer, mut ends) = (vec![0; bytes], vec![0; most]);
        let received = self.try_recv_slice(&mut buffer, &mut ends)?;
        Ok(split(&buffer, &ends[..received]))
    }

    fn recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, Vec<u8>>, bool) -> R) -> Result<R, RecvError> {
        let record = self.recv_ref()?;
        Ok(hold(&|| record.to_vec(), record.is_redelivery()))
    }

    fn try_recv_in_place<R>(&mut self, hold: impl FnOnce(&Read<'_, Vec<u8>>, bool) -> R) -> Result<R, TryRecvError> {
        let record = self.try_recv_ref()?;
        Ok(hold(&|| record.to_vec(), record.is_redelivery()))
    }

    fn try_peek_many(
        &mut self,
        most: usize,
        count: usize,
        hold: impl FnOnce(bool),
    ) -> Result<Vec<Vec<u8>>, TryRecvError> {
        let (mut ahead, mut records) = (self.try_peek_many()?, Vec::with_capacity(most));
        while records.len() < most {
            let Some(record) = ahead.next_record() else { break };
            records.push(record.to_vec());
        }
        hold(ahead.is_redelivery());
        ahead.consume_up_to(count.min(records.len()));
        Ok(records)
    }

    fn position(&self) -> u64 {
        self.position()
    }
}
