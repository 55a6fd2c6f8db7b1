//! ipc-channel: its channel of bytes, which serializes nothing.
//!
//! The two processes meet at a one-shot server made before the fork, as in its own test with a fork ("Bootstrapping
//! channels between processes" in documentation of ipc-channel 0.23.1): the receiver makes the
//! channel, connects and sends the sending half to the sender, which accepts.
//!
//! Underneath is a Unix socket, so `recv` blocks in the kernel, as the sockets and pipes beside it do. The
//! socket's buffer bounds the channel. A message comes as a vector of its own: there is no other way.

use std::cell::Cell;
use std::mem;

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};

use crate::line::{Line, Receiver, Result, Sender, show, shown};

pub struct IpcChannel {
    server: Cell<Option<IpcOneShotServer<IpcBytesSender>>>,
    name: String,
    len: usize,
}

impl IpcChannel {
    pub fn new(len: usize) -> Result<Self> {
        let (server, name) = IpcOneShotServer::new()?;
        Ok(Self { server: Cell::new(Some(server)), name, len })
    }
}

pub struct End {
    sender: IpcBytesSender,
    buffer: Vec<u8>,
}

impl Line for IpcChannel {
    type Sender = End;
    type Receiver = IpcBytesReceiver;

    fn sender(&self) -> Result<End> {
        let (_, sender) = self.server.take().ok_or("the line has its ends")?.accept()?;
        Ok(End { sender, buffer: vec![0; self.len] })
    }

    fn receiver(&self) -> Result<IpcBytesReceiver> {
        // The other process' copy serves, and removes the socket.
        mem::forget(self.server.take());
        let (sender, receiver) = ipc::bytes_channel()?;
        IpcSender::connect(self.name.clone())?.send(sender)?;
        Ok(receiver)
    }
}

impl Sender for End {
    #[inline(always)]
    fn put(&mut self, number: u64) -> Result {
        show(&mut self.buffer, number);
        Ok(self.sender.send(&self.buffer)?)
    }
}

impl Receiver for IpcBytesReceiver {
    #[inline(always)]
    fn get(&mut self) -> Result<u64> {
        Ok(shown(&self.recv()?))
    }
}
