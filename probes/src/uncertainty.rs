//! Intervals by the cluster bootstrap: groups are drawn with replacement, as weights; nothing is refitted.

use ndarray::{Array2, Axis};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};

use crate::{
    GroupedScore, ProbeError,
    score::{Metric, ratio},
};

/// How an interval was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Bias-corrected and accelerated bootstrap, its tails expanded for few groups.
    #[default]
    Bca,
    /// Percentiles of the bootstrap.
    Percentile,
    /// Studentised bootstrap: for means of numbers that may be skewed. Made elsewhere.
    Studentised,
    /// Student's t, over models.
    Student,
    /// Clopper and Pearson's binomial interval with the group as the trial: where every group scores alike, resampling sees no
    /// uncertainty, but there is some.
    Exact,
}

/// Settings.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `resamples` | 10000 | draws of groups | at least 100 |
/// | `level` | 0.95 | coverage | between 0 and 1 |
/// | `method` | `bca` | | `bca`, `percentile` |
/// | `seed` | 0 | of the draws | |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Draws of groups.
    pub resamples: usize,
    /// Coverage.
    pub level: f64,
    /// How intervals are made of the draws.
    pub method: IntervalMethod,
    /// Of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, level: 0.95, method: IntervalMethod::default(), seed: 0 }
    }
}

/// A number with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Coverage, for example 0.95.
    pub level: f64,
    /// How the interval was made.
    pub method: IntervalMethod,
}

impl Estimate {
    /// Whether the interval leaves `value` out.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}, {:.3}]", self.value, self.low, self.high)
    }
}

/// Checked settings with the drawn weights of a number of groups, used for every score over those groups.
#[derive(Clone, Debug)]
pub struct Resampling {
    settings: Bootstrap,
    /// How often each draw has each group, [resample, group].
    weights: Array2<f64>,
}

impl Bootstrap {
    /// Draws the weights. One resampling serves every score over `n_groups` groups; the same seed gives the same draws.
    pub fn draw(&self, n_groups: usize) -> Result<Resampling, ProbeError> {
        if self.resamples < 100 {
            return Err(ProbeError::Parameter { parameter: "resamples", value: self.resamples as f64, range: "at least 100" });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(ProbeError::Parameter { parameter: "level", value: self.level, range: "between 0 and 1" });
        }
        if n_groups < 2 {
            return Err(ProbeError::TooFewGroups { found: n_groups, purpose: "an interval", needed: 2 });
        }
        let mut weights = Array2::zeros((self.resamples, n_groups));
        weights.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(resample, mut weights)| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(resample as u64);
            for _ in 0..n_groups {
                weights[random.random_range(0..n_groups)] += 1.0;
            }
        });
        Ok(Resampling { settings: *self, weights })
    }
}

impl Resampling {
    /// How many groups it draws.
    pub fn n_groups(&self) -> usize {
        self.weights.ncols()
    }

    /// A score with its interval.
    pub fn estimate(&self, score: &GroupedScore) -> Result<Estimate, ProbeError> {
        Ok(self.estimates(&[score])?.remove(0))
    }

    /// Several scores over the same groups, each with its interval.
    pub fn estimates(&self, scores: &[&GroupedScore]) -> Result<Vec<Estimate>, ProbeError> {
        let draws = self.ratios(scores)?;
        Ok(scores
            .iter()
            .enumerate()
            .map(|(index, score)| {
                let value = score.value();
                let jackknife = jackknife(score);
                if score.metric == Metric::Accuracy && is_constant(&jackknife) {
                    return exact(value, self.n_groups(), self.settings.level);
                }
                interval(&self.settings, value, draws.column(index).to_vec(), &jackknife, jackknife.len())
            })
            .collect())
    }

    /// `score - other`, paired: both see the same draws. Two accuracies that differ alike in every group get an exact interval.
    pub fn difference(&self, score: &GroupedScore, other: &GroupedScore) -> Result<Estimate, ProbeError> {
        Ok(self.paired(score, other)?.at(self.settings.level))
    }

    /// `score - other`, paired: its interval at any coverage.
    pub(crate) fn paired(&self, score: &GroupedScore, other: &GroupedScore) -> Result<Paired, ProbeError> {
        if !score.pairs_with(other) {
            return Err(ProbeError::Unpaired { left: score.n_groups(), right: other.n_groups() });
        }
        let mut draws: Vec<f64> = self.ratios(&[score, other])?.rows().into_iter().map(|row| row[0] - row[1]).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let jackknife: Vec<f64> = jackknife(score).into_iter().zip(jackknife(other)).map(|(score, other)| score - other).collect();
        let is_alike = score.metric == Metric::Accuracy && is_constant(&jackknife);
        Ok(Paired { settings: self.settings, value: score.value() - other.value(), other: other.value(), draws, jackknife, is_alike })
    }

    /// The standard error of a score: the spread of its draws.
    pub fn standard_error(&self, score: &GroupedScore) -> Result<f64, ProbeError> {
        let draws = self.ratios(&[score])?;
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        Ok((draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (draws.len() - 1) as f64).sqrt())
    }

    /// [resample, score].
    fn ratios(&self, scores: &[&GroupedScore]) -> Result<Array2<f64>, ProbeError> {
        let n = self.n_groups();
        if let Some(score) = scores.iter().find(|score| score.n_groups() != n) {
            return Err(ProbeError::Unpaired { left: n, right: score.n_groups() });
        }
        let numerators = Array2::from_shape_fn((n, scores.len()), |(group, score)| scores[score].numerators[group]);
        let denominators = Array2::from_shape_fn((n, scores.len()), |(group, score)| scores[score].denominators[group]);
        let mut ratios = self.weights.dot(&numerators);
        ratios.zip_mut_with(&self.weights.dot(&denominators), |numerator, &denominator| *numerator = ratio(*numerator, denominator));
        Ok(ratios)
    }
}

/// A paired difference of scores with what its intervals are made of.
pub(crate) struct Paired {
    settings: Bootstrap,
    value: f64,
    /// What is subtracted.
    other: f64,
    /// Ascending.
    draws: Vec<f64>,
    jackknife: Vec<f64>,
    /// Accuracies that differ alike in every group, so that resampling sees no uncertainty.
    is_alike: bool,
}

impl Paired {
    /// With its interval of this coverage.
    pub fn at(&self, level: f64) -> Estimate {
        let Self { value, other, jackknife, .. } = self;
        if self.is_alike {
            // At most this share of groups could be otherwise, and no accuracy leaves 0 to 1.
            let unseen = exact(0.0, jackknife.len(), level).high;
            let (low, high) = ((value - unseen).max(-other), (value + unseen).min(1.0 - other));
            return Estimate { value: *value, low, high, level, method: IntervalMethod::Exact };
        }
        interval_of(&Bootstrap { level, ..self.settings }, *value, &self.draws, jackknife, jackknife.len())
    }
}

fn is_constant(jackknife: &[f64]) -> bool {
    let spread = jackknife.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    spread.1 - spread.0 < 1e-15
}

/// `n_units` are the groups, or the models where those are fewer.
fn interval(settings: &Bootstrap, value: f64, mut draws: Vec<f64>, jackknife: &[f64], n_units: usize) -> Estimate {
    draws.sort_by(f64::total_cmp);
    interval_of(settings, value, &draws, jackknife, n_units)
}

/// The same of draws in ascending order.
fn interval_of(settings: &Bootstrap, value: f64, draws: &[f64], jackknife: &[f64], n_units: usize) -> Estimate {
    let tail = expanded(0.5 * (1.0 - settings.level), n_units);
    let corrected = if settings.method == IntervalMethod::Bca { corrected_tails(value, draws, jackknife, tail) } else { None };
    let method = if corrected.is_some() { IntervalMethod::Bca } else { IntervalMethod::Percentile };
    let (low, high) = corrected.unwrap_or((tail, 1.0 - tail));
    Estimate { value, low: quantile(draws, low), high: quantile(draws, high), level: settings.level, method }
}

/// Every group has the same share of successes, `value`.
fn exact(value: f64, n_groups: usize, level: f64) -> Estimate {
    let n = n_groups as f64;
    let tail = 0.5 * (1.0 - level);
    let successes = value * n;
    let bound = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    let low = if successes <= 0.0 { 0.0 } else { bound(successes, n - successes + 1.0, tail) };
    let high = if successes >= n { 1.0 } else { bound(successes + 1.0, n - successes, 1.0 - tail) };
    Estimate { value, low, high, level, method: IntervalMethod::Exact }
}

/// The mean score over several models (seeds of training), with an interval that counts both models and groups.
///
/// Each model from groups of its own (nested): Student's t over the models' scores, whose spread holds the groups' noise too. All
/// models on the same groups (crossed): what the groups have in common does not show in that spread, so the jackknife's variance
/// over groups is added, with Satterthwaite's degrees of freedom.
///
/// With few models the interval is wide, and says so: three models are three observations. Student's t takes them to differ as a
/// normal distribution has it; three that differ uniformly are missed in 7 % at a promised 5 % (`examples/calibration.md`).
pub fn hierarchical(scores: &[GroupedScore], level: f64) -> Result<Estimate, ProbeError> {
    let n_models = scores.len();
    if n_models < 2 {
        return Err(ProbeError::TooFewGroups { found: n_models, purpose: "an interval over models", needed: 2 });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(ProbeError::Parameter { parameter: "level", value: level, range: "between 0 and 1" });
    }
    let models: Vec<f64> = scores.iter().map(GroupedScore::value).collect();
    let mut variance = variance_of_mean(&models);
    let mut freedom = (n_models - 1) as f64;
    if scores.iter().all(|score| score.pairs_with(&scores[0])) {
        let by_model: Vec<Vec<f64>> = scores.iter().map(jackknife).collect();
        let n = by_model[0].len();
        // The jackknife's variance of a mean is (n - 1)^2 times that of its values' mean.
        let without: Vec<f64> = (0..n).map(|group| by_model.iter().map(|model| model[group]).sum::<f64>() / n_models as f64).collect();
        let of_groups = variance_of_mean(&without) * ((n - 1) as f64).powi(2);
        let both = variance + of_groups;
        if both > 0.0 {
            freedom = both.powi(2) / (variance.powi(2) / freedom + of_groups.powi(2) / (n as f64 - 1.0).max(1.0));
        }
        variance = both;
    }
    let reach = StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(0.5 + level / 2.0)) * variance.sqrt();
    let value = models.iter().sum::<f64>() / n_models as f64;
    // No accuracy leaves 0 to 1, however few models there are.
    let (least, most) = if scores[0].metric == Metric::Accuracy { (0.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
    let (low, high) = ((value - reach).max(least), (value + reach).min(most));
    Ok(Estimate { value, low, high, level, method: IntervalMethod::Student })
}

/// The variance of the mean of independent values.
fn variance_of_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n * (n - 1.0)).max(1.0)
}

/// The score without each group in turn.
fn jackknife(score: &GroupedScore) -> Vec<f64> {
    let (numerator, denominator): (f64, f64) = (score.numerators.iter().sum(), score.denominators.iter().sum());
    score.numerators.iter().zip(&score.denominators).map(|(own, weight)| ratio(numerator - own, denominator - weight)).collect()
}

/// The percentiles BCa reads instead of the nominal tails (Efron 1987); `None` where its corrections are not defined.
fn corrected_tails(value: f64, sorted: &[f64], jackknife: &[f64], tail: f64) -> Option<(f64, f64)> {
    let normal = Normal::standard();
    let below = sorted.partition_point(|&draw| draw < value);
    let equal = sorted.partition_point(|&draw| draw <= value) - below;
    // Scores are discrete: draws equal to the estimate count half.
    let share = (below as f64 + 0.5 * equal as f64) / sorted.len() as f64;
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let bias = normal.inverse_cdf(share);
    let mean = jackknife.iter().sum::<f64>() / jackknife.len() as f64;
    let (squares, cubes) = jackknife.iter().fold((0.0, 0.0), |(squares, cubes), &x| {
        let deviation = mean - x;
        (squares + deviation * deviation, cubes + deviation * deviation * deviation)
    });
    if squares <= 0.0 {
        return None;
    }
    let acceleration = cubes / (6.0 * squares.powf(1.5));
    let corrected = |p: f64| {
        let z = bias + normal.inverse_cdf(p);
        normal.cdf(bias + z / (1.0 - acceleration * z))
    };
    Some((corrected(tail), corrected(1.0 - tail))).filter(|(low, high)| low.is_finite() && high.is_finite() && low < high)
}

/// The tail to cut so that an interval from `n` groups leaves out `tail`: Student's t in the place of the normal, and n - 1 in the
/// place of n (expanded percentiles, Hesterberg 2015, The American Statistician 69, 371). Few groups vary more than their resamples.
fn expanded(tail: f64, n: usize) -> f64 {
    if n < 2 {
        return tail;
    }
    let n = n as f64;
    let student = StudentsT::new(0.0, 1.0, n - 1.0);
    student.map_or(tail, |student| Normal::standard().cdf((n / (n - 1.0)).sqrt() * student.inverse_cdf(tail)))
}

/// Linear interpolation between order statistics.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
