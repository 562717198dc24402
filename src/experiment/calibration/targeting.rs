//! Targeting of the erase: does its lift leave the nulls only where addresses are planted on stale content?

use ndarray::{ArrayD, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::{HeadsAre, World, rest};
use crate::ledger::{Mechanism, Staleness, Standing as Fact};
use crate::measure::{
    AddressNull, Among, Interval, SequenceTruth, StatisticsOptions, Targeting, TargetingOptions, TargetingRow, Truth, targeting,
};
use crate::memory::{Factors, HookPoint};

const WORLD: &str = "facts go stale, addresses know nothing";
const NULLS: [(AddressNull, &str); 3] = [
    (AddressNull::RandomDirection, "targeting: lift beyond random e"),
    (AddressNull::ShuffledDirection, "targeting: lift beyond e shuffled over tokens"),
    (AddressNull::OtherSequence, "targeting: lift beyond e of another sequence"),
];
/// A number of a row.
type Pick = fn(&TargetingRow) -> Option<&Interval>;
/// Numbers whose intervals are judged.
const NUMBERS: [(&str, Pick); 5] = [
    ("targeting: interval of the lift", |row| row.lift.as_ref()),
    ("targeting: interval of the address lift", |row| row.address_lift.as_ref()),
    ("targeting: interval of the timing lift", |row| row.timing_lift.as_ref()),
    ("targeting: interval of the excess over random e", |row| Some(&row.null(AddressNull::RandomDirection)?.excess)),
    ("targeting: interval of the precision", |row| row.precision.as_ref()),
];
/// Fewer and more sequences than the spec's, for intervals alone.
const OTHER_SIZES: [usize; 2] = [8, 64];
/// Replays of each null where nulls are judged.
const NULL_REPLAYS: usize = 3;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = NULLS.map(|(_, test)| Case::new(test, WORLD, Standing::Shipped, Fault::Rejects)).to_vec();
    cases.extend(NUMBERS.map(|(test, _)| Case::new(test, WORLD, Standing::Shipped, Fault::Misses)));
    for n in OTHER_SIZES {
        let world = format!("the same, {n} sequences");
        cases.extend(NUMBERS.map(|(test, _)| Case::new(test, &world, Standing::Shipped, Fault::Misses)));
    }
    cases
}

pub(super) fn trial(options: &CalibrationOptions, effect: f64, level: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let row = row(options, effect, NULL_REPLAYS, stream);
    let p_value = |null: AddressNull| row.as_ref()?.null(null)?.p_value;
    let mut outcomes = NULLS.map(|(null, _)| Outcome::of_p(p_value(null), level)).to_vec();
    if effect != 0.0 {
        outcomes.resize(cases().len(), Outcome::None);
        return outcomes;
    }
    let intervals = |row: &Option<TargetingRow>| NUMBERS.map(|(_, pick)| Outcome::of_unknown(row.as_ref().and_then(pick)));
    outcomes.extend(intervals(&row));
    for n in OTHER_SIZES {
        outcomes.extend(intervals(&self::row(&CalibrationOptions { sequences: n, ..options.clone() }, effect, 1, stream)));
    }
    outcomes
}

/// The same numbers of very many sequences.
pub(super) fn truths(options: &CalibrationOptions, stream: &mut ChaCha8Rng) -> Vec<Option<f64>> {
    let row = row(options, 0.0, 1, stream);
    let numbers = NUMBERS.map(|(_, pick)| row.as_ref().and_then(pick).map(|interval| interval.estimate));
    let sizes = (0..=OTHER_SIZES.len()).flat_map(|_| numbers);
    NULLS.iter().map(|_| None).chain(sizes).collect()
}

/// Targeting of facts by the erase in a new world.
fn row(options: &CalibrationOptions, effect: f64, null_replays: usize, stream: &mut ChaCha8Rng) -> Option<TargetingRow> {
    let found = found(options, effect, null_replays, stream)?;
    found.row(Mechanism::Erase, Among::Facts, None).cloned()
}

/// Targeting in a new world.
fn found(options: &CalibrationOptions, effect: f64, null_replays: usize, stream: &mut ChaCha8Rng) -> Option<Targeting> {
    let world = World {
        sequences: options.sequences,
        steps: options.steps,
        layers: options.layers,
        heads: options.heads,
        channels: options.channels,
        effect: 0.0,
        directions_remember: false,
        heads_are: HeadsAre::Kept,
    };
    let facts: Vec<Vec<Fact>> = (0..options.sequences).map(|_| facts(options.steps, stream)).collect();
    let layers: Vec<(usize, Factors<f32>)> =
        world.factors(stream).into_iter().map(|(layer, factors)| (layer, aimed(&factors, &facts, effect))).collect();
    let truth = Truth::Table(facts.into_iter().map(|facts| SequenceTruth { condition: None, staleness: Staleness::new(facts) }).collect());
    let statistics = StatisticsOptions {
        resamples: options.resamples,
        permutations: options.resamples,
        seed: stream.random(),
        ..StatisticsOptions::default()
    };
    targeting(&layers, &truth, &TargetingOptions { null_replays, statistics }).ok()
}

/// Facts in the first half of a sequence; half of them go stale in the second.
fn facts(steps: usize, stream: &mut ChaCha8Rng) -> Vec<Fact> {
    let half = steps / 2;
    let one = |step: usize, stream: &mut ChaCha8Rng| match (step < half, stream.random_range(0..4)) {
        (true, 0) => Fact::Kept,
        (true, 1) => Fact::StaleFrom(stream.random_range(half..steps)),
        _ => Fact::Other,
    };
    (0..steps).map(|step| one(step, stream)).collect()
}

/// Erase addresses turned by `effect` towards the keys of what has gone stale by then, one after the other.
fn aimed(factors: &Factors<f32>, facts: &[Vec<Fact>], effect: f64) -> Factors<f32> {
    if effect == 0.0 {
        return factors.clone();
    }
    let keys = factors.channels(HookPoint::WriteDirection(0));
    let mut addresses: ArrayD<f32> = factors.channels(HookPoint::EraseDirection).to_owned().into_dyn();
    for (batch, facts) in facts.iter().enumerate() {
        for step in 0..facts.len() {
            let stale: Vec<usize> = (0..step).filter(|&write| matches!(facts[write], Fact::StaleFrom(from) if from <= step)).collect();
            let Some(&write) = stale.get(step % stale.len().max(1)) else { continue };
            for head in 0..factors.dims().key_head {
                let key = keys.index_axis(Axis(0), batch).index_axis_move(Axis(0), write).index_axis_move(Axis(0), head).to_owned();
                let mut sequence = addresses.index_axis_mut(Axis(0), batch);
                let mut token = sequence.index_axis_mut(Axis(0), step);
                let mut address = token.index_axis_mut(Axis(0), head);
                address.zip_mut_with(&key.into_dyn(), |own, key| *own = (rest(effect) * f64::from(*own) + effect * f64::from(*key)) as f32);
                let norm = address.iter().map(|x| x * x).sum::<f32>().sqrt();
                address.mapv_inplace(|x| x / norm);
            }
        }
    }
    factors.with(HookPoint::EraseDirection, addresses).expect("the addresses have the shape of those they replace")
}
