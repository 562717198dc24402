//! Scalars against the memories themselves.

use ndarray::{Axis, s};
use pentimento::memory::{HookPoint, Phase, Rule};
use pentimento::trace::Trace;

use super::sample::{self, SMALL, place};

#[test]
fn energies_are_the_changes_of_the_squared_norm() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, SMALL, 31, true);
    sample::write(&path, &factors, 300, &[]);
    let trace = Trace::open(&path).unwrap();
    let dense = sample::record(&factors, &Phase::ALL).dense;
    let squared =
        |phase: Phase, step: usize| dense[&phase].slice(s![1, step, 1, .., ..]).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let near = |name: &str, step: usize, wanted: f64| {
        let found = f64::from(trace.scalar(0, name).unwrap()[[1, step, 1]]);
        assert!((found - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{name} {step}: {found} {wanted}");
    };
    for step in [0, 1, 100, 299] {
        near("decay_energy", step, squared(Phase::Before, step) - squared(Phase::Decay, step));
        near("erase_energy", step, squared(Phase::Decay, step) - squared(Phase::Erase, step));
        near("write_energy", step, squared(Phase::Write, step) - squared(Phase::Erase, step));
        near("memory_norm", step, squared(Phase::Write, step).sqrt());
        let k = factors.channels(HookPoint::WriteDirection(0)).slice(s![1, step, 0, ..]).to_owned();
        let e = factors.channels(HookPoint::EraseDirection).slice(s![1, step, 0, ..]).to_owned();
        near("cos_erase_write", step, f64::from((&k * &e).sum()));
        let value = factors.channels(HookPoint::Value(0)).slice(s![1, step, 1, ..]).to_owned();
        let erased = dense[&Phase::Erase].slice(s![1, step, 1, .., ..]);
        let read = (&erased * &k.insert_axis(Axis(1))).sum_axis(Axis(0));
        near("write_residual", step, f64::from((&value - &read).mapv(|x| x * x).sum().sqrt()));
        near("mean_retention", step, f64::from(factors.channels(HookPoint::Retention).slice(s![1, step, 1, ..]).mean().unwrap()));
    }
}

#[test]
fn oblique_rules_have_no_energy_law() {
    let (_folder, path) = place();
    sample::write(&path, &sample::factors(Rule::Rwkv7, SMALL, 32, false), 300, &[]);
    let trace = Trace::open(&path).unwrap();
    assert!(trace.scalar(0, "erase_energy").is_err());
    assert!(trace.scalar(0, "memory_norm").is_ok());
}
