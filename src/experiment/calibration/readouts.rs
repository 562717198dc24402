//! Readouts: targets that stick to their sequence, split and permuted by sequence, and as naive practice would have it.

use ndarray::Array2;
use pentimento_probes::{
    Evaluation, Moments, Readout, Refit, RidgeParams, Selection, SummedRidge, Targets, evaluate::evaluate, permutation::Permutations,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::{normal, rest};

const WORLD: &str = "features and targets stick to their sequence";
/// Samples of a sequence.
const SAMPLES: usize = 6;
const CHANNELS: usize = 6;
const CLASSES: usize = 3;
/// How often a sample has its predecessor's class.
const STICKS: f64 = 0.9;

pub(super) fn cases() -> Vec<Case> {
    let shipped = |test: &str| Case::new(test, WORLD, Standing::Shipped, Fault::Rejects);
    let naive = |test: &str| Case::new(test, WORLD, Standing::Naive, Fault::Rejects);
    vec![
        shipped("readout: split by sequence, refitted on targets exchanged between sequences"),
        naive("readout: the same, predictions held while targets are exchanged"),
        naive("readout: split by sequence, targets exchanged between tokens"),
        naive("readout: split by token (leakage), targets exchanged between tokens"),
        Case { nominal: 0.025, ..shipped("readout from sums: interval over folds above 0") },
    ]
}

pub(super) fn trial(options: &CalibrationOptions, effect: f64, level: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let n = options.sequences * SAMPLES;
    let groups: Vec<u64> = (0..n).map(|sample| (sample / SAMPLES) as u64).collect();
    let tokens: Vec<u64> = (0..n as u64).collect();
    let mut labels = Vec::with_capacity(n);
    let mut features = Array2::zeros((n, CHANNELS));
    for sequence in 0..options.sequences {
        let mut class = stream.random_range(0..CLASSES);
        let own: Vec<f64> = (0..CHANNELS).map(|_| normal(stream)).collect();
        for sample in 0..SAMPLES {
            if stream.random::<f64>() > STICKS {
                class = stream.random_range(0..CLASSES);
            }
            labels.push(class);
            for channel in 0..CHANNELS {
                // Each class has a channel of its own.
                let told = if channel == class { 2.0 * effect } else { 0.0 };
                features[[sequence * SAMPLES + sample, channel]] = told + rest(effect) * (0.9 * own[channel] + 0.45 * normal(stream));
            }
        }
    }
    let seed = stream.random();
    let outcome = || -> Option<Vec<Outcome>> {
        let targets = Targets::classes(labels, CLASSES).ok()?;
        let ridge = RidgeParams { penalties: vec![0.1], selection: Selection::Generalised, ..RidgeParams::default() };
        let evaluation = Evaluation { seed, ..Evaluation::default() };
        let exchanges = |groups: &[u64]| Permutations::new(groups, options.quick_resamples, seed);
        let refitted = |split: &[u64], exchange: &[u64]| -> Option<f64> {
            let refit = Refit::new(&features, split, &ridge, &evaluation).ok()?;
            Some(exchanges(exchange).test(&refit, &targets).ok()?.p_value)
        };
        let held = || -> Option<f64> {
            let readout = Readout::Ridge(ridge.clone());
            let evaluated = evaluate(&features, std::slice::from_ref(&targets), &groups, &readout, &evaluation).ok()?.remove(0);
            Some(Permutations::within(&groups, Some(&evaluated.fold_of), options.quick_resamples, seed).test_held(&evaluated).ok()?.p_value)
        };
        let ends = if effect == 0.0 { summed(&features, &targets, options.sequences) } else { None };
        Some(vec![
            Outcome::of_p(refitted(&groups, &groups), level),
            Outcome::of_p(held(), level),
            Outcome::of_p(refitted(&groups, &tokens), level),
            Outcome::of_p(refitted(&tokens, &tokens), level),
            ends.map_or(Outcome::None, |low| Outcome::Error(f64::from(u8::from(low > 0.0)))),
        ])
    };
    outcome().unwrap_or_else(|| vec![Outcome::None; cases().len()])
}

/// The lower end of R2 of the readout from the sums of five folds.
fn summed(features: &Array2<f64>, targets: &Targets, sequences: usize) -> Option<f64> {
    let columns = ndarray::concatenate(ndarray::Axis(1), &[features.view(), targets.as_vectors().view()]).ok()?;
    let folds: Vec<Moments> = (0..5)
        .map(|fold| {
            let of_fold: Vec<usize> = (0..sequences * SAMPLES).filter(|sample| sample / SAMPLES % 5 == fold).collect();
            Moments::of(columns.select(ndarray::Axis(0), &of_fold).view())
        })
        .collect();
    let ridge = SummedRidge { penalties: vec![0.01, 0.1, 1.0], ..SummedRidge::default() };
    Some(ridge.fit(&folds, 0..CHANNELS, CHANNELS..CHANNELS + CLASSES).ok()?.score.low)
}
