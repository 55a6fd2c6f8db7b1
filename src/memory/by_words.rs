//! Payload is copied by relaxed 8-byte words: on every processor but x86-64, and under loom.
//!
//! Under ThreadSanitizer, payload that publication must order is copied by plain accesses: the sanitizer reports them if
//! the ordering is missing. Payload that may be torn is copied by words there too.

use core::mem::MaybeUninit;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::area::uninit;
use super::slice::Torn;
use super::{WordArea, WordSlice};
use crate::layout::WORD;
use crate::sync::Ordering::Relaxed;

impl WordArea {
    /// Copies `src` to byte `at`.
    pub fn write(&self, at: usize, src: &[u8]) {
        #[cfg(loom)]
        self.ordered(at, src.len()).for_each(|word| word.with_mut(|_| ()));
        #[cfg(not(ringway_tsan))]
        self.write_words(at, src);
        #[cfg(ringway_tsan)]
        {
            let dst = self.address_mut(at, src.len());
            // SAFETY: W1: `address` checked the range; no peer of a sanitizer run is hostile.
            unsafe { core::ptr::copy_nonoverlapping(src.as_ptr(), dst, src.len()) }
        }
    }

    /// [`WordArea::write`]; the order within a copy does not matter here.
    pub fn write_down(&self, at: usize, src: &[u8]) {
        self.write(at, src);
    }

    /// A word that is written in part keeps its other bytes: the writer of a slot is its only one.
    fn write_words(&self, at: usize, mut src: &[u8]) {
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

impl<M> WordArea<M> {
    /// Copies `dst.len()` bytes from byte `at`. All of `dst` is initialised afterwards.
    pub fn read(&self, at: usize, dst: &mut [MaybeUninit<u8>]) {
        #[cfg(loom)]
        self.ordered(at, dst.len()).for_each(|word| word.with(|_| ()));
        #[cfg(not(ringway_tsan))]
        self.read_words(at, dst);
        #[cfg(ringway_tsan)]
        {
            let src = self.address(at, dst.len());
            // SAFETY: as in `write`.
            unsafe { core::ptr::copy_nonoverlapping(src, dst.as_mut_ptr().cast(), dst.len()) }
        }
    }

    fn read_words(&self, at: usize, mut dst: &mut [MaybeUninit<u8>]) {
        let (mut index, mut skip) = (at / WORD, at % WORD);
        while !dst.is_empty() {
            let count = dst.len().min(WORD - skip);
            let bytes = self.word(index).relaxed().to_ne_bytes().map(MaybeUninit::new);
            let (now, later) = dst.split_at_mut(count);
            now.copy_from_slice(&bytes[skip..skip + count]);
            (index, skip, dst) = (index + 1, 0, later);
        }
    }
}

impl<M> WordSlice<'_, M> {
    /// The byte of the area where `len` bytes at the front begin.
    fn byte_of(&self, len: usize) -> usize {
        assert!(len <= self.count * WORD);
        self.first * WORD
    }

    /// Copies the `T` at the front straight over `value`.
    pub fn read_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        self.area.read_bytes(self.byte_of(size_of::<T>()), value.as_mut_bytes());
    }

    /// [`WordSlice::read_into`] where the writer may be writing it: the caller finds out.
    pub fn read_torn_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        self.read_bytes_torn(value.as_mut_bytes());
    }

    /// [`WordSlice::read_torn_into`] of bytes.
    pub fn read_bytes_torn(self, bytes: &mut [u8]) {
        let at = self.byte_of(bytes.len());
        // SAFETY: W8: `read_words` writes only initialised bytes.
        self.area.read_words(at, unsafe { uninit(bytes) });
    }

    /// The `T` at the front, whatever bits are there.
    pub fn read<T: FromBytes>(self) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        self.area.read(self.byte_of(size_of::<T>()), as_bytes_mut(&mut value));
        Torn(value).assume_whole()
    }

    /// [`WordSlice::read`] where the writer may be writing it: the caller finds out.
    pub fn read_torn<T: FromBytes>(self) -> Torn<T> {
        let mut value = MaybeUninit::<T>::uninit();
        self.area.read_words(self.byte_of(size_of::<T>()), as_bytes_mut(&mut value));
        Torn(value)
    }
}

impl WordSlice<'_> {
    /// Copies a value to the front.
    pub fn write<T: IntoBytes + Immutable>(self, value: &T) {
        self.area.write(self.byte_of(size_of::<T>()), value.as_bytes());
    }

    /// [`WordSlice::write`] where a reader may be copying the same bytes: it will find out.
    pub fn write_torn<T: IntoBytes + Immutable>(self, value: &T) {
        self.write_bytes_torn(value.as_bytes());
    }

    /// [`WordSlice::write_torn`] of bytes.
    pub fn write_bytes_torn(self, bytes: &[u8]) {
        self.area.write_words(self.byte_of(bytes.len()), bytes);
    }
}

fn as_bytes_mut<T>(value: &mut MaybeUninit<T>) -> &mut [MaybeUninit<u8>] {
    let bytes = value.as_mut_ptr().cast();
    // SAFETY: `size_of::<T>()` bytes of `value`, exclusively borrowed; uninitialised bytes may be
    // anything.
    unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<T>()) }
}
