//! Colours of signed numbers about zero, and their bar.

use egui::{Color32, Painter, Rect};

use super::chart::SCALE;
use super::scene::{Placing, paint};
use crate::app::theme::colour;
use crate::figure::Theme;
use crate::figure::colour::Gradient;
use crate::figure::legend;
use crate::figure::scale::Scale;
use crate::figure::scene::Scene;

/// Signed numbers from -`largest` to `largest`, zero in the middle of the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signed {
    /// The number with the strongest colour.
    pub largest: f64,
    /// The colours.
    pub gradient: Gradient,
}

/// The colour of what is not a number: stands out from every gradient.
pub const NOT_A_NUMBER: Color32 = Color32::from_rgb(0xFF, 0x00, 0xD4);

impl Signed {
    /// A scale; a largest of zero is taken for one.
    pub fn new(largest: f64, gradient: Gradient) -> Self {
        Self { largest: if largest > 0.0 && largest.is_finite() { largest } else { 1.0 }, gradient }
    }

    /// All colours, from -`largest` to `largest`: a table is faster than the gradient for every entry of a matrix.
    pub fn table(&self) -> [Color32; 256] {
        std::array::from_fn(|index| colour(self.gradient.at(index as f64 / 255.0)))
    }

    /// The entry of the table for a number; `None` if it is not finite.
    pub fn index(&self, value: f32) -> Option<usize> {
        value.is_finite().then(|| ((f64::from(value) / self.largest * 127.5 + 127.5).round().clamp(0.0, 255.0)) as usize)
    }

    /// Draws the bar with its ticks at the left of `rect`.
    pub fn bar(&self, painter: &Painter, rect: Rect, theme: Theme, label: &str) {
        let placing = Placing { origin: rect.min, scale: SCALE };
        let mut scene = Scene::new(f64::from(rect.width() / SCALE), f64::from(rect.height() / SCALE), theme);
        let bar = crate::figure::scene::Rect::new(1.0, 3.0, 6.0, scene.height - 6.0);
        legend::colour_bar(&mut scene, bar, self.scale(), self.gradient, label);
        paint(painter, &scene, placing);
    }

    /// The width in screen points that [`bar`](Self::bar) takes.
    pub fn bar_room(&self, height: f32) -> f32 {
        (legend::colour_bar_room(self.scale(), f64::from(height / SCALE)) as f32 + 8.0) * SCALE
    }

    fn scale(&self) -> Scale {
        Scale::linear(-self.largest, self.largest)
    }
}
