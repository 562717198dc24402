//! What each phase does to the energy of the memory (squared Frobenius norm).

use ndarray::{ArrayView2, s};
use pentimento::memory::{HookPoint, Phase, Rule, reference::run};
use proptest::prelude::*;

use super::sample::{per_head, samples};

proptest! {
    /// Decay |S|^2 - |DS|^2; erase gamma (2 - gamma) |S^^T e|^2; write -beta (2 - beta) |S~^T k|^2 + beta^2 |v|^2
    /// + 2 beta (1 - beta) v . (S~^T k), for directions of norm 1.
    #[test]
    fn energy_is_accounted_for_phase_by_phase(sample in samples()) {
        let factors = sample.factors(Rule::Eda);
        let memory = run(&factors.lower(), &Phase::ALL).memory;
        let (erase_direction, write_direction) = (per_head(&factors, HookPoint::EraseDirection), per_head(&factors, HookPoint::WriteDirection(0)));
        let (value, beta) = (factors.channels(HookPoint::Value(0)), factors.per_head(HookPoint::WriteStrength(0)));
        for ((batch, step, head), &gamma) in factors.per_head(HookPoint::EraseStrength).indexed_iter() {
            let at = |phase| memory[&phase].slice(s![batch, step, head, .., ..]);
            let (e, k, v) = (erase_direction.slice(s![batch, step, head, ..]), write_direction.slice(s![batch, step, head, ..]), value.slice(s![batch, step, head, ..]));
            let beta = beta[[batch, step, head]];

            let alpha = factors.channels(HookPoint::Retention).slice(s![batch, step, head, ..]).to_owned();
            let decayed: f64 = at(Phase::Before).indexed_iter().map(|((i, _), x)| (1.0 - alpha[i] * alpha[i]) * x * x).sum();
            prop_assert!((energy(at(Phase::Before)) - energy(at(Phase::Decay)) - decayed).abs() < 1e-12);

            let held = at(Phase::Decay).t().dot(&e);
            prop_assert!((energy(at(Phase::Decay)) - energy(at(Phase::Erase)) - gamma * (2.0 - gamma) * held.dot(&held)).abs() < 1e-12);

            let held = at(Phase::Erase).t().dot(&k);
            let gained = -beta * (2.0 - beta) * held.dot(&held) + beta * beta * v.dot(&v) + 2.0 * beta * (1.0 - beta) * v.dot(&held);
            prop_assert!((energy(at(Phase::Write)) - energy(at(Phase::Erase)) - gained).abs() < 1e-12);
        }
    }
}

fn energy(memory: ArrayView2<f64>) -> f64 {
    memory.iter().map(|x| x * x).sum()
}
