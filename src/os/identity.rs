//! What distinguishes a file from its copies, and a region from all others.

use core::mem::MaybeUninit;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::lstat;

use super::retry::retry;
use crate::error::OsError;

/// What the kernel says to tell a file from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub inode: u64,
    /// In nanoseconds since the epoch; 0 if the kernel does not say.
    pub born: u64,
    /// The btrfs subvolume that it lies in; 0: none, or the kernel does not say.
    pub subvolume: u64,
}

/// The identity of an open file.
pub(crate) fn of_file(file: &File) -> Result<Identity, OsError> {
    let mut identity = match statx(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH) {
        // Old sandboxes do not know `statx`: only the inode number is left.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => {
            let stat = nix::sys::stat::fstat(file.as_fd()).map_err(|e| OsError::new("fstat", e))?;
            Identity { inode: stat.st_ino, born: 0, subvolume: 0 }
        }
        result => result.map_err(|e| OsError::new("statx", e))?,
    };
    if identity.subvolume == 0 {
        identity.subvolume = subvolume(file).unwrap_or(0);
    }
    Ok(identity)
}

/// The identity of the file that a path names now; `None` if there is none. Does not follow a symbolic link. The
/// subvolume is known only if `statx` gives it.
pub(crate) fn of_path(path: &Path) -> Result<Option<Identity>, OsError> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| OsError::new("statx", Errno::EINVAL))?;
    match statx(libc::AT_FDCWD, &name, libc::AT_SYMLINK_NOFOLLOW) {
        Ok(identity) => Ok(Some(identity)),
        // A system-call filter may answer with any error, even "no such file", so another call checks. The standard
        // library would call `statx` again.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => {
            match retry(|| lstat(path)) {
                Ok(found) => Ok(Some(Identity { inode: found.st_ino, born: 0, subvolume: 0 })),
                Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
                Err(errno) => Err(OsError::new("lstat", errno)),
            }
        }
        Err(errno) => Err(OsError::new("statx", errno)),
    }
}

fn statx(dir: i32, path: &core::ffi::CStr, flags: i32) -> Result<Identity, Errno> {
    let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_SUBVOL;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    retry(|| {
        // SAFETY: the path is a C string, and `found` has room for the answer; both live across the call.
        Errno::result(unsafe { libc::statx(dir, path.as_ptr(), flags, mask, found.as_mut_ptr()) })
    })?;
    // SAFETY: zeroes are a valid `statx`, and the kernel wrote another over them.
    let found = unsafe { found.assume_init() };
    let known = |bit: u32| found.stx_mask & bit != 0;
    let born = i128::from(found.stx_btime.tv_sec) * 1_000_000_000 + i128::from(found.stx_btime.tv_nsec);
    Ok(Identity {
        inode: found.stx_ino,
        born: if known(libc::STATX_BTIME) { born as u64 } else { 0 },
        subvolume: if known(libc::STATX_SUBVOL) { found.stx_subvol } else { 0 },
    })
}

/// `BTRFS_IOC_INO_LOOKUP` of `linux/btrfs.h`: `_IOWR(0x94, 18, struct btrfs_ioctl_ino_lookup_args)`.
const INO_LOOKUP: u64 = 0xD000_9412;
/// `BTRFS_FIRST_FREE_OBJECTID`: for this object id btrfs returns the subvolume and no path.
const FIRST_FREE: u64 = 256;

/// The btrfs subvolume of a file, for kernels before 6.10, whose `statx` does not give it.
fn subvolume(file: &File) -> Option<u64> {
    let system = nix::sys::statfs::fstatfs(file.as_fd()).ok()?;
    if system.filesystem_type() != nix::sys::statfs::BTRFS_SUPER_MAGIC {
        return None;
    }
    // The request holds a tree id, an object id, and room for a path.
    let mut request = [0u64; 512];
    request[1] = FIRST_FREE;
    // SAFETY: the kernel reads and writes the 4096 bytes of `request`.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), INO_LOOKUP, request.as_mut_ptr()) };
    (result == 0).then_some(request[0])
}

/// A number that no other region has.
pub(crate) fn random_id() -> Result<[u64; 2], OsError> {
    let mut id = [0u64; 2];
    let mut filled = 0;
    while filled < size_of_val(&id) {
        let rest = id.as_mut_ptr().cast::<u8>().wrapping_add(filled);
        let left = size_of_val(&id) - filled;
        // SAFETY: the kernel writes at most the rest of `id`.
        let count = retry(|| Errno::result(unsafe { libc::getrandom(rest.cast(), left, 0) }));
        filled += count.map_err(|e| OsError::new("getrandom", e))? as usize;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_identity_when_it_is_moved_and_a_copy_has_another() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved, copy) = (dir.path().join("file"), dir.path().join("moved"), dir.path().join("copy"));
        std::fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        let identity = of_file(&file).unwrap();
        assert_ne!(identity.inode, 0);
        std::fs::rename(&path, &moved).unwrap();
        assert_eq!(of_path(&moved).unwrap(), Some(identity));
        assert_eq!(of_file(&file).unwrap(), identity);
        assert_eq!(of_path(&path).unwrap(), None);
        std::fs::copy(&moved, &copy).unwrap();
        assert_ne!(of_path(&copy).unwrap(), Some(identity));
    }

    #[test]
    fn no_two_ids_are_the_same() {
        assert_ne!(random_id().unwrap(), random_id().unwrap());
    }
}
