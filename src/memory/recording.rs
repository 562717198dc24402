//! What an engine is asked to keep of a run, and what it kept.

use std::collections::BTreeMap;

use ndarray::{Array, Array4, Array5, ArrayView, Axis, RemoveAxis, concatenate};

use super::{EditKind, Phase};

/// What to keep of a run beside its output. The default keeps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordOptions {
    /// Keep the pseudo-value of every edit: with a checkpoint they replay every memory without a dot product.
    pub pseudo_values: bool,
    /// Keep the memory found before every step whose number is a multiple of this.
    pub checkpoint_every: Option<usize>,
    /// Keep the memory at these phases of every step.
    pub dense: Vec<Phase>,
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Recording {
    /// o_t, [batch, step, head, d_v].
    pub output: Array4<f32>,
    /// Per edit in the order of the update: `a_t`, [batch, step, head, d_v]. Empty unless asked for.
    pub pseudo_values: Vec<(EditKind, Array4<f32>)>,
    /// Steps (0-based) before which a checkpoint was taken. Empty unless asked for.
    pub checkpoint_steps: Vec<usize>,
    /// [batch, checkpoint, head, d_k, d_v].
    pub checkpoints: Array5<f32>,
    /// [batch, step, head, d_k, d_v] for each phase asked for.
    pub dense: BTreeMap<Phase, Array5<f32>>,
    /// The memory after the last step, [batch, head, d_k, d_v].
    pub final_memory: Array4<f32>,
}

impl Recording {
    /// Recordings of other sequences over the same steps, one after the other along `batch`; `None` without any.
    ///
    /// # Panics
    /// If they do not keep the same things of the same steps, heads and channels.
    pub fn concatenate(parts: Vec<Self>) -> Option<Self> {
        if parts.len() < 2 {
            return parts.into_iter().next();
        }
        let first = &parts[0];
        let value_of = |number: usize| joined(parts.iter().map(|part| part.pseudo_values[number].1.view()));
        Some(Self {
            output: joined(parts.iter().map(|part| part.output.view())),
            pseudo_values: first.pseudo_values.iter().enumerate().map(|(number, &(kind, _))| (kind, value_of(number))).collect(),
            checkpoint_steps: first.checkpoint_steps.clone(),
            checkpoints: joined(parts.iter().map(|part| part.checkpoints.view())),
            dense: first.dense.keys().map(|&phase| (phase, joined(parts.iter().map(|part| part.dense[&phase].view())))).collect(),
            final_memory: joined(parts.iter().map(|part| part.final_memory.view())),
        })
    }
}

/// Arrays one after the other along their first axis, `batch`.
fn joined<'a, D: RemoveAxis + 'a>(parts: impl Iterator<Item = ArrayView<'a, f32, D>>) -> Array<f32, D> {
    concatenate(Axis(0), &parts.collect::<Vec<_>>()).expect("the parts differ in batch only")
}
