//! All heads of a layer through the kernel, in parallel over sequences, heads and, where these are few, blocks of columns.

use rayon::prelude::*;

use super::buffer::{Scratch, Shared};
use super::instructions::InstructionSet;
use super::kernel::{Sinks, Steps};
use super::lanes::LANES;
use super::layer::Layer;
use super::prepare::{Prepared, Products};

/// Steps a block of columns runs before the next block takes its place in the cache.
const CHUNK: usize = 64;

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
    let width = instructions.block_vectors() * LANES;
    tasks(layer, width).into_par_iter().for_each_init(Worker::default, |worker, task| {
        // SAFETY: the instruction set is there, and no two tasks have the same columns of the same head.
        unsafe { worker.run(instructions, layer, n_erases, targets, &task, width) };
    });
}

/// Whole heads, or parts of them if there are too few to keep all threads busy.
fn tasks(layer: &Layer, width: usize) -> Vec<Task> {
    let d = layer.dims;
    let n_blocks = d.d_v.div_ceil(width);
    let n_heads = d.batch * d.head;
    let n_threads = rayon::current_num_threads();
    let n_parts =
        if n_threads == 1 || n_heads % n_threads == 0 { 1 } else { (4 * n_threads).div_ceil(n_heads.max(1)).clamp(1, n_blocks.max(1)) };
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
    unsafe fn run(&mut self, instructions: InstructionSet, layer: &Layer, n_erases: usize, targets: &Targets, task: &Task, width: usize) {
        let d = layer.dims;
        let block_size = d.d_k * width;
        let memory = self.memory.zeros(task.blocks.len() * block_size);
        let mut prepared = Prepared::default();
        let columns = |block: usize| block * width..((block + 1) * width).min(d.d_v);
        // A block whose columns need no more vectors than that.
        let vectors = |block: usize| columns(block).len().div_ceil(LANES);
        // SAFETY: offsets follow from the shapes; see the function's own contract.
        unsafe {
            if let Some(initial) = layer.initial(task.batch, task.head) {
                for (index, block) in task.blocks.clone().enumerate() {
                    copy_in(initial.as_ptr(), d.d_v, columns(block), memory.add(index * block_size), vectors(block) * LANES, d.d_k);
                }
            }
            let checkpoint_every = targets.checkpoints.map(|(every, _)| every);
            let mut start = 0;
            while start < d.step {
                let mut end = (start + CHUNK).min(d.step);
                if let Some((every, checkpoints)) = targets.checkpoints {
                    end = end.min((start / every + 1) * every);
                    if start % every == 0 {
                        let n_checkpoints = d.step.div_ceil(every);
                        let to = ((task.batch * n_checkpoints + start / every) * d.head + task.head) * d.d_k * d.d_v;
                        for (index, block) in task.blocks.clone().enumerate() {
                            copy_out(
                                memory.add(index * block_size),
                                vectors(block) * LANES,
                                checkpoints.at(to),
                                d.d_v,
                                columns(block),
                                d.d_k,
                            );
                        }
                    }
                }
                debug_assert!(checkpoint_every.is_none_or(|every| start / every == (end - 1) / every));
                prepared.gather(layer, task.batch, task.head, start, end);
                instructions.enter(Products { prepared: &mut prepared, layer });
                for (index, block) in task.blocks.clone().enumerate() {
                    let place = Place { batch: task.batch, head: task.head, step: start, column: columns(block).start };
                    let memory = memory.add(index * block_size);
                    let n_columns = columns(block).len();
                    if vectors(block) == 1 {
                        run_block::<1>(instructions, layer, n_erases, targets, &prepared, place, memory, n_columns);
                    } else {
                        run_block::<2>(instructions, layer, n_erases, targets, &prepared, place, memory, n_columns);
                    }
                }
                start = end;
            }
            if let Some(final_memory) = targets.final_memory {
                let to = (task.batch * d.head + task.head) * d.d_k * d.d_v;
                for (index, block) in task.blocks.clone().enumerate() {
                    copy_out(memory.add(index * block_size), vectors(block) * LANES, final_memory.at(to), d.d_v, columns(block), d.d_k);
                }
            }
        }
        if targets.dense.iter().any(Option::is_some) {
            fence();
        }
    }
}

/// Where a chunk of a block begins.
#[derive(Clone, Copy)]
struct Place {
    batch: usize,
    head: usize,
    step: usize,
    column: usize,
}

/// # Safety
/// As [`Worker::run`].
#[expect(clippy::too_many_arguments, reason = "the one call site names them all")]
unsafe fn run_block<const W: usize>(
    instructions: InstructionSet,
    layer: &Layer,
    n_erases: usize,
    targets: &Targets,
    prepared: &Prepared,
    place: Place,
    memory: *mut f32,
    n_columns: usize,
) {
    let d = layer.dims;
    let head_step = (place.batch * d.step + place.step) * d.head + place.head;
    let value_row = |shared: &Shared| shared.at(head_step * d.d_v + place.column);
    let pseudo_values: Vec<_> = targets.pseudo_values.iter().map(value_row).collect();
    let residuals: Vec<_> = targets.residuals.iter().map(value_row).collect();
    let dense = targets.dense.map(|target| target.map(|shared| shared.at(head_step * d.d_k * d.d_v + place.column)));
    let sinks = Sinks {
        step_stride: d.head * d.d_v,
        output: targets.output.as_ref().map(value_row),
        pseudo_values: &pseudo_values,
        residuals: &residuals,
        dense,
        dense_step_stride: d.head * d.d_k * d.d_v,
        dense_row_stride: d.d_v,
        stream: d.d_v % LANES == 0 && dense.iter().flatten().all(|to| to.cast_const().align_offset(64) == 0),
    };
    // SAFETY: as the caller's.
    unsafe { instructions.enter(Steps::<W> { prepared, memory, first_column: place.column, n_columns, n_erases, sinks }) };
}

/// Some columns of a [d_k, d_v] memory into a block `width` wide, whose other columns stay as they are.
///
/// # Safety
/// Pointers are valid for these rows.
unsafe fn copy_in(from: *const f32, d_v: usize, columns: std::ops::Range<usize>, block: *mut f32, width: usize, d_k: usize) {
    for i in 0..d_k {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from.add(i * d_v + columns.start), block.add(i * width), columns.len()) };
    }
}

/// The valid columns of a block to a [d_k, d_v] memory.
///
/// # Safety
/// Pointers are valid for these rows.
unsafe fn copy_out(block: *const f32, width: usize, to: *mut f32, d_v: usize, columns: std::ops::Range<usize>, d_k: usize) {
    for i in 0..d_k {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(block.add(i * width), to.add(i * d_v + columns.start), columns.len()) };
    }
}

/// Streamed stores are seen by other threads in no particular order until this.
fn fence() {
    #[cfg(target_arch = "x86_64")]
    super::x86::fence();
}
