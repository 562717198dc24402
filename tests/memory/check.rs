//! Values that the equation does not allow are refused by name and index.

use ndarray::IxDyn;
use pentimento::memory::{Dims, Factors, HookPoint, MemoryError, Rule};
use proptest::prelude::*;

use super::sample::{Sample, rules, samples};

fn sample() -> Sample {
    Sample { dims: Dims { batch: 2, step: 4, key_head: 1, head: 2, d_k: 3, d_v: 2 }, seed: 3, starts_filled: true }
}

/// EDA's factors with one value changed.
fn with(factor: HookPoint, index: &[usize], value: f64) -> Factors<f64> {
    let factors = sample().factors(Rule::Eda);
    let mut array = factors.arrays()[&factor].to_owned();
    array[IxDyn(index)] = value;
    factors.with(factor, array).unwrap()
}

#[test]
fn a_value_out_of_range_is_named_with_its_index() {
    let message = with(HookPoint::EraseStrength, &[1, 2, 0], 1.5).check_values().unwrap_err().to_string();
    assert_eq!(message, "factor 'erase_strength' is 1.5 at [1, 2, 0]; it must be in [0, 1]");
    for (factor, index, value) in [
        (HookPoint::Retention, vec![0, 1, 1, 2], 1.01),
        (HookPoint::Retention, vec![0, 1, 1, 2], -0.1),
        (HookPoint::WriteStrength(0), vec![0, 0, 1], -1e-9),
        (HookPoint::Value(0), vec![1, 3, 1, 1], f64::NAN),
        (HookPoint::Query, vec![1, 3, 0, 2], f64::INFINITY),
    ] {
        match with(factor, &index, value).check_values() {
            Err(MemoryError::OutOfRange { factor: named, index: at, .. }) => assert_eq!((named, at), (factor, index)),
            other => panic!("{factor} = {value} gave {other:?}"),
        }
    }
}

#[test]
fn gates_may_sit_on_their_bounds() {
    with(HookPoint::EraseStrength, &[0, 0, 0], 0.0).check_values().unwrap();
    with(HookPoint::WriteStrength(0), &[0, 0, 0], 1.0).check_values().unwrap();
    with(HookPoint::Retention, &[0, 0, 0, 0], 0.0).check_values().unwrap();
}

#[test]
fn a_rule_with_one_decay_per_head_needs_equal_channels() {
    let factors = sample().factors(Rule::Gdn);
    let mut retention = factors.arrays()[&HookPoint::Retention].to_owned();
    retention[[1, 0, 1, 2]] *= 0.5;
    let error = factors.with(HookPoint::Retention, retention).unwrap().check_values().unwrap_err();
    assert!(matches!(error, MemoryError::OutOfRange { ref index, .. } if *index == [1, 0, 1, 2]), "{error}");
}

#[test]
fn a_rule_without_decay_needs_retention_one() {
    let factors = sample().factors(Rule::DeltaNet);
    let retention = factors.arrays()[&HookPoint::Retention].mapv(|_| 0.9);
    assert!(factors.with(HookPoint::Retention, retention).unwrap().check_values().is_err());
}

#[test]
fn an_initial_memory_must_be_finite() {
    let factors = sample().factors(Rule::Kda);
    let mut initial = factors.initial_memory().unwrap().to_owned();
    initial[[1, 0, 2, 1]] = f64::NAN;
    let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    let error = Factors::new(Rule::Kda, arrays, Some(initial)).unwrap().check_values().unwrap_err();
    assert!(error.to_string().starts_with("factor 'memory_before' is NaN at [1, 0, 2, 1]"), "{error}");
}

#[test]
fn norms_of_directions_are_reported() {
    let factors = sample().factors(Rule::Eda);
    let norms = factors.check_values().unwrap();
    let names: Vec<_> = norms.by_name().keys().map(String::as_str).collect();
    assert_eq!(names, ["erase_direction", "query", "write_direction"]);
    assert!(norms.far_from_unit(1e-9).is_empty());

    // One of 4 steps x 2 sequences three times as long.
    let mut direction = factors.arrays()[&HookPoint::EraseDirection].to_owned();
    direction.slice_mut(ndarray::s![1, 2, 0, ..]).mapv_inplace(|x| 3.0 * x);
    let norms = factors.with(HookPoint::EraseDirection, direction).unwrap().check_values().unwrap();
    let stray = norms.far_from_unit(0.02);
    assert_eq!(stray.len(), 1);
    assert_eq!(stray[0].0, "erase_direction");
    assert!((stray[0].1.max - 3.0).abs() < 1e-12 && (stray[0].1.min - 1.0).abs() < 1e-12 && (stray[0].1.mean - 10.0 / 8.0).abs() < 1e-12);
}

#[test]
fn missing_surplus_and_misshapen_factors_are_named() {
    let factors = sample().factors(Rule::Eda);
    let arrays =
        || -> std::collections::BTreeMap<_, _> { factors.arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect() };
    let error = |rule, arrays| Factors::<f64>::new(rule, arrays, None).unwrap_err().to_string();

    let mut without = arrays();
    without.remove(&HookPoint::EraseStrength);
    assert_eq!(error(Rule::Eda, without), "rule eda needs the factor 'erase_strength', which is missing");
    assert_eq!(error(Rule::Kda, arrays()), "rule kda has no factor 'erase_direction': remove it, or name the rule it belongs to");
    let mut misshapen = arrays();
    misshapen.insert(HookPoint::WriteStrength(0), ndarray::ArrayD::zeros(vec![2, 4, 3]));
    let message = error(Rule::Eda, misshapen);
    assert!(message.contains("'write_strength' has shape [2, 4, 3], but [batch, step, head] = [2, 4, 2]"), "{message}");
}

proptest! {
    #[test]
    fn factors_within_their_ranges_pass(sample in samples(), rule in rules()) {
        prop_assert!(sample.factors(rule).check_values().is_ok());
    }
}
