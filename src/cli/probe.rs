//! `pentimento probe`: linear readouts of a trace.

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use crate::memory::Phase;
use crate::readout::{Feature, LogisticParams, Place, Readout, ReadoutOptions, Target, readouts};

/// Arguments of `pentimento probe`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento probe eda.trace.zarr --target stale,current --feature read --phase before,erase,write
  pentimento probe eda.trace.zarr --target stale --feature state --layers 1 --untrained untrained.trace.zarr --json > cards.json")]
pub struct Arguments {
    /// The trace, recorded from a task.
    trace: PathBuf,
    /// What to read out: stale, current, never, age.
    #[arg(long, value_delimiter = ',', default_value = "stale,current", value_parser = output::by_serde::<Target>)]
    target: Vec<Target>,
    /// What a readout sees: state (the whole memory) or read (the memory at one address).
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

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Ridge,
    Logistic,
}

/// Runs `pentimento probe`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let trace = output::open_complete(&arguments.trace)?;
    let untrained = arguments.untrained.as_deref().map(output::open_complete).transpose()?;
    let places = std::iter::once(Place::Superseding { lag: arguments.lag }).chain(arguments.questions.then_some(Place::Question));
    let options = ReadoutOptions {
        layers: arguments.layers,
        heads: arguments.heads,
        phases: arguments.phase,
        features: arguments.feature,
        targets: arguments.target,
        places: places.collect(),
        seed: arguments.seed,
        permutations: arguments.permutations,
        readout: match arguments.readout {
            Kind::Ridge => Readout::default(),
            Kind::Logistic => Readout::Logistic(LogisticParams::default()),
        },
        ..ReadoutOptions::default()
    };
    let bar = output::spinner("fitting readouts");
    let found = readouts(&trace, untrained.as_ref(), &options)?;
    bar.finish_and_clear();
    if arguments.json {
        return output::json(&found);
    }
    for alarm in found.alarms() {
        output::line(&format!("ALARM: {alarm}"))?;
    }
    output::line(&found.summary().to_markdown())?;
    output::line(&found.comparison_table().to_markdown())?;
    found.notices.iter().try_for_each(|notice| output::line(&format!("note: {notice}")))
}
