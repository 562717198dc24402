//! `pentimento trace`: look into a trace.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use ndarray_npy::WriteNpyExt;

use super::output;
use crate::export::whole_file;
use crate::memory::Phase;
use crate::trace::{Info, Repair, Trace, info, repair, verify};

/// Arguments of `pentimento trace`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento trace info eda.trace.zarr
  pentimento trace state eda.trace.zarr --layer 0 --head 1 --step 40 -o state.npy")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What a trace holds and how far its recording came.
    #[command(after_help = "Example: pentimento trace info eda.trace.zarr")]
    Info {
        /// The trace.
        trace: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read every checksum and replay every memory from checkpoint to checkpoint.
    #[command(after_help = "Example: pentimento trace verify eda.trace.zarr")]
    Verify {
        /// The trace.
        trace: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a killed recording usable: keep its committed prefix, remove what was not committed.
    #[command(after_help = "Example: pentimento trace repair killed.trace.zarr")]
    Repair {
        /// The trace.
        trace: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write one memory [d_k, d_v] as a NumPy file.
    #[command(after_help = "Example: pentimento trace state eda.trace.zarr --layer 0 --head 1 --step 40 --phase erase -o state.npy")]
    State {
        /// The trace.
        trace: PathBuf,
        /// Layer (0-based, counted over all layers of the model).
        #[arg(long)]
        layer: usize,
        /// Head (0-based).
        #[arg(long)]
        head: usize,
        /// Step (0-based).
        #[arg(long)]
        step: usize,
        /// Sequence (0-based).
        #[arg(long, default_value_t = 0)]
        batch: usize,
        /// Moment within the step: before, decay, erase or write.
        #[arg(long, default_value = "write")]
        phase: Phase,
        /// Where to write it.
        #[arg(short, long)]
        output: PathBuf,
        /// Replace the output if it exists.
        #[arg(long)]
        force: bool,
    },
}

/// Runs `pentimento trace`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Info { trace, json } => {
            let found = info(&trace)?;
            if json { output::json(&found) } else { output::line(&info_text(&found)) }
        }
        Command::Verify { trace, json } => {
            let report = verify(&trace)?;
            if json {
                output::json(&report)?;
            } else {
                report.problems().iter().try_for_each(|problem| output::line(problem))?;
            }
            anyhow::ensure!(report.is_sound(), "the trace is damaged, see above: {}", trace.display());
            if json { Ok(()) } else { output::line("sound: every checksum holds, and every memory replays") }
        }
        Command::Repair { trace, json } => {
            let report = repair(&trace)?;
            if json { output::json(&report) } else { output::line(&repair_text(&report)) }
        }
        Command::State { trace, layer, head, step, batch, phase, output: file, force } => {
            output::refuse_existing(&file, force)?;
            let memory = Trace::open(trace)?.memory(layer, head, batch, step, phase)?;
            let mut bytes = Vec::new();
            memory.write_npy(&mut bytes)?;
            whole_file(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
            output::line(&format!("memory [d_k, d_v] = {:?}, phase {phase}: {}", memory.shape(), file.display()))
        }
    }
}

fn repair_text(repair: &Repair) -> String {
    let error = repair.max_replay_error.map_or(String::new(), |error| format!("; the largest replay error is {error:e}"));
    format!(
        "was {}, is {}: {} sequences of {} steps are there; {} leftover files removed{error}",
        repair.status_before,
        repair.status,
        repair.committed_batch,
        repair.committed_steps,
        repair.removed.len(),
    )
}

fn info_text(info: &Info) -> String {
    let attributes = &info.attributes;
    let mut text = format!(
        "{}: {}, {} sequences of {} steps, {:.1} MB\nmade by {} {} ({}): {}\n",
        info.name,
        attributes.status,
        attributes.committed_batch,
        attributes.committed_steps,
        info.bytes as f64 / 1e6,
        attributes.provenance.tool,
        attributes.provenance.version,
        attributes.provenance.revision,
        attributes.provenance.command,
    );
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["layer", "rule", "heads", "key heads", "d_k x d_v", "checkpoints", "replay error"]);
    for layer in &info.layers {
        let error = layer.max_replay_error.map_or("not checked".to_owned(), |error| format!("{error:e}"));
        let dims = layer.dims;
        let row = [layer.layer.to_string(), layer.rule.to_string(), dims.head.to_string(), dims.key_head.to_string()];
        table.add_row(row.into_iter().chain([format!("{} x {}", dims.d_k, dims.d_v), layer.checkpoints.to_string(), error]));
    }
    text.push_str(&table.to_string());
    text
}
