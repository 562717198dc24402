//! How many bytes a run needs on a card, known before anything is allocated.

use super::super::{Dims, RecordOptions, Recurrence};
use super::bytes;
use super::error::CudaError;
use super::plan::{CardLimits, Form, SweepPlan, padded};
use super::upload::Element;

/// What a run is to leave on the card, beside output and last memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What a recording keeps.
    Recording(RecordOptions),
    /// The tape, and all gradients from it: checkpoints every so many steps.
    Gradient {
        /// Steps between two checkpoints.
        every: usize,
    },
}

/// Where a run's inputs are before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// They have to be copied to the card.
    OnHost,
    /// They stand on the card, and are not counted.
    OnCard,
}

/// Bytes a run of these sizes needs: inputs, what it keeps, and workspace.
pub fn room(dims: &Dims, form: Form, element: Element, keep: &Keep, from: Inputs) -> u64 {
    let d = dims;
    let (key, value) = ((d.batch * d.step * d.head * d.d_k) as u64, (d.batch * d.step * d.head * d.d_v) as u64);
    let memory = (d.batch * d.head * d.d_k * d.d_v) as u64;
    // Query, retention, a direction and a value per edit, and the reads that are rows of their own.
    let n_keys = (2 + form.n_edits + form.n_elsewhere) as u64;
    let inputs = match from {
        Inputs::OnHost => (n_keys * key + form.n_edits as u64 * value) * element.n_bytes() + 4 * memory,
        Inputs::OnCard => 0,
    };
    let outputs = 4 * (value + memory);
    let kept = match keep {
        Keep::Recording(options) => {
            let n_checkpoints = options.checkpoint_every.map_or(0, |every| d.step.div_ceil(every.max(1))) as u64;
            let pseudo_values = if options.pseudo_values { form.n_edits as u64 * value } else { 0 };
            4 * (pseudo_values + memory * (n_checkpoints + (options.dense.len() * d.step) as u64))
        }
        Keep::Gradient { every } => {
            let tape = form.n_edits as u64 * value + memory * d.step.div_ceil(*every) as u64;
            let gradients = n_keys * key + (form.n_edits as u64 + 1) * value + 3 * memory;
            // The kernels' plan, on a card as large as any: the workspace hardly depends on it.
            let limits = CardLimits { n_multiprocessors: 132, shared_bytes: 232_448 };
            let scratch = SweepPlan::new(d, form, limits, None).map_or(0, |plan| {
                let blocks = d.batch * d.head * plan.column_blocks;
                let steps = ((1 << 28) / (plan.step_numbers(d, form) * every).max(1)).max(1) * every;
                blocks * every.div_ceil(plan.steps) * plan.tile + plan.step_numbers(d, form) * steps.min(d.step)
            });
            4 * (tape + gradients + scratch as u64)
        }
    };
    inputs + outputs + kept
}

/// The form of a recurrence's steps.
pub(super) fn form_of(recurrence: &Recurrence<f32>) -> Form {
    use super::super::Read;
    Form {
        n_edits: recurrence.edits.len(),
        n_elsewhere: recurrence.edits.iter().filter(|edit| matches!(edit.read, Read::Other(_) | Read::BeforeDecay(_))).count(),
        n_values: recurrence.edits.iter().filter(|edit| edit.value.is_some()).count(),
        padded: padded(recurrence.dims.d_k),
    }
}

/// Refuses a run that does not fit into `free` bytes of a card, and says what would.
pub fn check_room(dims: &Dims, form: Form, keep: &Keep, from: Inputs, card: usize, free: u64) -> Result<(), CudaError> {
    let needed = room(dims, form, Element::F32, keep, from);
    // The driver and fragments take a little of what is called free.
    if needed <= free / 100 * 98 {
        return Ok(());
    }
    let mut advice = Vec::new();
    if let Keep::Recording(options) = keep
        && !options.dense.is_empty()
    {
        let traced = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: vec![] };
        let instead = room(dims, form, Element::F32, &Keep::Recording(traced), from);
        advice.push(format!(
            "keep checkpoints and pseudo-values instead of dense memories ({}; any memory is replayed from them bit for bit)",
            bytes(instead)
        ));
    }
    let fits = (1..dims.batch).rev().find(|&batch| room(&Dims { batch, ..*dims }, form, Element::F32, keep, from) <= free / 100 * 98);
    advice.push(match fits {
        Some(batch) => format!("run at most {batch} of the {} sequences at once", dims.batch),
        None if dims.batch > 1 => "run shorter blocks of steps, since one sequence alone does not fit either".to_owned(),
        None => "run shorter blocks of steps".to_owned(),
    });
    let what = match keep {
        Keep::Recording(options) if !options.dense.is_empty() => "recording dense memories",
        Keep::Recording(_) => "this run",
        Keep::Gradient { .. } => "the gradient of this run",
    };
    Err(CudaError::OutOfMemory { what: what.to_owned(), card, needed, free, advice: advice.join(", or ") })
}
