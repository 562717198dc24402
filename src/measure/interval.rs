//! Intervals by cluster bootstrap: the sequence is the unit.
//!
//! Tokens of one sequence depend on each other, so resampling tokens would make every interval far too narrow. Here whole
//! sequences are drawn with replacement, and every number is recomputed from the drawn sequences.

use ndarray::Array2;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::task::random;

/// What was resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Whole sequences.
    Sequence,
}

/// An estimate and how far it could have come out elsewhere with other sequences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate from all sequences.
    pub estimate: f64,
    /// Lower end; `None` when fewer than two sequences contribute.
    pub low: Option<f64>,
    /// Upper end; `None` when fewer than two sequences contribute.
    pub high: Option<f64>,
    /// Nominal coverage, in (0, 1).
    pub level: f64,
    /// What was resampled.
    pub unit: Unit,
    /// How many units contribute.
    pub n: usize,
}

impl Interval {
    /// Both ends, if there are any.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }

    /// Whether `value` lies within the interval; `None` without one.
    pub fn covers(&self, value: f64) -> Option<bool> {
        self.bounds().map(|(low, high)| low <= value && value <= high)
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bounds() {
            Some((low, high)) => write!(f, "{:.3} [{low:.3}, {high:.3}]", self.estimate),
            None => write!(f, "{:.3} [no interval from {} sequence]", self.estimate, self.n),
        }
    }
}

/// How intervals, nulls and p-values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatisticsOptions {
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Permutations behind a p-value.
    pub permutations: usize,
    /// Nominal coverage of intervals, in (0, 1).
    pub level: f64,
    /// Seed of every random stream of the measure.
    pub seed: u64,
}

impl Default for StatisticsOptions {
    fn default() -> Self {
        Self { resamples: 10_000, permutations: 10_000, level: 0.95, seed: 0 }
    }
}

/// The resamples of one set of sequences, drawn once and shared by every number of a measure.
pub struct Bootstrap {
    /// How often each sequence was drawn, [resample, sequence].
    counts: Array2<u8>,
    level: f64,
}

impl Bootstrap {
    /// Draws the resamples of `n` sequences.
    pub fn new(n: usize, options: &StatisticsOptions) -> Self {
        let resamples = if n < 2 { 0 } else { options.resamples };
        let mut counts = Array2::<u8>::zeros((resamples, n));
        counts.outer_iter_mut().into_par_iter().enumerate().for_each(|(index, mut row)| {
            let mut stream = random::stream(options.seed, "measure/bootstrap", index as u64);
            for _ in 0..n {
                let drawn = &mut row[stream.random_range(0..n)];
                *drawn = drawn.saturating_add(1);
            }
        });
        Self { counts, level: options.level }
    }

    /// How many sequences are resampled.
    pub fn n_sequences(&self) -> usize {
        self.counts.ncols()
    }

    /// The ratio of two sums over sequences; `None` if the denominator is zero.
    ///
    /// Sequences with a zero denominator do not contribute. With token sums over token counts this is a mean over tokens.
    pub fn ratio(&self, numerator: &[f64], denominator: &[f64]) -> Option<Interval> {
        let n = denominator.iter().filter(|&&value| value != 0.0).count();
        self.statistic(n, |weight| {
            let (mut above, mut below) = (0.0, 0.0);
            for sequence in 0..numerator.len() {
                let weight = weight(sequence);
                above += weight * numerator[sequence];
                below += weight * denominator[sequence];
            }
            (below != 0.0).then(|| above / below)
        })
    }

    /// The mean of one number per sequence, over the sequences that have it; `None` if none has.
    pub fn mean(&self, values: &[Option<f64>]) -> Option<Interval> {
        let numerator: Vec<f64> = values.iter().map(|value| value.unwrap_or(0.0)).collect();
        let denominator: Vec<f64> = values.iter().map(|value| f64::from(u8::from(value.is_some()))).collect();
        self.ratio(&numerator, &denominator)
    }

    /// Any statistic of weighted sequences, to which `n` of them contribute: `statistic` is given how often each sequence counts.
    pub fn statistic(&self, n: usize, statistic: impl Fn(&dyn Fn(usize) -> f64) -> Option<f64> + Sync) -> Option<Interval> {
        let estimate = statistic(&|_| 1.0)?;
        let draws = if n < 2 { vec![] } else { self.draws(|_, weight| statistic(weight)) };
        let (low, high) = ends(draws, self.level).unzip();
        Some(Interval { estimate, low, high, level: self.level, unit: Unit::Sequence, n })
    }

    /// The mean over several replays of a null, and the band in which a single replay on other sequences would fall: resample
    /// `r` draws sequences and takes replay `r mod n_replays`. `values` is [replay][sequence].
    pub fn band(&self, values: &[Vec<Option<f64>>]) -> Option<Interval> {
        let mean = |replay: &[Option<f64>], weight: &dyn Fn(usize) -> f64| {
            let (mut above, mut below) = (0.0, 0.0);
            for (sequence, value) in replay.iter().enumerate() {
                if let Some(value) = value {
                    above += weight(sequence) * value;
                    below += weight(sequence);
                }
            }
            (below != 0.0).then(|| above / below)
        };
        let replays: Vec<f64> = values.iter().filter_map(|replay| mean(replay, &|_| 1.0)).collect();
        if replays.is_empty() {
            return None;
        }
        let estimate = replays.iter().sum::<f64>() / replays.len() as f64;
        let n = (0..self.n_sequences()).filter(|&sequence| values.iter().any(|replay| replay[sequence].is_some())).count();
        let draws = if n < 2 { vec![] } else { self.draws(|index, weight| mean(&values[index % values.len()], weight)) };
        let (low, high) = ends(draws, self.level).unzip();
        Some(Interval { estimate, low, high, level: self.level, unit: Unit::Sequence, n })
    }

    fn draws(&self, statistic: impl Fn(usize, &dyn Fn(usize) -> f64) -> Option<f64> + Sync) -> Vec<f64> {
        let draw = |index: usize| {
            let row = self.counts.row(index);
            statistic(index, &|sequence| f64::from(row[sequence]))
        };
        (0..self.counts.nrows()).into_par_iter().filter_map(draw).collect()
    }
}

/// The central `level` of `draws`; `None` without draws.
fn ends(mut draws: Vec<f64>, level: f64) -> Option<(f64, f64)> {
    if draws.is_empty() {
        return None;
    }
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Some((quantile(&draws, tail), quantile(&draws, 1.0 - tail)))
}

/// The quantile of sorted values at `fraction`, linear between neighbours.
///
/// # Panics
/// If `sorted` is empty.
pub fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
