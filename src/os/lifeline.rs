//! A lock that lasts exactly as long as this process's memory.
//!
//! The kernel drops an open file's locks with the last reference to it, and a mapping is a reference. So: open the file
//! anew, map a page of it that a forked child does not inherit (`MADV_DONTFORK`), take the lock, and close the
//! descriptor. That mapping is then the only reference. The lock goes when the process ends or execs, and not before:
//! neither `close_range(2)` nor a child that inherits every descriptor affects it. The lock is visible from every PID
//! namespace.
//!
//! A child that another thread forks between the opening and the closing keeps the descriptor, and the lock with it,
//! until it execs or ends.

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use nix::errno::Errno;
use nix::libc::c_void;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use super::lock::{self, Lock};
use super::owned::Owned;
use super::retry::retry;
use crate::error::OsError;

/// A mapping that holds a file open. It keeps the file itself only while it is being set up.
pub(crate) struct Lifeline {
    page: NonNull<c_void>,
    len: NonZeroUsize,
    file: Option<Owned>,
}

// SAFETY: it owns a mapping through which nothing is ever read or written.
unsafe impl Send for Lifeline {}
// SAFETY: as for `Send`.
unsafe impl Sync for Lifeline {}

impl Lifeline {
    /// Maps `len` bytes (one page) of `file`, which must have been opened for this purpose alone.
    pub fn new(file: Owned, len: usize) -> Result<Self, OsError> {
        let len = NonZeroUsize::new(len).ok_or_else(|| OsError::new("mmap", Errno::EINVAL))?;
        let own = file.get()?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let page = retry(|| unsafe { mmap(None, len, ProtFlags::PROT_NONE, MapFlags::MAP_SHARED, own, 0) });
        let page = page.map_err(|e| OsError::new("mmap", e))?;
        let line = Self { page, len, file: Some(file) };
        // SAFETY: the page is this value's own.
        retry(|| unsafe { madvise(page, len.get(), MmapAdvise::MADV_DONTFORK) })
            .map_err(|e| OsError::new("madvise(MADV_DONTFORK)", e))?;
        Ok(line)
    }

    /// Takes a shared lock on a byte. Works only before [`Lifeline::close_descriptor`].
    pub fn lock(&self, byte: u64) -> Result<(), OsError> {
        let file = self.file.as_ref().ok_or_else(|| OsError::new("fcntl(F_OFD_SETLK)", Errno::EBADF))?;
        if lock::try_lock(file.get()?, Lock::Shared, byte)? {
            return Ok(());
        }
        Err(OsError::new("fcntl(F_OFD_SETLK)", Errno::EAGAIN))
    }

    /// Gives the lock on a byte back. Works only before [`Lifeline::close_descriptor`].
    pub fn unlock(&self, byte: u64) {
        if let Some(Ok(file)) = self.file.as_ref().map(Owned::get) {
            // If that fails, the lock lasts as long as the others, and does no harm.
            let _ = lock::unlock(file, byte);
        }
    }

    /// Closes the descriptor. From then on the mapping alone holds the locks.
    pub fn close_descriptor(&mut self) {
        self.file = None;
    }

    /// Forgets the mapping in a forked child, which did not inherit it: another mapping may be at its address by now.
    pub fn forget(self) {
        core::mem::forget(self);
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // A system-call filter may refuse this; the memory then stays until the process ends.
        // SAFETY: the page was mapped by `new` in this process (see `forget`), and nothing refers to it.
        let _ = unsafe { munmap(self.page, self.len.get()) };
    }
}
