//! Too many points to draw one by one: counts per cell, edges snapped so that panning does not shimmer.

use egui::{Color32, Painter, Rect};

use super::scene::picture;
use crate::app::theme::colour;
use crate::figure::colour::Gradient;
use crate::figure::density::Density;
use crate::figure::scale::Scale;

/// Side of a cell in screen points, about.
const CELL: f32 = 4.0;

/// Counts the points over a plotting area of this size on screen.
pub fn count(points: impl Iterator<Item = [f64; 2]>, area: Rect, x: Scale, y: Scale) -> Density {
    let cells = |length: f32| ((length / CELL) as usize).clamp(8, 400);
    Density::count(points, x, y, cells(area.width()), cells(area.height()))
}

/// Draws counts on a logarithmic scale; empty cells show what lies beneath.
pub fn paint(painter: &Painter, area: Rect, density: &Density, gradient: Gradient) {
    let scale = density.scale();
    let cell = |count: &u32| if *count == 0 { Color32::TRANSPARENT } else { colour(gradient.at(scale.place(f64::from(*count)))) };
    let cells: Vec<Color32> = density.counts.iter().map(cell).collect();
    painter.add(picture(area, density.columns, &cells));
}
