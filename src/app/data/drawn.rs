//! Figures of open results, drawn for the screen.

use serde::{Deserialize, Serialize};

use crate::app::data::said;
use crate::app::jobs::{Ask, Progress};
use crate::app::open_results::{Content, OpenResults};
use crate::figure::{Drawn, FigureSpec, Theme, Width, draw};

/// The paper a figure is drawn for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paper {
    /// A column of two.
    #[default]
    Column,
    /// A text block of one column.
    Text,
    /// A page of two columns.
    Page,
}

impl Paper {
    /// All.
    pub const ALL: [Self; 3] = [Self::Column, Self::Text, Self::Page];

    /// As buttons say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Text => "text width",
            Self::Page => "page",
        }
    }

    /// The width of figures.
    pub const fn width(self) -> Width {
        match self {
            Self::Column => Width::Single,
            Self::Text => Width::Neurips,
            Self::Page => Width::Double,
        }
    }
}

/// A figure of open results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DrawnOf {
    /// Of which results.
    pub results: OpenResults,
    /// Which figure.
    pub figure: usize,
    /// For which paper.
    pub paper: Paper,
    /// Light ink on dark.
    pub dark: bool,
}

impl Ask for DrawnOf {
    type Answer = Drawn;

    fn title(&self) -> String {
        format!("drawing a figure of {}", self.results.name())
    }

    fn bytes(answer: &Drawn) -> usize {
        answer.scene.marks.len() * 96 + answer.table.rows.len() * answer.table.columns.len() * 32
    }

    fn answer(&self, _progress: &Progress) -> Result<Drawn, String> {
        let shown = self.results.figures().get(self.figure).ok_or("there is no such figure")?;
        let theme = if self.dark { Theme::Dark } else { Theme::Light };
        let spec = FigureSpec { width: self.paper.width(), theme, ..shown.spec.clone() };
        match (&shown.measured, self.results.content()) {
            (Some(measured), _) => draw(&spec, measured).map_err(said),
            (None, Content::Figure(car)) => car.draw(&spec).map_err(said),
            (None, _) => Err("nothing was measured for it".to_owned()),
        }
    }
}
