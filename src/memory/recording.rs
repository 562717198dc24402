//! What an engine is asked to keep of a run, and what it kept.

use std::collections::BTreeMap;

use ndarray::{Array4, Array5};

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
