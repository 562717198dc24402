//! The log of a training: one JSON object a line.

use crate::task::Metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Updates made, this one included.
    pub step: u64,
    /// Updates the training will make in all.
    pub steps: u64,
    /// The stage, from 0.
    pub stage: usize,
    /// The task of this step; `mixture` where every sequence has its own.
    pub task: String,
    /// Mean cross-entropy of the step's gold answers, in nats.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Tokens trained on a second since the line before. The only number here that depends on the machine's speed.
    pub tokens_per_second: f64,
    /// Why the stage ends with this step although it has steps left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_end: Option<super::StageEnd>,
    /// Held-out results, on steps that were evaluated: by task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_out: BTreeMap<String, HeldOut>,
}

/// How well the model answers held-out questions of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Mean cross-entropy of the gold answers, in nats.
    pub loss: f64,
    /// Share of questions answered right; none for a task without questions.
    pub accuracy: Option<f64>,
    /// The same by condition.
    pub accuracy_by_condition: BTreeMap<String, f64>,
    /// The counts behind.
    pub counts: Metrics,
}

impl HeldOut {
    pub(super) fn new(evaluation: super::Evaluation) -> Self {
        let by_condition = evaluation.metrics.by_condition.iter();
        let accuracy_by_condition =
            by_condition.filter_map(|(condition, counts)| Some((condition.to_string(), counts.accuracy()?))).collect();
        Self { loss: evaluation.loss, accuracy: evaluation.metrics.total().accuracy(), accuracy_by_condition, counts: evaluation.metrics }
    }
}
