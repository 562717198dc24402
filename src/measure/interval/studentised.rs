//! Studentised bootstraps: every resample is measured in standard errors of its own (bootstrap-t; Efron 1982, Hall 1988).
//!
//! With t* = (T* - T) / se* over resamples, the interval of a **ratio** is [T - se q_high, T - se q_low] of the quantiles of t*. The
//! standard error inside a resample is that of the linearised ratio (infinitesimal jackknife); the estimate's own is the
//! jackknife's, which few sequences of unequal weight make larger, as it should be.
//!
//! Numbers in which **several sums** are divided by one another (lifts: a ratio of ratios) depend on few sequences even more. Their
//! interval is [T - se q, T + se q] of the quantile of |t*|: symmetric ends err less by an order of the number of sequences (Hall
//! 1988, The Annals of Statistics 16, 927). Both standard errors are the jackknife's, so that its bias cancels; a lift is
//! taken in logarithms, in which it is nearly symmetric and cannot reach below 0. With 8, 16 and 64 sequences of a world in which
//! the two-sided interval missed the truth in 8.1, 7.9 and 5.2 %, these miss it in 4.5, 5.3 and 4.8 %, and are narrower.

use ndarray::Array2;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::counts::{Counts, FiveRows};
use super::quantile;

/// Fewest sequences whose resamples have a usable spread of their own.
const FEWEST: usize = 6;
/// Share of resamples without any spread above which their quantiles say nothing.
const MOST_DEGENERATE: f64 = 0.02;
/// A spread below this part of the estimate's own is rounding.
const ROUNDING: f64 = 1e-9;

/// The sum of every column, sequences counted as `weights` say (once without).
pub(super) fn sums(columns: &[&[f64]], weights: Option<&[f32]>) -> Vec<f64> {
    let sum = |column: &&[f64]| match weights {
        None => column.iter().sum(),
        Some(weights) => column.iter().zip(weights).map(|(value, &weight)| f64::from(weight) * value).sum(),
    };
    columns.iter().map(sum).collect()
}

/// How far an estimate could have come out elsewhere, in standard errors.
pub(super) struct Studentised {
    estimate: f64,
    error: f64,
    spread: Spread,
}

enum Spread {
    /// Nothing varies.
    None,
    /// Few sequences: Student's t with one less degrees of freedom.
    Few(f64),
    /// t* of the resamples, ascending.
    Drawn(Vec<f64>),
    /// |t*| of the resamples, ascending.
    Sizes(Vec<f64>),
}

impl Studentised {
    /// Of a smooth function of sums, symmetric. `None` where resamples cannot tell (one sequence, or too many resamples in which it
    /// is not defined or does not vary).
    pub fn of_sums(counts: &Array2<f32>, n: usize, columns: &[&[f64]], of: &(impl Fn(&[f64]) -> Option<f64> + Sync)) -> Option<Self> {
        if n < 2 {
            return None;
        }
        let rows = Rows::of(columns);
        let once = vec![1.0; counts.ncols()];
        let (mut whole, mut left) = (vec![], vec![]);
        let estimate = rows.value(&once, &mut whole, of)?;
        let error = rows.jackknife_error(&once, &whole, &mut left, of)?;
        if let Some(found) = Self::without_resamples(estimate, error, n) {
            return Some(found);
        }
        let one = |(sums, left): &mut (Vec<f64>, Vec<f64>), index: usize| {
            let weights = counts.row(index).to_slice().expect("rows are contiguous");
            let value = rows.value(weights, sums, of)?;
            let own = rows.jackknife_error(weights, sums, left, of)?;
            (own > ROUNDING * error).then(|| ((value - estimate) / own).abs())
        };
        let draws = (0..counts.nrows()).into_par_iter().with_min_len(128);
        let sizes: Vec<f64> = draws.map_init(Default::default, one).flatten_iter().collect();
        Some(Self { estimate, error, spread: Spread::Sizes(enough(sizes, counts.nrows())?) })
    }

    /// Of the ratio of the first column over the second, which measures have thousands of.
    pub fn of_ratio(counts: &Array2<f32>, drawn: &Counts, n: usize, numerator: &[f64], denominator: &[f64]) -> Option<Self> {
        if n < 2 {
            return None;
        }
        let rows = Rows::of(&[numerator, denominator]);
        let once = vec![1.0; counts.ncols()];
        let mut whole = vec![];
        let estimate = rows.value(&once, &mut whole, &super::quotient)?;
        let error = rows.jackknife_error(&once, &whole, &mut vec![], &super::quotient)?;
        if let Some(found) = Self::without_resamples(estimate, error, n) {
            return Some(found);
        }
        // With z = a - T b a resample's T* - T is (sum z) / (sum b), and its own residuals are z - (T* - T) b: nothing large is
        // subtracted from anything large, so f32 is enough.
        let residuals: Vec<f64> = numerator.iter().zip(denominator).map(|(above, below)| above - estimate * below).collect();
        let largest = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let scales = (largest(&residuals), largest(denominator));
        let rows = residuals.iter().zip(denominator).map(|(residual, below)| {
            let (z, b) = ((residual / scales.0) as f32, (below / scales.1) as f32);
            [z, b, z * z, z * b, b * b]
        });
        let t = drawn.of_five(&FiveRows::new(rows), |[z, b, zz, zb, bb]| {
            if b == 0.0 {
                return None;
            }
            let moved = z / b;
            let squares = zz - 2.0 * moved * zb + moved * moved * bb;
            // In units of scales.0 / scales.1, both of them.
            let own = (squares.max(0.0) * n as f64 / (n as f64 - 1.0)).sqrt() / b.abs();
            let unit = scales.0 / scales.1;
            (own * unit > 1e-4 * error).then(|| moved / own)
        });
        Some(Self { estimate, error, spread: Spread::Drawn(enough(t, counts.nrows())?) })
    }

    /// What needs no resamples, or has too few sequences for them.
    fn without_resamples(estimate: f64, error: f64, n: usize) -> Option<Self> {
        if error <= ROUNDING * estimate.abs() {
            return Some(Self { estimate, error, spread: Spread::None });
        }
        (n < FEWEST).then(|| Self { estimate, error, spread: Spread::Few((n - 1) as f64) })
    }

    /// Both ends of the interval.
    pub fn ends(&self, level: f64) -> (f64, f64) {
        let tail = (1.0 - level) / 2.0;
        let (low, high) = match &self.spread {
            Spread::None => (0.0, 0.0),
            Spread::Few(freedom) => {
                let reach = StudentsT::new(0.0, 1.0, *freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - tail));
                (-reach, reach)
            }
            Spread::Drawn(t) => (quantile(t, tail), quantile(t, 1.0 - tail)),
            Spread::Sizes(sizes) => (-quantile(sizes, level), quantile(sizes, level)),
        };
        (self.estimate - self.error * high, self.estimate - self.error * low)
    }

    /// Two-sided p that the truth is `null`: what the interval of coverage `1 - p` just leaves out.
    pub fn p_value(&self, null: f64) -> f64 {
        let t = (self.estimate - null) / self.error;
        match &self.spread {
            Spread::None => f64::from(u8::from((self.estimate - null).abs() <= ROUNDING * null.abs())),
            Spread::Few(freedom) => StudentsT::new(0.0, 1.0, *freedom).map_or(1.0, |student| 2.0 * student.cdf(-t.abs())),
            Spread::Drawn(drawn) => {
                let below = drawn.partition_point(|&drawn| drawn < t);
                let above = drawn.len() - drawn.partition_point(|&drawn| drawn <= t);
                let rest = drawn.len() - below.max(above);
                (2.0 * (1 + rest) as f64 / (1 + drawn.len()) as f64).min(1.0)
            }
            Spread::Sizes(sizes) => {
                let as_far = sizes.len() - sizes.partition_point(|&size| size < t.abs());
                (1 + as_far) as f64 / (1 + sizes.len()) as f64
            }
        }
    }
}

/// Ascending, if nearly every resample gave one.
fn enough(mut draws: Vec<f64>, n_resamples: usize) -> Option<Vec<f64>> {
    if draws.is_empty() || ((n_resamples - draws.len()) as f64) > MOST_DEGENERATE * n_resamples as f64 {
        return None;
    }
    draws.sort_unstable_by(f64::total_cmp);
    Some(draws)
}

/// Columns side by side, of the sequences that contribute.
struct Rows {
    n_columns: usize,
    /// \[sequence, column\].
    numbers: Vec<f64>,
    /// Which sequence each row is.
    sequences: Vec<usize>,
}

impl Rows {
    fn of(columns: &[&[f64]]) -> Self {
        let n = columns.first().map_or(0, |column| column.len());
        let sequences: Vec<usize> = (0..n).filter(|&sequence| columns.iter().any(|column| column[sequence] != 0.0)).collect();
        let numbers = sequences.iter().flat_map(|&sequence| columns.iter().map(move |column| column[sequence])).collect();
        Self { n_columns: columns.len(), numbers, sequences }
    }

    /// Rows with how often each counts, those that do not left out.
    fn weighted<'a>(&'a self, weights: &'a [f32]) -> impl Iterator<Item = (&'a [f64], f64)> {
        let weights = self.sequences.iter().map(|&sequence| f64::from(weights[sequence]));
        self.numbers.chunks_exact(self.n_columns).zip(weights).filter(|&(_, weight)| weight != 0.0)
    }

    /// The function at the weighted sums, which are left in `sums`.
    fn value(&self, weights: &[f32], sums: &mut Vec<f64>, of: &impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
        sums.clear();
        sums.resize(self.n_columns, 0.0);
        for (row, weight) in self.weighted(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        of(sums)
    }

    /// The jackknife's standard error: each sequence left out in turn, one draw of it if it was drawn more than once.
    fn jackknife_error(&self, weights: &[f32], sums: &[f64], left: &mut Vec<f64>, of: &impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
        // Deviations from the whole's value, so that squares of large numbers are never subtracted.
        let whole = of(sums)?;
        let (mut n, mut moved, mut squares) = (0.0, 0.0, 0.0);
        for (row, weight) in self.weighted(weights) {
            left.clear();
            left.extend(sums.iter().zip(row).map(|(sum, value)| sum - value));
            let deviation = of(left)? - whole;
            n += weight;
            moved += weight * deviation;
            squares += weight * deviation * deviation;
        }
        let spread = squares - moved * moved / n;
        (n > 1.0).then(|| ((n - 1.0) / n * spread.max(0.0)).sqrt())
    }
}
