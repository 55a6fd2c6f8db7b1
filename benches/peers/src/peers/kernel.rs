//! What the kernel offers besides pipes: Unix sockets and POSIX message queues. All of them block; none spins.
//!
//! Sockets are pairs with the buffers the system gives them, as
//! a stream and as sequenced packets (unix(7)): the former is what most programs use, the latter keeps
//! messages apart as the other lines do. A message queue holds ten messages of at most 8 KiB, the most that
//! an ordinary user may have unless the system says otherwise (mq_overview(7)).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;

use super::Scratch;
use crate::line::{Line, Receiver, Result, Sender, show, shown};

const QUEUED_MESSAGES: i64 = 10;

/// A pair of sockets: what is written to one is read from the other.
pub struct Sockets {
    write: OwnedFd,
    read: OwnedFd,
    len: usize,
}

impl Sockets {
    pub fn stream(len: usize) -> Result<Self> {
        Self::pair(SockType::Stream, len)
    }

    pub fn packets(len: usize) -> Result<Self> {
        Self::pair(SockType::SeqPacket, len)
    }

    fn pair(kind: SockType, len: usize) -> Result<Self> {
        let (write, read) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?;
        Ok(Self { write, read, len })
    }
}

pub struct Socket {
    file: File,
    buffer: Vec<u8>,
}

impl Line for Sockets {
    type Sender = Socket;
    type Receiver = Socket;

    fn sender(&self) -> Result<Socket> {
        Ok(Socket { file: self.write.try_clone()?.into(), buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<Socket> {
        Ok(Socket { file: self.read.try_clone()?.into(), buffer: vec![0; self.len] })
    }
}

impl Sender for Socket {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(self.file.write_all(&self.buffer)?)
    }
}

impl Receiver for Socket {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        self.file.read_exact(&mut self.buffer)?;
        Ok(shown(&self.buffer))
    }
}

/// A message queue, without a name from the start.
pub struct Queue {
    queue: Rc<MqdT>,
    len: usize,
}

impl Queue {
    /// The longest message that it takes everywhere.
    pub const LONGEST: usize = 8192;

    pub fn new(scratch: &Scratch, len: usize) -> Result<Self> {
        let name = format!("/{}", scratch.unique("queue"));
        let attributes = MqAttr::new(0, QUEUED_MESSAGES, len as i64, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
        let queue = mq_open(name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR, Some(&attributes))?;
        mq_unlink(name.as_str())?;
        Ok(Self { queue: Rc::new(queue), len })
    }
}

pub struct QueueEnd {
    queue: Rc<MqdT>,
    buffer: Vec<u8>,
}

impl Line for Queue {
    type Sender = QueueEnd;
    type Receiver = QueueEnd;

    fn sender(&self) -> Result<QueueEnd> {
        Ok(QueueEnd { queue: Rc::clone(&self.queue), buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<QueueEnd> {
        self.sender()
    }
}

impl Sender for QueueEnd {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(mq_send(&self.queue, &self.buffer, 0)?)
    }
}

impl Receiver for QueueEnd {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        let len = mq_receive(&self.queue, &mut self.buffer, &mut 0)?;
        Ok(shown(&self.buffer[..len]))
    }
}
