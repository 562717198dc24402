//! From a spec to a trained model.

use super::batch::{Batch, Mixture, loss, mixtures};
use super::checkpoint::{self, write_whole};
use super::prefetch::Prefetch;
use super::stop::Score;
use super::{
    AdamW, HeldOut, LOG_FILE, LogEntry, MatrixProducts, SPEC_FILE, StoredWeights, TRAINING_FILE, TrainError, TrainSpec, VOCABULARY_FILE,
    evaluate,
};
use crate::model::{CONFIG_FILE, LanguageModel, WEIGHTS_FILE, Weights};
use crate::provenance;
use crate::task::{Split, Vocabulary};
use candle_core::{DType, Device};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What to do when the output directory holds a training already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Stop with an error.
    Refuse,
    /// Go on from its last checkpoint.
    Resume,
    /// Begin again and overwrite it.
    Replace,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps made, those before a resumption included.
    pub step: u64,
    /// Whether all stages are done; otherwise the progress callback broke off.
    pub finished: bool,
    /// The last evaluation, by task.
    pub held_out: BTreeMap<String, HeldOut>,
    /// The vocabulary of the model.
    pub vocabulary: Vocabulary,
}

/// Trains as `spec` says and keeps everything in the directory `out` (see the [module](super) for its files).
///
/// `progress` is called with every line of the log; when it breaks, a checkpoint is written and the training can be resumed. A
/// training that was interrupted anywhere, by a kill too, and resumed gives the same weights, bit for bit, as an uninterrupted one.
pub fn run(
    spec: &TrainSpec,
    out: &Path,
    existing: Existing,
    progress: &mut dyn FnMut(&LogEntry) -> ControlFlow<()>,
) -> Result<Outcome, TrainError> {
    run_on(spec, out, existing, &Device::Cpu, progress)
}

/// [`run`] on a device. Each kind of device has its own last bits.
pub fn run_on(
    spec: &TrainSpec,
    out: &Path,
    existing: Existing,
    device: &Device,
    progress: &mut dyn FnMut(&LogEntry) -> ControlFlow<()>,
) -> Result<Outcome, TrainError> {
    // One setting for the whole process; it is a card's alone.
    candle_core::cuda::set_gemm_reduced_precision_f32(spec.matrix_products == MatrixProducts::Tf32);
    let mut training = Training::begin(spec, out, existing, device)?;
    let mut broken = false;
    while training.step < training.steps && !broken {
        let before = training.step;
        if let Some(entry) = training.advance()? {
            training.write(&entry)?;
            broken = progress(&entry).is_break();
        }
        let jumped = training.step > before + 1;
        if broken || jumped || training.step == training.steps || training.step.is_multiple_of(spec.checkpoint_every) {
            training.keep()?;
        }
    }
    Ok(Outcome {
        step: training.step,
        finished: training.step == training.steps,
        held_out: training.held_out,
        vocabulary: training.vocabulary,
    })
}

/// A training under way.
struct Training<'a> {
    spec: &'a TrainSpec,
    out: &'a Path,
    spec_digest: String,
    stages: Arc<Vec<Mixture>>,
    batches: Prefetch,
    vocabulary: Vocabulary,
    model: LanguageModel,
    weights: Weights,
    optimizer: AdamW,
    step: u64,
    steps: u64,
    held_out: BTreeMap<String, HeldOut>,
    /// Evaluations of the stage under way.
    scores: Vec<Score>,
    log: fs::File,
    /// Tokens since the last line of the log, and when that was written.
    pace: (usize, Instant),
}

impl<'a> Training<'a> {
    fn begin(spec: &'a TrainSpec, out: &'a Path, existing: Existing, device: &Device) -> Result<Self, TrainError> {
        spec.check()?;
        let (stages, vocabulary) = mixtures(spec)?;
        let mut config = spec.model.clone();
        if config.vocabulary == 0 {
            config.vocabulary = vocabulary.len();
        } else if config.vocabulary < vocabulary.len() {
            let wanted = format!("at least {}, the words of all tasks (or 0 for that number)", vocabulary.len());
            return Err(TrainError::setting("model.vocabulary", config.vocabulary, wanted));
        }
        let (model, weights) = LanguageModel::new_on(config, spec.seed, device)?;
        let mut optimizer = AdamW::new(spec.optimizer.clone(), &weights)?;
        let (state, spec_digest, path) = (out.join(TRAINING_FILE), provenance::digest(spec), out.display().to_string());
        let step = match existing {
            Existing::Refuse if occupied(out) => return Err(TrainError::Exists { path }),
            Existing::Resume if !state.exists() => return Err(TrainError::NothingToResume { path }),
            Existing::Resume => checkpoint::restore(&state, &spec_digest, &weights, &mut optimizer)?,
            Existing::Refuse | Existing::Replace => {
                prepare(spec, out, &vocabulary)?;
                0
            }
        };
        let (log, lines) = open_log(&out.join(LOG_FILE), step)?;
        let stage = spec.stage_at(step);
        let scores = lines.iter().filter(|entry| entry.stage == stage).filter_map(Score::of).collect();
        let stages = Arc::new(stages);
        let batches = Prefetch::from(spec, &stages, step)?;
        let held_out = BTreeMap::new();
        let (steps, pace) = (spec.steps(), (0, Instant::now()));
        Ok(Self {
            spec,
            out,
            spec_digest,
            stages,
            batches,
            vocabulary,
            model,
            weights,
            optimizer,
            step,
            steps,
            held_out,
            scores,
            log,
            pace,
        })
    }

    /// What the next step trains on.
    fn batch(&mut self) -> Result<Batch, TrainError> {
        if let Some(batch) = self.batches.take(self.step) {
            return Ok(batch);
        }
        // A stage ended early: the batches under way are of steps that will not be made.
        self.batches = Prefetch::from(self.spec, &self.stages, self.step)?;
        Ok(self.batches.take(self.step).unwrap_or_else(|| self.stages[self.spec.stage_at(self.step)].batch(self.spec.seed, self.step)))
    }

    /// One step; a line for the log if one is due.
    fn advance(&mut self) -> Result<Option<LogEntry>, TrainError> {
        let (spec, stage) = (self.spec, self.spec.stage_at(self.step));
        let batch = self.batch()?;
        let differentiated =
            self.model.differentiate(&self.weights, |model| Ok::<_, TrainError>(loss(model, &batch.tokens, &batch.targets)?.1));
        let (loss, gradients) = differentiated?;
        let learning_rate = spec.schedule.at(self.step, self.steps);
        let gradient_norm = self.optimizer.update(&self.weights, &gradients, learning_rate, spec.clip_norm)?;
        // Read last: a card is asked for everything before it is waited for.
        let value = f64::from(loss.to_scalar::<f32>()?);
        let diverged = |what, value| TrainError::Diverged { what, value, step: self.step };
        if !value.is_finite() {
            return Err(diverged("the loss", value));
        }
        if !gradient_norm.is_finite() {
            return Err(diverged("the gradient's norm", gradient_norm));
        }
        self.step += 1;
        self.pace.0 += batch.n_tokens();
        let evaluated = self.step == self.steps || self.step.is_multiple_of(spec.evaluate_every);
        if !evaluated && !self.step.is_multiple_of(spec.log_every) {
            return Ok(None);
        }
        let tokens_per_second = self.pace.0 as f64 / self.pace.1.elapsed().as_secs_f64();
        let held_out = if evaluated { self.evaluate(stage)? } else { BTreeMap::new() };
        self.pace = (0, Instant::now());
        let task = batch.task.map_or("mixture", |task| self.stages[stage].tasks[task].spec().name()).to_owned();
        let mut entry = LogEntry {
            step: self.step,
            steps: self.steps,
            stage,
            task,
            loss: value,
            gradient_norm,
            learning_rate,
            tokens_per_second,
            stage_end: None,
            held_out,
        };
        self.scores.extend(Score::of(&entry));
        let end = spec.end_of(stage);
        if let Some(stop) = spec.stages[stage].stop.as_ref().filter(|_| evaluated && self.step < end) {
            entry.stage_end = stop.judge(&self.scores);
        }
        if entry.stage_end.is_some() {
            self.step = end;
        }
        if self.step >= end {
            self.scores.clear();
        }
        Ok(Some(entry))
    }

    /// Held-out results of every task of a stage. A name that stands twice in the stage is numbered.
    fn evaluate(&mut self, stage: usize) -> Result<BTreeMap<String, HeldOut>, TrainError> {
        let model = self.model.frozen()?;
        let mut results = BTreeMap::new();
        for task in &self.stages[stage].tasks {
            let count = self.spec.held_out_sequences.min(task.count(Split::Validation).unwrap_or(u64::MAX));
            let found = evaluate(&model, task, self.spec.seed, Split::Validation, 0..count, self.batch_of(stage), |_, _| ())?;
            let name = task.spec().name();
            let numbered = (2..).map(|number| format!("{name}_{number}"));
            let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !results.contains_key(name));
            results.insert(free.expect("numbers do not end"), HeldOut::new(found));
        }
        self.held_out.clone_from(&results);
        Ok(results)
    }

    fn batch_of(&self, stage: usize) -> usize {
        self.spec.stages[stage].batch.unwrap_or(self.spec.batch)
    }

    fn write(&mut self, entry: &LogEntry) -> Result<(), TrainError> {
        let line = serde_json::to_string(entry).expect("plain data serialises") + "\n";
        self.log.write_all(line.as_bytes()).map_err(TrainError::file("cannot write the log", &self.out.join(LOG_FILE)))
    }

    /// Writes the checkpoint: first what resuming needs, then the model as others read it.
    fn keep(&self) -> Result<(), TrainError> {
        checkpoint::save(&self.out.join(TRAINING_FILE), self.step, &self.spec_digest, &self.weights, &self.optimizer)?;
        let stored = match self.spec.stored_weights {
            StoredWeights::F32 => DType::F32,
            StoredWeights::Bf16 => DType::BF16,
        };
        Ok(self.model.save_as(self.out, stored)?)
    }
}

fn occupied(out: &Path) -> bool {
    [TRAINING_FILE, SPEC_FILE, LOG_FILE, VOCABULARY_FILE, CONFIG_FILE, WEIGHTS_FILE].iter().any(|file| out.join(file).exists())
}

/// Makes the directory, takes away what an earlier training left there, and writes spec and vocabulary.
fn prepare(spec: &TrainSpec, out: &Path, vocabulary: &Vocabulary) -> Result<(), TrainError> {
    fs::create_dir_all(out).map_err(TrainError::file("cannot make the output directory", out))?;
    for file in [TRAINING_FILE, LOG_FILE, WEIGHTS_FILE, CONFIG_FILE] {
        let path = out.join(file);
        if path.exists() {
            fs::remove_file(&path).map_err(TrainError::file("cannot overwrite", &path))?;
        }
    }
    let text = toml::to_string(spec).map_err(|error| TrainError::setting("spec", error, "writable as TOML"))?;
    write_whole(&out.join(SPEC_FILE), text.as_bytes())?;
    let words = serde_json::to_vec(vocabulary).expect("plain data serialises");
    write_whole(&out.join(VOCABULARY_FILE), &words)
}

/// Opens the log to go on after `step`, and gives its lines up to there: later ones belong to steps that will be made again.
fn open_log(path: &Path, step: u64) -> Result<(fs::File, Vec<LogEntry>), TrainError> {
    let text = if path.exists() { fs::read_to_string(path).map_err(TrainError::file("cannot read the log", path))? } else { String::new() };
    let mut entries = Vec::new();
    let mut kept = String::new();
    for line in text.lines() {
        let Some(entry) = serde_json::from_str::<LogEntry>(line).ok().filter(|entry| entry.step <= step) else { break };
        entries.push(entry);
        kept.push_str(line);
        kept.push('\n');
    }
    write_whole(path, kept.as_bytes())?;
    let file = fs::OpenOptions::new().append(true).open(path).map_err(TrainError::file("cannot open the log", path))?;
    Ok((file, entries))
}
