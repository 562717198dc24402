//! Targeting: sums against a direct count, a planted erase, and random addresses at chance.

use ndarray::{Array1, Axis, s};
use pentimento::ledger::{AccountOptions, HeadRecurrence, Mechanism, Staleness, Standing, Targets, erased_at, targets};
use pentimento::memory::{Dims, HookPoint};
use pentimento::task::{Example, Write, WriteKind};
use proptest::prelude::*;

use super::*;
use crate::memory::sample::unit;

fn targets_of(factors: &Factors<f64>, staleness: &Staleness) -> Targets {
    let head = head_of(factors);
    let found = account(&head, &AccountOptions { marks: staleness.marks(&head), ..AccountOptions::default() });
    targets(&head, &found, staleness)
}

/// Every third write states a fact, every other of these goes stale two steps later.
fn some_stale(n_steps: usize) -> Staleness {
    let standing = |step: usize| match step % 6 {
        0 => Standing::StaleFrom(step + 2),
        3 => Standing::Kept,
        _ => Standing::Other,
    };
    Staleness::new((0..n_steps).map(standing).collect())
}

proptest! {
    #[test]
    fn the_sums_are_those_of_every_erase_on_every_write(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let staleness = some_stale(sample.dims.step);
        let found = targets_of(&factors, &staleness);
        let head = head_of(&factors);
        let (mut stale, mut all, mut facts) = (0.0, 0.0, 0.0);
        // Nothing is stale before step 2.
        for step in 2..sample.dims.step {
            for (write, energy) in erased_at(&head, step).unwrap().energy.iter().enumerate() {
                all += energy;
                facts += if staleness.at(write) == Standing::Other { 0.0 } else { *energy };
                stale += if matches!(staleness.at(write), Standing::StaleFrom(from) if from <= step) { *energy } else { 0.0 };
            }
        }
        let erase = Mechanism::Erase as usize;
        for (found, wanted) in [
            (found.all_writes.taken[erase], all),
            (found.all_writes.stale_taken[erase], stale),
            (found.facts.taken[erase], facts),
            (found.facts.stale_taken[erase], stale),
        ] {
            prop_assert!((found - wanted).abs() < 1e-12 * (1.0 + wanted), "{found}, wanted {wanted}");
        }
        // Lift is address times timing, for every mechanism that has one; recalls share out all removal.
        for mechanism in Mechanism::ALL {
            let sums = &found.all_writes;
            if let (Some(lift), Some(address), Some(timing)) = (sums.lift(mechanism), sums.address_lift(mechanism), sums.timing_lift(mechanism)) {
                prop_assert!((lift - address * timing).abs() < 1e-9 * (1.0 + lift));
            }
        }
        if found.all_writes.recall(Mechanism::Erase).is_some() {
            let recalls: f64 = Mechanism::ALL.iter().filter_map(|&mechanism| found.all_writes.recall(mechanism)).sum();
            prop_assert!((recalls - 1.0).abs() < 1e-12);
        }
    }
}

fn sequence(seed: u64) -> Factors<f64> {
    let dims = Dims { batch: 1, step: 48, key_head: 1, head: 1, d_k: 24, d_v: 2 };
    let factors = Sample { dims, seed, starts_filled: false }.factors(Rule::Eda);
    let kept = factors.arrays()[&HookPoint::Retention].mapv(|_| 0.98);
    factors.with(HookPoint::Retention, kept).unwrap()
}

/// An erase that points at the write which just went stale takes hardly anything else; one that points nowhere has address lift 1.
#[test]
fn a_planted_erase_is_found_and_a_random_one_is_at_chance() {
    let staleness = some_stale(48);
    let (mut aimed, mut random) = (Targets::default(), Targets::default());
    for seed in 0..40 {
        let factors = sequence(seed);
        random.all_writes.add(&targets_of(&factors, &staleness).all_writes);
        let mut erase = factors.arrays()[&HookPoint::EraseDirection].to_owned();
        for step in (2..48).step_by(6) {
            let stale = factors.arrays()[&HookPoint::WriteDirection(0)].slice(s![0, step - 2, 0, ..]).to_owned();
            erase.slice_mut(s![0, step, 0, ..]).assign(&stale);
        }
        aimed.all_writes.add(&targets_of(&factors.with(HookPoint::EraseDirection, erase).unwrap(), &staleness).all_writes);
    }
    let (aimed, random) = (aimed.all_writes, random.all_writes);
    assert!((random.address_lift(Mechanism::Erase).unwrap() - 1.0).abs() < 0.1, "{:?}", random.address_lift(Mechanism::Erase));
    assert!(aimed.address_lift(Mechanism::Erase).unwrap() > 1.5, "{:?}", aimed.address_lift(Mechanism::Erase));
    assert!(aimed.lift(Mechanism::Erase).unwrap() > 1.5 && aimed.recall(Mechanism::Erase) > random.recall(Mechanism::Erase));
}

/// A gate that opens only while something is stale lifts precision by its timing; its address stays at chance.
#[test]
fn a_gate_that_opens_at_the_right_moment_has_a_timing_lift() {
    let staleness = Staleness::new(
        (0..48).map(|step| if step < 8 { Standing::StaleFrom(if step == 0 { 8 } else { 40 }) } else { Standing::Kept }).collect(),
    );
    let mut timed = Targets::default();
    for seed in 0..60 {
        let factors = sequence(seed);
        let mut gamma = factors.arrays()[&HookPoint::EraseStrength].mapv(|_| 0.02);
        gamma.slice_mut(s![0, 40.., 0]).fill(0.6);
        timed.all_writes.add(&targets_of(&factors.with(HookPoint::EraseStrength, gamma).unwrap(), &staleness).all_writes);
    }
    let sums = timed.all_writes;
    assert!(sums.timing_lift(Mechanism::Erase).unwrap() > 1.25, "{:?}", sums.timing_lift(Mechanism::Erase));
    assert!((sums.address_lift(Mechanism::Erase).unwrap() - 1.0).abs() < 0.15, "{:?}", sums.address_lift(Mechanism::Erase));
}

#[test]
fn the_truth_table_says_what_is_stale_and_from_when() {
    let write = |id: u32, position: usize, superseded_at: Option<usize>, deleted_at: Option<usize>| Write {
        id,
        key_position: position - 1,
        position,
        key: 1,
        value: 2 + id,
        kind: WriteKind::Fresh,
        copied_from: None,
        superseded_at,
        superseded_by: None,
        deleted_at,
        later_writes: 0,
    };
    let example =
        Example { writes: vec![write(0, 1, Some(5), None), write(1, 5, None, Some(7)), write(2, 3, None, None)], ..Example::default() };
    let told = Staleness::of_example(&example, 8, 0);
    assert_eq!(
        [1, 5, 3, 2, 99].map(|step| told.at(step)),
        [Standing::StaleFrom(5), Standing::StaleFrom(7), Standing::Kept, Standing::Other, Standing::Other]
    );
    assert_eq!(Staleness::of_example(&example, 8, 1).at(2), Standing::StaleFrom(6));
    assert!(told.any_stale());
}

/// Without a truth table the first later write at a like key supersedes; the sign of the cosine counts.
#[test]
fn likeness_of_keys_stands_in_for_a_truth_table() {
    let dims = Dims { batch: 1, step: 5, key_head: 1, head: 1, d_k: 4, d_v: 1 };
    let factors = Sample { dims, seed: 3, starts_filled: false }.factors(Rule::Kda);
    let mut keys = unit(factors.arrays()[&HookPoint::WriteDirection(0)].to_owned());
    keys.fill(0.0);
    for (step, (channel, sign)) in [(0, 1.0), (1, 1.0), (0, -1.0), (0, 1.0), (1, 1.0)].into_iter().enumerate() {
        keys[[0, step, 0, channel]] = sign;
    }
    let head: HeadRecurrence<f64> = head_of(&factors.with(HookPoint::WriteDirection(0), keys).unwrap());
    let found = Staleness::by_key_likeness(&head, 0.9);
    let wanted = [Standing::StaleFrom(3), Standing::StaleFrom(4), Standing::Kept, Standing::Kept, Standing::Kept];
    assert_eq!(Array1::from_iter((0..5).map(|step| found.at(step))).to_vec(), wanted);
    assert_eq!(factors.dims().step, factors.arrays()[&HookPoint::Query].len_of(Axis(1)));
}
