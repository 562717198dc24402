//! Figures for print: from measured structs to SVG, PDF and PNG, with the numbers and their origin beside them.
//!
//! One figure a file; [`Figure::ALL`] lists them.
//! A figure is made in three steps: `prepare` picks from a measured struct what is drawn (pure, no drawing), the prepared
//! struct draws itself into a [`Scene`](scene::Scene), and [`render`] writes the scene.
//! Nothing is computed here: every number comes from [`measure`](crate::measure) or from a readout.
//! The same spec and the same numbers give the same bytes in every format.

// Drawing knows nothing of measures, and measures nothing of drawing:
//   spec, colour, font, scene, scale -> axes, legend, density -> one file per figure -> svg -> print

pub mod accuracy;
pub mod alignment;
pub mod allocation;
pub mod axes;
pub mod capacity;
pub mod calibration;
pub mod cleanup;
pub mod collateral;
pub mod colour;
pub mod density;
pub mod dose;
pub mod fate;
pub mod font;
pub mod knockout;
pub mod legend;
pub mod print;
pub mod readout;
pub mod recall;
pub mod scale;
pub mod scene;
pub mod spec;
pub mod svg;
pub mod targeting;
pub mod training;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::export::{Table, Value};
use crate::intervene::AnswerAccount;
use crate::measure::{Alignment, Allocation, Capacity, Cleanup, Collateral, EraseEffects, Fate, Interval, Recall, Targeting};
use crate::provenance::Provenance;

pub use colour::Theme;
pub use spec::{FigureSpec, Format, Options, Panels, Shares, Width};

/// Why a figure could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// The spec asks for what cannot be drawn.
    #[error("figure `{figure}`: {what}")]
    Spec {
        /// The figure.
        figure: &'static str,
        /// What is wrong, and what to do.
        what: String,
    },
    /// There is nothing to draw.
    #[error("figure `{figure}`: {what}")]
    Empty {
        /// The figure.
        figure: &'static str,
        /// What is missing.
        what: String,
    },
    /// The numbers belong to another figure.
    #[error("figure `{wanted}` cannot draw what was measured for `{measured}`")]
    Mismatch {
        /// The figure asked for.
        wanted: &'static str,
        /// The figure that the numbers are for.
        measured: &'static str,
    },
    /// The drawing failed.
    #[error("the figure could not be drawn: {0}")]
    Draw(String),
    /// The drawing could not become PNG or PDF.
    #[error("the figure could not be printed: {0}")]
    Print(String),
    /// A file could not be written.
    #[error("cannot write the figure: {source}: {path}")]
    Write {
        /// The cause.
        source: std::io::Error,
        /// The file.
        path: String,
    },
    /// A file is there already.
    #[error("output exists: the figure is not overwritten without --force: {0}")]
    Exists(String),
}

/// The figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// The headline: cleanup strength against decay, with its nulls.
    Cleanup,
    /// How gate strength is divided between decay, write and erase.
    Allocation,
    /// What the erase does to the read, at learned and counterfactual addresses.
    Collateral,
    /// How near erase and write directions are.
    Alignment,
    /// What can be read back at its own write key, by lag.
    Recall,
    /// How well stale, current and never-written values can be decoded, by phase.
    Readout,
    /// Loss and accuracy while a model is trained.
    Training,
    /// Answers by condition: right ones, stale ones and foils.
    Accuracy,
    /// Answers with every erase strength scaled.
    Dose,
    /// What leaving out each single erase would do to an answer.
    Knockout,
    /// What becomes of every write: surviving, decayed, erased, overwritten.
    Fate,
    /// Whether what is removed is what is stale.
    Targeting,
    /// What a memory's capacity is spent on.
    Capacity,
    /// How often tests err where the truth is planted.
    Calibration,
}

impl Figure {
    /// All figures.
    pub const ALL: [Self; 14] = [
        Self::Cleanup,
        Self::Allocation,
        Self::Collateral,
        Self::Alignment,
        Self::Recall,
        Self::Readout,
        Self::Training,
        Self::Accuracy,
        Self::Dose,
        Self::Knockout,
        Self::Fate,
        Self::Targeting,
        Self::Capacity,
        Self::Calibration,
    ];

    /// Its name on the command line and in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cleanup => "cleanup",
            Self::Allocation => "allocation",
            Self::Collateral => "collateral",
            Self::Alignment => "alignment",
            Self::Recall => "recall",
            Self::Readout => "readout",
            Self::Training => "training",
            Self::Accuracy => "accuracy",
            Self::Dose => "dose",
            Self::Knockout => "knockout",
            Self::Fate => "fate",
            Self::Targeting => "targeting",
            Self::Capacity => "capacity",
            Self::Calibration => "calibration",
        }
    }

    /// A title for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cleanup => "Cleanup strength against decay",
            Self::Allocation => "Gate-strength allocation",
            Self::Collateral => "Collateral perturbation of the erase",
            Self::Alignment => "Erase-write alignment",
            Self::Recall => "Raw write-key recall",
            Self::Readout => "Linear readout by phase",
            Self::Training => "Training",
            Self::Accuracy => "Answers by condition",
            Self::Dose => "Dose-response of the erase",
            Self::Knockout => "Knockout maps of single erases",
            Self::Fate => "Fate of a write",
            Self::Targeting => "Targeting of stale content",
            Self::Capacity => "Capacity and ceiling",
            Self::Calibration => "Calibration of tests",
        }
    }

    /// The figure of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|figure| figure.name() == name)
    }
}

/// What was measured, for one figure. Figures that compare models take one labelled entry per model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measured {
    /// For [`Figure::Cleanup`].
    Cleanup(Box<Cleanup>),
    /// For [`Figure::Allocation`].
    Allocation(Box<Allocation>),
    /// For [`Figure::Collateral`].
    Collateral(Vec<Labelled<Collateral>>),
    /// For [`Figure::Alignment`].
    Alignment(Vec<Labelled<Alignment>>),
    /// For [`Figure::Recall`].
    Recall(Vec<Labelled<Recall>>),
    /// For [`Figure::Readout`].
    Readout(readout::Readouts),
    /// For [`Figure::Training`].
    Training(Vec<Labelled<training::TrainingLog>>),
    /// For [`Figure::Accuracy`].
    Accuracy(Vec<Labelled<accuracy::Answers>>),
    /// For [`Figure::Dose`].
    Dose(Vec<Labelled<EraseEffects>>),
    /// For [`Figure::Knockout`]: one answer each.
    Knockout(Vec<AnswerAccount>),
    /// For [`Figure::Fate`].
    Fate(Vec<Labelled<Fate>>),
    /// For [`Figure::Targeting`].
    Targeting(Vec<Labelled<Targeting>>),
    /// For [`Figure::Capacity`].
    Capacity(Vec<Labelled<Capacity>>),
    /// For [`Figure::Calibration`].
    Calibration(calibration::Errors),
}

impl Measured {
    /// The figure that draws it.
    pub const fn figure(&self) -> Figure {
        match self {
            Self::Cleanup(_) => Figure::Cleanup,
            Self::Allocation(_) => Figure::Allocation,
            Self::Collateral(_) => Figure::Collateral,
            Self::Alignment(_) => Figure::Alignment,
            Self::Recall(_) => Figure::Recall,
            Self::Readout(_) => Figure::Readout,
            Self::Training(_) => Figure::Training,
            Self::Accuracy(_) => Figure::Accuracy,
            Self::Dose(_) => Figure::Dose,
            Self::Knockout(_) => Figure::Knockout,
            Self::Fate(_) => Figure::Fate,
            Self::Targeting(_) => Figure::Targeting,
            Self::Capacity(_) => Figure::Capacity,
            Self::Calibration(_) => Figure::Calibration,
        }
    }
}

/// A measured struct with the name of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labelled<T> {
    /// As the legend says it.
    pub label: String,
    /// What was measured.
    pub measured: T,
}

impl<T> Labelled<T> {
    /// A measured struct with the name of its model.
    pub fn new(label: impl Into<String>, measured: T) -> Self {
        Self { label: label.into(), measured }
    }
}

/// A number with its interval, as drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower and upper end; absent where there are too few units for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Estimate {
    /// A number with its interval.
    pub const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, interval: Some([low, high]) }
    }

    /// The estimate and both ends, for the range of an axis.
    fn reach(&self) -> impl Iterator<Item = f64> + use<> {
        std::iter::once(self.value).chain(self.interval.into_iter().flatten())
    }

    /// Estimate, lower and upper end as three cells of a row.
    fn cells(estimate: Option<Self>) -> [Value; 3] {
        [estimate.map(|e| e.value).into(), estimate.and_then(|e| e.low()).into(), estimate.and_then(|e| e.high()).into()]
    }

    fn low(&self) -> Option<f64> {
        self.interval.map(|[low, _]| low)
    }

    fn high(&self) -> Option<f64> {
        self.interval.map(|[_, high]| high)
    }
}

impl From<&Interval> for Estimate {
    fn from(interval: &Interval) -> Self {
        Self { value: interval.estimate, interval: interval.bounds().map(|(low, high)| [low, high]) }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&scale::fixed(self.value, 2))?;
        match self.interval {
            Some([low, high]) => write!(formatter, " [{}, {}]", scale::fixed(low, 2), scale::fixed(high, 2)),
            None => Ok(()),
        }
    }
}

/// What a figure draws: plain data, ready to be drawn, tabled or told.
trait Prepared: Serialize {
    /// The figure in a sentence or two, for those who cannot see it.
    fn summary(&self) -> String;
    /// The numbers drawn.
    fn table(&self) -> Table;
    /// The drawing.
    fn draw(&self, spec: &FigureSpec) -> scene::Scene;
}

/// A finished figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The figure.
    pub figure: Figure,
    /// Its text for those who cannot see it.
    pub summary: String,
    /// The SVG document; it can stand inside HTML as it is.
    pub svg: String,
    /// The PDF, if the spec asks for it.
    pub pdf: Option<Vec<u8>>,
    /// The PNG, if the spec asks for it.
    pub png: Option<Vec<u8>>,
    /// The numbers drawn, as CSV.
    pub csv: String,
    /// The spec, the provenance, the summary and the numbers drawn, as JSON.
    pub json: String,
    keeps_svg: bool,
}

impl Rendered {
    /// Write `STEM.svg`, `.pdf`, `.png` (as the spec asks), `.csv` and `.json` into a directory, and return their paths.
    /// Nothing is written if one of them exists, unless `overwrite`.
    pub fn write(&self, directory: &Path, stem: &str, overwrite: bool) -> Result<Vec<PathBuf>, FigureError> {
        let svg = self.keeps_svg.then_some(self.svg.as_bytes());
        let files = [
            ("svg", svg),
            ("pdf", self.pdf.as_deref()),
            ("png", self.png.as_deref()),
            ("csv", Some(self.csv.as_bytes())),
            ("json", Some(self.json.as_bytes())),
        ];
        let files: Vec<(PathBuf, &[u8])> = files
            .into_iter()
            .filter_map(|(extension, bytes)| bytes.map(|bytes| (directory.join(format!("{stem}.{extension}")), bytes)))
            .collect();
        if let Some((path, _)) = files.iter().find(|(path, _)| !overwrite && path.exists()) {
            return Err(FigureError::Exists(path.display().to_string()));
        }
        let fault = |path: &Path| {
            let path = path.display().to_string();
            move |source| FigureError::Write { source, path }
        };
        std::fs::create_dir_all(directory).map_err(fault(directory))?;
        for (path, bytes) in &files {
            crate::export::whole_file(path, bytes).map_err(fault(path))?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}

/// Make a figure of what was measured.
pub fn render(spec: &FigureSpec, measured: &Measured, provenance: &Provenance) -> Result<Rendered, FigureError> {
    check(spec, measured)?;
    match measured {
        Measured::Cleanup(cleanup) => finish(spec, &cleanup::prepare(cleanup, spec)?, provenance),
        Measured::Allocation(allocation) => finish(spec, &allocation::prepare(allocation, spec)?, provenance),
        Measured::Collateral(models) => finish(spec, &collateral::prepare(models, spec)?, provenance),
        Measured::Alignment(models) => finish(spec, &alignment::prepare(models, spec)?, provenance),
        Measured::Recall(models) => finish(spec, &recall::prepare(models, spec)?, provenance),
        Measured::Readout(readouts) => finish(spec, &readout::prepare(readouts, spec)?, provenance),
        Measured::Training(models) => finish(spec, &training::prepare(models, spec)?, provenance),
        Measured::Accuracy(models) => finish(spec, &accuracy::prepare(models, spec)?, provenance),
        Measured::Dose(models) => finish(spec, &dose::prepare(models, spec)?, provenance),
        Measured::Knockout(accounts) => finish(spec, &knockout::prepare(accounts, spec)?, provenance),
        Measured::Fate(models) => finish(spec, &fate::prepare(models, spec)?, provenance),
        Measured::Targeting(models) => finish(spec, &targeting::prepare(models, spec)?, provenance),
        Measured::Capacity(models) => finish(spec, &capacity::prepare(models, spec)?, provenance),
        Measured::Calibration(errors) => finish(spec, &calibration::prepare(errors, spec)?, provenance),
    }
}

fn check(spec: &FigureSpec, measured: &Measured) -> Result<(), FigureError> {
    let figure = spec.figure.name();
    if spec.figure != measured.figure() {
        return Err(FigureError::Mismatch { wanted: figure, measured: measured.figure().name() });
    }
    let fault = |what: String| Err(FigureError::Spec { figure, what });
    if let Some(aspect) = spec.aspect.filter(|aspect| !(0.2..=3.0).contains(aspect)) {
        return fault(format!("aspect is {aspect}; give a number from 0.2 to 3"));
    }
    if !(36.0..=1200.0).contains(&spec.dots_per_inch) {
        return fault(format!("dots_per_inch is {}; give a number from 36 to 1200", spec.dots_per_inch));
    }
    if spec.formats.is_empty() {
        return fault("formats is empty; name at least one of svg, pdf, png".to_owned());
    }
    Ok(())
}

fn finish(spec: &FigureSpec, data: &impl Prepared, provenance: &Provenance) -> Result<Rendered, FigureError> {
    #[derive(Serialize)]
    struct SideCar<'a, T> {
        spec: &'a FigureSpec,
        provenance: &'a Provenance,
        summary: &'a str,
        data: &'a T,
    }
    let title = spec.title.as_deref().unwrap_or(spec.figure.title());
    let summary = data.summary();
    let svg = svg::write(&data.draw(spec), title, &summary)?;
    let asked = |format| spec.formats.contains(&format);
    let pdf = asked(Format::Pdf).then(|| print::pdf(&svg, title, &summary)).transpose()?;
    let png = asked(Format::Png).then(|| print::png(&svg, spec.dots_per_inch, spec.theme)).transpose()?;
    let side_car = SideCar { spec, provenance, summary: &summary, data };
    let json = serde_json::to_string_pretty(&side_car).expect("plain data serialises") + "\n";
    Ok(Rendered { figure: spec.figure, svg, pdf, png, csv: data.table().csv(), json, keeps_svg: asked(Format::Svg), summary })
}

/// Start a sheet of the spec's size; returns it with the room left under the title.
fn sheet(spec: &FigureSpec, aspect: f64) -> (scene::Scene, scene::Rect) {
    let [width, height] = spec.size(aspect);
    let mut sheet = scene::Scene::new(width, height, spec.theme);
    let mut room = sheet.inside(2.0);
    if let Some(title) = &spec.title {
        let ink = spec.theme.ink();
        sheet.text(title, [room.left, room.top + scene::NORMAL], scene::NORMAL, ink, scene::Anchor::Start);
        room = scene::Rect::new(room.left, room.top + 13.0, room.width, room.height - 13.0);
    }
    (sheet, room)
}

fn nothing(figure: Figure, what: &str) -> FigureError {
    FigureError::Empty { figure: figure.name(), what: what.to_owned() }
}
