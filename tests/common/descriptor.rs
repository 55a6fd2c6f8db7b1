//! Descriptors that are sent from one process to another.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends a descriptor with one byte.
pub fn send_fd(socket: &UnixStream, fd: impl AsFd) {
    let fds = [fd.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"!")], &rights, MsgFlags::empty(), None).unwrap();
}

/// Receives a descriptor that came with one byte.
pub fn receive_fd(socket: &UnixStream) -> OwnedFd {
    let (mut byte, mut space) = ([0], nix::cmsg_space!(RawFd));
    let mut parts = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else { panic!("no descriptor") };
    // SAFETY: the kernel made it for this message, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fds[0]) }
}
