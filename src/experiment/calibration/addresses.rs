//! Intervals of alignment and collateral perturbation, in worlds whose erase addresses know nothing.

use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::{HeadsAre, World};
use crate::measure::{
    Address, AlignmentOptions, CollateralOptions, StatisticsOptions, Trajectory, alignment, collateral, random_absolute_cosine,
};

const REMEMBER: &str = "addresses remember, and know nothing";
const FRESH: &str = "random addresses, gates remember";

pub(super) fn cases() -> Vec<Case> {
    let misses = |test: &str, world: &str| Case::new(test, world, Standing::Shipped, Fault::Misses);
    vec![
        misses("interval of |cos(e, k)|", REMEMBER),
        Case::new("|cos(e, k)|, tokens as if independent", REMEMBER, Standing::Naive, Fault::Misses),
        misses("interval of the collateral perturbation", FRESH),
        misses("interval of the fold of random addresses", FRESH),
        misses("interval of the removed energy", FRESH),
    ]
}

/// The perturbation and the removed energy of very many sequences.
pub(super) fn truths(options: &CalibrationOptions, stream: &mut ChaCha8Rng) -> Vec<Option<f64>> {
    let statistics = StatisticsOptions { resamples: options.resamples, ..StatisticsOptions::default() };
    let factors = world(options, false).factors(stream);
    let found = collateral(&factors, &CollateralOptions { statistics, ..CollateralOptions::default() }).ok();
    let learned = found.as_ref().and_then(|found| found.global_at(Address::Learned, Trajectory::FullReplay));
    let energy = learned.and_then(|row| row.removed_energy.as_ref());
    vec![None, None, learned.map(|row| row.ratio_of_sums.estimate), None, energy.map(|energy| energy.estimate)]
}

fn world(options: &CalibrationOptions, directions_remember: bool) -> World {
    World {
        sequences: options.sequences,
        steps: options.steps,
        layers: options.layers,
        heads: options.heads,
        channels: options.channels,
        effect: 0.0,
        directions_remember,
        heads_are: HeadsAre::Kept,
    }
}

pub(super) fn trial(options: &CalibrationOptions, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let statistics = StatisticsOptions { resamples: options.resamples, seed: rand::RngExt::random(stream), ..StatisticsOptions::default() };
    let nothing = || vec![Outcome::None; cases().len()];
    let Ok(aligned) = alignment(&world(options, true).factors(stream), &AlignmentOptions { statistics }) else { return nothing() };
    let cosine = &aligned.global;
    let truth = random_absolute_cosine(options.channels);
    let half = 1.96 * cosine.random_deviation / (cosine.n_tokens as f64).sqrt();
    let naive = (cosine.absolute_cosine.estimate - half, cosine.absolute_cosine.estimate + half);
    let Ok(perturbed) =
        collateral(&world(options, false).factors(stream), &CollateralOptions { statistics, ..CollateralOptions::default() })
    else {
        return nothing();
    };
    let at = |address| perturbed.global_at(address, Trajectory::FullReplay);
    let (learned, random) = (at(Address::Learned), at(Address::Random));
    vec![
        Outcome::of_interval(cosine.absolute_cosine.bounds(), truth),
        Outcome::of_interval(Some(naive), truth),
        Outcome::of_unknown(learned.map(|row| &row.ratio_of_sums)),
        // Learned addresses are as random as the random ones.
        Outcome::of_interval(random.and_then(|row| row.fold.as_ref()?.bounds()), 1.0),
        Outcome::of_unknown(learned.and_then(|row| row.removed_energy.as_ref())),
    ]
}
