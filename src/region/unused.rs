//! Files that nobody is attached to: told from those in use, and removed without racing a newcomer.
//!
//! Everyone attached to a file region holds a shared lock on the byte [`ATTACHED`], in the open file that is
//! mapped, so that a forked child is attached too and one that ended is not. Who removes the file holds an
//! exclusive lock on it meanwhile. A newcomer takes the shared lock first, and then looks whether the file
//! still has a name: if not, it begins anew.
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::files::{self, Owner, PATIENCE, PAUSE};
use crate::error::{OpenError, OsError, Reason};
use crate::layout::MAGIC;
use crate::layout::locks::ATTACHED;
use crate::os::file;
use crate::os::lock::{self, Lock, try_lock, try_lock_if_any};
use crate::os::nap::nap;
use crate::os::owned::Owned;
use crate::os::retry::retry_io;

/// How often one looks, a [`PAUSE`] apart, until a file is in use indeed. The memory of a process that has ended, and
/// was waited for, lingers while another looks into it, as `ps` does.
const LINGERING: u32 = 5;

/// Opens a file and attaches to it; not to one that is being removed.
pub(super) fn attach(path: &Path, writable: bool, owner: Owner) -> Result<Owned, Reason> {
    for _ in 0..PATIENCE {
        let file = files::open_checked(path, writable, owner)?;
        // A file system without locks has regions that nobody can remove as unused.
        if !try_lock_if_any(file.get()?, Lock::Shared, ATTACHED)? {
            files::refuse_stranger(file.get()?, Lock::Shared, ATTACHED)?;
            nap(PAUSE);
        } else if file::is_link_to_open_file(path)
            || file::names(path, &file).map_err(|source| OsError { call: "lstat", source })?
        {
            return Ok(file);
        }
    }
    Err(Reason::BeingRemoved)
}

fn open_region(path: &Path, writable: bool, owner: Owner) -> Result<Owned, Reason> {
    let file = files::open_checked(path, writable, owner)?;
    let (own, mut magic) = (file.get()?, [0; 8]);
    let read = retry_io(|| own.read_at(&mut magic, 0)).map_err(|source| OsError { call: "pread", source })?;
    if read < magic.len() {
        let found = file::metadata(own)?.len();
        return Err(Reason::Short { found, expected: magic.len() as u64 });
    }
    if magic == MAGIC { Ok(file) } else { Err(Reason::NotARegion { found: magic }) }
}

/// Whether any process, in any PID namespace, is attached to the region in the file `path`, or has a
/// descriptor from which it was attached, or is removing it, or has locked the whole file for reasons of its own.
///
/// A process is attached as long as its memory is there. That may be a moment longer than itself, while another looks
/// into it by `/proc`, as `ps` and `top` do.
///
/// # Errors
///
/// The path is missing, may not be read, or is no region; its file system has no locks.
pub fn in_use(path: impl AsRef<Path>) -> Result<bool, OpenError> {
    ask(&files::absolute(path.as_ref())?, Owner::Anyone)
}

pub(crate) fn ask(path: &Path, owner: Owner) -> Result<bool, OpenError> {
    let ask = || Ok(lock::is_locked(open_region(path, false, owner)?.get()?, ATTACHED)?);
    files::at(&path.display().to_string(), ask())
}

/// Removes the region in the file `path` if nobody is attached to it. Whoever opens the path at the same
/// moment either is attached first, and it stays, or finds it missing.
///
/// # Errors
///
/// [`Reason::InUse`]; another process began to remove it and is stopped; the path is missing, is no region, or belongs to
/// another user (see [`Options::remove_unused`](crate::Options::remove_unused)); another program has locked it
/// ([`Reason::Locked`]); its file system has no locks; its directory may not be written.
pub fn remove_unused(path: impl AsRef<Path>) -> Result<(), OpenError> {
    remove(&files::absolute(path.as_ref())?, Owner::Own)
}

pub(crate) fn remove(path: &Path, owner: Owner) -> Result<(), OpenError> {
    let remove = || {
        let file = lock_out(path, owner)?;
        // Only who has locked the file that is named knows that nobody replaces it now.
        if !file::names(path, &file).map_err(|source| OsError { call: "lstat", source })? {
            return Err(Reason::Missing);
        }
        files::remove_between(path)?;
        files::unlink(path, &file, |_| ()).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Reason::Missing,
            _ => OsError { call: "unlink", source }.into(),
        })
    };
    files::at(&path.display().to_string(), remove())
}

/// The file of a region that nobody is attached to. As long as it is open, nobody attaches.
pub(super) fn lock_out(path: &Path, owner: Owner) -> Result<Owned, Reason> {
    let file = open_region(path, true, owner)?;
    let mut tries = 0;
    while !try_lock(file.get()?, Lock::Exclusive, ATTACHED)? {
        if let Some(reason) = why_not(path, &file, tries)? {
            return Err(reason);
        }
        tries += 1;
        nap(PAUSE);
    }
    Ok(file)
}

/// Why a file that is locked by somebody else cannot be removed; `None` if that may change in a moment.
fn why_not(path: &Path, file: &Owned, tries: u32) -> Result<Option<Reason>, Reason> {
    files::refuse_stranger(file.get()?, Lock::Exclusive, ATTACHED)?;
    // Another remover is no user: it will be done in a moment.
    if lock::conflicts(file.get()?, Lock::Shared, ATTACHED)? || !lock::is_locked(file.get()?, ATTACHED)? {
        return Ok((tries == PATIENCE).then_some(Reason::BeingRemoved));
    }
    // One that another removed is in use only by those who have not noticed yet.
    if !file::names(path, file).map_err(|source| OsError { call: "lstat", source })? {
        return Ok(Some(Reason::Missing));
    }
    Ok((tries >= LINGERING).then_some(Reason::InUse))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_that_was_removed_is_not_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        drop(crate::spsc::Channel::<u64>::create(&path, 4).unwrap());
        let (file, user) = (Owned::new(File::open(&path).unwrap()).unwrap(), File::open(&path).unwrap());
        assert!(try_lock(&user, Lock::Shared, ATTACHED).unwrap());
        assert!(why_not(&path, &file, 0).unwrap().is_none());
        assert!(matches!(why_not(&path, &file, LINGERING), Ok(Some(Reason::InUse))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(why_not(&path, &file, 0), Ok(Some(Reason::Missing))));
    }
}
