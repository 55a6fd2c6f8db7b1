//! A seqlock's cells, one after the other.

use core::marker::PhantomData;

use super::{WordArea, WordSlice};
use crate::layout::{WORD, cell_words};
use crate::sync::Writable;

/// How large a cell is: known to the compiler ([`CellOf`]) or only at run time ([`DynamicCell`]).
pub(crate) trait CellShape: Copy + Send + Sync + 'static {
    /// Words from one cell to the next.
    fn words(self) -> usize;
    /// Bytes of a value.
    fn size(self) -> usize;

    /// The word of a cell's mark, which stands behind the value.
    #[inline(always)]
    fn mark(self) -> usize {
        self.size().div_ceil(WORD)
    }
}

/// The shape of cells for values of type `T`.
pub(crate) struct CellOf<T>(PhantomData<fn() -> T>);

impl<T> CellOf<T> {
    pub const SHAPE: Self = Self(PhantomData);
    const WORDS: usize = cell_words(size_of::<T>(), align_of::<T>()).expect("a type that fits the address space");
}

impl<T> Clone for CellOf<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CellOf<T> {}

impl<T: 'static> CellShape for CellOf<T> {
    #[inline(always)]
    fn words(self) -> usize {
        Self::WORDS
    }

    #[inline(always)]
    fn size(self) -> usize {
        size_of::<T>()
    }
}

/// The shape that a header says.
#[derive(Clone, Copy)]
pub(crate) struct DynamicCell {
    pub words: usize,
    pub size: usize,
}

impl CellShape for DynamicCell {
    fn words(self) -> usize {
        self.words
    }

    fn size(self) -> usize {
        self.size
    }
}

/// Cells of one length, one after the other: a power of two of them.
#[derive(Clone)]
pub(crate) struct CellArray<S, M = Writable> {
    area: WordArea<M>,
    /// W6: `area` has `(mask + 1) * shape.words()` words.
    mask: usize,
    shape: S,
}

impl<S: CellShape, M: Copy> CellArray<S, M> {
    pub fn new(area: WordArea<M>, count: u64, shape: S) -> Self {
        let all = usize::try_from(count).ok().and_then(|count| count.checked_mul(shape.words()));
        assert!(count.is_power_of_two() && all.is_some_and(|all| all <= area.len()) && shape.mark() < shape.words());
        Self { area, mask: count as usize - 1, shape }
    }

    pub fn shape(&self) -> S {
        self.shape
    }

    /// The cell at `index`, counted round and round.
    #[inline(always)]
    pub fn at(&self, index: u64) -> WordSlice<'_, M> {
        let words = self.shape.words();
        // SAFETY: W5: W6.
        unsafe { WordSlice::new(&self.area, (index as usize & self.mask) * words, words) }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.mask as u64 + 1
    }

    #[cfg(all(test, not(loom)))]
    pub fn fewer(self, count: u64) -> Self {
        Self::new(self.area, count, self.shape)
    }
}
