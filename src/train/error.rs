//! What can go wrong in training.

use crate::model::{ModelError, in_words};
use crate::spec_text::SpecError;
use crate::task::TaskError;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The spec is not TOML, or not of the spec's form.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A setting outside of what is possible.
    #[error("training spec: '{setting}' is {found}, but must be {wanted}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// A task cannot be built.
    #[error("stage {stage}: {source}")]
    Task {
        /// The stage, from 0.
        stage: usize,
        /// Why.
        source: TaskError,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensor library failed.
    #[error("training step: {}", in_words(.0))]
    Tensor(#[from] candle_core::Error),
    /// The loss or a gradient is not a number any more.
    #[error("{what} is {value} at step {step}: lower the learning rate or lengthen the warm-up; the last checkpoint is whole")]
    Diverged {
        /// Loss or gradient.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The step.
        step: u64,
    },
    /// The output directory holds a training already.
    #[error("the output holds a training already: resume it, or overwrite it with --force: {path}")]
    Exists {
        /// The directory.
        path: String,
    },
    /// There is nothing to resume.
    #[error("there is no training to resume (no {file}): {path}", file = super::TRAINING_FILE)]
    NothingToResume {
        /// The directory.
        path: String,
    },
    /// The training was begun with another spec.
    #[error("the training was begun with another spec, which stands beside it as {file}: {path}", file = super::SPEC_FILE)]
    OtherSpec {
        /// The directory.
        path: String,
    },
    /// The file to resume from is damaged.
    #[error("the training cannot be resumed: {what}: {path}")]
    Damaged {
        /// What is wrong.
        what: String,
        /// The file.
        path: String,
    },
    /// A file cannot be read or written.
    #[error("{what}: {source}: {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
        /// The file.
        path: String,
    },
}

impl TrainError {
    pub(super) fn setting(setting: &'static str, found: impl std::fmt::Display, wanted: impl Into<String>) -> Self {
        Self::Setting { setting, found: found.to_string(), wanted: wanted.into() }
    }

    pub(super) fn file(what: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { what, source, path }
    }
}
