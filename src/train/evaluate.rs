//! How well a model answers held-out questions.

use super::TrainError;
use super::batch::{Targets, loss};
use crate::model::LanguageModel;
use crate::task::{Example, Metrics, Split, Task};
use candle_core::D;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How well a model answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean cross-entropy of the gold answers, in nats.
    pub loss: f64,
    /// Counts by condition.
    pub metrics: Metrics,
}

/// Lets a model answer the questions of sequences `indices`, `batch` sequences at a time; `each` takes every sequence with the
/// tokens answered (empty for a sequence without questions). The task must speak the model's vocabulary (see
/// [`Task::in_vocabulary`]).
pub fn evaluate(
    model: &LanguageModel,
    task: &Task,
    seed: u64,
    split: Split,
    indices: Range<u64>,
    batch: usize,
    mut each: impl FnMut(&Example, &[u32]),
) -> Result<Evaluation, TrainError> {
    let mut metrics = Metrics::default();
    let (mut total, mut count) = (0.0, 0.0);
    let mut next = indices.start;
    while next < indices.end {
        let end = indices.end.min(next + batch.max(1) as u64);
        let examples: Vec<Example> = (next..end).into_par_iter().map(|index| task.generate(seed, split, index)).collect();
        next = end;
        let targets = Targets::of(&examples);
        let tokens: Vec<Vec<u32>> = examples.iter().map(|example| example.tokens.clone()).collect();
        let (logits, mean) = loss(model, &tokens, &targets)?;
        let answers = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
        total += f64::from(mean.to_scalar::<f32>()?) * answers.len() as f64;
        count += answers.len() as f64;
        let mut answers = answers.as_slice();
        for example in &examples {
            let questions = example.questions.len();
            let (own, rest) = answers.split_at(if questions == 0 { example.len() - 1 } else { questions });
            answers = rest;
            let own = if questions == 0 { &[] } else { own };
            metrics.add(example, own);
            each(example, own);
        }
    }
    Ok(Evaluation { loss: if count > 0.0 { total / count } else { 0.0 }, metrics })
}
