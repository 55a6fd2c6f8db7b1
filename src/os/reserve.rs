//! Memory for a file, now: not when it is first touched, which would be a signal.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate, posix_fallocate};
use nix::libc::off_t;
use nix::sys::resource::Resource;
use nix::unistd::{Whence, lseek};

use super::extents::are_own;
use super::file::{base_page, memfd, metadata, page_size};
use super::filesystem::{self, Kind};
use super::pages;
use super::retry::{in_pieces, retry};
use super::usage::limit;
use crate::error::OsError;
use crate::error::Reason;

/// Gives a new file its length, and memory for all of it.
pub(crate) fn reserve(file: &File, len: u64) -> Result<(), Reason> {
    // Beyond the limit the kernel would send a signal that kills by default.
    let most = limit(Resource::RLIMIT_FSIZE);
    if len > most {
        return Err(Reason::FileSizeLimit { needed: len, limit: most });
    }
    check_room(file, len)?;
    // `ftruncate` would succeed on a full tmpfs, and the first touch would be a SIGBUS.
    allocate("posix_fallocate", file, len, |from, part| posix_fallocate(file, from, part))
}

/// Gives a file that was copied sparsely its missing memory, and one that shares its blocks with a copy blocks
/// of its own. Changes nothing else.
pub(crate) fn fill_holes(file: &File, len: u64) -> Result<(), Reason> {
    check_room(file, len)?;
    let flags = match filesystem::kind(file)? {
        // A full one refuses room for what is there already.
        Kind::Xfs if are_own(file, len) => return Ok(()),
        Kind::Xfs => FallocateFlags::FALLOC_FL_UNSHARE_RANGE,
        _ => FallocateFlags::empty(),
    };
    match allocate("fallocate", file, len, |from, part| fallocate(file, flags, from, part)) {
        // On ramfs, whose size nothing bounds, none is needed. ext2, ext3 and ext4 without extents reserve nothing
        // either: there, only a file that is whole may be mapped.
        Err(Reason::Os(error)) if error.errno() == Errno::EOPNOTSUPP => match filesystem::kind(file)? {
            Kind::Ramfs => Ok(()),
            _ if missing(file, len)? > 0 || first_hole(file)? < len => Err(Reason::Holes),
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

/// Refuses a file for which the machine has not the memory.
pub(crate) fn check_room(file: &File, len: u64) -> Result<(), Reason> {
    match filesystem::kind(file)? {
        Kind::Tmpfs | Kind::Ramfs => check_memory(missing(file, len)?),
        // To find out by reserving it would take what there is from everybody else for a while.
        Kind::Ext | Kind::Xfs | Kind::Btrfs | Kind::Overlay if missing(file, len)? > filesystem::free(file)? => {
            Err(Reason::NoSpace { needed: len })
        }
        _ => Ok(()),
    }
}

/// Whether a part of the file's first `len` bytes has no memory, so that to look at it by a mapping takes some, and is
/// a signal if there is none. On disks, blocks behind `len` can hide a hole, but there a look takes no block.
pub(crate) fn has_holes(file: &File, len: u64) -> Result<bool, OsError> {
    match filesystem::kind(file)? {
        // It counts no blocks, and is full only when the machine is.
        Kind::Ramfs => Ok(false),
        _ if missing(file, len)? > 0 => Ok(true),
        Kind::Tmpfs => Ok(match pages::in_memory(file, len) {
            Ok(pages) => pages < len.div_ceil(base_page()? as u64),
            // Before Linux 6.5, or refused: what lies behind `len` may be counted in place of what is missing.
            Err(_) => held(file)? != len,
        }),
        _ => Ok(false),
    }
}

/// How many of the first `len` bytes have no memory, if none lies behind them.
fn missing(file: &File, len: u64) -> Result<u64, OsError> {
    Ok(len.saturating_sub(held(file)?))
}

/// How many bytes of memory the file has.
fn held(file: &File) -> Result<u64, OsError> {
    Ok(metadata(file)?.blocks().saturating_mul(512))
}

/// Where the file's first hole begins, or its end. Memory that was reserved and never written counts as a hole.
fn first_hole(file: &File) -> Result<u64, OsError> {
    let hole = retry(|| lseek(file, 0, Whence::SeekHole)).map_err(|e| OsError::new("lseek(SEEK_HOLE)", e))?;
    Ok(hole as u64)
}

/// Refuses what the machine's memory cannot hold: for memory without a file system, nothing else would,
/// and the kernel would end processes to find the room.
pub(crate) fn check_memory(len: u64) -> Result<(), Reason> {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let known = field(&info, "MemAvailable:").zip(field(&info, "SwapFree:"));
    match known.or_else(free) {
        Some((memory, swap)) if len > memory.saturating_add(swap) => Err(Reason::NoSpace { needed: len }),
        _ => Ok(()),
    }
}

/// A field of `/proc/meminfo`, in bytes.
fn field(info: &str, name: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

/// Memory and swap that nobody uses: less than could be had, for `sysinfo(2)` does not know what the kernel
/// would give up. It needs no `/proc`.
fn free() -> Option<(u64, u64)> {
    let info = nix::sys::sysinfo::sysinfo().ok()?;
    Some((info.ram_unused(), info.swap_free()))
}

/// Bytes of a huge page, as the kernel makes them by default. Needs no `/proc`.
pub(crate) fn huge_page() -> Result<usize, Reason> {
    Ok(page_size(memfd(true)?.get()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_know_the_memory() {
        let (memory, swap) = free().unwrap();
        assert!(memory > 0 && memory.saturating_add(swap) < 1 << 50);
        let info = fs::read_to_string("/proc/meminfo").unwrap();
        assert!(field(&info, "MemAvailable:").unwrap() > 0);
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
