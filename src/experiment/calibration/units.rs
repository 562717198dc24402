//! The bricks of every interval and p-value, on numbers drawn directly: signs of sequences, permuted heads, bootstrap intervals.

use pentimento_probes::{Bootstrap as GroupBootstrap, GroupedScore, IntervalMethod, Metric, uncertainty::hierarchical};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::{normal, rest};
use crate::measure::{Bootstrap, StatisticsOptions, permute_heads, sign_flip};

/// Numbers of sequences: few, a usual number, many.
const SEQUENCES: [usize; 3] = [8, 20, 64];
/// Numbers of trained models: few, and more.
const MODELS: [usize; 2] = [3, 8];
/// What counts as nothing in a test of equivalence.
const MARGIN: f64 = 0.1;
/// Layers and heads of a layer for permuted heads.
const LAYERS: usize = 4;
const HEADS: usize = 4;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for n in SEQUENCES {
        cases.push(Case::new("permuted signs", &format!("{n} sequences, symmetric"), Standing::Shipped, Fault::Rejects));
        cases.push(Case::new("permuted signs, of a mean", &format!("{n} sequences, skewed"), Standing::Naive, Fault::Rejects));
        cases.push(Case::new("studentised bootstrap", &format!("{n} sequences, symmetric"), Standing::Shipped, Fault::Rejects));
        cases.push(Case::new("studentised bootstrap", &format!("{n} sequences, skewed"), Standing::Shipped, Fault::Rejects));
        cases.push(Case::new("bootstrap interval of a mean", &format!("{n} sequences, symmetric"), Standing::Shipped, Fault::Misses));
        cases.push(Case::new("bootstrap interval of a mean", &format!("{n} sequences, skewed"), Standing::Shipped, Fault::Misses));
        cases.push(Case::new("bootstrap interval of a readout's score", &format!("{n} sequences"), Standing::Shipped, Fault::Misses));
        cases.push(Case::new("bootstrap interval of a difference", &format!("{n} sequences"), Standing::Shipped, Fault::Misses));
        cases.push(Case::new("equivalence within 0.1, truth at the margin", &format!("{n} sequences"), Standing::Shipped, Fault::Rejects));
        cases.push(Case::new("equivalence by not being significant", &format!("{n} sequences"), Standing::Naive, Fault::Rejects));
    }
    for n in MODELS {
        for whose in ["20 sequences each", "the same 20 sequences"] {
            let world = format!("{n} models, {whose}");
            cases.push(Case::new("interval over models and sequences", &world, Standing::Shipped, Fault::Misses));
            cases.push(Case::new("models pooled, sequences as the unit", &world, Standing::Naive, Fault::Misses));
        }
    }
    cases.push(Case::new("permuted heads", "heads differ", Standing::Shipped, Fault::Rejects));
    cases.push(Case::new("permuted heads", "heads of a layer are alike", Standing::Shipped, Fault::Rejects));
    cases.push(Case::new("heads permuted between layers too", "heads of a layer are alike", Standing::Naive, Fault::Rejects));
    cases
}

pub(super) fn trial(options: &CalibrationOptions, effect: f64, level: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let statistics = StatisticsOptions {
        resamples: options.quick_resamples,
        permutations: options.quick_resamples,
        seed: stream.random(),
        ..StatisticsOptions::default()
    };
    let unplanted = |outcome: Outcome| if effect == 0.0 { outcome } else { Outcome::None };
    let mut outcomes = Vec::new();
    for n in SEQUENCES {
        let symmetric: Vec<f64> = (0..n).map(|_| normal(stream) + effect).collect();
        // Exponential with mean 0: the long tail to the right.
        let skewed: Vec<f64> = (0..n).map(|_| -(1.0 - stream.random::<f64>()).ln() - 1.0 + effect).collect();
        let bootstrap = Bootstrap::new(n, &statistics);
        let mean = |values: &[f64]| bootstrap.mean(&values.iter().copied().map(Some).collect::<Vec<_>>()).and_then(|mean| mean.bounds());
        outcomes.push(Outcome::of_p(sign_flip(&symmetric, &statistics), level));
        outcomes.push(Outcome::of_p(sign_flip(&skewed, &statistics), level));
        outcomes.push(Outcome::of_p(bootstrap.p_value(&symmetric, &vec![1.0; n], 0.0), level));
        outcomes.push(Outcome::of_p(bootstrap.p_value(&skewed, &vec![1.0; n], 0.0), level));
        outcomes.push(unplanted(Outcome::of_interval(mean(&symmetric), 0.0)));
        outcomes.push(unplanted(Outcome::of_interval(mean(&skewed), 0.0)));
        let (score, other) = (shares(n, stream), shares(n, stream));
        let settings =
            GroupBootstrap { resamples: options.quick_resamples, seed: statistics.seed, level: 0.95, method: IntervalMethod::default() };
        let drawn = settings.draw(n);
        let covered = |estimate: Option<pentimento_probes::Estimate>, truth| {
            unplanted(Outcome::of_interval(estimate.map(|estimate| (estimate.low, estimate.high)), truth))
        };
        let drawn = drawn.as_ref().ok();
        outcomes.push(covered(drawn.and_then(|drawn| drawn.estimate(&score).ok()), SHARE));
        outcomes.push(covered(drawn.and_then(|drawn| drawn.difference(&score, &other).ok()), 0.0));
        // Chance is as far away as what would count as nothing: to call that nothing is the error.
        let chance =
            GroupedScore { numerators: score.denominators.iter().map(|asked| asked * (SHARE - MARGIN)).collect(), ..score.clone() };
        let shown = drawn.and_then(|drawn| drawn.equivalence(&score, &chance, MARGIN, level).ok());
        outcomes.push(unplanted(Outcome::of_p(shown.map(|shown| if shown.is_shown() { shown.p_value } else { 1.0 }), level)));
        let hidden = drawn.and_then(|drawn| drawn.difference(&score, &chance).ok()).map(|difference| !difference.excludes(0.0));
        outcomes.push(unplanted(hidden.map_or(Outcome::None, |hidden| Outcome::Error(f64::from(u8::from(hidden))))));
    }
    for n in MODELS {
        for alike in [false, true] {
            let scores = models(n, alike, stream);
            let settings = GroupBootstrap {
                resamples: options.quick_resamples,
                seed: statistics.seed,
                level: 0.95,
                method: IntervalMethod::default(),
            };
            let ends = |found: Option<pentimento_probes::Estimate>| {
                unplanted(Outcome::of_interval(found.map(|found| (found.low, found.high)), SHARE))
            };
            outcomes.push(ends(hierarchical(&scores, 0.95).ok()));
            let pooled = GroupedScore {
                metric: Metric::Accuracy,
                groups: (0..scores.iter().map(|score| score.groups.len() as u64).sum()).collect(),
                numerators: scores.iter().flat_map(|score| score.numerators.clone()).collect(),
                denominators: scores.iter().flat_map(|score| score.denominators.clone()).collect(),
            };
            outcomes.push(ends(settings.draw(pooled.groups.len()).and_then(|drawn| drawn.estimate(&pooled)).ok()));
        }
    }
    let layers: Vec<usize> = (0..LAYERS * HEADS).map(|head| head / HEADS).collect();
    let one_layer = vec![0; LAYERS * HEADS];
    let (x, y) = heads(0.0, effect, stream);
    outcomes.push(Outcome::of_p(permute_heads(&x, &y, &layers, &statistics), level));
    let (x, y) = heads(0.8, effect, stream);
    outcomes.push(Outcome::of_p(permute_heads(&x, &y, &layers, &statistics), level));
    outcomes.push(Outcome::of_p(permute_heads(&x, &y, &one_layer, &statistics), level));
    outcomes
}

/// The true share of right answers in [`shares`].
const SHARE: f64 = 0.4;

/// Right answers of sequences that differ in skill and in how many questions they have.
fn shares(n: usize, stream: &mut ChaCha8Rng) -> GroupedScore {
    shares_around(n, SHARE, stream)
}

/// Right answers of models that are better or worse than one another, to sequences of their own or to the same.
fn models(n: usize, same_sequences: bool, stream: &mut ChaCha8Rng) -> Vec<GroupedScore> {
    let ease: Vec<f64> = (0..SEQUENCES[1]).map(|_| 0.4 * (stream.random::<f64>() - 0.5)).collect();
    let of_model = |model: usize| {
        let skill = SHARE + 0.1 * (2.0 * stream.random::<f64>() - 1.0);
        let mut score = shares_around(SEQUENCES[1], 0.0, stream);
        for (sequence, (right, asked)) in score.numerators.iter_mut().zip(&score.denominators).enumerate() {
            let ease = if same_sequences { ease[sequence] } else { 0.4 * (stream.random::<f64>() - 0.5) };
            *right = (0..*asked as usize).filter(|_| stream.random::<f64>() < skill + ease).count() as f64;
        }
        if !same_sequences {
            score.groups.iter_mut().for_each(|group| *group += 1000 * model as u64);
        }
        score
    };
    (0..n).map(of_model).collect()
}

fn shares_around(n: usize, share: f64, stream: &mut ChaCha8Rng) -> GroupedScore {
    let of_sequence = |stream: &mut ChaCha8Rng| {
        // Uniform around the share: some sequences are easy.
        let skill = share + 0.6 * (stream.random::<f64>() - 0.5);
        let questions = stream.random_range(3..9);
        let right = (0..questions).filter(|_| stream.random::<f64>() < skill).count();
        (right as f64, f64::from(questions))
    };
    let (numerators, denominators) = (0..n).map(|_| of_sequence(stream)).unzip();
    GroupedScore { metric: Metric::Accuracy, groups: (0..n as u64).collect(), numerators, denominators }
}

/// Means of two gates by sequence and head; `alike` is how much of a head's own mean is its layer's.
fn heads(alike: f64, effect: f64, stream: &mut ChaCha8Rng) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let own = |stream: &mut ChaCha8Rng| -> Vec<f64> {
        let layers: Vec<f64> = (0..LAYERS).map(|_| normal(stream)).collect();
        (0..LAYERS * HEADS).map(|head| alike.sqrt() * layers[head / HEADS] + (1.0 - alike).sqrt() * normal(stream)).collect()
    };
    let (x, other) = (own(stream), own(stream));
    let y: Vec<f64> = x.iter().zip(other).map(|(x, other)| effect * x + rest(effect) * other).collect();
    let mut noisy = |means: &[f64]| -> Vec<Vec<f64>> {
        (0..SEQUENCES[1]).map(|_| means.iter().map(|mean| mean + 0.3 * normal(stream)).collect()).collect()
    };
    (noisy(&x), noisy(&y))
}
