//! The engine on the CPU: f32, explicit vector instructions, all cores.
//!
//! [`forward`] runs, [`record`] runs and keeps what it is asked for (with the same bits in the output), [`replay`] gives dense
//! memories back from checkpoints and pseudo-values bit for bit, [`backward`] gives the gradient of all inputs.
//! Results depend on neither the instruction set nor the number of threads.

// The journey: `layer` (rows of the inputs), `prepare` (per step numbers shared by all columns), `kernel` (a block of columns
// through a chunk of steps), `run` (all heads, all threads).

mod adjoint;
mod backward;
mod buffer;
mod count;
mod finish;
mod instructions;
mod kernel;
mod lanes;
mod layer;
pub mod limits;
mod prepare;
mod replay;
mod run;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::collections::BTreeMap;

use ndarray::{Array4, Array5, ArrayView4, Dimension};

use super::{Phase, RecordOptions, Recording, Recurrence};
pub use backward::{EditGradient, RecurrenceGradient, Tape};
use buffer::{Shared, aligned_zeros};
pub use instructions::InstructionSet;
pub(crate) use lanes::{LANES, Lanes, Routine};
use layer::Layer;
use run::Targets;

/// What a run gives when nothing is recorded.
#[derive(Clone, Debug)]
pub struct ForwardOutput {
    /// o_t, [batch, step, head, d_v].
    pub output: Array4<f32>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: Array4<f32>,
}

/// Runs all steps of all heads.
///
/// # Panics
/// If an array has another shape than [`Recurrence`] says.
pub fn forward(recurrence: &Recurrence<f32>) -> ForwardOutput {
    InstructionSet::best().forward(recurrence)
}

/// Runs all steps of all heads and keeps what `options` asks for. Output and final memory have the bits of [`forward`].
///
/// # Panics
/// As [`forward`]; and if checkpoints are asked for every 0 steps.
pub fn record(recurrence: &Recurrence<f32>, options: &RecordOptions) -> Recording {
    InstructionSet::best().record(recurrence, options)
}

/// [`record`] into the arrays of an earlier recording where they fit, which spares the system their pages.
///
/// # Panics
/// As [`record`].
pub fn record_into(recurrence: &Recurrence<f32>, options: &RecordOptions, recording: &mut Recording) {
    InstructionSet::best().record_into(recurrence, options, recording);
}

/// The memory at each of these phases of every step, [batch, step, head, d_k, d_v], from the checkpoints and pseudo-values of a
/// recording: bit for bit what [`record`] would have kept, whatever machine recorded.
///
/// # Panics
/// If the recording lacks pseudo-values or a checkpoint before step 0, or its shapes are not the recurrence's.
pub fn replay(recurrence: &Recurrence<f32>, recording: &Recording, phases: &[Phase]) -> BTreeMap<Phase, Array5<f32>> {
    let mut memories = BTreeMap::new();
    replay_into(recurrence, recording, phases, &mut memories);
    memories
}

/// [`replay`] into the arrays of an earlier one where they fit.
///
/// # Panics
/// As [`replay`].
pub fn replay_into(recurrence: &Recurrence<f32>, recording: &Recording, phases: &[Phase], memories: &mut BTreeMap<Phase, Array5<f32>>) {
    InstructionSet::best().replay_into(recurrence, recording, phases, memories);
}

/// Gradient of a number L with respect to all inputs, from dL/do_t [batch, step, head, d_v] and dL/dS after the last step.
///
/// Runs the recurrence once more; training keeps the tape of its own run instead ([`forward_with_tape`], [`backward_from`]).
///
/// # Panics
/// As [`forward`]; and if a gradient has another shape than what it is the gradient of.
pub fn backward(
    recurrence: &Recurrence<f32>,
    grad_output: ArrayView4<f32>,
    grad_final_memory: Option<ArrayView4<f32>>,
) -> RecurrenceGradient {
    let (_, tape) = forward_with_tape(recurrence);
    backward_from(recurrence, &tape, grad_output, grad_final_memory)
}

/// [`forward`], with what its gradient needs: a memory every 64 steps and one row \[d_v\] per edit and step.
///
/// # Panics
/// As [`forward`].
pub fn forward_with_tape(recurrence: &Recurrence<f32>) -> (ForwardOutput, Tape) {
    InstructionSet::best().forward_with_tape(recurrence)
}

/// [`backward`] from the tape of the run.
///
/// # Panics
/// As [`backward`]; and if the tape is of another recurrence.
pub fn backward_from(
    recurrence: &Recurrence<f32>,
    tape: &Tape,
    grad_output: ArrayView4<f32>,
    grad_final_memory: Option<ArrayView4<f32>>,
) -> RecurrenceGradient {
    InstructionSet::best().backward_from(recurrence, tape, grad_output, grad_final_memory)
}

impl InstructionSet {
    /// [`forward`] with this instruction set.
    ///
    /// # Panics
    /// As [`forward`]; and if the machine lacks it.
    pub fn forward(self, recurrence: &Recurrence<f32>) -> ForwardOutput {
        let d = recurrence.dims;
        let mut output = Array4::zeros((d.batch, d.step, d.head, d.d_v));
        let mut final_memory = Array4::zeros((d.batch, d.head, d.d_k, d.d_v));
        let targets =
            Targets { output: Some(Shared::of(&mut output)), final_memory: Some(Shared::of(&mut final_memory)), ..Targets::default() };
        run::run(self, &Layer::new(recurrence), recurrence.n_edits_at(Phase::Erase), &targets);
        ForwardOutput { output, final_memory }
    }

    /// [`record`] with this instruction set.
    ///
    /// # Panics
    /// As [`record`]; and if the machine lacks it.
    pub fn record(self, recurrence: &Recurrence<f32>, options: &RecordOptions) -> Recording {
        let mut recording = Recording {
            output: Array4::zeros((0, 0, 0, 0)),
            pseudo_values: vec![],
            checkpoint_steps: vec![],
            checkpoints: Array5::zeros((0, 0, 0, 0, 0)),
            dense: BTreeMap::new(),
            final_memory: Array4::zeros((0, 0, 0, 0)),
        };
        self.record_into(recurrence, options, &mut recording);
        recording
    }

    /// [`record_into`] with this instruction set.
    ///
    /// # Panics
    /// As [`record`]; and if the machine lacks it.
    pub fn record_into(self, recurrence: &Recurrence<f32>, options: &RecordOptions, recording: &mut Recording) {
        let d = recurrence.dims;
        let stream = (d.batch, d.step, d.head, d.d_v);
        fit(&mut recording.output, stream);
        fit(&mut recording.final_memory, (d.batch, d.head, d.d_k, d.d_v));

        let n_kept = if options.pseudo_values { recurrence.edits.len() } else { 0 };
        recording.pseudo_values.truncate(n_kept);
        for (index, edit) in recurrence.edits.iter().enumerate().take(n_kept) {
            match recording.pseudo_values.get_mut(index) {
                Some((kind, array)) => {
                    *kind = edit.kind;
                    fit(array, stream);
                }
                None => recording.pseudo_values.push((edit.kind, aligned_zeros(stream))),
            }
        }

        let every = options.checkpoint_every;
        assert_ne!(every, Some(0), "checkpoints every 0 steps: ask for every 1 or more");
        recording.checkpoint_steps = every.map_or(vec![], |every| (0..d.step).step_by(every).collect());
        fit(&mut recording.checkpoints, (d.batch, recording.checkpoint_steps.len(), d.head, d.d_k, d.d_v));

        recording.dense.retain(|phase, _| options.dense.contains(phase));
        for &phase in &options.dense {
            let dense = recording.dense.entry(phase).or_insert_with(|| Array5::zeros((0, 0, 0, 0, 0)));
            fit(dense, (d.batch, d.step, d.head, d.d_k, d.d_v));
        }

        let mut dense = [None; 4];
        for (&phase, array) in &mut recording.dense {
            dense[phase as usize] = Some(Shared::of(array));
        }
        let targets = Targets {
            output: Some(Shared::of(&mut recording.output)),
            pseudo_values: recording.pseudo_values.iter_mut().map(|(_, array)| Shared::of(array)).collect(),
            residuals: vec![],
            checkpoints: every.map(|every| (every, Shared::of(&mut recording.checkpoints))),
            dense,
            final_memory: Some(Shared::of(&mut recording.final_memory)),
        };
        run::run(self, &Layer::new(recurrence), recurrence.n_edits_at(Phase::Erase), &targets);
    }
}

/// Keeps the array if it can take the shape as it stands; its numbers will all be written.
fn fit<D: Dimension>(array: &mut ndarray::Array<f32, D>, shape: impl ndarray::IntoDimension<Dim = D>) {
    let shape = shape.into_dimension();
    if array.raw_dim() != shape || !array.is_standard_layout() {
        *array = aligned_zeros(shape);
    }
}
