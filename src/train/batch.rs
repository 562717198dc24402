//! From tasks to batches, and from a batch to its loss.

use super::{Stage, TrainError, TrainSpec};
use crate::model::{LanguageModel, NoObserver, token_tensor};
use crate::task::{Draw, Example, Split, Task, Vocabulary};
use candle_core::{Device, Tensor};

/// The tasks of one stage, all in the tokens of one vocabulary.
pub(super) struct Mixture {
    pub tasks: Vec<Task>,
    weights: Vec<f64>,
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
    for (number, (tasks, stage)) in stages.into_iter().zip(&spec.stages).enumerate() {
        let translate = |task: Task| task.in_vocabulary(&vocabulary).map_err(|source| TrainError::Task { stage: number, source });
        let tasks = tasks.into_iter().map(translate).collect::<Result<Vec<_>, _>>()?;
        mixtures.push(Mixture { tasks, weights: stage.tasks.iter().map(|task| task.weight).collect() });
    }
    Ok((mixtures, vocabulary))
}

impl Mixture {
    /// The task of a step and its sequences: a function of seed and step, not of what was drawn before.
    pub fn batch(&self, seed: u64, step: u64, size: usize) -> (usize, Vec<Example>) {
        let task = Draw::new(seed, "train/task", step).weighted(&self.weights);
        let first = step * size as u64;
        let examples = (first..first + size as u64).map(|index| self.tasks[task].generate(seed, Split::Train, index)).collect();
        (task, examples)
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
pub(super) fn loss(model: &LanguageModel, examples: &[Example], targets: &Targets) -> Result<(Tensor, Tensor), TrainError> {
    let tokens: Vec<Vec<u32>> = examples.iter().map(|example| example.tokens.clone()).collect();
    let hidden = model.hidden(&token_tensor(&tokens)?, None, &mut NoObserver)?;
    let rows = Tensor::new(targets.rows.as_slice(), &Device::Cpu)?;
    let gold = Tensor::new(targets.gold.as_slice(), &Device::Cpu)?;
    let logits = model.logits(&hidden.index_select(&rows, 0)?)?;
    let loss = candle_nn::loss::cross_entropy(&logits, &gold)?;
    Ok((logits, loss))
}
