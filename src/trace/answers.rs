//! What the model said to the questions of the truth table.

use serde::{Deserialize, Serialize};

use super::{Trace, TraceError};
use crate::task::Example;

/// What a model said to one question.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The most probable token.
    pub predicted: u32,
    /// Natural logarithm of the probability of the gold answer.
    pub gold_log_probability: f64,
    /// Of all stale values together; `None` when nothing is stale.
    pub stale_log_probability: Option<f64>,
    /// Of as many never-written values together as there are stale ones (one, when nothing is stale); `None` without foils.
    pub foil_log_probability: Option<f64>,
}

impl Answer {
    /// Array of predicted tokens in a trace, [batch, question].
    pub const PREDICTED: &str = "logits/predicted";
    /// Array of log-probabilities of the gold answer, [batch, question].
    pub const GOLD: &str = "logits/gold_log_probability";
    /// Array of log-probabilities of all stale values together, [batch, question].
    pub const STALE: &str = "logits/stale_log_probability";
    /// Array of log-probabilities of as many never-written values, [batch, question].
    pub const FOIL: &str = "logits/foil_log_probability";

    /// The answers a trace holds, by sequence and question; `None` if it was recorded without questions.
    pub fn of_trace(trace: &Trace, examples: &[Example]) -> Result<Option<Vec<Vec<Self>>>, TraceError> {
        if !trace.array_names().any(|name| name == Self::PREDICTED) {
            return Ok(None);
        }
        let predicted = trace.read_all_i32(Self::PREDICTED)?;
        let [gold, stale, foil] = [trace.read_all_f32(Self::GOLD)?, trace.read_all_f32(Self::STALE)?, trace.read_all_f32(Self::FOIL)?];
        let present = |value: f32| (!value.is_nan()).then_some(f64::from(value));
        let answer = |row: usize, question: usize| Self {
            predicted: predicted[[row, question]].max(0) as u32,
            gold_log_probability: f64::from(gold[[row, question]]),
            stale_log_probability: present(stale[[row, question]]),
            foil_log_probability: present(foil[[row, question]]),
        };
        let of_example = |(row, example): (usize, &Example)| (0..example.questions.len()).map(|question| answer(row, question)).collect();
        Ok(Some(examples.iter().enumerate().map(of_example).collect()))
    }
}
