//! Allocation by hand, and for every rule.

use super::*;

fn hand_made() -> Vec<(usize, Factors<f32>)> {
    let dims = Dims { batch: 2, step: 1, key_head: 1, head: 1, d_k: 2, d_v: 2 };
    // Sequence 0: (abar, beta, gamma) = (0.95, 0.2, 0.6); sequence 1: (0.2, 0.5, 0.5), abar as the mean of two channels.
    let retention = ArrayD::from_shape_vec(vec![2, 1, 1, 2], vec![0.95, 0.95, 0.1, 0.3]).unwrap();
    let factors = factors(Rule::Eda, dims, 0);
    let factors = factors.with(HookPoint::Retention, retention).unwrap();
    let factors = factors.with(HookPoint::WriteStrength(0), strength(dims, |b, _, _| [0.2, 0.5][b])).unwrap();
    vec![(3, factors.with(HookPoint::EraseStrength, strength(dims, |b, _, _| [0.6, 0.5][b])).unwrap())]
}

#[test]
fn shares_are_those_computed_by_hand() {
    let report = allocation(&hand_made(), &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap();
    // b = (0.05, 0.19, 0.57), sum 0.81; b = (0.8, 0.1, 0.1), sum 1.
    near(report.global.decay.estimate, f64::midpoint(0.05 / 0.81, 0.8));
    near(report.global.write.estimate, f64::midpoint(0.19 / 0.81, 0.1));
    near(report.global.erase.estimate, f64::midpoint(0.57 / 0.81, 0.1));
    let high = report.bins[9].gates.as_ref().unwrap();
    near(high.erase.estimate, 0.57 / 0.81);
    near(high.erase_over_write.unwrap().estimate, 3.0);
    near(report.bins[2].gates.as_ref().unwrap().retention.estimate, 0.2);
    assert!(report.bins[5].gates.is_none());
    assert_eq!((report.heads[0].id.layer, report.heads[0].id.head, report.global.n_tokens), (3, 0, 2));
    assert!(report.notice.contains("not removed energy"));
}

#[test]
fn shares_of_sums_weigh_tokens_by_strength() {
    let options = AllocationOptions { share_of: ShareOf::Sum, statistics: quick(), ..AllocationOptions::default() };
    let report = allocation(&hand_made(), &options).unwrap();
    near(report.global.erase.estimate, 0.67 / 1.81);
}

#[test]
fn every_rule_has_an_allocation_and_says_what_stands_in() {
    for rule in Rule::ALL {
        let report =
            allocation(&vec![(0, factors(rule, SMALL, 1))], &AllocationOptions { statistics: quick(), ..AllocationOptions::default() })
                .unwrap();
        assert_eq!(report.has_erase, rule.has_erase());
        assert_eq!(report.global.erase.estimate > 0.0, rule.has_erase(), "{rule}");
        assert_eq!(report.remarks.is_empty(), rule == Rule::Eda);
        let sum = report.global.decay.estimate + report.global.write.estimate + report.global.erase.estimate;
        near(sum, 1.0);
    }
}

#[test]
fn the_same_source_gives_the_same_bytes_and_comes_back_from_them() {
    let source = vec![(0, factors(Rule::Eda, SMALL, 1)), (2, factors(Rule::Kda, SMALL, 2))];
    let bytes = || serde_json::to_string(&allocation(&source, &AllocationOptions::default()).unwrap()).unwrap();
    assert_eq!(bytes(), bytes());
    let back: pentimento::measure::Allocation = serde_json::from_str(&bytes()).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), bytes());
}
