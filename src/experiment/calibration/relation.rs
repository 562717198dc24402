//! Cleanup strength against decay: the whole measure on worlds in which the erase gate knows of retention as much as planted.

use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::{HeadsAre, World};
use crate::measure::{Cleanup, CleanupOptions, DecayAxis, Null, RecallOptions, StatisticsOptions, Strength, cleanup};

const WORLD: &str = "gates remember, heads and sequences differ";
const FRESH: &str = "the same, random addresses";
const NULLS: [(Null, &str); 4] = [
    (Null::ShuffledStrength, "removed energy inside heads, beyond shuffled γ"),
    (Null::ConstantStrength, "removed energy inside heads, beyond constant γ"),
    (Null::RandomDirection, "removed energy inside heads, beyond random e"),
    (Null::ConstantStrengthRandomDirection, "removed energy inside heads, beyond constant γ and random e"),
];

pub(super) fn cases() -> Vec<Case> {
    let shipped = |test: &str| Case::new(test, WORLD, Standing::Shipped, Fault::Rejects);
    let mut cases = vec![
        shipped("cleanup inside heads: signs of sequences"),
        shipped("cleanup inside heads, beyond shuffled γ"),
        shipped("cleanup between heads: heads permuted"),
        shipped("headline calls a finding"),
        Case::new("interval of ρ inside heads", WORLD, Standing::Shipped, Fault::Misses),
        Case::new("pooled tokens, as if independent", WORLD, Standing::Naive, Fault::Rejects),
        // Addresses that remember are not like random ones, whatever the gates do: a null of another question.
        Case::new("removed energy judged by random e alone", WORLD, Standing::Naive, Fault::Rejects),
    ];
    cases.extend(NULLS.map(|(_, test)| Case::new(test, FRESH, Standing::Shipped, Fault::Rejects)));
    cases.push(Case::new("headline calls a finding", FRESH, Standing::Shipped, Fault::Rejects));
    cases
}

pub(super) fn trial(options: &CalibrationOptions, effect: f64, level: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let statistics = StatisticsOptions {
        resamples: options.resamples,
        permutations: options.resamples,
        seed: rand::RngExt::random(stream),
        ..StatisticsOptions::default()
    };
    let recall = RecallOptions { lags: vec![1], every: 8, statistics: StatisticsOptions { resamples: 0, ..statistics } };
    let measured = CleanupOptions { null_replays: 4, recall, statistics, ..CleanupOptions::default() };
    let mut found = |directions_remember: bool| {
        let world = World {
            sequences: options.sequences,
            steps: options.steps,
            layers: options.layers,
            heads: options.heads,
            channels: options.channels,
            effect,
            directions_remember,
            heads_are: HeadsAre::Drawn,
        };
        cleanup(&world.factors(stream), &measured).ok()
    };
    let (Some(remembering), Some(fresh)) = (found(true), found(false)) else { return vec![Outcome::None; cases().len()] };
    outcomes(&remembering, &fresh, effect, level)
}

fn outcomes(found: &Cleanup, fresh: &Cleanup, effect: f64, level: f64) -> Vec<Outcome> {
    let relation = |found: &Cleanup, strength| found.relation(strength, DecayAxis::MeanRetention).cloned();
    let within = |found: &Cleanup, strength| relation(found, strength).and_then(|relation| relation.within_heads);
    let beyond = |found: &Cleanup, strength, null: Null| within(found, strength)?.nulls.iter().find(|row| row.null == null)?.p_value;
    let headline = |found: &Cleanup| Outcome::Error(f64::from(u8::from(found.headline().contains("beyond every null"))));
    let (gate, inside) = (relation(found, Strength::EraseStrength), within(found, Strength::EraseStrength));
    let covers =
        if effect == 0.0 { Outcome::of_interval(inside.as_ref().and_then(|inside| inside.rho.bounds()), 0.0) } else { Outcome::None };
    let mut outcomes = vec![
        Outcome::of_p(inside.and_then(|inside| inside.p_value), level),
        Outcome::of_p(beyond(found, Strength::EraseStrength, Null::ShuffledStrength), level),
        Outcome::of_p(gate.as_ref().and_then(|gate| gate.between_heads.as_ref()?.p_value), level),
        headline(found),
        covers,
        Outcome::of_p(gate.and_then(|gate| Some(gate.naive_pooled?.p_value_if_tokens_were_independent)), level),
        Outcome::of_p(beyond(found, Strength::RemovedEnergy, Null::RandomDirection), level),
    ];
    outcomes.extend(NULLS.map(|(null, _)| Outcome::of_p(beyond(fresh, Strength::RemovedEnergy, null), level)));
    outcomes.push(headline(fresh));
    outcomes
}
