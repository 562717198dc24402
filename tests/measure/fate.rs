//! The fate of a write: what is planted comes out, and shares count what was written.

use super::*;
use ndarray::s;
use pentimento::ledger::{Staleness, Standing};
use pentimento::measure::{FateOptions, Role, SequenceTruth, Truth, Weight, fate};
use pentimento::task::Condition;

const DIMS: Dims = Dims { batch: 6, step: 20, key_head: 1, head: 2, d_k: 16, d_v: 3 };

/// Steps 0 and 1 state facts; the first goes stale at step 10. Two sequences each under two conditions, two without.
fn truth() -> Truth {
    let staleness = Staleness::new(vec![Standing::StaleFrom(10), Standing::Kept]);
    let conditions = [Some(Condition::Overwrite), Some(Condition::ExplicitDelete), None];
    Truth::Table((0..DIMS.batch).map(|n| SequenceTruth { condition: conditions[n / 2], staleness: staleness.clone() }).collect())
}

fn options() -> FateOptions {
    FateOptions { ages: vec![1, 4, 500], statistics: quick(), ..FateOptions::default() }
}

/// Erases at step 10 only, at the address of step 0; every step decays by `kept`.
fn aimed(kept: f64) -> Factors<f32> {
    let plain = factors(Rule::Eda, DIMS, 2);
    let mut erase = plain.arrays()[&HookPoint::EraseDirection].to_owned();
    erase.slice_mut(s![.., 10, .., ..]).assign(&plain.arrays()[&HookPoint::WriteDirection(0)].slice(s![.., 0, .., ..]));
    let gamma = strength(DIMS, |_, t, _| if t == 10 { 1.0 } else { 0.0 });
    // Faint later writes, so that the erase is alone with what was written.
    let beta = strength(DIMS, |_, t, _| if t < 2 { 0.5 } else { 1e-3 });
    let plain = plain.with(HookPoint::EraseDirection, erase).unwrap().with(HookPoint::EraseStrength, gamma).unwrap();
    plain.with(HookPoint::WriteStrength(0), beta).unwrap().with(HookPoint::Retention, retention(DIMS, |_, _, _| kept)).unwrap()
}

#[test]
fn an_erase_at_the_address_of_a_stale_fact_is_charged_with_it() {
    let found = fate(&vec![(0, aimed(1.0))], &truth(), &options()).unwrap();
    let stale = found.row(Role::Stale, None).unwrap();
    let kept = found.row(Role::Kept, None).unwrap();
    assert!(stale.shares.erased.estimate > 0.5 && stale.shares.surviving.estimate < 0.1, "{:?}", stale.shares);
    assert!(kept.shares.surviving.estimate > 0.6, "{:?}", kept.shares);
    // Nothing else would have removed it.
    assert!((stale.unique.unwrap().estimate - stale.shares.erased.estimate).abs() < 0.02);
    let since = stale.since_stale.unwrap();
    assert!(since.erased.estimate > 0.95, "{since:?}");
    for row in &found.rows {
        let sum: f64 = row.shares.as_array().iter().map(|share| share.estimate).sum();
        near(sum, 1.0);
        near(row.unique.unwrap().estimate + row.compensation.unwrap().estimate, row.shares.erased.estimate);
    }
    assert!(found.share_residual < 1e-6);
    assert!(found.headline().contains("stale facts") && found.headline().contains("6 sequences"), "{}", found.headline());
}

#[test]
fn what_decay_would_have_taken_is_compensation() {
    let found = fate(&vec![(0, aimed(0.7))], &truth(), &options()).unwrap();
    let stale = found.row(Role::Stale, None).unwrap();
    // 0.7^20 of the energy is left at step 10, and 0.7^38 would be at the end: the erase was early, not needed.
    let (unique, compensation) = (stale.unique.unwrap().estimate, stale.compensation.unwrap().estimate);
    assert!(unique < 1e-5 && compensation > 100.0 * unique.abs(), "{unique} and {compensation}");
    assert!(stale.shares.decayed.estimate > 0.9, "{:?}", stale.shares);
    near(stale.decay_only_half_life_steps.unwrap().estimate, 2.0);
}

#[test]
fn conditions_roles_and_ages_count_what_they_say() {
    let source = vec![(3, aimed(0.9))];
    let found = fate(&source, &truth(), &options()).unwrap();
    assert_eq!(found.row(Role::Stale, None).unwrap().n_writes, 12);
    assert_eq!(found.row(Role::Stale, Some(Condition::Overwrite)).unwrap().n_writes, 4);
    assert_eq!(found.row(Role::Other, None).unwrap().n_writes, 18 * 12);
    assert!(found.row(Role::Stale, Some(Condition::Refresh)).is_none());
    assert_eq!(found.heads.iter().map(|head| (head.id.layer, head.id.head)).collect::<Vec<_>>(), [(3, 0), (3, 1)]);
    let ages = &found.row(Role::Stale, None).unwrap().ages;
    assert_eq!(ages.iter().map(|at| at.age).collect::<Vec<_>>(), [1, 4], "no sequence reaches age 500");
    let left = found.row(Role::Stale, None).unwrap().ages[0].shares.surviving.estimate;
    assert!((0.4..=0.81).contains(&left), "a step decays to 0.81 of the energy and the next write takes its part: {left}");
    let alike = fate(&source, &truth(), &FateOptions { weight: Weight::Write, ..options() }).unwrap();
    assert_ne!(alike.row(Role::Other, None).unwrap().shares, found.row(Role::Other, None).unwrap().shares);
}

#[test]
fn every_rule_has_a_fate_and_oblique_ones_say_what_form_it_has() {
    for rule in Rule::ALL {
        let found = fate(&vec![(0, factors(rule, SMALL, 1))], &Truth::KeyLikeness { threshold: 0.5 }, &options()).unwrap();
        assert!(found.share_residual < 1e-5, "{rule}: {}", found.share_residual);
        assert_eq!(found.remarks.iter().any(|remark| remark.contains("obliquely")), rule.is_oblique(), "{rule}");
        assert!(found.remarks[0].contains("no truth table"));
        assert_eq!(found.rows.iter().any(|row| row.unique.is_some()), rule.has_erase(), "{rule}");
    }
}

#[test]
fn the_same_source_gives_the_same_fate() {
    let source = vec![(0, aimed(0.9))];
    let found = fate(&source, &truth(), &options()).unwrap();
    assert_eq!(found, fate(&source, &truth(), &options()).unwrap());
    assert_eq!(serde_json::from_str::<pentimento::measure::Fate>(&serde_json::to_string(&found).unwrap()).unwrap(), found);
}
