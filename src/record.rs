//! Running a model over sequences and streaming what its memories did into a trace.
//!
//! The only place where models and traces meet. Short sequences are recorded whole, some at a time (the trace grows along
//! `batch`); long ones in blocks of steps that carry the model's state (it grows along `step`). Either way no more than a block is
//! held in memory, and a killed run leaves a trace that is an exact prefix.

mod answers;
mod calls;

pub use answers::answers;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use candle_core::Tensor;
use ndarray::{Array2, Array3, Axis};
use serde_json::json;

use crate::memory::{Factors, Phase, RecordOptions, Recording};
use crate::model::{LanguageModel, ModelError, Observer, token_tensor};
use crate::provenance::{Provenance, digest};
use crate::task::{Example, Split, Task, Vocabulary};
use crate::trace::{Answer, DenseSelection, Growth, OnExisting, Table, TraceError, TraceSpec, TraceWriter, label_tables};

/// Tokens that one call of the model takes, at most (but always one sequence).
pub(crate) const TOKENS_PER_CALL: usize = 16_384;
/// Most probable tokens kept at every question.
const TOP: usize = 5;

/// What to record, and of what.
#[derive(Clone, Debug)]
pub struct RecordSpec {
    /// Seed of the task.
    pub seed: u64,
    /// Part of the task's data.
    pub split: Split,
    /// Which of the task's sequences.
    pub sequences: Range<u64>,
    /// Layers to record; `None` is every layer that has a memory.
    pub layers: Option<Vec<usize>>,
    /// Heads whose dense memories are stored; `None` is all. (Streams and checkpoints are kept of every head.)
    pub heads: Option<Vec<usize>>,
    /// Phases of which every memory is stored; any memory in any phase can be replayed without it.
    pub dense: Vec<Phase>,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// Sequences up to this many tokens are recorded whole, longer ones in blocks of steps.
    pub longest_whole: usize,
    /// Steps of such a block, at least; it ends where a chunk of the trace and a checkpoint end.
    pub block_steps: usize,
    /// Replace a trace that is there already.
    pub on_existing: OnExisting,
}

impl RecordSpec {
    /// These sequences of the test split under seed 0, with all layers and no dense memories.
    pub fn new(sequences: Range<u64>) -> Self {
        Self {
            seed: 0,
            split: Split::Test,
            sequences,
            layers: None,
            heads: None,
            dense: Vec::new(),
            checkpoint_every: 64,
            longest_whole: 4096,
            block_steps: 1024,
            on_existing: OnExisting::Refuse,
        }
    }
}

/// What can go wrong while recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The model could not be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The trace could not be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A layer that is not there, or has no memory.
    #[error("layer {layer} cannot be recorded: the layers with a memory are {}", list(known))]
    Layer {
        /// The layer asked for.
        layer: usize,
        /// The layers with a memory.
        known: Vec<usize>,
    },
    /// A head that is not there.
    #[error("head {head} cannot be recorded: layer {layer} has heads 0 to {last}")]
    Head {
        /// The head asked for.
        head: usize,
        /// A layer without it.
        layer: usize,
        /// Its last head.
        last: usize,
    },
    /// Nothing to record.
    #[error("nothing to record: {0}")]
    Empty(&'static str),
    /// The token ids of the task do not fit the model.
    #[error("the task has {task} words but the model knows {model} tokens: record with a model trained on this task")]
    Vocabulary {
        /// Words of the task.
        task: usize,
        /// Tokens of the model.
        model: usize,
    },
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Collects what the asked-for layers did in one call of the model.
struct Collector {
    options: BTreeMap<usize, RecordOptions>,
    layers: Vec<(usize, Factors<f32>, Recording)>,
}

impl Observer for Collector {
    fn record_options(&self, layer: usize) -> Option<RecordOptions> {
        self.options.get(&layer).cloned()
    }

    fn layer(&mut self, layer: usize, factors: Factors<f32>, recording: Recording) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.layers.push((layer, factors, recording));
        Ok(())
    }
}

/// Runs `model` over sequences of `task` and records its memories at `path`.
///
/// The task must speak the model's vocabulary ([`Task::in_vocabulary`]). `describe` is what is known of the model beside its
/// configuration and weights (its name). `progress` is told how many tokens are done, of how many.
pub fn record(
    model: &LanguageModel,
    describe: &serde_json::Value,
    task: &Task,
    spec: &RecordSpec,
    path: &Path,
    progress: impl FnMut(usize, usize),
) -> Result<(), RecordError> {
    record_on(std::slice::from_ref(model), describe, task, spec, path, progress)
}

/// The same by several copies of one model, each on a card of its own. Sequences that are recorded whole are shared out, a call at a
/// time, and the trace has the bytes that one card gives. Of longer ones each card reads a share: a matrix product of fewer rows may
/// round differently, so that the trace is the one of one card up to rounding.
///
/// # Panics
/// Without a model.
pub fn record_on(
    models: &[LanguageModel],
    describe: &serde_json::Value,
    task: &Task,
    spec: &RecordSpec,
    path: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<(), RecordError> {
    let model = &models[0];
    let layers = chosen_layers(model, spec)?;
    let words = task.vocabulary();
    if words.len() > model.config().vocabulary {
        return Err(RecordError::Vocabulary { task: words.len(), model: model.config().vocabulary });
    }
    let examples: Vec<Example> = spec.sequences.clone().map(|index| task.generate(spec.seed, spec.split, index)).collect();
    let steps = examples
        .iter()
        .map(Example::len)
        .max()
        .filter(|&steps| steps > 0)
        .ok_or(RecordError::Empty("there are no sequences, or they have no tokens"))?;
    let whole = steps <= spec.longest_whole;
    let total = examples.len() * steps;
    let mut writer = TraceWriter::create(path, &trace_spec(model, describe, task, spec, whole)?)?;
    let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(spec.checkpoint_every), dense: spec.dense.clone() };
    let options: BTreeMap<usize, RecordOptions> = layers.iter().map(|&layer| (layer, options.clone())).collect();
    let questions = examples.iter().map(|example| example.questions.len()).max().unwrap_or(0);
    let mut answers = AnswerTables::new(examples.len(), questions);
    let labels = label_tables(&examples);
    if whole {
        let together = (TOKENS_PER_CALL / steps).clamp(1, examples.len());
        let calls: Vec<&[Example]> = examples.chunks(together).collect();
        calls::in_order(models, &calls, &options, steps, |call, block| {
            let (first, chunk) = (call * together, calls[call]);
            answers.take(chunk, first, &block.said);
            for (layer, factors, recording) in block.layers {
                writer.append_layer(layer, &factors, recording)?;
            }
            append_tokens(&mut writer, words, chunk, 0..steps)?;
            let sequences = first..first + chunk.len();
            for table in answers.tables().iter().chain(&labels) {
                writer.append(table.of_sequences(sequences.clone()))?;
            }
            writer.commit()?;
            progress((first + chunk.len()) * steps, total);
            Ok(())
        })?;
    } else {
        let block_steps = TraceSpec::steps_of_a_commit(spec.block_steps, spec.checkpoint_every);
        let blocks: Vec<Range<usize>> = (0..steps).step_by(block_steps).map(|from| from..(from + block_steps).min(steps)).collect();
        calls::in_blocks(models, &examples, &options, &blocks, |steps, block| {
            answers.take(&examples, 0, &block.said);
            for (layer, factors, recording) in block.layers {
                writer.append_layer(layer, &factors, recording)?;
            }
            append_tokens(&mut writer, words, &examples, steps.clone())?;
            writer.commit()?;
            progress(steps.end * examples.len(), total);
            Ok(())
        })?;
        for table in answers.tables().into_iter().chain(labels) {
            writer.set(table)?;
        }
    }
    writer.finish()?;
    Ok(())
}

fn chosen_layers(model: &LanguageModel, spec: &RecordSpec) -> Result<Vec<usize>, RecordError> {
    let known: Vec<usize> = model.config().rules().into_iter().map(|(layer, _)| layer).collect();
    let layers = spec.layers.clone().unwrap_or_else(|| known.clone());
    if let Some(&layer) = layers.iter().find(|layer| !known.contains(layer)) {
        return Err(RecordError::Layer { layer, known });
    }
    let n_heads = model.config().delta.as_ref().map_or(0, |delta| delta.heads);
    if let (Some(&head), Some(&layer)) = (spec.heads.iter().flatten().find(|&&head| head >= n_heads), layers.first()) {
        return Err(RecordError::Head { head, layer, last: n_heads.saturating_sub(1) });
    }
    if layers.is_empty() {
        return Err(RecordError::Empty("the model has no layer with a memory, or none was chosen"));
    }
    Ok(layers)
}

fn trace_spec(
    model: &LanguageModel,
    describe: &serde_json::Value,
    task: &Task,
    spec: &RecordSpec,
    whole: bool,
) -> Result<TraceSpec, RecordError> {
    let (weights, task_spec) = (model.weights_digest()?, task.spec().clone().without_folders());
    let provenance = Provenance {
        seed: Some(spec.seed),
        spec_digest: Some(digest(&task_spec)),
        config_digest: Some(digest(model.config())),
        device: model.place(),
        weights_digest: Some(weights.clone()),
        ..Provenance::here("record")
    };
    let selection = DenseSelection { name: if spec.heads.is_some() { "heads" } else { "all" }.to_owned(), heads: spec.heads.clone() };
    Ok(TraceSpec {
        model: json!({ "description": describe, "config": model.config(), "weights_digest": weights }),
        run: json!({ "task": task_spec, "split": spec.split, "seed": spec.seed, "sequences": [spec.sequences.start, spec.sequences.end] }),
        growth: if whole { Growth::Batch } else { Growth::Step },
        commit_every: if whole { 32 } else { TraceSpec::steps_of_a_commit(spec.block_steps, spec.checkpoint_every) },
        checkpoint_every: spec.checkpoint_every,
        dense: vec![selection],
        on_existing: spec.on_existing,
        ..TraceSpec::new(provenance)
    })
}

/// The tokens of `steps`, [batch, step]; shorter sequences are continued with their own last token, which no truth refers to.
pub(crate) fn padded_tokens<E: Borrow<Example>>(examples: &[E], steps: Range<usize>) -> Result<Tensor, ModelError> {
    let token = |example: &Example, step: usize| example.tokens.get(step).or(example.tokens.last()).copied().unwrap_or(0);
    let rows: Vec<Vec<u32>> = examples.iter().map(|example| steps.clone().map(|step| token(example.borrow(), step)).collect()).collect();
    token_tensor(&rows)
}

fn append_tokens(writer: &mut TraceWriter, words: &Vocabulary, examples: &[Example], steps: Range<usize>) -> Result<(), TraceError> {
    let shape = (examples.len(), steps.len());
    let token = |(row, step): (usize, usize)| examples[row].tokens.get(steps.start + step).copied();
    writer.append(Table::tokens(Array2::from_shape_fn(shape, |at| token(at).map_or(-1, |token| token as i32))))?;
    writer
        .append(Table::token_str(Array2::from_shape_fn(shape, |at| token(at).map_or(String::new(), |token| words.word(token).to_owned()))))
}

/// The logits at one question of one sequence.
struct Said {
    row: usize,
    number: usize,
    logits: Vec<f32>,
}

/// What a model says to the questions that stand in `steps`, from its last hidden rows.
fn said(model: &LanguageModel, rows: &Tensor, examples: &[Example], steps: &Range<usize>) -> Result<Vec<Said>, ModelError> {
    let mut asked = Vec::new();
    for (row, example) in examples.iter().enumerate() {
        for (number, question) in example.questions.iter().enumerate().filter(|(_, question)| steps.contains(&question.position)) {
            asked.push((row, number, (row * steps.len() + question.position - steps.start) as u32));
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let indices = Tensor::from_iter(asked.iter().map(|&(_, _, index)| index), rows.device())?;
    let logits: Vec<Vec<f32>> = model.logits(&rows.index_select(&indices, 0)?)?.to_vec2()?;
    Ok(asked.into_iter().zip(logits).map(|((row, number, _), logits)| Said { row, number, logits }).collect())
}

/// What the model says at the questions, as it comes in.
pub(crate) struct AnswerTables {
    /// [batch, question]: -1 where there is no such question.
    predicted: Array2<i32>,
    /// [batch, question, {gold, stale, foil}].
    log_probability: Array3<f32>,
    /// [batch, question, rank].
    top_token: Array3<i32>,
    /// [batch, question, rank].
    top_log_probability: Array3<f32>,
}

impl AnswerTables {
    pub(crate) fn new(batch: usize, questions: usize) -> Self {
        Self {
            predicted: Array2::from_elem((batch, questions), -1),
            log_probability: Array3::from_elem((batch, questions, 3), f32::NAN),
            top_token: Array3::from_elem((batch, questions, TOP), -1),
            top_log_probability: Array3::from_elem((batch, questions, TOP), f32::NAN),
        }
    }

    /// Reads the answers to the questions that stand in `steps` from the last hidden rows of `examples`, the first of which is `first`.
    pub(crate) fn read(
        &mut self,
        model: &LanguageModel,
        rows: &Tensor,
        examples: &[Example],
        first: usize,
        steps: &Range<usize>,
    ) -> Result<(), ModelError> {
        self.take(examples, first, &said(model, rows, examples, steps)?);
        Ok(())
    }

    /// Takes what was said to questions of `examples`, the first of which is `first`.
    fn take(&mut self, examples: &[Example], first: usize, said: &[Said]) {
        for &Said { row, number, ref logits } in said {
            let log_probabilities = log_softmax(logits);
            let question = &examples[row].questions[number];
            let place = [first + row, number];
            for (index, tokens) in [&[question.gold][..], &question.stale, question.matched_foils()].into_iter().enumerate() {
                if !tokens.is_empty() {
                    let probability: f64 = tokens.iter().map(|&token| log_probabilities[token as usize].exp()).sum();
                    self.log_probability[[place[0], place[1], index]] = probability.ln() as f32;
                }
            }
            let mut order: Vec<usize> = (0..log_probabilities.len()).collect();
            order.sort_by(|&a, &b| log_probabilities[b].total_cmp(&log_probabilities[a]));
            self.predicted[place] = order[0] as i32;
            for (rank, &token) in order.iter().take(TOP).enumerate() {
                self.top_token[[place[0], place[1], rank]] = token as i32;
                self.top_log_probability[[place[0], place[1], rank]] = log_probabilities[token] as f32;
            }
        }
    }

    /// The tables of all sequences; none where nothing is asked.
    pub(crate) fn tables(&self) -> Vec<Table> {
        if self.predicted.is_empty() {
            return Vec::new();
        }
        let log_probability = |index: usize| self.log_probability.index_axis(Axis(2), index).to_owned().into_dyn();
        let (question, rank) = (["batch", "question"], ["batch", "question", "rank"]);
        vec![
            Table::new(Answer::PREDICTED, &question, self.predicted.clone().into_dyn()),
            Table::new(Answer::GOLD, &question, log_probability(0)),
            Table::new(Answer::STALE, &question, log_probability(1)),
            Table::new(Answer::FOIL, &question, log_probability(2)),
            Table::new("logits/top_token", &rank, self.top_token.clone().into_dyn()),
            Table::new("logits/top_log_probability", &rank, self.top_log_probability.clone().into_dyn()),
        ]
    }
}

/// Natural logarithms of the probabilities that belong to logits.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit - largest) - total.ln()).collect()
}
