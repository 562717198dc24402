//! Random factors of any rule at small random sizes.

use std::collections::BTreeMap;

use ndarray::{Array4, ArrayD, Axis, IxDyn};
use pentimento::{
    memory::{Dims, Factors, HookPoint, Rule},
    task::random::stream,
};
use proptest::prelude::*;
use rand::RngExt;

/// What to draw: sizes, a seed, and whether the memory starts filled.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub dims: Dims,
    pub seed: u64,
    pub starts_filled: bool,
}

prop_compose! {
    /// Small sizes with grouped heads.
    pub fn samples()(batch in 1..3_usize, step in 1..12_usize, key_head in 1..3_usize, group in 1..4_usize, d_k in 1..6_usize, d_v in 1..5_usize, seed: u64, starts_filled: bool) -> Sample {
        Sample { dims: Dims { batch, step, key_head, head: key_head * group, d_k, d_v }, seed, starts_filled }
    }
}

/// Any rule of the family.
pub fn rules() -> impl Strategy<Value = Rule> {
    prop::sample::select(Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(1), Rule::GatedDeltaProduct(3)]).collect::<Vec<_>>())
}

impl Sample {
    /// Factors of a rule, every gate inside its range, directions of norm 1, retention between strong and none.
    pub fn factors(&self, rule: Rule) -> Factors<f64> {
        let arrays: BTreeMap<_, _> = rule.factors().into_iter().map(|factor| (factor, self.factor(rule, factor))).collect();
        let d = self.dims;
        let initial = self
            .starts_filled
            .then(|| self.uniform("initial_memory", &[d.batch, d.head, d.d_k, d.d_v], -1.0, 1.0).into_dimensionality().unwrap());
        Factors::new(rule, arrays, initial).unwrap()
    }

    fn factor(&self, rule: Rule, factor: HookPoint) -> ArrayD<f64> {
        let (name, shape) = (factor.name(), factor.shape(&self.dims));
        match factor {
            HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection => unit(self.uniform(&name, &shape, -1.0, 1.0)),
            HookPoint::Retention => match rule {
                Rule::LinearAttention | Rule::DeltaNet => ArrayD::ones(IxDyn(&shape)),
                Rule::RetNet | Rule::Gdn | Rule::GatedDeltaProduct(_) | Rule::Comba => self.retention_per_head(),
                _ => self.uniform(&name, &shape, -2.0, 0.0).mapv(f64::exp),
            },
            HookPoint::Value(_) | HookPoint::OutputCorrection => self.uniform(&name, &shape, -1.5, 1.5),
            _ => self.uniform(&name, &shape, 0.02, 0.98),
        }
    }

    /// One retention for all channels of a head.
    pub fn retention_per_head(&self) -> ArrayD<f64> {
        let d = self.dims;
        let per_head = self.uniform("retention_per_head", &[d.batch, d.step, d.head, 1], 0.2, 1.0);
        per_head.broadcast(HookPoint::Retention.shape(&d)).unwrap().to_owned()
    }

    /// Uniform numbers from a stream of this name.
    pub fn uniform(&self, name: &str, shape: &[usize], low: f64, high: f64) -> ArrayD<f64> {
        let mut rng = stream(self.seed, name, 0);
        ArrayD::from_shape_simple_fn(IxDyn(shape), || rng.random_range(low..high))
    }
}

/// The same factors under another rule's name, with some arrays replaced or added; what the rule has not is dropped.
pub fn as_rule(factors: &Factors<f64>, rule: Rule, with: impl IntoIterator<Item = (HookPoint, ArrayD<f64>)>) -> Factors<f64> {
    let mut arrays: BTreeMap<_, _> = factors.arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    arrays.extend(with);
    arrays.retain(|point, _| rule.factors().contains(point));
    Factors::new(rule, arrays, factors.initial_memory().map(ndarray::ArrayBase::to_owned)).unwrap()
}

/// An array of key heads with one entry per head instead.
pub fn per_head(factors: &Factors<f64>, point: HookPoint) -> Array4<f64> {
    let dims = factors.dims();
    let heads: Vec<_> = (0..dims.head).map(|head| dims.key_head_of(head)).collect();
    factors.channels(point).select(Axis(2), &heads)
}

/// Vectors along the last axis, scaled to norm 1.
pub fn unit(mut array: ArrayD<f64>) -> ArrayD<f64> {
    let last = Axis(array.ndim() - 1);
    for mut lane in array.lanes_mut(last) {
        let norm = lane.dot(&lane).sqrt().max(1e-12);
        lane /= norm;
    }
    array
}

/// The largest difference between two arrays of one shape.
pub fn largest_difference<D: ndarray::Dimension>(a: &ndarray::Array<f64, D>, b: &ndarray::Array<f64, D>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    ndarray::Zip::from(a).and(b).fold(0.0, |most: f64, &a, &b| if (a - b).is_nan() { f64::INFINITY } else { most.max((a - b).abs()) })
}
