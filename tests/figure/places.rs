//! What is found at one place of a hand-made sequence.

use pentimento::ledger::{Form, Life};
use pentimento::measure::{
    AttentionMatrix, FactSteps, HeadAngles, HeadGates, HeldTo, Place, RandomCosine, ReadParts, Seen, SequenceWords, StepMemories, WriteLife,
};

use super::samples::wobble;

const PLACE: Place = Place { layer: 1, head: 0, sequence: 3, step: 12, number: 0 };

/// At a place of a sequence of 40 steps: a fact at step 12 that goes stale at 24, another that stays.
pub fn seen<T>(found: T, step: usize) -> Seen<T> {
    let fact = |step, stale_from| FactSteps { step, stale_from };
    let steps = (0..40).map(|step| match step {
        12 => "k2 = v9".to_owned(),
        24 => "k2 = v4".to_owned(),
        38 => "k2?".to_owned(),
        _ => format!("w{step}"),
    });
    let facts = vec![fact(5, None), fact(12, Some(24)), fact(24, None)];
    Seen { place: Place { step, ..PLACE }, text: SequenceWords { steps: steps.collect(), facts, questions: vec![38] }, found }
}

/// A write of step 12 that decays and is erased at step 24.
pub fn life() -> WriteLife {
    let n = 28;
    let [mut surviving, mut decayed, mut erased] = [1.0_f64, 0.0, 0.0];
    let (mut shares, mut taken, mut decay_only, mut without) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for age in 0..n {
        let decay = if age == 0 { 0.0 } else { 0.03 * surviving };
        let erase = if age == 12 { 0.6 * surviving } else { 0.0 };
        surviving -= decay + erase;
        decayed += decay;
        erased += erase;
        shares.push([surviving, decayed, erased, 1.0 - surviving - decayed - erased]);
        taken.push([decay, erase, 0.0]);
        decay_only.push(0.97_f64.powi(age));
        without.push(0.97_f64.powi(age));
    }
    let life =
        Life { form: Form::Energy, born: 12, written: 1.0, shares, taken, decay_only, half_life: Some(12), decay_only_half_life: None };
    WriteLife { life, without_erase: Some(without) }
}

/// The read of step 38: mostly the current fact, a little of the stale one, against it.
pub fn read() -> ReadParts {
    let weights: Vec<f64> = (0..39)
        .map(|n| {
            if n == 24 {
                0.82
            } else if n == 12 {
                -0.21
            } else {
                0.05 * wobble(n)
            }
        })
        .collect();
    let total: f64 = weights.iter().sum();
    ReadParts {
        step: 38,
        shares: weights.iter().map(|weight| weight / total).collect(),
        weights,
        initial_share: 0.0,
        writes_per_step: 1,
        norm: 1.4,
        residual: 3e-7,
        held_to: HeldTo::Recorded,
    }
}

pub fn attention() -> AttentionMatrix {
    let entry = |(read, write): (usize, usize)| match read.checked_sub(write) {
        Some(lag) => (0.9_f64.powi(lag as i32) * (0.3 + 0.7 * wobble(31 * write + read))) as f32,
        None => 0.0,
    };
    let weights = ndarray::Array2::from_shape_fn((40, 40), entry);
    AttentionMatrix { weights, largest: 1.0, ordinary: 0.9, writes_per_step: 1, residuals: vec![2e-7; 40] }
}

pub fn angles() -> HeadAngles {
    let series = |seed: usize, bias: f64| Some((0..40).map(|n| Some(bias + 0.3 * wobble(seed + n))).collect());
    HeadAngles {
        erase_to_write: series(0, 0.2),
        superseding: vec![(24, 12, Some(0.71), Some(0.88))],
        towards: [series(100, 0.1), series(200, 0.0), series(300, 0.05)],
        reference: RandomCosine { mean_absolute: 0.142, bound: 0.345 },
        remark: None,
    }
}

pub fn head_gates(retention: f64) -> HeadGates {
    let series = |seed: usize, mean: f64| (0..40).map(|n| (mean + 0.15 * wobble(seed + n)).clamp(0.0, 1.0)).collect();
    HeadGates { retention: series(1, retention), write_strength: series(50, 0.6), erase_strength: series(90, 0.3), remark: None }
}

pub fn memories(seed: usize) -> StepMemories {
    let before = ndarray::Array2::from_shape_fn((16, 16), |(row, column)| wobble(seed + 16 * row + column) as f32);
    let decay = before.mapv(|x| 0.9 * x);
    let erase = decay.indexed_iter().fold(decay.clone(), |mut after, ((row, column), x)| {
        after[[row, column]] = if row < 8 { 0.5 * x } else { *x };
        after
    });
    let write = erase.mapv(|x| x + 0.2);
    let phases = [before, decay, erase, write];
    let norms = phases.each_ref().map(|memory| memory.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt());
    StepMemories { phases, norms }
}
