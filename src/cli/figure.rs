//! `pentimento figure`: a figure of a trace, or of an experiment's results.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use serde_json::Value;

use super::measure::truth_of;
use super::output;
use crate::figure::calibration::Errors;
use crate::figure::{Figure, FigureSpec, Format, Labelled, Measured, Options, Width, render};
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, DecayAxis, FateOptions, RecallOptions,
    SpectrumOptions, StatisticsOptions, Strength, TargetingOptions, alignment, allocation, capacity, cleanup, collateral, explained, fate,
    recall, spectrum, targeting,
};
use crate::provenance::Provenance;

/// Arguments of `pentimento figure`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pentimento figure cleanup eda.trace.zarr --width single -o figures/
  pentimento figure allocation eda.trace.zarr --format pdf --width neurips
  pentimento figure collateral pentimento-out/stale-facts/results.json --width acl")]
pub struct Arguments {
    /// Which figure: cleanup, allocation, collateral, alignment, recall, fate, targeting, capacity, readout,
    /// training, accuracy, dose, knockout, calibration.
    #[arg(value_parser = figure)]
    name: Figure,
    /// A trace, or the results.json of an experiment.
    source: PathBuf,
    /// Model of results.json (default: all that the figure can show together, else the first).
    #[arg(long)]
    model: Option<String>,
    /// File forms: svg, pdf, png.
    #[arg(long, value_delimiter = ',', default_value = "svg,pdf,png", value_parser = output::by_serde::<Format>)]
    format: Vec<Format>,
    /// single, double, neurips, acl, acl-page, or millimetres.
    #[arg(long, default_value = "single", value_parser = output::by_serde::<Width>)]
    width: Width,
    /// Vertical axis of `cleanup`: erase_strength, gate_share, removed_energy or unique_contribution.
    #[arg(long, default_value = "erase_strength", value_parser = output::by_serde::<Strength>)]
    strength: Strength,
    /// Horizontal axis of `cleanup`: mean_retention or window_retention.
    #[arg(long, default_value = "mean_retention", value_parser = output::by_serde::<DecayAxis>)]
    decay: DecayAxis,
    /// Folder of the files (default: here).
    #[arg(short, long, default_value = ".")]
    output: PathBuf,
    /// Replace files that are there already.
    #[arg(long)]
    force: bool,
}

fn figure(name: &str) -> Result<Figure, String> {
    Figure::named(name).ok_or_else(|| format!("known figures are {}", Figure::ALL.map(Figure::name).join(", ")))
}

/// Runs `pentimento figure`.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let file = format!("{}-{}", arguments.name.name(), stem(&arguments.source));
    let extensions = arguments.format.iter().map(|format| format.extension());
    for extension in extensions.chain(["csv", "json"]) {
        output::refuse_existing(&arguments.output.join(format!("{file}.{extension}")), arguments.force)?;
    }
    let bar = output::spinner("measuring");
    let (measured, digests) = match arguments.source.extension() {
        Some(extension) if extension == "json" => of_results(arguments.name, &arguments.source, arguments.model.as_deref())?,
        _ => of_trace(arguments.name, &arguments.source)?,
    };
    bar.finish_and_clear();
    let options = Options { strength: arguments.strength, decay: arguments.decay, ..Options::default() };
    let spec = FigureSpec { width: arguments.width, formats: arguments.format, options, ..FigureSpec::new(arguments.name) };
    let provenance = Provenance { made_from: digests, ..Provenance::here("figure") };
    let rendered = render(&spec, &measured, &provenance)?;
    let written = rendered.write(&arguments.output, &file, arguments.force).context("the figure was drawn but not written")?;
    output::line(&rendered.summary)?;
    written.iter().try_for_each(|path| output::line(&path.display().to_string()))
}

/// Measures a trace for a figure; with the trace's digest.
fn of_trace(figure: Figure, path: &Path) -> anyhow::Result<(Measured, Vec<String>)> {
    let (trace, label) = (output::open_complete(path)?, stem(path));
    let measured = match figure {
        Figure::Cleanup => Measured::Cleanup(Box::new(cleanup(&trace, &CleanupOptions::default())?)),
        Figure::Allocation => Measured::Allocation(Box::new(allocation(&trace, &AllocationOptions::default())?)),
        Figure::Collateral => Measured::Collateral(vec![Labelled::new(label, collateral(&trace, &CollateralOptions::default())?)]),
        Figure::Alignment => Measured::Alignment(vec![Labelled::new(label, alignment(&trace, &AlignmentOptions::default())?)]),
        Figure::Recall => Measured::Recall(vec![Labelled::new(label, recall(&trace, &RecallOptions::default())?)]),
        Figure::Fate => Measured::Fate(vec![Labelled::new(label, fate(&trace, &truth_of(&trace, None)?, &FateOptions::default())?)]),
        Figure::Targeting => {
            let found = targeting(&trace, &truth_of(&trace, None)?, &TargetingOptions::default())?;
            Measured::Targeting(vec![Labelled::new(label, found)])
        }
        Figure::Capacity => {
            let found = capacity(&trace, &truth_of(&trace, None)?, &CapacityOptions::default())?;
            Measured::Capacity(vec![Labelled::new(label, found)])
        }
        Figure::Attention => Measured::Attention(vec![Labelled::new(label, explained(&trace, &StatisticsOptions::default())?)]),
        Figure::Spectrum => Measured::Spectrum(vec![Labelled::new(label, spectrum(&trace, &SpectrumOptions::default())?)]),
        Figure::Readout
        | Figure::Selectivity
        | Figure::Atlas
        | Figure::Training
        | Figure::Accuracy
        | Figure::Calibration
        | Figure::Dose
        | Figure::Knockout => {
            bail!("figure '{}' is drawn by `pentimento run`, not from a trace alone", figure.name())
        }
    };
    Ok((measured, trace.digest().map(str::to_owned).into_iter().collect()))
}

/// Picks what an experiment measured for a figure; with the digests of the traces it was measured on.
fn of_results(figure: Figure, path: &Path, model: Option<&str>) -> anyhow::Result<(Measured, Vec<String>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let results: Value = serde_json::from_str(&text).with_context(|| format!("not a results.json: {}", path.display()))?;
    if figure == Figure::Calibration {
        let errors = Errors::of_results(&results).with_context(|| format!("not the results of a calibration: {}", path.display()))?;
        return Ok((Measured::Calibration(errors), Vec::new()));
    }
    let models = results["models"].as_array().with_context(|| format!("not the results of an experiment: {}", path.display()))?;
    let named = |entry: &Value| entry["name"].as_str().unwrap_or_default().to_owned();
    let chosen: Vec<&Value> =
        models.iter().filter(|entry| model.is_none_or(|model| named(entry) == model) && !entry[key(figure)].is_null()).collect();
    if chosen.is_empty() {
        let known: Vec<String> = models.iter().map(named).collect();
        bail!("no model of {} has a measured '{}' (models: {})", path.display(), figure.name(), known.join(", "));
    }
    let measured = match figure {
        Figure::Cleanup => Measured::Cleanup(Box::new(serde_json::from_value(chosen[0]["cleanup"].clone())?)),
        Figure::Allocation => Measured::Allocation(Box::new(serde_json::from_value(chosen[0]["allocation"].clone())?)),
        Figure::Collateral => Measured::Collateral(all(&chosen, figure)?),
        Figure::Alignment => Measured::Alignment(all(&chosen, figure)?),
        Figure::Recall => Measured::Recall(all(&chosen, figure)?),
        Figure::Dose => Measured::Dose(all(&chosen, figure)?),
        Figure::Knockout => Measured::Knockout(serde_json::from_value(chosen[0][key(figure)].clone())?),
        Figure::Fate => Measured::Fate(all(&chosen, figure)?),
        Figure::Targeting => Measured::Targeting(all(&chosen, figure)?),
        Figure::Capacity => Measured::Capacity(all(&chosen, figure)?),
        Figure::Attention => Measured::Attention(all(&chosen, figure)?),
        Figure::Spectrum => Measured::Spectrum(all(&chosen, figure)?),
        Figure::Readout | Figure::Selectivity | Figure::Atlas | Figure::Training | Figure::Accuracy | Figure::Calibration => {
            bail!("figure '{}' lies in the experiment's figures folder", figure.name())
        }
    };
    let digests = chosen.iter().filter_map(|entry| entry["trace_digest"].as_str().map(str::to_owned)).collect();
    Ok((measured, digests))
}

/// Where results.json keeps what a figure shows.
fn key(figure: Figure) -> &'static str {
    match figure {
        Figure::Dose => "erase_effects",
        Figure::Knockout => "accounts",
        other => other.name(),
    }
}

/// What was measured of each chosen model.
fn all<T: serde::de::DeserializeOwned>(chosen: &[&Value], figure: Figure) -> anyhow::Result<Vec<Labelled<T>>> {
    let one =
        |entry: &&Value| Ok(Labelled::new(entry["name"].as_str().unwrap_or_default(), serde_json::from_value(entry[key(figure)].clone())?));
    chosen.iter().map(one).collect()
}

/// `eda` of `folder/eda.trace.zarr`.
fn stem(path: &Path) -> String {
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    name.trim_end_matches(".json").trim_end_matches(".zarr").trim_end_matches(".trace").to_owned()
}
