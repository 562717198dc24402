//! What models answer to tasks of which only the answers are looked at, at one length or several.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::measure::{Behaviour, StatisticsOptions, behaviour};
use crate::model::LanguageModel;
use crate::record::{RecordError, answers as answers_of};
use crate::spec_text;
use crate::task::{Split, Task, TaskError, TaskSpec, Vocabulary};

/// A task of which only the answers are looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersSpec {
    /// Its name in the report and in claims.
    pub name: String,
    /// Sequences: the unit of every interval within a model.
    pub sequences: usize,
    /// Tokens of a sequence, one run for each (default: the task's own length).
    #[serde(default)]
    pub lengths: Vec<usize>,
    /// A file that `pentimento evaluate` wrote: answers given on another machine, of models with the same weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// The task.
    pub task: TaskSpec,
}

/// What a model answered to a task at one length.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answers {
    /// The name in the spec.
    pub name: String,
    /// Tokens of a sequence.
    pub length: usize,
    /// Accuracy and intrusion.
    pub behaviour: Behaviour,
}

/// What `pentimento evaluate` writes: one line for each model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// Digest of the model's weights.
    pub weights_digest: String,
    /// Seed of the sequences.
    pub seed: u64,
    /// The tasks, as asked for.
    pub tasks: Vec<AnswersSpec>,
    /// The answers.
    pub answers: Vec<Answers>,
}

/// Why answers cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// The task cannot be built, or not in a model's words.
    #[error("answers '{name}': {source}")]
    Task {
        /// Its name in the spec.
        name: String,
        /// The cause.
        source: TaskError,
    },
    /// The model could not be run.
    #[error("answers '{name}': {source}")]
    Run {
        /// Its name in the spec.
        name: String,
        /// The cause.
        source: Box<RecordError>,
    },
    /// A file with answers that cannot be read.
    #[error("answers '{name}' cannot be read: {what}: {path}")]
    File {
        /// Its name in the spec.
        name: String,
        /// What is wrong.
        what: String,
        /// The file.
        path: String,
    },
    /// A file with answers of other models.
    #[error("answers '{name}': no line of {path} is of the model with weights {digest}: evaluate that model and add its line")]
    OtherModel {
        /// Its name in the spec.
        name: String,
        /// Digest of the model's weights.
        digest: String,
        /// The file.
        path: String,
    },
}

impl AnswersSpec {
    /// The lengths that are run.
    fn lengths(&self) -> Vec<usize> {
        if self.lengths.is_empty() { vec![self.task.length()] } else { self.lengths.clone() }
    }

    fn build(&self, length: usize, vocabulary: Option<&Vocabulary>) -> Result<Task, AnswersError> {
        let task = self.task.clone().with_length(length).build();
        let task = task.and_then(|task| match vocabulary {
            Some(vocabulary) => task.in_vocabulary(vocabulary),
            None => Ok(task),
        });
        task.map_err(|source| AnswersError::Task { name: self.name.clone(), source })
    }

    /// Checks that the task can be asked in a model's words at every length.
    pub fn check(&self, vocabulary: Option<&Vocabulary>) -> Result<(), AnswersError> {
        self.lengths().into_iter().try_for_each(|length| self.build(length, vocabulary).map(drop))
    }

    /// Lets a model answer, on the device where it is, or reads what it answered.
    pub fn run(
        &self,
        model: &LanguageModel,
        vocabulary: Option<&Vocabulary>,
        seed: u64,
        options: &StatisticsOptions,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Answers>, AnswersError> {
        let failed = |source: RecordError| AnswersError::Run { name: self.name.clone(), source: Box::new(source) };
        if let Some(path) = &self.measured {
            return self.read(Path::new(path), &model.weights_digest().map_err(|error| failed(error.into()))?);
        }
        let mut found = Vec::new();
        for length in self.lengths() {
            let task = self.build(length, vocabulary)?;
            progress(length);
            let (examples, answers) = answers_of(model, &task, seed, Split::Test, 0..self.sequences as u64, |_| ()).map_err(failed)?;
            let behaviour = behaviour(&examples, &answers, options);
            let behaviour = behaviour.ok_or_else(|| failed(RecordError::Empty("the task asks no questions")))?;
            found.push(Answers { name: self.name.clone(), length, behaviour });
        }
        Ok(found)
    }

    /// The line of a file that is of this model.
    fn read(&self, path: &Path, digest: &str) -> Result<Vec<Answers>, AnswersError> {
        let shown = || path.display().to_string();
        let file = |what: String| AnswersError::File { name: self.name.clone(), what, path: shown() };
        let text = spec_text::text_of(path).map_err(|error| file(error.to_string()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let evaluated: Evaluated = serde_json::from_str(line).map_err(|error| file(error.to_string()))?;
            if evaluated.weights_digest == digest {
                let own: Vec<Answers> = evaluated.answers.into_iter().filter(|answers| answers.name == self.name).collect();
                let lengths: Vec<usize> = own.iter().map(|answers| answers.length).collect();
                if lengths != self.lengths() {
                    return Err(file(format!("it holds lengths {lengths:?}, the spec asks for {:?}", self.lengths())));
                }
                return Ok(own);
            }
        }
        Err(AnswersError::OtherModel { name: self.name.clone(), digest: digest.to_owned(), path: shown() })
    }
}
