//! Checked views of shared memory: the control page, and the data area as 8-byte words.
//!
//! This is the only door from the protocols to shared memory. No method hands out a reference to a
//! payload byte; every offset is checked against a length that was fixed when the view was made, so
//! the protocols above are safe code whatever a peer writes.
//!
//! Whether a view may store is a type: one of memory that may be mapped read-only ([`crate::sync::ReadOnly`]) has
//! no word that can be stored to and no copy into the region.
//!
//! A record ring has its data mapped twice in a row, so one word has two addresses: the abstract machine, in which an
//! object has one, knows no such thing. It is right all the same, by three facts. The words are never behind a
//! reference to plain data, so the compiler may conclude nothing from two addresses that differ. They are
//! accessed by atomics and by assembly, which it may neither leave out nor merge with accesses through another address; and
//! where one endpoint stores through one address what it, or its successor, loads through the other (a header, the zero behind a
//! record), the load is an atomic, or assembly, that it may not answer from what it knows of other addresses. And the
//! processor keeps its caches coherent by physical line (x86-64: addresses that map one page are one location, whose
//! stores its own loads see, in order), so the orderings hold between addresses as they do between processes, of
//! which each has an address of its own as well.
//!
//! Under loom both views live on the heap and every word is loom's, so that a torn copy is seen.

use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;
use std::sync::Arc;

use crate::layout::WORD;
use crate::span::Span;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, Writable};

/// Whatever must stay alive for a view to be valid (the mapping).
pub(crate) type Keep = Arc<dyn core::any::Any + Send + Sync>;

/// A structure of atomics in shared memory.
pub(crate) struct View<T> {
    #[cfg(not(loom))]
    ptr: NonNull<T>,
    #[cfg(not(loom))]
    _keep: Keep,
    #[cfg(loom)]
    heap: Arc<T>,
}

/// The data area, counted in 8-byte words.
pub(crate) struct Words<M = Writable> {
    #[cfg(not(loom))]
    base: NonNull<AtomicU64<M>>,
    #[cfg(not(loom))]
    _keep: Keep,
    #[cfg(loom)]
    heap: Arc<[AtomicU64<M>]>,
    /// Per word: whether its payload is read and written in an order that publication establishes.
    #[cfg(loom)]
    order: Arc<[loom::cell::UnsafeCell<()>]>,
    /// Words that may be addressed; a mirror counts.
    len: usize,
}

#[cfg(not(loom))]
mod mapped {
    use super::*;

    // SAFETY: W2: a view is an address of atomics, valid for as long as `_keep` lives, from any thread.
    unsafe impl<T: Sync> Send for View<T> {}
    // SAFETY: as for `Send`.
    unsafe impl<T: Sync> Sync for View<T> {}
    // SAFETY: as for `View`.
    unsafe impl<M> Send for Words<M> {}
    // SAFETY: as for `View`.
    unsafe impl<M> Sync for Words<M> {}

    impl<T> View<T> {
        /// # Safety
        ///
        /// (W1) `T` is nothing but atomics, and `ptr` is aligned and mapped readable for it.
        /// (W2) The mapping lives as long as `keep`.
        /// (W3) It is writable, or `T`'s words are [`ReadOnly`](crate::sync::ReadOnly).
        pub unsafe fn new(ptr: NonNull<T>, keep: Keep) -> Self {
            Self { ptr, _keep: keep }
        }
    }

    impl<T> core::ops::Deref for View<T> {
        type Target = T;

        #[inline(always)]
        fn deref(&self) -> &T {
            #[cfg(test)]
            steps::count();
            // SAFETY: W1, W2: mapped for as long as `self`; only atomics, which others may write.
            unsafe { self.ptr.as_ref() }
        }
    }

    impl<T> Clone for View<T> {
        fn clone(&self) -> Self {
            Self { ptr: self.ptr, _keep: self._keep.clone() }
        }
    }

    impl<M> Words<M> {
        /// # Safety
        ///
        /// (W1) `base` is 8-byte aligned and mapped readable for `len` words, and `len * 8` fits an
        /// `isize`. (W2) The mapping lives as long as `keep`. (W3) It is writable, or `M` is
        /// [`ReadOnly`](crate::sync::ReadOnly). (W4) No reference to any of it exists.
        pub unsafe fn new(base: NonNull<AtomicU64<M>>, len: usize, keep: Keep) -> Self {
            Self { base, len, _keep: keep }
        }

        /// The word at `index`.
        #[inline(always)]
        pub fn word(&self, index: usize) -> &AtomicU64<M> {
            #[cfg(test)]
            steps::count();
            assert!(index < self.len);
            // SAFETY: W1: `index < len`, so the offset stays inside the mapping.
            let word = unsafe { self.base.add(index) };
            // SAFETY: W1, W2: an aligned word of the mapping, which lives as long as `self`.
            unsafe { word.as_ref() }
        }

        /// The address of byte `at`, of which `len` bytes may be touched.
        #[inline(always)]
        pub fn address(&self, at: usize, len: usize) -> *const u8 {
            #[cfg(test)]
            steps::count();
            let end = at.checked_add(len).expect("an offset inside the mapping");
            assert!(end <= self.len * WORD);
            self.base.as_ptr().cast::<u8>().wrapping_add(at)
        }
    }

    impl Words {
        /// [`Words::address`], where bytes may be written.
        #[inline(always)]
        pub fn address_mut(&self, at: usize, len: usize) -> *mut u8 {
            self.address(at, len).cast_mut()
        }
    }

    #[cfg(all(target_arch = "x86_64", not(ringway_tsan), not(ringway_portable)))]
    impl Words {
        /// Copies `src` to byte `at`.
        #[inline(always)]
        pub fn write(&self, at: usize, src: &[u8]) {
            let dst = self.address_mut(at, src.len());
            // SAFETY: C1: `address` checked the range (W1, W3); `src` is private memory.
            unsafe { crate::copy::copy(dst, src.as_ptr(), src.len()) }
        }

        /// [`Words::write`] from the last byte to the first.
        #[inline(always)]
        pub fn write_down(&self, at: usize, src: &[u8]) {
            let dst = self.address_mut(at, src.len());
            // SAFETY: C1: `address` checked the range (W1, W3); `src` is private memory.
            unsafe { crate::copy::copy_down(dst, src.as_ptr(), src.len()) }
        }
    }

    #[cfg(all(target_arch = "x86_64", not(ringway_tsan), not(ringway_portable)))]
    impl<M> Words<M> {
        /// Copies `dst.len()` bytes from byte `at`. All of `dst` is initialised afterwards.
        #[inline(always)]
        pub fn read(&self, at: usize, dst: &mut [MaybeUninit<u8>]) {
            let src = self.address(at, dst.len());
            // SAFETY: C1: `address` checked the range (W1); `dst` is private memory.
            unsafe { crate::copy::copy(dst.as_mut_ptr().cast(), src, dst.len()) }
        }
    }

    /// Under ThreadSanitizer, payload that publication must order is copied by plain accesses: it
    /// reports them if the ordering is missing.
    #[cfg(ringway_tsan)]
    impl Words {
        pub fn write(&self, at: usize, src: &[u8]) {
            let dst = self.address_mut(at, src.len());
            // SAFETY: C1: `address` checked the range; no peer of a sanitizer run is hostile.
            unsafe { core::ptr::copy_nonoverlapping(src.as_ptr(), dst, src.len()) }
        }

        pub fn write_down(&self, at: usize, src: &[u8]) {
            self.write(at, src);
        }
    }

    #[cfg(ringway_tsan)]
    impl<M> Words<M> {
        pub fn read(&self, at: usize, dst: &mut [MaybeUninit<u8>]) {
            let src = self.address(at, dst.len());
            // SAFETY: as in `write`.
            unsafe { core::ptr::copy_nonoverlapping(src, dst.as_mut_ptr().cast(), dst.len()) }
        }
    }
}

#[cfg(loom)]
mod heap {
    use super::*;

    impl<T> View<T> {
        pub fn on_heap(value: T) -> Self {
            Self { heap: Arc::new(value) }
        }
    }

    impl<T> core::ops::Deref for View<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.heap
        }
    }

    impl<T> Clone for View<T> {
        fn clone(&self) -> Self {
            Self { heap: self.heap.clone() }
        }
    }

    impl<M> Words<M> {
        pub fn word(&self, index: usize) -> &AtomicU64<M> {
            assert!(index < self.len);
            &self.heap[index % self.heap.len()]
        }
    }

    impl Words {
        /// `len` zero words, addressable twice over if `mirrored`.
        pub fn on_heap(len: usize, mirrored: bool) -> Self {
            let heap = (0..len).map(|_| AtomicU64::new(0)).collect();
            let order = (0..len).map(|_| loom::cell::UnsafeCell::new(())).collect();
            Self { heap, order, len: if mirrored { 2 * len } else { len } }
        }
    }
}

impl<M> Clone for Words<M> {
    fn clone(&self) -> Self {
        Self {
            #[cfg(not(loom))]
            base: self.base,
            #[cfg(not(loom))]
            _keep: self._keep.clone(),
            #[cfg(loom)]
            heap: self.heap.clone(),
            #[cfg(loom)]
            order: self.order.clone(),
            len: self.len,
        }
    }
}

#[cfg(any(loom, ringway_portable, all(not(target_arch = "x86_64"), not(ringway_tsan))))]
impl Words {
    /// Copies `src` to byte `at`.
    pub fn write(&self, at: usize, src: &[u8]) {
        #[cfg(loom)]
        self.ordered(at, src.len()).for_each(|word| word.with_mut(|_| ()));
        self.write_words(at, src);
    }

    pub fn write_down(&self, at: usize, src: &[u8]) {
        self.write(at, src);
    }
}

#[cfg(any(loom, ringway_portable, all(not(target_arch = "x86_64"), not(ringway_tsan))))]
impl<M> Words<M> {
    /// Copies `dst.len()` bytes from byte `at`. All of `dst` is initialised afterwards.
    pub fn read(&self, at: usize, dst: &mut [MaybeUninit<u8>]) {
        #[cfg(loom)]
        self.ordered(at, dst.len()).for_each(|word| word.with(|_| ()));
        self.read_words(at, dst);
    }

    /// loom explores no load that reads a later store, so a slot that is written before its last reader
    /// is done would go unseen; two accesses that nothing orders do not.
    #[cfg(loom)]
    fn ordered(&self, at: usize, len: usize) -> impl Iterator<Item = &loom::cell::UnsafeCell<()>> {
        (at / WORD..(at + len).div_ceil(WORD)).map(|index| &self.order[index % self.order.len()])
    }
}

/// The portable copy: whole words, relaxed.
#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
impl Words {
    /// A word that is written in part keeps its other bytes: the writer of a slot is its only one.
    pub(crate) fn write_words(&self, at: usize, mut src: &[u8]) {
        let (mut index, mut skip) = (at / WORD, at % WORD);
        while !src.is_empty() {
            let word = self.word(index);
            let count = src.len().min(WORD - skip);
            let mut bytes = if count == WORD { [0; WORD] } else { word.load(Relaxed).to_ne_bytes() };
            bytes[skip..skip + count].copy_from_slice(&src[..count]);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
            (index, skip, src) = (index + 1, 0, &src[count..]);
        }
    }
}

#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
impl<M> Words<M> {
    pub(crate) fn read_words(&self, at: usize, mut dst: &mut [MaybeUninit<u8>]) {
        let (mut index, mut skip) = (at / WORD, at % WORD);
        while !dst.is_empty() {
            let count = dst.len().min(WORD - skip);
            let bytes = self.word(index).relaxed().to_ne_bytes();
            let (now, later) = dst.split_at_mut(count);
            now.write_copy_of_slice(&bytes[skip..skip + count]);
            (index, skip, dst) = (index + 1, 0, later);
        }
    }
}

impl Words {
    /// Copies the first `words` words of `other`, which others may be writing.
    pub fn copy_from<M>(&self, other: &Words<M>, words: usize) {
        (0..words).for_each(|index| self.word(index).store(other.word(index).relaxed(), Relaxed));
    }
}

impl<M> Words<M> {
    /// The first word.
    #[cfg(not(loom))]
    #[inline(always)]
    pub fn base(&self) -> NonNull<AtomicU64<M>> {
        self.base
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// `count` words from word `first` on.
    #[inline(always)]
    pub fn span(&self, first: usize, count: usize) -> Span<'_, M>
    where
        M: Copy,
    {
        assert!(first <= self.len && count <= self.len - first);
        // SAFETY: W5: just checked.
        unsafe { Span::new(self, first, count) }
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

/// # Safety
///
/// (W8) Only initialised bytes are written there.
#[inline(always)]
pub(crate) unsafe fn uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: `u8` and `MaybeUninit<u8>` have one layout; W8 keeps every byte a `u8`.
    unsafe { &mut *(core::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// Counts looks at shared memory: a word, a span of words, or the control page.
#[cfg(all(test, not(loom)))]
pub(crate) mod steps {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    pub fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    /// How many looks `work` takes.
    #[allow(dead_code, reason = "not used where messages are copied word by word")]
    pub fn of<R>(work: impl FnOnce() -> R) -> (R, u64) {
        let before = STEPS.get();
        let result = work();
        (result, STEPS.get() - before)
    }
}
