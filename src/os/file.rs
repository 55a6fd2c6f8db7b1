//! What the kernel can do with a file, one call each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::Resource;
use nix::sys::stat::Mode;
use nix::sys::statfs::{HUGETLBFS_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use super::owned::{Owned, id_of};
use super::retry::{retry, retry_io};
use super::usage::limit;
use crate::error::{OsError, Reason};

/// The seals a region's memfd has: nobody can change its size under its users.
pub(crate) const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// Gives the file its permissions, whatever the umask.
pub(crate) fn set_mode(file: &File, mode: u32) -> Result<(), OsError> {
    let set = || file.set_permissions(fs::Permissions::from_mode(mode));
    retry_io(set).map_err(|source| OsError { call: "fchmod", source })
}

/// Whether `path` is one of `/proc`'s links to an open file, which lead where no symbolic link can.
pub(crate) fn is_link_to_open_file(path: &Path) -> bool {
    let Some(dir) = path.parent() else { return false };
    let is_link = retry_io(|| fs::symlink_metadata(path)).is_ok_and(|there| there.is_symlink());
    is_link && retry(|| nix::sys::statfs::statfs(dir)).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Gives a new file to a user and group, if it is not theirs.
pub(crate) fn give_to(file: &File, user: u32, group: u32) -> Result<(), OsError> {
    let there = metadata(file)?;
    if (there.uid(), there.gid()) == (user, group) {
        return Ok(());
    }
    retry_io(|| std::os::unix::fs::fchown(file, Some(user), Some(group)))
        .map_err(|source| OsError { call: "fchown", source })
}

/// What `fstat(2)` says.
pub(crate) fn metadata(file: &File) -> Result<fs::Metadata, OsError> {
    retry_io(|| file.metadata()).map_err(|source| OsError { call: "fstat", source })
}

/// What a descriptor of this thread's is called, without an allocation: who waits asks after its peer with it.
pub(crate) fn own_path(fd: i32, path: &mut [u8; 40]) -> &[u8] {
    let mut rest = &mut path[..];
    // It is long enough for any number.
    let _ = write!(rest, "/proc/thread-self/fd/{fd}");
    let unused = rest.len();
    &path[..path.len() - unused]
}

/// The same file, opened anew: an open file of its own. Needs `/proc`, and not its `self`, which has no
/// descriptors once the process's first thread has ended. If somebody closed the descriptor, another
/// file may have its number, even one that to open means to wait for.
pub(crate) fn reopen(file: &Owned, writable: bool) -> Result<Owned, OsError> {
    const CALL: &str = "open(/proc/thread-self/fd)";
    let mut path = [0; 40];
    let own = file.get().map_err(|error| OsError { call: CALL, ..error })?;
    let path = own_path(own.as_raw_fd(), &mut path);
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = retry(|| open(path, flags, Mode::empty())).map_err(|e| OsError::new(CALL, e))?;
    let opened = Owned::opened(fd.into())?;
    if opened.id() == file.id() { Ok(opened) } else { Err(OsError::new(CALL, Errno::EBADF)) }
}

/// A file without a name or a byte, for its locks.
pub(crate) fn for_locks() -> Option<Owned> {
    let fd = retry(|| memfd_create(c"ringway-locks", MFdFlags::MFD_CLOEXEC)).ok()?;
    Owned::opened(fd.into()).ok()
}

/// A new memfd, which may still be sized and sealed.
pub(crate) fn memfd(huge: bool) -> Result<Owned, Reason> {
    let mut flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    if huge {
        flags |= MFdFlags::MFD_HUGETLB;
    }
    match retry(|| memfd_create(c"ringway", flags)) {
        Ok(fd) => Ok(Owned::opened(fd.into())?),
        Err(errno) => Err(reason_of("memfd_create", errno)),
    }
}

/// Fixes the memfd's size for good.
pub(crate) fn seal(file: &File) -> Result<(), OsError> {
    retry(|| fcntl(file, FcntlArg::F_ADD_SEALS(SEALS))).map_err(|e| OsError::new("fcntl(F_ADD_SEALS)", e))?;
    Ok(())
}

/// The seals of a memfd; `None` for a file that has none because it cannot.
pub(crate) fn seals(file: &File) -> Option<SealFlag> {
    retry(|| fcntl(file, FcntlArg::F_GET_SEALS)).ok().map(SealFlag::from_bits_truncate)
}

/// Another descriptor of the same open file, that an exec'd program inherits.
pub(crate) fn inheritable(file: &Owned) -> Result<OwnedFd, Reason> {
    let own = file.get().map_err(|_| Reason::DescriptorClosed)?;
    let fd = retry(|| fcntl(own, FcntlArg::F_DUPFD(3))).map_err(|e| reason_of("fcntl(F_DUPFD)", e))?;
    // SAFETY: the kernel just made this descriptor and nobody else knows it.
    let copy = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // Somebody may have closed the original just before it was copied.
    if id_of(&copy)? == file.id() { Ok(copy.into()) } else { Err(Reason::DescriptorClosed) }
}

/// The page size of the memory behind a file: that of its file system if it is a hugetlbfs.
pub(crate) fn page_size(file: &File) -> Result<usize, OsError> {
    let system = retry(|| fstatfs(file.as_fd())).map_err(|e| OsError::new("fstatfs", e))?;
    if system.filesystem_type() == HUGETLBFS_MAGIC { Ok(system.block_size() as usize) } else { base_page() }
}

/// The ordinary page size, in bytes.
pub(crate) fn base_page() -> Result<usize, OsError> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.map_err(|e| OsError::new("sysconf", e)).map(|size| size.map_or(4096, |size| size as usize))
}

/// Whether `path` names this very file.
pub(crate) fn names(path: &Path, file: &Owned) -> io::Result<bool> {
    match retry_io(|| fs::symlink_metadata(path)) {
        Ok(there) => Ok(file.id() == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What an error means that any call on a file may have.
pub(crate) fn reason_of(call: &'static str, errno: Errno) -> Reason {
    match errno {
        Errno::ENOENT => Reason::Missing,
        Errno::EMFILE => Reason::DescriptorLimit { limit: limit(Resource::RLIMIT_NOFILE) },
        _ => OsError::new(call, errno).into(),
    }
}
