//! `pentimento export`: a trace's streams for other programs.

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use crate::export::{ArrayForm, TableForm, trace_arrays, trace_scalars, write_arrays, write_table};
use crate::provenance::Provenance;

/// Arguments of `pentimento export`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento export eda.trace.zarr --format npz -o eda.npz
  pentimento export eda.trace.zarr --format csv -o gates.csv
  pentimento export eda.trace.zarr --format parquet -o gates.parquet
  pentimento export eda.trace.zarr --format safetensors --stream query,retention -o some.safetensors")]
pub struct Arguments {
    /// The trace.
    trace: PathBuf,
    /// csv and parquet: one row per layer, sequence, step and head with every gate and scalar; npz and safetensors: arrays.
    #[arg(long)]
    format: Format,
    /// Which streams, by name (`retention`) or path (`layer_00/retention`); default all. Not for csv and parquet.
    #[arg(long, value_delimiter = ',')]
    stream: Vec<String>,
    /// Where to write it.
    #[arg(short, long)]
    output: PathBuf,
    /// Replace the output if it exists.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Parquet,
    Npz,
    Safetensors,
}

/// Runs `pentimento export`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    output::refuse_existing(&arguments.output, arguments.force)?;
    anyhow::ensure!(
        !matches!(arguments.format, Format::Csv | Format::Parquet) || arguments.stream.is_empty(),
        "--stream chooses arrays; csv and parquet always hold every gate and scalar"
    );
    let trace = output::open_complete(&arguments.trace)?;
    let provenance = Provenance { made_from: trace.digest().map(str::to_owned).into_iter().collect(), ..Provenance::here("export") };
    let (path, force) = (&arguments.output, arguments.force);
    let written = match arguments.format {
        Format::Csv => write_table(&trace_scalars(&trace)?, TableForm::Csv, path, force, &provenance)?,
        Format::Parquet => write_table(&trace_scalars(&trace)?, TableForm::Parquet, path, force, &provenance)?,
        Format::Npz => write_arrays(&trace_arrays(&trace, &arguments.stream)?, ArrayForm::Npz, path, force, &provenance)?,
        Format::Safetensors => write_arrays(&trace_arrays(&trace, &arguments.stream)?, ArrayForm::Safetensors, path, force, &provenance)?,
    };
    written.iter().try_for_each(|path| output::line(&path.display().to_string()))
}
