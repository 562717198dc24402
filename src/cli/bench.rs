//! `pentimento bench`: what this machine does.

use clap::ValueEnum;

use super::output;
use crate::{memory, trace};

/// Arguments of `pentimento bench`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento bench memory --json
  pentimento bench trace --json")]
pub struct Arguments {
    /// What to measure.
    name: Bench,
    /// Print compact JSON, for a program to read; without it the same JSON is laid out for people.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// The recurrence, with and without recording, beside what this machine can do at best.
    Memory,
    /// Recording to disk, and one memory read back at random.
    Trace,
}

/// Runs `pentimento bench`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.name {
        Bench::Memory => output::json(&memory::bench::run(&memory::bench::BenchOptions::default())),
        Bench::Trace => output::json(&trace::bench(std::env::temp_dir(), &trace::BenchOptions::default())?),
    }
}
