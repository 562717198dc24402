//! Runs in chunks on tensor cores: the WY form of [`chunkwise`](super::super::chunkwise) with its own rows for erases and writes.
//!
//! A first kernel makes of every chunk of 32 steps, all at once, what it does to any memory it finds; a second takes the memory
//! from chunk to chunk, with the outputs, pseudo-values and checkpoints on its way. For the gradient the same two go backwards,
//! and a third has every chunk's share of the inputs' gradients. The derivation stands at the head of `chunk_prepare.cu`,
//! `chunk_scan.cu` and `chunk_gradient.cu`.
//!
//! A retention below 2^-24 is taken as that. In the gradient a strength below 1e-12 is taken as that.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::{CudaSlice, CudaStream, CudaView, CudaViewMut, DevicePtrMut, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg};

use super::super::Dims;
use super::buffers::{CardRecurrence, Targets, Trace};
use super::chunk_plan::{self, CHUNK_STEPS, ChunkPlan, PREPARE_THREADS, Pass, Precision};
use super::compile::Kernel;
use super::driver_error;
use super::bound::Bound;
use super::engine::Engine;
use super::error::CudaError;
use super::layout::{Arguments, EditArgument, RowsArgument};

/// Workspace of a call, at most (unless one chunk of all heads needs more): longer runs go in parts.
const WORKSPACE_BYTES: usize = 2 << 30;
/// Blocks along the second and third axes of a launch, at most.
const MOST_ACROSS: usize = 65_535;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Sizes {
    n_heads: i32,
    first_step: i32,
    end_step: i32,
    out_first: i32,
    out_steps: i32,
    first_chunk: i32,
    n_chunks: i32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Inputs {
    erase: RowsArgument,
    write: RowsArgument,
    query: RowsArgument,
    value: RowsArgument,
    decay: RowsArgument,
    erase_strength: RowsArgument,
    write_strength: RowsArgument,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct ScanTargets {
    erase_value: u64,
    write_value: u64,
    output: u64,
    states: u64,
    final_memory: u64,
    initial_memory: u64,
    steps_per_state: i32,
    first_kept: i32,
    n_kept: i32,
}

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
    output_gradient: u64,
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
unsafe impl DeviceRepr for Sizes {}
// SAFETY: as above.
unsafe impl DeviceRepr for Inputs {}
// SAFETY: as above.
unsafe impl DeviceRepr for ScanTargets {}
// SAFETY: as above.
unsafe impl DeviceRepr for GradientInputs {}
// SAFETY: as above.
unsafe impl DeviceRepr for GradientTargets {}

/// What a forward run in chunks kept for its gradient. Rows are the steps of the run.
#[derive(Debug)]
pub struct ChunkTape<'a> {
    /// Pseudo-values of every step, and the memory found by every 32nd.
    pub trace: Trace<'a>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: CudaView<'a, f32>,
}

/// Arrays that take the gradient with respect to the inputs, f32 in standard layout; rows are the steps of the run. There is a
/// row for every head: where heads share a key head, the sum is its gradient.
#[derive(Debug)]
pub struct ChunkGradient<'a> {
    /// [batch, row, head, d_k].
    pub query: CudaViewMut<'a, f32>,
    /// [batch, row, head, d_k].
    pub retention: CudaViewMut<'a, f32>,
    /// In the order of the update.
    pub edits: Vec<ChunkEditGradient<'a>>,
    /// [batch, head, d_k, d_v].
    pub initial_memory: Option<CudaViewMut<'a, f32>>,
}

/// Arrays that take the gradient with respect to one edit.
#[derive(Debug)]
pub struct ChunkEditGradient<'a> {
    /// [batch, row, head].
    pub strength: CudaViewMut<'a, f32>,
    /// [batch, row, head, d_k].
    pub direction: CudaViewMut<'a, f32>,
    /// [batch, row, head, d_v]; of the write.
    pub value: Option<CudaViewMut<'a, f32>>,
}

impl Engine {
    /// Whether runs in chunks serve this recurrence on this card: rules with one delta write a step, or an erase and a delta
    /// write (EDA, KDA, GDN, DeltaNet), up to 256 channels, on cards with bulk copies (compute capability 9.0 and later).
    pub fn runs_in_chunks(&self, recurrence: &CardRecurrence) -> bool {
        self.chunk_plan(recurrence, Precision::Split, Pass::Forward).is_ok()
    }

    /// As [`Engine::forward`], in chunks. Targets may not ask for dense memories or residuals; checkpoints stand a multiple of
    /// 32 steps apart, and the first step is such a multiple.
    pub fn forward_in_chunks(
        &self,
        recurrence: &CardRecurrence,
        steps: Range<usize>,
        targets: &mut Targets,
        precision: Precision,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if steps.is_empty() || d.batch * d.head == 0 {
            return Ok(());
        }
        if targets.dense.iter().any(Option::is_some) || !targets.residuals.is_empty() {
            return Err(CudaError::Unsupported("a run in chunks has no dense memories and no residuals: replay it, or run step by step".to_owned()));
        }
        let every = targets.checkpoints.as_ref().map(|checkpoints| checkpoints.every);
        check_checkpoints(&steps, every.unwrap_or(CHUNK_STEPS))?;
        let plan = self.chunk_plan(recurrence, precision, Pass::Forward)?;
        let mut bound = Bound::new(self.stream());
        bound.recurrence(recurrence, &steps)?;
        bound.forward_targets(&d, &steps, targets)?;
        let arguments = bound.arguments;
        let mut carried = Carried::new(self, &d, arguments.final_memory)?;
        let mut parts = Parts::new(self, plan, &d, &arguments)?;
        for first in (0..parts.n_chunks).step_by(parts.most) {
            parts.select(first);
            let [a, b, own] = parts.addresses();
            self.start(&plan.prepare(), parts.grid(parts.n_selected(), PREPARE_THREADS), &[&parts.sizes, &parts.inputs, &a, &b, &own])?;
            let memory = carried.address();
            let to = ScanTargets {
                erase_value: if plan.n_edits == 2 { arguments.pseudo_values[0] } else { 0 },
                write_value: arguments.pseudo_values[plan.n_edits - 1],
                output: arguments.output,
                states: arguments.checkpoints,
                final_memory: memory,
                initial_memory: if first == 0 { arguments.initial } else { memory },
                steps_per_state: arguments.checkpoint_every.max(1),
                first_kept: arguments.checkpoint_first,
                n_kept: arguments.n_checkpoints,
            };
            self.start(&plan.scan(), parts.grid(plan.column_blocks(), plan.scan_threads()), &[&parts.sizes, &a, &b, &own, &to])?;
        }
        Ok(())
    }

    /// The gradient of a run in chunks with respect to its inputs, given those of its output, [batch, row, head, d_v], and of
    /// its final memory, [batch, head, d_k, d_v]; `None` is zero. That of the retention is what the log decay gets, divided by
    /// the retention: where it is tiny, prefer to multiply it back.
    pub fn backward_in_chunks(
        &self,
        recurrence: &CardRecurrence,
        steps: Range<usize>,
        tape: &ChunkTape,
        grad_output: &CudaView<f32>,
        grad_final_memory: Option<&CudaView<f32>>,
        gradient: &mut ChunkGradient,
        precision: Precision,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if steps.is_empty() || d.batch * d.head == 0 {
            return Ok(());
        }
        let kept = &tape.trace.checkpoints;
        check_checkpoints(&steps, CHUNK_STEPS)?;
        let n_all = steps.len().div_ceil(CHUNK_STEPS);
        if (kept.every, kept.first, kept.count) != (CHUNK_STEPS, steps.start / CHUNK_STEPS, n_all) {
            return Err(CudaError::Shape(format!("a gradient in chunks needs the memories found by every {CHUNK_STEPS}th step of the run")));
        }
        let plan = self.chunk_plan(recurrence, precision, Pass::Backward)?;
        let rows = tape.trace.rows.clone().unwrap_or_else(|| steps.clone());
        if rows != steps || tape.trace.pseudo_values.len() != plan.n_edits || gradient.edits.len() != plan.n_edits {
            return Err(CudaError::Shape("a gradient in chunks needs the pseudo-values of every edit and step of the run".to_owned()));
        }
        let (memory, stream, keys) = (d.d_k * d.d_v, d.batch * steps.len() * d.head, d.batch * steps.len() * d.head * d.d_k);
        let mut bound = Bound::new(self.stream());
        bound.recurrence(recurrence, &steps)?;
        let mut parts = Parts::new(self, plan, &d, &bound.arguments)?;
        let mut erase_gradient = Scratch::<f32>::new(self, if plan.n_edits == 2 { stream * d.d_v } else { 0 })?;
        let mut memory_gradients = Scratch::<f32>::new(self, d.batch * parts.most * d.head * memory)?;
        let initial = gradient.initial_memory.as_mut();
        let initial = initial.map_or(Ok(0), |initial| bound.array_mut("gradient of the initial memory", initial, d.batch * d.head * memory))?;
        let mut carried = Carried::new(self, &d, initial)?;
        let output_gradient = bound.array("gradient of the output", grad_output, stream * d.d_v)?;
        let from_end = bound.optional("gradient of the final memory", grad_final_memory, d.batch * d.head * memory)?;
        let mut values = [0; 2];
        for (array, address) in tape.trace.pseudo_values.iter().zip(&mut values) {
            *address = bound.array("pseudo-values", array, stream * d.d_v)?;
        }
        let mut to = GradientTargets {
            query: bound.array_mut("gradient of the query", &mut gradient.query, keys)?,
            decay: bound.array_mut("gradient of the retention", &mut gradient.retention, keys)?,
            write: 0,
            erase: 0,
            erase_strength: 0,
            write_strength: 0,
        };
        let mut value_gradient = 0;
        for (j, edit) in gradient.edits.iter_mut().enumerate() {
            let strength = bound.array_mut("gradient of a strength", &mut edit.strength, stream)?;
            let direction = bound.array_mut("gradient of a direction", &mut edit.direction, keys)?;
            if j + 1 < plan.n_edits {
                (to.erase_strength, to.erase) = (strength, direction);
            } else {
                (to.write_strength, to.write) = (strength, direction);
                let value = edit.value.as_mut().ok_or_else(|| CudaError::Shape("the gradient of the value has no array".to_owned()))?;
                value_gradient = bound.array_mut("gradient of the value", value, stream * d.d_v)?;
            }
        }
        let from = GradientInputs {
            states: bound.array("checkpoints", &kept.memories, d.batch * n_all * d.head * memory)?,
            final_memory: bound.array("final memory", &tape.final_memory, d.batch * d.head * memory)?,
            memory_gradients: memory_gradients.address(),
            erase_value: if plan.n_edits == 2 { values[0] } else { 0 },
            write_value: values[plan.n_edits - 1],
            erase_gradient: if plan.n_edits == 2 { erase_gradient.address() } else { 0 },
            value_gradient,
            output_gradient,
        };
        for (index, first) in (0..parts.n_chunks).step_by(parts.most).rev().enumerate() {
            parts.select(first);
            let [a, b, own] = parts.addresses();
            let each_chunk = parts.grid(parts.n_selected(), PREPARE_THREADS);
            self.start(&plan.prepare(), each_chunk, &[&parts.sizes, &parts.inputs, &output_gradient, &a, &b, &own])?;
            let memory = carried.address();
            let scan = ScanTargets {
                erase_value: from.erase_gradient,
                write_value: value_gradient,
                output: output_gradient,
                states: from.memory_gradients,
                final_memory: memory,
                initial_memory: if index == 0 { from_end } else { memory },
                steps_per_state: CHUNK_STEPS as i32,
                first_kept: (steps.start / CHUNK_STEPS + first) as i32,
                n_kept: parts.n_selected() as i32,
            };
            self.start(&plan.scan(), parts.grid(plan.column_blocks(), plan.scan_threads()), &[&parts.sizes, &a, &b, &own, &scan])?;
            let each_chunk = parts.grid(parts.n_selected(), plan.gradient_threads());
            self.start(&plan.gradient(), each_chunk, &[&parts.sizes, &parts.inputs, &from, &to])?;
        }
        Ok(())
    }

    fn chunk_plan(&self, recurrence: &CardRecurrence, precision: Precision, pass: Pass) -> Result<ChunkPlan, CudaError> {
        let d = recurrence.dims;
        let no = |why: &str| CudaError::Unsupported(format!("no run in chunks: {why}"));
        let n_edits = chunk_plan::edits_of(recurrence).ok_or_else(|| no("the rule is not a delta write, or an erase and a delta write"))?;
        let context = self.stream().context();
        let (major, _) = context.compute_capability().map_err(driver_error(context, "asking what it is"))?;
        if major < 9 {
            return Err(no("the card's compute capability is below 9.0"));
        }
        if d.batch.max(d.head) > MOST_ACROSS {
            return Err(no("more than 65535 sequences or heads"));
        }
        ChunkPlan::new(&d, n_edits, precision, pass, self.limits(), None).ok_or_else(|| no("the card has too little shared memory"))
    }

    fn start(&self, kernel: &Kernel, grid: LaunchConfig, arguments: &[&dyn Argument]) -> Result<(), CudaError> {
        let function = self.function(kernel)?;
        let mut launch = self.stream().launch_builder(&function);
        for argument in arguments {
            argument.push(&mut launch);
        }
        let grid = LaunchConfig { shared_mem_bytes: kernel.shared_bytes as u32, ..grid };
        // SAFETY: the arguments have the kernel's layout; every array was checked to hold what the kernel reads and writes of it.
        unsafe { launch.launch(grid) }.map_err(driver_error(self.stream().context(), "starting a kernel"))?;
        Ok(())
    }
}

/// One argument of a kernel.
trait Argument {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>);
}

impl<T: DeviceRepr> Argument for T {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>) {
        launch.arg(self);
    }
}

fn check_checkpoints(steps: &Range<usize>, every: usize) -> Result<(), CudaError> {
    if every == 0 || !every.is_multiple_of(CHUNK_STEPS) || !steps.start.is_multiple_of(CHUNK_STEPS) {
        return Err(CudaError::Unsupported(format!(
            "a run in chunks from step {} with checkpoints every {every} steps: both must be multiples of {CHUNK_STEPS}",
            steps.start
        )));
    }
    Ok(())
}

/// Memory of the card for the time of a call.
struct Scratch<T>(Option<CudaSlice<T>>, Arc<CudaStream>);

impl<T: DeviceRepr> Scratch<T> {
    fn new(engine: &Engine, len: usize) -> Result<Self, CudaError> {
        let stream = engine.stream();
        if len == 0 {
            return Ok(Self(None, stream.clone()));
        }
        // SAFETY: kernels write all that later ones read.
        let slice = unsafe { stream.alloc::<T>(len) }.map_err(|error| {
            let needed = (len * size_of::<T>()) as u64;
            match engine.memory() {
                Ok((free, _)) if free < needed => CudaError::OutOfMemory {
                    what: "the workspace of a run in chunks".to_owned(),
                    card: stream.context().ordinal(),
                    needed,
                    free,
                    advice: "run fewer sequences at once".to_owned(),
                },
                _ => driver_error(stream.context(), "reserving a workspace")(error),
            }
        })?;
        Ok(Self(Some(slice), stream.clone()))
    }

    fn address(&mut self) -> u64 {
        // One stream does all the work on it.
        self.0.as_mut().map_or(0, |slice| slice.device_ptr_mut(&self.1).0)
    }
}

/// The memory (or its gradient) between the parts of a run: the caller's array, or one of our own.
struct Carried {
    given: u64,
    own: Scratch<f32>,
}

impl Carried {
    fn new(engine: &Engine, d: &Dims, given: u64) -> Result<Self, CudaError> {
        let own = Scratch::new(engine, if given == 0 { d.batch * d.head * d.d_k * d.d_v } else { 0 })?;
        Ok(Self { given, own })
    }

    fn address(&mut self) -> u64 {
        if self.given == 0 { self.own.address() } else { self.given }
    }
}

/// A run in parts that fit the workspace.
struct Parts {
    sizes: Sizes,
    inputs: Inputs,
    /// Chunks of the run, and of a part at most.
    n_chunks: usize,
    most: usize,
    grid: [usize; 2],
    a_records: Scratch<u8>,
    b_records: Scratch<u8>,
    own: Scratch<f32>,
}

impl Parts {
    fn new(engine: &Engine, plan: ChunkPlan, d: &Dims, arguments: &Arguments) -> Result<Self, CudaError> {
        let n_chunks = (arguments.n_steps as usize).div_ceil(CHUNK_STEPS);
        let heads = d.batch * d.head;
        let most = (WORKSPACE_BYTES / (heads * plan.record_bytes())).clamp(1, n_chunks);
        let erase = if plan.n_edits == 2 { arguments.edits[0] } else { EditArgument::default() };
        let write = arguments.edits[plan.n_edits - 1];
        Ok(Self {
            sizes: Sizes {
                n_heads: arguments.head,
                first_step: arguments.first_step,
                end_step: arguments.first_step + arguments.n_steps,
                out_first: if arguments.out_steps == 0 { arguments.first_step } else { arguments.out_first },
                out_steps: if arguments.out_steps == 0 { arguments.n_steps } else { arguments.out_steps },
                first_chunk: 0,
                n_chunks: 0,
            },
            inputs: Inputs {
                erase: erase.direction,
                write: write.direction,
                query: arguments.query,
                value: write.value,
                decay: arguments.retention,
                erase_strength: erase.strength,
                write_strength: write.strength,
            },
            n_chunks,
            most,
            grid: [d.head, d.batch],
            a_records: Scratch::new(engine, most * heads * plan.a_bytes())?,
            b_records: Scratch::new(engine, most * heads * plan.b_bytes())?,
            own: Scratch::new(engine, most * heads * plan.own_numbers())?,
        })
    }

    fn select(&mut self, first: usize) {
        self.sizes.first_chunk = first as i32;
        self.sizes.n_chunks = self.most.min(self.n_chunks - first) as i32;
    }

    const fn n_selected(&self) -> usize {
        self.sizes.n_chunks as usize
    }

    fn addresses(&mut self) -> [u64; 3] {
        [self.a_records.address(), self.b_records.address(), self.own.address()]
    }

    const fn grid(&self, across: usize, n_threads: usize) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (across as u32, self.grid[0] as u32, self.grid[1] as u32),
            block_dim: (n_threads as u32, 1, 1),
            shared_mem_bytes: 0,
        }
    }
}
