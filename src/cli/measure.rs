//! `pentimento measure`: a trace's numbers.

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use crate::measure::{
    AlignmentOptions, AllocationOptions, CleanupOptions, CollateralOptions, RecallOptions, SpectrumOptions, StatisticsOptions, alignment,
    allocation, cleanup, collateral, recall, spectrum,
};

/// Arguments of `pentimento measure`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento measure cleanup eda.trace.zarr
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
    /// Print everything as JSON instead of the finding in words.
    #[arg(long)]
    json: bool,
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
        ($measure:ident, $options:ident) => {{
            let bar = output::spinner("measuring");
            let found = $measure(&trace, &$options { statistics, ..$options::default() })?;
            bar.finish_and_clear();
            if arguments.json { output::json(&found) } else { output::line(&found.headline()) }
        }};
    }
    match arguments.measure {
        Measure::Allocation => measured!(allocation, AllocationOptions),
        Measure::Collateral => measured!(collateral, CollateralOptions),
        Measure::Alignment => measured!(alignment, AlignmentOptions),
        Measure::Recall => measured!(recall, RecallOptions),
        Measure::Cleanup => measured!(cleanup, CleanupOptions),
        Measure::Spectrum => measured!(spectrum, SpectrumOptions),
    }
}
