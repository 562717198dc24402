//! The kernels on one card and one stream, over buffers that stand there.

use std::ops::Range;
use std::sync::Arc;

use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaStream, CudaView, CudaViewMut, DevicePtr, DevicePtrMut, LaunchConfig, PushKernelArg, SyncOnDrop,
};

use super::super::{Dims, EditKind};
use super::buffers::{CardEdit, CardRead, CardRecurrence, Numbers, Rows, Targets, Trace};
use super::compile::{self, Kernel};
use super::error::CudaError;
use super::layout::{Arguments, EditArgument, MOST_EDITS, RowsArgument};
use super::plan::{self, CardLimits, Form, ForwardPlan, ReplayPlan};
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
        let plan = ForwardPlan::new(&d, form.form, self.limits, self.columns, dense != 0)?;
        let aligned = bound.forward_targets(&d, &steps, targets)?;
        let kernel = Kernel {
            name: "forward",
            source: include_str!("forward.cu"),
            defines: form.defines(&[
                ("C", plan.columns),
                ("CONSUMERS", plan.consumers),
                ("PRODUCERS", plan.producers),
                ("STEPS", plan.steps),
                ("STAGES", plan.stages),
                ("DENSE", dense),
                ("ALIGNED", usize::from(aligned)),
            ]),
            shared_bytes: plan.shared_bytes,
        };
        self.launch(&kernel, &bound, plan.blocks, (plan.consumers + plan.producers) * 32)
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
        let plan = ReplayPlan::new(&d, form.form);
        let chunks = plan::chunks(&steps, trace.checkpoints.every);
        let aligned = bound.replay_arrays(&d, &steps, trace, heads, dense)?;
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
        self.launch(&kernel, &bound, d.batch * chunks.len() * n_heads * plan.column_blocks, (plan.consumers + 1) * 32)
    }

    pub(super) fn function(&self, kernel: &Kernel) -> Result<CudaFunction, CudaError> {
        compile::function(self.stream.context(), &self.architecture, kernel)
    }

    fn launch(&self, kernel: &Kernel, bound: &Bound, n_blocks: usize, n_threads: usize) -> Result<(), CudaError> {
        let function = self.function(kernel)?;
        let grid = LaunchConfig {
            grid_dim: (n_blocks as u32, 1, 1),
            block_dim: (n_threads as u32, 1, 1),
            shared_mem_bytes: kernel.shared_bytes as u32,
        };
        let mut launch = self.stream.launch_builder(&function);
        launch.arg(&bound.arguments);
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

/// What kernels are compiled for.
pub(super) struct Shape {
    pub form: Form,
    n: usize,
    reads: usize,
    values: usize,
}

impl Shape {
    pub fn defines(&self, more: &[(&'static str, usize)]) -> Vec<(&'static str, usize)> {
        let mut defines = vec![("N", self.n), ("DK", self.form.padded), ("READS", self.reads), ("VALUES", self.values)];
        defines.extend(more);
        defines
    }
}

/// Arguments of a launch, and what keeps their buffers in order with other streams.
pub(super) struct Bound<'a> {
    stream: &'a CudaStream,
    pub arguments: Arguments,
    guards: Vec<SyncOnDrop<'a>>,
}

impl<'a> Bound<'a> {
    pub fn new(stream: &'a CudaStream) -> Self {
        Self { stream, arguments: Arguments::default(), guards: Vec::new() }
    }

    /// The inputs, checked against the sizes.
    pub fn recurrence(&mut self, recurrence: &'a CardRecurrence, steps: &Range<usize>) -> Result<Shape, CudaError> {
        let d = recurrence.dims;
        let n = recurrence.edits.len();
        if !(1..=MOST_EDITS).contains(&n) {
            return Err(CudaError::Unsupported(format!("the card's kernels take 1 to {MOST_EDITS} edits a step, this rule has {n}")));
        }
        if d.d_k.max(d.d_v) > plan::MOST_CHANNELS || d.d_k.min(d.d_v) == 0 {
            return Err(CudaError::Unsupported(format!(
                "the card's kernels take memories of 1 to {} channels a side, this one has {} by {}",
                plan::MOST_CHANNELS,
                d.d_k,
                d.d_v
            )));
        }
        if d.key_head == 0 || !d.head.is_multiple_of(d.key_head) {
            return Err(CudaError::Shape(format!("{} heads cannot be served by {} key heads", d.head, d.key_head)));
        }
        if steps.end > d.step {
            return Err(CudaError::Shape(format!("steps {steps:?} of a recurrence of {} steps", d.step)));
        }
        let arguments = Arguments {
            batch: d.batch as i32,
            head: d.head as i32,
            d_k: d.d_k as i32,
            d_v: d.d_v as i32,
            first_step: steps.start as i32,
            n_steps: steps.len() as i32,
            n_erases: recurrence.edits.iter().filter(|edit| edit.kind == EditKind::Erase).count() as i32,
            checkpoint_every: 1,
            dense_heads: d.head as i32,
            query: self.rows("query", &recurrence.query, &d, d.d_k)?,
            retention: self.rows("retention", &recurrence.retention, &d, d.d_k)?,
            initial: self.optional("initial memory", recurrence.initial_memory.as_ref(), d.batch * d.head * d.d_k * d.d_v)?,
            ..Arguments::default()
        };
        self.arguments = arguments;
        let mut shape = Shape { form: Form { n_edits: n, n_elsewhere: 0, padded: plan::padded(d.d_k) }, n, reads: 0, values: 0 };
        for (j, edit) in recurrence.edits.iter().enumerate() {
            let (argument, kind) = self.edit(edit, &d)?;
            self.arguments.edits[j] = argument;
            shape.reads |= kind << (2 * j);
            shape.values |= usize::from(edit.value.is_some()) << j;
            shape.form.n_elsewhere += usize::from(kind >= 2);
        }
        Ok(shape)
    }

    fn edit(&mut self, edit: &'a CardEdit, d: &Dims) -> Result<(EditArgument, usize), CudaError> {
        let (read, kind) = match &edit.read {
            CardRead::Nothing => (RowsArgument::default(), 0),
            CardRead::Direction => (RowsArgument::default(), 1),
            CardRead::Other(read) => (self.rows("read", read, d, d.d_k)?, 2),
            CardRead::BeforeDecay(read) => (self.rows("read", read, d, d.d_k)?, 3),
        };
        let strength = edit.strength.as_ref().map(|strength| self.rows("strength", strength, d, 1)).transpose()?;
        let value = edit.value.as_ref().map(|value| self.rows("value", value, d, d.d_v)).transpose()?;
        let direction = self.rows("direction", &edit.direction, d, d.d_k)?;
        Ok((EditArgument { strength: strength.unwrap_or_default(), direction, read, value: value.unwrap_or_default() }, kind))
    }

    fn rows(&mut self, name: &str, rows: &'a Rows, d: &Dims, width: usize) -> Result<RowsArgument, CudaError> {
        let [batch, step, head] = rows.strides;
        if rows.heads == 0 || !d.head.is_multiple_of(rows.heads) {
            return Err(CudaError::Shape(format!("{name}: {} heads for the memory's {}", rows.heads, d.head)));
        }
        let last = (d.batch - 1) * batch + (d.step - 1) * step + (rows.heads - 1) * head + width;
        if last > rows.numbers.len() {
            return Err(CudaError::Shape(format!("{name}: {last} numbers are needed, the array has {}", rows.numbers.len())));
        }
        let (data, guard, size) = match &rows.numbers {
            Numbers::F32(view) => {
                let (data, guard) = view.device_ptr(self.stream);
                (data, guard, 4)
            }
            Numbers::Bf16(view) => {
                let (data, guard) = view.device_ptr(self.stream);
                (data, guard, 2)
            }
        };
        self.guards.push(guard);
        let aligned = data.is_multiple_of(4 * size) && [batch, step, head, width].iter().all(|stride| stride.is_multiple_of(4));
        Ok(RowsArgument {
            data,
            batch_stride: batch as i64,
            step_stride: step as i64,
            head_stride: head as i64,
            heads: rows.heads as i32,
            flags: i32::from(size == 2) | i32::from(aligned) << 1,
        })
    }

    /// The address of an array of at least `len` numbers.
    pub fn array(&mut self, name: &str, array: &'a CudaView<f32>, len: usize) -> Result<u64, CudaError> {
        check(name, array.len(), len)?;
        let (address, guard) = array.device_ptr(self.stream);
        self.guards.push(guard);
        Ok(address)
    }

    pub fn optional(&mut self, name: &str, array: Option<&'a CudaView<f32>>, len: usize) -> Result<u64, CudaError> {
        array.map_or(Ok(0), |array| self.array(name, array, len))
    }

    /// The address of an array of at least `len` numbers that the kernel fills.
    pub fn array_mut(&mut self, name: &str, array: &'a mut CudaViewMut<f32>, len: usize) -> Result<u64, CudaError> {
        check(name, array.len(), len)?;
        let (address, guard) = array.device_ptr_mut(self.stream);
        self.guards.push(guard);
        Ok(address)
    }

    /// Where a forward run writes. Returns whether memories are stored in vectors.
    fn forward_targets(&mut self, d: &Dims, steps: &Range<usize>, targets: &'a mut Targets) -> Result<bool, CudaError> {
        let memory = d.d_k * d.d_v;
        let rows = targets.rows.clone().unwrap_or_else(|| steps.clone());
        if rows.start > steps.start || rows.end < steps.end {
            return Err(CudaError::Shape(format!("rows of steps {rows:?} for a run of steps {steps:?}")));
        }
        let stream = d.batch * rows.len() * d.head * d.d_v;
        let mut arguments = self.arguments;
        (arguments.out_first, arguments.out_steps) = (rows.start as i32, rows.len() as i32);
        if let Some(output) = &mut targets.output {
            arguments.output = self.array_mut("output", output, stream)?;
        }
        for (name, arrays, addresses) in [
            ("pseudo-values", &mut targets.pseudo_values, &mut arguments.pseudo_values),
            ("residuals", &mut targets.residuals, &mut arguments.residuals),
        ] {
            for (array, address) in arrays.iter_mut().zip(addresses) {
                *address = self.array_mut(name, array, stream)?;
            }
        }
        let mut addresses = Vec::new();
        if let Some(checkpoints) = &mut targets.checkpoints {
            let needed = steps.start.div_ceil(checkpoints.every)..steps.end.div_ceil(checkpoints.every);
            if !needed.is_empty() && (needed.start < checkpoints.first || needed.end > checkpoints.first + checkpoints.count) {
                return Err(CudaError::Shape(format!(
                    "checkpoints {needed:?} are taken, the array has {:?}",
                    checkpoints.first..checkpoints.first + checkpoints.count
                )));
            }
            arguments.checkpoint_every = checkpoints.every as i32;
            (arguments.checkpoint_first, arguments.n_checkpoints) = (checkpoints.first as i32, checkpoints.count as i32);
            arguments.checkpoints =
                self.array_mut("checkpoints", &mut checkpoints.memories, d.batch * checkpoints.count * d.head * memory)?;
            addresses.push(arguments.checkpoints);
        }
        (arguments.dense_first, arguments.dense_steps) = (steps.start as i32, steps.len() as i32);
        for (dense, address) in targets.dense.iter_mut().zip(&mut arguments.dense) {
            if let Some(dense) = dense {
                *address = self.array_mut("memories", dense, d.batch * steps.len() * d.head * memory)?;
                addresses.push(*address);
            }
        }
        if let Some(final_memory) = &mut targets.final_memory {
            arguments.final_memory = self.array_mut("final memory", final_memory, d.batch * d.head * memory)?;
            addresses.push(arguments.final_memory);
        }
        self.arguments = arguments;
        Ok(d.d_v.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16)))
    }

    /// What a replay reads and writes. Returns whether rows go in vectors.
    fn replay_arrays(
        &mut self,
        d: &Dims,
        steps: &Range<usize>,
        trace: &'a Trace,
        heads: Option<&'a CudaView<i32>>,
        dense: &'a mut [Option<CudaViewMut<f32>>; 4],
    ) -> Result<bool, CudaError> {
        let memory = d.d_k * d.d_v;
        let checkpoints = &trace.checkpoints;
        let rows = trace.rows.clone().unwrap_or(0..d.step);
        let chunks = plan::chunks(steps, checkpoints.every);
        if chunks.start < checkpoints.first || chunks.end > checkpoints.first + checkpoints.count {
            return Err(CudaError::Shape(format!("a replay of steps {steps:?} needs checkpoints {chunks:?}")));
        }
        if rows.start > chunks.start * checkpoints.every || rows.end < steps.end {
            return Err(CudaError::Shape(format!("a replay of steps {steps:?} from pseudo-values of steps {rows:?}")));
        }
        if trace.pseudo_values.len() < self.arguments.edits.iter().take_while(|edit| edit.direction.data != 0).count() {
            return Err(CudaError::Shape("a replay needs the pseudo-values of every edit".to_owned()));
        }
        let n_heads = heads.map_or(d.head, CudaView::len);
        let mut arguments = self.arguments;
        (arguments.out_first, arguments.out_steps) = (rows.start as i32, rows.len() as i32);
        let mut addresses = Vec::new();
        for (array, address) in trace.pseudo_values.iter().zip(&mut arguments.pseudo_values) {
            *address = self.array("pseudo-values", array, d.batch * rows.len() * d.head * d.d_v)?;
            addresses.push(*address);
        }
        let given = self.array("checkpoints", &checkpoints.memories, d.batch * checkpoints.count * d.head * memory)?;
        // The kernel counts chunks from the first it replays.
        arguments.checkpoints = given + 4 * ((chunks.start - checkpoints.first) * d.head * memory) as u64;
        arguments.checkpoint_every = checkpoints.every as i32;
        (arguments.checkpoint_first, arguments.n_checkpoints) = (chunks.start as i32, checkpoints.count as i32);
        if let Some(heads) = heads {
            let (address, guard) = heads.device_ptr(self.stream);
            self.guards.push(guard);
            arguments.dense_head = address;
        }
        arguments.dense_heads = n_heads as i32;
        (arguments.dense_first, arguments.dense_steps) = (steps.start as i32, steps.len() as i32);
        for (dense, address) in dense.iter_mut().zip(&mut arguments.dense) {
            if let Some(dense) = dense {
                *address = self.array_mut("memories", dense, d.batch * steps.len() * n_heads * memory)?;
                addresses.push(*address);
            }
        }
        self.arguments = arguments;
        Ok(d.d_v.is_multiple_of(4) && addresses.iter().all(|address| address.is_multiple_of(16)))
    }
}

fn check(name: &str, found: usize, needed: usize) -> Result<(), CudaError> {
    if found < needed {
        return Err(CudaError::Shape(format!("{name}: {needed} numbers are needed, the array has {found}")));
    }
    Ok(())
}
