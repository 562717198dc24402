//! The lowered reference against each paper's own formula.

use ndarray::{Array1, ArrayD, Axis, arr1, s};
use pentimento::memory::{
    Factors, HookPoint, MemoryError, Phase, Rule,
    reference::{run, run_head},
};
use proptest::prelude::*;

use super::{
    naive,
    sample::{Sample, largest_difference, rules, samples},
};

proptest! {
    #[test]
    fn every_rule_lowers_to_its_papers_formula(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let recurrence = factors.lower();
        for (batch, head) in ndarray::indices((sample.dims.batch, sample.dims.head)) {
            let (output, memories) = naive::run(&factors, batch, head);
            let reference = run_head(&recurrence, batch, head, &Phase::ALL);
            prop_assert!(largest_difference(&output, &reference.output) < 1e-12);
            for (step, memory) in memories.iter().enumerate() {
                let found = reference.memory[&Phase::Write].index_axis(Axis(0), step).to_owned();
                prop_assert!(largest_difference(memory, &found) < 1e-12);
            }
        }
    }

    #[test]
    fn phases_follow_one_another(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let recurrence = factors.lower();
        let all = run(&recurrence, &Phase::ALL);
        for step in 0..sample.dims.step {
            let at = |phase: Phase| all.memory[&phase].index_axis(Axis(1), step).to_owned();
            // A step finds what the one before left.
            let found = match step {
                0 => factors.initial_memory().map_or_else(|| ndarray::Array4::zeros(at(Phase::Before).dim()), ndarray::ArrayBase::to_owned),
                _ => all.memory[&Phase::Write].index_axis(Axis(1), step - 1).to_owned(),
            };
            prop_assert_eq!(at(Phase::Before), found);
            let retention = factors.channels(HookPoint::Retention).index_axis(Axis(1), step).insert_axis(Axis(3)).to_owned();
            prop_assert_eq!(at(Phase::Decay), at(Phase::Before) * &retention);
            if !rule.has_erase() {
                prop_assert_eq!(at(Phase::Erase), at(Phase::Decay));
            }
        }
        let last = all.memory[&Phase::Write].index_axis(Axis(1), sample.dims.step - 1).to_owned();
        prop_assert_eq!(last, all.final_memory);
    }

    #[test]
    fn a_sequence_does_not_depend_on_its_batch(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let whole = run(&factors.lower(), &[]);
        for batch in 0..sample.dims.batch {
            let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.slice_axis(Axis(0), (batch..=batch).into()).to_owned()));
            let initial = factors.initial_memory().map(|memory| memory.slice(s![batch..=batch, .., .., ..]).to_owned());
            let alone = run(&Factors::new(rule, arrays.collect(), initial).unwrap().lower(), &[]);
            prop_assert_eq!(whole.output.slice(s![batch..=batch, .., .., ..]).to_owned(), alone.output);
        }
    }

    #[test]
    fn a_sequence_may_be_run_in_two_parts(sample in samples(), rule in rules(), cut in 0.0..1.0) {
        let factors = sample.factors(rule);
        let whole = run(&factors.lower(), &[]);
        let cut = (cut * sample.dims.step as f64) as isize;
        let part = |steps: ndarray::Slice, initial| {
            let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.slice_axis(Axis(1), steps).to_owned()));
            run(&Factors::new(rule, arrays.collect(), initial).unwrap().lower(), &[])
        };
        let first = part((..cut).into(), factors.initial_memory().map(ndarray::ArrayBase::to_owned));
        let second = part((cut..).into(), Some(first.final_memory));
        // Sums may be taken in another order where an array lies differently, so the last bit is free.
        let difference = |a: ndarray::ArrayViewD<f64>, b: ndarray::ArrayViewD<f64>| (&a - &b).iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        prop_assert!(difference(whole.final_memory.view().into_dyn(), second.final_memory.view().into_dyn()) < 1e-12);
        prop_assert!(difference(whole.output.slice(s![.., cut.., .., ..]).into_dyn(), second.output.view().into_dyn()) < 1e-12);
    }
}

/// RWKV-7 and Comba remove what the memory held before decay; when the decay underflows that must stay exact.
#[test]
fn reading_before_decay_survives_a_retention_of_zero() {
    for rule in [Rule::Rwkv7, Rule::Comba] {
        for retention in [0.0, 1e-310, 1e-200] {
            let factors = one_step_sample().factors(rule);
            let factors = factors.with(HookPoint::Retention, factors.arrays()[&HookPoint::Retention].mapv(|_| retention)).unwrap();
            let (output, _) = naive::run(&factors, 0, 0);
            let reference = run_head(&factors.lower(), 0, 0, &[]);
            assert!(largest_difference(&output, &reference.output) < 1e-14, "{rule} with retention {retention}");
        }
    }
}

#[test]
fn every_rule_is_found_by_its_name() {
    for rule in Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(5)]) {
        assert_eq!(rule.name().parse::<Rule>().unwrap(), rule);
    }
    assert!(matches!("erase".parse::<Rule>(), Err(MemoryError::UnknownRule(_))));
    assert!("gated_deltaproduct_0".parse::<Rule>().is_err());
}

#[test]
fn every_hook_point_is_found_by_its_name() {
    for rule in Rule::ALL {
        for factor in rule.factors() {
            assert_eq!(HookPoint::from_name(&factor.name()), Some(factor));
        }
    }
    for phase in Phase::ALL {
        assert_eq!(HookPoint::from_name(&HookPoint::Memory(phase).name()), Some(HookPoint::Memory(phase)));
        assert_eq!(phase.name().parse::<Phase>().unwrap(), phase);
    }
}

/// By hand: write 3 at key (1, 0) with strength 1/2 twice, with retention 1: 1.5, then 1.5 + (3 - 1.5) / 2.
#[test]
fn a_delta_write_goes_half_the_way_to_its_value() {
    let array = |shape: &[usize], values: &[f64]| ArrayD::from_shape_vec(shape, values.to_vec()).unwrap();
    let key = array(&[1, 2, 1, 2], &[1.0, 0.0, 1.0, 0.0]);
    let arrays = [
        (HookPoint::Query, key.clone()),
        (HookPoint::WriteDirection(0), key),
        (HookPoint::Value(0), array(&[1, 2, 1, 1], &[3.0, 3.0])),
        (HookPoint::WriteStrength(0), array(&[1, 2, 1], &[0.5, 0.5])),
        (HookPoint::Retention, ArrayD::ones(vec![1, 2, 1, 2])),
    ];
    let factors = Factors::new(Rule::DeltaNet, arrays.into_iter().collect(), None).unwrap();
    let head = run_head(&factors.lower(), 0, 0, &[]);
    let output: Array1<f64> = head.output.column(0).to_owned();
    assert_eq!(output, arr1(&[1.5, 2.25]));
    assert_eq!(head.pseudo_values[0].column(0).to_owned(), arr1(&[1.5, 0.75]));
}

fn one_step_sample() -> Sample {
    let dims = pentimento::memory::Dims { batch: 1, step: 5, key_head: 1, head: 1, d_k: 4, d_v: 3 };
    Sample { dims, seed: 7, starts_filled: true }
}
