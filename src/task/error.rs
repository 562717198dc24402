//! What can be wrong with a task.

/// What can be wrong with a task's specification.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A name that no task has.
    #[error("unknown task '{name}'{}: known are {known}", hint(.nearest.as_deref()))]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// All known names.
        known: String,
    },
    /// A parameter outside of what is possible.
    #[error("parameter '{parameter}' is {found}, but must be {wanted}")]
    Parameter {
        /// Its name.
        parameter: String,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// The specification is not what TOML or JSON allow, or has a key that does not exist.
    #[error(transparent)]
    Spec(#[from] crate::spec_text::SpecError),
    /// A word that the given vocabulary lacks.
    #[error("the vocabulary has no word '{0}'")]
    UnknownWord(String),
    /// A text file cannot be read.
    #[error("cannot read the text ({reason}): {path}")]
    Text {
        /// Why.
        reason: String,
        /// The file.
        path: String,
    },
    /// A text too short for one sequence.
    #[error("the text is too short: its {part} part has {words} words, a sequence {length}; set a smaller `length`: {path}")]
    ShortText {
        /// The split.
        part: &'static str,
        /// Words of that split.
        words: usize,
        /// Words of a sequence.
        length: usize,
        /// The file.
        path: String,
    },
}

impl TaskError {
    pub(crate) fn parameter(parameter: impl Into<String>, found: impl std::fmt::Display, wanted: impl Into<String>) -> Self {
        Self::Parameter { parameter: parameter.into(), found: found.to_string(), wanted: wanted.into() }
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean '{name}'?)")).unwrap_or_default()
}

/// An error unless `value` lies in `low..=high`.
pub(crate) fn in_range(parameter: &str, value: usize, low: usize, high: usize, why: &str) -> Result<(), TaskError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let range = if high == usize::MAX { format!("at least {low}") } else { format!("{low} to {high}") };
    let reason = if why.is_empty() { String::new() } else { format!(" ({why})") };
    Err(TaskError::parameter(parameter, value, range + &reason))
}

/// An error unless `value` lies in [0, 1].
pub(crate) fn is_share(parameter: &str, value: f64) -> Result<(), TaskError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(TaskError::parameter(parameter, value, "a share, 0 to 1")) }
}
