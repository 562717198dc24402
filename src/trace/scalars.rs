//! One number per step and head: energies, norms and angles, computed in f64 while recording.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::landing::landings;
use super::replay::HeadSteps;
use crate::memory::{EditKind, Factors, HookPoint, Phase, Recording, Rule};

/// The scalars of one block of one layer, each [batch, step, head] and named as on disk.
///
/// | name | is | for |
/// |---|---|---|
/// | `mean_retention` | mean of retention over key channels | all |
/// | `cos_erase_write` | cosine of erase and write direction | rules with an erase |
/// | `erase_energy` | what the erase takes from the squared norm, gamma (2 - gamma) \|S^^T e\|^2 for unit e | EDA |
/// | `write_energy` | what the corrective writes add to the squared norm (mostly negative: they overwrite) | delta rules |
/// | `write_residual` | \|v - S~^T k\|: how wrong the memory was about the value, root of the sum over writes | delta rules |
/// | `decay_energy` | what passive decay takes from the squared norm | all, with `memory_norms` |
/// | `memory_norm` | Frobenius norm after the write | all, with `memory_norms` |
///
/// Removal by oblique rules (GDN-2, RWKV-7, Comba) has no energy law: they get no erase or write energy.
pub(super) fn compute(factors: &Factors<f32>, recording: &Recording, memory_norms: bool) -> Vec<(&'static str, Array3<f32>)> {
    let rule = factors.rule();
    let mut scalars = vec![("mean_retention", mean_retention(factors))];
    if rule.has_erase() {
        scalars.push(("cos_erase_write", cos_erase_write(factors)));
    }
    if rule == Rule::Eda
        && let Some(energy) = erase_energy(factors, recording)
    {
        scalars.push(("erase_energy", energy));
    }
    if writes_by_delta(rule)
        && let Some((energy, residual)) = write_energy(factors, recording)
    {
        scalars.push(("write_energy", energy));
        scalars.push(("write_residual", residual));
    }
    if memory_norms && recording.checkpoint_steps.first() == Some(&0) {
        let (decay, norm) = norms(factors, recording);
        scalars.push(("decay_energy", decay));
        scalars.push(("memory_norm", norm));
    }
    scalars
}

fn writes_by_delta(rule: Rule) -> bool {
    matches!(rule, Rule::DeltaNet | Rule::Gdn | Rule::Kda | Rule::GatedDeltaProduct(_) | Rule::Eda)
}

fn dot(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// One number from (batch, step, head) for every step and head.
fn each(factors: &Factors<f32>, number: impl Fn(usize, usize, usize) -> f64 + Sync) -> Array3<f32> {
    let dims = factors.dims();
    let mut all = Array3::zeros((dims.batch, dims.step, dims.head));
    all.axis_iter_mut(Axis(1)).into_par_iter().enumerate().for_each(|(step, mut row)| {
        for ((batch, head), cell) in row.indexed_iter_mut() {
            *cell = number(batch, step, head) as f32;
        }
    });
    all
}

fn mean_retention(factors: &Factors<f32>) -> Array3<f32> {
    let retention = factors.channels(HookPoint::Retention);
    each(factors, |batch, step, head| {
        let lane = retention.slice(s![batch, step, head, ..]);
        lane.iter().map(|&alpha| f64::from(alpha)).sum::<f64>() / lane.len() as f64
    })
}

fn cos_erase_write(factors: &Factors<f32>) -> Array3<f32> {
    let (erase, write) = (factors.channels(HookPoint::EraseDirection), factors.channels(HookPoint::WriteDirection(0)));
    let dims = factors.dims();
    each(factors, |batch, step, head| {
        let key_head = dims.key_head_of(head);
        let (e, k) = (erase.slice(s![batch, step, key_head, ..]), write.slice(s![batch, step, key_head, ..]));
        dot(e, k) / (dot(e, e) * dot(k, k)).sqrt()
    })
}

/// From the pseudo-value a = -gamma S^^T e: the squared norm falls by 2 |a|^2 / gamma - |e|^2 |a|^2.
fn erase_energy(factors: &Factors<f32>, recording: &Recording) -> Option<Array3<f32>> {
    let pseudo = &recording.pseudo_values.iter().find(|(kind, _)| *kind == EditKind::Erase)?.1;
    let direction = factors.channels(HookPoint::EraseDirection);
    let strength = factors.per_head(HookPoint::EraseStrength);
    let dims = factors.dims();
    Some(each(factors, |batch, step, head| {
        let gamma = f64::from(strength[[batch, step, head]]);
        let a = pseudo.slice(s![batch, step, head, ..]);
        let e = direction.slice(s![batch, step, dims.key_head_of(head), ..]);
        if gamma == 0.0 { 0.0 } else { dot(a, a) * (2.0 / gamma - dot(e, e)) }
    }))
}

/// From the pseudo-value u = beta (v - S~^T k): the squared norm rises by 2 u.(S~^T k) + |k|^2 |u|^2.
fn write_energy(factors: &Factors<f32>, recording: &Recording) -> Option<(Array3<f32>, Array3<f32>)> {
    let dims = factors.dims();
    let writes: Option<Vec<_>> = (0..factors.rule().n_writes())
        .map(|index| {
            let pseudo = &recording.pseudo_values.iter().find(|(kind, _)| *kind == EditKind::Write(index))?.1;
            let (direction, value) = (factors.channels(HookPoint::WriteDirection(index)), factors.channels(HookPoint::Value(index)));
            Some((pseudo, direction, value, factors.per_head(HookPoint::WriteStrength(index))))
        })
        .collect();
    let writes = writes?;
    let energy = each(factors, |batch, step, head| {
        let energy_of = |(pseudo, direction, value, strength): &(&ndarray::Array4<f32>, _, _, _)| {
            let (direction, value): (&crate::memory::Shared4<f32>, &crate::memory::Shared4<f32>) = (direction, value);
            let strength: &crate::memory::Shared3<f32> = strength;
            let beta = f64::from(strength[[batch, step, head]]);
            let u = pseudo.slice(s![batch, step, head, ..]);
            let k = direction.slice(s![batch, step, dims.key_head_of(head), ..]);
            let v = value.slice(s![batch, step, head, ..]);
            if beta == 0.0 { 0.0 } else { 2.0 * (dot(u, v) - dot(u, u) / beta) + dot(k, k) * dot(u, u) }
        };
        writes.iter().map(energy_of).sum()
    });
    let residual = each(factors, |batch, step, head| {
        let squared = |write: &(&ndarray::Array4<f32>, _, _, crate::memory::Shared3<f32>)| {
            let beta = f64::from(write.3[[batch, step, head]]);
            let u = write.0.slice(s![batch, step, head, ..]);
            // Without a write nothing is known of the residual.
            if beta == 0.0 { f64::NAN } else { dot(u, u) / (beta * beta) }
        };
        writes.iter().map(squared).sum::<f64>().sqrt()
    });
    Some((energy, residual))
}

/// Squared norm: f32 lanes within a row, f64 over rows.
fn squared_norm(memory: ArrayView2<f32>) -> f64 {
    let row_sum = |row: &[f32]| {
        let mut lanes = [0.0f32; 16];
        let (blocks, rest) = row.as_chunks::<16>();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane += x * x;
            }
        }
        lanes.iter().chain(&rest.iter().map(|x| x * x).collect::<Vec<_>>()).map(|&x| f64::from(x)).sum::<f64>()
    };
    memory.rows().into_iter().map(|row| row.as_slice().map_or_else(|| dot(row, row), row_sum)).sum()
}

/// What decay takes and what is left after the write, by replay from the block's own checkpoints.
fn norms(factors: &Factors<f32>, recording: &Recording) -> (Array3<f32>, Array3<f32>) {
    let dims = factors.dims();
    let starts = &recording.checkpoint_steps;
    let landings = landings(factors.rule());
    let tasks: Vec<(usize, usize, usize)> = (0..dims.batch)
        .flat_map(|batch| (0..dims.head).flat_map(move |head| (0..starts.len()).map(move |index| (batch, head, index))))
        .collect();
    let parts: Vec<Vec<(f64, f64)>> = tasks
        .par_iter()
        .map(|&(batch, head, index)| {
            let steps = starts[index]..starts.get(index + 1).copied().unwrap_or(dims.step);
            let replay = HeadSteps::of_block(factors, recording, &landings, batch, head, steps.clone());
            let mut memory: Array2<f32> = recording.checkpoints.slice(s![batch, index, head, .., ..]).to_owned();
            let mut before = squared_norm(memory.view());
            let mut energies = Vec::with_capacity(steps.len());
            for step in 0..steps.len() {
                replay.advance(&mut memory, step, Phase::Before, Phase::Decay);
                let decayed = squared_norm(memory.view());
                replay.advance(&mut memory, step, Phase::Decay, Phase::Write);
                let written = squared_norm(memory.view());
                energies.push((before - decayed, written.sqrt()));
                before = written;
            }
            energies
        })
        .collect();
    let (mut decay, mut norm) = (Array3::zeros((dims.batch, dims.step, dims.head)), Array3::zeros((dims.batch, dims.step, dims.head)));
    for (&(batch, head, index), part) in tasks.iter().zip(parts) {
        for (offset, (lost, left)) in part.into_iter().enumerate() {
            decay[[batch, starts[index] + offset, head]] = lost as f32;
            norm[[batch, starts[index] + offset, head]] = left as f32;
        }
    }
    (decay, norm)
}
