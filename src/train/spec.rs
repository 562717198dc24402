//! What to train, as typed.

use super::{AdamWSpec, Schedule, Stop, TrainError};
use crate::model::{Config, MixerKind};
use crate::task::TaskSpec;
use serde::{Deserialize, Serialize};

/// A training.
///
/// ```toml
/// seed = 1
/// batch = 32
/// [schedule]
/// learning_rate = 3e-3
/// [model]                    # `vocabulary` left out: that of the tasks
/// d_model = 64
/// n_layers = 2
/// pattern = ["eda"]
/// [model.delta]
/// key_heads = 2
/// heads = 2
/// d_k = 32
/// d_v = 32
/// [model.feed_forward]
/// kind = "swiglu"
/// width = 128
/// [[stages]]
/// steps = 500
/// [[stages.tasks]]
/// name = "mqar"
/// [[stages]]
/// steps = 2000
/// [[stages.tasks]]
/// name = "stale_facts"
/// weight = 3
/// [[stages.tasks]]
/// name = "many_updates"
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Seed of the starting weights, the data and the draw of tasks (default 0).
    #[serde(default)]
    pub seed: u64,
    /// Sequences of a step (default 32).
    #[serde(default = "batch")]
    pub batch: usize,
    /// Gradients are scaled down to this norm when theirs is greater (default 1).
    #[serde(default = "clip_norm")]
    pub clip_norm: f64,
    /// Steps between lines of the log (default 10).
    #[serde(default = "log_every")]
    pub log_every: u64,
    /// Steps between evaluations on held-out sequences (default 250); the last step is evaluated always.
    #[serde(default = "evaluate_every")]
    pub evaluate_every: u64,
    /// Held-out sequences of each task in an evaluation (default 256).
    #[serde(default = "held_out_sequences")]
    pub held_out_sequences: u64,
    /// Steps between checkpoints (default 250); the last step is kept always.
    #[serde(default = "checkpoint_every")]
    pub checkpoint_every: u64,
    /// How a card multiplies matrices (default `f32`).
    #[serde(default)]
    pub matrix_products: MatrixProducts,
    /// How the model's own file holds its weights (default `f32`); training goes on from f32 in any case.
    #[serde(default)]
    pub stored_weights: StoredWeights,
    /// The learning rate over the steps.
    #[serde(default)]
    pub schedule: Schedule,
    /// The optimiser.
    #[serde(default)]
    pub optimizer: AdamWSpec,
    /// The model. A `vocabulary` of 0 stands for that of the tasks.
    pub model: Config,
    /// The curriculum, in order.
    pub stages: Vec<Stage>,
}

/// A part of the curriculum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Steps of this stage.
    pub steps: u64,
    /// Sequences of a step (default: those of the training).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// What shares a task: all sequences of a step, or none (default `step`).
    #[serde(default, skip_serializing_if = "Mixing::is_by_step")]
    pub mixing: Mixing,
    /// When the stage ends before its steps are over; the schedule then goes on where the stage would have ended (default: never).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Tokens of a sequence, for all its tasks (default: each task's own length).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The tasks. Each step draws one of them, by weight, for all its sequences; or each sequence its own (`mixing`).
    pub tasks: Vec<WeightedTask>,
}

/// What shares a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixing {
    /// All sequences of a step.
    #[default]
    Step,
    /// Every sequence has its own; all tasks of the stage then have the same length.
    Sequence,
}

impl Mixing {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_by_step(&self) -> bool {
        *self == Self::Step
    }
}

/// How the model's own file holds its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredWeights {
    /// As they are.
    #[default]
    F32,
    /// Rounded to 8 significant bits: half the size.
    Bf16,
}

/// How a card multiplies matrices. The CPU always computes in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixProducts {
    /// In f32.
    #[default]
    F32,
    /// Factors rounded to 11 significant bits, sums in f32: several times as fast.
    Tf32,
}

/// A task of a mixture: `name` and parameters of the task, and `weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedTask {
    /// How often it is drawn, in any unit (default 1).
    #[serde(default = "weight")]
    pub weight: f64,
    /// The task.
    #[serde(flatten)]
    pub task: TaskSpec,
}

impl TrainSpec {
    /// Reads a spec; `origin` names the text in errors.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, TrainError> {
        Ok(crate::spec_text::parse(text, origin)?)
    }

    /// Steps of all stages.
    pub fn steps(&self) -> u64 {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage in which a step lies; the last one for steps beyond.
    pub fn stage_at(&self, step: u64) -> usize {
        let mut end = 0;
        let found = self.stages.iter().position(|stage| {
            end += stage.steps;
            step < end
        });
        found.unwrap_or(self.stages.len() - 1)
    }

    /// The step after the last one of a stage.
    pub fn end_of(&self, stage: usize) -> u64 {
        self.stages[..=stage].iter().map(|stage| stage.steps).sum()
    }

    /// The same training of a twin: all linear-attention layers are of another kind.
    #[must_use]
    pub fn with_mixer(mut self, mixer: MixerKind) -> Self {
        for layer in self.model.pattern.iter_mut().filter(|layer| layer.rule().is_some()) {
            *layer = mixer;
        }
        self
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let counts = [
            ("batch", self.batch as u64),
            ("log_every", self.log_every),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("steps", self.steps()),
        ];
        if let Some((setting, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(TrainError::setting(setting, 0, "at least 1"));
        }
        if self.clip_norm.is_nan() || self.clip_norm <= 0.0 {
            return Err(TrainError::setting("clip_norm", self.clip_norm, "above 0"));
        }
        for stage in &self.stages {
            if stage.batch == Some(0) {
                return Err(TrainError::setting("stages.batch", 0, "at least 1"));
            }
            let mut lengths = stage.tasks.iter().map(|task| stage.length.unwrap_or_else(|| task.task.length()));
            let first = lengths.next().unwrap_or_default();
            if let Some(other) = lengths.find(|&length| length != first && stage.mixing == Mixing::Sequence) {
                let wanted = "given where every sequence has its own task: all sequences of a step need one length";
                return Err(TrainError::setting("stages.length", format!("not set, and tasks have {first} and {other}"), wanted));
            }
            if let Some(stop) = &stage.stop {
                stop.check()?;
            }
            let weights = stage.tasks.iter().map(|task| task.weight);
            if let Some(wrong) = weights.clone().find(|weight| !(weight.is_finite() && *weight >= 0.0)) {
                return Err(TrainError::setting("weight", wrong, "a finite number, at least 0"));
            }
            if weights.sum::<f64>() <= 0.0 {
                return Err(TrainError::setting("stages.tasks", "without any weight", "at least one task with a weight above 0"));
            }
        }
        self.schedule.check()?;
        self.optimizer.check()
    }
}

const fn batch() -> usize {
    32
}

const fn clip_norm() -> f64 {
    1.0
}

const fn log_every() -> u64 {
    10
}

const fn evaluate_every() -> u64 {
    250
}

const fn held_out_sequences() -> u64 {
    256
}

const fn checkpoint_every() -> u64 {
    250
}

const fn weight() -> f64 {
    1.0
}
