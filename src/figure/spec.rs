//! What the user asks of a figure.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Figure;
use super::colour::{Hues, Theme};
use crate::measure::{DecayAxis, HeadQuantity, Null, Strength, WantedPlace};

/// A figure as typed: the command line, a spec file and the window fill the same struct.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `figure` | | which figure, see [`Figure::ALL`] |
/// | `width` | `single` | width of the figure, see [`Width`] |
/// | `aspect` | the figure's own | height as a share of the width, 0.2 to 3 |
/// | `formats` | `svg`, `pdf`, `png` | which of these, and of `tex`, `md`: the numbers as a table |
/// | `dots_per_inch` | 300 | resolution of the PNG, 36 to 1200 |
/// | `theme` | `light` | `light`, `dark` or `grey` |
/// | `title` | none | a line above the figure |
/// | `options` | see [`Options`] | what the figure lets one choose |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSpec {
    /// Which figure.
    pub figure: Figure,
    /// Its width.
    #[serde(default)]
    pub width: Width,
    /// Height as a share of the width; the figure's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aspect: Option<f64>,
    /// The files to make.
    #[serde(default = "drawings")]
    pub formats: Vec<Format>,
    /// Resolution of the PNG.
    #[serde(default = "print_resolution")]
    pub dots_per_inch: f64,
    /// Colours of paper and ink.
    #[serde(default)]
    pub theme: Theme,
    /// A line above the figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the figure lets one choose.
    #[serde(default)]
    pub options: Options,
}

impl FigureSpec {
    /// The figure with every default.
    pub fn new(figure: Figure) -> Self {
        Self {
            figure,
            width: Width::default(),
            aspect: None,
            formats: drawings(),
            dots_per_inch: print_resolution(),
            theme: Theme::default(),
            title: None,
            options: Options::default(),
        }
    }

    /// Width and height in points; `aspect` is used where the spec has none.
    pub fn size(&self, aspect: f64) -> [f64; 2] {
        let width = self.width.points();
        [width, (width * self.aspect.unwrap_or(aspect) * 2.0).round() / 2.0]
    }
}

fn drawings() -> Vec<Format> {
    vec![Format::Svg, Format::Pdf, Format::Png]
}

fn print_resolution() -> f64 {
    300.0
}

/// A file form of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Vector, for the web and for editing.
    Svg,
    /// Vector, for LaTeX; fonts embedded.
    Pdf,
    /// Pixels, for slides and messages.
    Png,
    /// The numbers drawn as a LaTeX table with the rules of booktabs.
    Tex,
    /// The numbers drawn as a Markdown table.
    Md,
}

impl Format {
    /// How its files end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Pdf => "pdf",
            Self::Png => "png",
            Self::Tex => "tex",
            Self::Md => "md",
        }
    }
}

/// What can be chosen; a figure reads the fields that concern it.
///
/// | name | figures | default | purpose |
/// |---|---|---|---|
/// | `strength` | cleanup | `erase_strength` | the vertical axis |
/// | `decay` | cleanup | `mean_retention` | the horizontal axis |
/// | `nulls` | cleanup | `shuffled_strength`, `constant_strength` | the replays drawn as grey bands |
/// | `panels` | cleanup | `pooled` | all heads together, or the rank correlation inside each head |
/// | `marginals` | cleanup | true | histograms along the edges (pooled only) |
/// | `shares` | allocation | `stacked` | stacked areas or lines |
/// | `quantities` | atlas | mean retention, write strength, erase strength, erase-write cosine | what the cells are, see [`HeadQuantity`] |
/// | `along` | readout | `phase` | scores by phase of the step, or by steps since the content went stale |
/// | `place` | life, read, weights, angles, gates, memory | where something is to be seen first | layer, head, sequence, step, write |
/// | `of_read` | read | `weight` | weights of values, or parts of the output |
/// | `memory` | memory | `phases` | all phases, what each changed, or one phase |
/// | `hues` | weights, memory | `red_blue` | colours of signed values |
/// | `range` | weights, memory | the figure's own | where the colours end |
/// | `log_loss` | training | true | logarithmic loss axis |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Vertical axis of `cleanup`.
    pub strength: Strength,
    /// Horizontal axis of `cleanup`.
    pub decay: DecayAxis,
    /// Grey bands of `cleanup`.
    pub nulls: Vec<Null>,
    /// Panels of `cleanup`.
    pub panels: Panels,
    /// Histograms along the edges of `cleanup`.
    pub marginals: bool,
    /// Form of `allocation`.
    pub shares: Shares,
    /// Cells of `atlas`.
    pub quantities: Vec<HeadQuantity>,
    /// Horizontal axis of `readout`.
    pub along: Along,
    /// Which head, sequence and step a figure of one place is of.
    #[serde(skip_serializing_if = "is_default")]
    pub place: WantedPlace,
    /// What the bars of `read` are.
    #[serde(skip_serializing_if = "is_default")]
    pub of_read: ReadIn,
    /// Pictures of `memory`.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: ShowMemory,
    /// Colours of signed pictures.
    #[serde(skip_serializing_if = "is_default")]
    pub hues: Hues,
    /// Where the colours of signed pictures end, above 0; the figure's own end when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<f64>,
    /// Logarithmic loss in `training`.
    pub log_loss: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strength: Strength::EraseStrength,
            decay: DecayAxis::MeanRetention,
            nulls: vec![Null::ShuffledStrength, Null::ConstantStrength],
            panels: Panels::default(),
            marginals: true,
            shares: Shares::default(),
            quantities: vec![
                HeadQuantity::MeanRetention,
                HeadQuantity::WriteStrength,
                HeadQuantity::EraseStrength,
                HeadQuantity::AbsoluteCosine,
            ],
            along: Along::default(),
            place: WantedPlace::default(),
            of_read: ReadIn::default(),
            memory: ShowMemory::default(),
            hues: Hues::default(),
            range: None,
            log_loss: true,
        }
    }
}

/// How a figure is split into panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Panels {
    /// One panel for all layers and heads.
    #[default]
    Pooled,
    /// A small panel per layer, a place in it for each head.
    Heads,
}

/// What readouts are drawn along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Along {
    /// The phases of the step that supersedes the content.
    #[default]
    Phase,
    /// Steps since the content went stale, at the last phase.
    Age,
}

/// What is said of a write's part in a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadIn {
    /// A, the weight of the value in the output.
    #[default]
    Weight,
    /// A v.o / |o|^2, the part of the output: these sum to 1.
    Share,
}

impl ReadIn {
    /// The words of an axis.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Weight => "weight A",
            Self::Share => "part of the read",
        }
    }

    pub(super) const fn place(self) -> usize {
        match self {
            Self::Weight => 0,
            Self::Share => 1,
        }
    }
}

/// Which pictures of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowMemory {
    /// All four phases.
    #[default]
    Phases,
    /// What decay, erase and write changed.
    Changes,
    /// Before the step.
    Before,
    /// After decay.
    Decay,
    /// After the erase.
    Erase,
    /// After the write.
    Write,
}

/// How shares are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shares {
    /// Stacked to one.
    #[default]
    Stacked,
    /// One line each, with intervals.
    Lines,
}

/// The width of a figure: a preset's name or millimetres.
///
/// | name | points |
/// |---|---|
/// | `single`, `icml` | 234 |
/// | `double`, `icml-page` | 487.5 |
/// | `neurips` | 397.5 |
/// | `acl` | 219 |
/// | `acl-page` | 455 |
/// | a number, as `89` or `89mm` | millimetres, 30 to 500 |
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Width {
    /// A column of two (ICML).
    #[default]
    Single,
    /// A page (ICML).
    Double,
    /// The text block of NeurIPS.
    Neurips,
    /// A column of ACL.
    Acl,
    /// A page of ACL.
    AclPage,
    /// Millimetres.
    Millimetres(f64),
}

impl Width {
    /// The width in points (1/72 inch).
    pub fn points(self) -> f64 {
        match self {
            Self::Single => 234.0,
            Self::Double => 487.5,
            Self::Neurips => 397.5,
            Self::Acl => 219.0,
            Self::AclPage => 455.0,
            Self::Millimetres(millimetres) => (millimetres * 72.0 / 25.4 * 20.0).round() / 20.0,
        }
    }
}

impl std::fmt::Display for Width {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single => formatter.write_str("single"),
            Self::Double => formatter.write_str("double"),
            Self::Neurips => formatter.write_str("neurips"),
            Self::Acl => formatter.write_str("acl"),
            Self::AclPage => formatter.write_str("acl-page"),
            Self::Millimetres(millimetres) => write!(formatter, "{millimetres}mm"),
        }
    }
}

impl std::str::FromStr for Width {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = match text {
            "single" | "icml" => Some(Self::Single),
            "double" | "icml-page" => Some(Self::Double),
            "neurips" => Some(Self::Neurips),
            "acl" => Some(Self::Acl),
            "acl-page" => Some(Self::AclPage),
            _ => None,
        };
        let millimetres =
            || text.trim_end_matches("mm").trim().parse().ok().filter(|mm| (30.0..=500.0).contains(mm)).map(Self::Millimetres);
        named.or_else(millimetres).ok_or_else(|| {
            format!("width `{text}` is none of single, double, icml, icml-page, neurips, acl, acl-page, or millimetres from 30 to 500")
        })
    }
}

impl Serialize for Width {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Width {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Typed {
            Name(String),
            Number(f64),
        }
        let text = match Typed::deserialize(deserializer)? {
            Typed::Name(name) => name,
            Typed::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}
