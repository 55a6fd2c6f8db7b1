//! The data area, counted in 8-byte words.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{Keep, WordSlice};
use crate::layout::WORD;
use crate::sync::{AtomicU64, Writable};

/// The data area, counted in 8-byte words.
pub(crate) struct WordArea<M = Writable> {
    base: NonNull<AtomicU64<M>>,
    keep: Keep,
    /// How many words may be addressed. A mirror counts.
    len: usize,
    #[cfg(loom)]
    model: model::Model,
}

// SAFETY: W2: an area is an address of atomics, valid for as long as `keep` lives, from any thread.
unsafe impl<M> Send for WordArea<M> {}
// SAFETY: as for `Send`.
unsafe impl<M> Sync for WordArea<M> {}

impl<M> Clone for WordArea<M> {
    fn clone(&self) -> Self {
        Self {
            base: self.base,
            keep: self.keep.clone(),
            len: self.len,
            #[cfg(loom)]
            model: self.model.clone(),
        }
    }
}

impl<M> WordArea<M> {
    /// # Safety
    ///
    /// W1 holds for `len` words, W2 for `keep`, and W3 and W4 hold.
    pub unsafe fn new(base: NonNull<AtomicU64<M>>, len: usize, keep: Keep) -> Self {
        Self {
            base,
            keep,
            len,
            #[cfg(loom)]
            model: model::Model::of(len),
        }
    }

    /// The first word.
    #[inline(always)]
    pub(super) fn base(&self) -> NonNull<AtomicU64<M>> {
        self.base
    }

    /// Words that may be addressed; a mirror counts.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The word at `index`.
    #[inline(always)]
    pub fn word(&self, index: usize) -> &AtomicU64<M> {
        #[cfg(test)]
        super::steps::count();
        assert!(index < self.len);
        #[cfg(loom)]
        let index = index % self.model.words;
        // SAFETY: W1: `index < len`, so the offset stays inside the mapping.
        let word = unsafe { self.base.add(index) };
        // SAFETY: W1, W2: an aligned word of the mapping, which lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The address of byte `at`, of which `len` bytes may be touched.
    #[inline(always)]
    pub fn address(&self, at: usize, len: usize) -> *const u8 {
        #[cfg(test)]
        super::steps::count();
        // W1: this fits an `isize`. `at` and `len` are not added up, for their sum might not fit.
        let all = self.len * WORD;
        assert!(at <= all && len <= all - at);
        self.base.as_ptr().cast::<u8>().wrapping_add(at)
    }

    /// `count` words from word `first` on.
    #[inline(always)]
    pub fn slice(&self, first: usize, count: usize) -> WordSlice<'_, M>
    where
        M: Copy,
    {
        assert!(first <= self.len && count <= self.len - first);
        // SAFETY: W5: just checked.
        unsafe { WordSlice::new(self, first, count) }
    }

    /// A copy of `len` bytes from byte `at`.
    pub fn read_vec(&self, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        self.read(at, &mut bytes.spare_capacity_mut()[..len]);
        // SAFETY: `read` initialised the first `len` bytes, for which there is room.
        unsafe { bytes.set_len(len) };
        bytes
    }

    /// Copies `dst.len()` bytes from byte `at` over initialised memory.
    #[inline(always)]
    pub fn read_bytes(&self, at: usize, dst: &mut [u8]) {
        // SAFETY: W8: `read` writes only initialised bytes.
        self.read(at, unsafe { uninit(dst) });
    }
}

impl WordArea {
    /// [`WordArea::address`], where bytes may be written.
    #[inline(always)]
    pub fn address_mut(&self, at: usize, len: usize) -> *mut u8 {
        self.address(at, len).cast_mut()
    }
}

/// # Safety
///
/// W8: only initialised bytes are written there.
#[inline(always)]
pub(super) unsafe fn uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: `u8` and `MaybeUninit<u8>` have one layout; W8 keeps every byte a `u8`.
    unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

#[cfg(loom)]
mod model {
    use std::sync::Arc;

    use loom::cell::UnsafeCell;

    use super::{AtomicU64, NonNull, WORD, WordArea};

    /// What a model knows of an area on the heap.
    #[derive(Clone)]
    pub(super) struct Model {
        /// Words that are there; a mirror does not count.
        pub words: usize,
        /// Per word: whether publication orders the reads and the writes of its payload.
        order: Arc<[UnsafeCell<()>]>,
    }

    impl Model {
        pub fn of(words: usize) -> Self {
            Self { words, order: (0..words).map(|_| UnsafeCell::new(())).collect() }
        }
    }

    /// loom checks each access itself.
    struct Shared(Vec<AtomicU64>);
    // SAFETY: loom runs all of a model's threads in one, in turns.
    unsafe impl Send for Shared {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Shared {}

    impl WordArea {
        /// `len` zero words, addressable twice over if `mirrored`.
        pub fn on_heap(len: usize, mirrored: bool) -> Self {
            let heap = Arc::new(Shared((0..len).map(|_| AtomicU64::new(0)).collect()));
            let base = NonNull::from(&heap.0[..]).cast();
            Self { base, keep: heap, len: if mirrored { 2 * len } else { len }, model: Model::of(len) }
        }
    }

    impl<M> WordArea<M> {
        /// loom explores no load that reads a later store, so a slot that is written before its last reader is done
        /// would go unseen. Two accesses that nothing orders do not.
        pub(in crate::memory) fn ordered(&self, at: usize, len: usize) -> impl Iterator<Item = &UnsafeCell<()>> {
            let order = &self.model.order;
            (at / WORD..(at + len).div_ceil(WORD)).map(|index| &order[index % order.len()])
        }
    }
}
