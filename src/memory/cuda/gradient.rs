//! The backward pass over buffers on a card: gradients of all inputs from the tape of a run.

use cudarc::driver::{CudaSlice, CudaView, CudaViewMut, DevicePtrMut};

use super::bound::{Bound, Shape};
use super::buffers::{CardGradient, CardRead, CardRecurrence, CardTape, Rows};
use super::compile::Kernel;
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;
use super::layout::GradientArguments;
use super::plan::SweepPlan;

/// Bytes of workspace a backward pass takes at most, if one chunk needs no more.
const WORKSPACE: usize = 1 << 30;

impl Engine {
    /// Gradients of all inputs, from the gradient of every output (f32 or bf16, width d_v) and of the memory after the last step.
    ///
    /// The tape is that of [`Engine::forward`] over all steps: residuals of every edit, checkpoints every 64 steps or so.
    pub fn backward(
        &self,
        recurrence: &CardRecurrence,
        tape: &CardTape,
        grad_output: &Rows,
        grad_final_memory: Option<&CudaView<f32>>,
        gradient: &mut CardGradient,
    ) -> Result<(), CudaError> {
        let d = recurrence.dims;
        if d.batch * d.head * d.step == 0 {
            return Ok(());
        }
        let every = tape.checkpoints.every;
        let n_chunks = d.step.div_ceil(every.max(1));
        if every == 0 || tape.checkpoints.first != 0 || tape.checkpoints.count < n_chunks || tape.residuals.len() != recurrence.edits.len()
        {
            return Err(CudaError::Shape("the tape is of another recurrence".to_owned()));
        }
        let stream = self.stream();
        let fail = driver_error(stream.context(), "allocating room for the backward pass");
        let mut bound = Bound::new(stream);
        let shape = bound.recurrence(recurrence, &(0..d.step))?;
        let plan = SweepPlan::new(&d, shape.form, self.limits(), self.columns())?;
        let n_blocks = d.batch * d.head * plan.column_blocks;
        let memory = d.d_k * d.d_v;

        let step_numbers = plan.step_numbers(&d, shape.form);
        let chunks_at_once = (WORKSPACE / (4 * step_numbers * every)).clamp(1, n_chunks);
        let most_steps = (chunks_at_once * every).min(d.step);
        // SAFETY: each kernel writes what the next reads.
        let (mut workspace, mut scratch, mut carried) = unsafe {
            (
                stream.alloc::<f32>(step_numbers * most_steps).map_err(&fail)?,
                stream.alloc::<f32>(n_blocks * every.div_ceil(plan.steps) * plan.tile).map_err(&fail)?,
                stream.alloc::<f32>(d.batch * d.head * memory).map_err(&fail)?,
            )
        };
        let mut arguments = GradientArguments::default();
        let aligned = bound.tape(recurrence, tape, grad_output, &mut arguments)?;
        let after = bound.optional("gradient of the final memory", grad_final_memory, d.batch * d.head * memory)?;
        let given = bound.gradients(recurrence, gradient, &mut arguments)?;
        let addresses = [&mut workspace, &mut scratch, &mut carried].map(|array: &mut CudaSlice<f32>| array.device_ptr_mut(stream).0);
        let carried = if given == 0 { addresses[2] } else { given };
        arguments.scratch = addresses[1];
        arguments.column_blocks = plan.column_blocks as i32;
        arguments.key_head = shared_heads(recurrence) as i32;

        let sweep = sweep_kernel(&shape, &plan, aligned && carried.is_multiple_of(16), arguments.grad_output.flags as usize);
        let finish = finish_kernel(&shape);
        let mut last = n_chunks;
        while last > 0 {
            let first = last.saturating_sub(chunks_at_once);
            let steps = first * every..(last * every).min(d.step);
            arguments.gradient_after = if last == n_chunks { after } else { carried };
            arguments.gradient_before = carried;
            arguments.base.first_step = steps.start as i32;
            arguments.base.n_steps = steps.len() as i32;
            let n_stream = d.batch * steps.len() * d.head * d.d_v;
            for (index, address) in arguments.grad_values.iter_mut().take(shape.n).enumerate() {
                *address = addresses[0] + 4 * (index * n_stream) as u64;
            }
            arguments.sums = addresses[0] + 4 * (shape.n * n_stream) as u64;
            self.launch(&sweep, &arguments, n_blocks, (plan.consumers + plan.producers) * 32)?;
            let n_warps = d.batch * steps.len() * arguments.key_head as usize;
            self.launch(&finish, &arguments, n_warps.div_ceil(4), 128)?;
            last = first;
        }
        Ok(())
    }
}

pub(super) fn finish_kernel(shape: &Shape) -> Kernel {
    let source = concat!(include_str!("gradient.cu"), include_str!("finish.cu"));
    Kernel { name: "finish", source, defines: shape.defines(&[]), shared_bytes: 0 }
}

pub(super) fn sweep_kernel(shape: &Shape, plan: &SweepPlan, aligned: bool, grad_output: usize) -> Kernel {
    Kernel {
        name: "sweep",
        source: concat!(
            include_str!("lanes.cu"),
            include_str!("slots.cu"),
            include_str!("stages.cu"),
            include_str!("gradient.cu"),
            include_str!("sweep.cu")
        ),
        defines: shape.defines(&[
            ("C", plan.columns),
            ("CONSUMERS", plan.consumers),
            ("PRODUCERS", plan.producers),
            ("STEPS", plan.steps),
            ("STAGES", plan.stages),
            ("ALIGNED", usize::from(aligned)),
            ("F_GRAD", grad_output),
            ("THREADS", (plan.consumers + plan.producers) * 32),
            ("WINDOW", 0),
            ("OPEN", 0),
        ]),
        shared_bytes: plan.shared_bytes,
    }
}

/// The fewest heads any input has: a warp of the last kernel serves one of these.
fn shared_heads(recurrence: &CardRecurrence) -> usize {
    let edits = recurrence.edits.iter().flat_map(|edit| {
        let read = match &edit.read {
            CardRead::Other(read) | CardRead::BeforeDecay(read) => Some(read.heads),
            CardRead::Nothing | CardRead::Direction => None,
        };
        [Some(edit.direction.heads), edit.value.as_ref().map(|value| value.heads), read].into_iter().flatten()
    });
    edits.chain([recurrence.query.heads, recurrence.retention.heads]).min().unwrap_or(recurrence.dims.head)
}

impl<'a> Bound<'a> {
    /// The tape and the gradient of the output. Returns whether columns go in vectors.
    fn tape(
        &mut self,
        recurrence: &CardRecurrence,
        tape: &'a CardTape,
        grad_output: &'a Rows,
        arguments: &mut GradientArguments,
    ) -> Result<bool, CudaError> {
        let d = recurrence.dims;
        arguments.grad_output = self.rows("gradient of the output", grad_output, &d, d.d_v)?;
        let mut base = self.arguments;
        (base.out_first, base.out_steps) = (0, d.step as i32);
        let mut aligned = d.d_v.is_multiple_of(4);
        for (array, address) in tape.residuals.iter().zip(&mut base.residuals) {
            *address = self.array("residuals", array, d.batch * d.step * d.head * d.d_v)?;
            aligned &= address.is_multiple_of(16);
        }
        let checkpoints = &tape.checkpoints;
        base.checkpoints = self.array("checkpoints", &checkpoints.memories, d.batch * checkpoints.count * d.head * d.d_k * d.d_v)?;
        base.checkpoint_every = checkpoints.every as i32;
        (base.checkpoint_first, base.n_checkpoints) = (0, checkpoints.count as i32);
        arguments.base = base;
        Ok(aligned)
    }

    /// Where the gradients go. Returns where that of the initial memory goes.
    fn gradients(
        &mut self,
        recurrence: &CardRecurrence,
        gradient: &'a mut CardGradient,
        arguments: &mut GradientArguments,
    ) -> Result<u64, CudaError> {
        let d = recurrence.dims;
        if !gradient.edits.is_empty() && gradient.edits.len() != recurrence.edits.len() {
            return Err(CudaError::Shape("gradients of another number of edits".to_owned()));
        }
        let n_steps = d.batch * d.step;
        let mut place =
            |name: &str, array: Option<&'a mut CudaViewMut<f32>>, len: usize| array.map_or(Ok(0), |array| self.array_mut(name, array, len));
        arguments.query_heads = recurrence.query.heads as i32;
        arguments.query = place("gradient of the query", gradient.query.as_mut(), n_steps * recurrence.query.heads * d.d_k)?;
        arguments.retention_heads = recurrence.retention.heads as i32;
        arguments.retention =
            place("gradient of the retention", gradient.retention.as_mut(), n_steps * recurrence.retention.heads * d.d_k)?;
        for (j, (edit, gradient)) in recurrence.edits.iter().zip(&mut gradient.edits).enumerate() {
            arguments.strength[j] = place("gradient of a strength", gradient.strength.as_mut(), n_steps * d.head)?;
            arguments.direction_heads[j] = edit.direction.heads as i32;
            arguments.direction[j] = place("gradient of a direction", gradient.direction.as_mut(), n_steps * edit.direction.heads * d.d_k)?;
            if let CardRead::Other(read) | CardRead::BeforeDecay(read) = &edit.read {
                arguments.read_heads[j] = read.heads as i32;
                arguments.read[j] = place("gradient of a read", gradient.read.as_mut(), n_steps * read.heads * d.d_k)?;
            }
            if let Some(value) = &edit.value {
                arguments.value_heads[j] = value.heads as i32;
                arguments.value[j] = place("gradient of a value", gradient.value.as_mut(), n_steps * value.heads * d.d_v)?;
            }
        }
        place("gradient of the initial memory", gradient.initial_memory.as_mut(), d.batch * d.head * d.d_k * d.d_v)
    }
}
