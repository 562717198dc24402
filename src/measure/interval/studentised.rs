//! The studentised bootstrap of a smooth function of sums over sequences.
//!
//! With t* = (T* - T) / se* over resamples, the interval is [T - se q_high, T - se q_low] of the quantiles of t* (bootstrap-t). The
//! standard error inside a resample is that of the linearised function (infinitesimal jackknife); the estimate's own is the
//! jackknife's, which few sequences of unequal weight make larger, as it should be.

use ndarray::Array2;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::quantile;

/// Fewest sequences whose resamples have a usable spread of their own.
const FEWEST: usize = 6;
/// Share of resamples without any spread above which their quantiles say nothing.
const MOST_DEGENERATE: f64 = 0.02;
/// A spread below this part of the estimate's own is rounding.
const ROUNDING: f64 = 1e-9;
/// Step of central differences, as a part of a sum's size.
const STEP: f64 = 1e-5;

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
}

impl Studentised {
    /// `None` where resamples cannot tell (one sequence, or too many resamples without spread).
    pub fn new(counts: &Array2<f32>, n: usize, columns: &[&[f64]], of: &(impl Fn(&[f64]) -> Option<f64> + Sync)) -> Option<Self> {
        if n < 2 {
            return None;
        }
        let estimate = of(&sums(columns, None))?;
        let error = jackknife_error(columns, of)?;
        if error <= ROUNDING * estimate.abs() {
            return Some(Self { estimate, error, spread: Spread::None });
        }
        if n < FEWEST {
            return Some(Self { estimate, error, spread: Spread::Few((n - 1) as f64) });
        }
        let moments = Moments::of(columns);
        let one = |sums: &mut Vec<f64>, index: usize| {
            moments.weigh(counts.row(index).to_slice().expect("rows are contiguous"), sums);
            let value = of(&sums[..columns.len()])?;
            let own = moments.linear_error(sums, n, of)?;
            (own > ROUNDING * error).then(|| (value - estimate) / own)
        };
        let draws = (0..counts.nrows()).into_par_iter().with_min_len(128);
        let t: Vec<f64> = draws.map_init(Vec::new, one).flatten_iter().collect();
        Self::drawn(estimate, error, t, counts.nrows())
    }

    /// The same for the ratio of the first column over the second, which measures have thousands of.
    pub fn of_ratio(counts: &Array2<f32>, n: usize, numerator: &[f64], denominator: &[f64]) -> Option<Self> {
        let columns = [numerator, denominator];
        let whole = sums(&columns, None);
        let is_plain = n >= FEWEST && whole[1] != 0.0;
        let (estimate, error) = (whole[0] / whole[1], jackknife_error(&columns, &super::quotient)?);
        if !is_plain || error <= ROUNDING * estimate.abs() {
            return Self::new(counts, n, &columns, &super::quotient);
        }
        // With z = a - T b a resample's T* - T is (sum z) / (sum b), and its own residuals are z - (T* - T) b: nothing large is
        // subtracted from anything large, so f32 is enough.
        let residuals: Vec<f64> = numerator.iter().zip(denominator).map(|(above, below)| above - estimate * below).collect();
        let largest = |values: &[f64]| values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let scales = (largest(&residuals), largest(denominator));
        let rows: Vec<[f32; LANES]> = residuals
            .iter()
            .zip(denominator)
            .map(|(residual, below)| {
                let (z, b) = ((residual / scales.0) as f32, (below / scales.1) as f32);
                [z, b, z * z, z * b, b * b, 0.0, 0.0, 0.0]
            })
            .collect();
        let one = |index: usize| {
            let [z, b, zz, zb, bb, ..] = weigh(&rows, counts.row(index).to_slice().expect("rows are contiguous"));
            if b == 0.0 {
                return None;
            }
            let moved = z / b;
            let squares = zz - 2.0 * moved * zb + moved * moved * bb;
            // In units of scales.0 / scales.1, both of them.
            let own = (squares.max(0.0) * n as f64 / (n as f64 - 1.0)).sqrt() / b.abs();
            let unit = scales.0 / scales.1;
            (own * unit > 1e-4 * error).then(|| moved / own)
        };
        let t: Vec<f64> = (0..counts.nrows()).into_par_iter().with_min_len(256).filter_map(one).collect();
        Self::drawn(estimate, error, t, counts.nrows())
    }

    fn drawn(estimate: f64, error: f64, mut t: Vec<f64>, n_resamples: usize) -> Option<Self> {
        if t.is_empty() || ((n_resamples - t.len()) as f64) > MOST_DEGENERATE * n_resamples as f64 {
            return None;
        }
        t.sort_unstable_by(f64::total_cmp);
        Some(Self { estimate, error, spread: Spread::Drawn(t) })
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
        }
    }
}

/// The jackknife's standard error over sequences that contribute.
fn jackknife_error(columns: &[&[f64]], of: &impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
    let whole = sums(columns, None);
    let contributes = |&sequence: &usize| columns.iter().any(|column| column[sequence] != 0.0);
    let without = |sequence: usize| {
        let left: Vec<f64> = whole.iter().zip(columns).map(|(sum, column)| sum - column[sequence]).collect();
        of(&left)
    };
    let values: Vec<f64> = (0..columns.first()?.len()).filter(contributes).map(without).collect::<Option<_>>()?;
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    Some(((n - 1.0) / n * values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()).sqrt())
}

/// Every sequence's columns and their products, side by side: what a resample needs is then one weighted sum of rows.
struct Moments {
    n_columns: usize,
    width: usize,
    /// \[sequence, column or product of two, padded\].
    rows: Vec<f64>,
    n_sequences: f64,
}

/// Rows are padded to whole vectors of this many numbers.
const LANES: usize = 8;
/// Rows summed side by side, so that no sum waits for the one before.
const ABREAST: usize = 4;

/// The sum of all rows, weighted.
fn weigh(rows: &[[f32; LANES]], weights: &[f32]) -> [f64; LANES] {
    let mut sums = [[0.0_f32; LANES]; ABREAST];
    let (mut rows, mut weights) = (rows.chunks_exact(ABREAST), weights.chunks_exact(ABREAST));
    for (rows, weights) in rows.by_ref().zip(weights.by_ref()) {
        for abreast in 0..ABREAST {
            for lane in 0..LANES {
                sums[abreast][lane] += weights[abreast] * rows[abreast][lane];
            }
        }
    }
    for (row, weight) in rows.remainder().iter().zip(weights.remainder()) {
        for lane in 0..LANES {
            sums[0][lane] += weight * row[lane];
        }
    }
    std::array::from_fn(|lane| sums.iter().map(|sums| f64::from(sums[lane])).sum())
}

impl Moments {
    fn of(columns: &[&[f64]]) -> Self {
        let k = columns.len();
        let width = (k + k * (k + 1) / 2).next_multiple_of(LANES);
        let n = columns.first().map_or(0, |column| column.len());
        let mut rows = vec![0.0; n * width];
        for (sequence, row) in rows.chunks_exact_mut(width).enumerate() {
            let mut place = k;
            for i in 0..k {
                row[i] = columns[i][sequence];
                for column in &columns[i..] {
                    row[place] = columns[i][sequence] * column[sequence];
                    place += 1;
                }
            }
        }
        Self { n_columns: k, width, rows, n_sequences: n as f64 }
    }

    /// The sum of all rows, weighted.
    fn weigh(&self, weights: &[f32], sums: &mut Vec<f64>) {
        sums.clear();
        sums.resize(self.width, 0.0);
        for (row, &weight) in self.rows.chunks_exact(self.width).zip(weights) {
            let weight = f64::from(weight);
            for (sums, row) in sums.chunks_exact_mut(LANES).zip(row.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    sums[lane] += weight * row[lane];
                }
            }
        }
    }

    /// The standard error of the function linearised at these sums.
    fn linear_error(&self, sums: &[f64], n: usize, of: &impl Fn(&[f64]) -> Option<f64>) -> Option<f64> {
        let k = self.n_columns;
        let slopes = gradient(&sums[..k], of)?;
        let pull: f64 = slopes.iter().zip(sums).map(|(slope, sum)| slope * sum).sum();
        let (mut squares, mut place) = (0.0, k);
        for i in 0..k {
            for j in i..k {
                squares += if i == j { 1.0 } else { 2.0 } * slopes[i] * slopes[j] * sums[place];
                place += 1;
            }
        }
        let spread = squares - pull * pull / self.n_sequences;
        (spread > 0.0).then(|| (spread * n as f64 / (n as f64 - 1.0)).sqrt())
    }
}

/// Central differences.
fn gradient(sums: &[f64], of: &impl Fn(&[f64]) -> Option<f64>) -> Option<Vec<f64>> {
    let largest = sums.iter().fold(0.0_f64, |largest, sum| largest.max(sum.abs()));
    let mut moved = sums.to_vec();
    let slope = |at: usize| {
        let step = STEP * if sums[at] == 0.0 { largest } else { sums[at].abs() };
        moved[at] = sums[at] + step;
        let above = of(&moved)?;
        moved[at] = sums[at] - step;
        let below = of(&moved)?;
        moved[at] = sums[at];
        Some((above - below) / (2.0 * step))
    };
    (0..sums.len()).map(slope).collect()
}
