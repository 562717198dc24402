//! Runs in chunks.

use super::super::buffers::{CardEditGradient, CardGradient, CardRecurrence, Checkpoints, Rows, Targets, Trace};
use super::super::chunk_gradient::ChunkTape;
use super::super::chunk_plan::{CHUNK_STEPS, Precision};
use super::super::engine::Engine;
use super::super::error::CudaError;
use super::super::measure::median_ms;
use super::super::output::Output;
use super::{GpuBench, Inputs, Kept, draw};

const PRECISIONS: [(Precision, &str); 2] = [(Precision::Split, "recording precision"), (Precision::Bf16, "training precision")];

/// Outputs, pseudo-values and a checkpoint every 64 steps.
pub(super) fn trace(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let mut kept = Kept::new(engine, d)?;
    for (precision, name) in PRECISIONS {
        let ms = median_ms(engine, 100.0, || engine.forward_in_chunks(&view, 0..d.step, &mut kept.targets(d), precision))?;
        bench.push(engine, &format!("pseudo-values and checkpoints every 64, in chunks, {name}"), inputs, ms, None);
    }
    Ok(())
}

/// What a run keeps for its gradient, and the gradients.
struct Arrays {
    output: Output,
    pseudo_values: Vec<Output>,
    checkpoints: Output,
    final_memory: Output,
    keys: Vec<Output>,
    strengths: Vec<Output>,
    value: Output,
}

impl Arrays {
    fn forward(&mut self, engine: &Engine, view: &CardRecurrence, precision: Precision) -> Result<(), CudaError> {
        let d = view.dims;
        let mut targets = Targets {
            output: Some(self.output.view_mut()),
            pseudo_values: self.pseudo_values.iter_mut().map(Output::view_mut).collect(),
            checkpoints: Some(Checkpoints {
                every: CHUNK_STEPS,
                first: 0,
                count: d.step.div_ceil(CHUNK_STEPS),
                memories: self.checkpoints.view_mut(),
            }),
            final_memory: Some(self.final_memory.view_mut()),
            ..Targets::default()
        };
        engine.forward_in_chunks(view, 0..d.step, &mut targets, precision)
    }

    fn backward(&mut self, engine: &Engine, view: &CardRecurrence, grad_output: &Rows, precision: Precision) -> Result<(), CudaError> {
        let d = view.dims;
        let tape = ChunkTape {
            trace: Trace {
                rows: None,
                pseudo_values: self.pseudo_values.iter().map(Output::view).collect(),
                checkpoints: Checkpoints {
                    every: CHUNK_STEPS,
                    first: 0,
                    count: d.step.div_ceil(CHUNK_STEPS),
                    memories: self.checkpoints.view(),
                },
            },
            final_memory: self.final_memory.view(),
        };
        let mut keys = self.keys.iter_mut().map(Output::view_mut);
        let (query, retention) = (keys.next(), keys.next());
        let mut value = Some(self.value.view_mut());
        let edits = keys.zip(&mut self.strengths).rev();
        let mut edits: Vec<_> = edits
            .map(|(direction, strength)| CardEditGradient {
                strength: Some(strength.view_mut()),
                direction: Some(direction),
                read: None,
                value: value.take(),
            })
            .collect();
        edits.reverse();
        let gradient = &mut CardGradient { query, retention, initial_memory: None, edits };
        engine.backward_in_chunks(view, 0..d.step, &tape, (grad_output, None), gradient, precision)
    }
}

/// Forward with the tape of its gradient, and backward from it.
pub(super) fn gradient(engine: &Engine, inputs: &Inputs, bench: &mut GpuBench) -> Result<(), CudaError> {
    let (d, view) = (inputs.dims, inputs.view());
    let rows = d.batch * d.step * d.head;
    let memory = d.batch * d.head * d.d_k * d.d_v;
    let raw = |n: usize, len| (0..n).map(|_| Output::raw(engine, len)).collect::<Result<Vec<_>, _>>();
    let mut arrays = Arrays {
        output: Output::raw(engine, rows * d.d_v)?,
        pseudo_values: raw(2, rows * d.d_v)?,
        checkpoints: Output::raw(engine, memory * d.step.div_ceil(CHUNK_STEPS))?,
        final_memory: Output::raw(engine, memory)?,
        keys: raw(4, rows * d.d_k)?,
        strengths: raw(2, rows)?,
        value: Output::raw(engine, rows * d.d_v)?,
    };
    let grad_output = draw(engine, rows, d.d_v, false, (-1.0, 1.0), inputs.element, 77)?;
    let grad_output = Rows::contiguous(grad_output.numbers(), d.step, d.head, d.d_v);
    for (precision, name) in PRECISIONS {
        let ms = median_ms(engine, 100.0, || arrays.forward(engine, &view, precision))?;
        bench.push(engine, &format!("forward with tape, in chunks, {name}"), inputs, ms, None);
        let ms = median_ms(engine, 100.0, || arrays.backward(engine, &view, &grad_output, precision))?;
        bench.push(engine, &format!("backward from the tape, in chunks, {name}"), inputs, ms, None);
        let ms = median_ms(engine, 100.0, || {
            arrays.forward(engine, &view, precision)?;
            arrays.backward(engine, &view, &grad_output, precision)
        })?;
        bench.push(engine, &format!("forward with tape and backward, in chunks, {name}"), inputs, ms, None);
    }
    Ok(())
}
