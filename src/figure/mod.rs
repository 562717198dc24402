//! Figures for print: from measured structs to SVG, PDF and PNG, with the numbers and their origin beside them.
//!
//! One figure a file; [`Figure::ALL`] lists them.
//! A figure is made in three steps: `prepare` picks from a measured struct what is drawn (pure, no drawing), the prepared
//! struct draws itself into a [`Scene`](scene::Scene) ([`draw`] does both), and [`render`] prints the scene.
//! A window paints the same scene that is printed.
//! Nothing is computed here: every number comes from [`measure`](crate::measure) or from a readout.
//! The same spec and the same numbers give the same bytes in every format.

// Drawing knows nothing of measures, and measures nothing of drawing:
//   spec, colour, font, scene, scale -> axes, legend, density -> one file per figure -> svg -> print

pub mod accuracy;
pub mod alignment;
pub mod allocation;
pub mod angles;
pub mod atlas;
pub mod attention;
pub mod axes;
pub mod capacity;
pub mod calibration;
pub mod cleanup;
pub mod collateral;
pub mod colour;
pub mod density;
pub mod dose;
mod estimate;
pub mod fate;
pub mod font;
pub mod gates;
pub mod knockout;
pub mod legend;
pub mod life;
mod join;
mod list;
pub mod memory;
mod place;
pub mod print;
pub mod read;
pub mod readout;
pub mod recall;
mod rendered;
pub mod scale;
pub mod scene;
pub mod selectivity;
pub mod spec;
pub mod spectrum;
pub mod svg;
pub mod targeting;
pub mod training;
pub mod weights;

use serde::{Deserialize, Serialize};

use crate::export::Table;
use crate::provenance::{Provenance, digest_bytes};

pub use colour::Hues;
pub use colour::Theme;
pub use estimate::{Estimate, Labelled};
pub use list::{Data, Figure, Measured};
pub use rendered::Rendered;
pub use spec::{Along, FigureSpec, Format, Options, Panels, ReadIn, Shares, ShowMemory, Width};

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

/// Significant digits of printed tables.
const DIGITS: usize = 3;

/// What a figure draws: plain data, ready to be drawn, tabled or told.
trait Prepared {
    /// The figure in a sentence or two, for those who cannot see it.
    fn summary(&self) -> String;
    /// The numbers drawn.
    fn table(&self) -> Table;
    /// The drawing.
    fn draw(&self, spec: &FigureSpec) -> scene::Scene;
}

/// A figure before it is printed: what a window paints, tells and tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The figure.
    pub figure: Figure,
    /// Its title: the spec's, else the figure's own.
    pub title: String,
    /// The drawing, in points.
    pub scene: scene::Scene,
    /// Its text for those who cannot see it.
    pub summary: String,
    /// The numbers drawn.
    pub table: Table,
    /// The same as typed data.
    pub data: Data,
}

/// Draw what was measured.
pub fn draw(spec: &FigureSpec, measured: &Measured) -> Result<Drawn, FigureError> {
    if spec.figure != measured.figure() {
        return Err(FigureError::Mismatch { wanted: spec.figure.name(), measured: measured.figure().name() });
    }
    check(spec)?;
    Ok(finish(spec, measured.prepare(spec)?))
}

fn finish(spec: &FigureSpec, data: Data) -> Drawn {
    let title = spec.title.clone().unwrap_or_else(|| spec.figure.title().to_owned());
    Drawn { figure: spec.figure, title, scene: data.draw(spec), summary: data.summary(), table: data.table(), data }
}

/// A figure's JSON side-car: what was asked, by whom, and what was drawn.
///
/// With it a figure is drawn again at another width or in another theme, from its own numbers: [`SideCar::read`], then
/// [`SideCar::draw`].
#[derive(Debug, Clone, PartialEq)]
pub struct SideCar {
    /// The spec the figure was drawn with.
    pub spec: FigureSpec,
    /// Who made it, and from what.
    pub provenance: Provenance,
    /// Digest of the SVG document, which PDF and PNG are printed from.
    pub drawing: String,
    /// What was drawn.
    pub data: Data,
}

impl SideCar {
    /// Read `STEM.json` of a figure; says what is wrong with it otherwise.
    pub fn read(json: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Written {
            spec: FigureSpec,
            provenance: Provenance,
            drawing: String,
            data: serde_json::Value,
        }
        let Written { spec, provenance, drawing, data } = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let data = Data::read(spec.figure, data).map_err(|error| error.to_string())?;
        Ok(Self { spec, provenance, drawing, data })
    }

    /// Draw its numbers as another spec asks. What was picked when it was first drawn (axes, quantities) stays.
    pub fn draw(&self, spec: &FigureSpec) -> Result<Drawn, FigureError> {
        if spec.figure != self.spec.figure {
            return Err(FigureError::Mismatch { wanted: spec.figure.name(), measured: self.spec.figure.name() });
        }
        check(spec)?;
        Ok(finish(spec, self.data.clone()))
    }
}

/// Draw and print what was measured.
pub fn render(spec: &FigureSpec, measured: &Measured, provenance: &Provenance) -> Result<Rendered, FigureError> {
    draw(spec, measured)?.print(spec, provenance)
}

impl Drawn {
    /// Print in the forms that the spec asks for.
    pub fn print(self, spec: &FigureSpec, provenance: &Provenance) -> Result<Rendered, FigureError> {
        #[derive(Serialize)]
        struct Written<'a> {
            spec: &'a FigureSpec,
            provenance: &'a Provenance,
            summary: &'a str,
            drawing: String,
            data: &'a Data,
        }
        let Self { figure, title, scene, summary, table, data } = self;
        let svg = svg::write(&scene, &title, &summary)?;
        let asked = |format| spec.formats.contains(&format);
        let pdf = asked(Format::Pdf).then(|| print::pdf(&svg, &title, &summary)).transpose()?;
        let png = asked(Format::Png).then(|| print::png(&svg, spec.dots_per_inch, spec.theme)).transpose()?;
        let tex = asked(Format::Tex).then(|| table.latex(DIGITS));
        let md = asked(Format::Md).then(|| table.markdown(DIGITS));
        let drawing = digest_bytes(svg.as_bytes());
        let side_car = Written { spec, provenance, summary: &summary, drawing, data: &data };
        let json = serde_json::to_string_pretty(&side_car).expect("plain data serialises") + "\n";
        Ok(Rendered { figure, svg, pdf, png, tex, md, csv: table.csv(), json, keeps_svg: asked(Format::Svg), summary })
    }
}

fn check(spec: &FigureSpec) -> Result<(), FigureError> {
    let figure = spec.figure.name();
    let fault = |what: String| Err(FigureError::Spec { figure, what });
    if let Some(aspect) = spec.aspect.filter(|aspect| !(0.2..=3.0).contains(aspect)) {
        return fault(format!("aspect is {aspect}; give a number from 0.2 to 3"));
    }
    if !(36.0..=1200.0).contains(&spec.dots_per_inch) {
        return fault(format!("dots_per_inch is {}; give a number from 36 to 1200", spec.dots_per_inch));
    }
    if let Some(range) = spec.options.range.filter(|range| !(range.is_finite() && *range > 0.0)) {
        return fault(format!("range is {range}; give a number above 0"));
    }
    if spec.formats.is_empty() {
        return fault("formats is empty; name at least one of svg, pdf, png, tex, md".to_owned());
    }
    Ok(())
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
