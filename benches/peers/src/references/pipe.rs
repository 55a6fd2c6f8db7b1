//! What the kernel has: a pipe, for records of one length.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::pipe;

use crate::line::{Line, Receiver, Result, Sender, show, shown};

/// The most that a pipe of an ordinary user's may hold: pipe(7).
const DEEP: i32 = 1 << 20;

pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    len: usize,
}

impl Pipe {
    /// A pipe for records of `len` bytes.
    pub fn new(len: usize) -> Result<Self> {
        let (read, write) = pipe()?;
        Ok(Self { read, write, len })
    }

    /// One that holds as much as there may be.
    pub fn deep(len: usize) -> Result<Self> {
        let pipe = Self::new(len)?;
        fcntl(&pipe.write, FcntlArg::F_SETPIPE_SZ(DEEP))?;
        Ok(pipe)
    }
}

/// One end of a pipe.
pub struct PipeEnd {
    file: File,
    buffer: Vec<u8>,
}

impl Line for Pipe {
    type Sender = PipeEnd;
    type Receiver = PipeEnd;

    fn sender(&self) -> Result<PipeEnd> {
        Ok(PipeEnd { file: self.write.try_clone()?.into(), buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<PipeEnd> {
        Ok(PipeEnd { file: self.read.try_clone()?.into(), buffer: vec![0; self.len] })
    }
}

impl Sender for PipeEnd {
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(self.file.write_all(&self.buffer)?)
    }
}

impl Receiver for PipeEnd {
    fn get(&mut self) -> Result<u64> {
        self.file.read_exact(&mut self.buffer)?;
        Ok(shown(&self.buffer))
    }
}
