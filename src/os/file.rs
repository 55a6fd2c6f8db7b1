//! Operations on a file, one system call each.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, SealFlag, fcntl, open, readlink};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::Resource;
use nix::sys::stat::Mode;
use nix::sys::statfs::{HUGETLBFS_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use super::owned::{Owned, id_of};
use super::retry::{retry, retry_io};
use super::usage::limit;
use crate::error::{OsError, Reason};

/// The seals of a region's memfd: nobody can change its size while others use it.
pub(crate) const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// The name of a region's memfd. `/proc/PID/fd` and `/proc/PID/maps` show it.
pub(crate) const MEMFD: &CStr = c"ringway";

/// The name of a memfd that stands for anonymous memory.
pub(crate) const ANONYMOUS: &CStr = c"ringway-anonymous";

/// Sets the file's permissions, whatever the umask.
pub(crate) fn set_mode(file: &File, mode: u32) -> Result<(), OsError> {
    let set = || file.set_permissions(fs::Permissions::from_mode(mode));
    retry_io(set).map_err(|source| OsError { call: "fchmod", source })
}

/// Whether `path` is one of `/proc`'s links to an open file. Such a link reaches files that no symbolic link can.
pub(crate) fn is_link_to_open_file(path: &Path) -> bool {
    let Some(dir) = path.parent() else { return false };
    let is_link = retry_io(|| fs::symlink_metadata(path)).is_ok_and(|there| there.is_symlink());
    is_link && retry(|| nix::sys::statfs::statfs(dir)).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Changes the owner and group of a new file, unless they are right already.
pub(crate) fn change_owner(file: &File, user: u32, group: u32) -> Result<(), OsError> {
    let there = metadata(file)?;
    if (there.uid(), there.gid()) == (user, group) {
        return Ok(());
    }
    retry_io(|| std::os::unix::fs::fchown(file, Some(user), Some(group)))
        .map_err(|source| OsError { call: "fchown", source })
}

/// The file's metadata (`fstat(2)`).
pub(crate) fn metadata(file: &File) -> Result<fs::Metadata, OsError> {
    retry_io(|| file.metadata()).map_err(|source| OsError { call: "fstat", source })
}

/// The `/proc` path of one of this thread's descriptors. It does not allocate, since a blocked call checks its peer
/// with it.
pub(crate) fn fd_path(fd: i32, path: &mut [u8; 40]) -> &[u8] {
    let mut rest = &mut path[..];
    // It is long enough for any number.
    let _ = write!(rest, "/proc/thread-self/fd/{fd}");
    let unused = rest.len();
    &path[..path.len() - unused]
}

/// Opens the same file anew, as an open file of its own. Needs `/proc`. It goes through `thread-self`: `self` has no
/// descriptors once the process's first thread has ended. If somebody closed the descriptor, its number may belong to
/// another file, even to one whose opening would block.
pub(crate) fn reopen(file: &Owned, writable: bool) -> Result<Owned, OsError> {
    const CALL: &str = "open(/proc/thread-self/fd)";
    let mut path = [0; 40];
    let own = file.get().map_err(|error| OsError { call: CALL, ..error })?;
    let path = fd_path(own.as_raw_fd(), &mut path);
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = retry(|| open(path, flags, Mode::empty())).map_err(|e| OsError::new(CALL, e))?;
    let opened = Owned::opened(fd.into())?;
    if opened.id() == file.id() { Ok(opened) } else { Err(OsError::new(CALL, Errno::EBADF)) }
}

/// An empty file without a name, used only for its locks.
pub(crate) fn lock_file() -> Option<Owned> {
    let fd = retry(|| memfd_create(c"ringway-locks", MFdFlags::MFD_CLOEXEC)).ok()?;
    Owned::opened(fd.into()).ok()
}

/// A new memfd that is not sized or sealed yet.
pub(crate) fn memfd(name: &CStr, huge: bool) -> Result<Owned, Reason> {
    let mut flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    if huge {
        flags |= MFdFlags::MFD_HUGETLB;
    }
    match retry(|| memfd_create(name, flags)) {
        Ok(fd) => Ok(Owned::opened(fd.into())?),
        Err(errno) => Err(reason_of("memfd_create", errno)),
    }
}

/// The name that a memfd was made with; `None` for any other file. Needs `/proc`.
pub(crate) fn memfd_name(file: &Owned) -> Option<Vec<u8>> {
    let mut path = [0; 40];
    let path = fd_path(file.get().ok()?.as_raw_fd(), &mut path);
    let link = retry(|| readlink(path)).ok()?.into_vec();
    Some(link.strip_prefix(b"/memfd:")?.strip_suffix(b" (deleted)")?.to_vec())
}

/// Fixes the memfd's size permanently.
pub(crate) fn seal(file: &File) -> Result<(), OsError> {
    retry(|| fcntl(file, FcntlArg::F_ADD_SEALS(SEALS))).map_err(|e| OsError::new("fcntl(F_ADD_SEALS)", e))?;
    Ok(())
}

/// The seals of a memfd; `None` for a file that cannot have seals.
pub(crate) fn seals(file: &File) -> Option<SealFlag> {
    retry(|| fcntl(file, FcntlArg::F_GET_SEALS)).ok().map(SealFlag::from_bits_truncate)
}

/// Another descriptor of the same open file, which an exec'd program inherits.
pub(crate) fn inheritable(file: &Owned) -> Result<OwnedFd, Reason> {
    copy(file, FcntlArg::F_DUPFD, "fcntl(F_DUPFD)")
}

/// Another descriptor of the same open file, which no program inherits.
pub(crate) fn duplicate(file: &Owned) -> Result<OwnedFd, Reason> {
    copy(file, FcntlArg::F_DUPFD_CLOEXEC, "fcntl(F_DUPFD_CLOEXEC)")
}

fn copy(file: &Owned, how: fn(RawFd) -> FcntlArg<'static>, call: &'static str) -> Result<OwnedFd, Reason> {
    let own = file.get().map_err(|_| Reason::DescriptorClosed)?;
    let fd = retry(|| fcntl(own, how(3))).map_err(|e| reason_of(call, e))?;
    // SAFETY: the kernel just made this descriptor and nobody else knows it.
    let copy = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    // Somebody may have closed the original just before the copy.
    if id_of(&copy)? == file.id() { Ok(copy.into()) } else { Err(Reason::DescriptorClosed) }
}

/// Another descriptor of the open file that this process inherited under this number, which no program inherits.
pub(crate) fn inherited(number: RawFd) -> Result<OwnedFd, Reason> {
    const CALL: &str = "fcntl(F_DUPFD_CLOEXEC)";
    // SAFETY: takes no memory. The kernel says whether the number is that of an open file, which stays open.
    let copy = || Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) });
    match retry(copy) {
        // SAFETY: the kernel just made this descriptor and nobody else knows it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(Errno::EBADF) => {
            let source = io::Error::other("no file is open under this number; pass the one that inheritable_fd gave");
            Err(OsError { call: CALL, source }.into())
        }
        // The limit is not above the least number that was asked for.
        Err(Errno::EINVAL) => Err(reason_of(CALL, Errno::EMFILE)),
        Err(errno) => Err(reason_of(CALL, errno)),
    }
}

/// Keeps the programs that this process starts from inheriting the number, if it is that of this file.
pub(crate) fn stop_inheriting(number: RawFd, file: &Owned) {
    if number < 0 {
        return;
    }
    // SAFETY: it is only asked about, and not closed. If it is not open, the kernel says so.
    let there = ManuallyDrop::new(unsafe { File::from_raw_fd(number) });
    if id_of(&there).is_ok_and(|id| id == file.id()) {
        // If the kernel refuses, a program inherits what it does not need.
        let _ = retry(|| fcntl(&*there, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)));
    }
}

/// The page size, in bytes, of the memory behind a file: on hugetlbfs, that of the file system.
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

/// The reason for an error that any call on a file may return.
pub(crate) fn reason_of(call: &'static str, errno: Errno) -> Reason {
    match errno {
        Errno::ENOENT => Reason::Missing,
        Errno::EMFILE => Reason::DescriptorLimit { limit: limit(Resource::RLIMIT_NOFILE) },
        _ => OsError::new(call, errno).into(),
    }
}
