//! Tests of the probes: tiny hand-made numbers, identities, and statistics whose answer is known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod card;
mod erasure;
mod evaluate;
mod information;
mod logistic;
mod matrix_free;
mod ridge;
mod split;
mod uncertainty;

use ndarray::Array2;
use pentimento_probes::{ProbeError, Targets};
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

/// `n` samples in groups of two whose class is written in their features.
fn planted(n: usize, d: usize, n_classes: usize, strength: f64, seed: u64) -> (Array2<f64>, Targets, Vec<u64>) {
    let mut features = normal(n, d, seed);
    let draws = normal(n, 1, seed.wrapping_add(77));
    let labels: Vec<usize> = draws.iter().map(|draw| ((draw.abs() * 1e6) as usize) % n_classes).collect();
    let directions = normal(n_classes, d, seed.wrapping_add(78));
    for (sample, &label) in labels.iter().enumerate() {
        features.row_mut(sample).scaled_add(strength, &directions.row(label));
    }
    (features, Targets::Classes { labels, n_classes }, (0..n as u64).map(|sample| sample / 2).collect())
}
