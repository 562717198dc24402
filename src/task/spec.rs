//! A task by name and parameters, as typed; and the task it builds.

use super::stale_facts::{Facts, StaleFacts};
use super::{Condition, Draw, Example, Generator, TaskError, Vocabulary};
use crate::spec_text;
use serde::{Deserialize, Serialize};

/// A task by name, with its parameters: `name = "stale_facts"` and any of the fields of that task's type. Fields left out have
/// their defaults, which are the task's easy setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum TaskSpec {
    /// Facts that go stale, under the conditions A to F.
    StaleFacts(StaleFacts),
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
    /// The names of all tasks.
    pub const NAMES: [&'static str; 1] = ["stale_facts"];

    /// The task `name` in its easy setting (`-` and `_` are the same).
    pub fn named(name: &str) -> Result<Self, TaskError> {
        match name.replace('-', "_").as_str() {
            "stale_facts" => Ok(Self::StaleFacts(StaleFacts::default())),
            _ => Err(TaskError::UnknownTask {
                name: name.to_owned(),
                nearest: spec_text::nearest(&name.replace('-', "_"), Self::NAMES).map(str::to_owned),
                known: Self::NAMES.join(", "),
            }),
        }
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StaleFacts(_) => "stale_facts",
        }
    }

    /// Reads `name = "..."` and parameters from TOML.
    pub fn from_toml(text: &str) -> Result<Self, TaskError> {
        Ok(spec_text::parse(text, "task")?)
    }

    /// Checks the parameters and makes ready to generate.
    pub fn build(&self) -> Result<Task, TaskError> {
        let generator: Box<dyn Generator> = match self {
            Self::StaleFacts(spec) => Box::new(Facts::new(spec.clone())?),
        };
        Ok(Task { spec: self.clone(), generator })
    }
}

/// A task whose parameters were checked: generates sequences.
pub struct Task {
    spec: TaskSpec,
    generator: Box<dyn Generator>,
}

impl Task {
    /// The specification it was built from.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// Its words.
    pub fn vocabulary(&self) -> &Vocabulary {
        self.generator.vocabulary()
    }

    /// The conditions it can make; none for a task without.
    pub fn conditions(&self) -> Vec<Condition> {
        self.generator.conditions()
    }

    /// Sequence `index` of `split` under `seed`.
    pub fn generate(&self, seed: u64, split: Split, index: u64) -> Example {
        self.generator.generate(&mut self.draws(seed, split, index), None)
    }

    /// The same sequence under a condition of choice: its twin, alike in layout, keys, values and questions. A task without
    /// conditions gives the same sequence as [`Self::generate`].
    pub fn generate_twin(&self, seed: u64, split: Split, index: u64, condition: Condition) -> Result<Example, TaskError> {
        let possible = self.conditions();
        if possible.is_empty() || possible.contains(&condition) {
            return Ok(self.generator.generate(&mut self.draws(seed, split, index), Some(condition)));
        }
        let names: Vec<_> = possible.iter().map(Condition::to_string).collect();
        Err(TaskError::parameter("condition", condition, format!("one of {} (those with a weight above 0)", names.join(", "))))
    }

    fn draws(&self, seed: u64, split: Split, index: u64) -> Draw {
        Draw::new(seed, &format!("task/{}/{}", self.spec.name(), split.name()), index)
    }
}
