//! `pentimento run`: the main job.

use std::path::PathBuf;

use super::{output, settings};
use crate::experiment::{CalibrationSpec, Plan, STALE_FACTS, Spec, Stage, calibration_summary, run as run_plan, run_calibration, summary};
use crate::memory::Device;
use crate::spec_text;

/// Arguments of `pentimento run`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento run
  pentimento run --set sequences=64 --set readout.permutations=200 --out quick
  pentimento run examples/mine.toml
  pentimento run examples/calibration.toml          how often every test errs where the truth is planted")]
pub struct Arguments {
    /// The spec; without one, the bundled `stale-facts` on the bundled models.
    spec: Option<PathBuf>,
    /// Where everything goes (default: pentimento-out/NAME).
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where the models run: cpu, or cuda:N (a card).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Set a value of the spec: KEY=VALUE, the key dotted; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Replace an earlier output.
    #[arg(long)]
    force: bool,
    /// Print results.json instead of the summary.
    #[arg(long)]
    json: bool,
}

/// Runs `pentimento run`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (text, origin) = match &arguments.spec {
        Some(path) => (spec_text::text_of(path)?, path.display().to_string()),
        None => (STALE_FACTS.to_owned(), "the bundled spec".to_owned()),
    };
    let table: toml::Table = spec_text::parse(&text, &origin)?;
    if table.contains_key("calibration") {
        return calibrated(typed(&text, &origin, &arguments.set)?, arguments);
    }
    let spec: Spec = typed(&text, &origin, &arguments.set)?;
    let out = arguments.out.unwrap_or_else(|| PathBuf::from("pentimento-out").join(&spec.name));
    let plan = Plan::on(spec, &arguments.device)?;
    if !plan.left_out.is_empty() && !arguments.json {
        output::line(&format!("left out, as they are not here: {}", plan.left_out.join(", ")))?;
    }
    let bar = settings::progress(0, "");
    let results = run_plan(&plan, &out, arguments.force, |stage| match stage {
        Stage::Recording(name, done, total) => {
            bar.set_message(format!("recording {name} (tokens)"));
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
        Stage::Answering(name, task, length) => bar.set_message(format!("{name} answers {task} at {length} tokens")),
        Stage::Measuring(name, what) => bar.set_message(format!("measuring {name}: {what}")),
        Stage::Reading(name) => bar.set_message(format!("fitting readouts of {name}")),
        Stage::Writing => bar.set_message("drawing and writing"),
    })?;
    bar.finish_and_clear();
    if arguments.json {
        return output::json(&results);
    }
    output::line(&format!("{}\nReport: {}", summary(&results), out.join("report.html").display()))
}

/// The spec with what --set says.
fn typed<T: serde::de::DeserializeOwned>(text: &str, origin: &str, set: &[String]) -> anyhow::Result<T> {
    if set.is_empty() {
        // Read as text, so that an error can name the line.
        return Ok(spec_text::parse(text, origin)?);
    }
    let mut table: toml::Table = spec_text::parse(text, origin)?;
    for setting in set {
        settings::set(&mut table, setting)?;
    }
    Ok(spec_text::from_table(table, &format!("{origin} with --set"))?)
}

/// Runs a calibration of the tests themselves.
fn calibrated(spec: CalibrationSpec, arguments: Arguments) -> anyhow::Result<()> {
    if let Some(fault) = spec.calibration.fault() {
        anyhow::bail!("spec: {fault}");
    }
    let out = arguments.out.unwrap_or_else(|| PathBuf::from("pentimento-out").join(&spec.name));
    let bar = settings::progress(0, "");
    let found = run_calibration(&spec, &out, arguments.force, |family, done, total| {
        bar.set_message(family.to_owned());
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    if arguments.json {
        return output::json(&found);
    }
    output::line(&format!("{}\nReport: {}", calibration_summary(&found), out.join("report.html").display()))
}
