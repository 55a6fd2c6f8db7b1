//! Private memory that a forked child finds zeroed.
//!
//! `MADV_WIPEONFORK` is done by the kernel as it copies the address space, so it holds for a raw
//! `clone` too, which fork handlers miss, and it costs nothing until a fork (see `madvise(2)`). A child that
//! shares its parent's memory (`vfork`, `CLONE_VM`) shares the page as well.

use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use zerocopy::FromBytes;

use super::retry::retry;
use crate::error::OsError;

/// A `T` in a page of its own, all zero in a forked child.
pub(crate) struct Wiped<T: FromBytes> {
    page: NonNull<T>,
    _owns: PhantomData<T>,
}

// SAFETY: it owns its `T`, as a box does.
unsafe impl<T: FromBytes + Send> Send for Wiped<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: FromBytes + Sync> Sync for Wiped<T> {}

const LEN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

impl<T: FromBytes> Wiped<T> {
    pub fn new(value: T) -> Result<Self, OsError> {
        const { assert!(size_of::<T>() <= LEN.get() && align_of::<T>() <= LEN.get()) };
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let page = retry(|| unsafe { mmap_anonymous(None, LEN, READ_WRITE, MapFlags::MAP_PRIVATE) });
        let page = page.map_err(|e| OsError::new("mmap", e))?;
        let wiped = Self { page: page.cast(), _owns: PhantomData };
        // SAFETY: the page is this value's own, and holds nothing yet.
        retry(|| unsafe { madvise(page, LEN.get(), MmapAdvise::MADV_WIPEONFORK) })
            .map_err(|e| OsError::new("madvise(MADV_WIPEONFORK)", e))?;
        // SAFETY: mapped, writable, large and aligned enough (asserted above).
        unsafe { wiped.page.write(value) };
        Ok(wiped)
    }
}

impl<T: FromBytes> Deref for Wiped<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: mapped until drop, and holding a `T`: the one written, or zeroes, which `FromBytes`
        // takes. The kernel wipes only the copy in a child, where no reference is alive: the forking thread
        // holds none across the system call, unless a signal handler forks inside an endpoint's call and
        // returns in the child, which the README excludes.
        unsafe { self.page.as_ref() }
    }
}

impl<T: FromBytes> DerefMut for Wiped<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is exclusively borrowed.
        unsafe { self.page.as_mut() }
    }
}

impl<T: FromBytes> Drop for Wiped<T> {
    fn drop(&mut self) {
        // A filter may refuse it: then the memory stays until the process ends.
        // SAFETY: the page was mapped by `new`, and nothing refers to it any more.
        let _ = unsafe { munmap(self.page.cast(), LEN.get()) };
    }
}
