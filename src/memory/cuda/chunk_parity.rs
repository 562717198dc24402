//! Runs in chunks beside the f64 reference, and their gradients beside the processor's engine.

use std::collections::BTreeMap;

use ndarray::{Array, Array3, Array4, Axis, Dimension, s};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::super::reference::Run;
use super::super::{Phase, Recurrence, cpu};
use super::buffers::{CardRecurrence, Checkpoints, Targets, Trace};
use super::chunk_plan::{CHUNK_STEPS, Precision};
use super::chunks::{ChunkEditGradient, ChunkGradient, ChunkTape};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::parity::error;

/// What an error may be at most, by its name; `None` if it is none of a run in chunks.
pub(super) fn bound(name: &str) -> Option<f64> {
    match name.split(' ').collect::<Vec<_>>()[..] {
        ["chunks", "gradient", ..] => Some(5e-4),
        ["chunks", ..] => Some(1e-4),
        ["chunks_bf16", "gradient", ..] => Some(2e-1),
        ["chunks_bf16", ..] => Some(5e-2),
        _ => None,
    }
}

/// Forward and backward with both precisions, if chunks serve the recurrence. Arrays are poisoned and guarded.
pub(super) fn compare(
    engine: &Engine,
    recurrence: &Recurrence<f32>,
    view: &CardRecurrence,
    judge: &Run,
    errors: &mut BTreeMap<String, f64>,
    failures: &mut Vec<String>,
) -> Result<(), CudaError> {
    if !engine.runs_in_chunks(view) {
        return Ok(());
    }
    for (name, precision) in [("chunks", Precision::Split), ("chunks_bf16", Precision::Bf16)] {
        let mut note = |what: &str, error: f64| errors.insert(format!("{name} {what}"), error).map_or((), drop);
        let kept = forward(engine, recurrence, view, judge, precision, &mut note)?;
        backward(engine, recurrence, view, &kept, precision, &mut note)?;
        if !kept.is_guarded(engine)? {
            failures.push(format!("{name}: numbers behind an array were written"));
        }
    }
    Ok(())
}

struct Kept {
    output: Output,
    final_memory: Output,
    pseudo_values: Vec<Output>,
    checkpoints: Output,
}

impl Kept {
    fn is_guarded(&self, engine: &Engine) -> Result<bool, CudaError> {
        let mut guarded = true;
        for array in [&self.output, &self.final_memory, &self.checkpoints].into_iter().chain(&self.pseudo_values) {
            guarded &= array.is_guarded(engine)?;
        }
        Ok(guarded)
    }
}

fn forward(
    engine: &Engine,
    recurrence: &Recurrence<f32>,
    view: &CardRecurrence,
    judge: &Run,
    precision: Precision,
    note: &mut impl FnMut(&str, f64),
) -> Result<Kept, CudaError> {
    let d = recurrence.dims;
    let stream = (d.batch, d.step, d.head, d.d_v);
    let (n_stream, n_memory) = (d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
    let count = d.step.div_ceil(CHUNK_STEPS);
    let mut kept = Kept {
        output: Output::poisoned(engine, n_stream)?,
        final_memory: Output::poisoned(engine, n_memory)?,
        pseudo_values: recurrence.edits.iter().map(|_| Output::poisoned(engine, n_stream)).collect::<Result<_, _>>()?,
        checkpoints: Output::poisoned(engine, n_memory * count)?,
    };
    let mut targets = Targets {
        output: Some(kept.output.view_mut()),
        pseudo_values: kept.pseudo_values.iter_mut().map(Output::view_mut).collect(),
        checkpoints: Some(Checkpoints { every: CHUNK_STEPS, first: 0, count, memories: kept.checkpoints.view_mut() }),
        final_memory: Some(kept.final_memory.view_mut()),
        ..Targets::default()
    };
    engine.forward_in_chunks(view, 0..d.step, &mut targets, precision)?;
    drop(targets);
    note("output", error(&kept.output.read(engine, stream)?, &judge.output));
    note("final_memory", error(&kept.final_memory.read(engine, (d.batch, d.head, d.d_k, d.d_v))?, &judge.final_memory));
    for (index, (values, edit)) in kept.pseudo_values.iter().zip(&recurrence.edits).enumerate() {
        note(&edit.kind.pseudo_value().name(), error(&values.read(engine, stream)?, &judge.pseudo_values[index]));
    }
    let found = judge.memory[&Phase::Before].slice(s![.., ..;CHUNK_STEPS, .., .., ..]).to_owned();
    note("checkpoints", error(&kept.checkpoints.read(engine, (d.batch, count, d.head, d.d_k, d.d_v))?, &found));
    Ok(kept)
}

fn backward(
    engine: &Engine,
    recurrence: &Recurrence<f32>,
    view: &CardRecurrence,
    kept: &Kept,
    precision: Precision,
    note: &mut impl FnMut(&str, f64),
) -> Result<(), CudaError> {
    let d = recurrence.dims;
    let (keys, values, memory) = ((d.batch, d.step, d.head, d.d_k), (d.batch, d.step, d.head, d.d_v), (d.batch, d.head, d.d_k, d.d_v));
    let mut rng = ChaCha8Rng::seed_from_u64(d.step as u64);
    let grad_output = Array4::from_shape_simple_fn(values, || rng.random_range(-1.0..1.0_f32));
    let grad_final = Array4::from_shape_simple_fn(memory, || rng.random_range(-1.0..1.0_f32));
    let judge = cpu::backward(recurrence, grad_output.view(), Some(grad_final.view()));

    let copy = |array: &Array4<f32>| {
        let stream = engine.stream();
        stream.clone_htod(array.as_slice().unwrap_or_default()).map_err(driver_error(stream.context(), "copying inputs to it"))
    };
    let (on_card, final_on_card) = (copy(&grad_output)?, copy(&grad_final)?);
    let [n_keys, n_values, n_memory, n_rows] = [keys.3, values.3, 0, 1].map(|width| d.batch * d.step * d.head * width);
    let n_memory = n_memory + d.batch * d.head * d.d_k * d.d_v;
    let poisoned = |len| Output::poisoned(engine, len);
    let (mut query, mut retention, mut initial) = (poisoned(n_keys)?, poisoned(n_keys)?, poisoned(n_memory)?);
    let mut edits = recurrence
        .edits
        .iter()
        .map(|edit| Ok((poisoned(n_rows)?, poisoned(n_keys)?, edit.value.as_ref().map(|_| poisoned(n_values)).transpose()?)))
        .collect::<Result<Vec<_>, CudaError>>()?;
    let tape = ChunkTape {
        trace: Trace {
            rows: None,
            pseudo_values: kept.pseudo_values.iter().map(Output::view).collect(),
            checkpoints: Checkpoints {
                every: CHUNK_STEPS,
                first: 0,
                count: d.step.div_ceil(CHUNK_STEPS),
                memories: kept.checkpoints.view(),
            },
        },
        final_memory: kept.final_memory.view(),
    };
    let mut gradient = ChunkGradient {
        query: query.view_mut(),
        retention: retention.view_mut(),
        edits: edits
            .iter_mut()
            .map(|(strength, direction, value)| ChunkEditGradient {
                strength: strength.view_mut(),
                direction: direction.view_mut(),
                value: value.as_mut().map(Output::view_mut),
            })
            .collect(),
        initial_memory: Some(initial.view_mut()),
    };
    engine.backward_in_chunks(view, 0..d.step, &tape, &on_card.as_view(), Some(&final_on_card.as_view()), &mut gradient, precision)?;
    drop(gradient);

    note("gradient initial_memory", against(&initial.read(engine, memory)?, &judge.initial_memory));
    note("gradient query", against(&fold(&query.read(engine, keys)?, judge.query.shape()[2]), &judge.query));
    // By the log decay: what a channel that forgets all had is divided by next to nothing.
    let decay = &fold(&retention.read(engine, keys)?, judge.retention.shape()[2]) * &recurrence.retention;
    note("gradient log_decay", against(&decay, &judge.log_decay(recurrence)));
    for (index, ((strength, direction, value), judge)) in edits.iter().zip(&judge.edits).enumerate() {
        let strength: Array3<f32> = strength.read(engine, (d.batch, d.step, d.head))?;
        note(&format!("gradient strength{index}"), against(&strength, &judge.strength));
        let direction = fold(&direction.read(engine, keys)?, judge.direction.shape()[2]);
        note(&format!("gradient direction{index}"), against(&direction, &judge.direction));
        if let (Some(value), Some(judge)) = (value, &judge.value) {
            note(&format!("gradient value{index}"), against(&fold(&value.read(engine, values)?, judge.shape()[2]), judge));
        }
    }
    Ok(())
}

fn against<D: Dimension>(found: &Array<f32, D>, judge: &Array<f32, D>) -> f64 {
    error(found, &judge.mapv(f64::from))
}

/// Sums over the heads that share a row.
fn fold(gradient: &Array4<f32>, n_rows: usize) -> Array4<f32> {
    let (batch, step, head, width) = gradient.dim();
    let grouped = gradient.view().into_shape_with_order((batch, step, n_rows, head / n_rows, width)).expect("rows serve equal groups of heads");
    grouped.sum_axis(Axis(3))
}
