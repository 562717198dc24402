//! Ridge readouts from sums alone, with grouped cross-validation: the samples themselves are not needed.
//!
//! Samples come as [`Moments`] per fold of groups (sequences). The moments of all folds but one are those of a training part,
//! and the squared error of a readout on the fold left out follows exactly from that fold's moments:
//! `|y - b - W^T x|^2` summed is `Syy - 2 W^T Sxy + W^T Sxx W` about the training means. So cross-validation by sequence, nested
//! for the choice of the penalty, costs no pass over data. Leaving out single samples or single groups does need them.

use std::ops::Range;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    ProbeError,
    linalg::{Cholesky, OneThread},
    moments::Moments,
    score::ratio,
};

/// Features scaled so that their mean variance over the training part is 1, targets as they are.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `penalties` | 1e-6, 1e-5, ..., 1e3 | candidates, on scaled features and mean squared error | above 0 |
/// | `level` | 0.95 | coverage of intervals | 0 to 1 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummedRidge {
    /// Candidates, each above 0.
    pub penalties: Vec<f64>,
    /// Coverage of intervals.
    pub level: f64,
}

impl Default for SummedRidge {
    fn default() -> Self {
        Self { penalties: (-6..=3).map(|power| 10_f64.powi(power)).collect(), level: 0.95 }
    }
}

/// What sums say of one set of target columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummedScore {
    /// R2 on folds the readout and its penalty never saw: 1 perfect, 0 nothing, negative harm.
    pub r2: f64,
    /// Its interval: Student's t over the folds' own R2. Approximate, since folds share training data.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Coverage of the interval.
    pub level: f64,
    /// R2 of each fold left out.
    pub fold_r2: Vec<f64>,
    /// Penalty chosen for each fold left out, by the other folds alone.
    pub fold_penalties: Vec<f64>,
    /// The curve over all penalties.
    pub path: Vec<PenaltyScore>,
    /// Penalty with the least cross-validated error: of the readout that is returned.
    pub penalty: f64,
}

/// What one penalty gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PenaltyScore {
    /// The candidate.
    pub penalty: f64,
    /// R2 on folds left out, the penalty fixed beforehand (a choice by this column makes its best entry too good).
    pub held_out_r2: f64,
    /// R2 on the samples it was fitted on: closed form, optimistic.
    pub fitted_r2: f64,
    /// Effective degrees of freedom, without the constant: trace of the map from targets to fitted values.
    pub degrees_of_freedom: f64,
    /// R2 by generalised cross-validation: closed form, but it takes every sample for independent.
    pub generalised_r2: f64,
}

/// A readout and its score.
#[derive(Clone, Debug)]
pub struct SummedFit {
    /// W, [channel, target], for features as they come.
    pub weights: Array2<f64>,
    /// b, \[target\].
    pub intercept: Array1<f64>,
    /// How good it is.
    pub score: SummedScore,
}

/// Squared error and squared deviation from the training mean.
#[derive(Clone, Copy, Default)]
struct Error {
    residual: f64,
    deviation: f64,
}

impl Error {
    fn r2(self) -> f64 {
        ratio(self.deviation - self.residual, self.deviation)
    }

    fn add(&mut self, other: Self) {
        self.residual += other.residual;
        self.deviation += other.deviation;
    }
}

impl SummedRidge {
    /// Fits and scores `targets` (a range of columns) from `features` (another) of the folds' moments.
    pub fn fit(&self, folds: &[Moments], features: Range<usize>, targets: Range<usize>) -> Result<SummedFit, ProbeError> {
        self.check(folds)?;
        let _one_thread = OneThread::new();
        let n = folds.len();
        // errors[f][g][penalty]: a readout fitted without f and g, judged on g. With g = f: fitted without f alone, judged on f.
        let mut errors = vec![vec![vec![Error::default(); self.penalties.len()]; n]; n];
        for first in 0..n {
            for second in first..n {
                let training = Training::new(folds, &[first, second], &features, &targets);
                for (index, &penalty) in self.penalties.iter().enumerate() {
                    let weights = training.weights(penalty)?;
                    errors[first][second][index] = training.error(&weights, &folds[second], &features, &targets);
                    errors[second][first][index] = training.error(&weights, &folds[first], &features, &targets);
                }
            }
        }
        let total = |errors: &[Error]| errors.iter().fold(Error::default(), |mut sum, &error| (sum.add(error), sum).1);
        let least = |residual: &dyn Fn(usize) -> f64| {
            (0..self.penalties.len()).min_by(|&a, &b| residual(a).total_cmp(&residual(b))).expect("there are candidates")
        };
        let chosen: Vec<usize> = (0..n)
            .map(|fold| least(&|index| (0..n).filter(|&other| other != fold).map(|other| errors[fold][other][index].residual).sum()))
            .collect();
        let judged: Vec<Error> = (0..n).map(|fold| errors[fold][fold][chosen[fold]]).collect();
        let held_out = |index: usize| total(&(0..n).map(|fold| errors[fold][fold][index]).collect::<Vec<_>>());
        let whole = Training::new(folds, &[], &features, &targets);
        let path = (0..self.penalties.len())
            .map(|index| whole.path_entry(self.penalties[index], held_out(index).r2()))
            .collect::<Result<_, _>>()?;
        let penalty = self.penalties[least(&|index| held_out(index).residual)];
        let weights = whole.weights(penalty)?;
        let fold_r2: Vec<f64> = judged.iter().map(|error| error.r2()).collect();
        let half = half_width(&fold_r2, self.level);
        let r2 = total(&judged).r2();
        let score = SummedScore {
            r2,
            low: r2 - half,
            high: r2 + half,
            level: self.level,
            fold_r2,
            fold_penalties: chosen.iter().map(|&index| self.penalties[index]).collect(),
            path,
            penalty,
        };
        let intercept = &whole.y_mean - &whole.x_mean.dot(&weights);
        Ok(SummedFit { weights, intercept, score })
    }

    fn check(&self, folds: &[Moments]) -> Result<(), ProbeError> {
        let range = "finite and above 0 (give at least one)";
        if let Some(&value) = self.penalties.iter().find(|penalty| !penalty.is_finite() || **penalty <= 0.0) {
            return Err(ProbeError::Parameter { parameter: "a ridge penalty", value, range });
        }
        if self.penalties.is_empty() {
            return Err(ProbeError::Parameter { parameter: "the list of ridge penalties", value: f64::NAN, range });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(ProbeError::Parameter { parameter: "level", value: self.level, range: "between 0 and 1" });
        }
        let filled = folds.iter().filter(|fold| fold.count() > 0).count();
        if filled < folds.len() || filled < 3 {
            return Err(ProbeError::TooFewGroups {
                found: filled,
                purpose: "nested cross-validation by folds",
                needed: folds.len().max(3),
            });
        }
        Ok(())
    }
}

/// Half the width of Student's interval of a mean.
fn half_width(values: &[f64], level: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = StudentsT::new(0.0, 1.0, n - 1.0).map_or(f64::NAN, |t| t.inverse_cdf(f64::midpoint(1.0, level)));
    t * (variance / n).sqrt()
}

/// The moments a readout is fitted on.
struct Training {
    count: f64,
    x_mean: Array1<f64>,
    y_mean: Array1<f64>,
    xx: Array2<f64>,
    xy: Array2<f64>,
    yy: f64,
    /// The mean variance of the features.
    scale: f64,
}

impl Training {
    fn new(folds: &[Moments], without: &[usize], features: &Range<usize>, targets: &Range<usize>) -> Self {
        let kept = folds.iter().enumerate().filter(|(index, _)| !without.contains(index)).map(|(_, fold)| fold);
        let sum = kept.fold(Moments::empty(folds[0].n_columns()), Moments::merged);
        let count = sum.count() as f64;
        let mean_variance = sum.squares(features.clone()) / (count * features.len().max(1) as f64);
        Self {
            count,
            x_mean: sum.means(features.clone()),
            y_mean: sum.means(targets.clone()),
            xx: sum.products(features.clone(), features.clone()),
            xy: sum.products(features.clone(), targets.clone()),
            yy: sum.squares(targets.clone()),
            // Features that never vary explain nothing at any scale.
            scale: if mean_variance > 0.0 { mean_variance } else { 1.0 },
        }
    }

    fn factor(&self, penalty: f64) -> Result<Cholesky<f64>, ProbeError> {
        let mut penalised = self.xx.clone();
        let ridge = self.ridge(penalty);
        penalised.diag_mut().mapv_inplace(|diagonal| diagonal + ridge);
        Cholesky::new(penalised, "the penalised matrix of a ridge fit")
    }

    /// What is added to the diagonal of the sums.
    fn ridge(&self, penalty: f64) -> f64 {
        penalty * self.count * self.scale
    }

    fn weights(&self, penalty: f64) -> Result<Array2<f64>, ProbeError> {
        Ok(self.factor(penalty)?.solve(self.xy.clone()))
    }

    /// The error on samples that are known by their moments.
    fn error(&self, weights: &Array2<f64>, judged: &Moments, features: &Range<usize>, targets: &Range<usize>) -> Error {
        let n = judged.count() as f64;
        let x_step = judged.means(features.clone()) - &self.x_mean;
        let y_step = judged.means(targets.clone()) - &self.y_mean;
        let deviation = judged.squares(targets.clone()) + n * y_step.dot(&y_step);
        let moved = x_step.dot(weights);
        let across = (&judged.products(features.clone(), targets.clone()) * weights).sum() + n * moved.dot(&y_step);
        let fitted = (&judged.products(features.clone(), features.clone()).dot(weights) * weights).sum() + n * moved.dot(&moved);
        Error { residual: deviation - 2.0 * across + fitted, deviation }
    }

    fn path_entry(&self, penalty: f64, held_out_r2: f64) -> Result<PenaltyScore, ProbeError> {
        let factor = self.factor(penalty)?;
        let weights = factor.solve(self.xy.clone());
        let fitted = (&self.xx.dot(&weights) * &weights).sum();
        let residual = self.yy - 2.0 * (&self.xy * &weights).sum() + fitted;
        let inverse_trace: f64 = factor.lower_inverse().iter().map(|value| value * value).sum();
        let degrees_of_freedom = self.xx.nrows() as f64 - self.ridge(penalty) * inverse_trace;
        // Against the mean's own generalised error, so that a readout that says nothing scores 0.
        let free = |used: f64| ((self.count - 1.0 - used) / (self.count - 1.0)).powi(2);
        Ok(PenaltyScore {
            penalty,
            held_out_r2,
            fitted_r2: ratio(self.yy - residual, self.yy),
            degrees_of_freedom,
            generalised_r2: ratio(self.yy - residual / free(degrees_of_freedom), self.yy),
        })
    }
}
