//! Keys of series, notes, and colour bars.

use super::colour::{Colour, Gradient};
use super::scale::Scale;
use super::scene::{Anchor, HAIR, Marker, Rect, SMALL, Scene, text_width, wrapped};

const SWATCH: f64 = 13.0;
const POINT: f64 = 6.0;
const ROW: f64 = 9.5;
const BETWEEN: f64 = 8.0;
const NOTE_LINE: f64 = 1.25;

/// How a series looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Swatch {
    /// A line, maybe dashed, maybe with a marker.
    Line(Colour, Option<[f64; 2]>, Option<Marker>),
    /// A filled area with an edge.
    Fill(Colour),
    /// A band (first colour) around a line, maybe dashed.
    Band(Colour, Colour, Option<[f64; 2]>),
    /// A marker alone.
    Point(Colour, Marker),
}

/// A named swatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// What it stands for.
    pub label: String,
    /// How it looks.
    pub swatch: Swatch,
}

impl Key {
    /// A key.
    pub fn new(label: impl Into<String>, swatch: Swatch) -> Self {
        Self { label: label.into(), swatch }
    }

    fn swatch_width(&self) -> f64 {
        if matches!(self.swatch, Swatch::Point(..)) { POINT } else { SWATCH }
    }

    fn width(&self) -> f64 {
        self.swatch_width() + 3.0 + text_width(&self.label, SMALL)
    }
}

/// The height in points that [`draw`] will take within `width`.
pub fn height(keys: &[Key], width: f64) -> f64 {
    rows(keys, width).len() as f64 * ROW + if keys.is_empty() { 0.0 } else { 2.0 }
}

/// Draw keys in rows from the upper left corner of a strip `width` points wide.
pub fn draw(scene: &mut Scene, left: f64, top: f64, width: f64, keys: &[Key]) {
    let mut y = top + ROW / 2.0;
    for row in rows(keys, width) {
        let mut x = left;
        for key in row {
            draw_swatch(scene, x, y, key.swatch);
            let ink = scene.theme.ink();
            scene.text(&key.label, [x + key.swatch_width() + 3.0, y + SMALL * 0.36], SMALL, ink, Anchor::Start);
            x += key.width() + BETWEEN;
        }
        y += ROW;
    }
}

fn rows(keys: &[Key], width: f64) -> Vec<&[Key]> {
    let (mut rows, mut start, mut used) = (Vec::new(), 0, 0.0);
    for (index, key) in keys.iter().enumerate() {
        if index > start && used + key.width() > width {
            rows.push(&keys[start..index]);
            (start, used) = (index, 0.0);
        }
        used += key.width() + BETWEEN;
    }
    if start < keys.len() {
        rows.push(&keys[start..]);
    }
    rows
}

fn draw_swatch(scene: &mut Scene, x: f64, y: f64, swatch: Swatch) {
    let box_ = Rect::new(x + 1.0, y - 2.6, SWATCH - 2.0, 5.2);
    let middle = [x + SWATCH / 2.0, y];
    match swatch {
        Swatch::Line(colour, dash, marker) => {
            scene.dashed(&[[x, y], [x + SWATCH, y]], colour, 1.1, dash);
            if let Some(marker) = marker {
                scene.marker(marker, middle, 1.9, colour);
            }
        }
        Swatch::Fill(colour) => scene.cell(box_, colour),
        Swatch::Band(fill, line, dash) => {
            scene.cell(box_, fill);
            scene.dashed(&[[box_.left, y], [box_.right(), y]], line, 0.8, dash);
        }
        Swatch::Point(colour, marker) => scene.marker(marker, [x + POINT / 2.0, y], 2.2, colour),
    }
}

/// Sentences beneath a figure, broken into lines that fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    lines: Vec<String>,
}

impl Note {
    /// Break `text` into lines of at most `width` points.
    pub fn fit(text: &str, width: f64) -> Self {
        Self { lines: wrapped(text, SMALL, width) }
    }

    /// The height in points that it takes at the foot of a figure.
    pub fn height(&self) -> f64 {
        self.lines.len() as f64 * SMALL * NOTE_LINE + 2.0
    }

    /// Draw it, its last line just above `bottom`.
    pub fn draw(&self, scene: &mut Scene, left: f64, bottom: f64) {
        let quiet = scene.theme.quiet();
        for (n, line) in self.lines.iter().rev().enumerate() {
            scene.text(line, [left, bottom - 2.0 - n as f64 * SMALL * NOTE_LINE], SMALL, quiet, Anchor::Start);
        }
    }
}

/// Draw an upright colour bar with its scale; the label reads upwards at the right.
pub fn colour_bar(scene: &mut Scene, bar: Rect, scale: Scale, gradient: Gradient, label: &str) {
    let steps = 48;
    let height = bar.height / f64::from(steps);
    for step in 0..steps {
        let rect = Rect::new(bar.left, bar.bottom() - f64::from(step + 1) * height, bar.width, height);
        scene.cell(rect, gradient.at((f64::from(step) + 0.5) / f64::from(steps)));
    }
    let ink = scene.theme.ink();
    scene.outline(bar, ink, HAIR);
    let ticks = scale.ticks((bar.height / 22.0) as usize);
    let mut widest: f64 = 0.0;
    for tick in &ticks.major {
        let y = bar.bottom() - scale.place(tick.value) * bar.height;
        scene.line(&[[bar.right(), y], [bar.right() + 2.0, y]], ink, HAIR);
        scene.text(&tick.label, [bar.right() + 3.5, y + SMALL * 0.36], SMALL, ink, Anchor::Start);
        widest = widest.max(text_width(&tick.label, SMALL));
    }
    let place = [bar.right() + 3.5 + widest + 2.0 + SMALL, bar.top + bar.height / 2.0];
    scene.turned_text(label, place, SMALL, ink, Anchor::Middle);
}

/// Width in points that a colour bar's ticks and label take at its right.
pub fn colour_bar_room(scale: Scale, height: f64) -> f64 {
    let ticks = scale.ticks((height / 22.0) as usize);
    let widest = ticks.major.iter().map(|tick| text_width(&tick.label, SMALL)).fold(0.0, f64::max);
    3.5 + widest + 2.0 + SMALL * 1.3
}
