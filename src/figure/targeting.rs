//! Does what is removed hit what is stale? Lift of decay, erase and write, over replays with other erase addresses.
//!
//! A lift of 1 takes everything alike. The grey bands are replays of whole sequences under random addresses, the head's own
//! addresses shuffled over tokens, and those of another sequence: a lift inside them is no targeting.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Note, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::ledger::Mechanism;
use crate::measure::{AddressNull, Among, Targeting, TargetingRow};

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetingData {
    /// Rows, from the top: mechanism, and letter of the condition (empty for all).
    pub rows: Vec<(Mechanism, String)>,
    /// The models.
    pub models: Vec<ModelTargeting>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelTargeting {
    /// Its name.
    pub label: String,
    /// Sequences in which something goes stale.
    pub n_sequences: usize,
    /// In the order of [`TargetingData::rows`]; absent where the mechanism takes nothing.
    pub rows: Vec<Option<TargetPoint>>,
}

/// One mechanism.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetPoint {
    /// Lift among facts.
    pub lift: Option<Estimate>,
    /// The part of it that the address has.
    pub address_lift: Option<Estimate>,
    /// Lift among the writes of all tokens.
    pub lift_among_all: Option<Estimate>,
    /// Share of all removal of stale content.
    pub recall: Option<Estimate>,
    /// Lift among facts under each null that applies.
    pub nulls: Vec<(AddressNull, Estimate)>,
    /// Address lift among facts under each null that applies.
    pub address_nulls: Vec<(AddressNull, Estimate)>,
}

/// Pick what is drawn: every mechanism over all conditions, and the erase by condition.
pub fn prepare(models: &[Labelled<Targeting>], _spec: &FigureSpec) -> Result<TargetingData, FigureError> {
    let mut rows: Vec<(Mechanism, String)> = Mechanism::ALL.into_iter().map(|mechanism| (mechanism, String::new())).collect();
    for row in models.iter().flat_map(|model| &model.measured.rows).filter(|row| row.mechanism != Mechanism::Decay) {
        let key = (row.mechanism, row.condition.map_or(String::new(), |condition| condition.letter().to_string()));
        if !rows.contains(&key) {
            rows.push(key);
        }
    }
    rows.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    let models: Vec<ModelTargeting> = models
        .iter()
        .map(|model| {
            let find = |(mechanism, letter): &(Mechanism, String), among: Among| {
                model.measured.rows.iter().find(|row| {
                    let own = row.condition.map_or(String::new(), |condition| condition.letter().to_string());
                    row.mechanism == *mechanism && row.among == among && own == *letter
                })
            };
            let rows = rows.iter().map(|key| find(key, Among::Facts).map(|facts| point(facts, find(key, Among::AllWrites)))).collect();
            ModelTargeting { label: model.label.clone(), n_sequences: model.measured.n_sequences, rows }
        })
        .collect();
    if models.iter().all(|model| model.rows.iter().all(Option::is_none)) {
        return Err(nothing(Figure::Targeting, "nothing was removed"));
    }
    Ok(TargetingData { rows, models })
}

fn point(facts: &TargetingRow, all: Option<&TargetingRow>) -> TargetPoint {
    let number = |interval: &Option<crate::measure::Interval>| interval.as_ref().map(Estimate::from);
    TargetPoint {
        lift: number(&facts.lift),
        address_lift: number(&facts.address_lift),
        lift_among_all: all.and_then(|all| number(&all.lift)),
        recall: number(&facts.recall),
        nulls: facts.nulls.iter().map(|null| (null.null, Estimate::from(&null.lift))).collect(),
        address_nulls: facts.nulls.iter().map(|null| (null.null, Estimate::from(&null.address_lift))).collect(),
    }
}

/// A column of panels: its label, its numbers, the bands beneath.
type Column = (&'static str, fn(&TargetPoint) -> Option<Estimate>, fn(&TargetPoint) -> &[(AddressNull, Estimate)]);

const COLUMNS: [Column; 3] = [
    ("lift among facts", |point| point.lift, |point| &point.nulls),
    ("of it, address", |point| point.address_lift, |point| &point.address_nulls),
    ("lift, all writes", |point| point.lift_among_all, |_| &[]),
];

impl Prepared for TargetingData {
    fn summary(&self) -> String {
        let model = |model: &ModelTargeting| {
            let rows = self.rows.iter().zip(&model.rows).filter(|((_, letter), _)| letter.is_empty());
            let row = |((mechanism, _), point): (&(Mechanism, String), &Option<TargetPoint>)| {
                let point = point.as_ref()?;
                let nulls: Vec<String> = point.nulls.iter().map(|(null, band)| format!("{} {band}", null.label())).collect();
                let nulls = if nulls.is_empty() { String::new() } else { format!(" (nulls: {})", nulls.join(", ")) };
                Some(format!("{mechanism} {}{nulls}", point.lift?))
            };
            format!("{}: {}", model.label, rows.filter_map(row).collect::<Vec<_>>().join(", "))
        };
        let models: Vec<String> = self.models.iter().map(model).collect();
        format!("Lift of removal towards what is stale, among facts; 1 is chance. {}.", models.join(". "))
    }

    fn table(&self) -> Table {
        let mut columns = ["model", "mechanism", "condition", "run"].map(str::to_owned).to_vec();
        for name in ["lift", "address_lift", "lift_among_all", "recall"] {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new("Lift of removal towards what is stale", &columns);
        for model in &self.models {
            for ((mechanism, letter), point) in self.rows.iter().zip(&model.rows) {
                let Some(point) = point else { continue };
                let names = |run: &str| -> Vec<Value> { vec![(&model.label).into(), mechanism.name().into(), letter.into(), run.into()] };
                let mut row = names("model");
                for estimate in [point.lift, point.address_lift, point.lift_among_all, point.recall] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
                for ((null, lift), (_, address)) in point.nulls.iter().zip(&point.address_nulls) {
                    let mut row = names(null.label());
                    for estimate in [Some(*lift), Some(*address), None, None] {
                        row.extend(Estimate::cells(estimate));
                    }
                    table.push(row);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let each = 8.0 + 5.0 * self.models.len() as f64;
        let height = 74.0 + each * self.rows.len() as f64;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let models = self.models.iter().enumerate();
        let mut keys: Vec<Key> = models.map(|(n, model)| Key::new(&model.label, Swatch::Point(category(n), Marker::of(n)))).collect();
        for null in self.nulls() {
            let (line, fill) = scene.theme.null(null as usize);
            keys.push(Key::new(null.label(), Swatch::Band(fill, line, None)));
        }
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let n = self.models.iter().map(|model| model.n_sequences).max().unwrap_or(0);
        let note = Note::fit(&format!("1 takes everything alike; unit: {n} sequences with stale content"), room.width);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note.height());
        self.draw_columns(&mut scene, body, &COLUMNS[..if wide { 3 } else { 2 }]);
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

impl TargetingData {
    fn nulls(&self) -> Vec<AddressNull> {
        let points = || self.models.iter().flat_map(|model| model.rows.iter().flatten());
        AddressNull::ALL.into_iter().filter(|null| points().any(|point| point.nulls.iter().any(|(other, _)| other == null))).collect()
    }

    fn draw_columns(&self, scene: &mut Scene, body: Rect, columns: &[Column]) {
        let name = |(mechanism, letter): &(Mechanism, String)| {
            if letter.is_empty() { mechanism.to_string() } else { format!("{mechanism}, {letter}") }
        };
        let names: Vec<String> = self.rows.iter().map(name).collect();
        let y = Scale::linear(self.rows.len() as f64 - 0.5, -0.5);
        let named = Frame { y_names: names.clone(), ..Frame::default() };
        let room = Panel::left_room(body.height, y, &named);
        let gap = 12.0;
        let width = (body.width - room - gap * (columns.len() - 1) as f64) / columns.len() as f64;
        for (index, (label, number, bands)) in columns.iter().enumerate() {
            let first = index == 0;
            let left = body.left + if first { 0.0 } else { room + index as f64 * (width + gap) - 3.0 };
            let tile = Rect::new(left, body.top, if first { room + width } else { width + 3.0 }, body.height);
            let points = || self.models.iter().flat_map(|model| model.rows.iter().flatten());
            let reach = points().filter_map(number).chain(points().flat_map(|point| bands(point).iter().map(|band| band.1)));
            let x = Scale::log_around(reach.flat_map(|estimate| estimate.reach()).filter(|x| *x > 0.02).chain([0.8, 1.25]));
            let frame = Frame { x_label: (*label).to_owned(), y_names: names.clone(), bare_y: !first, ..Frame::default() };
            let panel = Panel::fit(tile, x, y, frame);
            panel.grid(scene);
            for (n, model) in self.models.iter().enumerate() {
                let shift = (n as f64 - (self.models.len() - 1) as f64 / 2.0) * 0.6 / self.models.len() as f64;
                for (row, point) in model.rows.iter().enumerate() {
                    let Some(point) = point else { continue };
                    self.draw_point(scene, &panel, (*number)(point), bands(point), (row as f64 + shift, n));
                }
            }
            panel.upright(scene, 1.0, scene.theme.ink(), Some([2.0, 1.6]));
            panel.axes(scene);
        }
    }

    fn draw_point(
        &self,
        scene: &mut Scene,
        panel: &Panel,
        estimate: Option<Estimate>,
        bands: &[(AddressNull, Estimate)],
        (y, n): (f64, usize),
    ) {
        let half = 0.26 / self.models.len() as f64;
        for (null, band) in bands {
            let (line, fill) = scene.theme.null(*null as usize);
            let [low, high] = band.interval.unwrap_or([band.value, band.value]);
            let (top, bottom) = (panel.down(y - half), panel.down(y + half));
            let (left, right) = (panel.across(low), panel.across(high));
            scene.area(vec![[left, top], [right, top], [right, bottom], [left, bottom]], fill);
            let middle = panel.across(band.value);
            scene.line(&[[middle, top], [middle, bottom]], line, 0.8);
        }
        let Some(estimate) = estimate else { return };
        if let Some(interval) = estimate.interval {
            panel.lying_interval(scene, interval, y, category(n));
        }
        scene.marker(Marker::of(n), panel.at(estimate.value, y), 2.1, category(n));
    }
}
