//! Selectivity of readouts: how much more of a value they get than of random labels with as many classes (Hewitt and Liang,
//! arXiv 1909.03368).
//!
//! A score alone may only show that the readout is strong. Each row joins the score on the control task to the score on the value; the
//! second panel has their difference with its interval, which must lie above zero for the score to mean something.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::{BLUE, Colour, GREEN, PURPLE, VERMILLION};
use super::legend::{self, Key, Note, Swatch};
use super::readout::Role;
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene};
use super::{Estimate, Figure, FigureError, FigureSpec, Prepared, nothing, sheet};
use crate::export::{Table, Value};

/// Readouts with their control tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selectivities {
    /// What the score is, as the axis says it: `accuracy`, `R^{2}`.
    pub score: String,
    /// What the reader should know of where it was read.
    pub note: String,
    /// One per readout, from the top.
    pub rows: Vec<Selectivity>,
}

/// One readout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selectivity {
    /// Where: model, layer, head.
    pub place: String,
    /// What was read out.
    pub target: String,
    /// What that is, which decides how it looks.
    pub role: Role,
    /// The score that guessing reaches.
    pub chance: f64,
    /// The score.
    pub score: Estimate,
    /// The same readout's score on the control task.
    pub control: Estimate,
    /// Score less control, paired over sequences.
    pub selectivity: Estimate,
}

/// What the figure draws: the readouts as given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectivityData {
    /// The readouts.
    pub found: Selectivities,
    /// Places, from the top.
    pub places: Vec<String>,
}

/// Pick what is drawn.
pub fn prepare(found: &Selectivities, _spec: &FigureSpec) -> Result<SelectivityData, FigureError> {
    if found.rows.is_empty() {
        return Err(nothing(Figure::Selectivity, "no readout has a control task beside it"));
    }
    let mut places: Vec<String> = Vec::new();
    for row in &found.rows {
        if !places.contains(&row.place) {
            places.push(row.place.clone());
        }
    }
    Ok(SelectivityData { found: found.clone(), places })
}

impl Prepared for SelectivityData {
    fn summary(&self) -> String {
        let row = |row: &Selectivity| {
            format!("{} {}: {} against {}, selectivity {}", row.place, row.target, row.score, row.control, row.selectivity)
        };
        format!(
            "{} of linear readouts against the control task. {}. {}",
            self.found.score,
            self.found.rows.iter().map(row).collect::<Vec<_>>().join("; "),
            self.found.note
        )
    }

    fn table(&self) -> Table {
        let mut columns = ["place", "target", "chance"].map(str::to_owned).to_vec();
        for name in ["score", "control", "selectivity"] {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new(format!("{} of linear readouts against the control task", self.found.score), &columns);
        for row in &self.found.rows {
            let mut cells: Vec<Value> = vec![(&row.place).into(), (&row.target).into(), row.chance.into()];
            cells.extend([row.score, row.control, row.selectivity].into_iter().flat_map(|estimate| Estimate::cells(Some(estimate))));
            table.push(cells);
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let targets = self.targets();
        let each = 7.0 + 7.0 * targets.len() as f64;
        let note = Note::fit(&self.found.note, spec.width.points() - 4.0);
        let height = 52.0 + note.height() + each * self.places.len() as f64;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
        let mut keys: Vec<Key> = targets
            .iter()
            .enumerate()
            .map(|(n, (target, role))| Key::new(target, Swatch::Point(manner(*role, n).0, manner(*role, n).1)))
            .collect();
        keys.push(Key::new("control task", Swatch::Point(quiet, Marker::Ring)));
        keys.push(Key::new("chance", Swatch::Line(ink, Some([1.0, 1.6]), None)));
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note.height());
        let y = Scale::linear(self.places.len() as f64 - 0.5, -0.5);
        let named = Frame { y_names: self.places.clone(), ..Frame::default() };
        let names = Panel::left_room(body.height, y, &named);
        let gap = 12.0;
        let width = (body.width - names - gap) / 2.0;
        let left = Rect::new(body.left, body.top, names + width, body.height);
        let right = Rect::new(body.left + names + width + gap - 3.0, body.top, width + 3.0, body.height);
        let rows = &self.found.rows;
        let scores = rows.iter().flat_map(|row| row.score.reach().chain(row.control.reach()).chain([row.chance]));
        let frame = Frame { x_label: self.found.score.clone(), y_names: self.places.clone(), ..Frame::default() };
        let scores = Panel::fit(left, Scale::around(scores, &[0.0]), y, frame);
        let differences = rows.iter().flat_map(|row| row.selectivity.reach());
        let frame =
            Frame { x_label: "selectivity".to_owned(), y_names: vec![String::new(); self.places.len()], bare_y: true, ..Frame::default() };
        let differences = Panel::fit(right, Scale::around(differences, &[0.0]), y, frame);
        for panel in [&scores, &differences] {
            panel.grid(&mut scene);
        }
        differences.upright(&mut scene, 0.0, ink, None);
        for row in rows {
            let n = targets.iter().position(|(target, _)| *target == row.target).unwrap_or(0);
            let place = self.places.iter().position(|place| *place == row.place).unwrap_or(0) as f64;
            let y = place + (n as f64 - (targets.len() - 1) as f64 / 2.0) * 0.7 / targets.len() as f64;
            let half = 0.3 / targets.len() as f64;
            let (colour, marker) = manner(row.role, n);
            scene.dashed(&[scores.at(row.chance, y - half), scores.at(row.chance, y + half)], ink, 0.8, Some([1.0, 1.0]));
            scene.line(&[scores.at(row.control.value, y), scores.at(row.score.value, y)], colour.fade(0.6).over(scene.theme.paper()), 0.8);
            scene.marker(Marker::Ring, scores.at(row.control.value, y), 2.0, quiet);
            scene.marker(marker, scores.at(row.score.value, y), 2.2, colour);
            if let Some(interval) = row.selectivity.interval {
                differences.lying_interval(&mut scene, interval, y, colour);
            }
            scene.marker(marker, differences.at(row.selectivity.value, y), 2.2, colour);
        }
        scores.axes(&mut scene);
        differences.axes(&mut scene);
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

impl SelectivityData {
    /// What was read out, in the order of the rows.
    fn targets(&self) -> Vec<(String, Role)> {
        let mut targets: Vec<(String, Role)> = Vec::new();
        for row in &self.found.rows {
            if targets.iter().all(|(target, _)| *target != row.target) {
                targets.push((row.target.clone(), row.role));
            }
        }
        targets
    }
}

/// Colour and marker of a target, as in the readout's curves.
const fn manner(role: Role, n: usize) -> (Colour, Marker) {
    match role {
        Role::Stale => (VERMILLION, Marker::Triangle),
        Role::Current => (BLUE, Marker::Disc),
        Role::NeverWritten => (GREEN, Marker::Square),
        _ if n.is_multiple_of(2) => (PURPLE, Marker::Diamond),
        _ => (GREEN, Marker::Diamond),
    }
}
