//! `bytes`, by copy, for records of one length.

use ringway::{Wait, bytes};

use crate::line::{Line, Receiver, Result, Sender, show, shown};

pub struct Bytes {
    channel: bytes::Channel,
    len: usize,
    wait: Wait,
}

impl Bytes {
    /// A ring of about the size of `capacity` records.
    pub fn new(len: usize, capacity: usize, wait: Wait) -> Result<Self> {
        let size = ((8 + len) * capacity) as u64;
        let channel = bytes::Channel::options().capacity_bytes(size).prefault(true).anonymous()?;
        Ok(Self { channel, len, wait })
    }
}

/// One end of it, and a record.
pub struct BytesEnd<E> {
    pub end: E,
    buffer: Vec<u8>,
}

impl Line for Bytes {
    type Sender = BytesEnd<bytes::Sender>;
    type Receiver = BytesEnd<bytes::Receiver>;

    fn sender(&self) -> Result<Self::Sender> {
        let mut end = self.channel.sender()?;
        end.set_wait(self.wait);
        Ok(BytesEnd { end, buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let mut end = self.channel.receiver()?;
        end.set_wait(self.wait);
        Ok(BytesEnd { end, buffer: vec![0; self.len] })
    }
}

impl Sender for BytesEnd<bytes::Sender> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(self.end.send(&self.buffer)?)
    }
}

impl Receiver for BytesEnd<bytes::Receiver> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        self.end.recv_into(&mut self.buffer)?;
        Ok(shown(&self.buffer))
    }
}
