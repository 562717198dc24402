//! A plotting area with its axes, and the marks that live on it.

use super::colour::Colour;
use super::scale::{Scale, Tick, Ticks};
use super::scene::{Anchor, HAIR, Marker, NORMAL, Place, Rect, SMALL, Scene, dash_of, text_width};

const TICK_LENGTH: f64 = 2.5;
const MINOR_TICK: f64 = 1.5;
const GAP: f64 = 2.0;
const LINE_HEIGHT: f64 = 1.2;

/// The height in points that the label of a horizontal axis takes.
pub const LABEL_ROOM: f64 = NORMAL * LINE_HEIGHT;

/// What stands around a plotting area; an empty text takes no room.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Above, at the left.
    pub title: String,
    /// Beneath the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis, reading upwards.
    pub y_label: String,
    /// Names along the horizontal axis instead of numbers; the n-th stands at n.
    pub x_names: Vec<String>,
    /// Names along the vertical axis instead of numbers; the n-th stands at n.
    pub y_names: Vec<String>,
    /// The horizontal axis carries no tick labels (a panel above another that has them).
    pub bare_x: bool,
    /// The vertical axis carries no tick labels.
    pub bare_y: bool,
    /// The least room left of the axis, in points, so that stacked panels align.
    pub least_left: f64,
}

/// A plotting area with a horizontal and a vertical scale.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The area inside the axes.
    pub area: Rect,
    /// The horizontal scale.
    pub x: Scale,
    /// The vertical scale.
    pub y: Scale,
    outer: Rect,
    x_ticks: Ticks,
    y_ticks: Ticks,
    frame: Frame,
}

impl Panel {
    /// Fit axes with their labels into `outer`.
    pub fn fit(outer: Rect, x: Scale, y: Scale, frame: Frame) -> Self {
        let y_ticks = ticks(y, &frame.y_names, vertical_ticks(outer.height));
        let left = left_room(&y_ticks, &frame).max(frame.least_left);
        let x_ticks = ticks(x, &frame.x_names, ((outer.width - left) / 34.0) as usize);
        let tick_labels = if frame.bare_x { 0.0 } else { TICK_LENGTH + GAP / 2.0 + SMALL * LINE_HEIGHT };
        let label = if frame.x_label.is_empty() { 0.0 } else { LABEL_ROOM };
        let title = if frame.title.is_empty() { SMALL / 2.0 } else { NORMAL * LINE_HEIGHT + GAP };
        // Half of the last tick label may stand beyond the end of the axis.
        let last = x_ticks.major.last();
        let overhang = last.map_or(0.0, |tick| text_width(&tick.label, SMALL) / 2.0 - (1.0 - x.place(tick.value)) * (outer.width - left));
        let right = overhang.max(1.0);
        let area = Rect::new(outer.left + left, outer.top + title, outer.width - left - right, outer.height - title - tick_labels - label);
        Self { area, x, y, outer, x_ticks, y_ticks, frame }
    }

    /// The room that axis labels take at the left; for [`Frame::least_left`].
    pub fn left_room(height: f64, y: Scale, frame: &Frame) -> f64 {
        left_room(&ticks(y, &frame.y_names, vertical_ticks(height)), frame)
    }

    /// Horizontal place of a number, in points.
    pub fn across(&self, x: f64) -> f64 {
        self.area.left + self.x.place(x) * self.area.width
    }

    /// Vertical place of a number, in points.
    pub fn down(&self, y: f64) -> f64 {
        self.area.bottom() - self.y.place(y) * self.area.height
    }

    /// The place of a pair of numbers.
    pub fn at(&self, x: f64, y: f64) -> Place {
        [self.across(x), self.down(y)]
    }

    /// Pale lines at the ticks of the vertical axis; draw them first.
    pub fn grid(&self, scene: &mut Scene) {
        let colour = scene.theme.grid();
        for tick in &self.y_ticks.major {
            let y = self.down(tick.value);
            scene.line(&[[self.area.left, y], [self.area.right(), y]], colour, HAIR);
        }
    }

    /// Axes, ticks, labels and title; draw them last.
    pub fn axes(&self, scene: &mut Scene) {
        let ink = scene.theme.ink();
        let Rect { left, top, .. } = self.area;
        let (right, bottom) = (self.area.right(), self.area.bottom());
        scene.line(&[[left, top], [left, bottom], [right, bottom]], ink, 0.6);
        for value in &self.x_ticks.minor {
            let x = self.across(*value);
            scene.line(&[[x, bottom], [x, bottom + MINOR_TICK]], ink, HAIR);
        }
        for value in &self.y_ticks.minor {
            let y = self.down(*value);
            scene.line(&[[left - MINOR_TICK, y], [left, y]], ink, HAIR);
        }
        let baseline = bottom + TICK_LENGTH + GAP / 2.0 + SMALL * 0.85;
        for tick in &self.x_ticks.major {
            let x = self.across(tick.value);
            scene.line(&[[x, bottom], [x, bottom + TICK_LENGTH]], ink, 0.6);
            if !self.frame.bare_x {
                scene.text(&tick.label, [x, baseline], SMALL, ink, Anchor::Middle);
            }
        }
        for tick in &self.y_ticks.major {
            let y = self.down(tick.value);
            scene.line(&[[left - TICK_LENGTH, y], [left, y]], ink, 0.6);
            if !self.frame.bare_y {
                scene.text(&tick.label, [left - TICK_LENGTH - GAP, y + SMALL * 0.36], SMALL, ink, Anchor::End);
            }
        }
        if !self.frame.x_label.is_empty() {
            let below = if self.frame.bare_x { bottom + TICK_LENGTH + NORMAL } else { baseline + GAP / 2.0 + NORMAL };
            // A label longer than its axis stays on the panel's tile.
            let size = if text_width(&self.frame.x_label, NORMAL) > self.outer.width { SMALL } else { NORMAL };
            let half = text_width(&self.frame.x_label, size) / 2.0;
            let middle = (left + self.area.width / 2.0).min(self.outer.right() - half).max(self.outer.left + half);
            scene.text(&self.frame.x_label, [middle, below], size, ink, Anchor::Middle);
        }
        if !self.frame.y_label.is_empty() {
            let room = if self.frame.bare_y { TICK_LENGTH } else { tick_room(&self.y_ticks) };
            let place = [left - room - GAP * 1.5 - NORMAL * 0.2, top + self.area.height / 2.0];
            scene.turned_text(&self.frame.y_label, place, NORMAL, ink, Anchor::Middle);
        }
        if !self.frame.title.is_empty() {
            scene.text(&self.frame.title, [left, top - GAP * 1.5], NORMAL, ink, Anchor::Start);
        }
    }

    /// A line through numbers.
    pub fn line(&self, scene: &mut Scene, points: &[[f64; 2]], colour: Colour, width: f64, dash: Option<[f64; 2]>) {
        let places: Vec<Place> = points.iter().map(|[x, y]| self.at(*x, *y)).collect();
        scene.dashed(&places, colour, width, dash);
    }

    /// A level line across the whole area.
    pub fn level(&self, scene: &mut Scene, y: f64, colour: Colour, dash: Option<[f64; 2]>) {
        scene.dashed(&[[self.area.left, self.down(y)], [self.area.right(), self.down(y)]], colour, 0.7, dash);
    }

    /// A filled band; each row is x, lower and upper.
    pub fn band(&self, scene: &mut Scene, rows: &[[f64; 3]], colour: Colour) {
        let lower: Vec<Place> = rows.iter().map(|row| self.at(row[0], row[1])).collect();
        let upper: Vec<Place> = rows.iter().map(|row| self.at(row[0], row[2])).collect();
        scene.band(&lower, &upper, colour);
    }

    /// An upright interval with short caps.
    pub fn interval(&self, scene: &mut Scene, x: f64, [low, high]: [f64; 2], colour: Colour, shift: f64) {
        let across = self.across(x) + shift;
        let (low, high) = (self.down(low), self.down(high));
        if ![low, high].iter().all(|v| v.is_finite()) {
            return;
        }
        scene.line(&[[across, low], [across, high]], colour, 0.8);
        for y in [low, high] {
            scene.line(&[[across - 1.4, y], [across + 1.4, y]], colour, 0.8);
        }
    }

    /// A lying interval with short caps.
    pub fn lying_interval(&self, scene: &mut Scene, [low, high]: [f64; 2], y: f64, colour: Colour) {
        let down = self.down(y);
        let (low, high) = (self.across(low), self.across(high));
        if ![low, high].iter().all(|v| v.is_finite()) {
            return;
        }
        scene.line(&[[low, down], [high, down]], colour, 0.8);
        for x in [low, high] {
            scene.line(&[[x, down - 1.4], [x, down + 1.4]], colour, 0.8);
        }
    }

    /// An upright line across the whole area.
    pub fn upright(&self, scene: &mut Scene, x: f64, colour: Colour, dash: Option<[f64; 2]>) {
        scene.dashed(&[[self.across(x), self.area.top], [self.across(x), self.area.bottom()]], colour, 0.7, dash);
    }

    /// A series: line, intervals and markers in the manner of the n-th series.
    pub fn series(&self, scene: &mut Scene, rows: &[SeriesPoint], index: usize, colour: Colour) {
        let points: Vec<[f64; 2]> = rows.iter().map(|row| [row.x, row.y]).collect();
        self.line(scene, &points, colour, 1.1, dash_of(index));
        for row in rows {
            if let Some(interval) = row.interval {
                self.interval(scene, row.x, interval, colour, 0.0);
            }
            scene.marker(Marker::of(index), self.at(row.x, row.y), 1.9, colour);
        }
    }
}

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesPoint {
    /// Horizontal number.
    pub x: f64,
    /// Vertical number.
    pub y: f64,
    /// Its interval, lower end first.
    pub interval: Option<[f64; 2]>,
}

/// How many labels a vertical axis of `height` points carries well.
fn vertical_ticks(height: f64) -> usize {
    ((height / 24.0) as usize).clamp(2, 6)
}

fn ticks(scale: Scale, names: &[String], wanted: usize) -> Ticks {
    if names.is_empty() {
        return scale.ticks(wanted);
    }
    let major = names.iter().enumerate().map(|(n, name)| Tick { value: n as f64, label: name.clone() });
    Ticks { major: major.collect(), minor: Vec::new() }
}

fn tick_room(ticks: &Ticks) -> f64 {
    TICK_LENGTH + GAP + ticks.major.iter().map(|tick| text_width(&tick.label, SMALL)).fold(0.0, f64::max)
}

fn left_room(ticks: &Ticks, frame: &Frame) -> f64 {
    let labels = if frame.bare_y { TICK_LENGTH } else { tick_room(ticks) };
    let label = if frame.y_label.is_empty() { 0.0 } else { GAP * 1.5 + NORMAL };
    labels + label
}
