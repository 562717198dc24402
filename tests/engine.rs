//! The CPU engine against the f64 reference, phase by phase, on fresh random inputs of odd sizes.

use std::collections::BTreeMap;

use ndarray::{ArrayD, Axis, IxDyn, s};
use pentimento::memory::cpu::{self, InstructionSet};
use pentimento::memory::{Dims, Factors, HookPoint, Phase, RecordOptions, Recording, Recurrence, Rule, reference, replay};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Tails in every axis, grouped heads, more steps than one chunk.
const DIMS: Dims = Dims { batch: 2, step: 70, key_head: 2, head: 4, d_k: 19, d_v: 37 };
/// Sizes as they are trained: whole vectors.
const EVEN: Dims = Dims { batch: 1, step: 40, key_head: 2, head: 2, d_k: 32, d_v: 48 };

/// Random factors in the ranges the rules allow: unit directions, gates in (0, 1), retention in (0.5, 1].
pub fn random_factors(rule: Rule, dims: &Dims, seed: u64) -> Factors<f64> {
    use HookPoint::{EraseDirection, Query, Retention, Value, WriteDirection};
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut array =
        |shape: &[usize], range: std::ops::Range<f64>| ArrayD::from_shape_simple_fn(IxDyn(shape), || rng.random_range(range.clone()));
    let mut arrays = BTreeMap::new();
    for factor in rule.factors() {
        let shape = factor.shape(dims);
        let values = match factor {
            Query | WriteDirection(_) | EraseDirection => {
                let mut directions = array(&shape, -1.0..1.0);
                for mut lane in directions.lanes_mut(Axis(3)) {
                    let norm = lane.dot(&lane).sqrt();
                    lane.mapv_inplace(|x| x / norm);
                }
                directions
            }
            Value(_) => array(&shape, -1.0..1.0),
            Retention => array(&shape, 0.5..1.0),
            _ => array(&shape, 0.05..0.95),
        };
        // The f64 twin starts from exactly the numbers the f32 engine sees.
        arrays.insert(factor, values.mapv(|x| f64::from(x as f32)));
    }
    let initial = array(&[dims.batch, dims.head, dims.d_k, dims.d_v], -1.0..1.0).mapv(|x| f64::from(x as f32));
    Factors::new(rule, arrays, Some(initial.into_dimensionality().unwrap())).unwrap()
}

fn everything() -> RecordOptions {
    RecordOptions { pseudo_values: true, checkpoint_every: Some(7), dense: Phase::ALL.to_vec() }
}

fn poison(recording: &mut Recording) {
    recording.output.fill(f32::NAN);
    recording.final_memory.fill(f32::NAN);
    recording.checkpoints.fill(f32::NAN);
    recording.pseudo_values.iter_mut().for_each(|(_, array)| array.fill(f32::NAN));
    recording.dense.values_mut().for_each(|array| array.fill(f32::NAN));
}

/// Largest difference, relative to the largest number of the reference; infinite if anything is not finite.
fn difference<D: ndarray::Dimension>(name: &str, found: &ndarray::Array<f32, D>, wanted: &ndarray::Array<f64, D>) -> f64 {
    assert_eq!(found.shape(), wanted.shape(), "{name}: shape");
    let scale = wanted.iter().fold(1e-3, |max: f64, x| max.max(x.abs()));
    found
        .iter()
        .zip(wanted)
        .map(|(&x, &y)| if x.is_finite() { (f64::from(x) - y).abs() / scale } else { f64::INFINITY })
        .fold(0.0, f64::max)
}

fn bits<D: ndarray::Dimension>(array: &ndarray::Array<f32, D>) -> Vec<u32> {
    array.iter().map(|x| x.to_bits()).collect()
}

fn assert_same_bits(found: &Recording, wanted: &Recording, what: &str) {
    assert_eq!(bits(&found.output), bits(&wanted.output), "{what}: output");
    assert_eq!(bits(&found.final_memory), bits(&wanted.final_memory), "{what}: final memory");
    assert_eq!(bits(&found.checkpoints), bits(&wanted.checkpoints), "{what}: checkpoints");
    for ((kind, found), (_, wanted)) in found.pseudo_values.iter().zip(&wanted.pseudo_values) {
        assert_eq!(bits(found), bits(wanted), "{what}: pseudo-value of {kind:?}");
    }
    for (phase, wanted) in &wanted.dense {
        assert_eq!(bits(&found.dense[phase]), bits(wanted), "{what}: memory at {phase}");
    }
}

#[test]
fn every_rule_meets_the_reference_phase_by_phase() {
    for (seed, rule) in Rule::ALL.into_iter().chain([Rule::GatedDeltaProduct(4), Rule::GatedDeltaProduct(6)]).enumerate() {
        for dims in [DIMS, EVEN] {
            let factors = random_factors(rule, &dims, seed as u64);
            let wanted = reference::run(&factors.lower(), &Phase::ALL);
            let recurrence: Recurrence<f32> = factors.cast().lower();
            let mut found = cpu::record(&recurrence, &everything());
            poison(&mut found);
            cpu::record_into(&recurrence, &everything(), &mut found);

            let mut worst = vec![("output".to_owned(), difference("output", &found.output, &wanted.output))];
            worst.push(("final memory".to_owned(), difference("final memory", &found.final_memory, &wanted.final_memory)));
            for (phase, memory) in &wanted.memory {
                worst.push((format!("memory at {phase}"), difference(phase.name(), &found.dense[phase], memory)));
            }
            for ((kind, found), wanted) in found.pseudo_values.iter().zip(&wanted.pseudo_values) {
                worst.push((format!("pseudo-value of {kind:?}"), difference("pseudo-value", found, wanted)));
            }
            for (name, difference) in &worst {
                assert!(*difference < 2e-5, "{rule}, {name}: differs by {difference:e} of the largest number");
            }
        }
    }
}

#[test]
fn all_instruction_sets_give_the_same_bits() {
    for rule in [Rule::Eda, Rule::Gdn2, Rule::Rwkv7, Rule::Gla, Rule::GatedDeltaProduct(3), Rule::GatedDeltaProduct(5)] {
        for dims in [DIMS, EVEN] {
            let recurrence: Recurrence<f32> = random_factors(rule, &dims, 9).cast().lower();
            let wanted = InstructionSet::Portable.record(&recurrence, &everything());
            for set in InstructionSet::available() {
                assert_same_bits(&set.record(&recurrence, &everything()), &wanted, &format!("{rule} on {}", set.name()));
            }
        }
    }
}

#[test]
fn recording_changes_no_bit_of_the_output() {
    for dims in [DIMS, EVEN] {
        let recurrence: Recurrence<f32> = random_factors(Rule::Eda, &dims, 3).cast().lower();
        let recorded = cpu::record(&recurrence, &everything());
        let run = cpu::forward(&recurrence);
        assert_eq!(bits(&run.output), bits(&recorded.output));
        assert_eq!(bits(&run.final_memory), bits(&recorded.final_memory));
    }
}

#[test]
fn threads_change_no_bit() {
    let recurrence: Recurrence<f32> = random_factors(Rule::Eda, &DIMS, 4).cast().lower();
    let wanted = cpu::record(&recurrence, &everything());
    for n_threads in [1, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let found = pool.install(|| cpu::record(&recurrence, &everything()));
        assert_same_bits(&found, &wanted, &format!("{n_threads} threads"));
    }
}

#[test]
fn checkpoints_are_memories_found_by_their_steps() {
    let recurrence: Recurrence<f32> = random_factors(Rule::Eda, &DIMS, 5).cast().lower();
    let recorded = cpu::record(&recurrence, &everything());
    assert_eq!(recorded.checkpoint_steps, (0..DIMS.step).step_by(7).collect::<Vec<_>>());
    for (index, &step) in recorded.checkpoint_steps.iter().enumerate() {
        assert_eq!(recorded.checkpoints.index_axis(Axis(1), index), recorded.dense[&Phase::Before].index_axis(Axis(1), step));
    }
    assert_eq!(recorded.dense[&Phase::Write].index_axis(Axis(1), DIMS.step - 1), recorded.final_memory);
}

#[test]
fn a_replay_gives_every_memory_back_bit_for_bit() {
    for rule in [Rule::Eda, Rule::Rwkv7, Rule::GatedDeltaProduct(5)] {
        for dims in [DIMS, EVEN] {
            let recurrence: Recurrence<f32> = random_factors(rule, &dims, 7).cast().lower();
            let recorded = cpu::record(&recurrence, &everything());
            for set in InstructionSet::available() {
                let mut memories = recorded.dense.iter().map(|(&phase, array)| (phase, array.mapv(|_| f32::NAN))).collect();
                set.replay_into(&recurrence, &recorded, &Phase::ALL, &mut memories);
                for (phase, memory) in &recorded.dense {
                    assert_eq!(bits(&memories[phase]), bits(memory), "{rule} on {}, memory at {phase}", set.name());
                }
            }
        }
    }
}

#[test]
fn the_plain_replay_gives_the_same_bits() {
    let recurrence: Recurrence<f32> = random_factors(Rule::Eda, &DIMS, 8).cast().lower();
    let recorded = cpu::record(&recurrence, &everything());
    let pseudo_values = recorded.pseudo_values.iter().map(|(_, values)| values.view()).collect();
    let plain = replay::HeadReplay { recurrence: &recurrence, pseudo_values, batch: 1, head: 2 };
    let checkpoint = recorded.checkpoints.slice(s![1, 3, 2, .., ..]);
    for phase in Phase::ALL {
        let memory = plain.memory(checkpoint, 21, 26, phase);
        assert_eq!(bits(&memory), bits(&recorded.dense[&phase].slice(s![1, 26, 2, .., ..]).to_owned()), "memory at {phase}");
    }
}

#[test]
fn nothing_is_kept_unless_asked_for() {
    let recurrence: Recurrence<f32> = random_factors(Rule::Kda, &EVEN, 6).cast().lower();
    let recorded = cpu::record(&recurrence, &RecordOptions::default());
    assert!(recorded.pseudo_values.is_empty() && recorded.dense.is_empty() && recorded.checkpoint_steps.is_empty());
    assert_eq!(recorded.checkpoints.len(), 0);
}
