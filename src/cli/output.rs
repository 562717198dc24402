//! Ways of printing shared by the sub-commands.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde::Serialize;

use crate::trace::Trace;

/// Prints a result as pretty JSON on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Refuses to overwrite, unless told to.
pub fn refuse_existing(path: &Path, force: bool) -> anyhow::Result<()> {
    if path.exists() && !force {
        anyhow::bail!("output exists: choose another name or add --force to replace it: {}", path.display());
    }
    Ok(())
}

/// Opens a trace that is whole: of a recording under way or killed, numbers would be those of a prefix, and nobody would know.
pub fn open_complete(path: &Path) -> anyhow::Result<Trace> {
    let trace = Trace::open(path)?;
    trace.require_complete()?;
    Ok(trace)
}

/// An error and its causes in one line; causes that an error already quotes are not said again.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// Prints a line of text on standard output. A reader that has seen enough (`| head`) ends the program quietly.
pub fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output"),
    }
}

/// A spinner on standard error for work whose length is unknown.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Reads a word as the value a spec would take there.
#[cfg(any(feature = "probe", feature = "figure", feature = "record"))]
pub fn by_serde<T: serde::de::DeserializeOwned>(word: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|error| error.to_string())
}

/// A count that must not be zero.
pub fn at_least_one(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("wanted a whole number, at least 1".to_owned()),
    }
}

/// `FROM:TO`, the end left out.
#[cfg(any(feature = "probe", feature = "record"))]
pub fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let parts = text.split_once(':').and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts
        .filter(|range: &std::ops::Range<u64>| !range.is_empty())
        .ok_or_else(|| "wanted FROM:TO with FROM below TO, for example 0:64".to_owned())
}
