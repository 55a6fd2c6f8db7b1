//! Some words of shared memory in a row: checked once, then used word by word and value by value.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use zerocopy::FromBytes;

use super::WordArea;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, Writable};

/// Words in a row.
#[derive(Clone, Copy)]
pub(crate) struct WordSlice<'a, M = Writable> {
    pub(super) area: &'a WordArea<M>,
    pub(super) first: usize,
    pub(super) count: usize,
    /// The first word.
    pub(super) base: NonNull<AtomicU64<M>>,
}

impl<'a, M: Copy> WordSlice<'a, M> {
    /// # Safety
    ///
    /// W5: `area` has `count` words from `first` on.
    #[inline(always)]
    pub unsafe fn new(area: &'a WordArea<M>, first: usize, count: usize) -> Self {
        // SAFETY: W1, W5: the offset stays inside the mapping.
        let base = unsafe { area.base().add(first) };
        Self { area, first, count, base }
    }

    /// The word at `index`.
    #[inline(always)]
    pub fn word(self, index: usize) -> &'a AtomicU64<M> {
        #[cfg(all(test, not(loom)))]
        super::steps::count();
        assert!(index < self.count);
        #[cfg(loom)]
        return self.area.word(self.first + index);
        // SAFETY: W1, W5: the offset stays inside the mapping.
        #[cfg(not(loom))]
        let word = unsafe { self.base.add(index) };
        // SAFETY: W1, W2: an aligned word of the mapping, which lives as long as `area`.
        #[cfg(not(loom))]
        return unsafe { word.as_ref() };
    }

    /// The address of the first word.
    #[inline(always)]
    pub fn as_ptr(self) -> *const AtomicU64<M> {
        self.base.as_ptr()
    }

    /// `count` words of it from word `at` on.
    #[inline(always)]
    pub fn part(self, at: usize, count: usize) -> WordSlice<'a, M> {
        assert!(at <= self.count && count <= self.count - at);
        // SAFETY: W5: inside this one.
        unsafe { WordSlice::new(self.area, self.first + at, count) }
    }
}

impl WordSlice<'_> {
    /// Copies the words of `other`, as many, which others may be writing.
    pub fn copy_from<M: Copy>(self, other: WordSlice<'_, M>) {
        (0..self.count).for_each(|index| self.word(index).store(other.word(index).relaxed(), Relaxed));
    }
}

/// A copy that may be part one value, part another, until the caller knows better.
pub(crate) struct Torn<T>(pub(super) MaybeUninit<T>);

impl<T: FromBytes> Torn<T> {
    /// The value, once the caller has checked that the copy is whole.
    #[inline(always)]
    pub fn assume_whole(self) -> T {
        // SAFETY: only `WordSlice` makes one, with every byte initialised; `T: FromBytes` takes any.
        unsafe { self.0.assume_init() }
    }
}
