//! Copies of 2 KiB and more: see [`super::copy`] for what they must keep in order.
//!
//! `rep movsb` is the fastest where the processor advertises it (ERMS: Intel since 2012, AMD since Zen 3): 20 ns for 4 KiB
//! against 55 by moves of 16 bytes. Without ERMS it takes up to three times as long as moves of 32 bytes (AMD Zen 2;
//! docs/measurements.md, "Copying").

use core::arch::asm;

use super::copy::copy_by_pieces;

/// Copies [`LARGE`](super::copy::LARGE) bytes or more.
///
/// # Safety
///
/// As for [`super::copy::copy`].
#[inline(never)]
pub(super) unsafe fn copy_large(dst: *mut u8, src: *const u8, len: usize) {
    if is_x86_feature_detected!("ermsb") {
        // SAFETY: K1 is the caller's.
        unsafe { copy_by_rep(dst, src, len) };
    } else if is_x86_feature_detected!("avx") {
        // SAFETY: K1 is the caller's; the processor has AVX.
        unsafe { copy_by_avx(dst, src, len) };
    } else {
        // SAFETY: K1 is the caller's.
        unsafe { copy_by_pieces(dst, src, len) };
    }
}

/// Copies by the processor's own instruction for it.
///
/// # Safety
///
/// As for [`super::copy::copy`].
unsafe fn copy_by_rep(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: K1 is the caller's; the direction flag is clear in every Rust function.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") dst => _, inout("rsi") src => _,
            options(nostack, preserves_flags));
    }
}

/// Copies [`LARGE`](super::copy::LARGE) bytes or more, 32 at a time.
///
/// # Safety
///
/// As for [`super::copy::copy`], and the processor has AVX.
#[target_feature(enable = "avx")]
unsafe fn copy_by_avx(mut dst: *mut u8, mut src: *const u8, mut len: usize) {
    // A store that crosses a line takes twice as long.
    let odd = dst.align_offset(32);
    // SAFETY: K1, `odd < 32 <= len`.
    unsafe { copy_by_pieces(dst, src, odd) };
    (dst, src, len) = (dst.wrapping_add(odd), src.wrapping_add(odd), len - odd);
    // SAFETY: K1, `128 <= len` at each turn. `vzeroupper` changes all sixteen registers.
    unsafe {
        asm!(
            "2:",
            "vmovups ymm0, [{s}]", "vmovups ymm1, [{s} + 32]", "vmovups ymm2, [{s} + 64]", "vmovups ymm3, [{s} + 96]",
            "vmovaps [{d}], ymm0", "vmovaps [{d} + 32], ymm1", "vmovaps [{d} + 64], ymm2", "vmovaps [{d} + 96], ymm3",
            "add {s}, 128", "add {d}, 128", "sub {n}, 128", "cmp {n}, 128", "jae 2b",
            "vzeroupper",
            s = inout(reg) src, d = inout(reg) dst, n = inout(reg) len,
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _, out("ymm6") _,
            out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _, out("ymm12") _, out("ymm13") _,
            out("ymm14") _, out("ymm15") _, options(nostack));
    }
    // SAFETY: K1: what is left, fewer than 128 bytes.
    unsafe { copy_by_pieces(dst, src, len) };
}

#[cfg(test)]
mod tests {
    use super::super::copy::LARGE;
    use super::*;

    /// Each way, whichever this processor takes.
    #[test]
    fn every_way_copies_exactly_its_bytes() {
        let mut ways: Vec<unsafe fn(*mut u8, *const u8, usize)> = vec![copy_large, copy_by_rep];
        if is_x86_feature_detected!("avx") {
            ways.push(|dst, src, len| {
                // SAFETY: K1 is the caller's; the processor has AVX.
                unsafe { copy_by_avx(dst, src, len) }
            });
        }
        let src: Vec<u8> = (0..3000u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (LARGE..LARGE + 300).step_by(3) {
            for (from, to) in [(0, 0), (1, 8), (5, 3), (8, 17), (8, 31)] {
                for way in &ways {
                    let mut dst = vec![0xEE; to + len + 33];
                    // SAFETY: K1: both vectors are longer than offset and length together, and distinct.
                    unsafe { way(dst.as_mut_ptr().wrapping_add(to), src.as_ptr().wrapping_add(from), len) };
                    assert_eq!(dst[to..to + len], src[from..from + len], "{len} bytes from {from} to {to}");
                    assert!(dst[..to].iter().chain(&dst[to + len..]).all(|byte| *byte == 0xEE), "beyond {len} bytes");
                }
            }
        }
    }
}
