//! Files that are whole or not there, and opened only as what they should be.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::Resource;
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC};

use super::identity;
use super::lock::{Lock, try_lock};
use super::usage::limit;
use crate::error::OsError;
use crate::layout::UNLINKING;
use crate::open_error::{OpenError, Reason};

/// The seals a region's memfd has: nobody can change its size under its users.
pub(crate) const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// `RAMFS_MAGIC` of `linux/magic.h`.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// How long one waits for who is removing a file: a few system calls, if it is not stopped.
pub(crate) const PATIENCE: u32 = 1000;
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// A file that has no name yet. It is gone when the process is, unless [`Unnamed::link`] names it.
pub(crate) enum Unnamed {
    /// Made with `O_TMPFILE`: it never had a name.
    Tmpfile(File),
    /// For file systems without `O_TMPFILE`: it has a random name beside the final one, which a kill at
    /// the wrong moment leaves behind.
    Named(tempfile::NamedTempFile),
}

impl Unnamed {
    /// A file in the directory that `path` is in.
    pub fn beside(path: &Path) -> Result<Self, Reason> {
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match open(dir, flags, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(fd) => Ok(Unnamed::Tmpfile(fd.into())),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => {
                let file = tempfile::Builder::new().prefix(".ringway-").tempfile_in(dir);
                let file = file.map_err(|source| OsError { call: "create a temporary file", source })?;
                Ok(Unnamed::Named(file))
            }
            Err(Errno::ENOENT) => Err(Reason::NoDirectory),
            Err(errno) => Err(reason_of("open(O_TMPFILE)", errno)),
        }
    }

    pub fn file(&self) -> &File {
        match self {
            Unnamed::Tmpfile(file) => file,
            Unnamed::Named(file) => file.as_file(),
        }
    }

    /// Gives it its name. If that name is taken, [`Reason::Exists`] and the file, to be tried again.
    pub fn link(self, path: &Path) -> Result<File, (Self, Reason)> {
        match self {
            Unnamed::Tmpfile(file) => match link(&file, path) {
                Ok(()) => Ok(file),
                Err(reason) => Err((Unnamed::Tmpfile(file), reason)),
            },
            Unnamed::Named(file) => file.persist_noclobber(path).map_err(|error| {
                let reason = match error.error.kind() {
                    io::ErrorKind::AlreadyExists => Reason::Exists,
                    _ => OsError { call: "rename", source: error.error }.into(),
                };
                (Unnamed::Named(error.file), reason)
            }),
        }
    }

    /// Gives it the name of another file, whose name is gone then, in one step. A kill in between may leave it behind
    /// under a random name beside that one.
    pub fn replace(self, path: &Path) -> Result<(), Reason> {
        let failed = |source| OsError { call: "rename", source };
        match self {
            Unnamed::Tmpfile(file) => {
                let [random, _] = identity::random_id()?;
                let between = path.with_file_name(format!(".ringway-{random:016x}"));
                link(&file, &between)?;
                fs::rename(&between, path).map_err(|error| {
                    let _ = fs::remove_file(&between);
                    failed(error).into()
                })
            }
            Unnamed::Named(file) => {
                file.persist(path).map_err(|error| failed(error.error))?;
                Ok(())
            }
        }
    }
}

/// Gives an unnamed file a name that nothing has.
fn link(file: &File, path: &Path) -> Result<(), Reason> {
    let (here, mut own) = (nix::fcntl::AT_FDCWD, [0; 40]);
    let own = own_path(file.as_raw_fd(), &mut own);
    match nix::unistd::linkat(here, own, here, path, AtFlags::AT_SYMLINK_FOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EEXIST) => Err(Reason::Exists),
        Err(errno) => Err(OsError::new("linkat", errno).into()),
    }
}

/// Gives the file its permissions, whatever the umask, and memory for all of its length, now.
pub(crate) fn reserve(file: &File, mode: u32, len: u64) -> Result<(), Reason> {
    // Beyond the limit the kernel would send a signal that kills by default.
    let most = limit(Resource::RLIMIT_FSIZE);
    if len > most {
        return Err(Reason::FileSizeLimit { needed: len, limit: most });
    }
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(|source| OsError { call: "fchmod", source })?;
    let length = libc::off_t::try_from(len).map_err(|_| OsError::new("posix_fallocate", Errno::EFBIG))?;
    // `ftruncate` would succeed on a full tmpfs, and the first touch would be a SIGBUS.
    match nix::fcntl::posix_fallocate(file, 0, length) {
        Ok(()) => Ok(()),
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Reason::NoSpace { needed: len }),
        Err(errno) => Err(OsError::new("posix_fallocate", errno).into()),
    }
}

/// Gives a file that was copied sparsely its missing memory. Changes nothing where there is some.
pub(crate) fn fill_holes(file: &File, len: u64) -> Result<(), Reason> {
    let length = libc::off_t::try_from(len).map_err(|_| OsError::new("fallocate", Errno::EFBIG))?;
    match nix::fcntl::fallocate(file, nix::fcntl::FallocateFlags::empty(), 0, length) {
        // Where the file system cannot say, nothing is lost.
        Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Reason::NoSpace { needed: len }),
        Err(errno) => Err(OsError::new("fallocate", errno).into()),
    }
}

/// Refuses what the machine's memory cannot hold: for memory without a file system, nothing else would,
/// and the kernel would end processes to find the room.
pub(crate) fn check_memory(len: u64) -> Result<(), Reason> {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo(&info, "MemAvailable:").zip(meminfo(&info, "SwapFree:"));
    match available {
        Some((memory, swap)) if len > memory.saturating_add(swap) => Err(Reason::NoSpace { needed: len }),
        _ => Ok(()),
    }
}

/// A field of `/proc/meminfo`, in bytes.
fn meminfo(info: &str, field: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

/// Bytes of a huge page, as the kernel makes them by default.
pub(crate) fn huge_page() -> Result<usize, Reason> {
    let info = fs::read_to_string("/proc/meminfo").map_err(|source| OsError { call: "read /proc/meminfo", source })?;
    meminfo(&info, "Hugepagesize:").map(|size| size as usize).ok_or(Reason::HugePagesUnsupported)
}

/// Whose file may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whatever the kernel lets this process open: for who only reads, and maps nothing.
    Anyone,
    /// This process's user's.
    Own,
    /// This process's user's, or this one's.
    OwnOr(u32),
}

impl Owner {
    pub fn accepts(self, uid: u32) -> bool {
        match self {
            Owner::Anyone => true,
            Owner::Own => uid == own_user(),
            Owner::OwnOr(other) => uid == other || uid == own_user(),
        }
    }

    /// The user that an error names as expected.
    fn expected(self) -> u32 {
        if let Owner::OwnOr(other) = self { other } else { own_user() }
    }
}

fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Whether `path` is one of `/proc`'s links to an open file, which lead where no symbolic link can.
pub(crate) fn is_link_to_open_file(path: &Path) -> bool {
    let Some(dir) = path.parent() else { return false };
    let is_link = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    is_link && nix::sys::statfs::statfs(dir).is_ok_and(|system| system.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Opens `path` if it is a regular file of an accepted owner. Follows no symbolic link, but for those of `/proc` to
/// open files if it is only to be read; waits for no fifo.
pub(crate) fn open_checked(path: &Path, writable: bool, owner: Owner) -> Result<File, Reason> {
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let mut flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    if !writable && is_link_to_open_file(path) {
        flags.remove(OFlag::O_NOFOLLOW);
    }
    let file: File = match open(path, flags, Mode::empty()) {
        Ok(fd) => fd.into(),
        Err(Errno::EACCES) => return Err(permission(path, writable)),
        Err(Errno::ELOOP) => return Err(Reason::NotAFile { found: "a symbolic link" }),
        Err(Errno::EISDIR) => return Err(Reason::NotAFile { found: "a directory" }),
        Err(Errno::ENXIO) => return Err(Reason::NotAFile { found: "a socket, or a fifo nobody reads" }),
        Err(errno) => return Err(reason_of("open", errno)),
    };
    let metadata = file.metadata().map_err(|source| OsError { call: "fstat", source })?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let found = match () {
            () if kind.is_dir() => "a directory",
            () if kind.is_fifo() => "a fifo",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(Reason::NotAFile { found });
    }
    match metadata.uid() {
        found if owner.accepts(found) => Ok(file),
        found => Err(Reason::Owner { found, expected: owner.expected() }),
    }
}

/// Why the kernel did not let this process open a file, as far as it lets this process look.
fn permission(path: &Path, writing: bool) -> Reason {
    let there = fs::symlink_metadata(path).ok();
    Reason::Permission { found: there.map(|there| (there.mode() & 0o7777, there.uid())), writing }
}

/// Whether parts of the first `len` bytes have no memory yet: on tmpfs, to read such a part through a mapping needs
/// some. Blocks that hold the file system's own records of the file count too, so that on a disk a small hole may go unseen;
/// there, reading one needs none.
pub(crate) fn has_holes(file: &File, len: u64) -> Result<bool, OsError> {
    let there = file.metadata().map_err(|source| OsError { call: "fstat", source })?;
    Ok(there.blocks().saturating_mul(512) < len)
}

/// Gives a new file to a user and group, if it is not theirs.
pub(crate) fn give_to(file: &File, user: u32, group: u32) -> Result<(), OsError> {
    let there = file.metadata().map_err(|source| OsError { call: "fstat", source })?;
    if (there.uid(), there.gid()) == (user, group) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(user), Some(group)).map_err(|source| OsError { call: "fchown", source })
}

/// Whether what lies in the file is in memory alone, so that it cannot be of another boot.
pub(crate) fn is_in_memory(file: &File) -> Result<bool, OsError> {
    use nix::sys::statfs::{HUGETLBFS_MAGIC, TMPFS_MAGIC, fstatfs};
    let system = fstatfs(file.as_fd()).map_err(|e| OsError::new("fstatfs", e))?;
    Ok([HUGETLBFS_MAGIC, TMPFS_MAGIC, RAMFS_MAGIC].contains(&system.filesystem_type()))
}

/// Device and inode number: what tells a file from every other that exists.
pub(crate) fn id_of(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What a descriptor of this thread's is called, without an allocation: who waits asks after its peer with it.
fn own_path(fd: i32, path: &mut [u8; 40]) -> &[u8] {
    let mut rest = &mut path[..];
    // It is long enough for any number.
    let _ = write!(rest, "/proc/thread-self/fd/{fd}");
    let unused = rest.len();
    &path[..path.len() - unused]
}

/// The same file, opened anew: an open file of its own. Needs `/proc`, and not its `self`, which has no
/// descriptors once the process's first thread has ended. If somebody closed the descriptor, another
/// file may have its number, even one that to open means to wait for.
pub(crate) fn reopen(file: &File, writable: bool) -> Result<File, OsError> {
    let (mut path, fd) = ([0; 40], file.as_raw_fd());
    let path = own_path(fd, &mut path);
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = open(path, flags, Mode::empty());
    fd.map(File::from).map_err(|e| OsError::new("open(/proc/thread-self/fd)", e))
}

/// Whether a mapping of the file refers to another one, as overlayfs does it.
pub(crate) fn is_overlaid(file: &File) -> Result<bool, OsError> {
    let system = nix::sys::statfs::fstatfs(file.as_fd()).map_err(|e| OsError::new("fstatfs", e))?;
    Ok(system.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC)
}

/// A file without a name or a byte, for its locks.
pub(crate) fn for_locks() -> Option<File> {
    memfd_create(c"ringway-locks", MFdFlags::MFD_CLOEXEC).ok().map(File::from)
}

/// A new memfd, which may still be sized and sealed.
pub(crate) fn memfd(huge: bool) -> Result<File, Reason> {
    let mut flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    if huge {
        flags |= MFdFlags::MFD_HUGETLB;
    }
    match memfd_create(c"ringway", flags) {
        Ok(fd) => Ok(fd.into()),
        Err(errno) => Err(reason_of("memfd_create", errno)),
    }
}

/// Fixes the memfd's size for good.
pub(crate) fn seal(file: &File) -> Result<(), OsError> {
    fcntl(file, FcntlArg::F_ADD_SEALS(SEALS)).map_err(|e| OsError::new("fcntl(F_ADD_SEALS)", e))?;
    Ok(())
}

/// The seals of a memfd; `None` for a file that has none because it cannot.
pub(crate) fn seals(file: &File) -> Option<SealFlag> {
    fcntl(file, FcntlArg::F_GET_SEALS).ok().map(SealFlag::from_bits_truncate)
}

/// Another descriptor of the same open file, that an exec'd program inherits.
pub(crate) fn inheritable(file: &File) -> Result<OwnedFd, Reason> {
    let fd = fcntl(file, FcntlArg::F_DUPFD(3)).map_err(|e| reason_of("fcntl(F_DUPFD)", e))?;
    // SAFETY: the kernel just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The page size of the memory behind a file: that of its file system if it is a hugetlbfs.
pub(crate) fn page_size(file: &File) -> Result<usize, OsError> {
    let system = nix::sys::statfs::fstatfs(file.as_fd()).map_err(|e| OsError::new("fstatfs", e))?;
    if system.filesystem_type() == nix::sys::statfs::HUGETLBFS_MAGIC {
        Ok(system.block_size() as usize)
    } else {
        base_page()
    }
}

/// The ordinary page size, in bytes.
pub(crate) fn base_page() -> Result<usize, OsError> {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.map_err(|e| OsError::new("sysconf", e)).map(|size| size.map_or(4096, |size| size as usize))
}

/// Removes `path` if it still names `file`.
pub(crate) fn unlink(path: &Path, file: &File) -> io::Result<()> {
    // Two who look at the name and then remove it could remove a third one's file. Where the file system has
    // no locks, or this process may only read, that stays so.
    let Ok(own) = reopen(file, true) else { return unlink_named(path, file) };
    for _ in 0..PATIENCE {
        match try_lock(&own, Lock::Exclusive, UNLINKING) {
            Ok(false) => std::thread::sleep(PAUSE),
            _ => return unlink_named(path, file),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process is removing it, and does not finish"))
}

fn unlink_named(path: &Path, file: &File) -> io::Result<()> {
    if !names(path, file)? {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the path names another file by now"));
    }
    let name = CString::new(path.as_os_str().as_bytes())?;
    nix::unistd::unlink(name.as_c_str())?;
    Ok(())
}

/// Whether `path` names this very file.
pub(crate) fn names(path: &Path, file: &File) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(id_of(file)? == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn reason_of(call: &'static str, errno: Errno) -> Reason {
    match errno {
        Errno::ENOENT => Reason::Missing,
        Errno::EMFILE => Reason::DescriptorLimit { limit: limit(Resource::RLIMIT_NOFILE) },
        _ => OsError::new(call, errno).into(),
    }
}

/// Names the place in an error.
pub(crate) fn at<T>(place: &str, result: Result<T, Reason>) -> Result<T, OpenError> {
    result.map_err(|reason| OpenError::new(place, reason))
}
