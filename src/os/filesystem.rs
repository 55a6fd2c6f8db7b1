//! Which file systems suit a region: reserved memory must stay reserved, so that no store raises a signal.
//!
//! On most disks a file keeps its blocks once they are allocated. A copy-on-write file system writes every change to a
//! new place, and needs room at each write-back. One behind a network may lose anything.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, HUGETLBFS_MAGIC, OVERLAYFS_SUPER_MAGIC, Statfs, TMPFS_MAGIC,
    XFS_SUPER_MAGIC, fstatfs,
};

use super::retry::retry;
use crate::error::{OsError, Reason};

/// The kind of file system that a file lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Memory of bounded size, whose files know their holes.
    Tmpfs,
    /// Memory without a size limit.
    Ramfs,
    /// hugetlbfs.
    Huge,
    /// ext2, ext3 and ext4.
    Ext,
    Xfs,
    Btrfs,
    /// A layer over an unknown file system.
    Overlay,
    /// A file system that guarantees nothing.
    Other(FsType),
}

const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// `FS_IOC_SETFLAGS`, which libc does not name.
const SETFLAGS: libc::Ioctl = libc::_IOW::<libc::c_long>(b'f' as u32, 2);
/// Attributes: the file is compressed; the file's blocks are overwritten in place.
const COMPRESSED: libc::c_int = 0x4;
const IN_PLACE: libc::c_int = 0x0080_0000;

/// Names of file systems that are refused. Any other is reported by its number.
const REFUSED: [(i64, &str); 16] = [
    (0x6969, "NFS"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x2fc1_2fc1, "ZFS"),
    (0xca45_1a4e, "bcachefs"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0xf2f5_2010, "F2FS"),
    (0x2011_bab0, "exFAT"),
    (0x4d44, "FAT"),
    (0x7366_746e, "NTFS"),
    (0xf15f, "eCryptfs"),
    (0x786f_4256, "a VirtualBox share"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

fn system(file: &File) -> Result<Statfs, OsError> {
    retry(|| fstatfs(file)).map_err(|errno| OsError::new("fstatfs", errno))
}

/// The kind of file system that a file lies on.
pub(crate) fn kind(file: &File) -> Result<Kind, OsError> {
    Ok(match system(file)?.filesystem_type() {
        TMPFS_MAGIC => Kind::Tmpfs,
        RAMFS_MAGIC => Kind::Ramfs,
        HUGETLBFS_MAGIC => Kind::Huge,
        EXT4_SUPER_MAGIC => Kind::Ext,
        XFS_SUPER_MAGIC => Kind::Xfs,
        BTRFS_SUPER_MAGIC => Kind::Btrfs,
        OVERLAYFS_SUPER_MAGIC => Kind::Overlay,
        other => Kind::Other(other),
    })
}

/// Whether the file exists in memory only, so that its content cannot be from another boot.
pub(crate) fn is_in_memory(file: &File) -> Result<bool, OsError> {
    Ok(matches!(kind(file)?, Kind::Tmpfs | Kind::Ramfs | Kind::Huge))
}

fn name(system: FsType) -> String {
    let number = system.0 & 0xffff_ffff;
    let known = REFUSED.iter().find(|(magic, _)| *magic == number);
    known.map_or_else(|| format!("a file system of type {number:#x}"), |(_, name)| (*name).to_owned())
}

/// Makes an empty file keep its blocks: on btrfs, turns copy-on-write off.
pub(crate) fn prepare(file: &File) -> Result<(), Reason> {
    match kind(file)? {
        // Nobody can tell what lies below an overlay. Only btrfs takes the attribute, and only btrfs needs it.
        Kind::Overlay => {
            let _ = write_in_place(file);
            Ok(())
        }
        Kind::Btrfs => {
            write_in_place(file).map_err(|errno| OsError::new("ioctl(FS_IOC_SETFLAGS)", errno))?;
            check(file)
        }
        _ => check(file),
    }
}

/// Refuses a file whose reserved memory can be missing later.
pub(crate) fn check(file: &File) -> Result<(), Reason> {
    match kind(file)? {
        Kind::Other(system) => Err(Reason::FileSystem { found: name(system) }),
        Kind::Btrfs => {
            let flags = flags(file).map_err(|errno| OsError::new("ioctl(FS_IOC_GETFLAGS)", errno))?;
            if flags & IN_PLACE == 0 { Err(Reason::CopyOnWrite) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// How many bytes are free, including those that the file system holds in reserve.
pub(crate) fn free(file: &File) -> Result<u64, OsError> {
    let system = system(file)?;
    Ok(system.blocks_free().saturating_mul(system.block_size() as u64))
}

/// Why no process can make a region in this directory; `None` if one might.
pub(crate) fn unsupported(dir: &Path) -> Option<Reason> {
    match kind(&File::open(dir).ok()?) {
        Ok(Kind::Other(system)) => Some(Reason::FileSystem { found: name(system) }),
        _ => None,
    }
}

fn write_in_place(file: &File) -> nix::Result<()> {
    let found = flags(file)?;
    // A compressed file is never written in place. The kernel takes the two changes only one after the other.
    if found & COMPRESSED != 0 {
        set_flags(file, found & !COMPRESSED)?;
    }
    set_flags(file, found & !COMPRESSED | IN_PLACE)
}

fn flags(file: &File) -> nix::Result<libc::c_int> {
    // The kernel writes an `int`, although the request's number is made for a `long`.
    let mut flags: libc::c_long = 0;
    retry(|| {
        // SAFETY: the kernel writes at most the eight bytes of `flags`.
        Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) })
    })?;
    Ok(flags as libc::c_int)
}

fn set_flags(file: &File, flags: libc::c_int) -> nix::Result<()> {
    let flags = libc::c_long::from(flags);
    retry(|| {
        // SAFETY: the kernel reads at most the eight bytes of `flags`.
        Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), SETFLAGS, &raw const flags) })
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_file_systems_have_names() {
        assert_eq!(name(FsType(0x6969)), "NFS");
        assert_eq!(name(FsType(0xff53_4d42_u32 as i32 as _)), "CIFS");
        assert_eq!(name(FsType(0x9fa0)), "a file system of type 0x9fa0");
    }

    #[test]
    fn an_unknown_file_system_is_refused() {
        let file = File::open("/proc/version").unwrap();
        assert!(matches!(check(&file), Err(Reason::FileSystem { found }) if found.contains("0x9fa0")));
    }
}
