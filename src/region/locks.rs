//! The file that carries a region's locks. Testing a lock, and taking one, opens it anew.
//!
//! A file or memfd region uses its own file; an anonymous region has an empty memfd for this.
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use super::files::{self, Owner};
use super::{Backing, Region};
use crate::error::{ClaimError, OsError};
use crate::os::file;
use crate::os::filesystem::{self, Kind};
use crate::os::lock;
use crate::os::owned::Owned;
use crate::sync::Ordering::Relaxed;

impl Region {
    /// The file that carries the region's locks.
    pub(super) fn lock_file(&self) -> Option<&Owned> {
        match &self.backing {
            Backing::File { file, .. } | Backing::Memfd(file) => Some(file),
            Backing::Anonymous(file) => file.as_ref(),
            Backing::Snapshot => None,
        }
    }

    /// Opens the lock file anew.
    pub(crate) fn reopen(&self) -> Result<Owned, OsError> {
        let gone = || OsError::new("open(/proc/thread-self/fd)", Errno::EBADF);
        let own = self.lock_file().ok_or_else(gone)?;
        match own.get() {
            Ok(_) => return file::reopen(own, false),
            Err(error) if error.errno() != Errno::EBADF => return Err(error),
            Err(_) => {}
        }
        let path = self.path().ok_or_else(gone)?;
        let file = files::open_checked(path, false, Owner::Anyone).map_err(|_| gone())?;
        if file.id() == own.id() { Ok(file) } else { Err(gone()) }
    }

    /// The error for a claim that needs a lock on the file and could not get one. It names a limit or the file's mode
    /// if that is the cause.
    pub(crate) fn lock_error(&self, error: OsError) -> ClaimError {
        if matches!(error.errno(), Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) {
            return ClaimError::Os(error);
        }
        let own = self.lock_file().and_then(|file| file::metadata(file.get().ok()?).ok());
        match own.filter(|own| error.errno() == Errno::EACCES && own.mode() & 0o444 != 0o444) {
            Some(own) => ClaimError::FileMode {
                found: own.mode() & 0o7777,
                owner: own.uid(),
                user: nix::unistd::geteuid().as_raw(),
            },
            None => ClaimError::NoSignOfLife(error),
        }
    }

    /// Whether any open file has locked the byte; `None` if the kernel does not say.
    ///
    /// It asks through a file opened for this. The region's own descriptor may be closed and its number taken, even by
    /// a file that holds the lock. Such a file can only belong to this process. So if no more files can be opened, the
    /// region's descriptor will do for a lock that only another process can hold (`by_another`).
    pub(crate) fn is_locked(&self, byte: u64, by_another: bool) -> Option<bool> {
        match self.reopen() {
            Ok(file) => is_locked(&file, byte),
            Err(_) => self.lock_file().filter(|_| by_another).and_then(|file| is_locked(file, byte)),
        }
    }

    /// For asking about the locks of many other processes. The lock file is opened once, with the first question.
    pub(crate) fn others_locks(&self) -> OthersLocks<'_> {
        OthersLocks { region: self, opened: OnceCell::new() }
    }

    /// Whether a lock has been seen to last as long as a mapping of the file.
    pub(crate) fn keeps_locks(&self) -> bool {
        self.keeps_locks.load(Relaxed)
    }

    pub(crate) fn set_keeps_locks(&self) {
        self.keeps_locks.store(true, Relaxed);
    }
}

/// Asks about locks that only other processes can hold.
pub(crate) struct OthersLocks<'r> {
    region: &'r Region,
    /// `None`: no more files can be opened, and the region's own must do.
    opened: OnceCell<Option<Owned>>,
}

impl OthersLocks<'_> {
    /// [`Region::is_locked`], by another process.
    pub fn is_locked(&self, byte: u64) -> Option<bool> {
        let opened = self.opened.get_or_init(|| self.region.reopen().ok());
        is_locked(opened.as_ref().or_else(|| self.region.lock_file())?, byte)
    }
}

fn is_locked(file: &Owned, byte: u64) -> Option<bool> {
    let own = file.get().ok()?;
    // Overlayfs has locks of its own, and does not show those on the file below.
    if filesystem::kind(own).ok()? == Kind::Overlay {
        return None;
    }
    let locked = lock::is_locked(own, byte).ok()?;
    file.get().ok().map(|_| locked)
}
