//! Every memory of a run, recorded on the card: made step by step, or replayed while its trace is being made.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaStream, DriverError, result, sys};

use super::bound::Bound;
use super::buffers::{CardRecurrence, Targets};
use super::chunks::Scratch;
use super::driver_error;
use super::engine::{Engine, forward_kernel, replay_kernel};
use super::error::CudaError;
use super::plan::{ForwardPlan, Stores};

/// Steps between checkpoints where the caller keeps none.
const EVERY: usize = 64;
/// Steps of the trace after which the next part of it is replayed, at least.
const PART: usize = 512;

/// How every memory is recorded. Bits do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Step by step where enough heads run at once to keep the card writing, else side by side.
    #[default]
    Best,
    /// By the kernel that makes them, as it goes.
    StepByStep,
    /// The trace on half of the card, and beside it the replay of what it has finished: for few heads and long sequences, where
    /// a step's latency leaves the card idle.
    SideBySide,
}

/// A second stream, and a number that kernels of the first count their progress in. Streams can wait for a number only where
/// `cuMemAlloc` put it, not where a pool did.
#[derive(Debug)]
pub(super) struct Beside {
    stream: Arc<CudaStream>,
    /// Its address. Whoever holds it has asked for nothing else since it was last set to 0.
    progress: Mutex<u64>,
}

impl Beside {
    pub fn new(context: &Arc<CudaContext>) -> Result<Self, DriverError> {
        let stream = context.new_stream()?;
        context.bind_to_thread()?;
        // SAFETY: it is set before it is read, and freed once, by `drop`.
        let progress = unsafe { result::malloc_sync(size_of::<u32>()) }?;
        Ok(Self { stream, progress: Mutex::new(progress) })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let progress = *self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.stream.context().bind_to_thread().is_ok() {
            // SAFETY: nobody has it any more; freeing waits for what still runs.
            let _ = unsafe { result::free_sync(progress) };
        }
    }
}

impl Engine {
    /// As [`Engine::forward`], by a route: for targets with dense memories.
    ///
    /// Side by side, pseudo-values and checkpoints that the targets do not keep take room of their own for the time of the call
    /// (a twentieth of one phase's memories, at 128 by 128 channels). Runs that do not begin at a checkpoint go step by step.
    pub fn record_on_card(
        &self,
        recurrence: &CardRecurrence,
        steps: Range<usize>,
        targets: &mut Targets,
        route: Route,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        let every = targets.checkpoints.as_ref().map_or(EVERY, |checkpoints| checkpoints.every);
        let has_dense = targets.dense.iter().any(Option::is_some);
        let can = has_dense && steps.start.is_multiple_of(every) && d.batch * d.head > 0 && !steps.is_empty();
        // Measured: with half a card of heads, either is as fast.
        let few = d.batch * d.head * 20 < self.limits().n_multiprocessors * 9 && steps.len() >= 2 * PART;
        match route {
            Route::SideBySide if can => self.record_side_by_side(recurrence, steps, targets, every),
            Route::Best if can && few => self.record_side_by_side(recurrence, steps, targets, every),
            _ => self.forward(recurrence, steps, targets),
        }
    }

    fn record_side_by_side(
        &self,
        recurrence: &CardRecurrence,
        steps: Range<usize>,
        targets: &mut Targets,
        every: usize,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        let stream = self.stream();
        let fail = driver_error(stream.context(), "recording side by side");
        let mut bound = Bound::new(stream);
        let shape = bound.recurrence(recurrence, &steps)?;
        let aligned = bound.forward_targets(&d, &steps, targets)?;
        let mut arguments = bound.arguments;
        // What the replay needs and the caller does not keep.
        let rows = d.batch * arguments.out_steps as usize * d.head * d.d_v;
        let wants_values = arguments.pseudo_values[0] == 0;
        let mut values = Scratch::<f32>::new(self, if wants_values { shape.n * rows } else { 0 })?;
        if wants_values {
            for (j, address) in arguments.pseudo_values.iter_mut().take(shape.n).enumerate() {
                *address = values.address() + 4 * (j * rows) as u64;
            }
        }
        let chunks = steps.start / every..steps.end.div_ceil(every);
        let memory = d.head * d.d_k * d.d_v;
        let wants_checkpoints = arguments.checkpoints == 0;
        let mut checkpoints = Scratch::<f32>::new(self, if wants_checkpoints { d.batch * chunks.len() * memory } else { 0 })?;
        if wants_checkpoints {
            arguments.checkpoints = checkpoints.address();
            arguments.checkpoint_every = every as i32;
            (arguments.checkpoint_first, arguments.n_checkpoints) = (chunks.start as i32, chunks.len() as i32);
        }

        // Half of the card makes the trace: the fewest columns to a thread, and so the shortest steps, that leave the other half.
        let half = self.limits().n_multiprocessors / 2;
        let plan = |columns| ForwardPlan::new(&d, shape.form, self.limits(), Some(columns), Stores::Nothing);
        let mut trace_plan = plan(self.columns().unwrap_or(1))?;
        for columns in [2, 4, 8] {
            if self.columns().is_none() && trace_plan.blocks > half {
                trace_plan = plan(columns)?;
            }
        }
        let part = PART.next_multiple_of(every).next_multiple_of(trace_plan.steps);
        let beside = self.beside()?;
        let progress = beside.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = &beside.stream;
        // SAFETY: the number stands there, and whoever counted in it before is done by then on this stream.
        unsafe { result::memset_d8_async(*progress, 0, size_of::<u32>(), stream.cu_stream()) }.map_err(&fail)?;
        let mut trace = arguments;
        trace.dense = [0; 4];
        (trace.progress, trace.progress_every) = (*progress, part as i32);
        let forward = forward_kernel(&shape, &trace_plan, &trace, aligned);
        let ready = stream.record_event(None).map_err(&fail)?;
        beside.wait(&ready).map_err(&fail)?;
        self.launch(&forward, &trace, trace_plan.blocks, (trace_plan.consumers + trace_plan.producers) * 32)?;
        let traced = stream.record_event(None).map_err(&fail)?;
        let n_warps = trace_plan.blocks * trace_plan.consumers;

        for (index, start) in steps.clone().step_by(part).enumerate() {
            let end = (start + part).min(steps.end);
            // SAFETY: the number outlives the engine's streams.
            let waits = unsafe { sys::cuStreamWaitValue32_v2(beside.cu_stream(), *progress, ((index + 1) * n_warps) as u32, 0) };
            if waits.result().is_err() {
                // A driver without such waits: the replay then follows the whole trace.
                beside.wait(&traced).map_err(&fail)?;
            }
            let mut replay = arguments;
            (replay.first_step, replay.n_steps) = (start as i32, (end - start) as i32);
            let first_chunk = start / every;
            replay.checkpoints += 4 * ((first_chunk - arguments.checkpoint_first as usize) * memory) as u64;
            replay.checkpoint_first = first_chunk as i32;
            let (kernel, plan) = replay_kernel(&shape, &d, &mut replay, self.limits(), aligned);
            self.launch_on(beside, &kernel, &replay, plan.blocks, (plan.consumers + 1) * 32)?;
        }
        let done = beside.record_event(None).map_err(&fail)?;
        stream.wait(&done).map_err(&fail)
    }
}
