//! Multinomial logistic regression with an L2 penalty.
//!
//! Minimises `mean over samples of -log p(class | x)  +  penalty / 2 |W|^2`, p = softmax(W^T x + b); `b` is not penalised.
//! By limited-memory BFGS. Every iteration costs two matrix products: the logits are linear along a line, so the line search
//! itself costs none. Where that converges slowly it is preconditioned with the features' covariance.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    ProbeError, Targets,
    design::Design,
    lbfgs::{self, Objective, Outcome},
    linalg::{Cholesky, Precision, Real, dot, gram},
    samples::check_finite,
    split::Folds,
};

/// Parameters as typed; [`LogisticParams::check`] makes a [`Logistic`] of them.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `penalties` | 1e-3, 1e-2, 1e-1 | candidates; one of them means no choice | above 0 |
/// | `inner_folds` | 3 | folds by group for choosing one, by held-out log loss | at least 2 |
/// | `tolerance` | 1e-5 | largest component of the gradient at the optimum | above 0 |
/// | `max_iterations` | 300 | | at least 1 |
/// | `precision` | `mixed` | of the products with the features | |
/// | `seed` | 0 | of the inner folds | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticParams {
    /// Candidates, each above 0.
    pub penalties: Vec<f64>,
    /// Folds by group for choosing one of them.
    pub inner_folds: usize,
    /// Largest absolute component of the gradient at the optimum.
    pub tolerance: f64,
    /// Most iterations of a fit.
    pub max_iterations: usize,
    /// Precision of the products with the features.
    pub precision: Precision,
    /// Seed of the inner folds.
    pub seed: u64,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self {
            penalties: vec![1e-3, 1e-2, 1e-1],
            inner_folds: 3,
            tolerance: 1e-5,
            max_iterations: 300,
            precision: Precision::default(),
            seed: 0,
        }
    }
}

impl LogisticParams {
    /// Checks ranges.
    pub fn check(&self) -> Result<Logistic, ProbeError> {
        let refuse = |parameter, value, range| Err(ProbeError::Parameter { parameter, value, range });
        if self.penalties.is_empty() {
            return refuse("the list of logistic penalties", f64::NAN, "finite and above 0 (give at least one)");
        }
        if let Some(&value) = self.penalties.iter().find(|penalty| !penalty.is_finite() || **penalty <= 0.0) {
            return refuse("a logistic penalty", value, "finite and above 0");
        }
        if self.inner_folds < 2 {
            return refuse("inner_folds", self.inner_folds as f64, "at least 2");
        }
        if !self.tolerance.is_finite() || self.tolerance <= 0.0 {
            return refuse("tolerance", self.tolerance, "finite and above 0");
        }
        if self.max_iterations == 0 {
            return refuse("max_iterations", 0.0, "at least 1");
        }
        let mut params = self.clone();
        // From the strongest penalty to the weakest, so that each fit starts near its optimum.
        params.penalties.sort_by(|a, b| b.total_cmp(a));
        Ok(Logistic { params })
    }
}

/// Checked parameters.
#[derive(Clone, Debug)]
pub struct Logistic {
    params: LogisticParams,
}

/// A fitted readout.
#[derive(Clone, Debug)]
pub struct FittedLogistic {
    /// W, [channel, class]; zero for classes without a training sample.
    pub weights: Array2<f64>,
    /// b, \[class\]; for a class without a training sample so low that its prior is half a sample.
    pub intercept: Array1<f64>,
    /// The penalty it was fitted with.
    pub penalty: f64,
    /// The minimised objective over the classes seen.
    pub objective: f64,
    /// Largest absolute component of the gradient there.
    pub gradient_norm: f64,
    /// Iterations of the last fit.
    pub iterations: usize,
    /// Whether the tolerance was met.
    pub converged: bool,
    /// Held-out mean log loss (nats) per candidate penalty; empty when there was no choice.
    pub held_out_losses: Vec<(f64, f64)>,
    unseen: Vec<usize>,
    unseen_share: f64,
}

impl FittedLogistic {
    /// Log-probabilities (nats), [sample, class]. Classes never seen in training share the probability of half a sample each.
    pub fn log_probabilities(&self, features: &Array2<f64>) -> Array2<f64> {
        self.normalised(features.dot(&self.weights))
    }

    /// Log-probabilities from `features times weights`.
    pub(crate) fn normalised(&self, products: Array2<f64>) -> Array2<f64> {
        let mut logits = products + &self.intercept;
        let seen_share = (-self.unseen_share).ln_1p();
        for mut row in logits.rows_mut() {
            for &class in &self.unseen {
                row[class] = f64::NEG_INFINITY;
            }
            let log_sum = log_sum_exp(row.view());
            row.mapv_inplace(|logit| logit - log_sum + seen_share);
            for &class in &self.unseen {
                row[class] = (self.unseen_share / self.unseen.len() as f64).ln();
            }
        }
        logits
    }
}

fn log_sum_exp(row: ndarray::ArrayView1<f64>) -> f64 {
    let largest = row.fold(f64::NEG_INFINITY, |largest, &value| f64::max(largest, value));
    largest + row.mapv(|value| (value - largest).exp()).sum().ln()
}

impl Logistic {
    /// Fits classes from `features` [sample, channel]; `groups` matter only for choosing the penalty.
    pub fn fit(&self, features: &Array2<f64>, targets: &Targets, groups: &[u64]) -> Result<FittedLogistic, ProbeError> {
        let Targets::Classes { labels, n_classes } = targets else {
            return Err(ProbeError::TargetKind { readout: "a logistic readout", needed: "classes" });
        };
        let n = features.nrows();
        if n == 0 {
            return Err(ProbeError::Empty);
        }
        if labels.len() != n {
            return Err(ProbeError::Length { what: "the targets", found: labels.len(), wanted: n });
        }
        if groups.len() != n {
            return Err(ProbeError::Length { what: "the list of groups", found: groups.len(), wanted: n });
        }
        check_finite("a feature", features.view())?;
        let held_out_losses =
            if self.params.penalties.len() > 1 { self.held_out_losses(features, labels, *n_classes, groups)? } else { Vec::new() };
        let chosen = held_out_losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(self.params.penalties[0], |&(penalty, _)| penalty);
        let mut fitted = self.path(features, labels, *n_classes, &[chosen])?;
        let mut fitted = fitted.remove(0);
        fitted.held_out_losses = held_out_losses;
        Ok(fitted)
    }

    fn held_out_losses(
        &self,
        features: &Array2<f64>,
        labels: &[usize],
        n_classes: usize,
        groups: &[u64],
    ) -> Result<Vec<(f64, f64)>, ProbeError> {
        let folds = Folds::by_group(groups, self.params.inner_folds, self.params.seed)?;
        let mut sums = vec![0.0; self.params.penalties.len()];
        for fold in &folds {
            let train: Vec<usize> = fold.train.iter().map(|&sample| labels[sample]).collect();
            let path = self.path(&features.select(Axis(0), &fold.train), &train, n_classes, &self.params.penalties)?;
            let test = features.select(Axis(0), &fold.test);
            for (sum, fitted) in sums.iter_mut().zip(path) {
                let log_probabilities = fitted.log_probabilities(&test);
                *sum -= fold.test.iter().enumerate().map(|(row, &sample)| log_probabilities[[row, labels[sample]]]).sum::<f64>();
            }
        }
        Ok(self.params.penalties.iter().zip(sums).map(|(&penalty, sum)| (penalty, sum / labels.len() as f64)).collect())
    }

    /// Fits at each penalty in turn, each from the last one's optimum.
    fn path(
        &self,
        features: &Array2<f64>,
        labels: &[usize],
        n_classes: usize,
        penalties: &[f64],
    ) -> Result<Vec<FittedLogistic>, ProbeError> {
        let (n, d) = features.dim();
        let classes = Occurring::new(labels, n_classes);
        let n_seen = classes.n_seen();
        let mut point = classes.start(d);
        let single = (self.params.precision != Precision::Double).then(|| features.mapv(|value| value as f32));
        let mut covariance: Option<Array2<f64>> = None;
        // Well-conditioned features converge before a covariance of many channels would have been made; memories need it.
        let mut is_slow = (d + d * d / n) < 10 * n_seen;
        let mean_square = mean_square(features.view());
        let mut fits = Vec::with_capacity(penalties.len());
        for &penalty in penalties {
            let (mut iterations, mut last) = (0, Outcome { iterations: 0, gradient_norm: f64::INFINITY, value: f64::NAN });
            let mut preconditioner = Preconditioner::none(mean_square, penalty, n_seen);
            let max_iterations = self.params.max_iterations;
            // Rounding in f32 leaves the gradient uncertain by about the least of these.
            let reachable = (0.7 * self.params.tolerance).max(3e-7);
            for with_covariance in [false, true] {
                if with_covariance != is_slow {
                    continue;
                }
                if with_covariance {
                    let covariance = covariance.get_or_insert_with(|| {
                        let square = match &single {
                            Some(single) => gram(single.view()).mapv(f64::from),
                            None => gram(features.view()),
                        };
                        square / n as f64
                    });
                    preconditioner = curvature_bound(covariance, penalty, n_seen)?;
                }
                let most = if with_covariance { max_iterations } else { max_iterations.min(PLAIN_ITERATIONS) };
                let (outcome, reached) = match &single {
                    Some(single) => descend(&single.view(), &classes.compact, n_seen, penalty, &preconditioner, point, reachable, most),
                    None => {
                        descend(&features.view(), &classes.compact, n_seen, penalty, &preconditioner, point, self.params.tolerance, most)
                    }
                };
                point = reached;
                iterations += outcome.iterations;
                last = Outcome { ..outcome };
                is_slow |= outcome.iterations >= PLAIN_ITERATIONS;
            }
            let tolerance = self.params.tolerance;
            let outcome = if self.params.precision == Precision::Single && last.gradient_norm <= tolerance {
                last
            } else {
                let left = max_iterations.saturating_sub(iterations);
                let (outcome, reached) =
                    descend(&features.view(), &classes.compact, n_seen, penalty, &preconditioner, point, tolerance, left);
                point = reached;
                iterations += outcome.iterations;
                outcome
            };
            fits.push(classes.fitted(&point, penalty, &outcome, iterations, tolerance));
        }
        Ok(fits)
    }
}

/// The classes that occur, numbered without gaps, and what the others get.
pub(crate) struct Occurring {
    n_classes: usize,
    seen: Vec<usize>,
    unseen: Vec<usize>,
    pub compact: Vec<usize>,
    shares: Vec<f64>,
    unseen_share: f64,
}

impl Occurring {
    pub fn new(labels: &[usize], n_classes: usize) -> Self {
        let n = labels.len() as f64;
        let mut counts = vec![0_usize; n_classes];
        for &class in labels {
            counts[class] += 1;
        }
        let (seen, unseen): (Vec<usize>, Vec<usize>) = (0..n_classes).partition(|&class| counts[class] > 0);
        let place: Vec<usize> = (0..n_classes).map(|class| seen.partition_point(|&other| other < class)).collect();
        let half_samples = 0.5 * unseen.len() as f64;
        Self {
            n_classes,
            compact: labels.iter().map(|&class| place[class]).collect(),
            shares: seen.iter().map(|&class| counts[class] as f64 / n).collect(),
            unseen_share: half_samples / (n + half_samples),
            seen,
            unseen,
        }
    }

    pub fn n_seen(&self) -> usize {
        self.seen.len()
    }

    /// The optimum without features: the log of the class shares. Weights row by row, then the intercept.
    pub fn start(&self, n_channels: usize) -> Vec<f64> {
        let mut point = vec![0.0; n_channels * self.seen.len()];
        point.extend(self.shares.iter().map(|share| share.ln()));
        point
    }

    pub fn fitted(&self, point: &[f64], penalty: f64, outcome: &Outcome, iterations: usize, tolerance: f64) -> FittedLogistic {
        let n_seen = self.seen.len();
        let compact = ArrayView2::from_shape((point.len() / n_seen, n_seen), point).expect("one row per channel and one for the intercept");
        let d = compact.nrows() - 1;
        let mut weights = Array2::zeros((d, self.n_classes));
        let mut intercept = Array1::zeros(self.n_classes);
        for (index, &class) in self.seen.iter().enumerate() {
            weights.column_mut(class).assign(&compact.slice(s![..d, index]));
            intercept[class] = compact[[d, index]];
        }
        FittedLogistic {
            weights,
            intercept,
            penalty,
            objective: outcome.value,
            gradient_norm: outcome.gradient_norm,
            iterations,
            converged: outcome.gradient_norm <= tolerance,
            held_out_losses: Vec::new(),
            unseen: self.unseen.clone(),
            unseen_share: self.unseen_share,
        }
    }
}

/// The value and gradient of the objective at weights [channel, class] and intercept \[class\]: what the minimiser uses, for
/// tests and for comparing fits of other tools.
pub fn objective(
    features: &Array2<f64>,
    labels: &[usize],
    weights: &Array2<f64>,
    intercept: &Array1<f64>,
    penalty: f64,
) -> (f64, Array2<f64>, Array1<f64>) {
    let (d, c) = weights.dim();
    let mut point: Vec<f64> = weights.iter().copied().collect();
    point.extend(intercept);
    let preconditioner = Preconditioner { inverse: Inverse::Identity, intercept_scale: 1.0 };
    let (value, gradient) = Loss::new(&features.view(), labels, c, penalty, &preconditioner, point).start();
    let gradient = Array2::from_shape_vec((d + 1, c), gradient).expect("one row per channel and one for the intercept");
    (value, gradient.slice(s![..d, ..]).to_owned(), gradient.row(d).to_owned())
}

/// Inverse of an estimate of the curvature, the same for every class. f32 is precise enough to point the way.
pub(crate) struct Preconditioner {
    pub inverse: Inverse,
    pub intercept_scale: f64,
}

/// What weights [channel, class] are multiplied by.
pub(crate) enum Inverse {
    Identity,
    /// Of the covariance and the penalty.
    Matrix(Array2<f32>),
    /// Something that is never a matrix.
    Map(Box<dyn Fn(Array2<f64>) -> Array2<f64> + Sync>),
}

impl Preconditioner {
    /// The intercept apart, weights are left as they are: it only needs to be as large beside them as their curvatures make it.
    fn none(mean_square: f64, penalty: f64, n_classes: usize) -> Self {
        // At equal probabilities that of a weight is about mean_square / n_classes + penalty, of an intercept 1 / n_classes.
        Self { inverse: Inverse::Identity, intercept_scale: mean_square + penalty * n_classes.max(2) as f64 }
    }
}

/// Iterations after which a fit without preconditioner counts as slow.
const PLAIN_ITERATIONS: usize = 40;

/// Minimises from a point: how it ended, and where.
#[expect(clippy::too_many_arguments, reason = "what a fit is made of")]
pub(crate) fn descend<F: Real, D: Design<F>>(
    features: &D,
    labels: &[usize],
    n_classes: usize,
    penalty: f64,
    preconditioner: &Preconditioner,
    point: Vec<f64>,
    tolerance: f64,
    max_iterations: usize,
) -> (Outcome, Vec<f64>) {
    let mut loss = Loss::<F, D>::new(features, labels, n_classes, penalty, preconditioner, point);
    let start = loss.start();
    let outcome = lbfgs::minimise(&mut loss, start, tolerance, max_iterations);
    (outcome, loss.point)
}

/// Samples whose features say how large features are.
const GLANCED_AT: usize = 256;

/// The mean square of the features, from some samples spread over all; never 0.
fn mean_square(features: ArrayView2<f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0);
    for row in features.rows().into_iter().step_by(features.nrows().div_ceil(GLANCED_AT).max(1)) {
        sum += row.dot(&row);
        n += row.len();
    }
    if sum > 0.0 { sum / n as f64 } else { 1.0 }
}

fn curvature_bound(covariance: &Array2<f64>, penalty: f64, n_classes: usize) -> Result<Preconditioner, ProbeError> {
    // At equal probabilities the curvature of the loss is covariance / n_classes: near enough, the scale is learned on the way.
    let share = 1.0 / n_classes.max(2) as f64;
    let mut curvature = covariance * share;
    let floor = penalty + 1e-9 * curvature.diag().mean().unwrap_or(1.0);
    curvature.diag_mut().mapv_inplace(|diagonal| diagonal + floor);
    let half = Cholesky::new(curvature, "the curvature of a logistic fit")?.lower_inverse();
    Ok(Preconditioner { inverse: Inverse::Matrix(gram(half.mapv(|value| value as f32).view())), intercept_scale: 1.0 / share })
}

/// The objective on features of either precision; sums over samples are f64.
struct Loss<'a, F: Real, D: Design<F>> {
    features: &'a D,
    labels: &'a [usize],
    n_classes: usize,
    penalty: f64,
    preconditioner: &'a Preconditioner,
    /// Weights row by row, then the intercept.
    point: Vec<f64>,
    direction: Vec<f64>,
    /// [sample, class] at the point, and their change along the direction.
    logits: Array2<F>,
    logits_along: Array2<F>,
    /// (p - indicator) at the latest trial.
    excess: Array2<F>,
    latest_step: f64,
}

impl<'a, F: Real, D: Design<F>> Loss<'a, F, D> {
    fn new(
        features: &'a D,
        labels: &'a [usize],
        n_classes: usize,
        penalty: f64,
        preconditioner: &'a Preconditioner,
        point: Vec<f64>,
    ) -> Self {
        let shape = (labels.len(), n_classes);
        let mut loss = Self {
            features,
            labels,
            n_classes,
            penalty,
            preconditioner,
            direction: vec![0.0; point.len()],
            point,
            logits: Array2::zeros(shape),
            logits_along: Array2::zeros(shape),
            excess: Array2::zeros(shape),
            latest_step: 0.0,
        };
        let split = loss.point.len() - n_classes;
        if loss.point[..split].iter().all(|&weight| weight == 0.0) {
            let intercept: Array1<F> = loss.point[split..].iter().map(|&value| F::narrow(value)).collect();
            loss.logits += &intercept;
        } else {
            loss.logits = loss.product(&loss.point);
        }
        loss
    }

    /// Value and gradient at the point.
    fn start(&mut self) -> (f64, Vec<f64>) {
        let (value, _) = self.along(0.0);
        (value, self.gradient())
    }

    /// Features times the weights, plus the intercept.
    fn product(&self, parameters: &[f64]) -> Array2<F> {
        let split = parameters.len() - self.n_classes;
        let convert = |&value: &f64| F::narrow(value);
        let weights = Array2::from_shape_vec((split / self.n_classes, self.n_classes), parameters[..split].iter().map(convert).collect())
            .expect("row by row");
        let intercept: Array1<F> = parameters[split..].iter().map(convert).collect();
        let mut product = self.features.forward(weights.view());
        product += &intercept;
        product
    }

    fn gradient(&self) -> Vec<f64> {
        let scale = 1.0 / self.labels.len() as f64;
        let weights = self.features.adjoint(self.excess.view());
        let intercept = self.excess.sum_axis(Axis(0));
        let split = self.point.len() - self.n_classes;
        let mut gradient: Vec<f64> = weights.iter().chain(&intercept).map(|&value| scale * value.widen()).collect();
        for (gradient, weight) in gradient[..split].iter_mut().zip(&self.point) {
            *gradient += self.penalty * weight;
        }
        gradient
    }
}

impl<F: Real, D: Design<F>> Objective for Loss<'_, F, D> {
    fn aim(&mut self, direction: &[f64]) {
        self.logits_along = self.product(direction);
        self.direction.copy_from_slice(direction);
    }

    fn along(&mut self, step: f64) -> (f64, f64) {
        let narrow_step = F::narrow(step);
        let c = self.n_classes;
        let rows = (
            self.excess.as_slice_mut().expect("standard order"),
            self.logits.as_slice().expect("standard order"),
            self.logits_along.as_slice().expect("standard order"),
        );
        // Fixed chunks, summed in order: the same sum whatever the number of threads.
        let chunk = 64;
        let parts: Vec<(f64, f64)> = rows
            .0
            .par_chunks_mut(chunk * c)
            .zip(rows.1.par_chunks(chunk * c))
            .zip(rows.2.par_chunks(chunk * c))
            .zip(self.labels.par_chunks(chunk))
            .map(|(((excess, logits), along), labels)| {
                let mut part = (0.0, 0.0);
                for (row, &label) in labels.iter().enumerate() {
                    let range = row * c..(row + 1) * c;
                    let (loss, slope) = softmax_row(&mut excess[range.clone()], &logits[range.clone()], &along[range], narrow_step, label);
                    part.0 += loss;
                    part.1 += slope;
                }
                part
            })
            .collect();
        let (loss, slope) = parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let n = self.labels.len() as f64;
        let split = self.point.len() - c;
        let (mut square, mut square_slope) = (0.0, 0.0);
        for (weight, direction) in self.point[..split].iter().zip(&self.direction) {
            let moved = weight + step * direction;
            square += moved * moved;
            square_slope += moved * direction;
        }
        self.latest_step = step;
        (loss / n + 0.5 * self.penalty * square, slope / n + self.penalty * square_slope)
    }

    fn advance(&mut self, step: f64) -> Vec<f64> {
        if step.to_bits() != self.latest_step.to_bits() {
            self.along(step);
        }
        self.logits.scaled_add(F::narrow(step), &self.logits_along);
        for (point, direction) in self.point.iter_mut().zip(&self.direction) {
            *point += step * direction;
        }
        self.gradient()
    }

    fn precondition(&self, vector: &mut [f64]) {
        let split = vector.len() - self.n_classes;
        let shape = (split / self.n_classes, self.n_classes);
        match &self.preconditioner.inverse {
            Inverse::Identity => {}
            Inverse::Matrix(inverse) => {
                // Scaled to unit size: small gradients must not leave the range of f32.
                let size = vector[..split].iter().fold(0.0, |size: f64, value| size.max(value.abs())).max(f64::MIN_POSITIVE);
                let narrow = vector[..split].iter().map(|value| (value / size) as f32).collect();
                let weights = Array2::from_shape_vec(shape, narrow).expect("row by row");
                vector[..split].iter_mut().zip(inverse.dot(&weights)).for_each(|(to, from)| *to = size * f64::from(from));
            }
            Inverse::Map(map) => {
                let weights = Array2::from_shape_vec(shape, vector[..split].to_vec()).expect("row by row");
                vector[..split].iter_mut().zip(&map(weights)).for_each(|(to, &from)| *to = from);
            }
        }
        vector[split..].iter_mut().for_each(|value| *value *= self.preconditioner.intercept_scale);
    }

    fn rounding(&self) -> f64 {
        4.0 * F::epsilon().widen()
    }
}

/// Loss and slope of one sample at `logits + step along`; leaves `p - indicator` behind.
fn softmax_row<F: Real>(excess: &mut [F], logits: &[F], along: &[F], step: F, label: usize) -> (f64, f64) {
    let mut largest = F::neg_infinity();
    for ((excess, &logit), &along) in excess.iter_mut().zip(logits).zip(along) {
        *excess = logit + step * along;
        largest = largest.larger(*excess);
    }
    let at_label = (excess[label] - largest).widen();
    for excess in excess.iter_mut() {
        *excess = (*excess - largest).exponential();
    }
    let mut sums = [F::zero(); 8];
    let chunks = excess.chunks_exact(8);
    let rest = chunks.remainder().iter().fold(F::zero(), |sum, &part| sum + part);
    for chunk in chunks {
        for lane in 0..8 {
            sums[lane] += chunk[lane];
        }
    }
    let sum = sums.iter().fold(rest, |sum, &lane| sum + lane);
    let scale = sum.inverse();
    for excess in excess.iter_mut() {
        *excess *= scale;
    }
    excess[label] -= F::one();
    (sum.widen().ln() - at_label, dot(excess, along).widen())
}
