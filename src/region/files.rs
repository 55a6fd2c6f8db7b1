//! Policy for a region's file: it is complete or absent, it is opened only if it is what it should be, and it is
//! removed without a race.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::linkat;
use tempfile::TempPath;

use crate::error::{OpenError, OsError, Reason};
use crate::layout::fnv::{self, fnv};
use crate::layout::locks::UNLINKING;
use crate::os::file::{fd_path, is_link_to_open_file, metadata, names, reason_of, reopen, set_mode};
use crate::os::filesystem;
use crate::os::lock::{Lock, conflicting, try_lock_if_any};
use crate::os::nap::nap;
use crate::os::owned::Owned;
use crate::os::retry::{retry, retry_io};

/// How often to wait for a [`PAUSE`] while another process removes a file. That takes a few system calls, unless the
/// process is stopped.
pub(crate) const ATTEMPTS: u32 = 1000;
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// A file that has no name yet, or only a random one. It disappears with the process, unless [`UnnamedFile::link`]
/// names it.
pub(crate) struct UnnamedFile {
    file: Owned,
    /// On file systems without `O_TMPFILE`: a random name beside the final one. A kill at the wrong moment leaves it
    /// behind.
    temporary: Option<TempPath>,
}

impl UnnamedFile {
    /// Makes an empty file in the directory of `path`, for this user only.
    pub fn beside(path: &Path) -> Result<Self, Reason> {
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let unnamed = match retry(|| open(dir, flags, Mode::S_IRUSR | Mode::S_IWUSR)) {
            Ok(fd) => Self { file: Owned::opened(fd.into())?, temporary: None },
            Err(Errno::EOPNOTSUPP | Errno::EISDIR) => {
                // The error of `tempfile` hides the kernel's behind the path.
                let mut refusal = Errno::UnknownErrno;
                let mut new = |path: &Path| {
                    let made = File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
                    made.inspect_err(|error| refusal = Errno::from_raw(error.raw_os_error().unwrap_or(0)))
                };
                let named = retry_io(|| tempfile::Builder::new().prefix(".ringway-").make_in(dir, &mut new));
                let named = named.map_err(|_| create_error(dir, "open(O_CREAT)", refusal))?;
                let (file, temporary) = named.into_parts();
                Self { file: Owned::opened(file)?, temporary: Some(temporary) }
            }
            Err(errno) => return Err(create_error(dir, "open(O_TMPFILE)", errno)),
        };
        filesystem::prepare(unnamed.file()?)?;
        Ok(unnamed)
    }

    pub fn file(&self) -> Result<&File, OsError> {
        self.file.get()
    }

    /// Gives it its permissions and its name. If the name is taken, returns [`Reason::Exists`] and the file, for
    /// another try.
    pub fn link(self, path: &Path, mode: u32) -> Result<Owned, Box<(Self, Reason)>> {
        match self.link_to(path, mode) {
            Ok(()) => {
                if let Some(temporary) = &self.temporary {
                    // If this fails, the `TempPath` tries once more.
                    let _ = retry_io(|| fs::remove_file(temporary));
                }
                Ok(self.file)
            }
            Err(reason) => Err(Box::new((self, reason))),
        }
    }

    fn link_to(&self, path: &Path, mode: u32) -> Result<(), Reason> {
        let file = self.file()?;
        set_mode(file, mode)?;
        let (linked, call) = match &self.temporary {
            Some(name) => (retry(|| linkat(AT_FDCWD, name.as_os_str(), AT_FDCWD, path, AtFlags::empty())), "linkat"),
            None => {
                let mut own = [0; 40];
                let own = fd_path(file.as_raw_fd(), &mut own);
                let named = match retry(|| linkat(AT_FDCWD, own, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)) {
                    // There is no `/proc`. Not every process may link without it; before Linux 6.10, only root.
                    Err(Errno::ENOENT) => retry(|| linkat(file, c"", AT_FDCWD, path, AtFlags::AT_EMPTY_PATH)),
                    named => named,
                };
                (named, "linkat(/proc/thread-self/fd)")
            }
        };
        match linked {
            Ok(()) => Ok(()),
            Err(Errno::EEXIST) => Err(Reason::Exists),
            Err(Errno::ENOENT) if path.parent().is_some_and(|dir| !dir.exists()) => Err(Reason::NoDirectory),
            Err(errno) => Err(OsError::new(call, errno).into()),
        }
    }

    /// Gives it its permissions and the name of another file, which loses it, in one step. Only one process at a time
    /// may do this. A kill in between leaves the [`replacement_path`] behind, and the next caller removes it.
    pub fn replace(self, path: &Path, mode: u32) -> Result<Owned, Reason> {
        remove_stale_replacement(path)?;
        let replacement = replacement_path(path);
        self.link_to(&replacement, mode)?;
        match retry_io(|| fs::rename(&replacement, path)) {
            Ok(()) => Ok(self.file),
            Err(source) => {
                let _ = remove_stale_replacement(path);
                Err(OsError { call: "rename", source }.into())
            }
        }
    }
}

/// The reason that no file could be made in a directory.
fn create_error(dir: &Path, call: &'static str, errno: Errno) -> Reason {
    let reason = || match errno {
        Errno::EACCES => Reason::DirectoryPermission { found: permissions(dir) },
        _ => reason_of(call, errno),
    };
    match errno {
        Errno::ENOENT if !dir.exists() => Reason::NoDirectory,
        // A place that takes no files at all, like `/proc`, may return any of these errors.
        Errno::ENOENT | Errno::EACCES | Errno::EPERM => filesystem::unsupported(dir).unwrap_or_else(reason),
        _ => reason(),
    }
}

/// The temporary name of a file that is about to get the name `path`.
fn replacement_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    path.with_file_name(format!(".ringway-{:016x}", fnv(fnv::START, name)))
}

/// Removes the file that a killed process left behind as it replaced `path`. Call it only while nobody else can replace
/// `path`.
pub(crate) fn remove_stale_replacement(path: &Path) -> Result<(), OsError> {
    match retry_io(|| fs::remove_file(replacement_path(path))) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(OsError { call: "unlink", source }),
        _ => Ok(()),
    }
}

/// Whose file may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Anyone's, if the kernel lets this process open it. For callers that only read, and map nothing.
    Anyone,
    /// A file of this process's user.
    Own,
    /// A file of this process's user, or of this one.
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

/// Opens `path` if it is a regular file of an accepted owner. It follows no symbolic link, except, for reading, those
/// of `/proc` to open files. It does not block on a fifo.
pub(crate) fn open_checked(path: &Path, writable: bool, owner: Owner) -> Result<Owned, Reason> {
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let mut flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    if !writable && is_link_to_open_file(path) {
        flags.remove(OFlag::O_NOFOLLOW);
    }
    let file = match retry(|| open(path, flags, Mode::empty())) {
        Ok(fd) => Owned::opened(fd.into())?,
        Err(Errno::EACCES) => return Err(permission(path, writable)),
        Err(Errno::ELOOP) => return Err(Reason::NotAFile { found: "a symbolic link" }),
        Err(Errno::EISDIR) => return Err(Reason::NotAFile { found: "a directory" }),
        Err(Errno::ENXIO) => return Err(Reason::NotAFile { found: "a socket, or a fifo nobody reads" }),
        Err(errno) => return Err(reason_of("open", errno)),
    };
    let metadata = metadata(file.get()?)?;
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

/// The reason that the kernel did not let this process open a file, as far as this process may look.
fn permission(path: &Path, writing: bool) -> Reason {
    Reason::Permission { found: permissions(path), writing }
}

/// The permissions and the owner of a file; `None` if this process may not look.
fn permissions(path: &Path) -> Option<(u32, u32)> {
    let there = retry_io(|| fs::symlink_metadata(path)).ok()?;
    Some((there.mode() & 0o7777, there.uid()))
}

/// Removes `path` if it still names `file`. Calls `announce(true)` right before, and `announce(false)` if it fails.
pub(crate) fn unlink(path: &Path, file: &Owned, announce: impl Fn(bool)) -> io::Result<()> {
    // Without a lock, two callers that check the name and then remove it could remove a third file. That race remains
    // where the file system has no locks, or this process may only read, or has no `/proc`.
    let own = match reopen(file, true) {
        Ok(own) => own,
        Err(error) if matches!(error.errno(), Errno::EACCES | Errno::EROFS | Errno::ENOENT | Errno::EBADF) => {
            return unlink_named(path, file, announce);
        }
        Err(error) => return Err(error.source),
    };
    for _ in 0..ATTEMPTS {
        let locked = try_lock_if_any(own.get().map_err(|e| e.source)?, Lock::Exclusive, UNLINKING);
        if locked.map_err(|error| error.source)? {
            return unlink_named(path, file, announce);
        }
        let own = own.get().map_err(|error| error.source)?;
        refuse_foreign_lock(own, Lock::Exclusive, UNLINKING).map_err(|reason| match reason {
            Reason::Os(error) => error.source,
            other => io::Error::new(io::ErrorKind::WouldBlock, other.to_string()),
        })?;
        nap(PAUSE);
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process is removing it, and does not finish"))
}

fn unlink_named(path: &Path, file: &Owned, announce: impl Fn(bool)) -> io::Result<()> {
    if !names(path, file)? {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the path names another file by now"));
    }
    let name = CString::new(path.as_os_str().as_bytes())?;
    announce(true);
    retry(|| nix::unistd::unlink(name.as_c_str())).inspect_err(|_| announce(false))?;
    Ok(())
}

/// Makes a path absolute, so that it still leads to the same place after this process changes its directory. Refuses a
/// path that cannot name a file.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, OpenError> {
    let bytes = path.as_os_str().as_bytes();
    let found = match () {
        () if bytes.is_empty() => "an empty path",
        () if bytes.contains(&0) => "a path with a NUL in it",
        () if bytes.ends_with(b"/") => "a directory: the path ends in a slash",
        () => {
            let made = std::path::absolute(path).map_err(|source| OsError { call: "getcwd", source }.into());
            return at(&path.display().to_string(), made);
        }
    };
    Err(OpenError::new(format!("{path:?}"), Reason::NotAFile { found }))
}

/// Adds the place to an error.
pub(crate) fn at<T>(place: &str, result: Result<T, Reason>) -> Result<T, OpenError> {
    result.map_err(|reason| OpenError::new(place, reason))
}

/// Refuses a file if a program that does not use this crate holds a conflicting lock. Such a lock covers more than one
/// byte, which this crate's never do. (The kernel merges an open file's locks on neighbouring bytes; this crate takes
/// none.)
pub(crate) fn refuse_foreign_lock(file: &File, lock: Lock, byte: u64) -> Result<(), Reason> {
    match conflicting(file, lock, byte)? {
        // A lock of an open file has no process: -1. A lock whose process is invisible in this PID namespace has 0.
        Some(found) if found.l_len != 1 => {
            Err(Reason::Locked { pid: u32::try_from(found.l_pid).ok().filter(|pid| *pid != 0) })
        }
        _ => Ok(()),
    }
}
