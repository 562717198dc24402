//! `pentimento bench`: what this machine does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{bench_app as app, bench_gpu, bench_model as model, output};
use crate::ledger;
use crate::measure::{Explained, StatisticsOptions, explained, random_heads};
use crate::memory::{self, Device, Dims, Rule};
use crate::trace;

/// Arguments of `pentimento bench`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento bench memory --json
  pentimento bench ledger --json
  pentimento bench trace --json
  pentimento bench attention --trace eda.trace.zarr how much of the output the exact attention and other tools' maps explain
  pentimento bench gpu --device cuda:0 --json
  pentimento bench gpu --parity                     every rule, and accounts, on the card beside the f64 reference
  python3 benches/peer_gpu.py                       (fla and PyTorch on the same card)
  pentimento bench model --device cuda:0            models and gradients on the card beside the CPU
  pentimento bench probes --rounds 3 --json
  python3 benches/peer_probes.py          (probes beside scikit-learn and PyTorch, on the same data, in one run)")]
pub struct Arguments {
    /// What to measure.
    name: Bench,
    /// attention: traces whose heads are taken beside random ones; may be repeated.
    #[arg(long, value_delimiter = ',')]
    trace: Vec<PathBuf>,
    /// probes: repetitions of each fit.
    #[arg(long, default_value_t = 3, value_parser = output::at_least_one)]
    rounds: usize,
    /// probes: only fits whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// probes: write the data there as .npy, for other tools to fit the same, and measure nothing.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print compact JSON, for a program to read; without it the same JSON is laid out for people.
    #[arg(long)]
    json: bool,
    /// gpu: compare with the reference instead of timing; exits with 1 if an error is beyond its bound.
    #[arg(long)]
    parity: bool,
    /// gpu, model: which card (model: also cpu).
    #[arg(long, default_value = "cuda:0")]
    device: Device,
    /// gpu --parity, model: what inputs are drawn from; drawn anew each run if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// gpu, app: leave out what takes long.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// The recurrence, with and without recording, beside what this machine can do at best.
    Memory,
    /// The account of one head: who wrote what it holds, and who removed it.
    Ledger,
    /// Recording to disk, and one memory read back at random.
    Trace,
    /// How much of a head's output an attention map explains: the exact one, and those of TransformerLens and candle-mi.
    Attention,
    /// The recurrence on an NVIDIA card, beside what the card can do at best.
    Gpu,
    /// Models and their gradients on --device, beside the same on the CPU: an error where rounding does not explain the difference.
    Model,
    /// The desktop app: opening a large trace, a frame of each panel, a scrub.
    App,
    /// Ridge and logistic readouts, and a readout of states that are never formed.
    Probes,
}

/// Runs `pentimento bench`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.name {
        Bench::Memory => output::json(&memory::bench::run(&memory::bench::BenchOptions::default())),
        Bench::Ledger => output::json(&ledger::bench::run(&ledger::bench::options())),
        Bench::Gpu => bench_gpu::run(&arguments.device, arguments.seed, arguments.parity, arguments.quick),
        Bench::Attention => attention(&arguments),
        Bench::Model => model::run(&arguments.device, arguments.seed.unwrap_or_else(fresh_seed), arguments.json),
        Bench::Trace => output::json(&trace::bench(std::env::temp_dir(), &trace::BenchOptions::default())?),
        Bench::App => app::run(arguments.quick, arguments.json),
        Bench::Probes => probes(&arguments),
    }
}

/// Rules of the random heads: those that the published maps are meant for, and the newest of the family.
const RANDOM_RULES: [Rule; 6] = [Rule::Gla, Rule::DeltaNet, Rule::Gdn, Rule::Kda, Rule::Rwkv7, Rule::Eda];
const RANDOM_HEADS: Dims = Dims { batch: 16, step: 256, key_head: 4, head: 4, d_k: 32, d_v: 32 };

fn attention(arguments: &Arguments) -> anyhow::Result<()> {
    let statistics = StatisticsOptions::default();
    let mut found = Vec::new();
    let bar = output::spinner("explaining");
    for rule in RANDOM_RULES {
        let heads = random_heads(rule, RANDOM_HEADS, arguments.seed.unwrap_or(0))?;
        found.push((format!("random {rule}"), explained(&heads, &statistics)?));
    }
    for path in &arguments.trace {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        found.push((name, explained(&output::open_complete(path)?, &statistics)?));
    }
    bar.finish_and_clear();
    if arguments.json {
        let named: BTreeMap<String, Explained> = found.into_iter().collect();
        return output::json(&named);
    }
    found.iter().try_for_each(|(name, explained)| output::line(&format!("{name}: {}", explained.headline())))
}

/// A seed nobody had before: what the standard library starts a hash table from.
pub(super) fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() >> 11 // so that every reader of JSON has it exactly
}

#[cfg(feature = "probe")]
fn probes(arguments: &Arguments) -> anyhow::Result<()> {
    use crate::readout::bench;
    if let Some(folder) = &arguments.data {
        return output::json(&bench::write_data(folder)?);
    }
    let bar = output::spinner("fitting");
    let rows = bench::run(&bench::BenchOptions { rounds: arguments.rounds, only: arguments.only.clone() }, |row| {
        bar.set_message(format!("{} ({}): {:.1} ms", row.case, row.precision, row.median_milliseconds));
    })?;
    bar.finish_and_clear();
    if arguments.json { output::line(&serde_json::to_string(&rows)?) } else { output::json(&rows) }
}

#[cfg(not(feature = "probe"))]
fn probes(_: &Arguments) -> anyhow::Result<()> {
    anyhow::bail!("this build has no `probe` feature, which the command needs: rebuild with `cargo build --release --features probe`")
}
