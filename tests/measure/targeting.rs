//! Targeting: a planted aim leaves its nulls, an erase that knows nothing does not.

use super::*;
use ndarray::s;
use pentimento::ledger::{Mechanism, Staleness, Standing};
use pentimento::measure::{AddressNull, Among, SequenceTruth, Targeting, TargetingOptions, Truth, targeting};
use pentimento::task::Condition;

const DIMS: Dims = Dims { batch: 12, step: 36, key_head: 1, head: 2, d_k: 16, d_v: 3 };

/// Every third step states a fact; every other of them goes stale three steps later, at a step that depends on the sequence.
fn truth() -> Truth {
    let standing = |sequence: usize, step: usize| match (step + sequence) % 6 {
        0 => Standing::StaleFrom(step + 3),
        3 => Standing::Kept,
        _ => Standing::Other,
    };
    let one = |sequence: usize| SequenceTruth {
        condition: Some(if sequence < 6 { Condition::Overwrite } else { Condition::ExplicitDelete }),
        staleness: Staleness::new((0..DIMS.step).map(|step| standing(sequence, step)).collect()),
    };
    Truth::Table((0..DIMS.batch).map(one).collect())
}

fn plain() -> Factors<f32> {
    factors(Rule::Eda, DIMS, 8).with(HookPoint::Retention, retention(DIMS, |_, _, _| 0.95)).unwrap()
}

fn measured(factors: Factors<f32>) -> Targeting {
    targeting(&vec![(0, factors)], &truth(), &TargetingOptions { null_replays: 3, statistics: quick() }).unwrap()
}

#[test]
fn an_erase_that_aims_at_stale_facts_leaves_every_null() {
    let plain = plain();
    let mut erase = plain.arrays()[&HookPoint::EraseDirection].to_owned();
    for sequence in 0..DIMS.batch {
        for born in (0..DIMS.step - 3).filter(|step| (step + sequence) % 6 == 0) {
            let stale = plain.arrays()[&HookPoint::WriteDirection(0)].slice(s![sequence, born, .., ..]).to_owned();
            erase.slice_mut(s![sequence, born + 3, .., ..]).assign(&stale);
        }
    }
    let found = measured(plain.with(HookPoint::EraseDirection, erase).unwrap());
    let row = found.row(Mechanism::Erase, Among::Facts, None).unwrap();
    assert!(row.lift.unwrap().low.unwrap() > 1.1, "{:?}", row.lift);
    assert_eq!(row.nulls.iter().map(|null| null.null).collect::<Vec<_>>(), AddressNull::ALL);
    for null in &row.nulls {
        assert!(null.p_value.unwrap() < 0.01 && null.excess.low.unwrap() > 0.0, "{null:?}");
    }
    assert!(found.headline().contains("hits what is stale beyond every null"), "{}", found.headline());
    assert!(found.row(Mechanism::Erase, Among::AllWrites, Some(Condition::ExplicitDelete)).is_some());
    assert!(found.row(Mechanism::Erase, Among::AllWrites, Some(Condition::Refresh)).is_none());
}

#[test]
fn an_erase_that_knows_nothing_is_at_chance() {
    let found = measured(plain());
    let row = found.row(Mechanism::Erase, Among::Facts, None).unwrap();
    assert!((row.address_lift.unwrap().estimate - 1.0).abs() < 0.15, "{:?}", row.address_lift);
    for null in &row.nulls {
        assert!(null.p_value.unwrap() > 0.01, "{null:?}");
        assert!((null.address_lift.estimate - 1.0).abs() < 0.15, "{null:?}");
    }
    assert!(found.headline().contains("no sign beyond the nulls"), "{}", found.headline());
    // All three mechanisms share out the removal of what is stale.
    let recall: f64 =
        Mechanism::ALL.iter().map(|&mechanism| found.row(mechanism, Among::AllWrites, None).unwrap().recall.unwrap().estimate).sum();
    near(recall, 1.0);
    assert_eq!(found.n_sequences, 12);
}

#[test]
fn a_rule_without_erase_still_has_decay_and_write() {
    let found =
        targeting(&vec![(0, factors(Rule::Kda, DIMS, 1))], &truth(), &TargetingOptions { null_replays: 1, statistics: quick() }).unwrap();
    assert!(found.row(Mechanism::Erase, Among::Facts, None).is_none());
    assert!(found.row(Mechanism::Write, Among::Facts, None).unwrap().nulls.is_empty());
    assert!(found.headline().starts_with("No rule here has an erase"), "{}", found.headline());
}

#[test]
fn where_nothing_goes_stale_there_is_nothing_to_target() {
    let fresh = Truth::Table(vec![SequenceTruth { condition: None, staleness: Staleness::new(vec![Standing::Kept; 36]) }; 12]);
    let fault = targeting(&vec![(0, plain())], &fresh, &TargetingOptions::default()).unwrap_err();
    assert!(fault.to_string().contains("nothing goes stale"), "{fault}");
}
