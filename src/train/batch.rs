//! From tasks to batches, and from a batch to its loss.

use super::{Mixing, Stage, TrainError, TrainSpec};
use crate::model::{LanguageModel, ModelError, NoObserver, number_of, rows_of, token_tensor};
use crate::task::{Draw, Example, Split, Task, Vocabulary};
use candle_core::Tensor;
use rayon::prelude::*;

/// The tasks of one stage, all in the tokens of one vocabulary.
pub(super) struct Mixture {
    pub tasks: Vec<Task>,
    weights: Vec<f64>,
    mixing: Mixing,
    batch: usize,
    /// First step of the stage, and the number of its first sequence.
    start: (u64, u64),
}

/// All stages' tasks, and the vocabulary that holds their words.
pub(super) fn mixtures(spec: &TrainSpec) -> Result<(Vec<Mixture>, Vocabulary), TrainError> {
    let build = |(number, stage): (usize, &Stage)| {
        let task = |task: &super::WeightedTask| {
            let spec = stage.length.map_or_else(|| task.task.clone(), |length| task.task.clone().with_length(length));
            spec.build().map_err(|source| TrainError::Task { stage: number, source })
        };
        stage.tasks.iter().map(task).collect::<Result<Vec<_>, _>>()
    };
    let stages = spec.stages.iter().enumerate().map(build).collect::<Result<Vec<_>, _>>()?;
    let mut vocabulary = Vocabulary::new();
    for task in stages.iter().flatten() {
        vocabulary.merge(task.vocabulary());
    }
    let mut mixtures = Vec::new();
    let mut start = (0, 0);
    for (number, (tasks, stage)) in stages.into_iter().zip(&spec.stages).enumerate() {
        let translate = |task: Task| task.in_vocabulary(&vocabulary).map_err(|source| TrainError::Task { stage: number, source });
        let tasks = tasks.into_iter().map(translate).collect::<Result<Vec<_>, _>>()?;
        let (weights, batch) = (stage.tasks.iter().map(|task| task.weight).collect(), stage.batch.unwrap_or(spec.batch));
        mixtures.push(Mixture { tasks, weights, mixing: stage.mixing, batch, start });
        start = (start.0 + stage.steps, start.1 + stage.steps * batch as u64);
    }
    Ok((mixtures, vocabulary))
}

/// What one step trains on.
pub(super) struct Batch {
    /// The task of all sequences, if it is one.
    pub task: Option<usize>,
    pub tokens: Vec<Vec<u32>>,
    pub targets: Targets,
}

impl Mixture {
    /// The sequences of a step: a function of seed and step, not of what was drawn before.
    pub fn batch(&self, seed: u64, step: u64) -> Batch {
        let draw = |number: u64| Draw::new(seed, "train/task", number).weighted(&self.weights);
        let common = (self.mixing == Mixing::Step).then(|| draw(step));
        let first = self.start.1 + (step - self.start.0) * self.batch as u64;
        let example = |index: u64| self.tasks[common.unwrap_or_else(|| draw(index))].generate(seed, Split::Train, index);
        let examples: Vec<Example> = (first..first + self.batch as u64).into_par_iter().map(example).collect();
        let targets = Targets::of(&examples);
        Batch { task: common, tokens: examples.into_iter().map(|example| example.tokens).collect(), targets }
    }
}

impl Batch {
    /// Tokens of all sequences.
    pub fn n_tokens(&self) -> usize {
        self.tokens.iter().map(Vec::len).sum()
    }
}

/// Where answers are due in a batch, and what they are.
pub(super) struct Targets {
    /// Rows of the residual stream: sequence * steps + step.
    rows: Vec<u32>,
    gold: Vec<u32>,
}

impl Targets {
    /// The questions of all sequences; of a sequence without questions, every next token.
    pub fn of(examples: &[Example]) -> Self {
        let (mut rows, mut gold) = (vec![], vec![]);
        for (sequence, example) in examples.iter().enumerate() {
            let row = |step: usize| (sequence * example.len() + step) as u32;
            if example.questions.is_empty() {
                rows.extend((1..example.len()).map(|step| row(step - 1)));
                gold.extend(&example.tokens[1..]);
            } else {
                rows.extend(example.questions.iter().map(|question| row(question.position)));
                gold.extend(example.questions.iter().map(|question| question.gold));
            }
        }
        Self { rows, gold }
    }
}

/// Logits where answers are due [target, vocabulary], and the mean cross-entropy of the gold answers there.
pub(super) fn loss(model: &LanguageModel, tokens: &[Vec<u32>], targets: &Targets) -> Result<(Tensor, Tensor), TrainError> {
    let hidden = model.hidden(&token_tensor(tokens)?, None, &mut NoObserver)?;
    let gold = Tensor::new(targets.gold.as_slice(), hidden.device())?;
    let logits = model.logits(&rows_of(&hidden, &targets.rows).map_err(ModelError::from)?)?;
    let loss = number_of(&logits, |logits| candle_nn::loss::cross_entropy(logits, &gold))?;
    Ok((logits, loss))
}
