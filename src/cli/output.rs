//! Ways of printing shared by the sub-commands.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::trace::Trace;

/// Prints a result as pretty JSON on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A progress bar on standard error; silent where that is not a terminal.
pub fn progress(length: u64, what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:<34} [{bar:30}] {pos}/{len} {eta}").expect("the template is well formed").progress_chars("=> ");
    let bar = ProgressBar::new(length).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
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

/// Prints a line of text.
#[expect(clippy::unnecessary_wraps, reason = "the last word of a sub-command, like `json`")]
pub fn line(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}

/// Puts `key=value` into a TOML table; the key may be dotted, the value is TOML or else text.
pub fn set(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let (key, value) = setting.split_once('=').ok_or_else(|| anyhow::anyhow!("--set {setting}: wanted KEY=VALUE"))?;
    let value = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut parsed| parsed.remove("v"));
    let value = value.unwrap_or_else(|| toml::Value::String(setting[key.len() + 1..].to_owned()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut place = table;
    for part in parts {
        let entry = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| anyhow::anyhow!("--set {setting}: `{part}` is not a table of the spec"))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

/// A spinner on standard error for work whose length is unknown.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Reads a word as the value a spec would take there.
#[cfg(any(feature = "probe", feature = "figure"))]
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
