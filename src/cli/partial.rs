//! `pentimento stats`, `merge` and `solve`: a readout of more samples than one machine holds.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::output;
use crate::export::{ArrayForm, NamedArray, write_arrays};
use crate::memory::Phase;
use crate::readout::Feature;
use crate::readout::partial::{self, Control, Gaps, Part, PartialError, Plan, ReadAddress, StatsOptions};
use pentimento_probes::SummedRidge;

/// Arguments of `pentimento stats`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento stats --trace eda.trace.zarr --layer 1 --head 0 --lag 8 -o all.safetensors
  pentimento stats --trace eda.trace.zarr --layer 1 --head 0 --lag 8 --batch 0:32 --into parts
  pentimento stats --trace long.trace.zarr --lag 64 --steps 0:4096 -o part-0.safetensors

Parts cut at whole sequences, or at multiples of 256 steps, merge to the very bytes of one process.
A part that is there already is left as it is, so a retry is free.")]
pub struct StatsArguments {
    /// The trace.
    #[arg(long)]
    trace: PathBuf,
    /// The layer's number in the model.
    #[arg(long, default_value_t = 0)]
    layer: usize,
    /// The head.
    #[arg(long, default_value_t = 0)]
    head: usize,
    /// Steps between the write of the value that is read out and the sample.
    #[arg(long, default_value_t = 1)]
    lag: usize,
    /// What a readout sees: state (the whole memory) or read (the memory at one address).
    #[arg(long, default_value = "read", value_parser = output::by_serde::<Feature>)]
    feature: Feature,
    /// Where the feature `read` reads: own (the write direction of the value's step) or query (of the sample's step).
    #[arg(long, default_value = "own", value_parser = output::by_serde::<ReadAddress>)]
    address: ReadAddress,
    /// Phase of the sample's step: before, decay, erase, write.
    #[arg(long, default_value = "write")]
    phase: Phase,
    /// This part's steps, FROM:TO (default: the window).
    #[arg(long, value_parser = output::range)]
    steps: Option<Range<u64>>,
    /// This part's sequences as this trace numbers them, FROM:TO (default: all).
    #[arg(long, value_parser = output::range)]
    batch: Option<Range<u64>>,
    /// Steps that count as samples in every part, FROM:TO (default: all).
    #[arg(long, value_parser = output::range)]
    window: Option<Range<u64>>,
    /// Folds of sequences, for held-out scores.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed that deals sequences into folds.
    #[arg(long, default_value_t = 0)]
    fold_seed: u64,
    /// Control targets: exchanged (values of a neighbouring sequence at the same step) or none.
    #[arg(long, default_value = "exchanged", value_parser = output::by_serde::<Control>)]
    control: Control,
    /// Where to write the part.
    #[arg(short, long, required_unless_present = "into", conflicts_with = "into")]
    output: Option<PathBuf>,
    /// A folder to write it into, under a name that says what it is.
    #[arg(long)]
    into: Option<PathBuf>,
    /// Replace a file of other work that is there already.
    #[arg(long)]
    force: bool,
}

/// Arguments of `pentimento merge`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  pentimento merge parts/*.safetensors -o all.safetensors")]
pub struct MergeArguments {
    /// Parts of one piece of work, in any order.
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Where to write them together.
    #[arg(short, long)]
    output: PathBuf,
    /// Allow gaps: a later merge will bring the rest.
    #[arg(long)]
    partial: bool,
    /// Replace a file of other work that is there already.
    #[arg(long)]
    force: bool,
}

/// Arguments of `pentimento solve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento solve all.safetensors
  pentimento solve all.safetensors --penalties 1e-4,1e-2,1 --json > readout.json
  pentimento solve all.safetensors --weights weights.safetensors")]
pub struct SolveArguments {
    /// Merged sums.
    sums: PathBuf,
    /// Candidates for the ridge penalty, on features scaled to a mean variance of 1.
    #[arg(long, value_delimiter = ',')]
    penalties: Option<Vec<f64>>,
    /// Coverage of intervals.
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// Write the readout's weights [feature, target] and intercept here, as safetensors.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Replace the weights if they exist.
    #[arg(long)]
    force: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pentimento stats`.
pub fn stats(arguments: StatsArguments) -> anyhow::Result<()> {
    let trace = output::open_complete(&arguments.trace)?;
    let plan = Plan::new(
        &trace,
        &StatsOptions {
            layer: arguments.layer,
            head: arguments.head,
            lag: arguments.lag,
            feature: arguments.feature,
            address: arguments.address,
            phase: arguments.phase,
            window: arguments.window,
            folds: arguments.folds,
            fold_seed: arguments.fold_seed,
            control: arguments.control,
            batch: arguments.batch,
            steps: arguments.steps,
        },
    )?;
    let path = match (arguments.output, arguments.into) {
        (Some(path), _) => path,
        (None, into) => into.unwrap_or_default().join(plan.file_name()),
    };
    // A retry of a part that was made finds it made.
    if path.exists() && !arguments.force {
        let there = Part::read(&path).ok().filter(|there| there.spec() == plan.spec() && *there.coverage() == plan.coverage());
        let there = there.filter(|there| trace.digest().is_some_and(|digest| there.provenance().made_from == [digest]));
        let there = there.ok_or_else(|| PartialError::Exists(path.clone()))?;
        return output::line(&format!("{}: there already, {}", path.display(), held(&there)));
    }
    let bar = output::spinner("summing");
    let part = plan.run(|done, of| bar.set_message(format!("summing: {done} of {of} blocks")))?;
    bar.finish_and_clear();
    part.write(&path)?;
    output::line(&format!("{}: {}", path.display(), held(&part)))
}

/// Runs `pentimento merge`.
pub fn merge(arguments: MergeArguments) -> anyhow::Result<()> {
    let parts = arguments.parts.into_iter().map(|path| Part::read(&path).map(|part| (path, part))).collect::<Result<Vec<_>, _>>()?;
    let merged = partial::merge(parts, if arguments.partial { Gaps::Allowed } else { Gaps::Refused })?;
    let path = arguments.output;
    if path.exists() && !arguments.force && !Part::read(&path).is_ok_and(|there| there == merged) {
        return Err(PartialError::Exists(path).into());
    }
    merged.write(&path)?;
    output::line(&format!("{}: {}", path.display(), held(&merged)))
}

/// Runs `pentimento solve`.
pub fn solve(arguments: SolveArguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.weights {
        output::refuse_existing(path, arguments.force)?;
    }
    let defaults = SummedRidge::default();
    let options = SummedRidge { penalties: arguments.penalties.unwrap_or(defaults.penalties), level: arguments.level };
    let part = Part::read(&arguments.sums)?;
    if let Some(gap) = part.coverage().gap() {
        anyhow::bail!("{} has a gap: {gap}; merge the missing parts in first", arguments.sums.display());
    }
    let bar = output::spinner("solving");
    let solved = partial::solve(&part, &options)?;
    bar.finish_and_clear();
    if let Some(path) = &arguments.weights {
        write_weights(&solved, path, arguments.force)?;
    }
    if arguments.json {
        return output::json(&solved);
    }
    output::line(&solved.headline())?;
    output::line(&solved.path_table().to_markdown())?;
    solved.notes.iter().try_for_each(|note| output::line(&format!("note: {note}")))
}

fn write_weights(solved: &partial::Solved, path: &Path, force: bool) -> anyhow::Result<()> {
    let arrays = [
        NamedArray::f64("weights", &["feature", "target"], solved.weights.clone().into_dyn()),
        NamedArray::f64("intercept", &["target"], solved.intercept.clone().into_dyn()),
    ];
    write_arrays(&arrays, ArrayForm::Safetensors, path, force, &solved.provenance).context("the readout was solved but not written")?;
    Ok(())
}

/// What a part holds, for people.
fn held(part: &Part) -> String {
    format!("{} samples of {} ({} sums kept)", part.n_samples(), part.coverage(), part.n_sums())
}
