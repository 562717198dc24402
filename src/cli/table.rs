//! `pentimento table`: tables of results, and the numbers that any figure draws.

use std::path::PathBuf;

use clap::ValueEnum;

use super::figure::named;
use super::figure_source::{Source, gather};
use super::output;
use crate::export::Table;
use crate::figure::{FigureSpec, Options};

/// Arguments of `pentimento table`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento table behaviour pentimento-out/stale-facts/results.json --format latex
  pentimento table cleanup pentimento-out/stale-facts/results.json --format csv > cleanup.csv
  pentimento table fate eda.trace.zarr kda.trace.zarr --format latex      what the figure of that name draws
  pentimento table cleanup pentimento-out/stale-facts/results.json --drawn --model EDA")]
pub struct Arguments {
    /// Which table. Of a results.json: claims, families, behaviour, answers, gates, addresses, cleanup, fate, targeting, capacity,
    /// recall, erase-effects, erase-events, readouts, phases, erasure. Of anything that figures are drawn from: a figure's name.
    name: String,
    /// A results.json, or what `pentimento figure` takes: traces, JSON of other sub-commands, a figure's own .json.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The numbers that the figure of this name draws, where results have a table of the same name.
    #[arg(long)]
    drawn: bool,
    /// Models of a results.json, for the numbers of a figure (default: all).
    #[arg(long, value_delimiter = ',')]
    model: Vec<String>,
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
    let sources = arguments.sources.iter().map(|path| Source::open(path, None)).collect::<anyhow::Result<Vec<_>>>()?;
    for table in tables(&arguments, &sources)? {
        let text = match arguments.format {
            Format::Latex => table.latex(arguments.digits),
            Format::Md => table.markdown(arguments.digits),
            Format::Csv => table.csv(),
        };
        output::line(text.trim_end())?;
    }
    Ok(())
}

fn tables(arguments: &Arguments, sources: &[Source]) -> anyhow::Result<Vec<Table>> {
    let mut reported = Vec::new();
    for opened in sources.iter().filter_map(Source::opened) {
        reported.extend(opened.tables());
    }
    if !arguments.drawn {
        let found: Vec<Table> = reported.iter().filter(|(name, _)| *name == arguments.name).map(|(_, table)| table.clone()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let figure = named(&arguments.name).map_err(|fault| {
        let known: Vec<&str> = reported.iter().map(|(name, _)| *name).collect();
        let these = if known.is_empty() { String::new() } else { format!("; these results have the tables {}", known.join(", ")) };
        anyhow::anyhow!("no table '{}'{these}; {fault}", arguments.name)
    })?;
    let spec = FigureSpec::new(figure);
    let bar = output::spinner("measuring");
    let parts = gather(&sources.iter().collect::<Vec<_>>(), figure, &Options::default(), &arguments.model);
    bar.finish_and_clear();
    parts?.iter().map(|part| Ok(part.picture.draw(&spec)?.table)).collect()
}
