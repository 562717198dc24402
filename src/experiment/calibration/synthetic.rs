//! Worlds whose truth is known: factors with gates that remember, heads and layers that differ, and only the relations planted.

use std::collections::BTreeMap;

use ndarray::{Array3, Array4, ArrayD, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::memory::{Dims, Factors, HookPoint, Rule};
use crate::task::random;

/// How much of the last step's deviation a gate keeps.
const MEMORY: f64 = 0.9;

/// A world of Erase-then-Delta memories.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub sequences: usize,
    pub steps: usize,
    pub layers: usize,
    pub heads: usize,
    /// Channels of keys and values.
    pub channels: usize,
    /// Correlation of the erase gate with retention: inside heads, and between heads.
    pub effect: f64,
    /// Whether erase and write directions remember the last step's.
    pub directions_remember: bool,
    /// Whether replications have heads of their own.
    pub heads_are: HeadsAre,
}

/// Where the differences between heads come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadsAre {
    /// New in each replication: another model, for tests whose units are heads.
    Drawn,
    /// The same in each replication: the same model on other sequences, of which intervals over sequences speak.
    Kept,
}

/// A standard normal number (Box and Muller).
pub(super) fn normal(stream: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - stream.random::<f64>(), stream.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Standard normal numbers each of which remembers the one before.
pub(super) fn remembering(n: usize, stream: &mut ChaCha8Rng) -> Vec<f64> {
    let mut last = normal(stream);
    (0..n)
        .map(|_| {
            let now = last;
            last = MEMORY * last + (1.0 - MEMORY * MEMORY).sqrt() * normal(stream);
            now
        })
        .collect()
}

/// What is left of a variance of 1 beside a correlation.
pub(super) fn rest(effect: f64) -> f64 {
    (1.0 - effect * effect).max(0.0).sqrt()
}

impl World {
    /// Layers of factors.
    pub fn factors(&self, stream: &mut ChaCha8Rng) -> Vec<(usize, Factors<f32>)> {
        (0..self.layers).map(|layer| (layer, self.layer(layer, stream))).collect()
    }

    fn layer(&self, layer: usize, stream: &mut ChaCha8Rng) -> Factors<f32> {
        let dims = Dims {
            batch: self.sequences,
            step: self.steps,
            key_head: self.heads,
            head: self.heads,
            d_k: self.channels,
            d_v: self.channels,
        };
        let (retention, erase) = self.gates(layer, dims, stream);
        let write = Array3::from_shape_simple_fn((dims.batch, dims.step, dims.head), || logistic(normal(stream)) as f32);
        let mut arrays = BTreeMap::new();
        for point in Rule::Eda.factors() {
            let array: ArrayD<f32> = match point {
                HookPoint::Retention => {
                    Array4::from_shape_fn((dims.batch, dims.step, dims.head, dims.d_k), |(b, t, h, _)| retention[[b, t, h]]).into_dyn()
                }
                HookPoint::EraseStrength => erase.clone().into_dyn(),
                HookPoint::WriteStrength(_) => write.clone().into_dyn(),
                HookPoint::Value(_) => ArrayD::from_shape_simple_fn(point.shape(&dims), || normal(stream) as f32),
                _ => self.directions(dims, stream).into_dyn(),
            };
            arrays.insert(point, array);
        }
        Factors::new(Rule::Eda, arrays, None).expect("the factors of the rule, in its shapes")
    }

    /// Retention and erase strength, [batch, step, head]: heads and sequences differ in both, and both remember.
    fn gates(&self, layer: usize, dims: Dims, stream: &mut ChaCha8Rng) -> (Array3<f32>, Array3<f32>) {
        let draw = |stream: &mut ChaCha8Rng| -> Vec<(f64, f64)> {
            let one = |stream: &mut ChaCha8Rng| {
                let retention = normal(stream);
                (retention, self.effect * retention + rest(self.effect) * normal(stream))
            };
            (0..dims.head).map(|_| one(stream)).collect()
        };
        let heads = match self.heads_are {
            HeadsAre::Drawn => draw(stream),
            HeadsAre::Kept => draw(&mut random::stream(0, "experiment/calibration/heads", layer as u64)),
        };
        let mut retention = Array3::zeros((dims.batch, dims.step, dims.head));
        let mut erase = Array3::zeros((dims.batch, dims.step, dims.head));
        for batch in 0..dims.batch {
            let sequence = (0.5 * normal(stream), 0.5 * normal(stream));
            for (head, own) in heads.iter().enumerate() {
                let (kept, other) = (remembering(dims.step, stream), remembering(dims.step, stream));
                for step in 0..dims.step {
                    let related = self.effect * kept[step] + rest(self.effect) * other[step];
                    retention[[batch, step, head]] = logistic(2.0 + own.0 + sequence.0 + kept[step]) as f32;
                    erase[[batch, step, head]] = logistic(-1.0 + own.1 + sequence.1 + related) as f32;
                }
            }
        }
        (retention, erase)
    }

    /// Unit vectors, uniform on the sphere, [batch, step, key_head, d_k].
    fn directions(&self, dims: Dims, stream: &mut ChaCha8Rng) -> Array4<f32> {
        let mut directions = Array4::<f32>::zeros((dims.batch, dims.step, dims.key_head, dims.d_k));
        for batch in 0..dims.batch {
            for head in 0..dims.key_head {
                for channel in 0..dims.d_k {
                    let along: Vec<f64> = if self.directions_remember {
                        remembering(dims.step, stream)
                    } else {
                        (0..dims.step).map(|_| normal(stream)).collect()
                    };
                    along.into_iter().enumerate().for_each(|(step, x)| directions[[batch, step, head, channel]] = x as f32);
                }
            }
        }
        for mut lane in directions.lanes_mut(Axis(3)) {
            let norm = lane.dot(&lane).sqrt();
            lane.mapv_inplace(|x| x / norm);
        }
        directions
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
