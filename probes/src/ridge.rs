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
    linalg::{Cholesky, Precision, Real, gram, kernel},
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
/// | `precision` | `mixed` | f32 first where a fit is large; the result is refined in f64 | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RidgeParams {
    /// Candidates, each above 0.
    pub penalties: Vec<f64>,
    /// How one of them is chosen.
    pub selection: Selection,
    /// Whether to fit an unpenalised constant.
    pub intercept: bool,
    /// In which precision large products are done.
    pub precision: Precision,
}

impl Default for RidgeParams {
    fn default() -> Self {
        Self {
            penalties: (-3..=3).map(|power| 10_f64.powi(power)).collect(),
            selection: Selection::default(),
            intercept: true,
            precision: Precision::default(),
        }
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
    /// b, \[target\].
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
        let mut exact = Problem::new(x, y, self.params.intercept);
        let mut quick = (self.params.precision == Precision::Mixed && exact.work() > LARGE).then(|| exact.cast::<f32>());
        let mut errors = vec![Vec::new(); tasks.len()];
        let choose = self.params.penalties.len() > 1;
        for &penalty in self.params.penalties.iter().filter(|_| choose) {
            let squares = match quick.as_mut().map(|quick| quick.left_out_squares(penalty, self.params.selection, &blocks)) {
                Some(Ok(Some(squares))) => squares,
                _ => exact.left_out_squares(penalty, self.params.selection, &blocks)?.expect("f64 is as exact as it gets"),
            };
            for (errors, columns) in errors.iter_mut().zip(&columns) {
                errors.push((penalty, squares.slice(s![columns.clone()]).sum() / n as f64));
            }
        }
        let chosen: Vec<f64> = errors
            .iter()
            .map(|errors| errors.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(self.params.penalties[0], |&(penalty, _)| penalty))
            .collect();
        let mut weights: Vec<Option<Array2<f64>>> = vec![None; tasks.len()];
        for &penalty in &self.params.penalties {
            let of_penalty: Vec<usize> =
                (0..tasks.len()).filter(|&task| weights[task].is_none() && chosen[task].total_cmp(&penalty).is_eq()).collect();
            if of_penalty.is_empty() {
                continue;
            }
            let wanted: Vec<usize> = of_penalty.iter().flat_map(|&task| columns[task].clone()).collect();
            let solved = exact.weights(&mut quick, penalty, &wanted)?;
            let mut start = 0;
            for task in of_penalty {
                let end = start + columns[task].len();
                weights[task] = Some(solved.slice(s![.., start..end]).to_owned());
                start = end;
            }
        }
        let fitted = weights.into_iter().zip(chosen).zip(errors).zip(&columns).map(|(((weights, penalty), left_out_errors), columns)| {
            let weights = weights.expect("every task chose one of the penalties");
            let intercept = &y_mean.slice(s![columns.clone()]) - &x_mean.dot(&weights);
            FittedRidge { weights, intercept, penalty, left_out_errors }
        });
        Ok(fitted.collect())
    }
}

/// Multiplications from which on f32 is worth its refinement.
const LARGE: f64 = 1e9;

/// Centred data and the matrix every penalty is added to: `X^T X`, or `X X^T` when there are fewer samples than channels.
struct Problem<F: Real> {
    x: Array2<F>,
    y: Array2<F>,
    intercept: bool,
    dual: bool,
    /// Made when it is first needed, and whether it was.
    square: Option<Array2<F>>,
}

impl<F: Real> Problem<F> {
    fn new(x: Array2<F>, y: Array2<F>, intercept: bool) -> Self {
        let dual = x.nrows() < x.ncols();
        Self { x, y, intercept, dual, square: None }
    }

    fn work(&self) -> f64 {
        let (n, d) = self.x.dim();
        n as f64 * d as f64 * n.min(d) as f64
    }

    fn cast<G: Real>(&self) -> Problem<G> {
        let convert = |array: &Array2<F>| array.mapv(|value| G::narrow(value.widen()));
        Problem { x: convert(&self.x), y: convert(&self.y), intercept: self.intercept, dual: self.dual, square: None }
    }

    /// The penalty on the sum of squares: samples times the penalty on the mean.
    fn ridge(&self, penalty: f64) -> f64 {
        penalty * self.x.nrows() as f64
    }

    fn factor(&mut self, penalty: f64) -> Result<Cholesky<F>, ProbeError> {
        let ridge = F::narrow(self.ridge(penalty));
        let (dual, x) = (self.dual, &self.x);
        let mut penalised = self.square.get_or_insert_with(|| if dual { kernel(x.view()) } else { gram(x.view()) }).clone();
        penalised.diag_mut().mapv_inplace(|diagonal| diagonal + ridge);
        Cholesky::new(penalised, "the penalised matrix of a ridge fit")
    }

    /// What the square matrix is solved against: `X^T r`, or in the dual form `r` itself.
    fn right_side(&self, r: &Array2<F>) -> Array2<F> {
        if self.dual { r.clone() } else { self.x.t().dot(r) }
    }

    /// Sum over samples of the squared left-out residual, per target; `None` if this precision cannot tell.
    fn left_out_squares(&mut self, penalty: f64, selection: Selection, blocks: &[Vec<usize>]) -> Result<Option<Array1<f64>>, ProbeError> {
        let factor = self.factor(penalty)?;
        if !factor.is_good_enough() {
            return Ok(None);
        }
        let ridge = self.ridge(penalty);
        let n = self.x.nrows() as f64;
        let constant = if self.intercept { 1.0 / n } else { 0.0 };
        let coefficients = factor.solve(self.right_side(&self.y));
        // In the dual form Y - K A = ridge A.
        let residual = if self.dual { coefficients * F::narrow(ridge) } else { &self.y - &self.x.dot(&coefficients) };
        let residual = residual.mapv(Real::widen);
        let squares = |residual: &Array2<f64>| residual.map_axis(Axis(0), |column| column.dot(&column));
        if selection == Selection::Generalised {
            // The trace of I - H: what of the samples is left free.
            let inverse_trace = factor.lower_inverse().iter().map(|value| value.widen().powi(2)).sum::<f64>();
            let size = factor.lower().nrows() as f64;
            let free = if self.dual { ridge * inverse_trace } else { n - size + ridge * inverse_trace } - constant * n;
            return Ok(Some(squares(&residual) * (n / free).powi(2)));
        }
        let half = if self.dual { factor.lower_inverse() } else { factor.forward(self.x.t().to_owned()) };
        // Rows of samples are contiguous from here on: [sample, ..].
        let half = half.t().as_standard_layout().into_owned();
        let mut sum = Array1::zeros(self.y.ncols());
        for block in blocks {
            // An entry of I - H.
            let entry = |i: usize, j: usize| {
                let product = half.row(block[i]).dot(&half.row(block[j])).widen();
                let own = f64::from(u8::from(i == j));
                (if self.dual { ridge * product } else { own - product }) - constant
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
        Ok(Some(sum))
    }
}

impl Problem<f64> {
    /// W [channel, target] for these targets.
    fn weights(&mut self, quick: &mut Option<Problem<f32>>, penalty: f64, targets: &[usize]) -> Result<Array2<f64>, ProbeError> {
        let y = self.y.select(Axis(1), targets);
        let coefficients = match quick.as_mut().map(|quick| quick.factor(penalty)) {
            Some(Ok(factor)) => self.refined(&factor, penalty, &y),
            _ => None,
        };
        let coefficients = match coefficients {
            Some(coefficients) => coefficients,
            None => self.factor(penalty)?.solve(self.right_side(&y)),
        };
        Ok(if self.dual { self.x.t().dot(&coefficients) } else { coefficients })
    }

    /// Solves with an f32 factor and corrects by f64 residuals; `None` if that does not converge.
    fn refined(&self, factor: &Cholesky<f32>, penalty: f64, y: &Array2<f64>) -> Option<Array2<f64>> {
        let size = |array: &Array2<f64>| array.iter().map(|value| value * value).sum::<f64>().sqrt();
        let solve = |right_side: &Array2<f64>| {
            // Scaled to unit size, so that small corrections stay within the range of f32.
            let scale = right_side.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
            factor.solve(right_side.mapv(|value| (value / scale) as f32)).mapv(|value| f64::from(value) * scale)
        };
        let mut coefficients = solve(&self.right_side(y));
        let mut share = 1.0;
        for _ in 0..8 {
            let fitted = if self.dual { self.x.dot(&self.x.t().dot(&coefficients)) } else { self.x.dot(&coefficients) };
            let mut residual = self.right_side(&(y - &fitted));
            residual.scaled_add(-self.ridge(penalty), &coefficients);
            let correction = solve(&residual);
            coefficients += &correction;
            let moved = size(&correction) / size(&coefficients).max(f64::MIN_POSITIVE);
            if !moved.is_finite() || moved > 0.25 * share {
                return None;
            }
            // Each correction shrinks by the factor the last one did: what is left is about this.
            if moved * (moved / share) <= 1e-10 {
                return Some(coefficients);
            }
            share = moved;
        }
        None
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
