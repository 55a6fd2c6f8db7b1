//! Locks of open file descriptions (`fcntl(2)`, `F_OFD_*`), each on one byte of a file.
//!
//! Such a lock belongs to an open file, not to a process: it is held until the last descriptor *and the last mapping*
//! of that open file is gone, in any process. [`super::lifeline`] builds on this.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::retry::retry;
use crate::error::OsError;

/// Whether others may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Shared,
    Exclusive,
}

fn request(kind: libc::c_int, byte: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

fn kind(lock: Lock) -> libc::c_int {
    match lock {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
    }
}

/// Locks a byte. False if another open file holds a conflicting lock.
pub(crate) fn try_lock(file: &File, lock: Lock, byte: u64) -> Result<bool, OsError> {
    match retry(|| fcntl(file, FcntlArg::F_OFD_SETLK(&request(kind(lock), byte)))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(OsError::new("fcntl(F_OFD_SETLK)", errno)),
    }
}

/// Releases the lock on a byte, if this open file has one.
pub(crate) fn unlock(file: &File, byte: u64) -> Result<(), OsError> {
    retry(|| fcntl(file, FcntlArg::F_OFD_SETLK(&request(libc::F_UNLCK, byte))))
        .map_err(|errno| OsError::new("fcntl(F_OFD_SETLK)", errno))?;
    Ok(())
}

/// Like [`try_lock`], but a file system without locks counts as success. Other failures stay failures.
pub(crate) fn try_lock_if_any(file: &File, lock: Lock, byte: u64) -> Result<bool, OsError> {
    match try_lock(file, lock, byte) {
        Err(error) if error.errno() == Errno::EOPNOTSUPP => Ok(true),
        answer => answer,
    }
}

/// Another open file's lock that conflicts with this one, if there is one.
pub(crate) fn conflicting(file: &File, lock: Lock, byte: u64) -> Result<Option<libc::flock>, OsError> {
    let mut found = request(kind(lock), byte);
    retry(|| fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))).map_err(|e| OsError::new("fcntl(F_OFD_GETLK)", e))?;
    Ok((found.l_type != libc::F_UNLCK as libc::c_short).then_some(found))
}

/// Whether another open file's lock conflicts with this one.
pub(crate) fn conflicts(file: &File, lock: Lock, byte: u64) -> Result<bool, OsError> {
    Ok(conflicting(file, lock, byte)?.is_some())
}

/// Whether another open file has locked a byte, shared or exclusive.
pub(crate) fn is_locked(file: &File, byte: u64) -> Result<bool, OsError> {
    conflicts(file, Lock::Exclusive, byte)
}
