//! Raw write-key recall by hand.

use super::*;

#[test]
fn full_writes_at_orthogonal_keys_are_read_back_and_decay_with_the_lag() {
    // One channel per step, beta 1, retention 1/2: S_t^T k_s = v_s / 2^lag.
    let dims = Dims { batch: 2, step: 4, key_head: 1, head: 1, d_k: 4, d_v: 3 };
    let keys = Array4::from_shape_fn((2, 4, 1, 4), |(_, t, _, i)| f32::from(u8::from(t == i))).into_dyn();
    let plain = factors(Rule::Kda, dims, 3).with(HookPoint::WriteDirection(0), keys).unwrap();
    let plain = plain.with(HookPoint::WriteStrength(0), strength(dims, |_, _, _| 1.0)).unwrap();
    let plain = plain.with(HookPoint::Retention, retention(dims, |_, _, _| 0.5)).unwrap();
    let report =
        recall(&vec![(0, plain)], &RecallOptions { lags: vec![0, 1, 3, 9], statistics: quick(), ..RecallOptions::default() }).unwrap();
    let lags: Vec<usize> = report.global.iter().map(|row| row.lag).collect();
    assert_eq!(lags, [0, 1, 3]);
    near(report.global[0].r2.unwrap().estimate, 1.0);
    near(report.global[1].cosine.unwrap().estimate, 1.0);
    assert!(report.global[1].r2.unwrap().estimate < 0.9);
    assert_eq!(report.global[2].n_reads, 2);
}

#[test]
fn every_rule_is_read_at_its_keys() {
    for rule in Rule::ALL {
        let report =
            recall(&vec![(0, factors(rule, SMALL, 1))], &RecallOptions { statistics: quick(), ..RecallOptions::default() }).unwrap();
        let straight_after = report.global[0].cosine.unwrap().estimate;
        assert!(straight_after > 0.2, "{rule}: {straight_after}");
        assert_eq!(report.global[0].n_reads, (3 * 12 * 4) * u64::from(rule.n_writes()));
    }
}
