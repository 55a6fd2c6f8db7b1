//! A descriptor that other code may close while its owner still uses it.
//!
//! A daemon closes every descriptor that it does not know (`close_range(2)`), and the next file to be opened gets the
//! number. So an owner remembers which file its descriptor was, compares before each use, and never closes a descriptor
//! that is no longer its own.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use super::retry::{retry, retry_io};
use crate::error::OsError;

/// The highest of the descriptors for standard input, output and error.
const STDERR: RawFd = 2;

/// Device and inode number: they distinguish a file from every other that exists.
pub(crate) type FileId = (u64, u64);

/// The file that a descriptor refers to now.
pub(crate) fn id_of(file: &File) -> Result<FileId, OsError> {
    match retry_io(|| file.metadata()) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        // The refused call may have been `statx`.
        Err(_) => match retry(|| nix::sys::stat::fstat(file)) {
            Ok(stat) => Ok((stat.st_dev, stat.st_ino)),
            Err(errno) => Err(OsError::new("fstat", errno)),
        },
    }
}

/// A file that is used and closed only while its descriptor still refers to it.
pub(crate) struct Owned {
    /// `None` only in `drop`.
    file: Option<File>,
    id: FileId,
}

impl Owned {
    /// Takes a file that this crate has just opened. In a process that closed its standard input, output or error, the
    /// file may have got that number, and other code would print into it. So it then moves to a higher number.
    pub fn opened(file: File) -> Result<Self, OsError> {
        if file.as_raw_fd() > STDERR {
            return Self::new(file);
        }
        // `try_clone` never returns one of those three numbers.
        let moved = retry_io(|| file.try_clone());
        Self::new(moved.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?)
    }

    /// Takes a file, and keeps its descriptor's number.
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

    /// The file, if the descriptor still refers to it.
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

/// Leaves the descriptor open: it is another's to close.
fn forget(file: File) {
    let _ = file.into_raw_fd();
}
