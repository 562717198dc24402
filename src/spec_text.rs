//! Reading what a user typed: TOML into a plain type, with errors that say which key was meant.

use serde::de::DeserializeOwned;

/// Why a spec could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file could not be read.
    #[error("cannot read the spec: {source}: {path}")]
    Unreadable {
        /// The cause.
        source: std::io::Error,
        /// The file.
        path: String,
    },
    /// The text is not TOML, or not of the spec's form.
    #[error("{place}: {what}{hint}")]
    Malformed {
        /// File (or `--set`) and line.
        place: String,
        /// What is wrong.
        what: String,
        /// What was probably meant; empty if nothing is near.
        hint: String,
    },
}

/// Parses TOML text of the spec type `T`; `origin` names the text in errors.
pub fn parse<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, SpecError> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(String::new(), |span| format!(", line {}", 1 + text[..span.start.min(text.len())].matches('\n').count()));
        malformed(error.message(), format!("{origin}{line}"))
    })
}

/// Takes a spec of type `T` out of a TOML table that was read before; `origin` names its place in errors.
pub fn of_table<T: DeserializeOwned>(table: toml::Table, origin: &str) -> Result<T, SpecError> {
    table.try_into().map_err(|error: toml::de::Error| malformed(error.message(), origin.to_owned()))
}

/// Reads and parses a spec file.
pub fn read<T: DeserializeOwned>(path: &std::path::Path) -> Result<T, SpecError> {
    parse(&text_of(path)?, &path.display().to_string())
}

/// The text of a spec file.
pub fn text_of(path: &std::path::Path) -> Result<String, SpecError> {
    std::fs::read_to_string(path).map_err(|source| SpecError::Unreadable { source, path: path.display().to_string() })
}

/// Turns a merged TOML table (file plus `--set`) into the spec type `T`.
pub fn from_table<T: DeserializeOwned>(table: toml::Table, origin: &str) -> Result<T, SpecError> {
    toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| {
        // Without a text there is no line; the library says in its last line in which table it was.
        let whole = error.to_string();
        let inside = whole.lines().last().filter(|line| line.starts_with("in `")).map_or(String::new(), |line| format!(", {line}"));
        malformed(error.message(), format!("{origin}{inside}"))
    })
}

fn malformed(message: &str, place: String) -> SpecError {
    SpecError::Malformed { place, what: plain(message.trim()), hint: hint(message).unwrap_or_default() }
}

/// The library's words for types are Rust's; a spec's author knows numbers.
fn plain(message: &str) -> String {
    ["usize", "u64", "u32"]
        .iter()
        .fold(message.to_owned(), |text, name| text.replace(&format!("expected {name}"), "expected a whole number, 0 or more"))
        .replace("expected f64", "expected a number")
}

/// From serde's "unknown field `x`, expected one of `a`, `b`": the nearest expected word.
fn hint(message: &str) -> Option<String> {
    let mut words = message.split('`').skip(1).step_by(2);
    if !message.contains("unknown") {
        return None;
    }
    let typed = words.next()?;
    nearest(typed, words).map(|meant| format!("; did you mean `{meant}`?"))
}

/// The candidate most like `typed`, if one is near enough to be a slip of the hand.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
