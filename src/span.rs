//! Some words of shared memory in a row: checked once, then used word by word and value by value.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
#[cfg(not(loom))]
use core::ptr::NonNull;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::layout::{WORD, cell_words, slot_words};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, Writable};
use crate::words::Words;

/// Words in a row.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a, M = Writable> {
    words: &'a Words<M>,
    first: usize,
    count: usize,
    /// The first word.
    #[cfg(not(loom))]
    base: NonNull<AtomicU64<M>>,
}

impl<'a, M: Copy> Span<'a, M> {
    /// # Safety
    ///
    /// (W5) `words` has `count` words from `first` on.
    #[inline(always)]
    pub unsafe fn new(words: &'a Words<M>, first: usize, count: usize) -> Self {
        Self {
            words,
            first,
            count,
            // SAFETY: W1, W5: the offset stays inside the mapping.
            #[cfg(not(loom))]
            base: unsafe { words.base().add(first) },
        }
    }

    /// The word at `index`.
    #[inline(always)]
    pub fn word(self, index: usize) -> &'a AtomicU64<M> {
        #[cfg(all(test, not(loom)))]
        crate::words::steps::count();
        assert!(index < self.count);
        #[cfg(loom)]
        return self.words.word(self.first + index);
        // SAFETY: W1, W5: the offset stays inside the mapping.
        #[cfg(not(loom))]
        let word = unsafe { self.base.add(index) };
        // SAFETY: W1, W2: an aligned word of the mapping, which lives as long as `words`.
        #[cfg(not(loom))]
        return unsafe { word.as_ref() };
    }

    /// `count` words of it from word `at` on.
    #[inline(always)]
    pub fn part(self, at: usize, count: usize) -> Span<'a, M> {
        assert!(at <= self.count && count <= self.count - at);
        // SAFETY: W5: inside this one.
        unsafe { Span::new(self.words, self.first + at, count) }
    }
}

impl Span<'_> {
    /// Copies the words of `other`, as many, which others may be writing.
    pub fn copy_from<M: Copy>(self, other: Span<'_, M>) {
        (0..self.count).for_each(|index| self.word(index).store(other.word(index).relaxed(), Relaxed));
    }
}

#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
impl Span<'_> {
    /// The address of a `T` at the front, to be written.
    #[inline(always)]
    fn address_mut<T>(self) -> *mut u8 {
        self.address::<T>().cast_mut()
    }

    /// Copies a value to the front.
    #[inline(always)]
    pub fn write<T: IntoBytes + Immutable>(self, value: &T) {
        let dst = self.address_mut::<T>();
        // SAFETY: C1: `address` checked the range (W1, W3, W5); `value` is private memory.
        unsafe { crate::copy::store(dst, value) }
    }

    /// [`Span::write`] where a reader may be copying the same bytes: it will find out.
    #[inline(always)]
    pub fn write_torn<T: IntoBytes + Immutable>(self, value: &T) {
        let dst = self.address_mut::<T>();
        // SAFETY: C1: `address` checked the range (W1, W3, W5); `value` is private memory.
        unsafe { crate::copy::store_wide(dst, value) }
    }
}

#[cfg(all(target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
impl<M: Copy> Span<'_, M> {
    /// The address of a `T` at the front.
    #[inline(always)]
    fn address<T>(self) -> *const u8 {
        #[cfg(test)]
        crate::words::steps::count();
        assert!(size_of::<T>() <= self.count * WORD);
        self.base.as_ptr().cast()
    }

    /// The `T` at the front, whatever bits are there.
    #[inline(always)]
    pub fn read<T: FromBytes>(self) -> T {
        self.read_torn().believe()
    }

    /// Copies the `T` at the front straight over `value`: no other of it is made on the way.
    #[inline(always)]
    pub fn read_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        if size_of::<T>() <= crate::copy::SMALL {
            self.read_small_into(value);
        } else {
            self.read_torn_into(value);
        }
    }

    /// Through registers. Apart, so that a debug build has no `T` on the stack where it is not used.
    #[inline]
    fn read_small_into<T: FromBytes>(self, value: &mut T) {
        *value = self.read();
    }

    /// [`Span::read_into`] where the writer may be writing it: the caller finds out.
    #[inline(always)]
    pub fn read_torn_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        let (src, bytes) = (self.address::<T>(), value.as_mut_bytes());
        // SAFETY: C1: `address` checked the range (W1, W5); `value` is private memory, and may hold any bytes.
        unsafe { crate::copy::copy(bytes.as_mut_ptr(), src, bytes.len()) }
    }

    /// [`Span::read`] where the writer may be writing it: the caller finds out.
    #[inline(always)]
    pub fn read_torn<T: FromBytes>(self) -> Torn<T> {
        let src = self.address::<T>();
        // SAFETY: C1: `address` checked the range (W1, W5).
        Torn(unsafe { crate::copy::load(src) })
    }
}

#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
impl<M> Span<'_, M> {
    /// The byte of `words` where a `T` at the front begins.
    fn byte_of<T>(&self) -> usize {
        assert!(size_of::<T>() <= self.count * WORD);
        self.first * WORD
    }
}

/// Values are copied like any bytes, by what [`Words`] does elsewhere than on x86-64.
#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
impl Span<'_> {
    pub fn write<T: IntoBytes + Immutable>(self, value: &T) {
        self.words.write(self.byte_of::<T>(), value.as_bytes());
    }

    pub fn write_torn<T: IntoBytes + Immutable>(self, value: &T) {
        self.words.write_words(self.byte_of::<T>(), value.as_bytes());
    }
}

#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
impl<M> Span<'_, M> {
    pub fn read_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        self.words.read_bytes(self.byte_of::<T>(), value.as_mut_bytes());
    }

    pub fn read_torn_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        // SAFETY: W8: `read_words` writes only initialised bytes.
        let bytes = unsafe { crate::words::uninit(value.as_mut_bytes()) };
        self.words.read_words(self.byte_of::<T>(), bytes);
    }

    pub fn read<T: FromBytes>(self) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        self.words.read(self.byte_of::<T>(), as_bytes_mut(&mut value));
        Torn(value).believe()
    }

    pub fn read_torn<T: FromBytes>(self) -> Torn<T> {
        let mut value = MaybeUninit::<T>::uninit();
        self.words.read_words(self.byte_of::<T>(), as_bytes_mut(&mut value));
        Torn(value)
    }
}

#[cfg(any(loom, ringway_tsan, ringway_portable, not(target_arch = "x86_64")))]
fn as_bytes_mut<T>(value: &mut MaybeUninit<T>) -> &mut [MaybeUninit<u8>] {
    let bytes = value.as_mut_ptr().cast();
    // SAFETY: `size_of::<T>()` bytes of `value`, exclusively borrowed; uninitialised bytes may be
    // anything.
    unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<T>()) }
}

/// A copy that may be part one value, part another, until the caller knows better.
pub(crate) struct Torn<T>(MaybeUninit<T>);

impl<T: FromBytes> Torn<T> {
    /// The value, once it was checked to be one.
    #[inline(always)]
    pub fn believe(self) -> T {
        // SAFETY: only `Span` makes one, with every byte initialised; `T: FromBytes` takes any.
        unsafe { self.0.assume_init() }
    }
}

/// Spans of one length, [`cell_words`] of a `T`, one after the other: a power of two of them.
pub(crate) struct Spans<T, M = Writable> {
    words: Words<M>,
    /// W6: `words` has `(mask + 1) * LEN` words.
    mask: usize,
    of: PhantomData<fn() -> T>,
}

impl<T, M> Clone for Spans<T, M> {
    fn clone(&self) -> Self {
        Self { words: self.words.clone(), mask: self.mask, of: PhantomData }
    }
}

impl<T, M: Copy> Spans<T, M> {
    const LEN: usize = cell_words(size_of::<T>(), align_of::<T>()).expect("a type that fits the address space");

    pub fn new(words: Words<M>, count: u64) -> Self {
        let all = usize::try_from(count).ok().and_then(|count| count.checked_mul(Self::LEN));
        assert!(count.is_power_of_two() && all.is_some_and(|all| all <= words.len()));
        Self { words, mask: count as usize - 1, of: PhantomData }
    }

    /// The span at `index`, counted round and round.
    #[inline(always)]
    pub fn at(&self, index: u64) -> Span<'_, M> {
        // SAFETY: W5: W6.
        unsafe { Span::new(&self.words, (index as usize & self.mask) * Self::LEN, Self::LEN) }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.mask as u64 + 1
    }

    #[cfg(all(test, not(loom)))]
    pub fn fewer(self, count: u64) -> Self {
        Self::new(self.words, count)
    }
}

/// Slots of one length, [`slot_words`] of a `T`, one after the other, by the word they begin at.
pub(crate) struct Slots<T> {
    words: Words,
    /// Where the last slot begins. W7: `words` has `last + LEN` words.
    last: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { words: self.words.clone(), last: self.last, of: PhantomData }
    }
}

impl<T> Slots<T> {
    pub const LEN: usize = slot_words(size_of::<T>(), align_of::<T>()).expect("a type that fits the address space");

    pub fn new(words: Words, count: u64) -> Self {
        let all = usize::try_from(count).ok().and_then(|count| count.checked_mul(Self::LEN));
        assert!(count > 0 && all.is_some_and(|all| all <= words.len()));
        Self { words, last: (count as usize - 1) * Self::LEN, of: PhantomData }
    }

    /// The slot at `offset`.
    #[inline(always)]
    pub fn at(&self, offset: u64) -> Span<'_> {
        assert!(offset <= self.last as u64);
        // SAFETY: W5: W7, and just checked.
        unsafe { Span::new(&self.words, offset as usize, Self::LEN) }
    }

    /// Where the slot after the one at `offset` begins.
    #[inline(always)]
    pub fn after(&self, offset: u64) -> u64 {
        if offset == self.last as u64 { 0 } else { offset + Self::LEN as u64 }
    }

    /// The slots from the one at `offset` on that lie in a row, at most `count`, and how many they are.
    #[inline(always)]
    pub fn row(&self, offset: u64, count: usize) -> (Span<'_>, usize) {
        assert!(offset <= self.last as u64);
        let count = count.min((self.last - offset as usize) / Self::LEN + 1);
        // SAFETY: W5: W7; `count` slots from `offset` on end where the last one does, or before.
        (unsafe { Span::new(&self.words, offset as usize, count * Self::LEN) }, count)
    }

    /// Where the slot after `count` in a row from `offset` on begins.
    #[inline(always)]
    pub fn after_row(&self, offset: u64, count: usize) -> u64 {
        let next = offset + (count * Self::LEN) as u64;
        if next > self.last as u64 { 0 } else { next }
    }
}
