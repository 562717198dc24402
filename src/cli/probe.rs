//! `pentimento probe`: linear readouts of a trace.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;

use super::output;
use crate::memory::Phase;
use crate::readout::render::{self, Ink};
use crate::readout::{
    Extra, Feature, LogisticParams, Place, ProbeCard, Readout, ReadoutOptions, Readouts, Standing, StateForm, Table, Target,
    readouts_over_models,
};
use crate::trace::Trace;

/// Arguments of `pentimento probe`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento probe eda.trace.zarr --target stale,current --feature read --phase before,erase,write
  pentimento probe eda.trace.zarr --target stale --feature state --layers 1 --untrained untrained.trace.zarr --json > cards.json
  pentimento probe eda.trace.zarr --target is_stale --cards all
  pentimento probe eda.trace.zarr --cards red --format html -o red-cards.html
  pentimento probe seed0.trace.zarr --also seed1.trace.zarr,seed2.trace.zarr")]
pub struct Arguments {
    /// The trace, recorded from a task.
    trace: PathBuf,
    /// What to read out: stale, current, never, age, is_stale.
    #[arg(long, value_delimiter = ',', default_value = "stale,current", value_parser = output::by_serde::<Target>)]
    target: Vec<Target>,
    /// What a readout sees: read (the memory at one address), state (the whole memory), singular (its strongest directions).
    #[arg(long, value_delimiter = ',', default_value = "read", value_parser = output::by_serde::<Feature>)]
    feature: Vec<Feature>,
    /// Phases of the step: before, decay, erase, write.
    #[arg(long, value_delimiter = ',', default_value = "before,decay,erase,write")]
    phase: Vec<Phase>,
    /// Layers (default: all of the trace).
    #[arg(long, value_delimiter = ',')]
    layers: Option<Vec<usize>>,
    /// Heads (default: all).
    #[arg(long, value_delimiter = ',')]
    heads: Option<Vec<usize>>,
    /// The readout: ridge or logistic (L2 multinomial), with its default penalties.
    #[arg(long, default_value = "ridge")]
    readout: Kind,
    /// Read this many steps after the content went stale instead of at that step.
    #[arg(long, default_value_t = 0)]
    lag: usize,
    /// Read at the questions too.
    #[arg(long)]
    questions: bool,
    /// A trace of the same sequences from a model that was never trained: the control.
    #[arg(long)]
    untrained: Option<PathBuf>,
    /// Traces of the same recipe from other seeds: cards get the mean over models, its interval counting models too.
    #[arg(long, value_delimiter = ',')]
    also: Vec<PathBuf>,
    /// What cards carry beside score and controls: information, description_length, ceiling, equivalence, erasure (default: all).
    #[arg(long, value_delimiter = ',', value_parser = output::by_serde::<Extra>)]
    extra: Option<Vec<Extra>>,
    /// Excess over chance that counts as nothing, for "is nothing left?".
    #[arg(long, default_value_t = 0.05)]
    margin: f64,
    /// Directions of the feature `singular`.
    #[arg(long, default_value_t = 4, value_parser = output::at_least_one)]
    singular_rank: usize,
    /// How the feature `state` is held: auto (formed while it fits), dense, matrix_free (never formed).
    #[arg(long, default_value = "auto", value_parser = output::by_serde::<StateForm>)]
    state_form: StateForm,
    /// Which cards to print whole: red, all, none.
    #[arg(long, default_value = "red")]
    cards: Cards,
    /// How cards and tables are written: terminal, markdown, html, latex.
    #[arg(long, default_value = "terminal")]
    format: Format,
    /// Write there instead of on standard output.
    #[arg(short, long, conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Replace the file of --output if it is there.
    #[arg(long)]
    force: bool,
    /// Seed of splits, permutations and resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Exchanges of targets between sequences behind each p-value.
    #[arg(long, default_value_t = 1000, value_parser = output::at_least_one)]
    permutations: usize,
    /// Print every probe card as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cards {
    Red,
    All,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Terminal,
    Markdown,
    Html,
    Latex,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Ridge,
    Logistic,
}

/// Runs `pentimento probe`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let trace = output::open_complete(&arguments.trace)?;
    if let Some(path) = &arguments.output {
        output::refuse_existing(path, arguments.force)?;
    }
    let also = arguments.also.iter().map(|path| output::open_complete(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let untrained = arguments.untrained.as_deref().map(output::open_complete).transpose()?;
    let places = std::iter::once(Place::Superseding { lag: arguments.lag }).chain(arguments.questions.then_some(Place::Question));
    let options = ReadoutOptions {
        layers: arguments.layers,
        heads: arguments.heads,
        phases: arguments.phase,
        features: arguments.feature,
        targets: arguments.target,
        places: places.collect(),
        state_form: arguments.state_form,
        singular_rank: arguments.singular_rank,
        extras: arguments.extra.unwrap_or_else(|| Extra::ALL.to_vec()),
        equivalence_margin: arguments.margin,
        seed: arguments.seed,
        permutations: arguments.permutations,
        readout: match arguments.readout {
            Kind::Ridge => Readout::default(),
            Kind::Logistic => Readout::Logistic(LogisticParams::default()),
        },
        ..ReadoutOptions::default()
    };
    let bar = output::spinner("fitting readouts");
    let traces: Vec<&Trace> = std::iter::once(&trace).chain(&also).collect();
    let found = readouts_over_models(&traces, untrained.as_ref(), &options)?;
    bar.finish_and_clear();
    if arguments.json {
        return output::json(&found);
    }
    let text = page(&found, arguments.cards, arguments.format, arguments.output.is_none());
    match &arguments.output {
        Some(path) => {
            crate::export::whole_file(path, text.as_bytes()).with_context(|| format!("cannot write the cards: {}", path.display()))
        }
        None => output::line(text.trim_end()),
    }
}

/// Everything that was found, in one form.
fn page(found: &Readouts, cards: Cards, format: Format, on_screen: bool) -> String {
    let ink = if on_screen && std::io::stdout().is_terminal() { Ink::Colour } else { Ink::Plain };
    let is_wanted = |card: &&ProbeCard| match cards {
        Cards::Red => card.standing() == Standing::Red,
        Cards::All => true,
        Cards::None => false,
    };
    let drawn: String = found
        .cards
        .iter()
        .filter(is_wanted)
        .map(|card| match format {
            Format::Terminal => card.to_terminal(ink) + "\n",
            Format::Markdown => card.to_markdown() + "\n",
            Format::Html => card.to_html(),
            Format::Latex => card.to_latex() + "\n",
        })
        .collect();
    let tables = [found.summary(), found.comparison_table(), found.erasure_table()];
    let tables = tables.iter().filter(|table| !table.rows.is_empty());
    let headline = found.headline();
    let red = found.alarms().len();
    let alarms = if red == 0 { String::new() } else { format!("RED: {red} alarms; the cards say what they may mean.\n") };
    match format {
        Format::Terminal => {
            let notes: String = found.notices.iter().map(|notice| format!("note: {notice}\n")).collect();
            let tables: String = tables.map(|table| table.to_terminal() + "\n").collect();
            format!("{alarms}{drawn}{tables}{headline}\n{notes}")
        }
        Format::Markdown => {
            let notes: String = found.notices.iter().map(|notice| format!("- note: {notice}\n")).collect();
            let tables: String = tables.map(|table| table.to_markdown() + "\n").collect();
            format!("{headline}\n\n{alarms}\n{tables}{drawn}{notes}")
        }
        Format::Html => {
            let tables: String = tables.map(Table::to_html).collect();
            format!(
                "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Linear readouts</title><style>{PAGE_STYLE}{}</style>\n<main>\n<h1>Linear readouts</h1>\n<p>{headline}</p>\n<p class=\"why\">{alarms}</p>\n{tables}{drawn}</main></html>\n",
                render::HTML_STYLE
            )
        }
        Format::Latex => {
            let tables: String = tables.map(|table| table.to_latex() + "\n").collect();
            format!("% {headline}\n{tables}{drawn}")
        }
    }
}

const PAGE_STYLE: &str = "body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; } table { border-collapse: collapse; font-size: .84rem; } th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #d9dce2; }";
