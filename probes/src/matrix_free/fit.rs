//! Ridge by conjugate gradients and logistic by limited-memory BFGS on a [`StateDesign`], cross-fitted like the dense readouts.
//!
//! The same objectives on the same centred and scaled features as [`evaluate`](crate::evaluate::evaluate) with isotropic
//! scaling. Only the choice of the penalty differs for ridge: leaving groups out has no closed form here, so inner folds by
//! group choose.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::StateDesign;
use crate::{
    Evaluated, Evaluation, LogisticParams, ProbeError, Readout, RidgeParams, Targets,
    design::Design,
    linalg::{Eigen, Real},
    logistic::{Inverse, Occurring, Preconditioner, descend},
    samples::check_finite,
    scaling::Scaling,
    split::{Folds, check_disjoint},
};

/// Folds by group that choose a ridge penalty.
const INNER_FOLDS: usize = 3;
/// Combinations of value channels from which the key channels' moments are estimated.
const COMBINATIONS: usize = 16;
/// Most conjugate-gradient steps of one solve.
const MAX_ITERATIONS: usize = 500;

/// Cross-fits every task on states that are never formed: as [`evaluate`](crate::evaluate::evaluate) does on a matrix.
///
/// Features are centred and scaled to a mean channel variance of 1 on the training part (`evaluation.scaling` must be
/// isotropic). Works in the precision of the design: f32 solves to 1e-5 of the gradient, f64 to 1e-11.
pub fn evaluate_states<F: Real>(
    design: &StateDesign<F>,
    tasks: &[Targets],
    groups: &[u64],
    readout: &Readout,
    evaluation: &Evaluation,
) -> Result<Vec<Evaluated>, ProbeError> {
    let n = design.n_samples();
    if groups.len() != n {
        return Err(ProbeError::Length { what: "the list of groups", found: groups.len(), wanted: n });
    }
    for task in tasks {
        if task.len() != n {
            return Err(ProbeError::Length { what: "the targets", found: task.len(), wanted: n });
        }
        task.check_finite()?;
    }
    if evaluation.scaling != Scaling::Isotropic {
        return Err(ProbeError::Scaling);
    }
    let norms = design.squared_norms();
    check_finite("a state", norms.view().insert_axis(Axis(1)))?;
    let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
    let mut evaluated: Vec<Evaluated> = tasks.iter().map(|task| Evaluated::blank(task, groups, &folds, readout)).collect();
    for fold in &folds {
        check_disjoint(groups, &fold.train, &fold.test)?;
        let part = Part { design, norms: &norms, groups, samples: &fold.train, seed: evaluation.seed };
        let targets: Vec<Targets> = tasks.iter().map(|task| task.select(&fold.train)).collect();
        let test = design.select(&fold.test);
        let predictions = match readout {
            Readout::Ridge(params) => ridge(&part, &test, &targets, params)?,
            Readout::Logistic(params) => targets.iter().map(|targets| logistic(&part, &test, targets, params)).collect::<Result<_, _>>()?,
        };
        for ((evaluated, (outputs, penalty)), targets) in evaluated.iter_mut().zip(predictions).zip(&targets) {
            evaluated.fill(&fold.test, &outputs, penalty, targets);
        }
    }
    Ok(evaluated)
}

/// Samples to fit on, of a design.
struct Part<'a, F: Real> {
    design: &'a StateDesign<F>,
    norms: &'a Array1<f64>,
    groups: &'a [u64],
    samples: &'a [usize],
    seed: u64,
}

impl<F: Real> Part<'_, F> {
    fn groups(&self) -> Vec<u64> {
        self.samples.iter().map(|&sample| self.groups[sample]).collect()
    }

    /// These of its samples, by place.
    fn of(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.samples[place]).collect()
    }

    /// Centred and scaled by its samples. As in the dense form, the channels that share the variance are at most the samples of
    /// the whole design.
    fn centred(&self, samples: &[usize]) -> Result<Centred<F>, ProbeError> {
        let n = samples.len() as f64;
        let design = self.design.select(samples);
        let mean = design.adjoint(Array2::from_elem((samples.len(), 1), F::narrow(1.0 / n)).view());
        let mean_square = mean.iter().map(|value| value.widen().powi(2)).sum::<f64>();
        let square = samples.iter().map(|&sample| self.norms[sample]).sum::<f64>() / n;
        let channels = design.n_channels().min(self.design.n_samples()).max(1) as f64;
        let variance = (square - mean_square).max(0.0) / channels;
        let scale = if variance > 1e-24 * (1.0 + variance) { variance.sqrt().recip() } else { 1.0 };
        let curvature = Kronecker::new(&design, scale * scale)?;
        Ok(Centred { design, scale: F::narrow(scale), curvature })
    }
}

/// Training features, centred and scaled.
struct Centred<F: Real> {
    design: StateDesign<F>,
    scale: F,
    curvature: Kronecker,
}

impl<F: Real> Centred<F> {
    fn centre(mut numbers: Array2<F>) -> Array2<F> {
        let n = numbers.nrows() as f64;
        for mut column in numbers.columns_mut() {
            let mean = F::narrow(column.iter().map(|value| value.widen()).sum::<f64>() / n);
            column.mapv_inplace(|value| value - mean);
        }
        numbers
    }

    /// Outputs of other samples of the same states: centred by the training mean.
    fn predict(&self, test: &StateDesign<F>, weights: &Array2<F>) -> Array2<f64> {
        let trained = self.design.forward(weights.view());
        let n = trained.nrows() as f64;
        let means = Array1::from_iter(trained.columns().into_iter().map(|column| column.iter().map(|v| v.widen()).sum::<f64>() / n));
        (test.forward(weights.view()).mapv(Real::widen) - means) * self.scale.widen()
    }
}

impl<F: Real> Design<F> for Centred<F> {
    fn n_samples(&self) -> usize {
        self.design.n_samples()
    }

    fn n_channels(&self) -> usize {
        self.design.n_channels()
    }

    fn forward(&self, weights: ArrayView2<F>) -> Array2<F> {
        Self::centre(self.design.forward(weights)) * self.scale
    }

    fn adjoint(&self, outputs: ArrayView2<F>) -> Array2<F> {
        self.design.adjoint(Self::centre(outputs.to_owned()).view()) * self.scale
    }
}

/// The covariance of the features as a Kronecker product of one over key channels and one over value channels: d_k^2 + d_v^2
/// numbers. Wrong in detail, it makes the iterations few; the solution does not depend on it.
#[derive(Clone)]
struct Kronecker {
    key: Eigen<f64>,
    value: Eigen<f64>,
}

impl Kronecker {
    fn new<F: Real>(design: &StateDesign<F>, scale: f64) -> Result<Self, ProbeError> {
        let key = Eigen::new(design.key_moments(COMBINATIONS) * scale, "the covariance of the key channels")?;
        let value = Eigen::new(design.value_moments(), "the moments of the value channels")?;
        Ok(Self { key, value })
    }

    /// Weights [channel, output] divided by `covariance * share + penalty`.
    fn divide(&self, weights: &Array2<f64>, share: f64, penalty: f64) -> Array2<f64> {
        let (d_k, d_v) = (self.key.values.len(), self.value.values.len());
        let mut divided = Array2::zeros(weights.raw_dim());
        for (from, mut to) in weights.columns().into_iter().zip(divided.columns_mut()) {
            let square = from.to_shape((d_k, d_v)).expect("a weight per channel");
            let mut inside = self.key.vectors.t().dot(&square).dot(&self.value.vectors);
            for ((i, j), value) in inside.indexed_iter_mut() {
                *value /= share * self.key.values[i].max(0.0) * self.value.values[j].max(0.0) + penalty;
            }
            let outside = self.key.vectors.dot(&inside).dot(&self.value.vectors.t());
            to.iter_mut().zip(&outside).for_each(|(to, &from)| *to = from);
        }
        divided
    }
}

/// Solves `mean over samples of |y - W^T x|^2 + penalty |W|^2` for every column of `y` [sample, output] at once; `start` is
/// where to begin.
fn conjugate_gradients<F: Real>(x: &Centred<F>, y: &Array2<F>, penalty: f64, start: Option<Array2<F>>, tolerance: f64) -> Array2<F> {
    let n = F::narrow(x.n_samples() as f64);
    let ridge = F::narrow(penalty);
    let shape = (x.n_channels(), y.ncols());
    let products = |a: &Array2<F>, b: &Array2<F>| -> Vec<f64> {
        let mut sums = vec![0.0; a.ncols()];
        for (a, b) in a.rows().into_iter().zip(b.rows()) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (&a, &b))| *sum += a.widen() * b.widen());
        }
        sums
    };
    let add = |to: &mut Array2<F>, factors: &[f64], from: &Array2<F>| {
        for (mut to, from) in to.rows_mut().into_iter().zip(from.rows()) {
            to.iter_mut().zip(from.iter().zip(factors)).for_each(|(to, (&from, &factor))| *to += F::narrow(factor) * from);
        }
    };
    let precondition = |residual: &Array2<F>| x.curvature.divide(&residual.mapv(Real::widen), 1.0, penalty).mapv(F::narrow);
    let right_side = x.adjoint(y.view()) / n;
    let wanted: Vec<f64> = products(&right_side, &right_side).iter().map(|square| square * tolerance * tolerance).collect();
    let mut residual = right_side;
    let mut weights = Array2::zeros(shape);
    if let Some(start) = start {
        residual = residual - (x.adjoint(x.forward(start.view()).view()) / n + &start * ridge);
        weights = start;
    }
    let mut preconditioned = precondition(&residual);
    let mut direction = preconditioned.clone();
    let mut decrease = products(&residual, &preconditioned);
    for _ in 0..MAX_ITERATIONS {
        if products(&residual, &residual).iter().zip(&wanted).all(|(square, wanted)| square <= wanted) {
            break;
        }
        let image = x.adjoint(x.forward(direction.view()).view()) / n + &direction * ridge;
        let steps: Vec<f64> =
            products(&direction, &image).iter().zip(&decrease).map(|(&curvature, &decrease)| safe_ratio(decrease, curvature)).collect();
        add(&mut weights, &steps, &direction);
        let back: Vec<f64> = steps.iter().map(|step| -step).collect();
        add(&mut residual, &back, &image);
        preconditioned = precondition(&residual);
        let next = products(&residual, &preconditioned);
        let turns: Vec<f64> = next.iter().zip(&decrease).map(|(&next, &decrease)| safe_ratio(next, decrease)).collect();
        let mut turned = preconditioned.clone();
        add(&mut turned, &turns, &direction);
        direction = turned;
        decrease = next;
    }
    weights
}

/// A column that is solved stays where it is.
fn safe_ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > f64::MIN_POSITIVE { numerator / denominator } else { 0.0 }
}

fn tolerance<F: Real>() -> f64 {
    if F::epsilon().widen() > f64::EPSILON { 1e-5 } else { 1e-11 }
}

/// Held-out outputs and the penalty of each task.
type Predictions = Vec<(Array2<f64>, f64)>;

fn ridge<F: Real>(part: &Part<F>, test: &StateDesign<F>, tasks: &[Targets], params: &RidgeParams) -> Result<Predictions, ProbeError> {
    params.check()?;
    let mut penalties = params.penalties.clone();
    // From the strongest to the weakest, so that each solve starts near its solution.
    penalties.sort_by(|a, b| b.total_cmp(a));
    let vectors: Vec<Array2<f64>> = tasks.iter().map(Targets::as_vectors).collect();
    let mut chosen = vec![penalties[0]; tasks.len()];
    if penalties.len() > 1 {
        let mut errors = vec![vec![0.0; penalties.len()]; tasks.len()];
        for fold in &Folds::by_group(&part.groups(), INNER_FOLDS, part.seed.wrapping_add(1))? {
            let x = part.centred(&part.of(&fold.train))?;
            let held = part.design.select(&part.of(&fold.test));
            let stacked = Stacked::new(&vectors, &fold.train);
            let mut weights = None;
            for (index, &penalty) in penalties.iter().enumerate() {
                // Choosing needs three digits, not all.
                let solved = conjugate_gradients(&x, &stacked.centred(), penalty, weights, 1e-3);
                let outputs = x.predict(&held, &solved) + &stacked.mean;
                for ((errors, vectors), columns) in errors.iter_mut().zip(&vectors).zip(&stacked.columns) {
                    let residual = vectors.select(Axis(0), &fold.test) - outputs.slice(ndarray::s![.., columns.clone()]);
                    errors[index] += residual.iter().map(|value| value * value).sum::<f64>();
                }
                weights = Some(solved);
            }
        }
        for (chosen, errors) in chosen.iter_mut().zip(&errors) {
            let best = errors.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
            *chosen = penalties[best];
        }
    }
    let x = part.centred(part.samples)?;
    let all: Vec<usize> = (0..part.samples.len()).collect();
    let mut predictions: Vec<Option<(Array2<f64>, f64)>> = vec![None; tasks.len()];
    for &penalty in &penalties {
        let of_penalty: Vec<usize> = (0..tasks.len()).filter(|&task| chosen[task].total_cmp(&penalty).is_eq()).collect();
        if of_penalty.is_empty() {
            continue;
        }
        let wanted: Vec<Array2<f64>> = of_penalty.iter().map(|&task| vectors[task].clone()).collect();
        let stacked = Stacked::new(&wanted, &all);
        let weights = conjugate_gradients(&x, &stacked.centred(), penalty, None, tolerance::<F>());
        let outputs = x.predict(test, &weights) + &stacked.mean;
        for (&task, columns) in of_penalty.iter().zip(&stacked.columns) {
            predictions[task] = Some((outputs.slice(ndarray::s![.., columns.clone()]).to_owned(), penalty));
        }
    }
    Ok(predictions.into_iter().map(|prediction| prediction.expect("every task chose one of the penalties")).collect())
}

/// Targets of several tasks side by side.
struct Stacked {
    vectors: Array2<f64>,
    mean: Array1<f64>,
    columns: Vec<std::ops::Range<usize>>,
}

impl Stacked {
    fn new(tasks: &[Array2<f64>], samples: &[usize]) -> Self {
        let mut columns = Vec::with_capacity(tasks.len());
        let mut start = 0;
        for task in tasks {
            columns.push(start..start + task.ncols());
            start += task.ncols();
        }
        let selected: Vec<Array2<f64>> = tasks.iter().map(|task| task.select(Axis(0), samples)).collect();
        let views: Vec<_> = selected.iter().map(|task| task.view()).collect();
        let vectors = ndarray::concatenate(Axis(1), &views).expect("all tasks have one row per sample");
        let mean = vectors.mean_axis(Axis(0)).expect("there are samples");
        Self { vectors, mean, columns }
    }

    fn centred<F: Real>(&self) -> Array2<F> {
        (&self.vectors - &self.mean).mapv(F::narrow)
    }
}

fn logistic<F: Real>(
    part: &Part<F>,
    test: &StateDesign<F>,
    targets: &Targets,
    params: &LogisticParams,
) -> Result<(Array2<f64>, f64), ProbeError> {
    let Targets::Classes { labels, n_classes } = targets else {
        return Err(ProbeError::TargetKind { readout: "a logistic readout", needed: "classes" });
    };
    params.check()?;
    let mut penalties = params.penalties.clone();
    penalties.sort_by(|a, b| b.total_cmp(a));
    let mut chosen = penalties[0];
    if penalties.len() > 1 {
        let mut losses = vec![0.0; penalties.len()];
        for fold in &Folds::by_group(&part.groups(), params.inner_folds, params.seed)? {
            let train: Vec<usize> = fold.train.iter().map(|&place| labels[place]).collect();
            let held = part.design.select(&part.of(&fold.test));
            let path = logistic_path(&part.centred(&part.of(&fold.train))?, &held, &train, *n_classes, &penalties, params);
            for (loss, log_probabilities) in losses.iter_mut().zip(path) {
                *loss -= fold.test.iter().enumerate().map(|(row, &place)| log_probabilities[[row, labels[place]]]).sum::<f64>();
            }
        }
        let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        chosen = penalties[best];
    }
    let outputs = logistic_path(&part.centred(part.samples)?, test, labels, *n_classes, &[chosen], params).remove(0);
    Ok((outputs, chosen))
}

/// Log-probabilities of the held-out samples at each penalty in turn, each fit from the last one's optimum.
fn logistic_path<F: Real>(
    x: &Centred<F>,
    held: &StateDesign<F>,
    labels: &[usize],
    n_classes: usize,
    penalties: &[f64],
    params: &LogisticParams,
) -> Vec<Array2<f64>> {
    let classes = Occurring::new(labels, n_classes);
    let mut point = classes.start(x.n_channels());
    let floor = if F::epsilon().widen() > f64::EPSILON { 1e-6 } else { 0.0 };
    let tolerance = params.tolerance.max(floor);
    penalties
        .iter()
        .map(|&penalty| {
            // At equal probabilities the curvature of the loss is covariance / classes.
            let share = 1.0 / classes.n_seen().max(2) as f64;
            let curvature = x.curvature.clone();
            let preconditioner = Preconditioner {
                inverse: Inverse::Map(Box::new(move |weights| curvature.divide(&weights, share, penalty))),
                intercept_scale: 1.0 / share,
            };
            let from = std::mem::take(&mut point);
            let (outcome, reached) =
                descend(x, &classes.compact, classes.n_seen(), penalty, &preconditioner, from, tolerance, params.max_iterations);
            let fitted = classes.fitted(&reached, penalty, &outcome, outcome.iterations, tolerance);
            point = reached;
            fitted.normalised(x.predict(held, &fitted.weights.mapv(F::narrow)))
        })
        .collect()
}
