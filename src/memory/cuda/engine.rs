//! The kernels on one card and one stream, over buffers that stand there.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, CudaView, CudaViewMut, DeviceRepr, LaunchConfig, PushKernelArg};

use super::bound::Bound;
use super::buffers::{CardRecurrence, Targets, Trace};
use super::compile::{self, Kernel};
use super::error::CudaError;
use super::plan::{self, CardLimits, ForwardPlan, ReplayPlan};
use super::{driver_error, libraries};

/// The engine on one card: kernels are compiled for it when first used, and run on one stream.
#[derive(Clone, Debug)]
pub struct Engine {
    stream: Arc<CudaStream>,
    architecture: String,
    limits: CardLimits,
    columns: Option<usize>,
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
        Ok(Self { stream, architecture: format!("sm_{major}{minor}"), limits, columns: None })
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
        let dense = (0..4).filter(|&phase| targets.dense[phase].is_some()).fold(0, |bits, phase| bits | 1 << phase);
        let kept = usize::from(targets.output.is_some())
            | usize::from(!targets.pseudo_values.is_empty()) << 1
            | usize::from(!targets.residuals.is_empty()) << 2;
        let plan = ForwardPlan::new(&d, form.form, self.limits, self.columns, dense != 0)?;
        let aligned = bound.forward_targets(&d, &steps, targets)?;
        let kernel = Kernel {
            name: "forward",
            source: concat!(include_str!("slots.cu"), include_str!("forward.cu")),
            defines: form.defines(&[
                ("C", plan.columns),
                ("CONSUMERS", plan.consumers),
                ("PRODUCERS", plan.producers),
                ("STEPS", plan.steps),
                ("STAGES", plan.stages),
                ("DENSE", dense),
                ("KEPT", kept),
                ("ALIGNED", usize::from(aligned)),
            ]),
            shared_bytes: plan.shared_bytes,
        };
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
        let bits = (0..4).filter(|&phase| dense[phase].is_some()).fold(0, |bits, phase| bits | 1 << phase);
        let chunks = plan::chunks(&steps, trace.checkpoints.every);
        let aligned = bound.replay_arrays(&d, &steps, trace, heads, dense)?;
        let plan = ReplayPlan::new(&d, form.form);
        bound.arguments.n_chunks = chunks.len() as i32;
        let kernel = Kernel {
            name: "replay",
            source: include_str!("replay.cu"),
            defines: form.defines(&[
                ("COLUMN_THREADS", plan.column_threads),
                ("ROWS", plan.rows),
                ("CONSUMERS", plan.consumers),
                ("PRODUCERS", 1),
                ("STEPS", plan.steps),
                ("STAGES", plan.stages),
                ("DENSE", bits),
                ("ALIGNED", usize::from(aligned)),
            ]),
            shared_bytes: plan.shared_bytes,
        };
        let n_heads = bound.arguments.dense_heads as usize;
        self.launch(&kernel, &bound.arguments, d.batch * chunks.len() * n_heads * plan.column_blocks, (plan.consumers + 1) * 32)
    }

    pub(super) fn function(&self, kernel: &Kernel) -> Result<CudaFunction, CudaError> {
        compile::function(self.stream.context(), &self.architecture, kernel)
    }

    /// Starts a kernel on arguments that were checked.
    pub(super) fn launch<T: DeviceRepr>(&self, kernel: &Kernel, arguments: &T, n_blocks: usize, n_threads: usize) -> Result<(), CudaError> {
        let function = self.function(kernel)?;
        let grid = LaunchConfig {
            grid_dim: (n_blocks as u32, 1, 1),
            block_dim: (n_threads as u32, 1, 1),
            shared_mem_bytes: kernel.shared_bytes as u32,
        };
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(arguments);
        // SAFETY: the arguments have the kernel's layout; every array was checked to hold what the kernel reads and writes of it.
        unsafe { launch.launch(grid) }.map_err(driver_error(self.stream.context(), "starting a kernel"))?;
        Ok(())
    }
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
