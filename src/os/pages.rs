//! Counts the pages that a file has in memory (`cachestat(2)`).

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;

use super::retry::retry;
use crate::error::OsError;

/// Since Linux 6.5.
const CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range` of `linux/mman.h`.
#[repr(C)]
struct Range {
    from: u64,
    len: u64,
}

/// `struct cachestat` of `linux/mman.h`, in pages.
#[repr(C)]
#[derive(Default)]
struct Found {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// For a file on tmpfs: how many pages of its first `len` bytes are in memory or swapped out. The others are holes.
pub(crate) fn in_memory(file: &File, len: u64) -> Result<u64, OsError> {
    let (range, mut found) = (Range { from: 0, len }, Found::default());
    retry(|| {
        // SAFETY: the kernel reads the range and writes the counts; both live across the call.
        Errno::result(unsafe { libc::syscall(CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut found, 0) })
    })
    .map_err(|e| OsError::new("cachestat", e))?;
    Ok(found.cached.saturating_add(found.evicted))
}
