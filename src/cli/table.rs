//! `pentimento table`: a table of an experiment's results.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use super::output;
use crate::experiment::{Results, tables};

/// Arguments of `pentimento table`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento table behaviour pentimento-out/stale-facts/results.json --format latex
  pentimento table cleanup pentimento-out/stale-facts/results.json --format csv > cleanup.csv")]
pub struct Arguments {
    /// Which table: behaviour, gates, addresses, cleanup, fate, targeting, capacity, recall, readouts, phases.
    name: String,
    /// The results.json of an experiment.
    results: PathBuf,
    /// How to print it.
    #[arg(long, default_value = "md")]
    format: Format,
    /// Significant digits (latex and md; csv has all).
    #[arg(long, default_value_t = 3)]
    digits: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Latex,
    Md,
    Csv,
}

/// Runs `pentimento table`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let path = arguments.results.display();
    let text = std::fs::read_to_string(&arguments.results).with_context(|| format!("cannot read {path}"))?;
    let results: Results = serde_json::from_str(&text).with_context(|| format!("not the results.json of an experiment: {path}"))?;
    let tables = tables(&results);
    let Some(tabled) = tables.iter().find(|tabled| tabled.stem == arguments.name) else {
        let known: Vec<&str> = tables.iter().map(|tabled| tabled.stem).collect();
        anyhow::bail!("no table '{}': these results have {}", arguments.name, known.join(", "));
    };
    output::line(
        match arguments.format {
            Format::Latex => tabled.table.latex(arguments.digits),
            Format::Md => tabled.table.markdown(arguments.digits),
            Format::Csv => tabled.table.csv(),
        }
        .trim_end(),
    )
}
