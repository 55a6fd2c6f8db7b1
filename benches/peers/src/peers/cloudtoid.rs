//! cloudtoid-interprocess: a queue of byte records in a mapped file, for many publishers and subscribers.
//!
//! One publisher and one subscriber open the queue by its name; the first one creates it. `try_send` and
//! `try_recv_into` are polled, the latter because it reuses the receiver's storage
//! (documentation of cloudtoid-interprocess 3.0.2, `cloudtoid_interprocess`). The file is in shared memory
//! instead of the directory for temporary files, which may be on a disk.

use cloudtoid_interprocess::{Options, Publisher, Subscriber};

use super::{Scratch, look_for, look_until};
use crate::line::{Line, Receiver, Result, Sender, show, shown};

pub struct Cloudtoid {
    options: Options,
    len: usize,
}

impl Cloudtoid {
    /// A queue of the size of `capacity` messages, each of which has a header of eight bytes.
    pub fn new(scratch: &Scratch, len: usize, capacity: usize) -> Self {
        let options = Options::new(scratch.unique("queue"), (8 + len) * capacity).with_path(scratch.directory());
        Self { options, len }
    }
}

pub struct End<E> {
    end: E,
    buffer: Vec<u8>,
}

impl Line for Cloudtoid {
    type Sender = End<Publisher>;
    type Receiver = End<Subscriber>;

    fn sender(&self) -> Result<Self::Sender> {
        Ok(End { end: Publisher::open(&self.options)?, buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        Ok(End { end: Subscriber::open(&self.options)?, buffer: vec![0; self.len] })
    }
}

impl Sender for End<Publisher> {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        look_until(|| match self.end.try_send(&self.buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => Ok(false),
            Err(error) => Err(error.into()),
        })
    }
}

impl Receiver for End<Subscriber> {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let len = look_for(|| Ok(self.end.try_recv_into(&mut self.buffer)?))?;
        Ok(shown(&self.buffer[..len]))
    }
}
