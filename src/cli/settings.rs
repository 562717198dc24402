//! What the sub-commands that run models share: progress of counted work, and settings typed on the command line.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::spec_text;

/// A progress bar on standard error; silent where that is not a terminal.
pub fn progress(length: u64, what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:<34} [{bar:30}] {pos}/{len} {eta}").expect("the template is well formed").progress_chars("=> ");
    let bar = ProgressBar::new(length).with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A spec from a file, with `KEY=VALUE` settings, each checked as if it stood there.
pub fn spec<T: serde::de::DeserializeOwned>(path: &Path, settings: &[String]) -> anyhow::Result<T> {
    if settings.is_empty() {
        // Read as text, so that an error can name the line.
        return Ok(spec_text::read(path)?);
    }
    let origin = path.display().to_string();
    let mut table: toml::Table = spec_text::parse(&spec_text::text_of(path)?, &origin)?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    Ok(spec_text::from_table(table, &format!("{origin} with --set"))?)
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
