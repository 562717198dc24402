//! Gradients of all inputs: backwards over chunks of steps, from the memory found at the start of each.
//!
//! A run that is to be differentiated leaves a [`Tape`]: a memory every 64 steps and what every edit found missing (`value -
//! S^T read`). Memories within a chunk are made again from these, without a dot product.

use ndarray::{Array3, Array4, Array5, ArrayView4, Zip, s};
use rayon::prelude::*;

use super::super::{Dims, Phase, Read, Recurrence};
use super::adjoint::{Sums, Sweep};
use super::buffer::{Scratch, Shared};
use super::finish::{EditRows, Finish};
use super::instructions::InstructionSet;
use super::lanes::LANES;
use super::layer::Layer;
use super::prepare::{Prepared, Products};
use super::run::{self, Targets};
use super::{ForwardOutput, aligned_zeros};

/// Steps between two kept memories.
const CHUNK: usize = 64;

/// What a run leaves for its gradient.
#[derive(Clone, Debug)]
pub struct Tape {
    /// [batch, chunk, head, d_k, d_v]: the memory found at the start of every chunk of 64 steps.
    checkpoints: Array5<f32>,
    /// Per edit, [batch, step, head, d_v]: `value - S^T read`.
    residuals: Vec<Array4<f32>>,
}

/// Gradient of a number with respect to every input of a recurrence. Arrays have the shapes of the inputs; where a key head
/// serves several heads their gradients are summed.
#[derive(Clone, Debug)]
pub struct RecurrenceGradient {
    /// [batch, step, head or key_head, d_k].
    pub query: Array4<f32>,
    /// With respect to the retention itself, [batch, step, head, d_k].
    pub retention: Array4<f32>,
    /// [batch, head, d_k, d_v].
    pub initial_memory: Array4<f32>,
    /// In the order of the update.
    pub edits: Vec<EditGradient>,
}

impl RecurrenceGradient {
    /// With respect to the log decay, `retention = exp(log_decay)`: retention times its gradient.
    pub fn log_decay(&self, recurrence: &Recurrence<f32>) -> Array4<f32> {
        &self.retention * &recurrence.retention
    }
}

/// Gradient with respect to one edit.
#[derive(Clone, Debug)]
pub struct EditGradient {
    /// [batch, step, head]; also where the strength is not given (and 1).
    pub strength: Array3<f32>,
    /// [batch, step, head or key_head, d_k]; includes the part of the read where the edit reads at its own direction.
    pub direction: Array4<f32>,
    /// [batch, step, head or key_head, d_k], where the edit reads elsewhere.
    pub read: Option<Array4<f32>>,
    /// [batch, step, head, d_v], where the edit has a value.
    pub value: Option<Array4<f32>>,
}

impl InstructionSet {
    /// [`super::forward_with_tape`] with this instruction set.
    ///
    /// # Panics
    /// As [`super::forward`]; and if the machine lacks it.
    pub fn forward_with_tape(self, recurrence: &Recurrence<f32>) -> (ForwardOutput, Tape) {
        let d = recurrence.dims;
        let stream = (d.batch, d.step, d.head, d.d_v);
        let mut out = ForwardOutput { output: aligned_zeros(stream), final_memory: aligned_zeros((d.batch, d.head, d.d_k, d.d_v)) };
        let mut tape = Tape {
            checkpoints: aligned_zeros((d.batch, d.step.div_ceil(CHUNK), d.head, d.d_k, d.d_v)),
            residuals: recurrence.edits.iter().map(|_| aligned_zeros(stream)).collect(),
        };
        let targets = Targets {
            output: Some(Shared::of(&mut out.output)),
            residuals: tape.residuals.iter_mut().map(Shared::of).collect(),
            checkpoints: Some((CHUNK, Shared::of(&mut tape.checkpoints))),
            final_memory: Some(Shared::of(&mut out.final_memory)),
            ..Targets::default()
        };
        run::run(self, &Layer::new(recurrence), recurrence.n_edits_at(Phase::Erase), &targets);
        (out, tape)
    }

    /// [`super::backward_from`] with this instruction set.
    ///
    /// # Panics
    /// As [`super::backward_from`]; and if the machine lacks it.
    pub fn backward_from(
        self,
        recurrence: &Recurrence<f32>,
        tape: &Tape,
        grad_output: ArrayView4<f32>,
        grad_final_memory: Option<ArrayView4<f32>>,
    ) -> RecurrenceGradient {
        assert!(self.is_available(), "this machine has no {} instructions", self.name());
        let d = recurrence.dims;
        let n_edits = recurrence.edits.len();
        assert_eq!(grad_output.shape(), [d.batch, d.step, d.head, d.d_v], "gradient of the output: shape");
        assert_eq!(tape.residuals.len(), n_edits, "the tape is of another recurrence");
        assert_eq!(tape.checkpoints.shape(), [d.batch, d.step.div_ceil(CHUNK), d.head, d.d_k, d.d_v], "the tape is of another recurrence");
        let grad_output = grad_output.as_standard_layout();
        let grad_final_memory = grad_final_memory.as_ref().map(|gradient| {
            assert_eq!(gradient.shape(), [d.batch, d.head, d.d_k, d.d_v], "gradient of the final memory: shape");
            gradient.as_standard_layout()
        });

        let keys = (d.batch, d.step, d.head, d.d_k);
        let mut gradient = RecurrenceGradient {
            query: Array4::zeros(keys),
            retention: Array4::zeros(keys),
            initial_memory: Array4::zeros((d.batch, d.head, d.d_k, d.d_v)),
            edits: recurrence
                .edits
                .iter()
                .map(|edit| EditGradient {
                    strength: Array3::zeros((d.batch, d.step, d.head)),
                    direction: Array4::zeros(keys),
                    read: matches!(edit.read, Read::Other(_) | Read::BeforeDecay(_)).then(|| Array4::zeros(keys)),
                    value: edit.value.as_ref().map(|_| Array4::zeros((d.batch, d.step, d.head, d.d_v))),
                })
                .collect(),
        };
        let job = Job {
            instructions: self,
            layer: &Layer::new(recurrence),
            tape,
            grad_output: grad_output.as_slice().expect("standard layout"),
            grad_final_memory: grad_final_memory.as_ref().map(|gradient| gradient.as_slice().expect("standard layout")),
            query: Shared::of(&mut gradient.query),
            retention: Shared::of(&mut gradient.retention),
            initial_memory: Shared::of(&mut gradient.initial_memory),
            edits: gradient
                .edits
                .iter_mut()
                .map(|edit| EditTargets {
                    strength: Shared::of(&mut edit.strength),
                    direction: Shared::of(&mut edit.direction),
                    read: edit.read.as_mut().map(Shared::of),
                    value: edit.value.as_mut().map(Shared::of),
                })
                .collect(),
        };
        (0..d.batch * d.head).into_par_iter().for_each_init(Worker::default, |worker, index| {
            // SAFETY: the instruction set is there, shapes were checked, and no two tasks have the same head of a sequence.
            unsafe { worker.head(&job, index / d.head, index % d.head) };
        });

        fold_heads(&mut gradient.query, recurrence.query.shape()[2]);
        fold_heads(&mut gradient.retention, recurrence.retention.shape()[2]);
        for (gradient, edit) in gradient.edits.iter_mut().zip(&recurrence.edits) {
            fold_heads(&mut gradient.direction, edit.direction.shape()[2]);
            if let (Some(gradient), Read::Other(read) | Read::BeforeDecay(read)) = (&mut gradient.read, &edit.read) {
                fold_heads(gradient, read.shape()[2]);
            }
            if let (Some(gradient), Some(value)) = (&mut gradient.value, &edit.value) {
                fold_heads(gradient, value.shape()[2]);
            }
        }
        gradient
    }
}

/// Sums the gradients of the heads that share a key head.
fn fold_heads(gradient: &mut Array4<f32>, n_rows: usize) {
    let (n_batch, n_steps, n_heads, width) = gradient.dim();
    if n_rows == n_heads {
        return;
    }
    let group = n_heads / n_rows;
    let mut folded = Array4::zeros((n_batch, n_steps, n_rows, width));
    for member in 0..group {
        let part = gradient.slice(s![.., .., member..;group, ..]);
        Zip::from(&mut folded).and(&part).for_each(|sum, &x| *sum += x);
    }
    *gradient = folded;
}

struct EditTargets {
    strength: Shared,
    direction: Shared,
    read: Option<Shared>,
    value: Option<Shared>,
}

/// What all heads share.
struct Job<'a> {
    instructions: InstructionSet,
    layer: &'a Layer<'a>,
    tape: &'a Tape,
    grad_output: &'a [f32],
    grad_final_memory: Option<&'a [f32]>,
    query: Shared,
    retention: Shared,
    initial_memory: Shared,
    edits: Vec<EditTargets>,
}

/// Buffers of one thread; layouts as in [`Sweep`].
#[derive(Default)]
struct Worker {
    states: Scratch,
    gradient: Scratch,
    values: Scratch,
    residuals: Scratch,
    grad_output: Scratch,
    grad_reads: Scratch,
    partial: Scratch,
    sums: Scratch,
    scalars: Scratch,
}

impl Worker {
    /// # Safety
    /// As [`InstructionSet::enter`]; nobody else writes this head's gradients.
    unsafe fn head(&mut self, job: &Job, batch: usize, head: usize) {
        // One vector of key channels is enough for few of them, or for few registers.
        // SAFETY: as the caller's.
        unsafe {
            if job.layer.dims.d_k <= LANES || job.instructions.panel_vectors() == 1 {
                self.panels::<1>(job, batch, head);
            } else {
                self.panels::<2>(job, batch, head);
            }
        }
    }

    /// # Safety
    /// As [`Worker::head`].
    unsafe fn panels<const W: usize>(&mut self, job: &Job, batch: usize, head: usize) {
        let (d, n) = (job.layer.dims, job.layer.edits.len());
        let width = W * LANES;
        let block = Block {
            width,
            n_panels: d.d_k.div_ceil(width),
            n_rows: if d.d_k <= 64 { 2 * LANES } else { LANES }.min(d.d_v.next_multiple_of(LANES)),
        };
        let size = block.n_panels * block.n_rows * width;
        let n_blocks = d.d_v.div_ceil(block.n_rows);
        let columns = |index: usize| index * block.n_rows..((index + 1) * block.n_rows).min(d.d_v);
        let head_size = d.d_k * d.d_v;
        let states = self.states.at_least(CHUNK.min(d.step.max(1)) * size);
        let gradient = self.gradient.zeros(n_blocks * size);
        let grad_reads = self.grad_reads.zeros(n * block.n_rows);
        let partial = self.partial.zeros(n * block.n_rows * LANES);
        // SAFETY: scratch is sized by the layouts of `Sweep`; offsets follow from checked shapes.
        unsafe {
            if let Some(from) = job.grad_final_memory {
                for index in 0..n_blocks {
                    block.transpose_in(
                        &from[(batch * d.head + head) * head_size..][..head_size],
                        d.d_v,
                        columns(index),
                        gradient.add(index * size),
                    );
                }
            }
            let mut prepared = Prepared::default();
            for chunk in (0..d.step.div_ceil(CHUNK)).rev() {
                let (start, end) = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(d.step));
                let n_steps = end - start;
                prepared.gather(job.layer, batch, head, start, end);
                job.instructions.enter(Products { prepared: &mut prepared, layer: job.layer });
                let sums = self.sums.zeros(n_steps * Sums::count(n) * prepared.padded);
                let n_scalars = prepared.n_couplings() + n;
                let scalars = self.scalars.zeros((n_steps * n_scalars).next_multiple_of(LANES) * LANES);
                let checkpoints = job.tape.checkpoints.slice(s![batch, chunk, head, .., ..]);
                let checkpoint = checkpoints.to_slice().expect("one head's memory is contiguous");
                let head_step = (batch * d.step + start) * d.head + head;
                for index in 0..n_blocks {
                    block.transpose_in(checkpoint, d.d_v, columns(index), states);
                    let first = head_step * d.d_v + columns(index).start;
                    let rows = BlockRows { n_rows: block.n_rows, n_columns: columns(index).len(), first, stride: d.head * d.d_v, n_steps };
                    let values = self.values.at_least(n_steps * n * block.n_rows);
                    let residuals = self.residuals.at_least(n_steps * n * block.n_rows);
                    for j in 0..n {
                        let tape = job.tape.residuals[j].as_slice().expect("tapes are in standard layout");
                        rows.copy(tape, residuals.add(j * block.n_rows), n, |_, residual| residual);
                        rows.copy(tape, values.add(j * block.n_rows), n, |t, residual| prepared.strengths[t * n + j] * residual);
                    }
                    let grad_output = self.grad_output.at_least(n_steps * block.n_rows);
                    rows.copy(job.grad_output, grad_output, 1, |_, x| x);
                    let grad_values: Vec<_> = job.edits.iter().map(|edit| edit.value.map(|value| value.at(first))).collect();
                    job.instructions.enter(Sweep::<W> {
                        prepared: &prepared,
                        n_rows: block.n_rows,
                        states,
                        gradient: gradient.add(index * size),
                        values,
                        residuals,
                        grad_output,
                        grad_reads,
                        partial,
                        sums,
                        scalars,
                        grad_values: &grad_values,
                        value_stride: d.head * d.d_v,
                        n_columns: columns(index).len(),
                    });
                }
                let row = head_step * d.d_k;
                let edits: Vec<_> = job
                    .edits
                    .iter()
                    .map(|edit| EditRows {
                        strength: edit.strength.at(head_step),
                        direction: edit.direction.at(row),
                        read: edit.read.map(|read| read.at(row)),
                    })
                    .collect();
                job.instructions.enter(Finish {
                    prepared: &prepared,
                    layer: job.layer,
                    sums,
                    scalars,
                    query: job.query.at(row),
                    retention: job.retention.at(row),
                    edits: &edits,
                    n_heads: d.head,
                });
            }
            for index in 0..n_blocks {
                let to = job.initial_memory.at((batch * d.head + head) * head_size);
                block.transpose_out(gradient.add(index * size), d, columns(index), to);
            }
        }
    }
}

/// Layout of a block of value channels: [panel, row, width].
struct Block {
    width: usize,
    n_panels: usize,
    n_rows: usize,
}

impl Block {
    /// Some columns of a [d_k, d_v] memory; the rest of the block is zero.
    ///
    /// # Safety
    /// The block has room for all its panels.
    unsafe fn transpose_in(&self, from: &[f32], d_v: usize, columns: std::ops::Range<usize>, to: *mut f32) {
        let size = self.n_panels * self.n_rows * self.width;
        // SAFETY: the caller's.
        let to = unsafe { std::slice::from_raw_parts_mut(to, size) };
        to.fill(0.0);
        for (k, row) in from.chunks_exact(d_v).enumerate() {
            let start = (k / self.width) * self.n_rows * self.width + k % self.width;
            for (to, &x) in to[start..].iter_mut().step_by(self.width).zip(&row[columns.clone()]) {
                *to = x;
            }
        }
    }

    /// Back to columns of a [d_k, d_v] memory.
    ///
    /// # Safety
    /// Both pointers are valid for what is copied.
    unsafe fn transpose_out(&self, from: *const f32, d: Dims, columns: std::ops::Range<usize>, to: *mut f32) {
        for k in 0..d.d_k {
            let start = (k / self.width) * self.n_rows * self.width + k % self.width;
            for (row, column) in columns.clone().enumerate() {
                // SAFETY: the caller's.
                unsafe { *to.add(k * d.d_v + column) = *from.add(start + row * self.width) };
            }
        }
    }
}

/// A block's columns of a [batch, step, head, d_v] array over a chunk of one head.
struct BlockRows {
    n_rows: usize,
    n_columns: usize,
    first: usize,
    stride: usize,
    n_steps: usize,
}

impl BlockRows {
    /// Copies into [step, n, row], one of the n, zero beyond the columns; `make` sees the step within the chunk and the number.
    ///
    /// # Safety
    /// `to` has room for it.
    unsafe fn copy(&self, from: &[f32], to: *mut f32, n: usize, make: impl Fn(usize, f32) -> f32) {
        for t in 0..self.n_steps {
            let row = &from[self.first + t * self.stride..][..self.n_columns];
            // SAFETY: the caller's.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(t * n * self.n_rows), self.n_rows) };
            to[self.n_columns..].fill(0.0);
            for (to, &x) in to.iter_mut().zip(row) {
                *to = make(t, x);
            }
        }
    }
}
