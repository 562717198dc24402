//! Factors of an erase that is not the model's: other addresses, other strengths, everything else as it was.

use ndarray::{Array4, ArrayD, Axis, s};
use rand::{Rng, RngExt};

use super::HeadShuffle;
use super::permutation::shuffle;
use crate::memory::{Factors, HookPoint, Rule};

/// The same step sequence with other erase directions, [batch, step, key_head, d_k].
pub(super) fn with_addresses(factors: &Factors<f32>, directions: Array4<f32>) -> Factors<f32> {
    factors.with(HookPoint::EraseDirection, directions.into_dyn()).expect("the directions have the shape of those they replace")
}

/// Random unit vectors, one per token and key head.
pub(super) fn random_addresses(factors: &Factors<f32>, stream: &mut impl Rng) -> Array4<f32> {
    let dims = factors.dims();
    let mut directions = Array4::zeros((dims.batch, dims.step, dims.key_head, dims.d_k));
    for mut lane in directions.lanes_mut(Axis(3)) {
        let normals: Vec<f64> = (0..dims.d_k).map(|_| normal(stream)).collect();
        let norm = normals.iter().map(|x| x * x).sum::<f64>().sqrt();
        lane.iter_mut().zip(normals).for_each(|(to, x)| *to = (x / norm) as f32);
    }
    directions
}

/// The learned directions exchanged between key heads at every token; `None` with one key head.
pub(super) fn shuffled_addresses(factors: &Factors<f32>, how: HeadShuffle, stream: &mut impl Rng) -> Option<Array4<f32>> {
    let n_heads = factors.dims().key_head;
    if n_heads < 2 {
        return None;
    }
    let learned = factors.channels(HookPoint::EraseDirection);
    let mut directions = Array4::zeros(learned.dim());
    for (batch, step) in ndarray::indices((factors.dims().batch, factors.dims().step)) {
        let mut order: Vec<usize> = (0..n_heads).collect();
        match how {
            HeadShuffle::Permutation => shuffle(&mut order, stream),
            HeadShuffle::Rotation => order.rotate_left(stream.random_range(1..n_heads)),
        }
        for (head, other) in order.into_iter().enumerate() {
            directions.slice_mut(s![batch, step, head, ..]).assign(&learned.slice(s![batch, step, other, ..]));
        }
    }
    Some(directions)
}

/// gamma shuffled over the tokens of each head and sequence.
pub(super) fn shuffled_strength(factors: &Factors<f32>, stream: &mut impl Rng) -> Factors<f32> {
    let learned = &factors.arrays()[&strength_of(factors.rule())];
    let mut shuffled = learned.to_owned();
    let dims = factors.dims();
    for (batch, head) in ndarray::indices((dims.batch, dims.head)) {
        let mut order: Vec<usize> = (0..dims.step).collect();
        shuffle(&mut order, stream);
        // One number, or one per channel: whatever stands at the token.
        let learned = learned.index_axis(Axis(0), batch);
        let mut shuffled = shuffled.index_axis_mut(Axis(0), batch);
        for (step, other) in order.into_iter().enumerate() {
            let token = learned.index_axis(Axis(0), other);
            shuffled.index_axis_mut(Axis(0), step).index_axis_mut(Axis(0), head).assign(&token.index_axis(Axis(0), head));
        }
    }
    with_strength(factors, shuffled)
}

/// gamma held at its mean over the tokens of each head and sequence (RWKV-7: of each channel).
pub(super) fn constant_strength(factors: &Factors<f32>) -> Factors<f32> {
    let learned = &factors.arrays()[&strength_of(factors.rule())];
    let mean = learned.map(|&x| f64::from(x)).mean_axis(Axis(1)).expect("a sequence has steps").mapv(|x| x as f32);
    let constant = mean.insert_axis(Axis(1)).broadcast(learned.raw_dim()).expect("one step stands for all").to_owned();
    with_strength(factors, constant)
}

fn with_strength(factors: &Factors<f32>, strength: ArrayD<f32>) -> Factors<f32> {
    factors.with(strength_of(factors.rule()), strength).expect("the strengths have the shape of those they replace")
}

/// Where a rule with an erase keeps its strength.
fn strength_of(rule: Rule) -> HookPoint {
    if rule == Rule::Rwkv7 { HookPoint::EraseGate } else { HookPoint::EraseStrength }
}

/// A standard normal number (Box and Muller).
fn normal(stream: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - stream.random::<f64>(), stream.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
