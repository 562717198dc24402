//! A model run over a text of one's own or an example of a task, and recorded as it runs.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::app::data::{Edits, Handle, Model, said};
use crate::app::jobs::{Ask, Progress, Weight};
use crate::app::open_trace::{OpenTrace, TraceSource};
use crate::intervene::{InterveneError, superseded};
use crate::network::{LiveReplay, NetworkError, Words};
use crate::spec_text::nearest;
use crate::task::{Condition, Example, Split, TaskSpec, Vocabulary};

/// Numbers that the log-probabilities of a run may take: 200 MB.
const MOST: usize = 50_000_000;

/// What the model reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Words with spaces between; token numbers where the model has no words.
    Text(String),
    /// An example of a task in its easy setting, from the test split.
    Task {
        /// The task.
        name: String,
        /// Seed of its sequences.
        seed: u64,
        /// Which sequence.
        index: u64,
        /// The condition instead of the one drawn.
        condition: Option<Condition>,
    },
}

/// What a prompt reads in the words of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExampleOf {
    /// The model.
    pub model: Handle<Model>,
    /// What is read.
    pub prompt: Prompt,
    /// A step, and the words that stand from there on instead.
    pub tail: Option<(usize, String)>,
}

/// A sequence in the tokens of a model.
pub struct DrawnExample {
    /// Its tokens, with a truth table where a task drew it.
    pub example: Example,
    /// The words of its tokens.
    pub words: Vec<String>,
    /// Words that the model does not know, and the nearest that it does; they are left out.
    pub unknown: Vec<(String, Option<String>)>,
    /// The conditions that the task can make.
    pub conditions: Vec<Condition>,
    run: serde_json::Value,
}

impl Ask for ExampleOf {
    type Answer = Handle<DrawnExample>;

    fn title(&self) -> String {
        "reading what is typed".to_owned()
    }

    fn bytes(answer: &Handle<DrawnExample>) -> usize {
        answer.words.len() * 64
    }

    fn answer(&self, _progress: &Progress) -> Result<Handle<DrawnExample>, String> {
        let vocabulary = self.model.opened.vocabulary.as_ref();
        let mut unknown = Vec::new();
        let (mut example, conditions) = match &self.prompt {
            Prompt::Text(text) => {
                let tokens = tokens_of(text, vocabulary, &self.model, &mut unknown)?;
                (Example { tokens, ..Example::default() }, Vec::new())
            }
            Prompt::Task { name, seed, index, condition } => {
                let mut task = TaskSpec::named(name).and_then(|spec| spec.build()).map_err(said)?;
                if let Some(vocabulary) = vocabulary {
                    task = task
                        .in_vocabulary(vocabulary)
                        .map_err(|error| format!("the model does not know this task's words: {}", said(error)))?;
                }
                let conditions = task.conditions();
                let example = match condition {
                    Some(condition) => task.generate_twin(*seed, Split::Test, *index, *condition).map_err(said)?,
                    None => task.generate(*seed, Split::Test, *index),
                };
                (example, conditions)
            }
        };
        if let Some((from, text)) = &self.tail {
            example = example.up_to(*from);
            example.tokens.extend(tokens_of(text, vocabulary, &self.model, &mut unknown)?);
        }
        let size = self.model.opened.model.config().vocabulary;
        if let Some(token) = example.tokens.iter().find(|token| **token as usize >= size) {
            return Err(format!("the model knows tokens 0 to {}, not {token}", size - 1));
        }
        let words = example.tokens.iter().map(|&token| self.model.word(token).map_or_else(|| token.to_string(), str::to_owned)).collect();
        let run = serde_json::json!({ "prompt": self.prompt, "tail": self.tail });
        Ok(Handle::new(DrawnExample { example, words, unknown, conditions, run }))
    }
}

/// The tokens of typed words; those that are not known are noted.
fn tokens_of(
    text: &str,
    vocabulary: Option<&Vocabulary>,
    model: &Model,
    unknown: &mut Vec<(String, Option<String>)>,
) -> Result<Vec<u32>, String> {
    let Some(vocabulary) = vocabulary else {
        let number = |word: &str| word.parse::<u32>().map_err(|_| format!("{} has no words: type token numbers, not '{word}'", model.name));
        return text.split_whitespace().map(number).collect();
    };
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        match vocabulary.token(word).or_else(|| vocabulary.token(&word.to_lowercase())) {
            Some(token) => tokens.push(token),
            None if unknown.iter().any(|(other, _)| other == word) => {}
            None => {
                let near = nearest(word, vocabulary.words().iter().map(String::as_str)).map(str::to_owned);
                unknown.push((word.to_owned(), near));
            }
        }
    }
    Ok(tokens)
}

/// A model run over the first steps of a sequence, under interventions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveOf {
    /// The model.
    pub model: Handle<Model>,
    /// The sequence.
    pub drawn: Handle<DrawnExample>,
    /// Steps read.
    pub n_steps: usize,
    /// What is changed.
    pub edits: Edits,
    /// What the trace is called.
    pub name: String,
}

/// What a run gave.
pub struct LiveRun {
    /// The trace; absent where what was changed cannot be said in factors.
    pub open: Option<OpenTrace>,
    /// Why there is no trace.
    pub note: Option<String>,
    /// Log-probabilities after each step, \[step\]\[token\].
    pub said: Vec<Vec<f32>>,
}

impl LiveRun {
    /// The likeliest tokens after a step, likeliest first, with their log-probabilities.
    pub fn likeliest(&self, step: usize, most: usize) -> Vec<(u32, f64)> {
        let Some(said) = self.said.get(step) else { return Vec::new() };
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.sort_by(|&a, &b| said[b].total_cmp(&said[a]).then(a.cmp(&b)));
        order.into_iter().take(most).map(|token| (token as u32, f64::from(said[token]))).collect()
    }

    /// The log-probability of a token after a step.
    pub fn of(&self, step: usize, token: u32) -> Option<f64> {
        Some(f64::from(*self.said.get(step)?.get(token as usize)?))
    }
}

impl Ask for LiveOf {
    type Answer = LiveRun;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("running {} over {} tokens", self.model.name, self.n_steps)
    }

    fn bytes(answer: &LiveRun) -> usize {
        answer.said.iter().map(|said| said.len() * 4).sum()
    }

    fn answer(&self, progress: &Progress) -> Result<LiveRun, String> {
        let example = self.drawn.example.up_to(self.n_steps);
        let (model, size) = (&self.model.opened.model, self.model.opened.model.config().vocabulary);
        if example.is_empty() {
            return Err("there is nothing to read yet".to_owned());
        }
        if example.len() * size > MOST {
            return Err(format!(
                "{} tokens are too many to keep what is said after each of them: read at most {}",
                example.len(),
                MOST / size
            ));
        }
        let mut live = LiveReplay::new(model);
        live.interventions = self.edits.list()?;
        live.superseded = superseded(&example);
        let folder = tempfile::Builder::new().prefix("pentimento-live-").tempdir().map_err(said)?;
        let path = folder.path().join(format!("{}.trace.zarr", self.name.replace([' ', ':', '/'], "-")));
        let word = |token: u32| self.model.word(token).map_or_else(|| token.to_string(), str::to_owned);
        let words = Words { model: &self.model.name, run: self.drawn.run.clone(), word: &word };
        let watch = |share: f64| progress.set(share).is_ok();
        match live.clone().record(&example, &words, &path, &watch) {
            Ok(said_then) => {
                let source = TraceSource::Live(self.name.clone());
                let open = OpenTrace::open_owned(&path, source, folder).map_err(said)?;
                Ok(LiveRun { open: Some(open), note: None, said: said_then })
            }
            Err(NetworkError::Intervene(error @ InterveneError::NoFactor { .. })) => {
                let said_then = live.advance(&example.tokens).map_err(said)?;
                let said_then = said_then.into_iter().map(|step| step.into_iter().map(|x| x as f32).collect()).collect();
                Ok(LiveRun { open: None, note: Some(said(error)), said: said_then })
            }
            Err(error) => Err(said(error)),
        }
    }
}

/// Copies a trace to where it will stay: a folder that is not there yet.
pub fn keep(trace: &Path, to: &Path) -> Result<(), String> {
    if to.exists() {
        return Err(format!("something is there already: {}", to.display()));
    }
    copy(trace, to).map_err(|error| format!("the trace cannot be saved ({error}): {}", to.display()))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
