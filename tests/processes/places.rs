//! Where a process that was started anew finds its region.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use ringway::{Channel, seqlock};

use crate::common::descriptor::receive_fd;
use crate::common::messages::Latest;

fn fd_at(place: &str) -> OwnedFd {
    if let Some(number) = place.strip_prefix("fd:") {
        let number: RawFd = number.parse().unwrap();
        // SAFETY: the parent left this descriptor open for this process, which has no other use of it.
        return unsafe { OwnedFd::from_raw_fd(number) };
    }
    receive_fd(&UnixStream::connect(place.strip_prefix("socket:").unwrap()).unwrap())
}

pub fn open<C: Channel>(place: &str) -> C {
    let options = C::options();
    match place.strip_prefix("path:") {
        Some(path) => options.open(path),
        None => options.from_fd(fd_at(place)),
    }
    .unwrap()
}

/// Every reader except the first is attached read-only.
pub fn open_latest<const WORDS: usize>(place: &str, side: &str) -> seqlock::Channel<Latest<WORDS>> {
    if side == "write" || side == "read0" {
        return open(place);
    }
    let options = seqlock::Channel::options();
    match place.strip_prefix("path:") {
        Some(path) => options.open_read_only(path).unwrap(),
        None => options.from_fd_read_only(fd_at(place)).unwrap(),
    }
}
