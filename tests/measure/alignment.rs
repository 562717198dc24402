//! Alignment against its random reference.

use super::*;

fn measured(source: &[(usize, Factors<f32>)]) -> Result<Alignment, MeasureError> {
    alignment(source, &AlignmentOptions { statistics: quick() })
}

#[test]
fn the_random_reference_is_the_papers() {
    assert!((random_absolute_cosine(128) - 0.0706).abs() < 1e-4);
    near(random_absolute_cosine(4), 4.0 / (3.0 * std::f64::consts::PI));
    near(random_absolute_cosine(2), 2.0 / std::f64::consts::PI);
}

#[test]
fn independent_directions_meet_the_reference() {
    let dims = Dims { batch: 8, step: 64, key_head: 2, head: 2, d_k: 16, d_v: 2 };
    let report = measured(&[(0, factors(Rule::Eda, dims, 5))]).unwrap();
    let (low, high) = report.global.absolute_cosine.bounds().unwrap();
    assert!(low < report.global.random_reference && report.global.random_reference < high);
    assert!(report.global.signed_cosine.estimate.abs() < 0.03);
    assert_eq!(report.global.n_tokens, 8 * 64 * 2);
}

#[test]
fn an_erase_at_the_opposite_of_the_key_has_cosine_minus_one() {
    let plain = factors(Rule::Eda, SMALL, 1);
    let opposite = plain.arrays()[&HookPoint::WriteDirection(0)].mapv(|x| -3.0 * x);
    let report = measured(&[(0, plain.with(HookPoint::EraseDirection, opposite).unwrap())]).unwrap();
    near(report.key_heads[1].alignment.absolute_cosine.estimate, 1.0);
    near(report.key_heads[1].alignment.signed_cosine.estimate, -1.0);
    near(report.global.fold.estimate, 1.0 / random_absolute_cosine(8));
}

#[test]
fn a_rule_without_erase_has_none_and_a_mixed_model_says_what_is_left_out() {
    let kda = || factors(Rule::Kda, SMALL, 1);
    assert!(matches!(measured(&[(0, kda())]), Err(MeasureError::NoErase { .. })));
    let report = measured(&[(0, kda()), (1, factors(Rule::Eda, SMALL, 1))]).unwrap();
    assert_eq!(report.layers.len(), 1);
    assert!(report.remarks[0].contains("0 (kda)"));
}
