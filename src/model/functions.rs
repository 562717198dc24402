//! Elementary functions from additions and multiplications: the same bits on every machine, and loops over them vectorise.
// The system's mathematical library differs between machines and takes one number at a time.

/// e^x and e^x - 1 in parts: 2^n and e^r - 1 with |r| <= ln 2 / 2, relative error about 1e-7.
#[inline]
fn exp_parts(x: f32) -> (f32, f32) {
    // Adding and taking away 1.5 * 2^23 rounds to an integer.
    const ROUNDER: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few bits, so that n times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = 1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)))));
    // The integer stands in the low bits of the shifted number.
    let scale = f32::from_bits((shifted.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127)) << 23);
    (scale, r + r * r * series)
}

/// e^x; below -87 what it is there (1.6e-38).
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    let (scale, rest) = exp_parts(x);
    scale + scale * rest
}

/// e^x - 1, exact to a few bits near 0 too.
#[inline]
pub(super) fn exp_m1(x: f32) -> f32 {
    let (scale, rest) = exp_parts(x);
    scale * rest + (scale - 1.0)
}

/// 1 / (1 + e^-x).
#[inline]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// ln(1 + e^x) without overflow.
#[inline]
pub(super) fn softplus(x: f32) -> f32 {
    // ln(1 + y) = 2 artanh(y / (2 + y)); y is at most 1, so the series ends early.
    let y = exp(-x.abs());
    let s = y / (2.0 + y);
    let square = s * s;
    let series = 1.0
        + square
            * (1.0 / 3.0
                + square * (1.0 / 5.0 + square * (1.0 / 7.0 + square * (1.0 / 9.0 + square * (1.0 / 11.0 + square * (1.0 / 13.0))))));
    x.max(0.0) + 2.0 * s * series
}
