//! Descriptors that cross a Unix socket (`SCM_RIGHTS`, [`unix(7)`]).
//!
//! Whatever descriptor comes along is closed, but for the one that is wanted. So all that the kernel can put beside a byte
//! is looked at here: nix loses descriptors where there was no room for all, and rustix those of a kind that it does not know.
//!
//! [`unix(7)`]: https://man7.org/linux/man-pages/man7/unix.7.html

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, sendmsg, sockopt};

use super::retry::retry_io;
use crate::error::OsError;

/// A descriptor needs a byte to travel with.
const COMPANION: &[u8] = b"r";

/// A control message with the descriptor of the process that sent it, which a socket may be set to bring (Linux 6.5).
const SCM_PIDFD: libc::c_int = 4;

/// Room for control messages: 253 descriptors, which is the kernel's most, and whatever a socket may be set to bring.
#[repr(C, align(8))]
struct Space([u8; 8192]);

/// Sends a descriptor with one byte.
pub(crate) fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), OsError> {
    check(socket)?;
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
    check(socket)?;
    let mut byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut space = Space([0; 8192]);
    // SAFETY: of this structure all zeroes are a value, which names no memory.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    header.msg_control = (&raw mut space).cast();
    let received = loop {
        header.msg_controllen = size_of::<Space>() as _;
        // SAFETY: the header names a byte and a space for control messages, both of which live across the call.
        let answer = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
        // This waits for as long as it takes, however many signals come.
        match Errno::result(answer) {
            Err(Errno::EINTR) => {}
            answer => break answer.map_err(|errno| OsError::new("recvmsg", errno))?,
        }
    };
    if let Some(fd) = wanted(&header) {
        return Ok(fd);
    }
    let failed = |kind, text| Err(OsError { call: "recvmsg", source: io::Error::new(kind, text) });
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        // The kernel drops the descriptors that a process has no room for. There is space for all others.
        return Err(OsError::new("recvmsg", Errno::EMFILE));
    }
    if received == 0 && sockopt::socket_type(socket) != Ok(SocketType::DGRAM) {
        return failed(ErrorKind::UnexpectedEof, "the other side closed the socket; connect again");
    }
    failed(
        ErrorKind::InvalidData,
        "no descriptor came with the message; let the other side send one by Region::send_over",
    )
}

/// A descriptor crosses only Unix sockets: others take the byte, and lose it.
fn check(socket: BorrowedFd<'_>) -> Result<(), OsError> {
    let failed = |source| OsError { call: "getsockopt(SO_DOMAIN)", source };
    match retry_io(|| Ok(sockopt::socket_domain(socket)?)) {
        Ok(AddressFamily::UNIX) => Ok(()),
        Ok(_) => Err(failed(io::Error::new(ErrorKind::InvalidInput, "it is no Unix socket; use a Unix socket"))),
        Err(error) => Err(failed(error)),
    }
}

/// The first descriptor that was sent. All others that came along are closed.
fn wanted(header: &libc::msghdr) -> Option<OwnedFd> {
    let mut wanted = None;
    // SAFETY: the kernel filled in the header and the control messages behind it.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: it is a control message that the kernel wrote, aligned.
        let message = unsafe { at.read() };
        let mut brought = descriptors(at).into_iter();
        if message.cmsg_type == libc::SCM_RIGHTS && wanted.is_none() {
            wanted = brought.next();
        }
        // SAFETY: as for the first.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    wanted
}

/// The descriptors that the control message at `at` brings.
fn descriptors(at: *const libc::cmsghdr) -> Vec<OwnedFd> {
    // SAFETY: the kernel wrote the message, aligned.
    let message = unsafe { at.read() };
    if message.cmsg_level != libc::SOL_SOCKET || ![libc::SCM_RIGHTS, SCM_PIDFD].contains(&message.cmsg_type) {
        return Vec::new();
    }
    // SAFETY: the same.
    let data = unsafe { libc::CMSG_DATA(at) };
    // The C library decides how wide the length is.
    let len: usize = message.cmsg_len as _;
    let numbers = (0..(len - (data.addr() - at.addr())) / size_of::<RawFd>()).map(|index| {
        // SAFETY: it lies in the message.
        unsafe { data.cast::<RawFd>().wrapping_add(index).read_unaligned() }
    });
    // In place of a pidfd there may be an error.
    let made = numbers.filter(|number| *number >= 0);
    // SAFETY: the kernel just made these, and nobody else knows them.
    made.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect()
}
