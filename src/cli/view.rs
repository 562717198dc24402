//! `pentimento view`: the desktop app.

use std::path::PathBuf;

use crate::app;

/// Arguments of `pentimento view`.
#[derive(clap::Args, Default)]
#[command(after_help = "Examples:
  pentimento view                                      bundled traces and recent files
  pentimento view eda.trace.zarr kda.trace.zarr        two traces, to compare
  pentimento view study/results.json                   what `pentimento run` found: figures, tables, cards
  pentimento view runs/eda-1                           a model (config.json, weights.safetensors), to type text into
  pentimento view study.pentimento                     a workspace")]
pub struct Arguments {
    /// Traces, models, results and workspaces to open; without any, the welcome screen, which offers the last session.
    paths: Vec<PathBuf>,
    /// Keep nothing of this session, and offer nothing of the last.
    #[arg(long)]
    fresh: bool,
    /// Width and height of the window in points.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<[f32; 2]>,
    /// Run a script of actions (one JSON value a line), then close: for tests and pictures.
    #[arg(long, hide = true)]
    script: Option<PathBuf>,
}

fn size(text: &str) -> Result<[f32; 2], String> {
    let parts = text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    let good = |size: &[f32; 2]| size.iter().all(|side| (320.0..=8192.0).contains(side));
    parts.filter(good).ok_or_else(|| "wanted WIDTHxHEIGHT from 320 to 8192, for example 1440x900".to_owned())
}

/// Runs `pentimento view`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { paths, fresh, size, script } = arguments;
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        anyhow::bail!("nothing is there to open: {}", missing.display());
    }
    Ok(app::run(app::Options { paths, script, size, fresh })?)
}
