//! The file that has a region's locks: asked who holds one, and opened anew to take one.
//!
//! Files and memfds have their own; an anonymous region has an empty memfd for it.
#![forbid(unsafe_code)]

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
    /// The file that has the region's locks.
    pub(super) fn lock_file(&self) -> Option<&Owned> {
        match &self.backing {
            Backing::File { file, .. } | Backing::Memfd(file) => Some(file),
            Backing::Anonymous(file) => file.as_ref(),
            Backing::Snapshot => None,
        }
    }

    /// The file that has the locks, opened anew.
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

    /// What to say of a claim that needs a lock on the file and failed to get one: whether a limit or the file's mode
    /// is why.
    pub(crate) fn unlockable(&self, error: OsError) -> ClaimError {
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

    /// Whether any open file has locked the byte; `None` where nobody can say. Asked from a file opened for it: the
    /// region's own descriptor may be closed and its number taken, even by a file that holds a lock. That can only be
    /// one of this process, so it does for locks that only another process can hold (`by_another`), when no more files
    /// can be opened.
    pub(crate) fn is_locked(&self, byte: u64, by_another: bool) -> Option<bool> {
        let ask = |file: &Owned| {
            let own = file.get().ok()?;
            // Overlayfs has locks of its own: who holds one on the file below is not seen here.
            if filesystem::kind(own).ok()? == Kind::Overlay {
                return None;
            }
            let locked = lock::is_locked(own, byte).ok()?;
            file.get().ok().map(|_| locked)
        };
        match self.reopen() {
            Ok(file) => ask(&file),
            Err(_) => self.lock_file().filter(|_| by_another).and_then(ask),
        }
    }

    /// Whether a lock was seen to last as long as a mapping of the file.
    pub(crate) fn keeps_locks(&self) -> bool {
        self.keeps_locks.load(Relaxed)
    }

    pub(crate) fn found_to_keep_locks(&self) {
        self.keeps_locks.store(true, Relaxed);
    }
}
