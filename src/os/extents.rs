//! Which parts of a file have blocks on disk (`FS_IOC_FIEMAP`), and whether another file shares them.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;

use super::retry::retry;

/// How many extents one call returns.
const BATCH: usize = 32;

/// `struct fiemap` of `linux/fiemap.h`.
#[repr(C)]
#[derive(Default)]
struct Request {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; BATCH],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [u64; 2],
    flags: u32,
    more_reserved: [u32; 3],
}

const _: () = assert!(size_of::<Extent>() == 56 && size_of::<Request>() == 32 + BATCH * 56);

const FIEMAP: libc::Ioctl = 0xC020_660B;
/// Flags of an extent whose place is unknown, not decided yet, or shared with another file.
const NOT_EXCLUSIVE: u32 = 0x2 | 0x4 | 0x2000;

/// Whether all of the first `len` bytes have blocks that belong to this file alone. False if the file system does not
/// say.
pub(crate) fn are_exclusive(file: &File, len: u64) -> bool {
    let mut known = 0;
    while known < len {
        let mut request = Request { start: known, length: len - known, count: BATCH as u32, ..Default::default() };
        let answer = retry(|| {
            // SAFETY: the kernel writes at most `count` extents into the request.
            Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), FIEMAP, &raw mut request) })
        });
        let extents = request.extents.iter().take(request.mapped as usize);
        let before = known;
        for extent in extents {
            if extent.logical > known || extent.flags & NOT_EXCLUSIVE != 0 {
                return false;
            }
            known = known.max(extent.logical.saturating_add(extent.length));
        }
        if answer.is_err() || known == before {
            return false;
        }
    }
    true
}
