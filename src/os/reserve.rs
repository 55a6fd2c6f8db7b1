//! Reserves a file's memory up front: memory that is missing at the first touch is a signal.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate, posix_fallocate};
use nix::libc::off_t;
use nix::sys::resource::Resource;
use nix::unistd::{Whence, lseek};

use super::extents::are_exclusive;
use super::file::{MEMFD, base_page, memfd, metadata, page_size};
use super::filesystem::{self, Kind};
use super::pages;
use super::retry::{in_pieces, retry};
use super::usage::limit;
use crate::error::{OsError, Reason};

/// Sets a new file's length in bytes, and reserves memory for all of it.
pub(crate) fn reserve(file: &File, len: u64) -> Result<(), Reason> {
    // Beyond this limit the kernel sends SIGXFSZ, which kills by default.
    let most = limit(Resource::RLIMIT_FSIZE);
    if len > most {
        return Err(Reason::FileSizeLimit { needed: len, limit: most });
    }
    check_room(file, len)?;
    // `ftruncate` would succeed on a full tmpfs, and the first touch would be a SIGBUS.
    allocate("posix_fallocate", file, len, |from, part| posix_fallocate(file, from, part))
}

/// Fills the holes of a file that was copied sparsely, and unshares the blocks that a file has in common with a copy.
/// Changes nothing else.
pub(crate) fn fill_holes(file: &File, len: u64) -> Result<(), Reason> {
    check_room(file, len)?;
    let flags = match filesystem::kind(file)? {
        // A full XFS refuses to reserve even blocks that the file already has.
        Kind::Xfs if are_exclusive(file, len) => return Ok(()),
        Kind::Xfs => FallocateFlags::FALLOC_FL_UNSHARE_RANGE,
        _ => FallocateFlags::empty(),
    };
    match allocate("fallocate", file, len, |from, part| fallocate(file, flags, from, part)) {
        // ramfs has no size limit and needs no reservation. ext2, ext3 and ext4 without extents cannot reserve: there,
        // only a file without holes may be mapped.
        Err(Reason::Os(error)) if error.errno() == Errno::EOPNOTSUPP => match filesystem::kind(file)? {
            Kind::Ramfs => Ok(()),
            _ if unallocated(file, len)? > 0 || first_hole(file)? < len => Err(Reason::Holes),
            _ => Ok(()),
        },
        result => result,
    }
}

fn allocate(
    call: &'static str,
    file: &File,
    len: u64,
    mut part_of: impl FnMut(off_t, off_t) -> nix::Result<()>,
) -> Result<(), Reason> {
    if off_t::try_from(len).is_err() {
        return Err(OsError::new(call, Errno::EFBIG).into());
    }
    match in_pieces(len, page_size(file)? as u64, |from, part| part_of(from as off_t, part as off_t)) {
        Ok(()) => Ok(()),
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Reason::NoSpace { needed: len }),
        Err(errno) => Err(OsError::new(call, errno).into()),
    }
}

/// Refuses a file if the machine, or its file system, has no room for it.
pub(crate) fn check_room(file: &File, len: u64) -> Result<(), Reason> {
    match filesystem::kind(file)? {
        Kind::Tmpfs | Kind::Ramfs => check_memory(unallocated(file, len)?),
        // Finding out by reserving would take the free space from everyone else for a while.
        Kind::Ext | Kind::Xfs | Kind::Btrfs | Kind::Overlay if unallocated(file, len)? > filesystem::free(file)? => {
            Err(Reason::NoSpace { needed: len })
        }
        _ => Ok(()),
    }
}

/// Whether part of the file's first `len` bytes has no memory. Reading a hole through a mapping allocates memory, and
/// is a signal if there is none. On a disk, blocks beyond `len` can hide a hole, but reading one there allocates no
/// block.
pub(crate) fn has_holes(file: &File, len: u64) -> Result<bool, OsError> {
    match filesystem::kind(file)? {
        // ramfs counts no blocks, and is full only when the machine is.
        Kind::Ramfs => Ok(false),
        _ if unallocated(file, len)? > 0 => Ok(true),
        Kind::Tmpfs => Ok(match pages::in_memory(file, len) {
            Ok(pages) => pages < len.div_ceil(base_page()? as u64),
            // Before Linux 6.5, or refused: blocks beyond `len` may make up for missing ones.
            Err(_) => allocated(file)? != len,
        }),
        _ => Ok(false),
    }
}

/// How many of the first `len` bytes have no memory, if the file has none beyond them.
fn unallocated(file: &File, len: u64) -> Result<u64, OsError> {
    Ok(len.saturating_sub(allocated(file)?))
}

/// How many bytes the file has allocated.
fn allocated(file: &File) -> Result<u64, OsError> {
    Ok(metadata(file)?.blocks().saturating_mul(512))
}

/// Offset of the file's first hole, or its length if it has none. Memory that was reserved but never written counts as
/// a hole.
fn first_hole(file: &File) -> Result<u64, OsError> {
    let hole = retry(|| lseek(file, 0, Whence::SeekHole)).map_err(|e| OsError::new("lseek(SEEK_HOLE)", e))?;
    Ok(hole as u64)
}

/// Refuses more bytes than the machine's memory can hold. Nothing else refuses memory that belongs to no file system:
/// the kernel would kill processes to make room.
pub(crate) fn check_memory(len: u64) -> Result<(), Reason> {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let known = meminfo_field(&info, "MemAvailable:").zip(meminfo_field(&info, "SwapFree:"));
    match known.or_else(unused_memory) {
        Some((memory, swap)) if len > memory.saturating_add(swap) => Err(Reason::NoSpace { needed: len }),
        _ => Ok(()),
    }
}

/// A field of `/proc/meminfo`, in bytes.
fn meminfo_field(info: &str, name: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

/// Unused memory and swap, in bytes. This is a lower bound: `sysinfo(2)` does not count what the kernel could reclaim.
/// It needs no `/proc`.
fn unused_memory() -> Option<(u64, u64)> {
    let info = nix::sys::sysinfo::sysinfo().ok()?;
    Some((info.ram_unused(), info.swap_free()))
}

/// The kernel's default huge page size, in bytes. Needs no `/proc`.
pub(crate) fn huge_page() -> Result<usize, Reason> {
    Ok(page_size(memfd(MEMFD, true)?.get()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_know_the_memory() {
        let (memory, swap) = unused_memory().unwrap();
        assert!(memory > 0 && memory.saturating_add(swap) < 1 << 50);
        let info = fs::read_to_string("/proc/meminfo").unwrap();
        assert!(meminfo_field(&info, "MemAvailable:").unwrap() > 0);
        assert!(matches!(check_memory(1 << 50), Err(Reason::NoSpace { .. })));
    }

    #[test]
    fn a_hole_is_seen_and_filled() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(100 << 12).unwrap();
        assert!(has_holes(&file, 100 << 12).unwrap());
        fill_holes(&file, 100 << 12).unwrap();
        assert!(!has_holes(&file, 100 << 12).unwrap());
    }
}
