//! Gradients of a run in chunks.

use std::ops::Range;

use cudarc::driver::{CudaView, CudaViewMut, DeviceRepr, LaunchConfig};

use super::bound::Bound;
use super::buffers::{CardGradient, CardRecurrence, Rows, Trace};
use super::chunk_plan::{CHUNK_STEPS, CHUNK_THREADS, Pass, Precision};
use super::chunks::{self, Carried, Parts, ScanTargets, Scratch};
use super::compile::Kernel;
use super::engine::Engine;
use super::error::CudaError;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct GradientInputs {
    states: u64,
    final_memory: u64,
    memory_gradients: u64,
    erase_value: u64,
    write_value: u64,
    erase_gradient: u64,
    value_gradient: u64,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct GradientTargets {
    query: u64,
    write: u64,
    erase: u64,
    decay: u64,
    erase_strength: u64,
    write_strength: u64,
}

// SAFETY: plain numbers in C's layout, passed by value.
unsafe impl DeviceRepr for GradientInputs {}
// SAFETY: as above.
unsafe impl DeviceRepr for GradientTargets {}

/// What a forward run in chunks kept for its gradient, of all its steps.
#[derive(Debug)]
pub struct ChunkTape<'a> {
    /// Pseudo-values of every step, and the memory found by every 32nd.
    pub trace: Trace<'a>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: CudaView<'a, f32>,
}

impl Engine {
    /// As [`Engine::backward`], in chunks, from the tape of [`Engine::forward_in_chunks`] over the same steps (from a multiple
    /// of 32 on), which are also the rows of the gradients.
    ///
    /// The gradient of the retention is what the log decay gets, divided by the retention: where that is tiny, multiply it back.
    pub fn backward_in_chunks(
        &self,
        recurrence: &CardRecurrence,
        steps: Range<usize>,
        tape: &ChunkTape,
        (grad_output, grad_final_memory): (&Rows, Option<&CudaView<f32>>),
        gradient: &mut CardGradient,
        precision: Precision,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if steps.is_empty() || d.batch * d.head == 0 {
            return Ok(());
        }
        chunks::check_checkpoints(&steps, CHUNK_STEPS)?;
        let n_all = steps.len().div_ceil(CHUNK_STEPS);
        let (memory, n_rows) = (d.d_k * d.d_v, d.batch * steps.len());
        let stream = n_rows * d.head * d.d_v;
        let plan = self.chunk_plan(recurrence, precision, Pass::Backward)?;
        check_tape(tape, &steps, n_all, plan.n_edits)?;
        if gradient.edits.len() != plan.n_edits {
            return Err(CudaError::Shape(format!("gradients of {} edits for a rule of {}", gradient.edits.len(), plan.n_edits)));
        }
        let mut bound = Bound::new(self.stream());
        bound.recurrence(recurrence, &steps)?;
        let mut parts = Parts::new(self, plan, &d, &bound.arguments)?;
        parts.inputs.output_gradient = bound.rows("gradient of the output", grad_output, &d, d.d_v)?;
        let mut erase_gradient = Scratch::<f32>::new(self, if plan.n_edits == 2 { stream } else { 0 })?;
        let mut memory_gradients = Scratch::<f32>::new(self, d.batch * parts.most * d.head * memory)?;
        let initial = gradient.initial_memory.as_mut();
        let initial =
            initial.map_or(Ok(0), |initial| bound.array_mut("gradient of the initial memory", initial, d.batch * d.head * memory))?;
        let mut carried = Carried::new(self, &d, initial)?;
        let from_end = bound.optional("gradient of the final memory", grad_final_memory, d.batch * d.head * memory)?;
        let mut values = [0; 2];
        for (array, address) in tape.trace.pseudo_values.iter().zip(&mut values) {
            *address = bound.array("pseudo-values", array, stream)?;
        }

        let mut folds = Folds { engine: self, n_rows, n_heads: d.head, pending: vec![] };
        let mut to = GradientTargets {
            query: folds.target(&mut bound, "gradient of the query", gradient.query.as_mut(), recurrence.query.heads, d.d_k, false)?,
            decay: folds.target(
                &mut bound,
                "gradient of the retention",
                gradient.retention.as_mut(),
                recurrence.retention.heads,
                d.d_k,
                false,
            )?,
            write: 0,
            erase: 0,
            erase_strength: 0,
            write_strength: 0,
        };
        let mut value_gradient = 0;
        for (j, (edit, input)) in gradient.edits.iter_mut().zip(&recurrence.edits).enumerate() {
            let heads = input.strength.as_ref().map_or(d.head, |strength| strength.heads);
            let strength = folds.target(&mut bound, "gradient of a strength", edit.strength.as_mut(), heads, 1, false)?;
            let direction =
                folds.target(&mut bound, "gradient of a direction", edit.direction.as_mut(), input.direction.heads, d.d_k, false)?;
            if j + 1 < plan.n_edits {
                (to.erase_strength, to.erase) = (strength, direction);
            } else {
                (to.write_strength, to.write) = (strength, direction);
                let heads = input.value.as_ref().map_or(d.head, |value| value.heads);
                // Needed on the way, wanted or not.
                value_gradient = folds.target(&mut bound, "gradient of the value", edit.value.as_mut(), heads, d.d_v, true)?;
            }
        }
        let from = GradientInputs {
            states: bound.array("checkpoints", &tape.trace.checkpoints.memories, d.batch * n_all * d.head * memory)?,
            final_memory: bound.array("final memory", &tape.final_memory, d.batch * d.head * memory)?,
            memory_gradients: memory_gradients.address(),
            erase_value: if plan.n_edits == 2 { values[0] } else { 0 },
            write_value: values[plan.n_edits - 1],
            erase_gradient: erase_gradient.address(),
            value_gradient,
        };
        let given = [from.states, from.final_memory, from.erase_value, from.write_value, value_gradient, initial, from_end];
        chunks::check_alignment(&given)?;
        chunks::check_alignment(&[to.query, to.decay, to.write, to.erase])?;
        for (index, first) in (0..parts.n_chunks).step_by(parts.most).rev().enumerate() {
            parts.select(first);
            let [a, b, own] = parts.addresses();
            let each_chunk = parts.grid(parts.n_selected(), CHUNK_THREADS);
            self.start(&plan.prepare(), each_chunk, &[&parts.sizes, &parts.inputs, &a, &b, &own])?;
            let memory = carried.address();
            let scan = ScanTargets {
                erase_value: from.erase_gradient,
                write_value: value_gradient,
                states: from.memory_gradients,
                final_memory: memory,
                initial_memory: if index == 0 { from_end } else { memory },
                steps_per_state: CHUNK_STEPS as i32,
                first_kept: (steps.start / CHUNK_STEPS + first) as i32,
                n_kept: parts.n_selected() as i32,
                ..ScanTargets::default()
            };
            let across = parts.grid(plan.column_blocks(), plan.scan_threads());
            self.start(&plan.scan(), across, &[&parts.sizes, &a, &b, &own, &scan, &parts.inputs.output_gradient])?;
            let each_chunk = parts.grid(parts.n_selected() * plan.groups(), CHUNK_THREADS);
            self.start(&plan.gradient(), each_chunk, &[&parts.sizes, &parts.inputs, &from, &to])?;
        }
        folds.run()
    }
}

fn check_tape(tape: &ChunkTape, steps: &Range<usize>, n_all: usize, n_edits: usize) -> Result<(), CudaError> {
    let kept = &tape.trace.checkpoints;
    let rows = tape.trace.rows.clone().unwrap_or_else(|| steps.clone());
    let fits = (kept.every, kept.first, kept.count) == (CHUNK_STEPS, steps.start / CHUNK_STEPS, n_all);
    if !fits || rows != *steps || tape.trace.pseudo_values.len() != n_edits {
        return Err(CudaError::Shape(format!(
            "a gradient in chunks of steps {steps:?} needs their pseudo-values and the memory found by every {CHUNK_STEPS}th of them"
        )));
    }
    Ok(())
}

/// Gradients that heads which share a row have to be summed into.
struct Folds<'a> {
    engine: &'a Engine,
    n_rows: usize,
    n_heads: usize,
    /// A row for every head, where the sums go, heads there, width.
    pending: Vec<(Scratch<f32>, u64, usize, usize)>,
}

impl Folds<'_> {
    /// Where a kernel writes a row for every head; 0 if nobody wants it and it is not needed.
    fn target<'b>(
        &mut self,
        bound: &mut Bound<'b>,
        name: &str,
        array: Option<&'b mut CudaViewMut<f32>>,
        heads: usize,
        width: usize,
        needed: bool,
    ) -> Result<u64, CudaError> {
        let wanted = array.is_some();
        let given = array.map_or(Ok(0), |array| bound.array_mut(name, array, self.n_rows * heads * width))?;
        if wanted && heads == self.n_heads {
            return Ok(given);
        }
        if !wanted && !needed {
            return Ok(0);
        }
        let mut scratch = Scratch::new(self.engine, self.n_rows * self.n_heads * width)?;
        let address = scratch.address();
        self.pending.push((scratch, given, heads, width));
        Ok(address)
    }

    fn run(self) -> Result<(), CudaError> {
        let kernel = fold_kernel();
        let grid = LaunchConfig { grid_dim: (self.n_rows as u32, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
        for (mut scratch, to, heads, width) in self.pending {
            if to != 0 {
                let sizes = [self.n_heads, heads, width].map(|n| n as i32);
                self.engine.start(&kernel, grid, &[&scratch.address(), &to, &sizes[0], &sizes[1], &sizes[2]])?;
            }
        }
        Ok(())
    }
}

pub(super) fn fold_kernel() -> Kernel {
    let defines = vec![("N", 1), ("DK", 32), ("READS", 0), ("VALUES", 0)];
    Kernel { name: "chunk_fold", source: include_str!("chunk_fold.cu"), defines, shared_bytes: 0 }
}
