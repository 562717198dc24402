//! How often tests err where the truth is planted: error rates where there is nothing to find, power where there is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::axes::{Frame, Panel, SeriesPoint};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, dash_of, text_width};
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

impl Errors {
    /// From the `results.json` of a calibration; `None` if it is not one.
    pub fn of_results(results: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let one = |rate: &Value| {
            let case = &rate["case"];
            Some(ErrorRate {
                family: text(&rate["family"])?,
                test: text(&case["test"])?,
                world: text(&case["world"])?,
                naive: case["standing"] == "naive",
                nominal: case["nominal"].as_f64()?,
                effect: rate["effect"].as_f64()?,
                rate: Estimate::new(rate["rate"].as_f64()?, rate["low"].as_f64()?, rate["high"].as_f64()?),
            })
        };
        let rates = results["rates"].as_array()?.iter().map(one).collect::<Option<Vec<_>>>()?;
        Some(Self { rates })
    }
}

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationData {
    /// Rates with nothing planted.
    pub rows: Vec<ErrorRate>,
    /// Power, a panel per family.
    pub power: Vec<PowerPanel>,
    /// All rates, for the table.
    pub all: Vec<ErrorRate>,
}

/// Power of a family's tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PowerPanel {
    /// The family.
    pub family: String,
    /// The tests.
    pub series: Vec<PowerSeries>,
}

/// Power of one test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
        // The world is named where the test is run in several.
        let is_alone =
            errors.rates.iter().filter(|other| other.family == row.family && other.test == row.test).all(|other| other.world == row.world);
        let label = if is_alone { row.test.clone() } else { format!("{}, {}", row.test, row.world) };
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
        let (row_height, panel_height) = (16.0, 96.0 + 9.5 * most as f64);
        let lower = panel_rows as f64 * panel_height;
        let upper = self.rows.len().div_ceil(columns) as f64 * row_height + 44.0;
        let (mut scene, room) = sheet(spec, (upper + lower + 18.0) / width);
        // What the spec's own aspect leaves is shared out in the same proportion.
        let share = room.height / (upper + lower);
        self.draw_errors(&mut scene, Rect::new(room.left, room.top, room.width, upper * share), columns);
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
    fn draw_errors(&self, scene: &mut Scene, room: Rect, columns: usize) {
        let (shipped, naive, quiet) = (category(0), category(1), scene.theme.quiet());
        let keys = [
            Key::new("shipped", Swatch::Point(shipped, Marker::Disc)),
            Key::new("naive practice", Swatch::Point(naive, Marker::Diamond)),
            Key::new("what is promised", Swatch::Line(quiet, dash_of(1), None)),
        ];
        let top = legend::height(&keys, room.width);
        legend::draw(scene, room.left, room.top, room.width, &keys);
        let area = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let n = self.rows.len().div_ceil(columns);
        for (rows, tile) in self.rows.chunks(n).zip(area.tiles(columns, 1, [14.0, 0.0])) {
            let frame = Frame {
                x_label: "errors with nothing planted".to_owned(),
                // A tick for each row; its words stand above it.
                y_names: vec![String::new(); n],
                bare_y: true,
                ..Frame::default()
            };
            let panel = Panel::fit(tile, Scale::Log { from: LEAST, to: 1.0 }, Scale::linear(-0.6, n as f64 - 0.4), frame);
            for (index, row) in rows.iter().enumerate() {
                let y = (n - 1 - index) as f64;
                let (colour, marker) = if row.naive { (naive, Marker::Diamond) } else { (shipped, Marker::Disc) };
                scene.dashed(&[panel.at(row.nominal, y - 0.4), panel.at(row.nominal, y + 0.02)], quiet, 0.9, dash_of(1));
                if let Some([low, high]) = row.rate.interval {
                    panel.lying_interval(scene, [low.max(LEAST), high.max(LEAST)], y - 0.2, colour);
                }
                scene.marker(marker, panel.at(row.rate.value.max(LEAST), y - 0.2), 2.0, colour);
                let place = [panel.area.left + 3.0, panel.down(y + 0.12)];
                let ink = scene.theme.ink();
                scene.text(&shortened(&self.label(row), panel.area.width - 4.0), place, SMALL, ink, Anchor::Start);
            }
            panel.axes(scene);
        }
    }

    /// The test, and its world where another row has the same test.
    fn label(&self, row: &ErrorRate) -> String {
        let is_alone = self.rows.iter().filter(|other| other.test == row.test).count() == 1;
        if is_alone { row.test.clone() } else { format!("{}, {}", row.test, row.world) }
    }
}

/// As many of the first characters as there is room for.
fn shortened(text: &str, room: f64) -> String {
    if text_width(text, SMALL) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while !kept.is_empty() && text_width(&format!("{}…", kept.iter().collect::<String>()), SMALL) > room {
        kept.pop();
    }
    format!("{}…", kept.into_iter().collect::<String>().trim_end())
}

fn draw_power(scene: &mut Scene, tile: Rect, panel: &PowerPanel) {
    let keys: Vec<Key> = panel
        .series
        .iter()
        .enumerate()
        .map(|(n, series)| {
            Key::new(shortened(&series.label, tile.width - 18.0), Swatch::Line(category(n), dash_of(n), Some(Marker::of(n))))
        })
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
