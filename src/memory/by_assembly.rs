//! Payload is copied by assembly (x86-64).

use core::mem::MaybeUninit;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::copy::{self, SMALL};
use super::slice::Torn;
use super::{WordArea, WordSlice};
use crate::layout::WORD;

impl WordArea {
    /// Copies `src` to byte `at`.
    #[inline(always)]
    pub fn write(&self, at: usize, src: &[u8]) {
        let dst = self.address_mut(at, src.len());
        // SAFETY: K1: `address` checked the range (W1, W3); `src` is private memory.
        unsafe { copy::copy(dst, src.as_ptr(), src.len()) }
    }

    /// [`WordArea::write`] from the last byte to the first.
    #[inline(always)]
    pub fn write_down(&self, at: usize, src: &[u8]) {
        let dst = self.address_mut(at, src.len());
        // SAFETY: K1: `address` checked the range (W1, W3); `src` is private memory.
        unsafe { copy::copy_down(dst, src.as_ptr(), src.len()) }
    }
}

impl<M> WordArea<M> {
    /// Copies `dst.len()` bytes from byte `at`. All of `dst` is initialised afterwards.
    #[inline(always)]
    pub fn read(&self, at: usize, dst: &mut [MaybeUninit<u8>]) {
        let src = self.address(at, dst.len());
        // SAFETY: K1: `address` checked the range (W1); `dst` is private memory.
        unsafe { copy::copy(dst.as_mut_ptr().cast(), src, dst.len()) }
    }
}

impl WordSlice<'_> {
    /// The address of the front, where `len` bytes may be written.
    #[inline(always)]
    fn address_mut(self, len: usize) -> *mut u8 {
        self.address(len).cast_mut()
    }

    /// Copies a value to the front.
    #[inline(always)]
    pub fn write<T: IntoBytes + Immutable>(self, value: &T) {
        let dst = self.address_mut(size_of::<T>());
        // SAFETY: K1: `address` checked the range (W1, W3, W5); `value` is private memory.
        unsafe { copy::store(dst, value) }
    }

    /// [`WordSlice::write`] where a reader may be copying the same bytes: it will find out.
    #[inline(always)]
    pub fn write_torn<T: IntoBytes + Immutable>(self, value: &T) {
        let dst = self.address_mut(size_of::<T>());
        // SAFETY: K1: `address` checked the range (W1, W3, W5); `value` is private memory.
        unsafe { copy::store_wide(dst, value) }
    }

    /// [`WordSlice::write_torn`] of bytes.
    pub fn write_bytes_torn(self, bytes: &[u8]) {
        let dst = self.address_mut(bytes.len());
        // SAFETY: K1: `address` checked the range (W1, W3, W5); `bytes` is private memory.
        unsafe { copy::copy(dst, bytes.as_ptr(), bytes.len()) }
    }
}

impl<M: Copy> WordSlice<'_, M> {
    /// The address of the front, of which `len` bytes may be touched.
    #[inline(always)]
    fn address(self, len: usize) -> *const u8 {
        #[cfg(test)]
        super::steps::count();
        assert!(len <= self.count * WORD);
        self.base.as_ptr().cast()
    }

    /// The `T` at the front, whatever bits are there.
    #[inline(always)]
    pub fn read<T: FromBytes>(self) -> T {
        self.read_torn().assume_whole()
    }

    /// Copies the `T` at the front straight over `value`: no other of it is made on the way.
    #[inline(always)]
    pub fn read_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        if size_of::<T>() <= SMALL {
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

    /// [`WordSlice::read_into`] where the writer may be writing it: the caller finds out.
    #[inline(always)]
    pub fn read_torn_into<T: FromBytes + IntoBytes>(self, value: &mut T) {
        self.read_bytes_torn(value.as_mut_bytes());
    }

    /// [`WordSlice::read_torn_into`] of bytes.
    #[inline(always)]
    pub fn read_bytes_torn(self, bytes: &mut [u8]) {
        let src = self.address(bytes.len());
        // SAFETY: K1: `address` checked the range (W1, W5); `bytes` is private memory.
        unsafe { copy::copy(bytes.as_mut_ptr(), src, bytes.len()) }
    }

    /// [`WordSlice::read`] where the writer may be writing it: the caller finds out.
    #[inline(always)]
    pub fn read_torn<T: FromBytes>(self) -> Torn<T> {
        let src = self.address(size_of::<T>());
        // SAFETY: K1: `address` checked the range (W1, W5).
        Torn(unsafe { copy::load(src) })
    }
}
