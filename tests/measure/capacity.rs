//! Capacity: at most the key channels, and split by what the writes stand for.

use super::*;
use pentimento::ledger::{Staleness, Standing};
use pentimento::measure::{CapacityOptions, Role, SequenceTruth, Truth, capacity};

const DIMS: Dims = Dims { batch: 3, step: 6, key_head: 1, head: 2, d_k: 8, d_v: 3 };

fn options() -> CapacityOptions {
    CapacityOptions { noise: vec![1e-9, 1e-1], statistics: quick(), ..CapacityOptions::default() }
}

/// Six writes at axes of their own, none removed: each can be read back whole; the first two are stale.
#[test]
fn writes_at_axes_of_their_own_hold_a_degree_of_freedom_each() {
    let plain = factors(Rule::LinearAttention, DIMS, 1);
    let mut keys = plain.arrays()[&HookPoint::WriteDirection(0)].mapv(|_| 0.0);
    for step in 0..DIMS.step {
        keys.slice_mut(ndarray::s![.., step, .., step]).fill(1.0);
    }
    let source = vec![(0, plain.with(HookPoint::WriteDirection(0), keys).unwrap())];
    let staleness = Staleness::new([Standing::StaleFrom(3), Standing::StaleFrom(4), Standing::Kept, Standing::Other].to_vec());
    let truth = Truth::Table(vec![SequenceTruth { condition: None, staleness }; DIMS.batch]);
    let found = capacity(&source, &truth, &options()).unwrap();
    let row = &found.rows[0];
    near(row.degrees_of_freedom.estimate, 6.0);
    near(row.stale().unwrap().estimate, 2.0 / 6.0);
    let other = row.shares.iter().find(|share| share.role == Role::Other).unwrap();
    near(other.share_of_writes.estimate, 0.5);
    near(other.mean_r2.estimate, 1.0);
    near(found.ages.iter().map(|age| age.share.estimate).sum::<f64>(), 1.0);
    assert_eq!(found.ages.iter().map(|age| (age.from, age.to)).collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 3), (4, 5)]);
    assert!(found.rows[1].degrees_of_freedom.estimate < 6.0);
    assert!(found.headline().contains("Stale facts hold"), "{}", found.headline());
}

#[test]
fn degrees_of_freedom_never_exceed_the_key_channels() {
    for rule in Rule::ALL {
        let source = vec![(0, factors(rule, Dims { step: 40, ..DIMS }, 2))];
        let found = capacity(&source, &Truth::KeyLikeness { threshold: 0.9 }, &options()).unwrap();
        assert!(found.rows.iter().all(|row| row.degrees_of_freedom.estimate <= 8.0 + 1e-6), "{rule}");
        assert!(found.heads.iter().all(|head| head.row.degrees_of_freedom.estimate > 0.0), "{rule}");
        assert!((found.most - 8.0).abs() < 1e-12);
    }
}

#[test]
fn a_noise_of_zero_is_refused() {
    let options = CapacityOptions { noise: vec![0.0], ..options() };
    let fault = capacity(&vec![(0, factors(Rule::Kda, DIMS, 2))], &Truth::KeyLikeness { threshold: 0.9 }, &options).unwrap_err();
    assert!(fault.to_string().contains("noise") && fault.to_string().contains("above 0"), "{fault}");
}
