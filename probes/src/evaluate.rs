//! Predicts every sample from a readout that never saw its group, and scores the predictions.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::{
    LogisticParams, ProbeError, RidgeParams, Targets,
    linalg::{Cholesky, kernel},
    samples::check_finite,
    scaling::Scaling,
    score::{GroupedScore, Metric},
    split::Folds,
};

/// Which readout, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// Ridge regression; of classes: on indicator vectors, the largest output is the prediction.
    Ridge(RidgeParams),
    /// L2-penalised multinomial logistic regression; classes only.
    Logistic(LogisticParams),
}

impl Default for Readout {
    fn default() -> Self {
        Self::Ridge(RidgeParams::default())
    }
}

impl Readout {
    /// The word on the card.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ridge(_) => "ridge",
            Self::Logistic(_) => "logistic",
        }
    }
}

/// How a readout is judged.
///
/// | parameter | default | purpose | range |
/// |---|---|---|---|
/// | `folds` | 5 | test parts; each is predicted from the rest | at least 2, at most the number of groups |
/// | `seed` | 0 | deals groups into folds | |
/// | `scaling` | `isotropic` | of features, fitted on the training part | |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluation {
    /// Test parts.
    pub folds: usize,
    /// Deals groups into folds.
    pub seed: u64,
    /// Of the features.
    pub scaling: Scaling,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { folds: 5, seed: 0, scaling: Scaling::default() }
    }
}

/// Held-out predictions of one task.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Ridge: predicted vectors; logistic: log-probabilities (nats). [sample, target or class].
    pub outputs: Array2<f64>,
    /// What was to be predicted.
    pub targets: Targets,
    /// Group of each sample.
    pub groups: Vec<u64>,
    /// Fold that tested each sample.
    pub fold_of: Vec<usize>,
    /// Penalty chosen in each fold.
    pub penalties: Vec<f64>,
    /// Per fold: class shares or mean vector of the training part.
    pub training_means: Vec<Array1<f64>>,
    /// Whether `outputs` are log-probabilities.
    pub probabilistic: bool,
}

/// Cross-fits every task on the same features and folds.
///
/// Tasks share the factorisations of a ridge fit. When there are more channels than samples, features are first rotated
/// into as many dimensions as there are samples: inner products, hence penalised fits, stay as they were.
pub fn evaluate(
    features: &Array2<f64>,
    tasks: &[Targets],
    groups: &[u64],
    readout: &Readout,
    evaluation: &Evaluation,
) -> Result<Vec<Evaluated>, ProbeError> {
    let n = features.nrows();
    if n == 0 {
        return Err(ProbeError::Empty);
    }
    for task in tasks {
        if task.len() != n {
            return Err(ProbeError::Length { what: "the targets", found: task.len(), wanted: n });
        }
        task.check_finite()?;
    }
    check_finite("a feature", features.view())?;
    let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
    let rotated = if n < features.ncols() && evaluation.scaling == Scaling::Isotropic { Some(rotate(features)?) } else { None };
    let features = rotated.as_ref().unwrap_or(features);

    let mut evaluated: Vec<Evaluated> = tasks.iter().map(|task| Evaluated::blank(task, groups, &folds, readout)).collect();
    for fold in &folds {
        let train = features.select(Axis(0), &fold.train);
        let test = features.select(Axis(0), &fold.test);
        let train_groups: Vec<u64> = fold.train.iter().map(|&sample| groups[sample]).collect();
        let targets: Vec<Targets> = tasks.iter().map(|task| task.select(&fold.train)).collect();
        let predictions = fit_and_predict(&train, &[test.view()], &targets, &train_groups, readout, evaluation.scaling)?;
        for ((evaluated, prediction), targets) in evaluated.iter_mut().zip(predictions).zip(&targets) {
            evaluated.fill(&fold.test, &prediction.outputs[0], prediction.penalty, targets);
        }
    }
    Ok(evaluated)
}

/// Fits on some features and judges on others of the same samples: `whole` and `changed` are both [sample, channel]. What a
/// readout that knows whole features makes of changed ones; every sample is judged by a readout that never saw its group.
pub fn evaluate_on(
    whole: &Array2<f64>,
    changed: &Array2<f64>,
    tasks: &[Targets],
    groups: &[u64],
    readout: &Readout,
    evaluation: &Evaluation,
) -> Result<Vec<Evaluated>, ProbeError> {
    if whole.dim() != changed.dim() {
        return Err(ProbeError::Columns { what: "the changed features", found: changed.ncols(), wanted: whole.ncols() });
    }
    check_finite("a feature", whole.view())?;
    check_finite("a changed feature", changed.view())?;
    let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
    let mut evaluated: Vec<Evaluated> = tasks.iter().map(|task| Evaluated::blank(task, groups, &folds, readout)).collect();
    for fold in &folds {
        let train = whole.select(Axis(0), &fold.train);
        let test = changed.select(Axis(0), &fold.test);
        let train_groups: Vec<u64> = fold.train.iter().map(|&sample| groups[sample]).collect();
        let targets: Vec<Targets> = tasks.iter().map(|task| task.select(&fold.train)).collect();
        let predictions = fit_and_predict(&train, &[test.view()], &targets, &train_groups, readout, evaluation.scaling)?;
        for ((evaluated, prediction), targets) in evaluated.iter_mut().zip(predictions).zip(&targets) {
            evaluated.fill(&fold.test, &prediction.outputs[0], prediction.penalty, targets);
        }
    }
    Ok(evaluated)
}

/// What a readout of one task says of several test sets.
pub(crate) struct Prediction {
    /// One per test set.
    pub outputs: Vec<Array2<f64>>,
    pub penalty: f64,
}

/// Fits scaling and readouts on the training part and predicts test sets: one prediction per task.
pub(crate) fn fit_and_predict(
    train: &Array2<f64>,
    tests: &[ArrayView2<f64>],
    targets: &[Targets],
    groups: &[u64],
    readout: &Readout,
    scaling: Scaling,
) -> Result<Vec<Prediction>, ProbeError> {
    let scaling = scaling.fit(train.view())?;
    let train = scaling.apply(train.view());
    let tests: Vec<Array2<f64>> = tests.iter().map(|test| scaling.apply(test.view())).collect();
    match readout {
        Readout::Ridge(params) => {
            let vectors: Vec<Array2<f64>> = targets.iter().map(Targets::as_vectors).collect();
            let views: Vec<_> = vectors.iter().map(|vectors| vectors.view()).collect();
            let fitted = params.check()?.fit_tasks(&train, &views, groups)?;
            let predict = |fitted: crate::FittedRidge| Prediction {
                outputs: tests.iter().map(|test| fitted.predict(test)).collect(),
                penalty: fitted.penalty,
            };
            Ok(fitted.into_iter().map(predict).collect())
        }
        Readout::Logistic(params) => {
            let logistic = params.check()?;
            let predict = |targets: &Targets| {
                let fitted = logistic.fit(&train, targets, groups)?;
                Ok(Prediction { outputs: tests.iter().map(|test| fitted.log_probabilities(test)).collect(), penalty: fitted.penalty })
            };
            targets.iter().map(predict).collect()
        }
    }
}

/// Features with the same inner products in as many dimensions as there are samples.
pub(crate) fn rotate(features: &Array2<f64>) -> Result<Array2<f64>, ProbeError> {
    let mut products = kernel(features.view());
    // Memory states often span fewer dimensions than there are samples: a jitter far below any penalty keeps the factor real.
    let jitter = 1e-10 * products.diag().mean().unwrap_or(0.0) + f64::MIN_POSITIVE;
    products.diag_mut().mapv_inplace(|diagonal| diagonal + jitter);
    let factor = Cholesky::new(products, "the inner products of the features")?;
    let mut rotated = factor.lower().as_standard_layout().into_owned();
    for ((row, column), value) in rotated.indexed_iter_mut() {
        if column > row {
            *value = 0.0;
        }
    }
    Ok(rotated)
}

impl Evaluated {
    /// Nothing predicted yet.
    pub(crate) fn blank(targets: &Targets, groups: &[u64], folds: &Folds, readout: &Readout) -> Self {
        Self {
            outputs: Array2::zeros((groups.len(), targets.as_vectors().ncols())),
            targets: targets.clone(),
            groups: groups.to_vec(),
            fold_of: folds.test_fold_of(groups.len()),
            penalties: Vec::new(),
            training_means: Vec::new(),
            probabilistic: matches!(readout, Readout::Logistic(_)),
        }
    }

    /// The predictions of the next fold's test samples; `targets` are those of its training part.
    pub(crate) fn fill(&mut self, test: &[usize], outputs: &Array2<f64>, penalty: f64, targets: &Targets) {
        for (row, &sample) in test.iter().enumerate() {
            self.outputs.row_mut(sample).assign(&outputs.row(row));
        }
        self.penalties.push(penalty);
        let vectors = targets.as_vectors();
        self.training_means.push(vectors.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(vectors.ncols())));
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The predicted class of each sample: the largest output.
    pub fn predicted(&self) -> Vec<usize> {
        self.outputs.rows().into_iter().map(largest).collect()
    }

    /// The usual score: accuracy of classes, R2 of vectors.
    pub fn score(&self) -> GroupedScore {
        let metric = match self.targets {
            Targets::Classes { .. } => Metric::Accuracy,
            Targets::Vectors(_) => Metric::R2,
        };
        let parts: Vec<(f64, f64)> = (0..self.len()).map(|sample| self.part(metric, sample, sample)).collect();
        GroupedScore::from_samples(metric, &self.groups, parts.into_iter())
    }

    /// The gain in bits over the class shares; `None` unless the readout gives probabilities of classes.
    pub fn bits(&self) -> Option<GroupedScore> {
        (self.probabilistic && matches!(self.targets, Targets::Classes { .. })).then(|| {
            GroupedScore::from_samples(Metric::Bits, &self.groups, (0..self.len()).map(|sample| self.part(Metric::Bits, sample, sample)))
        })
    }

    /// The score of always answering the most frequent class of the training part (classes), or its mean (vectors: 0 by definition).
    pub fn majority(&self) -> GroupedScore {
        match &self.targets {
            Targets::Classes { labels, .. } => {
                let majority: Vec<usize> = self.training_means.iter().map(|shares| largest(shares.view())).collect();
                let parts = labels.iter().zip(&self.fold_of).map(|(&label, &fold)| (f64::from(u8::from(majority[fold] == label)), 1.0));
                GroupedScore::from_samples(Metric::Accuracy, &self.groups, parts)
            }
            Targets::Vectors(_) => {
                let parts = (0..self.len()).map(|sample| (0.0, self.part(Metric::R2, sample, sample).1));
                GroupedScore::from_samples(Metric::R2, &self.groups, parts)
            }
        }
    }

    /// Numerator and denominator of `sample`'s outputs judged by the target of sample `by`.
    pub(crate) fn part(&self, metric: Metric, sample: usize, by: usize) -> (f64, f64) {
        let output = self.outputs.row(sample);
        let mean = &self.training_means[self.fold_of[sample]];
        match (&self.targets, metric) {
            (Targets::Classes { labels, .. }, Metric::Bits) => {
                let class = labels[by];
                // A class unseen in training has no share: compare with half a sample's, as the readout does.
                let share = mean[class].max(0.5 / self.len() as f64);
                ((output[class] - share.ln()) / std::f64::consts::LN_2, 1.0)
            }
            (Targets::Classes { labels, .. }, _) => (f64::from(u8::from(largest(output) == labels[by])), 1.0),
            (Targets::Vectors(vectors), _) => {
                let target = vectors.row(by);
                let deviation: f64 = target.iter().zip(mean).map(|(target, mean)| (target - mean).powi(2)).sum();
                let residual: f64 = target.iter().zip(output).map(|(target, output)| (target - output).powi(2)).sum();
                (deviation - residual, deviation)
            }
        }
    }
}

/// The index of the largest entry, the first of equals.
fn largest(values: ArrayView1<f64>) -> usize {
    values.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (index, &value)| if value > best.1 { (index, value) } else { best }).0
}
