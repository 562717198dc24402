//! A task by name and parameters, as typed; and the task it builds.

use super::facts::EnglishFacts;
use super::many_updates::Updates;
use super::mqar::Recall;
use super::parity::Bits;
use super::selective_copy::Copy;
use super::stale_facts::SymbolicFacts;
use super::text::Windows;
use super::variable_tracking::Variables;
use super::word_problem::Permutations;
use super::{
    Condition, Draw, Example, Facts, Generator, ManyUpdates, Mqar, Parity, SelectiveCopy, StaleFacts, TaskError, Text, VariableTracking,
    Vocabulary, WordProblem,
};
use crate::spec_text;
use serde::{Deserialize, Serialize};

/// A task by name, with its parameters: `name = "stale_facts"` and any of the fields of that task's type. Fields left out have
/// their defaults, which are the task's easy setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TaskSpec {
    /// Facts that go stale, under the conditions A to F.
    StaleFacts(StaleFacts),
    /// The same in English.
    Facts(Facts),
    /// Many updates of each key.
    ManyUpdates(ManyUpdates),
    /// Assignments, copies and reassignments at any length.
    VariableTracking(VariableTracking),
    /// Multi-query associative recall.
    Mqar(Mqar),
    /// Repeat the contents, leave out the filler.
    SelectiveCopy(SelectiveCopy),
    /// Even or odd number of ones.
    Parity(Parity),
    /// Products of permutations of three things.
    S3(WordProblem),
    /// Products of permutations of five things.
    S5(WordProblem),
    /// A text file, word by word, without truth table.
    Text(Text),
}

/// Which part of the data: the streams of different splits never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For fitting.
    Train,
    /// For choosing.
    Validation,
    /// For reporting.
    Test,
}

impl Split {
    /// The word in specs and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl TaskSpec {
    /// All tasks in their easy setting (a text needs its path set).
    pub fn all() -> Vec<Self> {
        vec![
            Self::StaleFacts(StaleFacts::default()),
            Self::Facts(Facts::default()),
            Self::ManyUpdates(ManyUpdates::default()),
            Self::VariableTracking(VariableTracking::default()),
            Self::Mqar(Mqar::default()),
            Self::SelectiveCopy(SelectiveCopy::default()),
            Self::Parity(Parity::default()),
            Self::S3(WordProblem::default()),
            Self::S5(WordProblem::default()),
            Self::Text(Text::default()),
        ]
    }

    /// The task `name` in its easy setting (`-` and `_` are the same).
    pub fn named(name: &str) -> Result<Self, TaskError> {
        let plain = name.to_lowercase().replace('-', "_");
        let known: Vec<&str> = Self::all().iter().map(Self::name).collect();
        Self::all().into_iter().find(|task| task.name() == plain).ok_or_else(|| TaskError::UnknownTask {
            name: name.to_owned(),
            nearest: spec_text::nearest(&plain, known.iter().copied()).map(str::to_owned),
            known: known.join(", "),
        })
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StaleFacts(_) => "stale_facts",
            Self::Facts(_) => "facts",
            Self::ManyUpdates(_) => "many_updates",
            Self::VariableTracking(_) => "variable_tracking",
            Self::Mqar(_) => "mqar",
            Self::SelectiveCopy(_) => "selective_copy",
            Self::Parity(_) => "parity",
            Self::S3(_) => "s3",
            Self::S5(_) => "s5",
            Self::Text(_) => "text",
        }
    }

    /// One line on what it is.
    pub const fn about(&self) -> &'static str {
        match self {
            Self::StaleFacts(_) => "facts that go stale, under the conditions A to F",
            Self::Facts(_) => "the same in English: where is Alice?",
            Self::ManyUpdates(_) => "many updates of each key",
            Self::VariableTracking(_) => "assignments, copies and reassignments at any length",
            Self::Mqar(_) => "multi-query associative recall",
            Self::SelectiveCopy(_) => "repeat the contents, leave out the filler",
            Self::Parity(_) => "even or odd number of ones so far",
            Self::S3(_) => "products of permutations of three things",
            Self::S5(_) => "products of permutations of five things",
            Self::Text(_) => "a text file, word by word, without truth table",
        }
    }

    /// Tokens of a sequence.
    pub const fn length(&self) -> usize {
        match self {
            Self::StaleFacts(spec) => spec.length,
            Self::Facts(spec) => spec.length,
            Self::ManyUpdates(spec) => spec.length,
            Self::VariableTracking(spec) => spec.length,
            Self::Mqar(spec) => spec.length,
            Self::SelectiveCopy(spec) => spec.length,
            Self::Parity(spec) => spec.length,
            Self::S3(spec) | Self::S5(spec) => spec.length,
            Self::Text(spec) => spec.length,
        }
    }

    /// The same task with sequences of another length.
    #[must_use]
    pub fn with_length(mut self, length: usize) -> Self {
        *match &mut self {
            Self::StaleFacts(spec) => &mut spec.length,
            Self::Facts(spec) => &mut spec.length,
            Self::ManyUpdates(spec) => &mut spec.length,
            Self::VariableTracking(spec) => &mut spec.length,
            Self::Mqar(spec) => &mut spec.length,
            Self::SelectiveCopy(spec) => &mut spec.length,
            Self::Parity(spec) => &mut spec.length,
            Self::S3(spec) | Self::S5(spec) => &mut spec.length,
            Self::Text(spec) => &mut spec.length,
        } = length;
        self
    }

    /// Reads `name = "..."` and parameters from TOML.
    pub fn from_toml(text: &str) -> Result<Self, TaskError> {
        Ok(spec_text::parse(text, "task")?)
    }

    /// The same with the last parts of its paths only: what is published of a text does not say where it lay.
    #[must_use]
    pub fn without_folders(self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.without_folders()),
            other => other,
        }
    }

    /// Checks the parameters and makes ready to generate; reads the file of a text.
    pub fn build(&self) -> Result<Task, TaskError> {
        let source = match self.clone() {
            Self::StaleFacts(spec) => Source::drawn(SymbolicFacts::new(spec)?),
            Self::Facts(spec) => Source::drawn(EnglishFacts::new(spec)?),
            Self::ManyUpdates(spec) => Source::drawn(Updates::new(spec)?),
            Self::VariableTracking(spec) => Source::drawn(Variables::new(spec)?),
            Self::Mqar(spec) => Source::drawn(Recall::new(spec)?),
            Self::SelectiveCopy(spec) => Source::drawn(Copy::new(spec)?),
            Self::Parity(spec) => Source::drawn(Bits::new(spec)?),
            Self::S3(spec) => Source::drawn(Permutations::new(spec, 3)?),
            Self::S5(spec) => Source::drawn(Permutations::new(spec, 5)?),
            Self::Text(spec) => Source::Windows(Windows::new(spec)?),
        };
        Ok(Task { spec: self.clone(), source, translation: None })
    }
}

enum Source {
    Drawn(Box<dyn Generator>),
    Windows(Windows),
}

impl Source {
    fn drawn(generator: impl Generator + 'static) -> Self {
        Self::Drawn(Box::new(generator))
    }
}

/// A task whose parameters were checked: generates sequences.
pub struct Task {
    spec: TaskSpec,
    source: Source,
    /// The vocabulary asked for, and its token for each of the task's own.
    translation: Option<(Vocabulary, Vec<u32>)>,
}

impl Task {
    /// The specification it was built from.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// Its words.
    pub fn vocabulary(&self) -> &Vocabulary {
        match (&self.translation, &self.source) {
            (Some((vocabulary, _)), _) => vocabulary,
            (None, Source::Drawn(generator)) => generator.vocabulary(),
            (None, Source::Windows(windows)) => windows.vocabulary(),
        }
    }

    /// The same task in the tokens of another vocabulary, say of a model that was trained on several tasks. All its words must be
    /// known there; those of a text may be `<unk>` there.
    pub fn in_vocabulary(mut self, vocabulary: &Vocabulary) -> Result<Self, TaskError> {
        self.translation = None;
        let map = match &self.source {
            Source::Drawn(generator) => vocabulary.translation_of(generator.vocabulary())?,
            Source::Windows(windows) => windows.translation_to(vocabulary)?,
        };
        self.translation = Some((vocabulary.clone(), map));
        Ok(self)
    }

    /// The conditions it can make; none for a task without.
    pub fn conditions(&self) -> Vec<Condition> {
        match &self.source {
            Source::Drawn(generator) => generator.conditions(),
            Source::Windows(_) => vec![],
        }
    }

    /// How many different sequences a split has, where that is known: the windows of a text.
    pub fn count(&self, split: Split) -> Option<u64> {
        match &self.source {
            Source::Drawn(_) => None,
            Source::Windows(windows) => Some(windows.count(split)),
        }
    }

    /// Sequence `index` of `split` under `seed`.
    pub fn generate(&self, seed: u64, split: Split, index: u64) -> Example {
        self.make(seed, split, index, None)
    }

    /// The same sequence under a condition of choice: its twin, alike in layout, keys, values and questions. A task without
    /// conditions gives the same sequence as [`Self::generate`].
    pub fn generate_twin(&self, seed: u64, split: Split, index: u64, condition: Condition) -> Result<Example, TaskError> {
        let possible = self.conditions();
        if possible.is_empty() || possible.contains(&condition) {
            return Ok(self.make(seed, split, index, Some(condition)));
        }
        let names: Vec<_> = possible.iter().map(Condition::to_string).collect();
        Err(TaskError::parameter("condition", condition, format!("one of {} (those with a weight above 0)", names.join(", "))))
    }

    fn make(&self, seed: u64, split: Split, index: u64, condition: Option<Condition>) -> Example {
        let example = match &self.source {
            Source::Drawn(generator) => {
                let mut draw = Draw::new(seed, &format!("task/{}/{}", self.spec.name(), split.name()), index);
                generator.generate(&mut draw, condition)
            }
            Source::Windows(windows) => windows.window(split, index),
        };
        match &self.translation {
            Some((_, map)) => example.translated(map),
            None => example,
        }
    }
}
