//! The sixteen lanes on x86-64: one AVX-512 register, or two of AVX2.

#![expect(clippy::inline_always, reason = "a kernel is compiled for an instruction set only where it is inlined into `Lanes::enter`")]
// SAFETY (whole file): `Lanes` asks its callers for the instruction set and for valid pointers; nothing else is unsafe here.

use std::arch::x86_64::{
    __m256, __m512, _mm_sfence, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps,
    _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps, _mm256_unpackhi_pd,
    _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps,
    _mm512_stream_ps, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use super::lanes::{LANES, Lanes, Routine};

/// One 512-bit register.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// Two 256-bit registers.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

/// Orders streamed stores before whatever other threads are told next.
pub(super) fn fence() {
    // SAFETY: every x86-64 machine has SSE.
    unsafe { _mm_sfence() }
}

impl Lanes for Avx512 {
    #[target_feature(enable = "avx512f")]
    unsafe fn enter<R: Routine>(routine: R) {
        unsafe { routine.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe { _mm512_stream_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn mul(self, factor: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, factor.0) })
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn sums(rows: &[Self; LANES]) -> Self {
        unsafe {
            let [x, y, z, w] = [
                quarters_512(rows[0].0, rows[1].0, rows[2].0, rows[3].0),
                quarters_512(rows[4].0, rows[5].0, rows[6].0, rows[7].0),
                quarters_512(rows[8].0, rows[9].0, rows[10].0, rows[11].0),
                quarters_512(rows[12].0, rows[13].0, rows[14].0, rows[15].0),
            ];
            let xy = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y));
            let zw = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(z, w), _mm512_shuffle_f32x4::<0xdd>(z, w));
            Self(_mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(xy, zw), _mm512_shuffle_f32x4::<0xdd>(xy, zw)))
        }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(mask(count), from) })
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(to, mask(count), self.0) }
    }
}

/// Quarter q of the result holds the sums over quarter q of each of four rows.
#[inline(always)]
unsafe fn quarters_512(a: __m512, b: __m512, c: __m512, d: __m512) -> __m512 {
    unsafe {
        let ab = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
        let cd = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)))
    }
}

/// The same for half rows.
#[inline(always)]
unsafe fn quarters_256(a: __m256, b: __m256, c: __m256, d: __m256) -> __m256 {
    unsafe {
        let ab = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)));
        let cd = _mm256_castps_pd(_mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)));
        _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)), _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)))
    }
}

/// The first `count` of sixteen lanes.
#[inline(always)]
fn mask(count: usize) -> u16 {
    if count >= LANES { u16::MAX } else { (1 << count) - 1 }
}

impl Lanes for Avx2 {
    #[target_feature(enable = "avx2,fma")]
    unsafe fn enter<R: Routine>(routine: R) {
        unsafe { routine.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        unsafe {
            _mm256_stream_ps(to, self.0);
            _mm256_stream_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn mul(self, factor: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, factor.0), _mm256_mul_ps(self.1, factor.1)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, addend.0), _mm256_fmadd_ps(self.1, factor.1, addend.1)) }
    }

    #[inline(always)]
    unsafe fn sums(rows: &[Self; LANES]) -> Self {
        unsafe {
            let mut sums = [_mm256_setzero_ps(); 2];
            for (half, sum) in sums.iter_mut().enumerate() {
                let r = &rows[8 * half..8 * half + 8];
                let (x_low, x_high) = (quarters_256(r[0].0, r[1].0, r[2].0, r[3].0), quarters_256(r[0].1, r[1].1, r[2].1, r[3].1));
                let (y_low, y_high) = (quarters_256(r[4].0, r[5].0, r[6].0, r[7].0), quarters_256(r[4].1, r[5].1, r[6].1, r[7].1));
                let low = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x_low, y_low), _mm256_permute2f128_ps::<0x31>(x_low, y_low));
                let high = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x_high, y_high), _mm256_permute2f128_ps::<0x31>(x_high, y_high));
                *sum = _mm256_add_ps(low, high);
            }
            Self(sums[0], sums[1])
        }
    }
}
