//! Descriptors that cross a Unix socket (`SCM_RIGHTS`, [`unix(7)`]).
//!
//! [`unix(7)`]: https://man7.org/linux/man-pages/man7/unix.7.html
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::retry::retry_io;
use crate::error::OsError;

/// A descriptor needs a byte to travel with.
const COMPANION: &[u8] = b"r";

/// Sends a descriptor with one byte.
pub(crate) fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), OsError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let fds = [fd];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&fds));
    let parts = [IoSlice::new(COMPANION)];
    // A socket that nobody reads any more is an error, not a signal.
    let sent = retry_io(|| Ok(sendmsg(socket, &parts, &mut rights, SendFlags::NOSIGNAL)?));
    sent.map(drop).map_err(|source| OsError { call: "sendmsg", source })
}

/// Receives the descriptor that comes with the next byte. More of them are closed.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> Result<OwnedFd, OsError> {
    let failed = |source| OsError { call: "recvmsg", source };
    // A socket may be set to tell who sends, too.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = retry_io(|| {
        let mut parts = [IoSliceMut::new(&mut byte)];
        Ok(recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?)
    });
    let received = received.map_err(failed)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    match fd {
        Some(fd) => Ok(fd),
        // The kernel drops the descriptors that a process has no room for.
        None if received.flags.contains(ReturnFlags::CTRUNC) => Err(OsError::new("recvmsg", Errno::EMFILE)),
        None if received.bytes == 0 => {
            Err(failed(io::Error::new(ErrorKind::UnexpectedEof, "the other side closed the socket; connect again")))
        }
        None => Err(failed(io::Error::new(
            ErrorKind::InvalidData,
            "no descriptor came with the message; let the other side send one by Region::send_over",
        ))),
    }
}
