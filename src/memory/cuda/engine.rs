//! The kernels on one card and one stream, over buffers that stand there.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchConfig, PushKernelArg};

use super::super::Dims;
use super::bound::{Bound, Shape};
use super::buffers::{CardRecurrence, Targets, Trace};
use super::compile::{self, Kernel};
use super::error::CudaError;
use super::layout::Arguments;
use super::plan::{self, CardLimits, ForwardPlan, ReplayPlan, Replayed, Stores};
use super::route::Beside;
use super::{driver_error, libraries};

/// The engine on one card: kernels are compiled for it when first used, and run on one stream.
#[derive(Clone, Debug)]
pub struct Engine {
    stream: Arc<CudaStream>,
    architecture: String,
    limits: CardLimits,
    columns: Option<usize>,
    /// Whether it copies blocks of memory by itself (compute capability 9.0 and later).
    copies_in_bulk: bool,
    /// For what runs beside the stream; made when first needed.
    beside: Arc<OnceLock<Beside>>,
}

impl Engine {
    /// On a card by its number, with a stream of its own.
    pub fn open(ordinal: usize) -> Result<Self, CudaError> {
        let count = n_cards()?;
        if ordinal >= count {
            return Err(CudaError::UnknownCard { ordinal, count });
        }
        let fail =
            |error: cudarc::driver::DriverError| CudaError::Driver { card: ordinal, doing: "opening it", message: error.to_string() };
        let context = CudaContext::new(ordinal).map_err(fail)?;
        let stream = context.new_stream().map_err(fail)?;
        Self::on(stream)
    }

    /// On a stream that a model on the card uses too.
    pub fn on(stream: Arc<CudaStream>) -> Result<Self, CudaError> {
        let context = stream.context().clone();
        let fail = driver_error(&context, "asking what it is");
        let attribute = |attribute| context.attribute(attribute);
        let (major, minor) = context.compute_capability().map_err(&fail)?;
        if major < 8 {
            return Err(CudaError::TooOld(format!(
                "card {} has compute capability {major}.{minor}, the kernels need 8.0",
                context.ordinal()
            )));
        }
        let limits = CardLimits {
            n_multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).map_err(&fail)? as usize,
            shared_bytes: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN).map_err(&fail)? as usize,
        };
        Ok(Self {
            stream,
            architecture: format!("sm_{major}{minor}"),
            limits,
            columns: None,
            copies_in_bulk: major >= 9,
            beside: Arc::default(),
        })
    }

    /// The same, with so many columns to a thread in the sequential kernels (1, 2, 4 or 8) where they fit. By default the plan
    /// chooses; results do not depend on it.
    #[must_use]
    pub fn with_columns(&self, columns: usize) -> Self {
        Self { columns: Some(columns), ..self.clone() }
    }

    /// The columns of a thread, if chosen by hand.
    pub const fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// The stream everything runs on.
    pub const fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// What the card offers.
    pub const fn limits(&self) -> CardLimits {
        self.limits
    }

    /// Bytes free and in all.
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        let context = self.stream.context();
        let (free, total) = context.mem_get_info().map_err(driver_error(context, "asking for its free memory"))?;
        Ok((free as u64, total as u64))
    }

    /// Waits until everything asked for is done.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.stream.synchronize().map_err(driver_error(self.stream.context(), "waiting for its kernels"))
    }

    /// Steps `steps` of all heads, and what the targets keep. Output and final memory do not depend on what else is kept,
    /// nor on how many sequences run together.
    pub fn forward(&self, recurrence: &CardRecurrence, steps: Range<usize>, targets: &mut Targets) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if steps.is_empty() || d.batch * d.head == 0 {
            return Ok(());
        }
        let mut bound = Bound::new(&self.stream);
        let form = bound.recurrence(recurrence, &steps)?;
        let aligned = bound.forward_targets(&d, &steps, targets)?;
        let dense = dense_bits(&bound.arguments);
        let stores = match dense.count_ones() as usize {
            0 => Stores::Nothing,
            phases if self.copies_in_bulk && aligned => Stores::InBulk(phases),
            phases => Stores::ByThreads(phases),
        };
        let plan = ForwardPlan::new(&d, form.form, self.limits, self.columns, stores)?;
        let kernel = forward_kernel(&form, &plan, &bound.arguments, aligned);
        self.launch(&kernel, &bound.arguments, plan.blocks, (plan.consumers + plan.producers) * 32)
    }

    /// The memories of steps `steps` at the phases of the arrays given, [batch, step, head, d_k, d_v], from checkpoints and
    /// pseudo-values; `heads` are the heads to write (all if `None`), and then the arrays' head axis has those only. The bits
    /// are those of [`replay`](mod@super::super::replay).
    pub fn replay(
        &self,
        recurrence: &CardRecurrence,
        trace: &Trace,
        steps: Range<usize>,
        heads: Option<&CudaView<i32>>,
        dense: &mut [Option<CudaViewMut<f32>>; 4],
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if steps.is_empty() || d.batch * d.head == 0 {
            return Ok(());
        }
        let mut bound = Bound::new(&self.stream);
        let form = bound.recurrence(recurrence, &steps)?;
        let aligned = bound.replay_arrays(&d, &steps, trace, heads, dense)?;
        let (kernel, plan) = replay_kernel(&form, &d, &mut bound.arguments, self.limits, aligned);
        self.launch(&kernel, &bound.arguments, plan.blocks, (plan.consumers + 1) * 32)
    }

    /// What runs beside the engine's own stream.
    pub(super) fn beside(&self) -> Result<&Beside, CudaError> {
        if self.beside.get().is_none() {
            let context = self.stream.context();
            // Another thread may have been faster; its own is then the one.
            let _ = self.beside.set(Beside::new(context).map_err(driver_error(context, "making a second stream"))?);
        }
        self.beside.get().ok_or_else(|| CudaError::Shape("the second stream was not made".to_owned()))
    }

    pub(super) fn function(&self, kernel: &Kernel) -> Result<CudaFunction, CudaError> {
        compile::function(self.stream.context(), &self.architecture, kernel)
    }

    /// Starts a kernel on arguments that were checked.
    pub(super) fn launch<T: DeviceRepr>(&self, kernel: &Kernel, arguments: &T, n_blocks: usize, n_threads: usize) -> Result<(), CudaError> {
        self.launch_on(&self.stream, kernel, arguments, n_blocks, n_threads)
    }

    /// The same on another stream of the card.
    pub(super) fn launch_on<T: DeviceRepr>(
        &self,
        stream: &Arc<CudaStream>,
        kernel: &Kernel,
        arguments: &T,
        n_blocks: usize,
        n_threads: usize,
    ) -> Result<(), CudaError> {
        let function = self.function(kernel)?;
        let grid = LaunchConfig {
            grid_dim: (n_blocks as u32, 1, 1),
            block_dim: (n_threads as u32, 1, 1),
            shared_mem_bytes: kernel.shared_bytes as u32,
        };
        let mut launch = stream.launch_builder(&function);
        launch.arg(arguments);
        // SAFETY: the arguments have the kernel's layout; every array was checked to hold what the kernel reads and writes of it.
        unsafe { launch.launch(grid) }.map_err(driver_error(self.stream.context(), "starting a kernel"))?;
        Ok(())
    }
}

/// Bits of the phases whose memories are stored.
pub(super) fn dense_bits(arguments: &Arguments) -> usize {
    arguments.dense.iter().enumerate().fold(0, |bits, (phase, &address)| bits | usize::from(address != 0) << phase)
}

/// The sequential kernel for what these arguments keep.
pub(super) fn forward_kernel(shape: &Shape, plan: &ForwardPlan, arguments: &Arguments, aligned: bool) -> Kernel {
    let kept = usize::from(arguments.output != 0)
        | usize::from(arguments.pseudo_values[0] != 0) << 1
        | usize::from(arguments.residuals[0] != 0) << 2;
    Kernel {
        name: "forward",
        source: concat!(include_str!("lanes.cu"), include_str!("slots.cu"), include_str!("stages.cu"), include_str!("forward.cu")),
        defines: shape.defines(&[
            ("C", plan.columns),
            ("CONSUMERS", plan.consumers),
            ("PRODUCERS", plan.producers),
            ("THREADS", (plan.consumers + plan.producers) * 32),
            ("STEPS", plan.steps),
            ("STAGES", plan.stages),
            ("WINDOW", plan.window.0),
            ("OPEN", plan.window.1),
            ("TILES", plan.tiles),
            ("DENSE", dense_bits(arguments)),
            ("KEPT", kept),
            ("ALIGNED", usize::from(aligned)),
        ]),
        shared_bytes: plan.shared_bytes,
    }
}

/// The replay of the steps of these arguments, which get its runs of chunks.
pub(super) fn replay_kernel(shape: &Shape, d: &Dims, arguments: &mut Arguments, card: CardLimits, aligned: bool) -> (Kernel, ReplayPlan) {
    let every = arguments.checkpoint_every as usize;
    let steps = arguments.first_step as usize..(arguments.first_step + arguments.n_steps) as usize;
    let dense = dense_bits(arguments);
    let chunks = plan::chunks(&steps, every).len();
    let replayed = Replayed { heads: arguments.dense_heads as usize, phases: dense.count_ones() as usize, chunks, every };
    let plan = ReplayPlan::new(d, shape.form, card, replayed);
    (arguments.n_chunks, arguments.chunks_per_run) = (chunks as i32, plan.chunks_per_run as i32);
    let kernel = Kernel {
        name: "replay",
        source: concat!(include_str!("stages.cu"), include_str!("replay.cu")),
        defines: shape.defines(&[
            ("COLUMN_THREADS", plan.column_threads),
            ("ROWS", plan.rows),
            ("CONSUMERS", plan.consumers),
            ("PRODUCERS", 1),
            ("THREADS", (plan.consumers + 1) * 32),
            ("STEPS", plan.steps),
            ("STAGES", plan.stages),
            ("WINDOW", plan.window.0),
            ("OPEN", plan.window.1),
            ("DENSE", dense),
            ("ALIGNED", usize::from(aligned)),
        ]),
        shared_bytes: plan.shared_bytes,
    };
    (kernel, plan)
}

/// Cards of this machine.
///
/// # Errors
/// If there is no driver, or it sees no card.
pub fn n_cards() -> Result<usize, CudaError> {
    if !libraries::has_driver() {
        return Err(CudaError::NoDriver);
    }
    match CudaContext::device_count() {
        Ok(0) => Err(CudaError::NoCard(String::new())),
        Ok(count) => Ok(count as usize),
        Err(error) => Err(CudaError::NoCard(error.to_string())),
    }
}
