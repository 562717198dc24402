//! Every way to record every memory has the same bits.

use cudarc::driver::CudaView;
use ndarray::{Array4, Array5};

use super::super::{Dims, Recurrence, Rule};
use super::buffers::{CardRecurrence, Checkpoints, Targets, Trace};
use super::engine::Engine;
use super::error::CudaError;
use super::output::Output;
use super::parity::{draw, same_bits};
use super::route::Route;
use super::upload::{Element, Uploaded};

/// Enough steps for several parts of a trace to be replayed while it is made, and enough heads for runs of several chunks.
const LONG: [Dims; 3] = [
    Dims { batch: 1, step: 1100, key_head: 2, head: 2, d_k: 64, d_v: 64 },
    Dims { batch: 2, step: 1300, key_head: 1, head: 2, d_k: 40, d_v: 24 },
    Dims { batch: 5, step: 200, key_head: 32, head: 32, d_k: 32, d_v: 32 },
];

/// Memories after every write, and outputs, by each route.
pub(super) fn routes(
    engine: &Engine,
    view: &CardRecurrence,
    (recorded, output): (&Array5<f32>, &Array4<f32>),
    failures: &mut Vec<String>,
) -> Result<(), CudaError> {
    for route in [Route::Best, Route::StepByStep, Route::SideBySide] {
        let (found, out) = record(engine, view, route)?;
        if !same_bits(&found, recorded) || !same_bits(&out, output) {
            failures.push(format!("recorded by the route {route:?}: other bits"));
        }
    }
    Ok(())
}

fn record(engine: &Engine, view: &CardRecurrence, route: Route) -> Result<(Array5<f32>, Array4<f32>), CudaError> {
    let d = view.dims;
    let mut dense = Output::poisoned(engine, d.batch * d.step * d.head * d.d_k * d.d_v)?;
    let mut output = Output::poisoned(engine, d.batch * d.step * d.head * d.d_v)?;
    let targets = &mut Targets { output: Some(output.view_mut()), dense: [None, None, None, Some(dense.view_mut())], ..Targets::default() };
    engine.record_on_card(view, 0..d.step, targets, route)?;
    let found = dense.read(engine, (d.batch, d.step, d.head, d.d_k, d.d_v))?;
    Ok((found, output.read(engine, (d.batch, d.step, d.head, d.d_v))?))
}

/// Long sequences and many heads: routes and replay beside the run step by step. Returns what differs.
pub(super) fn long(ordinal: usize, seed: u64) -> Result<Vec<String>, CudaError> {
    let engine = Engine::open(ordinal)?;
    let mut failures = Vec::new();
    for (index, dims) in LONG.into_iter().enumerate() {
        for rule in [Rule::Eda, Rule::Rwkv7] {
            let recurrence = draw(rule, dims, false, true, seed.wrapping_add(1000 + index as u64));
            let before = failures.len();
            compare(&engine, &recurrence, &mut failures)?;
            failures[before..].iter_mut().for_each(|failure| *failure = format!("{rule} {dims:?}: {failure}"));
        }
    }
    Ok(failures)
}

fn compare(engine: &Engine, recurrence: &Recurrence<f32>, failures: &mut Vec<String>) -> Result<(), CudaError> {
    let d = recurrence.dims;
    let uploaded = Uploaded::new(engine, recurrence, 0..d.batch, Element::F32)?;
    let view = uploaded.view();
    let (recorded, output) = record(engine, &view, Route::StepByStep)?;
    routes(engine, &view, (&recorded, &output), failures)?;
    let (every, n_stream, n_memory) = (5, d.batch * d.step * d.head * d.d_v, d.batch * d.head * d.d_k * d.d_v);
    let count = d.step.div_ceil(every);
    let mut values = (0..recurrence.edits.len()).map(|_| Output::poisoned(engine, n_stream)).collect::<Result<Vec<_>, _>>()?;
    let mut checkpoints = Output::poisoned(engine, n_memory * count)?;
    let targets = &mut Targets {
        pseudo_values: values.iter_mut().map(Output::view_mut).collect(),
        checkpoints: Some(Checkpoints { every, first: 0, count, memories: checkpoints.view_mut() }),
        ..Targets::default()
    };
    engine.forward(&view, 0..d.step, targets)?;
    let trace = Trace {
        rows: None,
        pseudo_values: values.iter().map(Output::view).collect::<Vec<CudaView<f32>>>(),
        checkpoints: Checkpoints { every, first: 0, count, memories: checkpoints.view() },
    };
    let mut again = Output::poisoned(engine, n_memory * d.step)?;
    engine.replay(&view, &trace, 0..d.step, None, &mut [None, None, None, Some(again.view_mut())])?;
    if !same_bits(&again.read(engine, (d.batch, d.step, d.head, d.d_k, d.d_v))?, &recorded) {
        failures.push("recorded and replayed on the card differ in their bits".to_owned());
    }
    Ok(())
}
