//! Private memory that a forked child finds zeroed.
//!
//! The kernel applies `MADV_WIPEONFORK` as it copies the address space. So it also works for a raw `clone`, which fork
//! handlers miss, and it costs nothing until a fork (see `madvise(2)`). A child that shares its parent's memory
//! (`vfork`, `CLONE_VM`) shares the page as well.

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
    place: NonNull<T>,
    _owns: PhantomData<T>,
}

// SAFETY: it owns its `T`, as a box does.
unsafe impl<T: FromBytes + Send> Send for Wiped<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: FromBytes + Sync> Sync for Wiped<T> {}

const LEN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// Bytes from one place in a page to the next. A `T` fits.
const STEP: usize = 128;
/// How far the place lies below the claimant's stack, by the lower twelve bits of both addresses.
const BELOW: usize = 1024;

/// Where in its page the value lies: away from the caller's stack, by the lower twelve bits of the address.
///
/// A processor decides by these bits whether a load must wait for an older store. The stack lies elsewhere in each process.
/// If the caller stores a word on its stack between two messages, and that word has the same bits as a position that is
/// kept here, each message waits for that store and takes two or three times as long ("4 KiB aliasing": Intel's optimization
/// manual, "Memory Disambiguation"; docs/measurements.md). The stack on which an endpoint is claimed is most likely the one
/// on which it is used.
fn place_in_page() -> usize {
    let here = 0_u8;
    let step = (&raw const here).addr().wrapping_sub(BELOW) % LEN.get() / STEP;
    // Half a step further: the control words of every message lie where a step begins.
    step.min(LEN.get() / STEP - 2) * STEP + STEP / 2
}

impl<T: FromBytes> Wiped<T> {
    pub fn new(value: T) -> Result<Self, OsError> {
        const { assert!(size_of::<T>() <= STEP && align_of::<T>() <= STEP / 2) };
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let page = retry(|| unsafe { mmap_anonymous(None, LEN, READ_WRITE, MapFlags::MAP_PRIVATE) });
        let page = page.map_err(|e| OsError::new("mmap", e))?;
        // SAFETY: the place lies inside the page, with a step behind it.
        let place = unsafe { page.byte_add(place_in_page()) };
        let wiped = Self { place: place.cast(), _owns: PhantomData };
        // SAFETY: the page is this value's own, and holds nothing yet.
        retry(|| unsafe { madvise(page, LEN.get(), MmapAdvise::MADV_WIPEONFORK) })
            .map_err(|e| OsError::new("madvise(MADV_WIPEONFORK)", e))?;
        // SAFETY: mapped, writable, large and aligned enough (asserted above).
        unsafe { wiped.place.write(value) };
        Ok(wiped)
    }
}

impl<T: FromBytes> Deref for Wiped<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the page is mapped until drop, and holds a `T`: the one written, or zeroes, which are a `T` because
        // it is `FromBytes`. The kernel wipes only the copy in a child. No reference is alive there: the forking thread
        // holds none across the system call, unless a signal handler forks inside an endpoint's call and returns in the
        // child, which docs/guarantees.md excludes.
        unsafe { self.place.as_ref() }
    }
}

impl<T: FromBytes> DerefMut for Wiped<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is exclusively borrowed.
        unsafe { self.place.as_mut() }
    }
}

impl<T: FromBytes> Drop for Wiped<T> {
    fn drop(&mut self) {
        let page = self.place.as_ptr().map_addr(|at| at & !(LEN.get() - 1));
        let Some(page) = NonNull::new(page.cast()) else { return };
        // A system-call filter may refuse this; the memory then stays until the process ends.
        // SAFETY: the page was mapped by `new`, and nothing refers to it any more.
        let _ = unsafe { munmap(page, LEN.get()) };
    }
}
