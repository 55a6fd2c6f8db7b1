//! Finds files that nobody is attached to, and removes them without racing a newcomer.
//!
//! Every process attached to a file region holds a shared lock on the byte [`ATTACHED`]. The lock belongs to the open
//! file that is mapped, so a forked child is attached too, and a process that ended is not. A remover holds an
//! exclusive lock on the byte meanwhile. A newcomer takes the shared lock first, and then checks whether the file still
//! has its name: if not, it starts over.
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::files::{self, ATTEMPTS, Owner, PAUSE};
use crate::error::{OpenError, OsError, Reason};
use crate::layout::MAGIC;
use crate::layout::locks::ATTACHED;
use crate::os::file;
use crate::os::lock::{self, Lock, try_lock, try_lock_if_any};
use crate::os::nap::nap;
use crate::os::owned::Owned;
use crate::os::retry::retry_io;

/// How often to check, a [`PAUSE`] apart, before a file counts as in use. The memory of a process that has ended, and
/// was waited for, lingers while another process, such as `ps`, reads it.
const IN_USE_CHECKS: u32 = 5;

/// Opens a file and attaches to it, unless someone is removing it.
pub(super) fn attach(path: &Path, writable: bool, owner: Owner) -> Result<Owned, Reason> {
    for _ in 0..ATTEMPTS {
        let file = files::open_checked(path, writable, owner)?;
        // On a file system without locks, nobody can remove a region as unused.
        if !try_lock_if_any(file.get()?, Lock::Shared, ATTACHED)? {
            files::refuse_foreign_lock(file.get()?, Lock::Shared, ATTACHED)?;
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
    if magic == MAGIC { Ok(file) } else { Err(Reason::NotARegion { found: magic, expected: MAGIC }) }
}

/// Whether the region in the file `path` is in use. It is if any process, in any PID namespace, is attached to it, has
/// a descriptor from which it was attached, is removing it, or has locked the whole file for reasons of its own.
///
/// A process is attached as long as its memory exists. That may be a moment longer than the process itself, while
/// another reads its memory through `/proc`, as `ps` and `top` do.
///
/// Any thread may call it; it does not attach.
///
/// # Errors
///
/// The path is missing, may not be read, or holds no region, or its file system has no locks.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// assert!(ringway::in_use(&path)?);
/// drop(channel);
/// assert!(!ringway::in_use(&path)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn in_use(path: impl AsRef<Path>) -> Result<bool, OpenError> {
    is_in_use(&files::absolute(path.as_ref())?, Owner::Anyone)
}

pub(crate) fn is_in_use(path: &Path, owner: Owner) -> Result<bool, OpenError> {
    let ask = || Ok(lock::is_locked(open_region(path, false, owner)?.get()?, ATTACHED)?);
    files::at(&path.display().to_string(), ask())
}

/// Removes the region in the file `path` if nobody is attached to it. A process that opens the path at the same moment
/// either attaches first, and the file stays, or finds it missing. Any thread may call it.
///
/// # Errors
///
/// - [`Reason::InUse`]: someone is attached.
/// - [`Reason::BeingRemoved`]: another process began to remove it, and is stopped.
/// - [`Reason::Locked`]: another program has locked the whole file.
/// - The path is missing, holds no region, or belongs to another user (see
///   [`Options::remove_unused`](crate::Options::remove_unused)).
/// - Its file system has no locks, or this process may not write its directory.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// assert!(ringway::remove_unused(&path).is_err()); // in use
/// drop(channel);
/// ringway::remove_unused(&path)?;
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn remove_unused(path: impl AsRef<Path>) -> Result<(), OpenError> {
    remove(&files::absolute(path.as_ref())?, Owner::Own)
}

pub(crate) fn remove(path: &Path, owner: Owner) -> Result<(), OpenError> {
    let remove = || {
        let file = lock_unused(path, owner)?;
        // The lock keeps others from replacing the path only if the locked file still has that name.
        if !file::names(path, &file).map_err(|source| OsError { call: "lstat", source })? {
            return Err(Reason::Missing);
        }
        files::remove_stale_replacement(path)?;
        files::unlink(path, &file, |_| ()).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Reason::Missing,
            _ => OsError { call: "unlink", source }.into(),
        })
    };
    files::at(&path.display().to_string(), remove())
}

/// Opens and locks the file of a region that nobody is attached to. As long as it is open, nobody can attach.
pub(super) fn lock_unused(path: &Path, owner: Owner) -> Result<Owned, Reason> {
    let file = open_region(path, true, owner)?;
    let mut tries = 0;
    while !try_lock(file.get()?, Lock::Exclusive, ATTACHED)? {
        if let Some(reason) = why_not_removable(path, &file, tries)? {
            return Err(reason);
        }
        tries += 1;
        nap(PAUSE);
    }
    Ok(file)
}

/// Why a file that somebody else has locked cannot be removed; `None` if that may change in a moment.
fn why_not_removable(path: &Path, file: &Owned, tries: u32) -> Result<Option<Reason>, Reason> {
    files::refuse_foreign_lock(file.get()?, Lock::Exclusive, ATTACHED)?;
    // Another remover is no user, and will be done in a moment.
    if lock::conflicts(file.get()?, Lock::Shared, ATTACHED)? || !lock::is_locked(file.get()?, ATTACHED)? {
        return Ok((tries == ATTEMPTS).then_some(Reason::BeingRemoved));
    }
    // If another process removed it, only processes that have not noticed yet still use it.
    if !file::names(path, file).map_err(|source| OsError { call: "lstat", source })? {
        return Ok(Some(Reason::Missing));
    }
    Ok((tries >= IN_USE_CHECKS).then_some(Reason::InUse))
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
        assert!(why_not_removable(&path, &file, 0).unwrap().is_none());
        assert!(matches!(why_not_removable(&path, &file, IN_USE_CHECKS), Ok(Some(Reason::InUse))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(why_not_removable(&path, &file, 0), Ok(Some(Reason::Missing))));
    }
}
