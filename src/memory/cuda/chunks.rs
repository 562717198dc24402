//! Runs in chunks on tensor cores: the WY form of [`chunkwise`](super::super::chunkwise) with its own rows for erases and writes.
//!
//! A first kernel makes of every chunk of 32 steps, all at once, what it does to any memory it finds; a second takes the memory
//! from chunk to chunk, with the outputs, pseudo-values and checkpoints on its way. For the gradient the same two go backwards,
//! and a third has every chunk's share of the inputs' gradients. The derivation stands at the head of `chunk_prepare.cu`,
//! `chunk_scan.cu` and `chunk_gradient.cu`.
//!
//! A retention below 2^-24 is taken as that, and a strength below 1e-12.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaSlice, CudaStream, DevicePtrMut, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg, result, sys};

use super::super::Dims;
use super::bound::Bound;
use super::buffers::{CardRecurrence, Targets};
use super::chunk_plan::{self, CHUNK_STEPS, CHUNK_THREADS, ChunkPlan, Pass, Precision};
use super::compile::Kernel;
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::layout::{Arguments, EditArgument, RowsArgument};

/// Workspace of a call, at most (unless one chunk of all heads needs more): longer runs go in parts.
const WORKSPACE_BYTES: usize = 2 << 30;
/// Blocks along the second and third axes of a launch, at most.
const MOST_ACROSS: usize = 65_535;

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Sizes {
    pub n_heads: i32,
    pub first_step: i32,
    pub end_step: i32,
    pub out_first: i32,
    pub out_steps: i32,
    pub first_chunk: i32,
    pub n_chunks: i32,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Inputs {
    pub erase: RowsArgument,
    pub write: RowsArgument,
    pub query: RowsArgument,
    pub value: RowsArgument,
    pub decay: RowsArgument,
    pub erase_strength: RowsArgument,
    pub write_strength: RowsArgument,
    pub output_gradient: RowsArgument,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct ScanTargets {
    pub erase_value: u64,
    pub write_value: u64,
    pub output: u64,
    pub states: u64,
    pub final_memory: u64,
    pub initial_memory: u64,
    pub steps_per_state: i32,
    pub first_kept: i32,
    pub n_kept: i32,
}

// SAFETY: plain numbers in C's layout, passed by value.
unsafe impl DeviceRepr for Sizes {}
// SAFETY: as above.
unsafe impl DeviceRepr for RowsArgument {}
// SAFETY: as above.
unsafe impl DeviceRepr for Inputs {}
// SAFETY: as above.
unsafe impl DeviceRepr for ScanTargets {}

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
            return Err(CudaError::Unsupported(
                "a run in chunks has no dense memories and no residuals: replay it, or run step by step".to_owned(),
            ));
        }
        let every = targets.checkpoints.as_ref().map(|checkpoints| checkpoints.every);
        check_checkpoints(&steps, every.unwrap_or(CHUNK_STEPS))?;
        let plan = self.chunk_plan(recurrence, precision, Pass::Forward)?;
        let mut bound = Bound::new(self.stream());
        bound.recurrence(recurrence, &steps)?;
        bound.forward_targets(&d, &steps, targets)?;
        let arguments = bound.arguments;
        check_alignment(&[
            arguments.output,
            arguments.checkpoints,
            arguments.final_memory,
            arguments.pseudo_values[0],
            arguments.pseudo_values[1],
        ])?;
        let mut carried = Carried::new(self, &d, arguments.final_memory)?;
        let mut parts = Parts::new(self, plan, &d, &arguments)?;
        for first in (0..parts.n_chunks).step_by(parts.most) {
            parts.select(first);
            let [a, b, own] = parts.addresses();
            self.start(&plan.prepare(), parts.grid(parts.n_selected(), CHUNK_THREADS), &[&parts.sizes, &parts.inputs, &a, &b, &own])?;
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

    pub(super) fn chunk_plan(&self, recurrence: &CardRecurrence, precision: Precision, pass: Pass) -> Result<ChunkPlan, CudaError> {
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

    pub(super) fn start(&self, kernel: &Kernel, grid: LaunchConfig, arguments: &[&dyn Argument]) -> Result<(), CudaError> {
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
pub(super) trait Argument {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>);
}

impl<T: DeviceRepr> Argument for T {
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>) {
        launch.arg(self);
    }
}

pub(super) fn check_checkpoints(steps: &Range<usize>, every: usize) -> Result<(), CudaError> {
    if every == 0 || !every.is_multiple_of(CHUNK_STEPS) || !steps.start.is_multiple_of(CHUNK_STEPS) {
        return Err(CudaError::Unsupported(format!(
            "a run in chunks from step {} with checkpoints every {every} steps: both must be multiples of {CHUNK_STEPS}",
            steps.start
        )));
    }
    Ok(())
}

/// Kernels load and store up to four numbers at once.
pub(super) fn check_alignment(addresses: &[u64]) -> Result<(), CudaError> {
    if addresses.iter().all(|address| address.is_multiple_of(16)) {
        return Ok(());
    }
    Err(CudaError::Unsupported("a run in chunks needs arrays that start at a multiple of 16 bytes".to_owned()))
}

impl Engine {
    /// Freed memory stays with the card's pool up to a sixteenth of the card: to map gigabytes of workspace anew after every wait
    /// takes longer than a run. Where the pool cannot be set up so, runs are only slower.
    pub fn keep_freed_memory(&self) {
        static DONE: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
        let context = self.stream().context();
        if !DONE.lock().unwrap_or_else(PoisonError::into_inner).insert(context.cu_ctx() as usize) {
            return;
        }
        let Ok((_, total)) = self.memory() else { return };
        let mut most = total / 16;
        // SAFETY: the device is the context's, and the attribute is a u64.
        let _ = unsafe {
            result::device::get_default_mem_pool(context.cu_device()).and_then(|pool| {
                let release = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
                result::mem_pool::set_attribute(pool, release, (&raw mut most).cast())
            })
        };
    }
}

/// Memory of the card for the time of a call.
pub(super) struct Scratch<T>(Option<CudaSlice<T>>, Arc<CudaStream>);

impl<T: DeviceRepr> Scratch<T> {
    pub fn new(engine: &Engine, len: usize) -> Result<Self, CudaError> {
        let stream = engine.stream();
        if len == 0 {
            return Ok(Self(None, stream.clone()));
        }
        engine.keep_freed_memory();
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

    pub fn address(&mut self) -> u64 {
        // One stream does all the work on it.
        self.0.as_mut().map_or(0, |slice| slice.device_ptr_mut(&self.1).0)
    }
}

/// The memory (or its gradient) between the parts of a run: the caller's array, or one of our own.
pub(super) struct Carried {
    given: u64,
    own: Scratch<f32>,
}

impl Carried {
    pub fn new(engine: &Engine, d: &Dims, given: u64) -> Result<Self, CudaError> {
        let own = Scratch::new(engine, if given == 0 { d.batch * d.head * d.d_k * d.d_v } else { 0 })?;
        Ok(Self { given, own })
    }

    pub fn address(&mut self) -> u64 {
        if self.given == 0 { self.own.address() } else { self.given }
    }
}

/// A run in parts that fit the workspace.
pub(super) struct Parts {
    pub sizes: Sizes,
    pub inputs: Inputs,
    /// Chunks of the run, and of a part at most.
    pub n_chunks: usize,
    pub most: usize,
    pub grid: [usize; 2],
    pub a_records: Scratch<u8>,
    pub b_records: Scratch<u8>,
    pub own: Scratch<f32>,
}

impl Parts {
    pub fn new(engine: &Engine, plan: ChunkPlan, d: &Dims, arguments: &Arguments) -> Result<Self, CudaError> {
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
                output_gradient: RowsArgument::default(),
            },
            n_chunks,
            most,
            grid: [d.head, d.batch],
            a_records: Scratch::new(engine, most * heads * plan.a_bytes())?,
            b_records: Scratch::new(engine, most * heads * plan.b_bytes())?,
            own: Scratch::new(engine, most * heads * plan.own_numbers())?,
        })
    }

    pub fn select(&mut self, first: usize) {
        self.sizes.first_chunk = first as i32;
        self.sizes.n_chunks = self.most.min(self.n_chunks - first) as i32;
    }

    pub const fn n_selected(&self) -> usize {
        self.sizes.n_chunks as usize
    }

    pub fn addresses(&mut self) -> [u64; 3] {
        [self.a_records.address(), self.b_records.address(), self.own.address()]
    }

    pub const fn grid(&self, across: usize, n_threads: usize) -> LaunchConfig {
        LaunchConfig {
            grid_dim: (across as u32, self.grid[0] as u32, self.grid[1] as u32),
            block_dim: (n_threads as u32, 1, 1),
            shared_mem_bytes: 0,
        }
    }
}
