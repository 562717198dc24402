//! Ridge regression in closed form, several targets at once, its penalty chosen by leaving groups out in closed form.
//!
//! Minimises `mean over samples of |y - W^T x - b|^2  +  penalty |W|^2`; `b` is not penalised.
//! The residual of a sample (or a whole group) that the fit has not seen follows from the fit that has seen it:
//! `(I - H_gg)^{-1} r_g`, with H the map from targets to fitted values. So choosing a penalty costs no refits.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Zip, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    ProbeError,
    linalg::{Cholesky, Eigen, Precision, Real, gram, kernel, weighted_dot},
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
        let stacked = ndarray::concatenate(Axis(1), tasks).expect("all tasks have one row per sample");
        let mut columns = Vec::with_capacity(tasks.len());
        let mut start = 0;
        for task in tasks {
            columns.push(start..start + task.ncols());
            start += task.ncols();
        }
        let data = Data::new(features.view(), stacked, self.params.intercept);
        let blocks = match self.params.selection {
            Selection::LeaveOneGroupOut => blocks_of(groups),
            _ => (0..n).map(|sample| vec![sample]).collect(),
        };
        let n_choices = self.params.penalties.len();
        let is_large = data.work() > LARGE;
        let mut quick = (self.params.precision != Precision::Double && is_large).then(|| Problem::<f32>::new(&data));
        let mut exact: Option<Problem<f64>> = None;
        let mut errors = vec![Vec::new(); tasks.len()];
        for &penalty in self.params.penalties.iter().filter(|_| n_choices > 1) {
            let squares = if let Some(Ok(Some(squares))) =
                quick.as_mut().map(|quick| quick.left_out_squares(&data, penalty, self.params.selection, &blocks))
            {
                squares
            } else {
                let exact = exact.get_or_insert_with(|| Problem::new(&data));
                exact.left_out_squares(&data, penalty, self.params.selection, &blocks)?.expect("f64 is as exact as it gets")
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
            let y = if wanted.len() == data.y.ncols() { data.y.clone() } else { data.y.select(Axis(1), &wanted) };
            let narrow = quick.as_mut().and_then(|quick| {
                if self.params.precision == Precision::Single {
                    let right_side = quick.right_side(data.dual, &wanted);
                    let solver = quick.solver(&data, penalty, n_choices).ok()?;
                    return Some(solver.solve(data.ridge(penalty), right_side).mapv(f64::from));
                }
                data.refined(&quick.solver(&data, penalty, n_choices).ok()?, penalty, &y)
            });
            let coefficients = if let Some(coefficients) = narrow {
                coefficients
            } else {
                let exact = exact.get_or_insert_with(|| Problem::new(&data));
                exact.solver(&data, penalty, n_choices)?.solve(data.ridge(penalty), data.right_side(&y))
            };
            let solved = if data.dual { data.transposed_times(&coefficients) } else { coefficients };
            let mut start = 0;
            for task in of_penalty {
                let end = start + columns[task].len();
                weights[task] = Some(solved.slice(s![.., start..end]).to_owned());
                start = end;
            }
        }
        let fitted = weights.into_iter().zip(chosen).zip(errors).zip(&columns).map(|(((weights, penalty), left_out_errors), columns)| {
            let weights = weights.expect("every task chose one of the penalties");
            let mut intercept = data.y_mean.slice(s![columns.clone()]).to_owned();
            if let Some(mean) = &data.mean {
                intercept -= &mean.dot(&weights);
            }
            FittedRidge { weights, intercept, penalty, left_out_errors }
        });
        Ok(fitted.collect())
    }
}

/// Multiplications from which on f32 is worth its refinement.
const LARGE: f64 = 1e9;
/// Penalties from which on one eigendecomposition costs less than a factorisation each.
const MANY: usize = 3;

/// The data of a fit in f64. Features are centred in passing, never copied.
struct Data<'a> {
    x: ArrayView2<'a, f64>,
    /// Of the features, where there is an intercept.
    mean: Option<Array1<f64>>,
    /// Centred targets.
    y: Array2<f64>,
    y_mean: Array1<f64>,
    /// Whether the problem is solved in the space of samples, because there are fewer of them than channels.
    dual: bool,
}

impl<'a> Data<'a> {
    fn new(x: ArrayView2<'a, f64>, mut y: Array2<f64>, intercept: bool) -> Self {
        let mean = intercept.then(|| x.mean_axis(Axis(0)).expect("there are samples"));
        let y_mean = if intercept { y.mean_axis(Axis(0)).expect("there are samples") } else { Array1::zeros(y.ncols()) };
        if intercept {
            y -= &y_mean;
        }
        Self { x, mean, y, y_mean, dual: x.nrows() < x.ncols() }
    }

    fn work(&self) -> f64 {
        let (n, d) = self.x.dim();
        n as f64 * d as f64 * n.min(d) as f64
    }

    /// The penalty on the sum of squares: samples times the penalty on the mean.
    fn ridge(&self, penalty: f64) -> f64 {
        penalty * self.x.nrows() as f64
    }

    /// Centred features times this.
    fn times(&self, coefficients: &Array2<f64>) -> Array2<f64> {
        let mut product = self.x.dot(coefficients);
        if let Some(mean) = &self.mean {
            product -= &mean.dot(coefficients);
        }
        product
    }

    /// Centred features, transposed, times this.
    fn transposed_times(&self, residual: &Array2<f64>) -> Array2<f64> {
        let mut product = self.x.t().dot(residual);
        if let Some(mean) = &self.mean {
            let sums = residual.sum_axis(Axis(0));
            for (mut row, &mean) in product.rows_mut().into_iter().zip(mean) {
                row.scaled_add(-mean, &sums);
            }
        }
        product
    }

    /// What the square matrix is solved against: `X^T r`, or in the dual form `r` itself.
    fn right_side(&self, r: &Array2<f64>) -> Array2<f64> {
        if self.dual { r.clone() } else { self.transposed_times(r) }
    }

    /// Solves with an f32 solver and corrects by f64 residuals; `None` if that does not converge.
    fn refined(&self, solver: &Solver<f32>, penalty: f64, y: &Array2<f64>) -> Option<Array2<f64>> {
        let size = |array: &Array2<f64>| array.iter().map(|value| value * value).sum::<f64>().sqrt();
        let ridge = self.ridge(penalty);
        let solve = |right_side: &Array2<f64>| {
            // Scaled to unit size, so that small corrections stay within the range of f32.
            let scale = right_side.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
            solver.solve(ridge, right_side.mapv(|value| (value / scale) as f32)).mapv(|value| f64::from(value) * scale)
        };
        let right_side = self.right_side(y);
        let mut coefficients = solve(&right_side);
        let mut share = 1.0;
        for _ in 0..8 {
            let fitted = if self.dual { self.times(&self.transposed_times(&coefficients)) } else { self.times(&coefficients) };
            let mut residual = if self.dual { y - &fitted } else { self.transposed_times(&(y - &fitted)) };
            residual.scaled_add(-ridge, &coefficients);
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

/// Solves `(square + ridge I) c = b` for the ridge it was made for (Cholesky), or for any (eigenvalues).
enum Solver<'a, F: Real> {
    Factor(Cholesky<F>),
    Spectrum(&'a Eigen<F>),
}

impl<F: Real> Solver<'_, F> {
    fn solve(&self, ridge: f64, right_side: Array2<F>) -> Array2<F> {
        match self {
            Self::Factor(factor) => factor.solve(right_side),
            Self::Spectrum(eigen) => eigen.apply(|value| shrinkage(value, ridge), &right_side),
        }
    }
}

/// `1 / (value + ridge)`; rounding may have left a null eigenvalue slightly negative.
fn shrinkage<F: Real>(value: F, ridge: f64) -> F {
    F::narrow((value.widen().max(0.0) + ridge).recip())
}

/// Centred data in one precision and the matrix every penalty is added to: `X^T X`, or `X X^T` in the dual form.
struct Problem<F: Real> {
    x: Array2<F>,
    y: Array2<F>,
    /// Made when it is first needed.
    square: Option<Array2<F>>,
    spectrum: Option<Spectrum<F>>,
}

/// What many penalties share.
struct Spectrum<F: Real> {
    eigen: Eigen<F>,
    /// Targets in the eigenvectors' coordinates: `V^T X^T Y`, or `V^T Y` in the dual form.
    inside: Array2<F>,
    /// Samples in the eigenvectors' coordinates [sample, value]: `X V`, or `V` in the dual form. Made when leverages are asked for.
    samples: Option<Array2<F>>,
}

impl<F: Real> Problem<F> {
    fn new(data: &Data) -> Self {
        let mut x = Array2::zeros(data.x.raw_dim());
        let convert = |mut to: ArrayViewMut2<F>, from: ArrayView2<f64>| match &data.mean {
            Some(mean) => {
                for (mut to, from) in to.rows_mut().into_iter().zip(from.rows()) {
                    Zip::from(&mut to).and(from).and(mean).for_each(|to, &from, &mean| *to = F::narrow(from - mean));
                }
            }
            None => to.zip_mut_with(&from, |to, &from| *to = F::narrow(from)),
        };
        let chunk = 256;
        x.axis_chunks_iter_mut(Axis(0), chunk)
            .into_par_iter()
            .zip(data.x.axis_chunks_iter(Axis(0), chunk))
            .for_each(|(to, from)| convert(to, from));
        Self { x, y: data.y.mapv(F::narrow), square: None, spectrum: None }
    }

    fn square(&mut self, dual: bool) -> &Array2<F> {
        self.square.get_or_insert_with(|| if dual { kernel(self.x.view()) } else { gram(self.x.view()) })
    }

    /// What the square matrix is solved against for these targets, in this precision.
    fn right_side(&self, dual: bool, targets: &[usize]) -> Array2<F> {
        let y = self.y.select(Axis(1), targets);
        if dual { y } else { self.x.t().dot(&y) }
    }

    fn spectrum(&mut self, dual: bool) -> Result<&mut Spectrum<F>, ProbeError> {
        if self.spectrum.is_none() {
            let eigen = Eigen::new(self.square(dual).clone(), "the matrix of a ridge fit")?;
            let inside = if dual { eigen.vectors.t().dot(&self.y) } else { eigen.vectors.t().dot(&self.x.t().dot(&self.y)) };
            self.spectrum = Some(Spectrum { eigen, inside, samples: None });
        }
        Ok(self.spectrum.as_mut().expect("just made"))
    }

    fn solver(&mut self, data: &Data, penalty: f64, n_choices: usize) -> Result<Solver<'_, F>, ProbeError> {
        if n_choices >= MANY {
            return Ok(Solver::Spectrum(&self.spectrum(data.dual)?.eigen));
        }
        let ridge = F::narrow(data.ridge(penalty));
        let mut penalised = self.square(data.dual).clone();
        penalised.diag_mut().mapv_inplace(|diagonal| diagonal + ridge);
        Ok(Solver::Factor(Cholesky::new(penalised, "the penalised matrix of a ridge fit")?))
    }

    /// Sum over samples of the squared left-out residual, per target; `None` if this precision cannot tell.
    fn left_out_squares(
        &mut self,
        data: &Data,
        penalty: f64,
        selection: Selection,
        blocks: &[Vec<usize>],
    ) -> Result<Option<Array1<f64>>, ProbeError> {
        let (dual, ridge) = (data.dual, data.ridge(penalty));
        let n = self.x.nrows() as f64;
        let constant = if data.mean.is_some() { 1.0 / n } else { 0.0 };
        self.spectrum(dual)?;
        let Self { x, y, spectrum, .. } = self;
        let spectrum = spectrum.as_mut().expect("just made");
        let values = &spectrum.eigen.values;
        let (least, largest) =
            values.iter().fold((f64::INFINITY, 0.0_f64), |(least, largest), value| (least.min(value.widen()), largest.max(value.widen())));
        // Every eigenvalue is uncertain by the rounding of the largest; what is divided by is the least of them and the penalty.
        let rounding = F::epsilon().widen();
        if rounding > f64::EPSILON && largest * rounding > 1e-3 * (least.max(0.0) + ridge) {
            return Ok(None);
        }
        let shrunk: Array1<F> = values.mapv(|value| shrinkage(value, ridge));
        let squares = |residual: &Array2<f64>| residual.map_axis(Axis(0), |column| column.dot(&column));
        if selection == Selection::Generalised {
            // The trace of I - H: what of the samples is left free.
            let taken: f64 = values.iter().map(|value| value.widen().max(0.0) / (value.widen().max(0.0) + ridge)).sum();
            let free = n - taken - constant * n;
            let square = |inside: &F| inside.widen().powi(2);
            // Along each eigenvector in turn, so that no residual has to be made.
            let sum_inside = |weight: &dyn Fn(f64) -> f64| {
                let mut sum = Array1::<f64>::zeros(y.ncols());
                for (inside, value) in spectrum.inside.rows().into_iter().zip(values) {
                    let weight = weight(value.widen().max(0.0));
                    sum.zip_mut_with(&inside, |sum, inside| *sum += weight * square(inside));
                }
                sum
            };
            let left = if dual {
                // Y - K A = ridge A.
                sum_inside(&|value| (ridge / (value + ridge)).powi(2))
            } else {
                let whole = y.map_axis(Axis(0), |column| column.iter().map(square).sum::<f64>());
                let left = &whole - &sum_inside(&|value| (value + 2.0 * ridge) / (value + ridge).powi(2));
                // Where nearly all is explained, the difference is rounding.
                if left.iter().zip(&whole).any(|(left, whole)| *left < 1e4 * rounding * whole) {
                    let mut inside = spectrum.inside.clone();
                    scale_rows(&mut inside, &shrunk);
                    squares(&(&*y - &x.dot(&spectrum.eigen.vectors.dot(&inside))).mapv(Real::widen))
                } else {
                    left
                }
            };
            return Ok(Some(left * (n / free).powi(2)));
        }
        let mut inside = spectrum.inside.clone();
        scale_rows(&mut inside, &shrunk);
        let vectors = &spectrum.eigen.vectors;
        let samples = spectrum.samples.get_or_insert_with(|| {
            if dual { vectors.as_standard_layout().into_owned() } else { x.dot(vectors).as_standard_layout().into_owned() }
        });
        let residual = if dual { samples.dot(&inside) * F::narrow(ridge) } else { &*y - &samples.dot(&inside) };
        // An entry of I - H; rows of `samples` are contiguous.
        let entry = |i: usize, j: usize| {
            let product = weighted_dot(
                samples.row(i).to_slice().expect("rows are contiguous"),
                samples.row(j).to_slice().expect("rows are contiguous"),
                shrunk.as_slice().expect("one run of numbers"),
            );
            let own = f64::from(u8::from(i == j));
            (if dual { ridge * product.widen() } else { own - product.widen() }) - constant
        };
        let of_block = |block: &Vec<usize>| -> Result<Array1<f64>, ProbeError> {
            if let [sample] = block[..] {
                let free = entry(sample, sample);
                return Ok(residual.row(sample).mapv(|residual| (residual.widen() / free).powi(2)));
            }
            let mut free = Array2::zeros((block.len(), block.len()));
            for i in 0..block.len() {
                for j in 0..=i {
                    free[[i, j]] = entry(block[i], block[j]);
                    free[[j, i]] = free[[i, j]];
                }
            }
            let held = residual.select(Axis(0), block).mapv(Real::widen);
            Ok(squares(&Cholesky::new(free, "the leave-out matrix of a ridge fit")?.solve(held)))
        };
        // Fixed chunks, summed in order: the same sum whatever the number of threads.
        let parts: Vec<Array1<f64>> = blocks
            .par_chunks(64)
            .map(|blocks| {
                blocks
                    .iter()
                    .try_fold(Array1::zeros(residual.ncols()), |sum: Array1<f64>, block| Ok::<_, ProbeError>(sum + of_block(block)?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Some(parts.iter().fold(Array1::zeros(self.y.ncols()), |sum, part| sum + part)))
    }
}

fn scale_rows<F: Real>(array: &mut Array2<F>, factors: &Array1<F>) {
    for (mut row, &factor) in array.rows_mut().into_iter().zip(factors) {
        row.mapv_inplace(|number| number * factor);
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
