//! Copying memory that another process may be writing, without a data race.
//!
//! The bytes may be torn; the protocols decide whether they may be believed. The copy is written in
//! assembly because the language has no name for it: to the compiler it is one opaque operation on
//! memory, not an access that may race. `movups` moves 16 bytes; from [`LARGE`] bytes on, [`super::copy_large`] is faster.
//!
//! # Order
//!
//! The protocols need this of a copy: as a whole, it stays behind every acquire before it, and before every release behind
//! it. Nobody may see the stamp, the header or the next `latest` before the payload (A1, B1, C1), nor a cell's payload
//! before its mark (C2), nor the head before the payload was read (A2, B2). Every copy into the region is followed by a
//! release store (for C2 a release fence stands before it as well). Every copy out of it is preceded by an acquire load (for
//! C2 an acquire fence stands behind it as well).
//!
//! - The compiler moves no access to memory across an `asm!` block that may read or write memory: these may, except the
//!   loads of [`load`], which are `readonly`, and which no store and no fence is moved across.
//! - The processor (x86-64, write-back memory) reorders no store with a later store, no load with a later load or
//!   store. From [`LARGE`] bytes on, A1, B1, C1 and C2 may rest on `rep movsb`, whose own stores may become visible in any order:
//!   but "string operations are not reordered with other stores", before or behind (Intel SDM, vol. 3A, 8.2.4, "Fast-String
//!   Operation and Out-of-Order Stores"; AMD APM, vol. 2, 7.1, "Single-Processor Memory Access Ordering" and
//!   "Multiprocessor Memory Access Ordering"). No protocol rests on the order within a copy.
//!
//! Elsewhere than on x86-64, and under loom, `memory/by_words.rs` copies by relaxed 8-byte words instead.

use core::arch::asm;
use core::arch::x86_64::__m128i;
use core::mem::MaybeUninit;

use zerocopy::{Immutable, IntoBytes};

use super::copy_large::copy_large;

/// From this many bytes on, [`copy_large`].
pub(super) const LARGE: usize = 2048;

/// Up to this many bytes, a value goes through registers.
pub(crate) const SMALL: usize = 128;

/// Copies `value` to `dst`.
///
/// A small one goes through registers in pieces of 8, from where it is now. As one operation from memory to memory,
/// it would first have to be in memory; and a load of 16 bytes that were stored in pieces of 8 just now cannot be
/// served by the store buffer: it waits until they, and every older store, have reached the cache, among them those
/// to a line that the other processor holds.
///
/// # Safety
///
/// K1, as for [`copy`], for `size_of::<T>()` bytes.
#[inline(always)]
pub(crate) unsafe fn store<T: IntoBytes + Immutable>(dst: *mut u8, value: &T) {
    let mut rest = value.as_bytes();
    let mut at = 0;
    if size_of::<T>() <= SMALL {
        while let Some((pieces, after)) = rest.split_first_chunk::<32>() {
            let [a, b, c, e] = zerocopy::transmute!(*pieces);
            let (a, b, c, e): (u64, u64, u64, u64) = (a, b, c, e);
            // SAFETY: K1, 32 bytes at `at` are within the value.
            unsafe {
                asm!("mov [{d}], {a}", "mov [{d} + 8], {b}", "mov [{d} + 16], {c}", "mov [{d} + 24], {e}",
                    d = in(reg) dst.wrapping_add(at), a = in(reg) a, b = in(reg) b, c = in(reg) c, e = in(reg) e,
                    options(nostack, preserves_flags));
            }
            (rest, at) = (after, at + 32);
        }
        while let Some((piece, after)) = rest.split_first_chunk() {
            let piece = u64::from_ne_bytes(*piece);
            // SAFETY: K1, 8 bytes at `at` are within the value.
            unsafe {
                asm!("mov [{d}], {p}", d = in(reg) dst.wrapping_add(at), p = in(reg) piece,
                    options(nostack, preserves_flags));
            }
            (rest, at) = (after, at + 8);
        }
    }
    // SAFETY: K1, for the rest of the value.
    unsafe { copy(dst.wrapping_add(at), rest.as_ptr(), rest.len()) };
}

/// [`store`] in pieces of 16.
///
/// # Safety
///
/// K1, as for [`copy`], for `size_of::<T>()` bytes.
#[inline(always)]
pub(crate) unsafe fn store_wide<T: IntoBytes + Immutable>(dst: *mut u8, value: &T) {
    let mut rest = value.as_bytes();
    let mut at = 0;
    if size_of::<T>() <= SMALL {
        while let Some((pieces, after)) = rest.split_first_chunk::<16>() {
            let [a, b]: [u64; 2] = zerocopy::transmute!(*pieces);
            // SAFETY: K1, 16 bytes at `at` are within the value.
            unsafe {
                asm!("movq {x}, {a}", "movq {y}, {b}", "punpcklqdq {x}, {y}", "movups [{d}], {x}",
                    d = in(reg) dst.wrapping_add(at), a = in(reg) a, b = in(reg) b,
                    x = out(xmm_reg) _, y = out(xmm_reg) _,
                    options(nostack, preserves_flags));
            }
            (rest, at) = (after, at + 16);
        }
    }
    // SAFETY: K1, for the rest of the value.
    unsafe { copy(dst.wrapping_add(at), rest.as_ptr(), rest.len()) };
}

/// The `T` at `src`, whose bytes may be torn.
///
/// A small one comes in registers, and the compiler puts it where it is wanted at once. From memory to memory, it
/// would be copied again on its way to the caller, each time after a wait for the copy before.
///
/// # Safety
///
/// K1, as for [`copy`], for `size_of::<T>()` bytes.
#[inline(always)]
pub(crate) unsafe fn load<T>(src: *const u8) -> MaybeUninit<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let (dst, len) = (value.as_mut_ptr().cast::<u8>(), size_of::<T>());
    let mut at = 0;
    if len <= SMALL {
        while len - at >= 64 {
            let (a, b, c, d): (__m128i, __m128i, __m128i, __m128i);
            // SAFETY: K1, `at + 64 <= len`.
            unsafe {
                asm!("movups {a}, [{s}]", "movups {b}, [{s} + 16]", "movups {c}, [{s} + 32]", "movups {d}, [{s} + 48]",
                    s = in(reg) src.wrapping_add(at),
                    a = out(xmm_reg) a, b = out(xmm_reg) b, c = out(xmm_reg) c, d = out(xmm_reg) d,
                    options(nostack, preserves_flags, readonly));
            }
            // SAFETY: 64 bytes of `value`, which is private.
            unsafe { dst.wrapping_add(at).cast::<[__m128i; 4]>().write_unaligned([a, b, c, d]) };
            at += 64;
        }
        while len - at >= 16 {
            let piece: __m128i;
            // SAFETY: K1, `at + 16 <= len`.
            unsafe {
                asm!("movups {p}, [{s}]", s = in(reg) src.wrapping_add(at), p = out(xmm_reg) piece,
                    options(nostack, preserves_flags, readonly));
            }
            // SAFETY: 16 bytes of `value`, which is private.
            unsafe { dst.wrapping_add(at).cast::<__m128i>().write_unaligned(piece) };
            at += 16;
        }
        while len - at >= 8 {
            let piece: u64;
            // SAFETY: K1, `at + 8 <= len`.
            unsafe {
                asm!("mov {p}, [{s}]", s = in(reg) src.wrapping_add(at), p = out(reg) piece,
                    options(nostack, preserves_flags, readonly));
            }
            // SAFETY: 8 bytes of `value`, which is private.
            unsafe { dst.wrapping_add(at).cast::<u64>().write_unaligned(piece) };
            at += 8;
        }
    }
    // SAFETY: K1, `at <= len`; `value` is private.
    unsafe { copy(dst.wrapping_add(at), src.wrapping_add(at), len - at) };
    value
}

/// [`copy`] from the end to the front, in pieces of 8 as [`store`] does: for short records, which were made just now.
///
/// # Safety
///
/// K1, as for [`copy`].
#[inline(always)]
pub(crate) unsafe fn copy_down(dst: *mut u8, src: *const u8, len: usize) {
    let mut at = len & !7;
    // SAFETY: K1: the last bytes, fewer than 8.
    unsafe { copy(dst.wrapping_add(at), src.wrapping_add(at), len - at) };
    // `at` counts for both addresses: two more registers would push the caller's words onto the stack.
    while at >= 32 {
        at -= 32;
        // SAFETY: K1, `at + 32 <= len`.
        unsafe {
            asm!("mov {a}, [{s} + {at} + 24]", "mov {b}, [{s} + {at} + 16]", "mov {c}, [{s} + {at} + 8]",
                "mov {e}, [{s} + {at}]", "mov [{d} + {at} + 24], {a}", "mov [{d} + {at} + 16], {b}",
                "mov [{d} + {at} + 8], {c}", "mov [{d} + {at}], {e}",
                s = in(reg) src, d = in(reg) dst, at = in(reg) at,
                a = out(reg) _, b = out(reg) _, c = out(reg) _, e = out(reg) _,
                options(nostack, preserves_flags));
        }
    }
    while at > 0 {
        at -= 8;
        // SAFETY: K1, `at + 8 <= len`.
        unsafe {
            asm!("mov {t}, [{s}]", "mov [{d}], {t}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), t = out(reg) _,
                options(nostack, preserves_flags));
        }
    }
}

/// Copies `len` bytes from `src` to `dst`.
///
/// # Safety
///
/// (K1) `src` is readable and `dst` writable for `len` bytes, and they do not overlap. Either may be
/// written by other processes meanwhile; neither may be behind a reference that forbids it.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
    if len >= LARGE {
        // SAFETY: K1 is the caller's.
        return unsafe { copy_large(dst, src, len) };
    }
    // SAFETY: K1 is the caller's.
    unsafe { copy_by_pieces(dst, src, len) };
}

/// Copies 64, 16, 8, 4 bytes and one at a time.
///
/// # Safety
///
/// As for [`copy`].
#[inline(always)]
pub(super) unsafe fn copy_by_pieces(mut dst: *mut u8, mut src: *const u8, mut len: usize) {
    // `len` counts what is left, so that one comparison tells whether there is another piece.
    while len >= 64 {
        // SAFETY: K1, `64 <= len`.
        unsafe {
            asm!(
                "movups {a}, [{s}]", "movups {b}, [{s} + 16]", "movups {c}, [{s} + 32]", "movups {e}, [{s} + 48]",
                "movups [{d}], {a}", "movups [{d} + 16], {b}", "movups [{d} + 32], {c}", "movups [{d} + 48], {e}",
                s = in(reg) src, d = in(reg) dst,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, e = out(xmm_reg) _,
                options(nostack, preserves_flags));
        }
        (dst, src, len) = (dst.wrapping_add(64), src.wrapping_add(64), len - 64);
    }
    while len >= 16 {
        // SAFETY: K1, `16 <= len`.
        unsafe {
            asm!("movups {a}, [{s}]", "movups [{d}], {a}",
                s = in(reg) src, d = in(reg) dst, a = out(xmm_reg) _, options(nostack, preserves_flags));
        }
        (dst, src, len) = (dst.wrapping_add(16), src.wrapping_add(16), len - 16);
    }
    if len >= 8 {
        // SAFETY: K1, `8 <= len`.
        unsafe {
            asm!("mov {t}, [{s}]", "mov [{d}], {t}",
                s = in(reg) src, d = in(reg) dst, t = out(reg) _, options(nostack, preserves_flags));
        }
        (dst, src, len) = (dst.wrapping_add(8), src.wrapping_add(8), len - 8);
    }
    if len >= 4 {
        // SAFETY: K1, `4 <= len`.
        unsafe {
            asm!("mov {t:e}, [{s}]", "mov [{d}], {t:e}",
                s = in(reg) src, d = in(reg) dst, t = out(reg) _, options(nostack, preserves_flags));
        }
        (dst, src, len) = (dst.wrapping_add(4), src.wrapping_add(4), len - 4);
    }
    while len > 0 {
        // SAFETY: K1, `len > 0`.
        unsafe {
            asm!("mov {t}, [{s}]", "mov [{d}], {t}",
                s = in(reg) src, d = in(reg) dst, t = out(reg_byte) _, options(nostack, preserves_flags));
        }
        (dst, src, len) = (dst.wrapping_add(1), src.wrapping_add(1), len - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_offset_copies_exactly_its_bytes() {
        let src: Vec<u8> = (0..3000u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (0..300).chain(2040..2060) {
            for offset in [0, 1, 5, 8] {
                let mut dst = vec![0xEE; len + 16];
                for copy in [copy, copy_down] {
                    dst.fill(0xEE);
                    // SAFETY: K1: both vectors are longer than `offset + len`, and distinct.
                    unsafe { copy(dst.as_mut_ptr().wrapping_add(offset), src.as_ptr().wrapping_add(offset), len) };
                    assert_eq!(dst[offset..offset + len], src[offset..offset + len], "len {len} offset {offset}");
                    assert!(dst[..offset].iter().chain(&dst[offset + len..]).all(|b| *b == 0xEE));
                }
            }
        }
    }
    fn there_and_back<const N: usize>() {
        let value: [u8; N] = core::array::from_fn(|i| (i * 7 + 1) as u8);
        for offset in [0, 1, 8] {
            let mut memory = vec![0xEE; N + 16];
            // SAFETY: K1: the vector is longer than `offset + N`.
            unsafe { store(memory.as_mut_ptr().wrapping_add(offset), &value) };
            assert_eq!(memory[offset..offset + N], value, "{N} bytes, offset {offset}");
            assert!(memory[..offset].iter().chain(&memory[offset + N..]).all(|b| *b == 0xEE));
            // SAFETY: K1, as above.
            let loaded = unsafe { load::<[u8; N]>(memory.as_ptr().wrapping_add(offset)) };
            // SAFETY: `load` initialised all of it.
            assert_eq!(unsafe { loaded.assume_init() }, value, "{N} bytes, offset {offset}");
        }
    }

    #[test]
    fn values_of_every_kind_of_size_come_back() {
        there_and_back::<1>();
        there_and_back::<7>();
        there_and_back::<8>();
        there_and_back::<15>();
        there_and_back::<16>();
        there_and_back::<24>();
        there_and_back::<63>();
        there_and_back::<64>();
        there_and_back::<95>();
        there_and_back::<127>();
        there_and_back::<128>();
        there_and_back::<129>();
        there_and_back::<1000>();
        there_and_back::<4096>();
    }
}
