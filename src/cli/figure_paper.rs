//! The file of a paper's figures: what holds for all, then one `[[figure]]` each.

use anyhow::{Context as _, bail};
use toml::{Table, Value};

use crate::figure::FigureSpec;
use crate::spec_text;

/// One figure of the file.
pub struct Entry {
    pub spec: FigureSpec,
    /// Its sources, as typed.
    pub from: Vec<String>,
    /// Models of a results.json; all when empty.
    pub models: Vec<String>,
    /// Names of the sources.
    pub labels: Vec<String>,
    /// Name of its files, without extension.
    pub file: Option<String>,
    /// Where it stands, for messages.
    pub place: String,
}

/// Reads the file.
pub fn entries(text: &str, path: &str) -> anyhow::Result<Vec<Entry>> {
    let mut shared: Table = text.parse().map_err(|error| anyhow::anyhow!("not TOML: {path}: {error}"))?;
    let figures = match shared.remove("figure") {
        Some(Value::Array(figures)) if !figures.is_empty() => figures,
        _ => bail!("no [[figure]]: name at least one, each with figure = \"NAME\": {path}"),
    };
    let one = |(n, figure): (usize, Value)| {
        let place = format!("[[figure]] {} of {path}", n + 1);
        let Value::Table(own) = figure else { bail!("not a table: {place}") };
        let mut table = shared.clone();
        merge(&mut table, own);
        entry(table, place)
    };
    figures.into_iter().enumerate().map(one).collect()
}

fn entry(mut table: Table, place: String) -> anyhow::Result<Entry> {
    let mut take =
        |name: &str| table.remove(name).map(|value| list(value).with_context(|| format!("`{name}` is text, or a list of texts: {place}")));
    let from = take("from").with_context(|| format!("no `from`: name a trace or a results.json: {place}"))??;
    let models = take("model").transpose()?.unwrap_or_default();
    let labels = take("label").transpose()?.unwrap_or_default();
    let file = take("file").transpose()?.and_then(|names| names.into_iter().next());
    let spec = spec_text::of_table(table, &place)?;
    Ok(Entry { spec, from, models, labels, file, place })
}

/// A text, or a list of them.
fn list(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(values) => values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// The figure's own values over those for all; of `options` each by itself.
fn merge(shared: &mut Table, own: Table) {
    for (name, value) in own {
        match (shared.get_mut(&name), value) {
            (Some(Value::Table(shared)), Value::Table(own)) => shared.extend(own),
            (_, value) => {
                shared.insert(name, value);
            }
        }
    }
}
