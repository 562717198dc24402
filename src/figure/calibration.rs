//! How often tests err where the truth is planted: error rates where there is nothing to find, power where there is.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel, SeriesPoint};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Prepared, nothing, sheet};
use crate::export::Table;

/// Error rates of tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// One per test, world and size of what was planted.
    pub rates: Vec<ErrorRate>,
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorRate {
    /// Tests that share their worlds.
    pub family: String,
    /// The test.
    pub test: String,
    /// The world.
    pub world: String,
    /// A practice that is not shipped, shown beside.
    pub naive: bool,
    /// What the test promises.
    pub nominal: f64,
    /// Size of what was planted; 0 is nothing.
    pub effect: f64,
    /// The rate with its interval.
    pub rate: Estimate,
}

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationData {
    /// Rates with nothing planted.
    pub rows: Vec<ErrorRate>,
    /// Power, a panel per family.
    pub power: Vec<PowerPanel>,
    /// All rates, for the table.
    #[serde(skip)]
    all: Vec<ErrorRate>,
}

/// Power of a family's tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerPanel {
    /// The family.
    pub family: String,
    /// The tests.
    pub series: Vec<PowerSeries>,
}

/// Power of one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerSeries {
    /// The test, and its world where the family has several.
    pub label: String,
    /// Whether it is naive.
    pub naive: bool,
    /// Effect and power.
    pub points: Vec<(f64, Estimate)>,
}

/// Series of a panel that can be told apart.
const MOST_SERIES: usize = 5;
/// Rates below are drawn here: the axis is logarithmic.
const LEAST: f64 = 0.005;

/// Pick what is drawn.
pub fn prepare(errors: &Errors, _spec: &FigureSpec) -> Result<CalibrationData, FigureError> {
    let rows: Vec<ErrorRate> = errors.rates.iter().filter(|row| row.effect == 0.0).cloned().collect();
    if rows.is_empty() {
        return Err(nothing(Figure::Calibration, "no test was run with nothing planted"));
    }
    let mut power: Vec<PowerPanel> = Vec::new();
    for row in errors.rates.iter().filter(|row| row.effect == 0.0) {
        let same = |other: &&ErrorRate| (&other.family, &other.test, &other.world) == (&row.family, &row.test, &row.world);
        let points: Vec<(f64, Estimate)> = errors.rates.iter().filter(same).map(|row| (row.effect, row.rate)).collect();
        if points.len() < 2 {
            continue;
        }
        let worlds = errors.rates.iter().filter(|other| other.family == row.family).any(|other| other.world != row.world);
        let label = if worlds { format!("{}, {}", row.test, row.world) } else { row.test.clone() };
        let series = PowerSeries { label, naive: row.naive, points };
        match power.iter_mut().find(|panel| panel.family == row.family) {
            Some(panel) => panel.series.push(series),
            None => power.push(PowerPanel { family: row.family.clone(), series: vec![series] }),
        }
    }
    // A naive test that errs anyway has no power worth the name.
    for panel in &mut power {
        panel.series.retain(|series| !series.naive);
        panel.series.truncate(MOST_SERIES);
    }
    power.retain(|panel| !panel.series.is_empty());
    Ok(CalibrationData { rows, power, all: errors.rates.clone() })
}

impl Prepared for CalibrationData {
    fn summary(&self) -> String {
        let liberal = |row: &&ErrorRate| row.rate.interval.is_some_and(|[low, _]| low > row.nominal);
        let shipped = self.rows.iter().filter(|row| !row.naive);
        let (n, above) = (shipped.clone().count(), shipped.filter(liberal).count());
        let naive: Vec<String> =
            self.rows.iter().filter(|row| row.naive).map(|row| format!("{} {:.0} %", row.test, 100.0 * row.rate.value)).collect();
        format!(
            "Error rates with nothing planted: {} of {n} shipped tests err no more often than they promise, {above} more often. Naive practice beside them: {}.",
            n - above,
            if naive.is_empty() { "none".to_owned() } else { naive.join("; ") }
        )
    }

    fn table(&self) -> Table {
        let columns = ["family", "test", "world", "standing", "effect", "nominal", "rate", "rate_low", "rate_high"];
        let mut table = Table::new("Rates of errors (effect 0) and of findings (above)", &columns);
        for row in &self.all {
            let standing = if row.naive { "naive" } else { "shipped" };
            let names = [row.family.as_str(), &row.test, &row.world, standing];
            let numbers = [row.effect.into(), row.nominal.into()];
            table.push(names.into_iter().map(Into::into).chain(numbers).chain(Estimate::cells(Some(row.rate))).collect());
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points();
        let wide = width > 300.0;
        let columns = if wide { 2 } else { 1 };
        let panel_rows = self.power.len().div_ceil(columns);
        let most = self.power.iter().map(|panel| panel.series.len()).max().unwrap_or(0);
        let (row_height, panel_height) = (8.6, 96.0 + 9.5 * most as f64);
        let lower = panel_rows as f64 * panel_height;
        let upper = self.rows.len() as f64 * row_height + 44.0;
        let (mut scene, room) = sheet(spec, (upper + lower + 18.0) / width);
        // What the spec's own aspect leaves is shared out in the same proportion.
        let share = room.height / (upper + lower);
        self.draw_errors(&mut scene, Rect::new(room.left, room.top, room.width, upper * share));
        let below = Rect::new(room.left, room.top + upper * share + 4.0, room.width, lower * share - 4.0);
        if panel_rows > 0 {
            for (panel, tile) in self.power.iter().zip(below.tiles(columns, panel_rows, [14.0, 4.0])) {
                draw_power(&mut scene, tile, panel);
            }
        }
        scene
    }
}

impl CalibrationData {
    fn draw_errors(&self, scene: &mut Scene, room: Rect) {
        let (shipped, naive) = (category(0), category(1));
        let keys = [
            Key::new("shipped", Swatch::Point(shipped, Marker::Disc)),
            Key::new("naive practice", Swatch::Point(naive, Marker::Diamond)),
            Key::new("what is promised", Swatch::Line(scene.theme.quiet(), dash_of(1), None)),
        ];
        let top = legend::height(&keys, room.width);
        legend::draw(scene, room.left, room.top, room.width, &keys);
        let n = self.rows.len();
        let label = |row: &ErrorRate| if room.width > 300.0 { format!("{} ({})", row.test, row.world) } else { row.test.clone() };
        let frame = Frame {
            x_label: "rate of errors where nothing is planted (99 % intervals)".to_owned(),
            // The first row on top.
            y_names: self.rows.iter().rev().map(label).collect(),
            ..Frame::default()
        };
        let area = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let panel = Panel::fit(area, Scale::Log { from: LEAST, to: 1.0 }, Scale::linear(-0.7, n as f64 - 0.3), frame);
        panel.grid(scene);
        let mut promises: Vec<f64> = self.rows.iter().map(|row| row.nominal).collect();
        promises.sort_by(f64::total_cmp);
        promises.dedup();
        // The usual promise as a line, others as a tick in their row.
        let usual = promises.iter().copied().max_by_key(|promise| self.rows.iter().filter(|row| row.nominal == *promise).count());
        let quiet = scene.theme.quiet();
        if let Some(usual) = usual {
            panel.upright(scene, usual, quiet, dash_of(1));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = (n - 1 - index) as f64;
            let (colour, marker) = if row.naive { (naive, Marker::Diamond) } else { (shipped, Marker::Disc) };
            if usual.is_some_and(|usual| usual != row.nominal) {
                scene.line(&[panel.at(row.nominal, y - 0.45), panel.at(row.nominal, y + 0.45)], quiet, 1.1);
            }
            if let Some([low, high]) = row.rate.interval {
                panel.lying_interval(scene, [low.max(LEAST), high.max(LEAST)], y, colour);
            }
            scene.marker(marker, panel.at(row.rate.value.max(LEAST), y), 2.0, colour);
        }
        panel.axes(scene);
    }
}

fn draw_power(scene: &mut Scene, tile: Rect, panel: &PowerPanel) {
    let keys: Vec<Key> = panel
        .series
        .iter()
        .enumerate()
        .map(|(n, series)| Key::new(&series.label, Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
        .collect();
    let top = legend::height(&keys, tile.width);
    legend::draw(scene, tile.left, tile.top, tile.width, &keys);
    let largest = panel.series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).fold(0.0, f64::max);
    let frame = Frame {
        x_label: "planted effect".to_owned(),
        y_label: "share that finds it".to_owned(),
        title: panel.family.clone(),
        ..Frame::default()
    };
    let area = Rect::new(tile.left, tile.top + top, tile.width, tile.height - top);
    let drawn = Panel::fit(area, Scale::linear(0.0, largest.max(0.1)), Scale::linear(0.0, 1.0), frame);
    drawn.grid(scene);
    for (n, series) in panel.series.iter().enumerate() {
        let points: Vec<SeriesPoint> =
            series.points.iter().map(|(x, power)| SeriesPoint { x: *x, y: power.value, interval: power.interval }).collect();
        drawn.series(scene, &points, n, category(n));
    }
    drawn.axes(scene);
}
