//! `pentimento measure`: a trace's numbers.

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, FateOptions, RecallOptions, SpectrumOptions,
    StatisticsOptions, TargetingOptions, Truth, alignment, allocation, capacity, cleanup, collateral, explained, fate, recall, spectrum,
    targeting,
};
use crate::task::Example;
use crate::trace::Trace;

/// Arguments of `pentimento measure`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento measure cleanup eda.trace.zarr
  pentimento measure fate eda.trace.zarr --details
  pentimento measure targeting eda.trace.zarr --likeness 0.9
  pentimento measure allocation eda.trace.zarr --json > allocation.json")]
pub struct Arguments {
    /// What to measure.
    measure: Measure,
    /// The trace.
    trace: PathBuf,
    /// Seed of resamples, nulls and permutations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples and permutations.
    #[arg(long, default_value_t = 10_000, value_parser = output::at_least_one)]
    resamples: usize,
    /// For fate, targeting and capacity: take a write for stale once a later one has a key with at least this cosine with its own,
    /// instead of the truth table (default without a truth table: 0.9).
    #[arg(long, value_parser = cosine)]
    likeness: Option<f64>,
    /// For cleanup, fate and targeting: a line for every number, too.
    #[arg(long)]
    details: bool,
    /// Print everything as JSON instead of the finding in words.
    #[arg(long)]
    json: bool,
}

fn cosine(word: &str) -> Result<f64, String> {
    word.parse().ok().filter(|cosine| *cosine > 0.0 && *cosine <= 1.0).ok_or_else(|| "wanted a number above 0, at most 1".to_owned())
}

#[derive(Clone, Copy, ValueEnum)]
enum Measure {
    /// How gate strength is divided between decay, write and erase.
    Allocation,
    /// What the erase does to the read, at learned and counterfactual addresses.
    Collateral,
    /// How near erase and write directions are.
    Alignment,
    /// What can still be read back at its own write key.
    Recall,
    /// Cleanup strength against decay, with its nulls.
    Cleanup,
    /// How many directions a memory uses.
    Spectrum,
    /// What becomes of every write: surviving, decayed, erased, overwritten; by condition, role and age.
    Fate,
    /// Whether what decay, erase and write remove is what is stale.
    Targeting,
    /// What a memory's capacity is spent on: the ceiling of linear readouts, by role and age.
    Capacity,
    /// How much of a head's output an attention map explains: the exact one, and those of other tools.
    Attention,
}

/// Runs `pentimento measure`.
#[expect(clippy::needless_update, reason = "not every measure has options beside its statistics")]
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let trace = output::open_complete(&arguments.trace)?;
    let statistics = StatisticsOptions {
        resamples: arguments.resamples,
        permutations: arguments.resamples,
        seed: arguments.seed,
        ..StatisticsOptions::default()
    };
    macro_rules! measured {
        ($measure:ident, $options:ident $(, $truth:expr)?) => {
            measured!($measure(&trace, $(&$truth,)? &$options { statistics, ..$options::default() }))
        };
        ($found:expr) => {{
            let bar = output::spinner("measuring");
            let found = $found?;
            bar.finish_and_clear();
            if arguments.json {
                return output::json(&found);
            }
            output::line(&found.headline())?;
            found
        }};
    }
    let truth = || truth_of(&trace, arguments.likeness);
    let mut details = vec![];
    match arguments.measure {
        Measure::Allocation => drop(measured!(allocation, AllocationOptions)),
        Measure::Collateral => drop(measured!(collateral, CollateralOptions)),
        Measure::Alignment => drop(measured!(alignment, AlignmentOptions)),
        Measure::Recall => drop(measured!(recall, RecallOptions)),
        Measure::Cleanup => details = measured!(cleanup, CleanupOptions).details(),
        Measure::Spectrum => drop(measured!(spectrum, SpectrumOptions)),
        Measure::Fate => details = measured!(fate, FateOptions, truth()?).details(),
        Measure::Targeting => details = measured!(targeting, TargetingOptions, truth()?).details(),
        Measure::Capacity => drop(measured!(capacity, CapacityOptions, truth()?)),
        Measure::Attention => drop(measured!(explained(&trace, &statistics))),
    }
    if arguments.details { details.iter().try_for_each(|line| output::line(line)) } else { Ok(()) }
}

/// What is known of staleness in a trace: its truth table, unless another threshold is asked for or there is none.
pub fn truth_of(trace: &Trace, likeness: Option<f64>) -> anyhow::Result<Truth> {
    if let Some(threshold) = likeness {
        return Ok(Truth::KeyLikeness { threshold });
    }
    let examples: Option<Vec<Example>> = trace.labels()?;
    Ok(Truth::of_labels(examples.as_deref(), trace.n_steps()))
}
