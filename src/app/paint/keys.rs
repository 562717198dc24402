//! What the marks of a plot mean, in rows above it.

use egui::{Painter, Rect, vec2};

use super::chart::SCALE;
use super::scene::{Placing, paint};
use crate::figure::Theme;
use crate::figure::legend::{self, Key};
use crate::figure::scene::Scene;

/// The height in screen points that the keys take within `width`.
pub fn height(keys: &[Key], width: f32) -> f32 {
    legend::height(keys, f64::from(width / SCALE)) as f32 * SCALE
}

/// Draws the keys from the upper left corner of `rect` on.
pub fn draw(painter: &Painter, theme: Theme, rect: Rect, keys: &[Key]) {
    let mut scene = Scene::new(f64::from(rect.width() / SCALE), f64::from(rect.height() / SCALE), theme);
    let width = scene.width;
    legend::draw(&mut scene, 0.0, 0.0, width, keys);
    paint(&painter.with_clip_rect(rect.expand2(vec2(0.0, 2.0))), &scene, Placing { origin: rect.min, scale: SCALE });
}
