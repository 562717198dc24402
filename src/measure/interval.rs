//! Intervals by cluster bootstrap: the sequence is the unit.
//!
//! Tokens of one sequence depend on each other, so resampling tokens would make every interval far too narrow. Here whole
//! sequences are drawn with replacement, and every number is recomputed from the drawn sequences.
//!
//! What kind of number it is decides how its interval is made, so that it covers as often as it says also with few sequences and
//! with long tails (`examples/calibration.md` shows how often each does):
//!
//! | number | made by | interval |
//! |---|---|---|
//! | mean, ratio of sums | [`Bootstrap::ratio`], [`Bootstrap::fraction`] | studentised bootstrap; Student's t below six sequences |
//! | any other smooth function of sums | [`Bootstrap::smooth`] | symmetric studentised bootstrap; Student's t below six sequences |
//! | ratio of ratios (a lift) | [`Bootstrap::lift`] | the same of its logarithm |
//! | share of events | [`Bootstrap::share`] | expanded percentiles, exact binomial bounds at 0 and 1 |
//! | median, half-life, whatever is not smooth | [`Bootstrap::statistic`] | expanded percentiles |
//! | null, replayed | [`Bootstrap::band`] | expanded percentiles |

mod counts;
mod studentised;

use ndarray::Array2;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::permutation::FEWEST_SEQUENCES;
use crate::task::random;
use counts::Counts;
use studentised::Studentised;

/// What was resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Whole sequences.
    Sequence,
    /// Trained models, each from its own seed.
    Model,
}

impl Unit {
    const fn word(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Model => "model",
        }
    }
}

/// An estimate and how far it could have come out elsewhere with other sequences, or other models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate from all units.
    pub estimate: f64,
    /// Lower end; `None` when fewer than two units contribute.
    pub low: Option<f64>,
    /// Upper end; `None` when fewer than two units contribute.
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

    /// The estimate alone: of a number that no interval from these sequences covers as often as it would say.
    #[must_use]
    pub fn without_ends(self) -> Self {
        Self { low: None, high: None, ..self }
    }

    /// With its ends brought into the range that the number has by definition: a share ends at 0 and 1.
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        let clip = |end: Option<f64>| end.map(|end| end.clamp(low, high));
        Self { low: clip(self.low), high: clip(self.high), ..self }
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
            None if self.n == 1 => write!(f, "{:.3} [no interval from 1 {}]", self.estimate, self.unit.word()),
            None => write!(f, "{:.3} [no interval from {} {}s]", self.estimate, self.n, self.unit.word()),
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
///
/// Smooth numbers get the studentised bootstrap (bootstrap-t; Efron 1982, Hall 1988): each resample is measured in standard errors of
/// its own, so the interval follows the skewness of the number. It is symmetric where several sums are divided by one another. Others
/// get the central part of the resampled estimates, widened as Student's t widens the normal interval for this many sequences (expanded
/// percentiles, Hesterberg 2015, The American Statistician 69, 371): plain percentiles miss the truth twice as often as they promise
/// with 8 sequences.
pub struct Bootstrap {
    /// How often each sequence was drawn, [resample, sequence].
    counts: Array2<f32>,
    /// The same, resamples side by side.
    drawn: Counts,
    level: f64,
}

impl Bootstrap {
    /// Draws the resamples of `n` sequences.
    pub fn new(n: usize, options: &StatisticsOptions) -> Self {
        let resamples = if n < 2 { 0 } else { options.resamples };
        let mut counts = Array2::<f32>::zeros((resamples, n));
        counts.outer_iter_mut().into_par_iter().enumerate().for_each(|(index, mut row)| {
            let mut stream = random::stream(options.seed, "measure/bootstrap", index as u64);
            for _ in 0..n {
                row[stream.random_range(0..n)] += 1.0;
            }
        });
        Self { drawn: Counts::of(&counts), counts, level: options.level }
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
        let columns = [numerator, denominator];
        let estimate = quotient(&studentised::sums(&columns, None))?;
        let Some(found) = Studentised::of_ratio(&self.counts, &self.drawn, n, numerator, denominator) else {
            return self.statistic(n, |weights| quotient(&studentised::sums(&columns, Some(weights))));
        };
        let (low, high) = found.ends(self.level);
        Some(Interval { estimate, low: Some(low), high: Some(high), level: self.level, unit: Unit::Sequence, n })
    }

    /// A ratio that lies between 0 and 1 by definition.
    pub fn fraction(&self, numerator: &[f64], denominator: &[f64]) -> Option<Interval> {
        Some(self.ratio(numerator, denominator)?.within(0.0, 1.0))
    }

    /// A smooth function of sums over sequences, to which `n` sequences contribute. Each of `columns` is one number per sequence;
    /// `of` is given the sum of every column, and says `None` where it is not defined.
    pub fn smooth(&self, n: usize, columns: &[&[f64]], of: impl Fn(&[f64]) -> Option<f64> + Sync) -> Option<Interval> {
        let estimate = of(&studentised::sums(columns, None))?;
        match Studentised::of_sums(&self.counts, n, columns, &of) {
            Some(found) => {
                let (low, high) = found.ends(self.level);
                Some(Interval { estimate, low: Some(low), high: Some(high), level: self.level, unit: Unit::Sequence, n })
            }
            None => self.statistic(n, |weights| of(&studentised::sums(columns, Some(weights)))),
        }
    }

    /// A lift, `(above[0] / above[1]) / (below[0] / below[1])` of sums over sequences none of which is negative: both ends lie as far
    /// from the estimate in logarithms, so neither is below 0. `None` unless all sums but the first are above 0; without ends where
    /// that is 0.
    pub fn lift(&self, n: usize, above: [&[f64]; 2], below: [&[f64]; 2]) -> Option<Interval> {
        let columns = [above[0], above[1], below[0], below[1]];
        let sums = studentised::sums(&columns, None);
        if sums[0] == 0.0 {
            let estimate = sums[1..].iter().all(|&sum| sum > 0.0).then_some(0.0)?;
            return Some(Interval { estimate, low: None, high: None, level: self.level, unit: Unit::Sequence, n });
        }
        let logarithm = |sums: &[f64]| {
            let positive = sums.iter().all(|&sum| sum > 0.0);
            positive.then(|| (sums[0] / sums[1] / (sums[2] / sums[3])).ln())
        };
        let found = self.smooth(n, &columns, logarithm)?;
        Some(Interval { estimate: found.estimate.exp(), low: found.low.map(f64::exp), high: found.high.map(f64::exp), ..found })
    }

    /// Two-sided p that a ratio of two sums over sequences is `null`, by the studentised bootstrap: it is below `1 - level` where the
    /// ratio's interval leaves `null` out. For means of skewed numbers, of which permuted signs would test the symmetry.
    /// `None` with fewer than six sequences, or where resamples cannot tell.
    pub fn p_value(&self, numerator: &[f64], denominator: &[f64], null: f64) -> Option<f64> {
        let n = denominator.iter().filter(|&&value| value != 0.0).count();
        let found = (n >= FEWEST_SEQUENCES).then(|| Studentised::of_ratio(&self.counts, &self.drawn, n, numerator, denominator))??;
        Some(found.p_value(null))
    }

    /// A share of events: the ratio of hits to chances. Where no sequence has a hit, or none has a miss, resampling would give an
    /// interval without width; the open end is then the exact binomial bound for sequences.
    pub fn share(&self, hits: &[f64], chances: &[f64]) -> Option<Interval> {
        let n = chances.iter().filter(|&&value| value != 0.0).count();
        let mut share = self.statistic(n, |weights| quotient(&studentised::sums(&[hits, chances], Some(weights))))?;
        let unseen = self.unseen(share.n);
        if hits.iter().all(|&hits| hits == 0.0) {
            share.high = unseen;
        } else if hits == chances {
            share.low = unseen.map(|unseen| 1.0 - unseen);
        }
        Some(share)
    }

    /// The largest share of sequences that could have an event of which `n` sequences show none, at the interval's level (exact
    /// binomial); `None` when fewer than two contribute.
    pub fn unseen(&self, n: usize) -> Option<f64> {
        let tail = (1.0 - self.level) / 2.0;
        (n > 1).then(|| 1.0 - tail.powf(1.0 / n as f64))
    }

    /// The mean of one number per sequence, over the sequences that have it; `None` if none has.
    pub fn mean(&self, values: &[Option<f64>]) -> Option<Interval> {
        let (numerator, denominator) = present(values);
        self.ratio(&numerator, &denominator)
    }

    /// Any statistic of weighted sequences, to which `n` of them contribute: `statistic` is given how often each sequence counts.
    pub fn statistic(&self, n: usize, statistic: impl Fn(&[f32]) -> Option<f64> + Sync) -> Option<Interval> {
        let estimate = statistic(&vec![1.0; self.n_sequences()])?;
        let draws = if n < 2 { vec![] } else { self.draws(|_, weights| statistic(weights)) };
        Some(self.interval(estimate, draws, n))
    }

    /// The mean over several replays of a null, and the band in which a single replay on other sequences would fall: resample
    /// `r` draws sequences and takes replay `r mod n_replays`. Each replay is a numerator and a denominator per sequence.
    pub fn band(&self, replays: &[(Vec<f64>, Vec<f64>)]) -> Option<Interval> {
        let n = (0..self.n_sequences()).filter(|&sequence| replays.iter().any(|replay| replay.1[sequence] != 0.0)).count();
        let replays: Vec<Vec<&[f64]>> = replays.iter().map(|(numerator, denominator)| vec![&numerator[..], denominator]).collect();
        let estimates: Vec<f64> = replays.iter().filter_map(|columns| quotient(&studentised::sums(columns, None))).collect();
        if estimates.is_empty() {
            return None;
        }
        let estimate = estimates.iter().sum::<f64>() / estimates.len() as f64;
        let draws = if n < 2 { vec![] } else { self.drawn.of_sums_of_replays(&replays, quotient) };
        Some(self.interval(estimate, draws, n))
    }

    /// The same for any statistic of a replay and weighted sequences, to which `n` of them contribute.
    pub fn band_of(&self, n: usize, n_replays: usize, statistic: impl Fn(usize, &[f32]) -> Option<f64> + Sync) -> Option<Interval> {
        let ones = vec![1.0; self.n_sequences()];
        let estimates: Vec<f64> = (0..n_replays).filter_map(|replay| statistic(replay, &ones)).collect();
        if estimates.is_empty() {
            return None;
        }
        let estimate = estimates.iter().sum::<f64>() / estimates.len() as f64;
        let draws = if n < 2 { vec![] } else { self.draws(|index, weights| statistic(index % n_replays, weights)) };
        Some(self.interval(estimate, draws, n))
    }

    fn draws(&self, statistic: impl Fn(usize, &[f32]) -> Option<f64> + Sync) -> Vec<f64> {
        let draw = |index: usize| statistic(index, self.counts.row(index).to_slice().expect("rows are contiguous"));
        (0..self.counts.nrows()).into_par_iter().filter_map(draw).collect()
    }

    fn interval(&self, estimate: f64, draws: Vec<f64>, n: usize) -> Interval {
        let (low, high) = ends(draws, self.level, n).unzip();
        Interval { estimate, low, high, level: self.level, unit: Unit::Sequence, n }
    }
}

/// The first sum over the second.
fn quotient(sums: &[f64]) -> Option<f64> {
    (sums[1] != 0.0).then(|| sums[0] / sums[1])
}

/// Values and indicators: the numerator and denominator of their mean.
pub(super) fn present(values: &[Option<f64>]) -> (Vec<f64>, Vec<f64>) {
    values.iter().map(|value| value.map_or((0.0, 0.0), |value| (value, 1.0))).unzip()
}

/// The central `level` of `draws` from `n` sequences; `None` without draws.
fn ends(mut draws: Vec<f64>, level: f64, n: usize) -> Option<(f64, f64)> {
    if draws.is_empty() {
        return None;
    }
    draws.sort_by(f64::total_cmp);
    let tail = expanded_tail((1.0 - level) / 2.0, n);
    Some((quantile(&draws, tail), quantile(&draws, 1.0 - tail)))
}

/// The tail to cut so that an interval from `n` sequences leaves out `tail`: resamples vary by (n - 1) / n of the variance, and know
/// nothing of the variance's own uncertainty.
fn expanded_tail(tail: f64, n: usize) -> f64 {
    if n < 2 {
        return tail;
    }
    let (n, normal) = (n as f64, Normal::standard());
    StudentsT::new(0.0, 1.0, n - 1.0).map_or(tail, |t| normal.cdf((n / (n - 1.0)).sqrt() * t.inverse_cdf(tail)))
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
