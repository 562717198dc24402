//! Tests of the probes: tiny hand-made numbers, identities, and statistics whose answer is known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod card;
mod evaluate;
mod logistic;
mod matrix_free;
mod ridge;
mod split;
mod uncertainty;

use ndarray::Array2;
use pentimento_probes::ProbeError;
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

type Outcome = Result<(), ProbeError>;

/// Standard normal numbers (sum of twelve uniforms), the same for the same seed.
fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0)
}

#[track_caller]
fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs())), "{a} is not {b}");
}
