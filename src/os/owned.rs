//! A descriptor that may be closed under its owner's hands.
//!
//! A daemon closes every descriptor that it does not know (`close_range(2)`), and the next file that is opened
//! gets the number. So whoever owns a descriptor remembers which file it was, compares before each use, and
//! forgets what is no longer its own: it is another's to close.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use super::retry::{retry, retry_io};
use crate::error::OsError;

/// The last of the numbers that belong to standard input, output and error.
const STDERR: RawFd = 2;

/// Device and inode number: what tells a file from every other that exists.
pub(crate) type FileId = (u64, u64);

/// The file behind a descriptor, as the kernel says now.
pub(crate) fn id_of(file: &File) -> Result<FileId, OsError> {
    match retry_io(|| file.metadata()) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        // It could have been `statx` that was refused.
        Err(_) => match retry(|| nix::sys::stat::fstat(file)) {
            Ok(stat) => Ok((stat.st_dev, stat.st_ino)),
            Err(errno) => Err(OsError::new("fstat", errno)),
        },
    }
}

/// A file of one's own: used and closed only as long as the descriptor still is that file.
pub(crate) struct Owned {
    /// Always there, but in `drop`.
    file: Option<File>,
    id: FileId,
}

impl Owned {
    /// Takes a file that this crate has just opened. In a process that closed its standard input, output or error, it
    /// may have got that number, under which others print: it gets a higher one.
    pub fn opened(file: File) -> Result<Self, OsError> {
        if file.as_raw_fd() > STDERR {
            return Self::new(file);
        }
        // `try_clone` takes no number of those three either.
        let moved = retry_io(|| file.try_clone());
        Self::new(moved.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?)
    }

    /// Takes a file, under the number that it has.
    pub fn new(file: File) -> Result<Self, OsError> {
        match id_of(&file) {
            Ok(id) => Ok(Self { file: Some(file), id }),
            Err(error) => {
                if error.errno() == Errno::EBADF {
                    forget(file);
                }
                Err(error)
            }
        }
    }

    pub fn id(&self) -> FileId {
        self.id
    }

    /// The file, if the descriptor still is one of it.
    pub fn get(&self) -> Result<&File, OsError> {
        let closed = || OsError::new("fstat", Errno::EBADF);
        let file = self.file.as_ref().ok_or_else(closed)?;
        if id_of(file)? == self.id { Ok(file) } else { Err(closed()) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let own = self.get().is_ok();
        match self.file.take() {
            Some(file) if !own => forget(file),
            _ => {}
        }
    }
}

/// Leaves a descriptor as it is.
fn forget(file: File) {
    let _ = file.into_raw_fd();
}
