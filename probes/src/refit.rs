//! A ridge readout refitted on every set of targets at once: the null of a readout, fitting included.
//!
//! A permutation test that keeps held-out predictions and exchanges only what they are judged by errs too often. Every pair of
//! groups enters the true score twice, since either predicts the other, but an exchanged score only once, so the exchanged scores
//! spread too little (7.5 % at a promised 5 %, `examples/calibration.md`). Here the whole procedure is repeated for every set of
//! targets: choice of the penalty (generalised cross-validation), fit, held-out predictions, score. In the eigenvectors of the
//! features that costs no factorisation: a set of targets needs one sum over samples and one small product a fold.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use rayon::prelude::*;

use crate::{
    Evaluation, ProbeError, RidgeParams, Scaling, Targets,
    evaluate::rotate,
    linalg::{Eigen, gram, kernel},
    permutation::PermutationTest,
    samples::check_finite,
    score::ratio,
    split::Folds,
};

/// Eigenvalues below this part of the largest are rounding.
const RANK: f64 = 1e-9;
/// Sets of targets that share a product: the product's columns then fill a cache line many times over.
const TOGETHER: usize = 8;

/// Features factored once, fold by fold: scores the readout on any targets.
#[derive(Clone, Debug)]
pub struct Refit {
    folds: Vec<Fold>,
    penalties: Vec<f64>,
    n_samples: usize,
}

/// One fold in the eigenvectors' coordinates.
#[derive(Clone, Debug)]
struct Fold {
    train: Vec<usize>,
    test: Vec<usize>,
    /// Centred features, [training sample, value].
    trained: Array2<f32>,
    /// Features centred by the training mean, [value, test sample].
    held: Array2<f32>,
    /// Eigenvalues of the centred training features' inner products.
    values: Array1<f64>,
}

impl Refit {
    /// Factors the features [sample, channel]. Folds and scaling are those of [`evaluate`](crate::evaluate::evaluate) with the same
    /// `evaluation`; of `params` only the penalties matter.
    pub fn new(features: &Array2<f64>, groups: &[u64], params: &RidgeParams, evaluation: &Evaluation) -> Result<Self, ProbeError> {
        params.check()?;
        if features.nrows() == 0 {
            return Err(ProbeError::Empty);
        }
        if groups.len() != features.nrows() {
            return Err(ProbeError::Length { what: "the list of groups", found: groups.len(), wanted: features.nrows() });
        }
        check_finite("a feature", features.view())?;
        let is_wide = features.nrows() < features.ncols() && evaluation.scaling == Scaling::Isotropic;
        let rotated = if is_wide { Some(rotate(features)?) } else { None };
        let features = rotated.as_ref().unwrap_or(features);
        let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
        let factored = folds.iter().map(|fold| {
            let scaling = evaluation.scaling.fit(features.select(Axis(0), &fold.train).view())?;
            let train = scaling.apply(features.select(Axis(0), &fold.train).view());
            let test = scaling.apply(features.select(Axis(0), &fold.test).view());
            let dual = train.nrows() < train.ncols();
            let square = if dual { kernel(train.view()) } else { gram(train.view()) };
            let eigen = Eigen::new(square, "the inner products of the features")?;
            let largest = eigen.values.iter().fold(0.0_f64, |largest, &value| largest.max(value));
            let kept: Vec<usize> =
                (0..eigen.values.len()).filter(|&place| eigen.values[place] > RANK * largest.max(f64::MIN_POSITIVE)).collect();
            let values = eigen.values.select(Axis(0), &kept);
            let vectors = eigen.vectors.select(Axis(1), &kept);
            let roots = values.mapv(f64::sqrt);
            let (trained, held) = if dual {
                (&vectors * &roots, test.dot(&train.t()).dot(&vectors) / &roots)
            } else {
                (train.dot(&vectors), test.dot(&vectors))
            };
            let narrow = |array: Array2<f64>| array.mapv(|value| value as f32).as_standard_layout().into_owned();
            Ok(Fold {
                train: fold.train.clone(),
                test: fold.test.clone(),
                trained: narrow(trained),
                held: narrow(held.reversed_axes()),
                values,
            })
        });
        Ok(Self { folds: factored.collect::<Result<_, ProbeError>>()?, penalties: params.penalties.clone(), n_samples: features.nrows() })
    }

    /// The held-out score on every set of targets: accuracy of classes, R2 of vectors. All sets are of one kind and size.
    pub fn scores(&self, sets: &[Targets]) -> Result<Vec<f64>, ProbeError> {
        if let Some(set) = sets.iter().find(|set| set.len() != self.n_samples) {
            return Err(ProbeError::Length { what: "the targets", found: set.len(), wanted: self.n_samples });
        }
        let scores: Vec<Vec<f64>> = sets
            .par_chunks(TOGETHER)
            .map(|sets| {
                let mut sums = vec![(0.0, 0.0); sets.len()];
                self.folds.iter().for_each(|fold| fold.judge(sets, &self.penalties, &mut sums));
                sums.into_iter().map(|(numerator, denominator)| ratio(numerator, denominator)).collect()
            })
            .collect();
        Ok(scores.concat())
    }

    /// Is the score on these targets better than on others that they could have been?
    pub fn test(&self, targets: &Targets, others: &[Targets]) -> Result<PermutationTest, ProbeError> {
        let observed = self.scores(std::slice::from_ref(targets))?[0];
        Ok(PermutationTest::new(observed, self.scores(others)?))
    }
}

impl Fold {
    /// Adds the numerator and denominator of every set's score on the test part.
    fn judge(&self, sets: &[Targets], penalties: &[f64], sums: &mut [(f64, f64)]) {
        let width = sets.first().map_or(0, Targets::width);
        let (n, rank) = self.trained.dim();
        // Weights in the eigenvectors' coordinates, [set and output, value].
        let mut weights = Array2::<f32>::zeros((sets.len() * width, rank));
        let mut means = Array2::<f64>::zeros((sets.len(), width));
        for (index, set) in sets.iter().enumerate() {
            let mut rows = weights.slice_mut(s![index * width..(index + 1) * width, ..]);
            let mut mean = means.row_mut(index);
            for &sample in &self.train {
                set.each(sample, |output, value| mean[output] += value);
            }
            mean.mapv_inplace(|sum| sum / n as f64);
            // Features are centred only to f32, so numbers are centred too: else their mean would come back as rounding.
            let shift = if matches!(set, Targets::Vectors(_)) { mean.to_owned() } else { Array1::zeros(width) };
            let mut squares = 0.0;
            for (place, &sample) in self.train.iter().enumerate() {
                let trained = self.trained.row(place);
                let trained = trained.to_slice().expect("rows are contiguous");
                set.each(sample, |output, value| {
                    let value = value - shift[output];
                    squares += value * value;
                    let mut row = rows.row_mut(output);
                    let row = row.as_slice_mut().expect("rows are contiguous");
                    row.iter_mut().zip(trained).for_each(|(sum, &feature)| *sum += value as f32 * feature);
                });
            }
            squares -= n as f64 * mean.iter().zip(&shift).map(|(mean, shift)| (mean - shift).powi(2)).sum::<f64>();
            let ridge = n as f64
                * self.penalty(
                    rows.map_axis(Axis(0), |column| column.iter().map(|&x| f64::from(x).powi(2)).sum()).view(),
                    squares,
                    penalties,
                );
            let shrinkage = self.values.mapv(|value| (1.0 / (value + ridge)) as f32);
            rows *= &shrinkage;
        }
        let outputs = weights.dot(&self.held); // [set and output, test sample]
        for (index, set) in sets.iter().enumerate() {
            let outputs = outputs.slice(s![index * width..(index + 1) * width, ..]);
            let (numerator, denominator) = set.judge(&self.test, outputs, means.row(index));
            sums[index].0 += numerator;
            sums[index].1 += denominator;
        }
    }

    /// The penalty of least generalised cross-validation error. `inside` is the squared length of the targets along each eigenvector
    /// times its eigenvalue, `squares` of all of them.
    fn penalty(&self, inside: ArrayView1<f64>, squares: f64, penalties: &[f64]) -> f64 {
        let n = self.train.len() as f64;
        // What no penalty can fit. It is a small difference of f32 numbers, and nothing where the features span all samples.
        let spans_all = self.values.len() + 1 >= self.train.len();
        let fitted: f64 = self.values.iter().zip(inside).map(|(&value, &inside)| inside / value).sum();
        let outside = if spans_all { 0.0 } else { (squares - fitted).max(0.0) };
        let error = |penalty: f64| {
            let ridge = penalty * n;
            let (mut left, mut free) = (outside, n - 1.0 - self.values.len() as f64);
            for (&value, &inside) in self.values.iter().zip(inside) {
                let kept = ridge / (value + ridge);
                left += kept * kept * inside / value;
                free += kept;
            }
            left / (free * free)
        };
        penalties.iter().copied().min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(1.0)
    }
}

impl Targets {
    /// Outputs of a readout of these targets.
    fn width(&self) -> usize {
        match self {
            Self::Classes { n_classes, .. } => *n_classes,
            Self::Vectors(vectors) => vectors.ncols(),
        }
    }

    /// Visits a sample's outputs that are not 0.
    fn each(&self, sample: usize, mut visit: impl FnMut(usize, f64)) {
        match self {
            Self::Classes { labels, .. } => visit(labels[sample], 1.0),
            Self::Vectors(vectors) => vectors.row(sample).iter().enumerate().for_each(|(output, &value)| visit(output, value)),
        }
    }

    /// Numerator and denominator of the score of outputs (without their means) on test samples.
    fn judge(&self, test: &[usize], outputs: ndarray::ArrayView2<f32>, means: ArrayView1<f64>) -> (f64, f64) {
        match self {
            Self::Classes { labels, .. } => {
                // Class by class, so that outputs are read in the order in which they lie.
                let mut best = vec![f64::NEG_INFINITY; test.len()];
                let mut said = vec![0_u32; test.len()];
                for (class, (outputs, &mean)) in outputs.rows().into_iter().zip(means).enumerate() {
                    for ((best, said), &output) in best.iter_mut().zip(&mut said).zip(outputs) {
                        let output = f64::from(output) + mean;
                        let is_better = output > *best;
                        *said = if is_better { class as u32 } else { *said };
                        *best = if is_better { output } else { *best };
                    }
                }
                let right = test.iter().zip(said).filter(|&(&sample, said)| labels[sample] == said as usize).count();
                (right as f64, test.len() as f64)
            }
            Self::Vectors(vectors) => {
                let mut sum = (0.0, 0.0);
                for (outputs, &sample) in outputs.columns().into_iter().zip(test) {
                    for ((&output, &mean), &target) in outputs.iter().zip(means).zip(vectors.row(sample)) {
                        let deviation = target - mean;
                        sum.0 += deviation.powi(2) - (deviation - f64::from(output)).powi(2);
                        sum.1 += deviation.powi(2);
                    }
                }
                sum
            }
        }
    }
}
