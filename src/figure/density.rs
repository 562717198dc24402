//! Many points as one layer: counts per small cell, coloured on a logarithmic scale.

use super::colour::{Colour, Gradient};
use super::scale::Scale;
use super::scene::{Rect, Scene};

/// Above this number, points are drawn as a density.
pub const MOST_POINTS: usize = 5_000;

/// Counts of points per cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    /// Cells across.
    pub columns: usize,
    /// Cells down.
    pub rows: usize,
    /// Points in each cell, row by row from the top.
    pub counts: Vec<u32>,
}

impl Density {
    /// Count points by their place on two scales. Points that are not finite are left out.
    pub fn count(points: impl Iterator<Item = [f64; 2]>, x: Scale, y: Scale, columns: usize, rows: usize) -> Self {
        let mut counts = vec![0; columns * rows];
        let cell = |place: f64, cells: usize| ((place * cells as f64) as usize).min(cells - 1);
        for [px, py] in points {
            let (px, py) = (x.place(px), y.place(py));
            if px.is_finite() && py.is_finite() {
                counts[cell(1.0 - py, rows) * columns + cell(px, columns)] += 1;
            }
        }
        Self { columns, rows, counts }
    }

    /// The scale of the counts: from 1 to the largest.
    pub fn scale(&self) -> Scale {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(10);
        Scale::Log { from: 1.0, to: f64::from(most) }
    }

    /// Draw the counts over a part of a panel; empty cells are paper, not holes: viewers that smooth pictures would draw an
    /// edge around a hole.
    pub fn draw(&self, scene: &mut Scene, rect: Rect, gradient: Gradient) {
        let scale = self.scale();
        let paper = scene.theme.paper();
        let colour = |count: &u32| -> Colour { if *count == 0 { paper } else { gradient.at(scale.place(f64::from(*count))) } };
        scene.picture(rect, self.columns, self.counts.iter().map(colour).collect());
    }
}
