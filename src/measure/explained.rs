//! How much of a head's output an attention map explains: the exact one beside the two that are published.
//!
//! A recurrent memory's output is `o_t = sum_i A_{t,i} v_i`. Whatever map a tool shows for A can be held to that: multiply it with the
//! values and compare. Three definitions, on the same factors:
//!
//! - **exact**: the ledger's signed attention, `q_t . u_{t,i}`;
//! - **gated linear** (TransformerLens 4.3, documentation of `GatedDeltaNetBridge.compute_effective_attention`):
//!   `(q_t . k_i) beta_i` times the decay from i to t, "an interpretability heuristic, not a faithful output decomposition" in its
//!   own words: key removal is left out. Here with the decay of every key channel where the rule has one, and with the normalised
//!   queries and keys that the recurrence sees (its documentation says that un-normalised ones are worse);
//! - **rectified** (candle-mi 0.2, documentation of `RwkvEffectiveAttn`): the exact raw weights, negative ones set to zero, rows
//!   divided by their sum.
//!
//! The error is `|A v - o| / |o|` over all tokens of a sequence, and once more with the best single factor for each head, in case
//! that only a scale is off.

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use super::source::{n_sequences, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions};
use crate::ledger::{AccountOptions, HeadRecurrence, account};
use crate::memory::{Factors, HookPoint, RecordOptions, Rule, cpu};

/// A definition of a recurrent memory's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionMap {
    /// The ledger's.
    Exact,
    /// As TransformerLens documents it for gated delta rules.
    GatedLinear,
    /// As candle-mi documents it for RWKV.
    Rectified,
}

impl AttentionMap {
    /// All.
    pub const ALL: [Self; 3] = [Self::Exact, Self::GatedLinear, Self::Rectified];
}

/// What every map explains of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// Intervals.
    pub statistics: StatisticsOptions,
    /// Sequences.
    pub n_sequences: usize,
    /// All layers and heads together, one row per map.
    pub global: Vec<MapError>,
    /// One per layer and head.
    pub heads: Vec<HeadExplained>,
}

/// One head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadExplained {
    /// Which.
    pub id: HeadId,
    /// Its rule.
    pub rule: Rule,
    /// One row per map.
    pub maps: Vec<MapError>,
}

/// What one map leaves unexplained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapError {
    /// Which.
    pub map: AttentionMap,
    /// `|A v - o| / |o|`: 0 explains all; 1 is as good as no map at all.
    pub relative_error: Interval,
    /// The same after the best single factor for each head: at most 1.
    pub scaled_error: Interval,
}

/// Sums of one map over the tokens of a sequence: |A v|^2, (A v).o, |o|^2.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    own: f64,
    across: f64,
    output: f64,
    /// |A v - o|^2, summed as it is: the difference of large numbers would be lost.
    residual: f64,
}

/// Measures all maps on a source. Rules that write more than once a step, and those that read elsewhere than at the query
/// (Comba), are refused: the published maps are not defined for them.
pub fn explained(source: &(impl Source + ?Sized), statistics: &StatisticsOptions) -> Result<Explained, MeasureError> {
    statistics.check()?;
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, statistics);
    if layers.iter().any(|info| matches!(info.rule, Rule::GatedDeltaProduct(_) | Rule::Comba | Rule::Gdn2)) {
        return Err(MeasureError::Empty(
            "the published attention maps are not defined for several writes a step, for gates on value channels, or for a corrected read",
        ));
    }
    let parts = walk(source, |_| true, |_, _, factors| sequence(factors))?;
    let error = |map: usize, heads: &[(usize, usize)]| {
        let of = |weights: &[f32], scaled: bool| {
            let (mut residual, mut output) = (0.0, 0.0);
            for &(place, head) in heads {
                let mut sum = Sums::default();
                for (weight, sequence) in weights.iter().zip(&parts[place].sequences) {
                    let (weight, own): (f64, &Sums) = (f64::from(*weight), &sequence[head][map]);
                    sum.own += weight * own.own;
                    sum.across += weight * own.across;
                    sum.output += weight * own.output;
                    sum.residual += weight * own.residual;
                }
                let explained = if sum.own > 0.0 { sum.across * sum.across / sum.own } else { 0.0 };
                // Rounding can put what is explained above what there is.
                residual += if scaled { (sum.output - explained).max(0.0).min(sum.residual) } else { sum.residual };
                output += sum.output;
            }
            (output > 0.0).then(|| (residual / output).sqrt())
        };
        let n = bootstrap.n_sequences();
        Some(MapError {
            map: AttentionMap::ALL[map],
            relative_error: bootstrap.statistic(n, |weights| of(weights, false))?,
            scaled_error: bootstrap.statistic(n, |weights| of(weights, true))?,
        })
    };
    let rows = |heads: &[(usize, usize)]| (0..AttentionMap::ALL.len()).filter_map(|map| error(map, heads)).collect::<Vec<_>>();
    let all: Vec<(usize, usize)> =
        parts.iter().enumerate().flat_map(|(place, part)| (0..part.info.dims.head).map(move |head| (place, head))).collect();
    let heads = all.iter().map(|&(place, head)| HeadExplained {
        id: HeadId { layer: parts[place].info.layer, head },
        rule: parts[place].info.rule,
        maps: rows(&[(place, head)]),
    });
    Ok(Explained { statistics: *statistics, n_sequences: bootstrap.n_sequences(), heads: heads.collect(), global: rows(&all) })
}

/// All heads of one sequence (batch 1).
fn sequence(factors: &Factors<f32>) -> Vec<[Sums; 3]> {
    let recurrence = factors.lower();
    let output = cpu::record(&recurrence, &RecordOptions::default()).output;
    let dims = factors.dims();
    let lanes = |point: HookPoint, head: usize| {
        let array = factors.channels(point);
        let head = head * array.shape()[2] / dims.head;
        array.slice(s![0, .., head, ..]).mapv(f64::from)
    };
    let one = |head: usize| {
        let output = output.slice(s![0, .., head, ..]).mapv(f64::from);
        let values = lanes(HookPoint::Value(0), head);
        let options = AccountOptions { attention: true, ..AccountOptions::default() };
        let account = account(&HeadRecurrence::new(&recurrence, 0, head), &options);
        let exact = account.attention.expect("it was asked for").mapv(f64::from);
        // What was in memory before the first step is no write's.
        let initial = account.initial_output.map(|initial| initial.mapv(f64::from));
        let strength = write_strength(factors, head);
        let linear = gated_linear(
            lanes(HookPoint::Query, head).view(),
            lanes(HookPoint::WriteDirection(0), head).view(),
            lanes(HookPoint::Retention, head).view(),
            &strength,
        );
        [exact.clone(), linear, rectified(&exact)].map(|map| {
            let mut own = map.dot(&values);
            if let Some(initial) = &initial {
                own += initial;
            }
            sums(&own, &output)
        })
    };
    (0..dims.head).map(one).collect()
}

fn sums(own: &Array2<f64>, output: &Array2<f64>) -> Sums {
    let dot = |a: &Array2<f64>, b: &Array2<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum();
    let difference = own - output;
    Sums { own: dot(own, own), across: dot(own, output), output: dot(output, output), residual: dot(&difference, &difference) }
}

/// beta of every step; 1 for a rule that writes at full strength.
fn write_strength(factors: &Factors<f32>, head: usize) -> Vec<f64> {
    let steps = factors.dims().step;
    factors
        .arrays()
        .get(&HookPoint::WriteStrength(0))
        .map_or_else(|| vec![1.0; steps], |strength| (0..steps).map(|step| f64::from(strength[[0, step, head]])).collect())
}

/// `(q_t . decay(i to t) k_i) beta_i`, [step, write].
fn gated_linear(query: ArrayView2<f64>, key: ArrayView2<f64>, retention: ArrayView2<f64>, strength: &[f64]) -> Array2<f64> {
    let steps = query.nrows();
    let mut map = Array2::zeros((steps, steps));
    for write in 0..steps {
        let mut left = key.row(write).to_owned();
        for step in write..steps {
            if step > write {
                left *= &retention.row(step);
            }
            map[[step, write]] = strength[write] * query.row(step).dot(&left);
        }
    }
    map
}

/// Negative weights set to zero, rows divided by their sum; a row without a positive weight stays zero.
fn rectified(exact: &Array2<f64>) -> Array2<f64> {
    let mut map = exact.mapv(|weight| weight.max(0.0));
    for mut row in map.rows_mut() {
        let sum: f64 = row.sum();
        if sum > 0.0 {
            row /= sum;
        }
    }
    map
}

impl Explained {
    /// What was found, in a sentence.
    pub fn headline(&self) -> String {
        let said = |map| {
            let row = self.global.iter().find(|row| row.map == map)?;
            let (error, scaled) = (row.relative_error, row.scaled_error);
            Some(if error.estimate < 1e-3 {
                format!("{:.1e}", error.estimate)
            } else {
                format!("{error} ({scaled} with the best scale of each head)")
            })
        };
        let word = |map| said(map).unwrap_or_else(|| "nothing".to_owned());
        format!(
            "Of the outputs of {} heads in {} sequences, the exact attention leaves {} unexplained; the gated linear map (TransformerLens) {}; the rectified map (candle-mi) {}.",
            self.heads.len(),
            self.n_sequences,
            word(AttentionMap::Exact),
            word(AttentionMap::GatedLinear),
            word(AttentionMap::Rectified)
        )
    }
}

/// Random heads of a rule: directions uniform on the sphere, retention from 0.9 to 1 on every channel, strengths from 0.05 to 0.95.
pub fn random_heads(rule: Rule, dims: crate::memory::Dims, seed: u64) -> Result<Vec<(usize, Factors<f32>)>, MeasureError> {
    use rand::RngExt;
    let array = |point: HookPoint| {
        let mut stream = crate::task::random::stream(seed, "measure/explained", u64::from(digest_of(&point.name())));
        let mut uniform =
            |low: f32, high: f32| ndarray::ArrayD::from_shape_simple_fn(point.shape(&dims), || stream.random_range(low..high));
        match point {
            HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection => {
                let mut array = uniform(-1.0, 1.0);
                for mut lane in array.lanes_mut(ndarray::Axis(3)) {
                    let norm = lane.dot(&lane).sqrt();
                    lane /= norm;
                }
                array
            }
            HookPoint::Value(_) => uniform(-1.0, 1.0),
            HookPoint::Retention => {
                let mut array = uniform(0.9, 1.0);
                match rule {
                    Rule::LinearAttention | Rule::DeltaNet => array.fill(1.0),
                    // One retention for all channels of a head.
                    Rule::RetNet | Rule::Gdn => {
                        for mut lane in array.lanes_mut(ndarray::Axis(3)) {
                            let first = lane[0];
                            lane.fill(first);
                        }
                    }
                    _ => {}
                }
                array
            }
            _ => uniform(0.05, 0.95),
        }
    };
    let arrays = rule.factors().into_iter().map(|point| (point, array(point))).collect();
    let factors = Factors::new(rule, arrays, None).map_err(|source| MeasureError::Factors { layer: 0, sequence: 0, source })?;
    Ok(vec![(0, factors)])
}

fn digest_of(name: &str) -> u32 {
    name.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}
