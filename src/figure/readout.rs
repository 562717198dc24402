//! How well stale, current and never-written values can be decoded, by phase of the step, with controls and chance.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, LABEL_ROOM, Panel};
use super::colour::{BLUE, Colour, GREEN, ORANGE, PURPLE, VERMILLION};
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Prepared, nothing, sheet};
use crate::export::Table;

/// The dash of the line at chance.
const CHANCE: Option<[f64; 2]> = Some([2.4, 1.8]);

/// How much of a band's colour is seen.
const BAND: f64 = 0.22;

/// Readout scores by phase, in one or more panels (a layer, a model, a feature).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readouts {
    /// What the score is, as the axis says it: `accuracy`, `R^{2}`.
    pub score: String,
    /// What the horizontal axis runs over: `phase`, `age [steps]`.
    pub along: String,
    /// The places along it: `before`, `decay`, `erase`, `write`.
    pub places: Vec<String>,
    /// The panels.
    pub panels: Vec<ReadoutPanel>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutPanel {
    /// Its title; empty with a single panel.
    pub title: String,
    /// The score that guessing reaches.
    pub chance: Option<f64>,
    /// The curves.
    pub curves: Vec<ReadoutCurve>,
}

/// The scores of one target or control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutCurve {
    /// As the legend says it.
    pub label: String,
    /// What it shows, which decides how it looks.
    pub role: Role,
    /// The score at each place; absent where it was not measured.
    pub scores: Vec<Option<Estimate>>,
}

impl ReadoutCurve {
    /// Its label, and the score at each of `places` where it was measured.
    pub fn words(&self, places: &[String]) -> String {
        let scores = places.iter().zip(&self.scores);
        let at: Vec<String> = scores.filter_map(|(place, score)| score.map(|score| format!("{place} {score}"))).collect();
        format!("{}: {}", self.label, at.join(", "))
    }
}

/// What a curve shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The superseded value.
    Stale,
    /// The value now true.
    Current,
    /// A value that was never written: must be chance.
    NeverWritten,
    /// Age, "is stale", or another target.
    Other,
    /// A control: labels permuted, control task, untrained model, wrong head. Drawn as a band.
    Control,
    /// What a linear readout could reach at best: the first of a panel belongs to the stale value, the second to the current one.
    Ceiling,
    /// The lowest score that would have been told from chance.
    Detectable,
}

impl Readouts {
    /// The vertical axis: every score with its interval, chance and zero.
    pub fn axis(&self) -> Scale {
        let scores = self.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| curve.scores.iter().flatten());
        let always: Vec<f64> = self.panels.iter().filter_map(|panel| panel.chance).chain([0.0]).collect();
        Scale::around(scores.flat_map(Estimate::reach), &always)
    }

    /// The curves of all panels, each label once, and chance.
    pub fn keys(&self, ink: Colour) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for panel in &self.panels {
            for (n, curve) in panel.curves.iter().enumerate() {
                if keys.iter().all(|key| key.label != curve.label) {
                    let (colour, dash, marker) = manner(&panel.curves, n);
                    let swatch = match curve.role {
                        Role::Control => Swatch::Band(colour.fade(BAND), colour, dash),
                        _ => Swatch::Line(colour, dash, marker),
                    };
                    keys.push(Key::new(&curve.label, swatch));
                }
            }
        }
        if self.panels.iter().any(|panel| panel.chance.is_some()) {
            keys.push(Key::new("chance", Swatch::Line(ink, CHANCE, None)));
        }
        keys
    }
}

/// What the figure draws: the readouts as given, with the range of the axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadoutData {
    /// The scores.
    pub readouts: Readouts,
    /// The vertical axis.
    pub axis: Scale,
}

/// Pick what is drawn.
pub fn prepare(readouts: &Readouts, _spec: &FigureSpec) -> Result<ReadoutData, FigureError> {
    let scores = || readouts.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| curve.scores.iter().flatten());
    if scores().next().is_none() {
        return Err(nothing(Figure::Readout, "no readout was fitted"));
    }
    let places = readouts.places.len();
    if let Some(curve) = readouts.panels.iter().flat_map(|panel| &panel.curves).find(|curve| curve.scores.len() != places) {
        let what = format!("curve `{}` has {} scores for {places} places", curve.label, curve.scores.len());
        return Err(FigureError::Spec { figure: Figure::Readout.name(), what });
    }
    Ok(ReadoutData { axis: readouts.axis(), readouts: readouts.clone() })
}

impl Prepared for ReadoutData {
    fn summary(&self) -> String {
        let curve = |curve: &ReadoutCurve| curve.words(&self.readouts.places);
        let panel = |panel: &ReadoutPanel| {
            let title = if panel.title.is_empty() { String::new() } else { format!("{}: ", panel.title) };
            let chance = panel.chance.map_or(String::new(), |chance| format!("; chance {}", super::scale::fixed(chance, 2)));
            format!("{title}{}{chance}", panel.curves.iter().map(curve).collect::<Vec<_>>().join("; "))
        };
        format!("{} of linear readouts. {}.", self.readouts.score, self.readouts.panels.iter().map(panel).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(
            format!("{} of linear readouts", self.readouts.score),
            &["panel", "curve", "place", "score", "low", "high", "chance"],
        );
        for panel in &self.readouts.panels {
            for curve in &panel.curves {
                for (place, score) in self.readouts.places.iter().zip(&curve.scores) {
                    let mut row = vec![(&panel.title).into(), (&curve.label).into(), place.into()];
                    row.extend(Estimate::cells(*score));
                    row.push(panel.chance.into());
                    table.push(row);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let panels = &self.readouts.panels;
        let most = if spec.width.points() > 300.0 { 3 } else { 1 + usize::from(self.readouts.places.len() <= 4) };
        let rows = panels.len().div_ceil(most);
        let columns = panels.len().div_ceil(rows);
        let keys = self.readouts.keys(spec.theme.ink());
        let probe_room = legend::height(&keys, spec.width.points() - 4.0);
        let height = 6.0 + probe_room + rows as f64 * if columns == 1 { 124.0 } else { 112.0 };
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + probe_room, room.width, room.height - probe_room);
        let named = Frame { y_label: self.readouts.score.clone(), ..Frame::default() };
        let labels = Panel::left_room(body.height / rows as f64, self.axis, &named);
        for (index, (tile, panel)) in body.tiles_beside(columns, rows, [7.0, 2.0], [labels, LABEL_ROOM]).into_iter().zip(panels).enumerate()
        {
            let frame = Frame {
                bare_y: index % columns > 0,
                title: panel.title.clone(),
                x_label: if index / columns + 1 == rows { self.readouts.along.clone() } else { String::new() },
                y_label: if index % columns == 0 { self.readouts.score.clone() } else { String::new() },
                x_names: self.readouts.places.clone(),
                ..Frame::default()
            };
            self.draw_panel(&mut scene, tile, panel, frame);
        }
        scene
    }
}

impl ReadoutData {
    fn draw_panel(&self, scene: &mut Scene, tile: Rect, readout: &ReadoutPanel, frame: Frame) {
        let panel = Panel::fit(tile, across(self.readouts.places.len()), self.axis, frame);
        panel.grid(scene);
        readout.marks(scene, &panel);
        panel.axes(scene);
    }
}

/// The horizontal axis of this many places.
pub fn across(places: usize) -> Scale {
    Scale::linear(-0.35, places as f64 - 0.65)
}

impl ReadoutPanel {
    /// The marks of a panel, between its grid and its axes: chance, bands, lines, intervals and markers.
    pub fn marks(&self, scene: &mut Scene, panel: &Panel) {
        if let Some(chance) = self.chance {
            let ink = scene.theme.ink();
            panel.level(scene, chance, ink, CHANCE);
        }
        let line_of = |curve: &ReadoutCurve, shift: f64| -> Vec<[f64; 2]> {
            curve.scores.iter().enumerate().map(|(x, score)| [x as f64 + shift, score.map_or(f64::NAN, |score| score.value)]).collect()
        };
        // Bands first: what a score must leave behind.
        for (n, curve) in self.curves.iter().enumerate().filter(|(_, curve)| curve.role == Role::Control) {
            let (colour, dash, _) = manner(&self.curves, n);
            let rows = curve.scores.iter().enumerate().filter_map(|(x, score)| {
                let [low, high] = score.as_ref()?.interval?;
                Some([x as f64, low, high])
            });
            panel.band(scene, &rows.collect::<Vec<_>>(), colour.fade(BAND));
            panel.line(scene, &line_of(curve, 0.0), colour, 0.5, dash);
        }
        for (n, curve) in self.curves.iter().enumerate().filter(|(_, curve)| curve.role != Role::Control) {
            let (colour, dash, marker) = manner(&self.curves, n);
            if matches!(curve.role, Role::Ceiling | Role::Detectable) {
                panel.line(scene, &line_of(curve, 0.0), colour, if curve.role == Role::Ceiling { 0.9 } else { 0.6 }, dash);
                continue;
            }
            let line = line_of(curve, self.shift(n));
            panel.line(scene, &line, colour, 1.2, dash);
            for ([x, y], score) in line.into_iter().zip(&curve.scores) {
                if let Some(interval) = score.and_then(|score| score.interval) {
                    panel.interval(scene, x, interval, colour, 0.0);
                }
                if let Some(marker) = marker {
                    scene.marker(marker, panel.at(x, y), 2.1, colour);
                }
            }
        }
    }

    /// Where the mark of a score stands, in the axes' numbers; `None` for curves without marks and scores that were not measured.
    pub fn mark(&self, curve: usize, place: usize) -> Option<[f64; 2]> {
        let found = self.curves.get(curve).filter(|curve| curve.is_marked())?;
        let score = found.scores.get(place).copied().flatten()?;
        Some([place as f64 + self.shift(curve), score.value])
    }

    /// Marks of one place stand beside one another.
    fn shift(&self, curve: usize) -> f64 {
        let marked = self.curves.iter().filter(|curve| curve.is_marked()).count();
        let nth = self.curves[..curve].iter().filter(|curve| curve.is_marked()).count();
        (nth as f64 - marked.saturating_sub(1) as f64 / 2.0) * 0.3 / marked.max(1) as f64
    }
}

impl ReadoutCurve {
    const fn is_marked(&self) -> bool {
        !matches!(self.role, Role::Control | Role::Ceiling | Role::Detectable)
    }
}

/// Colour, dash and marker of the n-th of `curves`.
fn manner(curves: &[ReadoutCurve], n: usize) -> (Colour, Option<[f64; 2]>, Option<Marker>) {
    let nth = curves[..n].iter().filter(|curve| curve.role == curves[n].role).count();
    let grey = |level: u8| Colour::new(level, level, level);
    match curves[n].role {
        Role::Stale => (VERMILLION, dash_of(nth), Some(Marker::Triangle)),
        Role::Current => (BLUE, dash_of(nth), Some(Marker::Disc)),
        Role::NeverWritten => (GREEN, dash_of(nth + 1), Some(Marker::Square)),
        Role::Other => ([PURPLE, ORANGE][nth % 2], dash_of(nth), Some(Marker::Diamond)),
        Role::Control => (grey([0x70, 0x98, 0x58][nth % 3]), dash_of(nth % 3), None),
        Role::Ceiling => ([VERMILLION, BLUE][nth % 2], Some([[1.0, 1.6], [3.0, 1.2]][nth % 2]), None),
        Role::Detectable => (grey(0x80), Some([0.6, 1.4]), None),
    }
}
