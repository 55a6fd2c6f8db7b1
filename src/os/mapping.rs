//! One mapping of a region, with guard pages, and the kernel's operations on it.
//!
//! ```text
//!   │ guard │ header page │ control words │ data │ data again (mirror) │ guard │
//!   └ none ─┴ read-only ──┴ read-write ──────────┴─────────────────────┴ none ─┘
//! ```
//!
//! The whole range is reserved first, so that no other mapping can land inside it. Drop unmaps it as a whole.

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use std::fs::File;

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{
    MRemapFlags, MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect, mremap,
    msync, munmap,
};

use super::retry::{in_pieces, retry};
use crate::error::OsError;

/// Whether a mapping may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Stores are allowed, and everyone who maps the same memory sees them.
    Shared,
    /// Stores fault.
    ReadOnly,
}

/// The memory behind a mapping.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    File(&'a File),
    Anonymous { huge: bool },
}

/// The sizes of a mapping, in bytes, each a whole number of pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The page size. The header takes one page.
    pub page: usize,
    /// The whole region, without the mirror.
    pub len: usize,
    /// Offset of the data.
    pub data: usize,
    /// How much of the region's end is mapped a second time behind it.
    pub mirror: usize,
}

/// A writable mapping of a region that nobody else can find yet. Only here can a header be written.
pub(crate) struct Unpublished(Mapping);

/// A mapped region. Unmapped on drop.
pub(crate) struct Mapping {
    reserved: NonNull<u8>,
    reserved_len: usize,
    base: NonNull<u8>,
    shape: Shape,
    access: Access,
}

// SAFETY: it owns an address range, which belongs to no thread, and it hands out no references.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

const MREMAP: &str = "mremap";

/// Whether memory without a file could not be mapped because the kernel does not map it twice.
pub(crate) fn mirror_was_refused(error: &OsError) -> bool {
    error.call == MREMAP
}

fn non_zero(len: usize) -> Result<NonZeroUsize, OsError> {
    NonZeroUsize::new(len).ok_or_else(|| OsError::new("mmap", Errno::EINVAL))
}

impl Unpublished {
    /// Maps memory for a new region.
    pub fn new(source: Source<'_>, shape: Shape) -> Result<Self, OsError> {
        Ok(Self(Mapping::new(source, shape, Access::Shared)?))
    }

    /// Faults in every page.
    pub fn prefault(&self) -> Result<(), OsError> {
        self.0.prefault()
    }

    /// Writes the region's header. From then on it is read-only.
    pub fn with_header(self, header: &[u8]) -> Result<Mapping, OsError> {
        let Self(mapping) = self;
        assert!(header.len() <= mapping.shape.page);
        // SAFETY: M3: the page is mapped writable until `protect_header`, and no reference to it exists.
        unsafe { core::ptr::copy_nonoverlapping(header.as_ptr(), mapping.base.as_ptr(), header.len()) };
        mapping.protect_header()?;
        Ok(mapping)
    }
}

impl Mapping {
    /// Maps a region. With [`Access::Shared`], the header too can be written until [`Mapping::protect_header`].
    pub fn new(source: Source<'_>, shape: Shape, access: Access) -> Result<Self, OsError> {
        let too_large = || OsError::new("mmap", Errno::ENOMEM);
        let visible = shape.len.checked_add(shape.mirror).ok_or_else(too_large)?;
        // Two guards, and what alignment to a huge page may skip.
        let reserved_len = shape.page.checked_mul(3).and_then(|p| p.checked_add(visible)).ok_or_else(too_large)?;
        if isize::try_from(reserved_len).is_err() {
            return Err(too_large());
        }
        let (len, flags) = (non_zero(reserved_len)?, MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE);
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let reserved = retry(|| unsafe { mmap_anonymous(None, len, ProtFlags::PROT_NONE, flags) });
        let reserved = reserved.map_err(|e| OsError::new("mmap", e))?.cast::<u8>();
        let skip = (reserved.addr().get() + 1).next_multiple_of(shape.page) - reserved.addr().get();
        // SAFETY: M1: `skip <= page`, and `page + len + mirror + page` is less than the reserved length.
        let base = unsafe { reserved.add(skip) };
        let mapping = Self { reserved, reserved_len, base, shape, access };
        mapping.map(source, 0, 0, shape.len)?;
        if shape.mirror != 0 {
            match source {
                Source::File(_) => mapping.map(source, shape.len, shape.len - shape.mirror, shape.mirror)?,
                Source::Anonymous { .. } => mapping.mirror_anonymous()?,
            }
        }
        Ok(mapping)
    }

    /// The address `offset` bytes into the region.
    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.shape.len + self.shape.mirror);
        // SAFETY: M1: the reserved range extends that far beyond `base`.
        unsafe { self.base.add(offset) }
    }

    /// Maps `len` bytes of the source, starting at its offset `from`, to `offset` in the region.
    fn map(&self, source: Source<'_>, offset: usize, from: usize, len: usize) -> Result<(), OsError> {
        let prot = match self.access {
            Access::Shared => ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            Access::ReadOnly => ProtFlags::PROT_READ,
        };
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let (address, len) = (Some(self.at(offset).addr()), non_zero(len)?);
        let mapped = match source {
            // SAFETY: M2: replaces part of the range that this mapping reserved, and nothing refers to it yet.
            Source::File(file) => retry(|| unsafe { mmap(address, len, prot, flags, file, from as libc::off_t) }),
            Source::Anonymous { huge } => {
                let flags = if huge { flags | MapFlags::MAP_HUGETLB } else { flags };
                // SAFETY: M2.
                retry(|| unsafe { mmap_anonymous(address, len, prot, flags) })
            }
        };
        mapped.map_err(|e| OsError::new("mmap", e))?;
        Ok(())
    }

    /// Maps the mirror of anonymous memory. An old size of 0 makes `mremap(2)` map the same shared pages a second time.
    /// Emulators refuse that: see [`mirror_was_refused`].
    fn mirror_anonymous(&self) -> Result<(), OsError> {
        let Shape { len, mirror, .. } = self.shape;
        let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
        // SAFETY: M2: the new place is inside the reserved range; the old mapping stays.
        let mapped =
            retry(|| unsafe { mremap(self.at(len - mirror).cast(), 0, mirror, flags, Some(self.at(len).cast())) });
        mapped.map_err(|e| OsError::new(MREMAP, e))?;
        Ok(())
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// Makes the header's page read-only in this process, so that a stray store faults instead of corrupting it.
    pub fn protect_header(&self) -> Result<(), OsError> {
        // SAFETY: M3: once written, the header is only read through this mapping.
        retry(|| unsafe { mprotect(self.base.cast(), self.shape.page, ProtFlags::PROT_READ) })
            .map_err(|e| OsError::new("mprotect", e))
    }

    /// Faults in every page now, including the mirror's, so that no later access faults.
    pub fn prefault(&self) -> Result<(), OsError> {
        let page = self.shape.page;
        self.populate(0, page, false)?;
        let writable = self.access != Access::ReadOnly;
        self.populate(page, self.shape.len + self.shape.mirror - page, writable)
    }

    fn populate(&self, from: usize, len: usize, writable: bool) -> Result<(), OsError> {
        let (advice, call) = if writable {
            (MmapAdvise::MADV_POPULATE_WRITE, "madvise(MADV_POPULATE_WRITE)")
        } else {
            (MmapAdvise::MADV_POPULATE_READ, "madvise(MADV_POPULATE_READ)")
        };
        let least = self.shape.page as u64;
        let populated = in_pieces(len as u64, least, |offset, part| {
            // SAFETY: M1: populating changes no byte.
            unsafe { madvise(self.at(from + offset as usize).cast(), part as usize, advice) }
        });
        match populated {
            Ok(()) => Ok(()),
            // Before Linux 5.14: touch every page.
            Err(Errno::EINVAL) => {
                for offset in (from..from + len).step_by(self.shape.page) {
                    self.touch(offset, writable);
                }
                Ok(())
            }
            Err(errno) => Err(OsError::new(call, errno)),
        }
    }

    fn touch(&self, offset: usize, writable: bool) {
        use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let word = self.at(offset).cast::<AtomicU64>();
        // SAFETY: M1: an aligned word of the region; others write it only as an atomic.
        let word = unsafe { word.as_ref() };
        if writable {
            word.fetch_or(0, Relaxed);
        } else {
            word.load(Relaxed);
        }
    }

    /// Keeps the region in memory.
    pub fn lock(&self) -> Result<(), OsError> {
        // SAFETY: M1: locking changes no byte.
        retry(|| unsafe { mlock(self.base.cast(), self.shape.len) }).map_err(|e| OsError::new("mlock", e))
    }

    /// Writes modified pages to the file, and waits for that if `wait`.
    pub fn flush(&self, wait: bool) -> Result<(), OsError> {
        let flags = if wait { MsFlags::MS_SYNC } else { MsFlags::MS_ASYNC };
        // SAFETY: M1: flushing changes no byte.
        retry(|| unsafe { msync(self.base.cast(), self.shape.len, flags) }).map_err(|e| OsError::new("msync", e))
    }

    /// Advises the kernel how the data area will be used.
    pub fn advise(&self, advice: MmapAdvise) -> Result<(), OsError> {
        let Shape { len, data, mirror, .. } = self.shape;
        // SAFETY: M1: callers pass only advice that changes no byte.
        retry(|| unsafe { madvise(self.at(data).cast(), len - data + mirror, advice) })
            .map_err(|e| OsError::new("madvise", e))
    }

    /// How many pages of the region are in memory.
    pub fn resident_pages(&self) -> Result<usize, OsError> {
        let base_page = super::file::base_page()?;
        let mut pages = vec![0u8; self.shape.len.div_ceil(base_page)];
        // SAFETY: M1: the vector has a byte for each page of the range.
        let mut ask = || unsafe { libc::mincore(self.base.as_ptr().cast(), self.shape.len, pages.as_mut_ptr()) };
        retry(|| Errno::result(ask())).map_err(|e| OsError::new("mincore", e))?;
        let resident = pages.iter().filter(|page| **page & 1 == 1).count();
        Ok(resident * base_page / self.shape.page)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A system-call filter may refuse this; the memory then stays until the process ends.
        // SAFETY: M4: `new` reserved the range, and every view of it keeps this mapping alive.
        let _ = unsafe { munmap(self.reserved.cast(), self.reserved_len) };
    }
}
