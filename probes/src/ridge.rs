//! Ridge regression in closed form, several targets at once, its penalty chosen by leaving groups out in closed form.
//!
//! Minimises `mean over samples of |y - W^T x - b|^2  +  penalty |W|^2`; `b` is not penalised.
//! The residual of a sample (or a whole group) that the fit has not seen follows from the fit that has seen it:
//! `(I - H_gg)^{-1} r_g`, with H the map from targets to fitted values. So choosing a penalty costs no refits.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::{
    ProbeError,
    linalg::{Cholesky, gram, kernel},
    samples::check_finite,
};

/// How the penalty is chosen from the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Least squared error on groups left out one at a time, in closed form. The honest choice when samples of a group are alike.
    #[default]
    LeaveOneGroupOut,
    /// Least squared error on samples left out one at a time, in closed form.
    LeaveOneOut,
    /// Generalised cross-validation: the same with every leverage replaced by the mean leverage. The cheapest.
    Generalised,
}

/// Parameters as typed; [`RidgeParams::check`] makes a [`Ridge`] of them.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `penalties` | 1e-3, 1e-2, ..., 1e3 | candidates; one of them means no choice | above 0 |
/// | `selection` | `leave_one_group_out` | how one is chosen | |
/// | `intercept` | true | an unpenalised constant | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RidgeParams {
    /// Candidates, each above 0.
    pub penalties: Vec<f64>,
    /// How one of them is chosen.
    pub selection: Selection,
    /// Whether to fit an unpenalised constant.
    pub intercept: bool,
}

impl Default for RidgeParams {
    fn default() -> Self {
        Self { penalties: (-3..=3).map(|power| 10_f64.powi(power)).collect(), selection: Selection::default(), intercept: true }
    }
}

impl RidgeParams {
    /// Checks ranges.
    pub fn check(&self) -> Result<Ridge, ProbeError> {
        let range = "finite and above 0 (give at least one)";
        if self.penalties.is_empty() {
            return Err(ProbeError::Parameter { parameter: "the list of ridge penalties", value: f64::NAN, range });
        }
        match self.penalties.iter().find(|penalty| !penalty.is_finite() || **penalty <= 0.0) {
            Some(&value) => Err(ProbeError::Parameter { parameter: "a ridge penalty", value, range }),
            None => Ok(Ridge { params: self.clone() }),
        }
    }
}

/// Checked parameters.
#[derive(Clone, Debug)]
pub struct Ridge {
    params: RidgeParams,
}

/// A fitted readout.
#[derive(Clone, Debug)]
pub struct FittedRidge {
    /// W, [channel, target].
    pub weights: Array2<f64>,
    /// b, [target].
    pub intercept: Array1<f64>,
    /// The penalty it was fitted with.
    pub penalty: f64,
    /// Mean squared error on what was left out, per candidate; empty when there was no choice.
    pub left_out_errors: Vec<(f64, f64)>,
}

impl FittedRidge {
    /// [sample, target].
    pub fn predict(&self, features: &Array2<f64>) -> Array2<f64> {
        features.dot(&self.weights) + &self.intercept
    }
}

impl Ridge {
    /// Fits `targets` [sample, target] from `features` [sample, channel]. `groups` matter only for choosing the penalty.
    pub fn fit(&self, features: &Array2<f64>, targets: &Array2<f64>, groups: &[u64]) -> Result<FittedRidge, ProbeError> {
        let mut fitted = self.fit_tasks(features, &[targets.view()], groups)?;
        Ok(fitted.remove(0))
    }

    /// Fits several tasks that share the features: each gets its own penalty, but a penalty is factored only once for all.
    pub fn fit_tasks(&self, features: &Array2<f64>, tasks: &[ArrayView2<f64>], groups: &[u64]) -> Result<Vec<FittedRidge>, ProbeError> {
        let n = features.nrows();
        if n == 0 {
            return Err(ProbeError::Empty);
        }
        if groups.len() != n {
            return Err(ProbeError::Length { what: "the list of groups", found: groups.len(), wanted: n });
        }
        check_finite("a feature", features.view())?;
        for task in tasks {
            if task.nrows() != n {
                return Err(ProbeError::Length { what: "the targets", found: task.nrows(), wanted: n });
            }
            check_finite("a target", task.view())?;
        }
        let centre = |array: ArrayView2<f64>| {
            let mean =
                if self.params.intercept { array.mean_axis(Axis(0)).expect("there are samples") } else { Array1::zeros(array.ncols()) };
            (&array - &mean, mean)
        };
        let (x, x_mean) = centre(features.view());
        let stacked = ndarray::concatenate(Axis(1), tasks).expect("all tasks have one row per sample");
        let (y, y_mean) = centre(stacked.view());
        let mut columns = Vec::with_capacity(tasks.len());
        let mut start = 0;
        for task in tasks {
            columns.push(start..start + task.ncols());
            start += task.ncols();
        }

        let blocks = match self.params.selection {
            Selection::LeaveOneGroupOut => blocks_of(groups),
            _ => (0..n).map(|sample| vec![sample]).collect(),
        };
        let problem = Problem::new(x, y, self.params.intercept);
        let choose = self.params.penalties.len() > 1;
        let mut best: Vec<Option<(f64, f64, Array2<f64>)>> = vec![None; tasks.len()];
        let mut errors = vec![Vec::new(); tasks.len()];
        for &penalty in &self.params.penalties {
            let solved = problem.solve(penalty)?;
            let left_out = if choose { Some(problem.left_out_squares(&solved, self.params.selection, &blocks)?) } else { None };
            for (task, columns) in columns.iter().enumerate() {
                let error = left_out.as_ref().map_or(0.0, |squares| squares.slice(s![columns.clone()]).sum() / n as f64);
                if choose {
                    errors[task].push((penalty, error));
                }
                // A tie goes to the stronger penalty only if it comes first: candidates are tried in the order given.
                if best[task].as_ref().is_none_or(|(least, ..)| error < *least) {
                    best[task] = Some((error, penalty, solved.coefficients.slice(s![.., columns.clone()]).to_owned()));
                }
            }
        }
        let fitted = best.into_iter().zip(errors).zip(&columns).map(|((best, left_out_errors), columns)| {
            let (_, penalty, coefficients) = best.expect("there is at least one penalty");
            let weights = problem.weights(&coefficients);
            let intercept = &y_mean.slice(s![columns.clone()]) - &x_mean.dot(&weights);
            FittedRidge { weights, intercept, penalty, left_out_errors }
        });
        Ok(fitted.collect())
    }
}

/// Centred data and the matrix every penalty is added to: `X^T X`, or `X X^T` when there are fewer samples than channels.
struct Problem {
    x: Array2<f64>,
    y: Array2<f64>,
    intercept: bool,
    dual: bool,
    square: Array2<f64>,
    right_side: Array2<f64>,
}

/// One penalty's solution.
struct Solved {
    factor: Cholesky<f64>,
    /// The penalty on the sum of squares (samples times the penalty on the mean).
    ridge: f64,
    /// Weights [channel, target], or in the dual form sample coefficients [sample, target].
    coefficients: Array2<f64>,
}

impl Problem {
    fn new(x: Array2<f64>, y: Array2<f64>, intercept: bool) -> Self {
        let dual = x.nrows() < x.ncols();
        let (square, right_side) = if dual { (kernel(x.view()), y.clone()) } else { (gram(x.view()), x.t().dot(&y)) };
        Self { x, y, intercept, dual, square, right_side }
    }

    fn solve(&self, penalty: f64) -> Result<Solved, ProbeError> {
        let ridge = penalty * self.x.nrows() as f64;
        let mut penalised = self.square.clone();
        penalised.diag_mut().mapv_inplace(|diagonal| diagonal + ridge);
        let factor = Cholesky::new(penalised, "the penalised matrix of a ridge fit")?;
        let coefficients = factor.solve(self.right_side.clone());
        Ok(Solved { factor, ridge, coefficients })
    }

    fn weights(&self, coefficients: &Array2<f64>) -> Array2<f64> {
        if self.dual { self.x.t().dot(coefficients) } else { coefficients.clone() }
    }

    /// Sum over samples of the squared left-out residual, per target.
    fn left_out_squares(&self, solved: &Solved, selection: Selection, blocks: &[Vec<usize>]) -> Result<Array1<f64>, ProbeError> {
        let n = self.x.nrows() as f64;
        let constant = if self.intercept { 1.0 / n } else { 0.0 };
        // In the dual form Y - K A = ridge A.
        let residual = if self.dual { &solved.coefficients * solved.ridge } else { &self.y - &self.x.dot(&solved.coefficients) };
        let squares = |residual: &Array2<f64>| residual.map_axis(Axis(0), |column| column.dot(&column));
        if selection == Selection::Generalised {
            // The trace of I - H: what of the samples is left free.
            let inverse_trace = solved.factor.lower_inverse().iter().map(|value| value * value).sum::<f64>();
            let size = solved.factor.lower().nrows() as f64;
            let free = if self.dual { solved.ridge * inverse_trace } else { n - size + solved.ridge * inverse_trace } - constant * n;
            return Ok(squares(&residual) * (n / free).powi(2));
        }
        // I - H for the samples of one block.
        let half = if self.dual { solved.factor.lower_inverse() } else { solved.factor.forward(self.x.t().to_owned()) };
        // Rows of samples are contiguous from here on: [sample, ..].
        let half = half.t().as_standard_layout().into_owned();
        let mut sum = Array1::zeros(self.y.ncols());
        for block in blocks {
            let entry = |i: usize, j: usize| {
                let product = half.row(block[i]).dot(&half.row(block[j]));
                let own = f64::from(u8::from(i == j));
                (if self.dual { solved.ridge * product } else { own - product }) - constant
            };
            if let [sample] = block[..] {
                let free = entry(0, 0);
                sum += &residual.row(sample).mapv(|residual| (residual / free).powi(2));
            } else {
                let free = Array2::from_shape_fn((block.len(), block.len()), |(i, j)| entry(i, j));
                let left_out = Cholesky::new(free, "the leave-out matrix of a ridge fit")?.solve(residual.select(Axis(0), block));
                sum += &squares(&left_out);
            }
        }
        Ok(sum)
    }
}

/// The samples of each group.
fn blocks_of(groups: &[u64]) -> Vec<Vec<usize>> {
    let mut blocks: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (sample, &group) in groups.iter().enumerate() {
        blocks.entry(group).or_default().push(sample);
    }
    blocks.into_values().collect()
}
