//! From a spec to a trained model.

use super::batch::{Mixture, Targets, loss, mixtures};
use super::checkpoint::{self, write_whole};
use super::{AdamW, HeldOut, LOG_FILE, LogEntry, SPEC_FILE, TRAINING_FILE, TrainError, TrainSpec, VOCABULARY_FILE, evaluate};
use crate::model::{CONFIG_FILE, LanguageModel, WEIGHTS_FILE, Weights};
use crate::provenance;
use crate::task::{Split, Vocabulary};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
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
    let mut training = Training::begin(spec, out, existing)?;
    let mut broken = false;
    while training.step < training.steps && !broken {
        if let Some(entry) = training.advance()? {
            training.write(&entry)?;
            broken = progress(&entry).is_break();
        }
        if broken || training.step == training.steps || training.step.is_multiple_of(spec.checkpoint_every) {
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
    stages: Vec<Mixture>,
    vocabulary: Vocabulary,
    model: LanguageModel,
    weights: Weights,
    optimizer: AdamW,
    step: u64,
    steps: u64,
    held_out: BTreeMap<String, HeldOut>,
    log: fs::File,
    /// Tokens since the last line of the log, and when that was written.
    pace: (usize, Instant),
}

impl<'a> Training<'a> {
    fn begin(spec: &'a TrainSpec, out: &'a Path, existing: Existing) -> Result<Self, TrainError> {
        spec.check()?;
        let (stages, vocabulary) = mixtures(spec)?;
        let mut config = spec.model.clone();
        if config.vocabulary == 0 {
            config.vocabulary = vocabulary.len();
        } else if config.vocabulary < vocabulary.len() {
            let wanted = format!("at least {}, the words of all tasks (or 0 for that number)", vocabulary.len());
            return Err(TrainError::setting("model.vocabulary", config.vocabulary, wanted));
        }
        let (model, weights) = LanguageModel::new(config, spec.seed)?;
        let mut optimizer = AdamW::new(spec.optimizer.clone(), &weights);
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
        let log = open_log(&out.join(LOG_FILE), step)?;
        let held_out = BTreeMap::new();
        let (steps, pace) = (spec.steps(), (0, Instant::now()));
        Ok(Self { spec, out, spec_digest, stages, vocabulary, model, weights, optimizer, step, steps, held_out, log, pace })
    }

    /// One step; a line for the log if one is due.
    fn advance(&mut self) -> Result<Option<LogEntry>, TrainError> {
        let (spec, stage) = (self.spec, self.spec.stage_at(self.step));
        let (task, examples) = self.stages[stage].batch(spec.seed, self.step, spec.batch);
        let (_, loss) = loss(&self.model, &examples, &Targets::of(&examples))?;
        let learning_rate = spec.schedule.at(self.step, self.steps);
        let value = f64::from(loss.to_scalar::<f32>()?);
        let diverged = |what, value| TrainError::Diverged { what, value, step: self.step };
        if !value.is_finite() {
            return Err(diverged("the loss", value));
        }
        let gradient_norm = self.optimizer.update(&self.weights, &loss.backward()?, learning_rate, spec.clip_norm)?;
        if !gradient_norm.is_finite() {
            return Err(diverged("the gradient's norm", gradient_norm));
        }
        self.step += 1;
        self.pace.0 += examples.iter().map(crate::task::Example::len).sum::<usize>();
        let evaluated = self.step == self.steps || self.step.is_multiple_of(spec.evaluate_every);
        if !evaluated && !self.step.is_multiple_of(spec.log_every) {
            return Ok(None);
        }
        let tokens_per_second = self.pace.0 as f64 / self.pace.1.elapsed().as_secs_f64();
        let held_out = if evaluated { self.evaluate(stage)? } else { BTreeMap::new() };
        self.pace = (0, Instant::now());
        Ok(Some(LogEntry {
            step: self.step,
            steps: self.steps,
            stage,
            task: self.stages[stage].tasks[task].spec().name().to_owned(),
            loss: value,
            gradient_norm,
            learning_rate,
            tokens_per_second,
            held_out,
        }))
    }

    /// Held-out results of every task of a stage. A name that stands twice in the stage is numbered.
    fn evaluate(&mut self, stage: usize) -> Result<BTreeMap<String, HeldOut>, TrainError> {
        let model = self.model.frozen()?;
        let mut results = BTreeMap::new();
        for task in &self.stages[stage].tasks {
            let count = self.spec.held_out_sequences.min(task.count(Split::Validation).unwrap_or(u64::MAX));
            let found = evaluate(&model, task, self.spec.seed, Split::Validation, 0..count, self.spec.batch, |_, _| ())?;
            let name = task.spec().name();
            let numbered = (2..).map(|number| format!("{name}_{number}"));
            let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !results.contains_key(name));
            results.insert(free.expect("numbers do not end"), HeldOut::new(found));
        }
        self.held_out.clone_from(&results);
        Ok(results)
    }

    fn write(&mut self, entry: &LogEntry) -> Result<(), TrainError> {
        let line = serde_json::to_string(entry).expect("plain data serialises") + "\n";
        self.log.write_all(line.as_bytes()).map_err(TrainError::file("cannot write the log", &self.out.join(LOG_FILE)))
    }

    /// Writes the checkpoint: first what resuming needs, then the model as others read it.
    fn keep(&self) -> Result<(), TrainError> {
        checkpoint::save(&self.out.join(TRAINING_FILE), self.step, &self.spec_digest, &self.weights, &self.optimizer)?;
        Ok(self.model.save(self.out)?)
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

/// Opens the log to go on after `step`: later lines belong to steps that will be made again.
fn open_log(path: &Path, step: u64) -> Result<fs::File, TrainError> {
    let text = if path.exists() { fs::read_to_string(path).map_err(TrainError::file("cannot read the log", path))? } else { String::new() };
    let kept = |line: &&str| serde_json::from_str::<LogEntry>(line).is_ok_and(|entry| entry.step <= step);
    let kept: String = text.lines().take_while(kept).flat_map(|line| [line, "\n"]).collect();
    write_whole(path, kept.as_bytes())?;
    fs::OpenOptions::new().append(true).open(path).map_err(TrainError::file("cannot open the log", path))
}
