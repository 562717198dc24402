//! Erasing a concept from features: LEACE (Belrose et al., arXiv 2306.03819) beside a random subspace of the same rank.
//!
//! LEACE moves features as little as possible such that no linear readout of any kind can tell the concept on the samples it
//! was fitted on: `x - W^+ P W (x - mean)`, W whitens the features, P projects on what of the whitened features covaries with
//! the concept. What a readout (or a model) does without that subspace is what the subspace did for it; what it does without
//! an arbitrary subspace of the same rank is what any loss of that size does.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};

use crate::{
    Evaluated, Evaluation, ProbeError, Readout, Targets,
    evaluate::{Prediction, fit_and_predict},
    linalg::{Eigen, gram, kernel},
    random::normals,
    samples::check_finite,
    split::Folds,
};

/// Directions whose variance is below this share of the largest count as absent.
const LEAST_VARIANCE: f64 = 1e-9;
/// Directions of the concept whose squared covariance is below this share of the largest count as absent.
const LEAST_COVARIANCE: f64 = 1e-12;

/// Which subspace is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subspace {
    /// What linearly tells the concept (LEACE).
    Concept,
    /// A random one of the same rank in the whitened features: the control.
    Random,
}

/// A fitted erasure: features x become `x - (x - mean) detect restore`.
#[derive(Clone, Debug)]
pub struct Eraser {
    mean: Array1<f64>,
    /// [channel, rank].
    detect: Array2<f64>,
    /// [rank, channel].
    restore: Array2<f64>,
    n_dimensions: usize,
}

/// Features' principal directions: [channel, direction] and the variance along each.
struct Principal {
    mean: Array1<f64>,
    directions: Array2<f64>,
    variances: Array1<f64>,
}

impl Principal {
    fn of(features: ArrayView2<f64>) -> Result<Self, ProbeError> {
        let n = features.nrows() as f64;
        let mean = features.mean_axis(Axis(0)).ok_or(ProbeError::Empty)?;
        let centred = &features - &mean;
        let in_samples = centred.nrows() < centred.ncols();
        let square = if in_samples { kernel(centred.view()) } else { gram(centred.view()) } / n;
        let eigen = Eigen::new(square, "the covariance of the features")?;
        let most = eigen.values.iter().fold(0.0_f64, |most, &value| most.max(value));
        let kept: Vec<usize> = (0..eigen.values.len()).filter(|&i| eigen.values[i] > LEAST_VARIANCE * most && most > 0.0).collect();
        let variances = eigen.values.select(Axis(0), &kept);
        let vectors = eigen.vectors.select(Axis(1), &kept);
        let directions = if in_samples { centred.t().dot(&vectors) / variances.mapv(|value| (value * n).sqrt()) } else { vectors };
        Ok(Self { mean, directions, variances })
    }

    /// The erasure of a subspace of the whitened features, given by orthonormal columns [direction, rank].
    fn eraser(self, subspace: &Array2<f64>) -> Eraser {
        let scaled = |power: f64| &self.directions * &self.variances.mapv(|value| value.powf(power));
        Eraser {
            detect: scaled(-0.5).dot(subspace),
            restore: scaled(0.5).dot(subspace).reversed_axes(),
            n_dimensions: self.variances.len(),
            mean: self.mean,
        }
    }
}

impl Eraser {
    /// LEACE: what linearly tells `concept` [sample, number] (classes as indicators) from `features` [sample, channel].
    pub fn leace(features: ArrayView2<f64>, concept: ArrayView2<f64>) -> Result<Self, ProbeError> {
        Self::leading(features, concept, usize::MAX)
    }

    /// The same of the concept's leading directions only: where a concept of many classes fills all the dimensions there are,
    /// erasing it whole would leave nothing to compare.
    pub fn leading(features: ArrayView2<f64>, concept: ArrayView2<f64>, most: usize) -> Result<Self, ProbeError> {
        if concept.nrows() != features.nrows() {
            return Err(ProbeError::Length { what: "the concept", found: concept.nrows(), wanted: features.nrows() });
        }
        let principal = Principal::of(features)?;
        let centred = &concept - &concept.mean_axis(Axis(0)).ok_or(ProbeError::Empty)?;
        let whitened = (&features - &principal.mean).dot(&principal.directions) / principal.variances.mapv(f64::sqrt);
        let covariance = whitened.t().dot(&centred) / features.nrows() as f64;
        let subspace = column_space(&covariance)?;
        // Ascending: the last directions tell most.
        let first = subspace.ncols().saturating_sub(most);
        Ok(principal.eraser(&subspace.slice(s![.., first..]).to_owned()))
    }

    /// A random subspace of this rank (at most as many as the features have dimensions).
    pub fn random(features: ArrayView2<f64>, rank: usize, seed: u64) -> Result<Self, ProbeError> {
        let principal = Principal::of(features)?;
        let n = principal.variances.len();
        let draws = normals(n, rank.min(n), &mut ChaCha8Rng::seed_from_u64(seed));
        let subspace = column_space(&draws)?;
        Ok(principal.eraser(&subspace))
    }

    /// Dimensions that are erased.
    pub fn rank(&self) -> usize {
        self.detect.ncols()
    }

    /// Dimensions the features vary in. Where the rank is as large, erasing leaves nothing at all.
    pub const fn n_dimensions(&self) -> usize {
        self.n_dimensions
    }

    /// What erasing adds to features [sample, channel].
    pub fn change(&self, features: ArrayView2<f64>) -> Array2<f64> {
        -(&features - &self.mean).dot(&self.detect).dot(&self.restore)
    }

    /// Features without the subspace.
    pub fn erase(&self, features: ArrayView2<f64>) -> Array2<f64> {
        self.change(features) + features
    }
}

/// Orthonormal columns that span those of a matrix.
fn column_space(matrix: &Array2<f64>) -> Result<Array2<f64>, ProbeError> {
    let (rows, columns) = matrix.dim();
    let eigen =
        if columns <= rows { Eigen::new(gram(matrix.view()), "a concept")? } else { Eigen::new(kernel(matrix.view()), "a concept")? };
    let most = eigen.values.iter().fold(0.0_f64, |most, &value| most.max(value));
    // Values are squares here.
    let kept: Vec<usize> = (0..eigen.values.len()).filter(|&i| eigen.values[i] > LEAST_COVARIANCE * most).collect();
    let vectors = eigen.vectors.select(Axis(1), &kept);
    if columns > rows {
        return Ok(vectors);
    }
    Ok(matrix.dot(&vectors) / eigen.values.select(Axis(0), &kept).mapv(f64::sqrt))
}

/// What a fold erases: the concept's subspace and random ones of its rank.
struct FoldErasers {
    concept: Eraser,
    random: Vec<Eraser>,
    /// Whether only the concept's leading directions are erased, because whole it fills more than half of the dimensions.
    fills: bool,
}

impl FoldErasers {
    fn fit(train: ArrayView2<f64>, known: ArrayView2<f64>, n_random: usize, seed: u64) -> Result<Self, ProbeError> {
        let whole = Eraser::leace(train, known)?;
        let fills = 2 * whole.rank() > whole.n_dimensions();
        let quarter = whole.n_dimensions().div_ceil(4);
        let concept = if fills { Eraser::leading(train, known, quarter)? } else { whole };
        let draws = (0..n_random as u64).map(|draw| Eraser::random(train, concept.rank(), seed.wrapping_add(draw << 32)));
        Ok(Self { random: draws.collect::<Result<_, _>>()?, concept, fills })
    }
}

/// What erasing adds to every sample's features, by an eraser that never saw its group.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Without what tells the concept, [sample, channel].
    pub concept: Array2<f64>,
    /// Without each random subspace of the same rank.
    pub random: Vec<Array2<f64>>,
    /// Mean dimensions erased over folds.
    pub rank: f64,
    /// Mean dimensions the features vary in.
    pub n_dimensions: f64,
    /// Whether only the concept's leading directions were erased, in every fold.
    pub is_partial: bool,
}

/// Erases `concept` from features [sample, channel], and `n_random` random subspaces of the same rank: for putting the changed
/// features back to where they were taken from.
pub fn held_out_changes(
    features: &Array2<f64>,
    concept: &Targets,
    groups: &[u64],
    n_random: usize,
    evaluation: &Evaluation,
) -> Result<Changes, ProbeError> {
    check_finite("a feature", features.view())?;
    let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
    let nothing = || Array2::zeros(features.raw_dim());
    let mut found =
        Changes { concept: nothing(), random: (0..n_random).map(|_| nothing()).collect(), rank: 0.0, n_dimensions: 0.0, is_partial: true };
    let concept = concept.as_vectors();
    for (index, fold) in folds.iter().enumerate() {
        let train = features.select(Axis(0), &fold.train);
        let test = features.select(Axis(0), &fold.test);
        let known = concept.select(Axis(0), &fold.train);
        let erasers = FoldErasers::fit(train.view(), known.view(), n_random, evaluation.seed.wrapping_add(index as u64))?;
        found.is_partial &= erasers.fills;
        found.rank += erasers.concept.rank() as f64 / folds.len() as f64;
        found.n_dimensions += erasers.concept.n_dimensions() as f64 / folds.len() as f64;
        let put = |all: &mut Array2<f64>, eraser: &Eraser| {
            for (change, &sample) in eraser.change(test.view()).rows().into_iter().zip(&fold.test) {
                all.row_mut(sample).assign(&change);
            }
        };
        put(&mut found.concept, &erasers.concept);
        found.random.iter_mut().zip(&erasers.random).for_each(|(all, eraser)| put(all, eraser));
    }
    Ok(found)
}

/// What erasing one concept did to readouts of several tasks, everything held out.
#[derive(Clone, Debug)]
pub struct Erased {
    /// Which subspace.
    pub subspace: Subspace,
    /// Mean dimensions erased over folds.
    pub rank: f64,
    /// Mean dimensions the features vary in.
    pub n_dimensions: f64,
    /// Whether only the concept's leading directions were erased, in every fold: whole, it would have filled more than half of
    /// the dimensions. Then something of it is left.
    pub is_partial: bool,
    /// Readouts fitted anew on erased features: what is still there.
    pub refitted: Vec<Evaluated>,
    /// Readouts fitted on whole features, given erased ones: what they did with the subspace.
    pub frozen: Vec<Evaluated>,
    /// What erasing added to each held-out sample's features [sample, channel].
    pub change: Array2<f64>,
}

/// Erases `concept` from the features, and a random subspace of the same rank, and asks every task again: eraser and readouts
/// are fitted on the training part of each fold, and judged by its test part.
pub fn erase_and_evaluate(
    features: &Array2<f64>,
    concept: &Targets,
    tasks: &[Targets],
    groups: &[u64],
    readout: &Readout,
    evaluation: &Evaluation,
) -> Result<[Erased; 2], ProbeError> {
    check_finite("a feature", features.view())?;
    let folds = Folds::by_group(groups, evaluation.folds, evaluation.seed)?;
    let blank = || -> Vec<Evaluated> { tasks.iter().map(|task| Evaluated::blank(task, groups, &folds, readout)).collect() };
    let mut found = [Subspace::Concept, Subspace::Random].map(|subspace| Erased {
        subspace,
        rank: 0.0,
        n_dimensions: 0.0,
        is_partial: true,
        refitted: blank(),
        frozen: blank(),
        change: Array2::zeros(features.raw_dim()),
    });
    let concept = concept.as_vectors();
    for (index, fold) in folds.iter().enumerate() {
        let train = features.select(Axis(0), &fold.train);
        let test = features.select(Axis(0), &fold.test);
        let train_groups: Vec<u64> = fold.train.iter().map(|&sample| groups[sample]).collect();
        let targets: Vec<Targets> = tasks.iter().map(|task| task.select(&fold.train)).collect();
        let known = concept.select(Axis(0), &fold.train);
        let FoldErasers { concept: leace, random, fills } =
            FoldErasers::fit(train.view(), known.view(), 1, evaluation.seed.wrapping_add(index as u64))?;
        let erasers: Vec<Eraser> = std::iter::once(leace).chain(random).collect();
        let without: Vec<Array2<f64>> = erasers.iter().map(|eraser| eraser.erase(test.view())).collect();
        let tests: Vec<ArrayView2<f64>> = without.iter().map(|test| test.view()).collect();
        let frozen = fit_and_predict(&train, &tests, &targets, &train_groups, readout, evaluation.scaling)?;
        for (place, (eraser, found)) in erasers.iter().zip(&mut found).enumerate() {
            found.is_partial &= fills;
            found.rank += eraser.rank() as f64 / folds.len() as f64;
            found.n_dimensions += eraser.n_dimensions() as f64 / folds.len() as f64;
            for (row, &sample) in fold.test.iter().enumerate() {
                let change = &without[place].row(row) - &test.row(row);
                found.change.slice_mut(s![sample, ..]).assign(&change);
            }
            let refitted =
                fit_and_predict(&eraser.erase(train.view()), &tests[place..=place], &targets, &train_groups, readout, evaluation.scaling)?;
            let fill = |evaluated: &mut Vec<Evaluated>, predictions: &[Prediction], place: usize| {
                for ((evaluated, prediction), targets) in evaluated.iter_mut().zip(predictions).zip(&targets) {
                    evaluated.fill(&fold.test, &prediction.outputs[place], prediction.penalty, targets);
                }
            };
            fill(&mut found.refitted, &refitted, 0);
            fill(&mut found.frozen, &frozen, place);
        }
    }
    Ok(found)
}
