//! A ring's slots, one after the other.

use core::marker::PhantomData;

use super::{WordArea, WordSlice};
use crate::layout::slot_words;
use crate::sync::{AtomicU64, Writable};

/// How many words a slot has, its stamp included: known to the compiler ([`Of`]) or only at run time ([`Dynamic`]).
pub(crate) trait Stride: Copy + Send + Sync + 'static {
    fn words(self) -> usize;
}

/// The stride of slots for values of type `T`.
pub(crate) struct Of<T>(PhantomData<fn() -> T>);

impl<T> Of<T> {
    pub const STRIDE: Self = Self(PhantomData);
    pub const WORDS: usize = slot_words(size_of::<T>(), align_of::<T>()).expect("a type that fits the address space");
}

impl<T> Clone for Of<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Of<T> {}

impl<T: 'static> Stride for Of<T> {
    #[inline(always)]
    fn words(self) -> usize {
        Self::WORDS
    }
}

/// The stride that a header says.
#[derive(Clone, Copy)]
pub(crate) struct Dynamic(pub usize);

impl Stride for Dynamic {
    #[inline(always)]
    fn words(self) -> usize {
        self.0
    }
}

/// Slots of one length, named by the word they begin at. A slot's last word is its stamp.
#[derive(Clone)]
pub(crate) struct Slots<S, M = Writable> {
    area: WordArea<M>,
    /// How many there are.
    pub capacity: u64,
    /// Where the last slot begins. W7: `area` has `last + stride` words.
    last: usize,
    stride: S,
}

impl<S: Stride, M: Copy> Slots<S, M> {
    pub fn new(area: WordArea<M>, capacity: u64, stride: S) -> Self {
        let words = stride.words();
        let all = usize::try_from(capacity).ok().and_then(|count| count.checked_mul(words));
        assert!(capacity > 0 && words > 0 && all.is_some_and(|all| all <= area.len()));
        Self { area, capacity, last: (capacity as usize - 1) * words, stride }
    }

    /// Words of a slot.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.stride.words()
    }

    /// The words that they lie in.
    pub fn area(&self) -> &WordArea<M> {
        &self.area
    }

    /// Where the `index`th slot begins, counted round and round.
    pub fn offset(&self, index: u64) -> u64 {
        index % self.capacity * self.stride() as u64
    }

    /// The slot at `offset`.
    #[inline(always)]
    pub fn at(&self, offset: u64) -> WordSlice<'_, M> {
        assert!(offset <= self.last as u64);
        // SAFETY: W5: W7, and just checked.
        unsafe { WordSlice::new(&self.area, offset as usize, self.stride()) }
    }

    /// The stamp of the slot at `offset`.
    #[inline(always)]
    pub fn stamp(&self, offset: u64) -> &AtomicU64<M> {
        self.at(offset).word(self.stride() - 1)
    }

    /// Where the slot after the one at `offset` begins.
    #[inline(always)]
    pub fn after(&self, offset: u64) -> u64 {
        if offset == self.last as u64 { 0 } else { offset + self.stride() as u64 }
    }

    /// Where the slot `count` slots after the one at `offset` begins: no more than all of them.
    #[inline(always)]
    pub fn ahead(&self, offset: u64, count: usize) -> u64 {
        let next = offset + (count * self.stride()) as u64;
        if next > self.last as u64 { next - (self.last + self.stride()) as u64 } else { next }
    }

    /// The slots from the one at `offset` on that lie in a row, at most `count`, and how many they are.
    #[inline(always)]
    pub fn row(&self, offset: u64, count: usize) -> (WordSlice<'_, M>, usize) {
        assert!(offset <= self.last as u64);
        let count = count.min((self.last - offset as usize) / self.stride() + 1);
        // SAFETY: W5: W7; `count` slots from `offset` on end where the last one does, or before.
        (unsafe { WordSlice::new(&self.area, offset as usize, count * self.stride()) }, count)
    }

    /// The `count` slots from the one at `offset` on, no more than all of them: those that lie in a row, and those at the
    /// front of the ring.
    #[inline(always)]
    pub fn rows(&self, offset: u64, count: usize) -> [(WordSlice<'_, M>, usize); 2] {
        let first = self.row(offset, count);
        [first, self.row(0, count - first.1)]
    }

    /// Where the slot after `count` in a row from `offset` on begins.
    #[inline(always)]
    pub fn after_row(&self, offset: u64, count: usize) -> u64 {
        let next = offset + (count * self.stride()) as u64;
        if next > self.last as u64 { 0 } else { next }
    }
}
