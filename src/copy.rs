//! Copying memory that another process may be writing, without a data race.
//!
//! The bytes may be torn; the protocols decide whether they may be believed. The copy is written in
//! assembly because the language has no name for it: to the compiler it is one opaque operation on
//! memory, not an access that may race. `movups` moves 16 bytes; from [`REP`] bytes on, the
//! processor's own `rep movsb` is faster (measured: ARCHITECTURE.md, "Copying").
//!
//! Elsewhere than on x86-64, and under loom, [`crate::words`] copies by relaxed 8-byte words instead.

use core::arch::asm;

/// From this many bytes on, `rep movsb`.
const REP: usize = 2048;

/// Up to this many bytes, [`copy_fresh`] reads in pieces of 8.
const FRESH: usize = 128;

/// [`copy`] from memory that this thread is likely to have written just now, as one does with a message.
///
/// A load of 16 bytes that were stored in pieces of 8 cannot be served by the store buffer: it waits until
/// they, and every older store, have reached the cache, among them those to the line that the other
/// processor holds. Loads of 8 are served at once.
///
/// # Safety
///
/// C1, as for [`copy`].
#[inline(always)]
pub(crate) unsafe fn copy_fresh(dst: *mut u8, src: *const u8, len: usize) {
    if len > FRESH {
        // SAFETY: C1 is the caller's.
        unsafe { copy(dst, src, len) };
        return;
    }
    let mut at = 0;
    while len - at >= 16 {
        // SAFETY: C1, `at + 16 <= len`.
        unsafe {
            asm!("movq {a}, qword ptr [{s}]", "movhps {a}, qword ptr [{s} + 8]", "movups [{d}], {a}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), a = out(xmm_reg) _,
                options(nostack, preserves_flags));
        }
        at += 16;
    }
    // SAFETY: C1, `at <= len`.
    unsafe { copy(dst.wrapping_add(at), src.wrapping_add(at), len - at) };
}

/// Copies `len` bytes from `src` to `dst`.
///
/// # Safety
///
/// (C1) `src` is readable and `dst` writable for `len` bytes, and they do not overlap. Either may be
/// written by other processes meanwhile; neither may be behind a reference that forbids it.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) {
    if len >= REP {
        // SAFETY: C1 is the caller's; the direction flag is clear in every Rust function.
        unsafe {
            asm!("rep movsb", inout("rcx") len => _, inout("rdi") dst => _, inout("rsi") src => _,
                options(nostack, preserves_flags));
        }
        return;
    }
    let mut at = 0;
    while len - at >= 64 {
        // SAFETY: C1, `at + 64 <= len`.
        unsafe {
            asm!(
                "movups {a}, [{s}]", "movups {b}, [{s} + 16]", "movups {c}, [{s} + 32]", "movups {e}, [{s} + 48]",
                "movups [{d}], {a}", "movups [{d} + 16], {b}", "movups [{d} + 32], {c}", "movups [{d} + 48], {e}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at),
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, e = out(xmm_reg) _,
                options(nostack, preserves_flags));
        }
        at += 64;
    }
    while len - at >= 16 {
        // SAFETY: C1, `at + 16 <= len`.
        unsafe {
            asm!("movups {a}, [{s}]", "movups [{d}], {a}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), a = out(xmm_reg) _,
                options(nostack, preserves_flags));
        }
        at += 16;
    }
    if len - at >= 8 {
        // SAFETY: C1, `at + 8 <= len`.
        unsafe {
            asm!("mov {t}, [{s}]", "mov [{d}], {t}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), t = out(reg) _,
                options(nostack, preserves_flags));
        }
        at += 8;
    }
    if len - at >= 4 {
        // SAFETY: C1, `at + 4 <= len`.
        unsafe {
            asm!("mov {t:e}, [{s}]", "mov [{d}], {t:e}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), t = out(reg) _,
                options(nostack, preserves_flags));
        }
        at += 4;
    }
    while len - at >= 1 {
        // SAFETY: C1, `at + 1 <= len`.
        unsafe {
            asm!("mov {t}, [{s}]", "mov [{d}], {t}",
                s = in(reg) src.wrapping_add(at), d = in(reg) dst.wrapping_add(at), t = out(reg_byte) _,
                options(nostack, preserves_flags));
        }
        at += 1;
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
                for copy in [copy, copy_fresh] {
                    dst.fill(0xEE);
                    // SAFETY: C1: both vectors are longer than `offset + len`, and distinct.
                    unsafe { copy(dst.as_mut_ptr().wrapping_add(offset), src.as_ptr().wrapping_add(offset), len) };
                    assert_eq!(dst[offset..offset + len], src[offset..offset + len], "len {len} offset {offset}");
                    assert!(dst[..offset].iter().chain(&dst[offset + len..]).all(|b| *b == 0xEE));
                }
            }
        }
    }
}
