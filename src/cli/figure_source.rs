//! What figures and tables are made of: traces, results, the JSON of other sub-commands, figures drawn before, training logs.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::figure_results::Opened;
use super::measure::truth_of;
use super::output;
use crate::figure::accuracy::Answers;
use crate::figure::calibration::Errors;
use crate::figure::training::TrainingLog;
use crate::figure::{Drawn, Figure, FigureError, FigureSpec, Labelled, Measured, Options, SideCar, draw};
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, FateOptions, HeadMap, HeadMeasure,
    HeadQuantity, LookFor, OneHead, Place, RecallOptions, Seen, SpectrumOptions, StatisticsOptions, TargetingOptions, alignment,
    allocation, behaviour, capacity, cleanup, collateral, explained, fate, head_directions, head_gates, head_maps, recall, spectrum,
    step_memories, targeting,
};
use crate::task::Example;
use crate::trace::{Answer, Trace};

/// One figure's numbers and the name of its files.
pub struct Part {
    pub stem: String,
    pub picture: Picture,
    /// Digests of the traces behind it.
    pub made_from: Vec<String>,
}

impl Part {
    const fn is_measured(&self) -> bool {
        matches!(self.picture, Picture::Measured(_))
    }
}

/// Numbers as measured, or as they were drawn before.
pub enum Picture {
    Measured(Box<Measured>),
    Drawn(Box<SideCar>),
}

impl Picture {
    pub fn draw(&self, spec: &FigureSpec) -> Result<Drawn, FigureError> {
        match self {
            Self::Measured(measured) => draw(spec, measured),
            Self::Drawn(side_car) => side_car.draw(spec),
        }
    }
}

/// An opened source.
pub struct Source {
    /// Its name in legends and file names.
    label: String,
    place: String,
    kind: Kind,
}

enum Kind {
    Trace(Box<Trace>),
    Opened(Opened),
    Calibration(Errors),
    SideCar(Box<SideCar>),
    /// What `pentimento measure --json` or `pentimento knockout --json` prints.
    Measure(Value),
    Log(TrainingLog),
}

impl Source {
    /// Opens a source under `label`, or under a name made of its path's.
    pub fn open(path: &Path, label: Option<&str>) -> anyhow::Result<Self> {
        let label = label.map_or_else(|| stem(path), str::to_owned);
        let place = path.display().to_string();
        let kind = open_kind(path, &label).with_context(|| place.clone())?;
        Ok(Self { label, place, kind })
    }

    /// What can be drawn of one kind, or why not and what to do.
    pub fn parts(&self, figure: Figure, options: &Options, models: &[String]) -> anyhow::Result<Vec<Part>> {
        if !models.is_empty() && !matches!(self.kind, Kind::Opened(_)) {
            bail!("--model chooses among the models of a results.json, which this is not: {}", self.place);
        }
        let one = |measured: Measured, made_from: Vec<String>| {
            let stem = format!("{}-{}", figure.name(), self.label);
            vec![Part { stem, picture: Picture::Measured(Box::new(measured)), made_from }]
        };
        let wrong = |what: &str| format!("{what} {} cannot make figure '{}'; {}", self.place, figure.name(), recipe(figure));
        match &self.kind {
            Kind::Trace(trace) => {
                let measured = of_trace(figure, trace, &self.label, options)?.with_context(|| wrong("the trace"))?;
                Ok(one(measured, trace.digest().map(str::to_owned).into_iter().collect()))
            }
            Kind::Opened(_) if matches!(figure, Figure::Training | Figure::Calibration) => bail!(wrong("the results of")),
            Kind::Opened(opened) => opened.parts(figure, options, models).with_context(|| self.place.clone()),
            Kind::Calibration(errors) if figure == Figure::Calibration => Ok(one(Measured::Calibration(errors.clone()), Vec::new())),
            Kind::Calibration(_) => bail!(wrong("the calibration")),
            Kind::Log(log) if figure == Figure::Training => {
                Ok(one(Measured::Training(vec![Labelled::new(&self.label, log.clone())]), Vec::new()))
            }
            Kind::Log(_) => bail!(wrong("the training log")),
            Kind::SideCar(side_car) if side_car.spec.figure == figure => {
                let picture = Picture::Drawn(side_car.clone());
                Ok(vec![Part { stem: self.label.clone(), picture, made_from: side_car.provenance.made_from.clone() }])
            }
            Kind::SideCar(side_car) => bail!(wrong(&format!("the figure '{}' of", side_car.spec.figure.name()))),
            Kind::Measure(value) => {
                let measured = Measured::read(figure, &self.label, value.clone()).with_context(|| wrong("the JSON of"))?;
                Ok(one(measured, Vec::new()))
            }
        }
    }

    /// The spec it was drawn with before, if it was.
    pub fn spec(&self) -> Option<&FigureSpec> {
        if let Kind::SideCar(side_car) = &self.kind { Some(&side_car.spec) } else { None }
    }

    /// What an experiment found.
    pub fn opened(&self) -> Option<&Opened> {
        if let Kind::Opened(opened) = &self.kind { Some(opened) } else { None }
    }
}

/// The parts of several sources: in one figure where it compares models, else one after the other.
pub fn gather(sources: &[&Source], figure: Figure, options: &Options, models: &[String]) -> anyhow::Result<Vec<Part>> {
    let parts = sources.iter().map(|source| source.parts(figure, options, models)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(join(parts.into_iter().flatten().collect(), figure))
}

/// Puts together what one figure can compare.
pub fn join(parts: Vec<Part>, figure: Figure) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for part in parts {
        let Some(Part { stem, picture: Picture::Measured(one), mut made_from }) =
            joined.pop_if(|last| last.is_measured() && part.is_measured())
        else {
            joined.push(part);
            continue;
        };
        let Picture::Measured(other) = part.picture else { unreachable!("it was looked at above") };
        let (one, rest) = one.join(*other);
        let picture = Picture::Measured(Box::new(one));
        if let Some(rest) = rest {
            joined.push(Part { stem, picture, made_from });
            joined.push(Part { picture: Picture::Measured(Box::new(rest)), ..part });
        } else {
            made_from.extend(part.made_from);
            joined.push(Part { stem: figure.name().to_owned(), picture, made_from });
        }
    }
    joined
}

fn open_kind(path: &Path, label: &str) -> anyhow::Result<Kind> {
    let log = if path.is_dir() { path.join("log.jsonl") } else { path.to_path_buf() };
    if log.extension().is_some_and(|extension| extension == "jsonl") && log.is_file() {
        let text = std::fs::read_to_string(&log)?;
        return Ok(Kind::Log(TrainingLog::read(&text).map_err(|fault| anyhow::anyhow!("not the log of a training: {fault}"))?));
    }
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(Kind::Trace(Box::new(output::open_complete(path)?)));
    }
    let text = std::fs::read_to_string(path).context("cannot read it")?;
    let value: Value = serde_json::from_str(&text).context("not JSON")?;
    let has = |name: &str| !value[name].is_null();
    if has("models") && has("spec") {
        return Opened::results(value).map(Kind::Opened);
    }
    if has("cards") {
        return Opened::cards(label, value).map(Kind::Opened);
    }
    if has("rates") {
        return Ok(Kind::Calibration(Errors::of_results(&value).context("not the results of a calibration of this version")?));
    }
    if has("spec") && has("data") {
        let side_car = SideCar::read(&text).map_err(|fault| anyhow::anyhow!("not a figure's JSON of this version: {fault}"))?;
        return Ok(Kind::SideCar(Box::new(side_car)));
    }
    Ok(Kind::Measure(value))
}

/// Measures a trace for a figure; `None` if a trace alone does not make it.
fn of_trace(figure: Figure, trace: &Trace, label: &str, options: &Options) -> anyhow::Result<Option<Measured>> {
    let truth = || truth_of(trace, None);
    macro_rules! labelled {
        ($variant:ident, $found:expr) => {
            Measured::$variant(vec![Labelled::new(label, $found?)])
        };
    }
    Ok(Some(match figure {
        Figure::Cleanup => Measured::Cleanup(Box::new(cleanup(trace, &CleanupOptions::default())?)),
        Figure::Allocation => Measured::Allocation(Box::new(allocation(trace, &AllocationOptions::default())?)),
        Figure::Collateral => labelled!(Collateral, collateral(trace, &CollateralOptions::default())),
        Figure::Alignment => labelled!(Alignment, alignment(trace, &AlignmentOptions::default())),
        Figure::Recall => labelled!(Recall, recall(trace, &RecallOptions::default())),
        Figure::Fate => labelled!(Fate, fate(trace, &truth()?, &FateOptions::default())),
        Figure::Targeting => labelled!(Targeting, targeting(trace, &truth()?, &TargetingOptions::default())),
        Figure::Capacity => labelled!(Capacity, capacity(trace, &truth()?, &CapacityOptions::default())),
        Figure::Attention => labelled!(Attention, explained(trace, &StatisticsOptions::default())),
        Figure::Spectrum => labelled!(Spectrum, spectrum(trace, &SpectrumOptions::default())),
        Figure::Atlas => labelled!(Atlas, quantities_of_heads(trace, &options.quantities)),
        Figure::Accuracy => {
            let examples: Vec<Example> = trace.labels()?.unwrap_or_default();
            let answers = Answer::of_trace(trace, &examples)?;
            let found = answers.and_then(|answers| behaviour(&examples, &answers, &StatisticsOptions::default()));
            labelled!(
                Accuracy,
                found.as_ref().map(Answers::from).context("the trace holds no answers: record it from a task with questions")
            )
        }
        Figure::Life | Figure::Read | Figure::Weights | Figure::Angles | Figure::Gates | Figure::Memory => {
            of_place(figure, trace, label, options)?
        }
        Figure::Readout | Figure::Selectivity | Figure::Training | Figure::Calibration | Figure::Dose | Figure::Knockout => {
            return Ok(None);
        }
    }))
}

/// The longest sequence of which the exact attention of every read is drawn: beyond it a page shows nothing of it.
const LONGEST_MATRIX: usize = 1024;

/// Measures one place of a trace.
fn of_place(figure: Figure, trace: &Trace, label: &str, options: &Options) -> anyhow::Result<Measured> {
    let looked_for = if matches!(figure, Figure::Life | Figure::Angles) { LookFor::Write } else { LookFor::Step };
    let place = options.place.of(trace, looked_for)?;
    let Place { layer, head, sequence, step, number } = place;
    let whole = || OneHead::read(trace, layer, head, sequence);
    macro_rules! seen {
        ($variant:ident, $found:expr) => {
            Measured::$variant(vec![Labelled::new(label, Seen::of(trace, place, $found)?)])
        };
    }
    Ok(match figure {
        Figure::Life => {
            let lives = whole()?.lives(step);
            anyhow::ensure!(number < lives.len(), "write {number} is out of range: a step writes {} times", lives.len());
            seen!(Life, lives.into_iter().nth(number).flatten())
        }
        Figure::Read => seen!(Read, whole()?.parts(trace, step)?),
        Figure::Weights => {
            let n_steps = trace.n_steps();
            anyhow::ensure!(
                n_steps <= LONGEST_MATRIX,
                "{n_steps} reads by as many writes are too many for a page (at most {LONGEST_MATRIX}): `pentimento figure read` takes one of them apart"
            );
            seen!(Weights, whole()?.attention())
        }
        Figure::Angles => {
            let examples: Option<Vec<Example>> = trace.labels()?;
            let example = examples.as_ref().and_then(|examples| examples.get(sequence));
            seen!(Angles, head_directions(trace, layer, head, sequence)?.angles(example, step))
        }
        Figure::Gates => seen!(Gates, head_gates(trace, layer, head, sequence)?),
        _ => seen!(Memory, step_memories(trace, layer, head, sequence, step)?),
    })
}

/// The quantities of each head, each measure run once.
fn quantities_of_heads(trace: &Trace, quantities: &[HeadQuantity]) -> anyhow::Result<Vec<HeadMap>> {
    let mut measures: Vec<HeadMeasure> = quantities.iter().map(|quantity| quantity.measure()).collect();
    measures.sort_unstable();
    measures.dedup();
    // Without an erase there is nothing to measure of it, and other quantities are still drawn.
    let has_erase = trace.layers().iter().any(|layer| layer.rule.has_erase());
    measures.retain(|measure| has_erase || !measure.needs_erase());
    let truth = truth_of(trace, None)?;
    let mut maps = Vec::new();
    for measure in measures {
        let found = head_maps(trace, &truth, measure, &StatisticsOptions::default())?;
        let wanted = |quantity: &HeadQuantity| found.iter().find(|map| map.quantity == *quantity).cloned();
        maps.extend(quantities.iter().filter_map(wanted));
    }
    Ok(maps)
}

/// The command that makes what a figure needs.
fn recipe(figure: Figure) -> String {
    let name = figure.name();
    let made = match figure {
        Figure::Readout | Figure::Selectivity => {
            "pentimento probe TRACE --target stale,current,never --json > cards.json` (the readout by age: `pentimento run`"
        }
        Figure::Dose => "pentimento knockout TRACE --model MODEL --json > effects.json",
        Figure::Knockout => "pentimento knockout TRACE --model MODEL --question 0 --json > answer.json",
        Figure::Training => "pentimento train SPEC.toml -o FOLDER",
        Figure::Calibration => "pentimento run examples/calibration.toml",
        _ => {
            return format!(
                "it is made from a trace: `pentimento figure {name} TRACE`, or `pentimento measure {name} TRACE --json > {name}.json`"
            );
        }
    };
    let made = if made.contains("(the") { format!("`{made})") } else { format!("`{made}`") };
    let source = match figure {
        Figure::Readout | Figure::Selectivity => "cards.json",
        Figure::Dose => "effects.json",
        Figure::Knockout => "answer.json",
        Figure::Training => "FOLDER",
        _ => "results.json",
    };
    format!("make what it needs with {made}, then `pentimento figure {name} {source}`")
}

/// `eda` of `folder/eda.trace.zarr`.
fn stem(path: &Path) -> String {
    let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    name.trim_end_matches(".json").trim_end_matches(".jsonl").trim_end_matches(".zarr").trim_end_matches(".trace").to_owned()
}
