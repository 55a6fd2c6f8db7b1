//! System calls that failed.

use core::fmt;
use std::error::Error;
use std::io;

use nix::errno::Errno;

/// A system call that failed.
///
/// # Examples
///
/// ```
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
/// # use ringway::Advice;
/// if let Err(error) = channel.region().advise(Advice::HugePage) {
///     println!("{}: errno {:?}", error.call, error.source.raw_os_error());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct OsError {
    /// The call's name.
    pub call: &'static str,
    /// The kernel's error.
    pub source: io::Error,
}

impl OsError {
    pub(crate) fn new(call: &'static str, errno: Errno) -> Self {
        Self { call, source: errno.into() }
    }

    /// What to do about the error, whatever the call.
    pub(super) fn advice(&self) -> &'static str {
        match self.errno() {
            Errno::EMFILE => "raise RLIMIT_NOFILE, or close some descriptors",
            Errno::ENFILE => "raise fs.file-max, or close some descriptors",
            Errno::ENOMEM => "free some memory, or raise RLIMIT_AS or vm.max_map_count",
            Errno::ENOSPC | Errno::EDQUOT => "free some space, or use another file system",
            Errno::EACCES | Errno::EPERM => "give this process that permission: to its user, or in its sandbox",
            Errno::ENOSYS => "use a kernel that has it, or allow it in the sandbox",
            Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP => "use another path",
            Errno::EROFS | Errno::EOPNOTSUPP => "use another file system, or a memfd",
            Errno::EBADF => "keep the region's descriptor open",
            Errno::EIO => "check the disk",
            Errno::ENOENT if self.call.contains("/proc") => "mount /proc",
            Errno::UnknownErrno => "",
            _ => "try again, or look the error up in errno(3)",
        }
    }

    pub(crate) fn errno(&self) -> Errno {
        Errno::from_raw(self.source.raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.call, self.source)?;
        match self.advice() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl Error for OsError {}
