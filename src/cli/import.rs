//! `pentimento import`: factors recorded elsewhere become a trace.

use std::path::PathBuf;

use super::output;
use crate::memory::{Device, Phase, Rule};
use crate::provenance::Provenance;
use crate::trace::{ImportOptions, OnExisting, import};

/// Arguments of `pentimento import`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento import factors.safetensors --rule eda -o mine.trace.zarr
  pentimento import factors.safetensors --rule eda --device cuda:0 --dense write -o mine.trace.zarr
The names and shapes of the tensors are those of a trace (see the README); examples/python/export_factors.py writes such a file.")]
pub struct Arguments {
    /// A safetensors file with one layer's factors, or several under `layer_00.`, `layer_01.` ...
    factors: PathBuf,
    /// The rule they belong to: eda, kda, gdn, deltanet, ...
    #[arg(long)]
    rule: Rule,
    /// Steps between two checkpoints.
    #[arg(long, default_value_t = 64, value_parser = output::at_least_one)]
    checkpoint_every: usize,
    /// Phases of which every memory is stored: before, decay, erase, write. Any memory can be replayed without it.
    #[arg(long, value_delimiter = ',')]
    dense: Vec<Phase>,
    /// What runs the recurrence: cpu, cuda:0, or cuda:0,1 to split sequences over cards.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Where to write the trace.
    #[arg(short, long)]
    output: PathBuf,
    /// Replace a trace that is there already.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `pentimento import`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let on_existing = if arguments.force { OnExisting::Replace } else { OnExisting::Refuse };
    let options = ImportOptions {
        checkpoint_every: arguments.checkpoint_every,
        on_existing,
        dense: arguments.dense.clone(),
        device: arguments.device.clone(),
        ..ImportOptions::new(Provenance::here("import"))
    };
    let imported = import(&arguments.factors, arguments.rule, &arguments.output, &options)?;
    if arguments.json {
        return output::json(&imported);
    }
    for layer in &imported.layers {
        let dims = layer.dims;
        output::line(&format!(
            "layer {}: {}, {} sequences of {} steps, {} heads of {} x {}",
            layer.layer, layer.rule, dims.batch, dims.step, dims.head, dims.d_k, dims.d_v
        ))?;
        for (name, norm) in &layer.norms {
            output::line(&format!("  {name}: norm {:.4} (from {:.4} to {:.4})", norm.mean, norm.min, norm.max))?;
        }
        for name in &layer.far_from_unit {
            output::line(&format!("  note: {name} strays from unit length by more than 2 %; it is taken as given"))?;
        }
        if let Some(difference) = layer.max_output_difference {
            output::line(&format!("  the file's own output differs from these factors' by at most {difference:e}"))?;
        }
    }
    output::line(&format!("trace: {}", arguments.output.display()))
}
