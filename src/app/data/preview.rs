//! What a bundled trace has to show, before it is opened: for the welcome screen.

use std::path::PathBuf;

use crate::app::bundled;
use crate::app::data::{CleanupOf, said};
use crate::app::jobs::{Ask, Progress, Weight};
use crate::figure::{Drawn, Figure, FigureSpec, Measured, Theme, draw};

/// The headline of a bundled trace, measured here and now; records the trace if no earlier run has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PreviewOf {
    /// The bundled model's name.
    pub name: &'static str,
    /// Where recordings of bundled models are kept.
    pub folder: PathBuf,
    /// For which paper.
    pub theme: Theme,
}

impl Ask for PreviewOf {
    type Answer = Drawn;
    const WEIGHT: Weight = Weight::Heavy;

    fn title(&self) -> String {
        format!("a first look at {}", self.name)
    }

    fn bytes(answer: &Drawn) -> usize {
        answer.scene.marks.len() * 96
    }

    fn answer(&self, progress: &Progress) -> Result<Drawn, String> {
        let trace = bundled::open(self.name, &self.folder, progress)?;
        let cleanup = CleanupOf { trace, only: None }.answer(progress)?;
        let spec = FigureSpec { theme: self.theme, ..FigureSpec::new(Figure::Cleanup) };
        draw(&spec, &Measured::Cleanup(Box::new(cleanup))).map_err(said)
    }
}
