//! Curves of many steps: the least and the largest of each pixel column, so that no peak is lost and no column is drawn twice.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2};

/// The values of some steps, `from` at the left edge of `rect` and `to` (left out) at its right, drawn between `low` (bottom) and
/// `high` (top).
pub struct Curve<'a> {
    /// One value a step; the first is step 0.
    pub values: &'a [f64],
    /// The steps shown, the end left out; fractions scroll smoothly.
    pub steps: [f64; 2],
    /// The value at the bottom and at the top.
    pub range: [f64; 2],
}

impl Curve<'_> {
    /// Place of a step's middle.
    pub fn across(&self, rect: Rect, step: f64) -> f32 {
        let [from, to] = self.steps;
        rect.left() + ((step + 0.5 - from) / (to - from)) as f32 * rect.width()
    }

    /// Place of a value.
    pub fn down(&self, rect: Rect, value: f64) -> f32 {
        let [low, high] = self.range;
        rect.bottom() - (((value - low) / (high - low)).clamp(0.0, 1.0) as f32) * rect.height()
    }

    /// Draws it. Gaps are where values are not finite.
    pub fn paint(&self, painter: &Painter, rect: Rect, ink: Color32, width: f32) {
        let last = self.values.len() as f64;
        let first = self.steps[0].floor().clamp(0.0, last) as usize;
        let end = self.steps[1].ceil().clamp(0.0, last) as usize;
        if first >= end {
            return;
        }
        let columns = (rect.width() * painter.pixels_per_point()).max(1.0) as usize;
        let points = if end - first > 2 * columns { self.extremes(rect, first..end, columns) } else { self.all(rect, first..end) };
        for run in points.split(|point| !point.y.is_finite()) {
            match run {
                [] => {}
                [one] => drop(painter.circle_filled(*one, width, ink)),
                run => drop(painter.add(Shape::line(run.to_vec(), Stroke::new(width, ink)))),
            }
        }
    }

    fn all(&self, rect: Rect, steps: std::ops::Range<usize>) -> Vec<Pos2> {
        steps.map(|step| pos2(self.across(rect, step as f64), self.down_or_nan(rect, self.values[step]))).collect()
    }

    fn extremes(&self, rect: Rect, steps: std::ops::Range<usize>, columns: usize) -> Vec<Pos2> {
        let per_column = steps.len() as f64 / columns as f64;
        let mut points = Vec::with_capacity(2 * columns);
        for column in 0..columns {
            let from = steps.start + (column as f64 * per_column) as usize;
            let to = (steps.start + ((column + 1) as f64 * per_column).ceil() as usize).min(steps.end);
            let finite = self.values[from..to].iter().copied().filter(|value| value.is_finite());
            let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
            let x = self.across(rect, (from + to - 1) as f64 / 2.0);
            if low > high {
                points.push(pos2(x, f32::NAN));
            } else {
                points.extend([pos2(x, self.down(rect, low)), pos2(x, self.down(rect, high))]);
            }
        }
        points
    }

    fn down_or_nan(&self, rect: Rect, value: f64) -> f32 {
        if value.is_finite() { self.down(rect, value) } else { f32::NAN }
    }
}
