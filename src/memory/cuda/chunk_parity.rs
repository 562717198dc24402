//! Runs in chunks and their gradients beside the f64 references.

use std::collections::BTreeMap;

use ndarray::{Array, Array4, Dimension, s};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::super::reference::Run;
use super::super::{Phase, Recurrence, gradient};
use super::buffers::{CardEditGradient, CardGradient, CardRecurrence, Checkpoints, Numbers, Rows, Targets, Trace};
use super::chunk_gradient::ChunkTape;
use super::chunk_plan::{CHUNK_STEPS, Precision};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::parity::{error, map};

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
    let (values, memory) = ((d.batch, d.step, d.head, d.d_v), (d.batch, d.head, d.d_k, d.d_v));
    let mut rng = ChaCha8Rng::seed_from_u64(d.step as u64);
    let grad_output = Array4::from_shape_simple_fn(values, || rng.random_range(-1.0..1.0_f32));
    let grad_final = Array4::from_shape_simple_fn(memory, || rng.random_range(-1.0..1.0_f32));
    let exact = map(recurrence, f64::from, f64::from);
    let judge = gradient::backward(&exact, grad_output.mapv(f64::from).view(), Some(grad_final.mapv(f64::from).view()));

    let copy = |array: &Array4<f32>| {
        let stream = engine.stream();
        stream.clone_htod(array.as_slice().unwrap_or_default()).map_err(driver_error(stream.context(), "copying inputs to it"))
    };
    let (on_card, final_on_card) = (copy(&grad_output)?, copy(&grad_final)?);
    let poisoned = |shape: &[usize]| Output::poisoned(engine, shape.iter().product());
    let (mut query, mut retention) = (poisoned(judge.query.shape())?, poisoned(judge.retention.shape())?);
    let mut initial = poisoned(judge.initial_memory.shape())?;
    let mut edits = judge
        .edits
        .iter()
        .map(|edit| {
            let value = edit.value.as_ref().map(|value| poisoned(value.shape())).transpose()?;
            Ok((poisoned(edit.strength.shape())?, poisoned(edit.direction.shape())?, value))
        })
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
    let mut filled = CardGradient {
        query: Some(query.view_mut()),
        retention: Some(retention.view_mut()),
        edits: edits
            .iter_mut()
            .map(|(strength, direction, value)| CardEditGradient {
                strength: Some(strength.view_mut()),
                direction: Some(direction.view_mut()),
                value: value.as_mut().map(Output::view_mut),
                read: None,
            })
            .collect(),
        initial_memory: Some(initial.view_mut()),
    };
    let grad_output = Rows::contiguous(Numbers::F32(on_card.as_view()), d.step, d.head, d.d_v);
    engine.backward_in_chunks(view, 0..d.step, &tape, (&grad_output, Some(&final_on_card.as_view())), &mut filled, precision)?;
    drop(filled);

    note("gradient initial_memory", against(&initial, engine, &judge.initial_memory)?);
    note("gradient query", against(&query, engine, &judge.query)?);
    // By the log decay: what a channel that forgets all had is divided by next to nothing.
    let decay = retention.read(engine, judge.retention.raw_dim())? * &recurrence.retention;
    note("gradient log_decay", error(&decay, &(&judge.retention * &exact.retention)));
    for (index, ((strength, direction, value), judge)) in edits.iter().zip(&judge.edits).enumerate() {
        note(&format!("gradient strength{index}"), against(strength, engine, &judge.strength)?);
        note(&format!("gradient direction{index}"), against(direction, engine, &judge.direction)?);
        if let (Some(value), Some(judge)) = (value, &judge.value) {
            note(&format!("gradient value{index}"), against(value, engine, judge)?);
        }
    }
    Ok(())
}

fn against<D: Dimension>(found: &Output, engine: &Engine, judge: &Array<f64, D>) -> Result<f64, CudaError> {
    Ok(error(&found.read(engine, judge.raw_dim())?, judge))
}
