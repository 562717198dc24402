//! Measures: hand-made numbers, known laws, and the controls doing their work.

mod statistics;
mod allocation;
mod alignment;
mod recall;
mod cleanup;
mod collateral;
mod effect;
mod spectrum;
mod sources;
mod behaviour;
mod capacity;
mod fate;
mod targeting;
mod explained;
mod looks;
mod head_views;

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, ArrayD, Axis};
use pentimento::measure::{
    Address, Alignment, AlignmentOptions, AllocationOptions, Bins, Bootstrap, Cleanup, CleanupOptions, Collateral, CollateralOptions,
    DecayAxis, HeadShuffle, Interval, MeasureError, Null, RecallOptions, ShareOf, SpectrumOptions, StatisticsOptions, Strength, Trajectory,
    alignment, allocation, cleanup, collateral, effective_rank, pearson, permute_heads, quantile, random_absolute_cosine, ranks, recall,
    sign_flip, singular_values, spearman, spectrum, stable_rank, symmetric_eigenvalues,
};
use pentimento::memory::{Dims, Factors, HookPoint, Rule};
use pentimento::task::random;
use rand::RngExt;

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-5, "found {found}, wanted {wanted}");
}

/// Few resamples: enough for what the tests ask.
fn quick() -> StatisticsOptions {
    StatisticsOptions { resamples: 400, permutations: 1000, ..StatisticsOptions::default() }
}

fn normal(stream: &mut impl rand::Rng) -> f64 {
    (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt() * (std::f64::consts::TAU * stream.random::<f64>()).cos()
}

/// Factors of random directions and values; retention 0.9 (1 for rules without decay), every strength 0.5.
fn factors(rule: Rule, dims: Dims, seed: u64) -> Factors<f32> {
    let mut stream = random::stream(seed, "tests/measure", 0);
    let mut arrays = BTreeMap::new();
    for point in rule.factors() {
        let constant = |value: f32| ArrayD::from_elem(point.shape(&dims), value);
        let array = match point {
            HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection => {
                let mut array = ArrayD::from_shape_fn(point.shape(&dims), |_| normal(&mut stream) as f32);
                for mut lane in array.lanes_mut(Axis(3)) {
                    let norm = lane.dot(&lane).sqrt();
                    lane.mapv_inplace(|x| x / norm);
                }
                array
            }
            HookPoint::Value(_) => ArrayD::from_shape_fn(point.shape(&dims), |_| normal(&mut stream) as f32),
            HookPoint::Retention => constant(if matches!(rule, Rule::LinearAttention | Rule::DeltaNet) { 1.0 } else { 0.9 }),
            _ => constant(0.5),
        };
        arrays.insert(point, array);
    }
    Factors::new(rule, arrays, None).unwrap()
}

const SMALL: Dims = Dims { batch: 3, step: 12, key_head: 2, head: 4, d_k: 8, d_v: 6 };

/// Retention [batch, step, head] on every channel.
fn retention(dims: Dims, value: impl Fn(usize, usize, usize) -> f64) -> ArrayD<f32> {
    Array4::from_shape_fn((dims.batch, dims.step, dims.head, dims.d_k), |(b, t, h, _)| value(b, t, h) as f32).into_dyn()
}

fn strength(dims: Dims, value: impl Fn(usize, usize, usize) -> f64) -> ArrayD<f32> {
    Array3::from_shape_fn((dims.batch, dims.step, dims.head), |(b, t, h)| value(b, t, h) as f32).into_dyn()
}
