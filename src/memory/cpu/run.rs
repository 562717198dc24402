//! All heads of a layer through the kernel, in parallel over sequences, heads and, where these are few, blocks of columns.

use rayon::prelude::*;

use super::super::Dims;
use super::buffer::{Scratch, Shared};
use super::instructions::InstructionSet;
use super::kernel::{Sinks, Steps};
use super::lanes::LANES;
use super::layer::Layer;
use super::prepare::{Prepared, Products};

/// Steps a block of columns runs before the next block takes its place in the cache.
const CHUNK: usize = 64;

/// Most vectors of columns in a block.
pub(super) const MOST_VECTORS: usize = 4;

/// Arrays to fill; those absent are not kept. All in standard layout with the shapes of `Recording`.
#[derive(Default)]
pub(super) struct Targets {
    pub output: Option<Shared>,
    pub pseudo_values: Vec<Shared>,
    pub residuals: Vec<Shared>,
    pub checkpoints: Option<(usize, Shared)>,
    pub dense: [Option<Shared>; 4],
    pub final_memory: Option<Shared>,
}

/// A few columns of one head.
struct Task {
    batch: usize,
    head: usize,
    /// Blocks of columns, the first one's first column.
    blocks: std::ops::Range<usize>,
}

/// Runs every head and fills the targets.
///
/// # Panics
/// If the machine lacks the instruction set.
pub(super) fn run(instructions: InstructionSet, layer: &Layer, n_erases: usize, targets: &Targets) {
    assert!(instructions.is_available(), "this machine has no {} instructions", instructions.name());
    let recorded = targets.dense.iter().any(Option::is_some);
    let blocks = Blocks::new(instructions.block_vectors(recorded), &layer.dims);
    tasks(layer, &blocks).into_par_iter().for_each_init(Worker::default, |worker, task| {
        // SAFETY: the instruction set is there, and no two tasks have the same columns of the same head.
        unsafe { worker.run(instructions, layer, n_erases, targets, &task, blocks) };
    });
}

/// Whole heads, or parts of them if there are too few to keep all threads busy.
fn tasks(layer: &Layer, blocks: &Blocks) -> Vec<Task> {
    let d = layer.dims;
    let n_blocks = blocks.count();
    let n_heads = d.batch * d.head;
    let n_threads = rayon::current_num_threads();
    let n_parts = if n_heads.is_multiple_of(n_threads) { 1 } else { (4 * n_threads).div_ceil(n_heads).min(n_blocks) };
    let mut tasks = Vec::with_capacity(n_heads * n_parts);
    for batch in 0..d.batch {
        for head in 0..d.head {
            for part in 0..n_parts {
                tasks.push(Task { batch, head, blocks: part * n_blocks / n_parts..(part + 1) * n_blocks / n_parts });
            }
        }
    }
    tasks
}

/// Buffers of one thread.
#[derive(Default)]
struct Worker {
    memory: Scratch,
}

impl Worker {
    /// # Safety
    /// As [`InstructionSet::enter`]; the targets' arrays have the layer's shapes, and nobody else writes this task's part.
    unsafe fn run(&mut self, instructions: InstructionSet, layer: &Layer, n_erases: usize, targets: &Targets, task: &Task, blocks: Blocks) {
        let d = layer.dims;
        let memory = self.memory.zeros(task.blocks.len() * blocks.size());
        let blocks_of_task = || task.blocks.clone().enumerate().map(|(index, block)| (block, memory.wrapping_add(index * blocks.size())));
        let mut prepared = Prepared::default();
        // SAFETY: offsets follow from the shapes; see the function's own contract.
        unsafe {
            if let Some(initial) = layer.initial(task.batch, task.head) {
                blocks_of_task().for_each(|(block, memory)| blocks.copy_in(initial, block, memory));
            }
            let mut start = 0;
            while start < d.step {
                let mut end = (start + CHUNK).min(d.step);
                if let Some((every, checkpoints)) = targets.checkpoints {
                    // A chunk begins wherever a checkpoint is due.
                    end = end.min((start / every + 1) * every);
                    if start % every == 0 {
                        let n_checkpoints = d.step.div_ceil(every);
                        let to = ((task.batch * n_checkpoints + start / every) * d.head + task.head) * d.d_k * d.d_v;
                        blocks_of_task().for_each(|(block, memory)| blocks.copy_out(memory, block, checkpoints.at(to)));
                    }
                }
                prepared.gather(layer, task.batch, task.head, start, end);
                instructions.enter(Products { prepared: &mut prepared, layer });
                let chunk = Chunk {
                    instructions,
                    layer,
                    blocks,
                    n_erases,
                    targets,
                    prepared: &prepared,
                    batch: task.batch,
                    head: task.head,
                    start,
                    given: None,
                };
                blocks_of_task().for_each(|(block, memory)| chunk.run(block, memory));
                start = end;
            }
            if let Some(final_memory) = targets.final_memory {
                let to = (task.batch * d.head + task.head) * d.d_k * d.d_v;
                blocks_of_task().for_each(|(block, memory)| blocks.copy_out(memory, block, final_memory.at(to)));
            }
        }
        if targets.dense.iter().any(Option::is_some) {
            fence();
        }
    }
}

/// How a head's columns are divided into blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    /// Columns of a full block.
    pub width: usize,
    pub d_k: usize,
    pub d_v: usize,
}

impl Blocks {
    /// At most [`MOST_VECTORS`].
    pub fn new(n_vectors: usize, dims: &Dims) -> Self {
        Self { width: n_vectors * LANES, d_k: dims.d_k, d_v: dims.d_v }
    }

    pub fn count(&self) -> usize {
        self.d_v.div_ceil(self.width)
    }

    /// Room for one block.
    pub fn size(&self) -> usize {
        self.d_k * self.width
    }

    fn columns(&self, block: usize) -> std::ops::Range<usize> {
        block * self.width..((block + 1) * self.width).min(self.d_v)
    }

    /// Vectors in a row of a block: no more than its columns need.
    fn vectors(&self, block: usize) -> usize {
        self.columns(block).len().div_ceil(LANES)
    }

    /// A block's columns of a [d_k, d_v] memory into a block, whose padding stays as it is.
    ///
    /// # Safety
    /// The block has room.
    pub unsafe fn copy_in(&self, from: &[f32], block: usize, to: *mut f32) {
        let (columns, width) = (self.columns(block), self.vectors(block) * LANES);
        for (i, row) in from.chunks_exact(self.d_v).enumerate() {
            // SAFETY: the caller's.
            unsafe { std::ptr::copy_nonoverlapping(row[columns.clone()].as_ptr(), to.add(i * width), columns.len()) };
        }
    }

    /// The valid columns of a block to a [d_k, d_v] memory.
    ///
    /// # Safety
    /// Both are valid.
    unsafe fn copy_out(&self, from: *const f32, block: usize, to: *mut f32) {
        let (columns, width) = (self.columns(block), self.vectors(block) * LANES);
        for i in 0..self.d_k {
            // SAFETY: the caller's.
            unsafe { std::ptr::copy_nonoverlapping(from.add(i * width), to.add(i * self.d_v + columns.start), columns.len()) };
        }
    }
}

/// A chunk of steps of one head.
pub(super) struct Chunk<'a> {
    pub instructions: InstructionSet,
    pub layer: &'a Layer<'a>,
    pub blocks: Blocks,
    pub n_erases: usize,
    pub targets: &'a Targets,
    pub prepared: &'a Prepared<'a>,
    pub batch: usize,
    pub head: usize,
    pub start: usize,
    /// Pseudo-values to replay, [batch, step, head, d_v] per edit.
    pub given: Option<&'a [&'a [f32]]>,
}

impl Chunk<'_> {
    /// Takes a block through the chunk.
    ///
    /// # Safety
    /// As [`Worker::run`].
    pub unsafe fn run(&self, block: usize, memory: *mut f32) {
        // SAFETY: as the caller's.
        unsafe {
            match self.blocks.vectors(block) {
                1 => self.run_vectors::<1>(block, memory),
                2 => self.run_vectors::<2>(block, memory),
                3 => self.run_vectors::<3>(block, memory),
                _ => self.run_vectors::<4>(block, memory),
            }
        }
    }

    /// # Safety
    /// As [`Worker::run`].
    unsafe fn run_vectors<const W: usize>(&self, block: usize, memory: *mut f32) {
        let d = self.layer.dims;
        let columns = self.blocks.columns(block);
        let head_step = (self.batch * d.step + self.start) * d.head + self.head;
        let value_row = |shared: &Shared| shared.at(head_step * d.d_v + columns.start);
        let pseudo_values: Vec<_> = self.targets.pseudo_values.iter().map(value_row).collect();
        let residuals: Vec<_> = self.targets.residuals.iter().map(value_row).collect();
        let given: Option<Vec<_>> =
            self.given.map(|given| given.iter().map(|values| values[head_step * d.d_v + columns.start..].as_ptr()).collect());
        let dense = self.targets.dense.map(|target| target.map(|shared| shared.at(head_step * d.d_k * d.d_v + columns.start)));
        let sinks = Sinks {
            step_stride: d.head * d.d_v,
            output: self.targets.output.as_ref().map(value_row),
            pseudo_values: &pseudo_values,
            residuals: &residuals,
            dense,
            dense_step_stride: d.head * d.d_k * d.d_v,
            dense_row_stride: d.d_v,
            stream: d.d_v.is_multiple_of(LANES) && dense.iter().flatten().all(|to| to.cast_const().align_offset(64) == 0),
        };
        let steps = Steps::<W> {
            prepared: self.prepared,
            memory,
            first_column: columns.start,
            n_columns: columns.len(),
            n_erases: self.n_erases,
            given: given.as_deref(),
            sinks,
        };
        // SAFETY: as the caller's.
        unsafe { self.instructions.enter(steps) };
    }
}

/// Streamed stores are seen by other threads in no particular order until this.
pub(super) fn fence() {
    #[cfg(target_arch = "x86_64")]
    super::x86::fence();
}
