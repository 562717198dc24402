//! The command line: arguments, progress and messages. The only module that prints.

#![expect(clippy::print_stderr, reason = "printing is this module's office")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod output;
mod disabled;
mod import;
mod trace;
mod ledger;
mod measure;
mod knockout;
mod export;
mod bench;
mod bench_gpu;
#[cfg(feature = "record")]
mod settings;
#[cfg(feature = "record")]
mod shared_out;

#[cfg(feature = "experiment")]
mod run;
#[cfg(not(feature = "experiment"))]
use disabled::experiment as run;
#[cfg(feature = "record")]
mod evaluate;
#[cfg(not(feature = "record"))]
use disabled::record as evaluate;
#[cfg(feature = "figure")]
mod table;
#[cfg(not(feature = "figure"))]
use disabled::figure as table;

#[cfg(feature = "record")]
mod bench_model;
#[cfg(not(feature = "record"))]
use disabled::bench_model;
#[cfg(feature = "record")]
mod model;
#[cfg(not(feature = "record"))]
use disabled::record as model;
#[cfg(feature = "record")]
mod record;
#[cfg(not(feature = "record"))]
use disabled::record;
#[cfg(feature = "record")]
mod train;
#[cfg(not(feature = "record"))]
use disabled::record as train;

#[cfg(feature = "record")]
mod network;
#[cfg(not(feature = "record"))]
use disabled::network;

#[cfg(feature = "probe")]
mod probe;
#[cfg(not(feature = "probe"))]
use disabled::probe;
#[cfg(feature = "probe")]
mod partial;
#[cfg(not(feature = "probe"))]
use disabled::probe as partial;

#[cfg(all(feature = "figure", feature = "experiment"))]
mod figure_results;
#[cfg(all(feature = "figure", not(feature = "experiment")))]
use disabled::figure_results;
#[cfg(feature = "figure")]
mod figure_source;
#[cfg(feature = "figure")]
mod figure_paper;
#[cfg(feature = "figure")]
mod figure;
#[cfg(not(feature = "figure"))]
use disabled::figure;

#[cfg(feature = "app")]
mod bench_app;
#[cfg(not(feature = "app"))]
use disabled::bench_app;
#[cfg(feature = "app")]
mod view;
#[cfg(not(feature = "app"))]
use disabled::app as view;

const EXAMPLES: &str = "Examples:
  pentimento                                        the desktop app, with bundled traces to begin with
  pentimento run                                    the bundled experiment on the bundled models
  pentimento record --model bundled:eda-stale-facts --task stale_facts -o eda.trace.zarr
  pentimento measure cleanup eda.trace.zarr
  pentimento trace state eda.trace.zarr --layer 0 --head 1 --step 40 -o state.npy";

/// See inside the memory of recurrent language models.
///
/// Record what a delta-rule memory decays, erases and writes at every step; measure it against its nulls; probe what stale
/// content is left; and report what was found and how sure it is.
#[derive(Parser)]
#[command(name = "pentimento", version, after_help = EXAMPLES, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Open the desktop app (also without any argument).
    View(view::Arguments),
    /// Run a probe experiment from its spec to its report (without a spec: the bundled `stale-facts`).
    Run(run::Arguments),
    /// Let models answer the further tasks of an experiment: accuracy and stale intrusion, at any length.
    Evaluate(evaluate::Arguments),
    /// Run a model over a task or a text and record its memory as a trace.
    Record(record::Arguments),
    /// Make a trace from factors recorded elsewhere (PyTorch, say).
    Import(import::Arguments),
    /// Look into a trace: info, verify, repair, state.
    Trace(trace::Arguments),
    /// Measure a trace: allocation, collateral, alignment, recall, cleanup, spectrum, fate, targeting, capacity.
    Measure(measure::Arguments),
    /// Link erase events to an answer: what each removed, and what would be said without it.
    Knockout(knockout::Arguments),
    /// Account for one head of one sequence: exact attention, removal shares, half-lives, targeting, ceiling.
    Ledger(ledger::Arguments),
    /// Fit linear readouts of stale, current and never-written content.
    Probe(probe::Arguments),
    /// Sum one part of a trace for a readout of all of it, on any machine.
    Stats(partial::StatsArguments),
    /// Merge partial sums, in any order, to the same bytes.
    Merge(partial::MergeArguments),
    /// Solve a readout from merged sums, with held-out scores by sequence.
    Solve(partial::SolveArguments),
    /// Draw a figure as SVG, PDF and PNG.
    Figure(figure::Arguments),
    /// Export a trace's streams: csv, parquet, npz, safetensors.
    Export(export::Arguments),
    /// Print a result's table: latex, md, csv.
    Table(table::Arguments),
    /// Train models from a spec.
    Train(train::Arguments),
    /// List model presets and bundled checkpoints.
    Models(model::ModelsArguments),
    /// Count a preset's parameters.
    Params(model::ParamsArguments),
    /// Measure this machine: memory, ledger, trace, probes, gpu; and attention maps against the exact one.
    Bench(bench::Arguments),
}

/// Runs the command line of this process. Exit code 0 is success, 1 an error, 2 wrong usage.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command.unwrap_or_else(|| Command::View(view::Arguments::default())) {
        Command::View(arguments) => view::run(arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Trace(arguments) => trace::run(arguments),
        Command::Measure(arguments) => measure::run(arguments),
        Command::Knockout(arguments) => knockout::run(arguments),
        Command::Ledger(arguments) => ledger::run(arguments),
        Command::Probe(arguments) => probe::run(arguments),
        Command::Stats(arguments) => partial::stats(arguments),
        Command::Merge(arguments) => partial::merge(arguments),
        Command::Solve(arguments) => partial::solve(arguments),
        Command::Figure(arguments) => figure::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Table(arguments) => table::run(arguments),
        Command::Train(arguments) => train::run(arguments),
        Command::Models(arguments) => model::models(arguments),
        Command::Params(arguments) => model::params(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::chain(&error));
            ExitCode::FAILURE
        }
    }
}
