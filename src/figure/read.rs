//! One read, taken apart: the weight of every write in it, exact and signed, with what is left unexplained.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::{BLUE, VERMILLION};
use super::legend::Note;
use super::place::{FACTS, facts, facts_by, step_words, title, title_height, words_of};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, ReadIn, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Place, ReadParts, Seen};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadData {
    /// What the bars are.
    pub quantity: ReadIn,
    /// The reads.
    pub reads: Vec<ReadShown>,
}

/// One read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadShown {
    /// Its model.
    pub label: String,
    /// Where it is read.
    pub place: Place,
    /// What stands at the step that reads.
    pub words: String,
    /// Of every write: weight and share, \[write\].
    pub parts: Vec<[f64; 2]>,
    /// Writes of one step.
    pub writes_per_step: usize,
    /// What the parts leave unexplained of the read, as a share of its length; absent where the read is zero.
    pub residual: Option<f64>,
    /// What it is held to.
    pub held_to: String,
    /// The writes it rests on most: which, and what stands at their steps.
    pub strongest: Vec<(usize, String)>,
    /// Facts complete by then, and whether they are stale.
    pub facts: Vec<(usize, bool)>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<ReadParts>>], spec: &FigureSpec) -> Result<ReadData, FigureError> {
    let shown = |model: &Labelled<Seen<ReadParts>>| {
        let Seen { place, text, found } = &model.measured;
        ReadShown {
            label: model.label.clone(),
            place: *place,
            words: text.at(place.step).to_owned(),
            parts: found.weights.iter().zip(&found.shares).map(|(&weight, &share)| [weight, share]).collect(),
            writes_per_step: found.writes_per_step,
            residual: Some(found.residual).filter(|residual| residual.is_finite()),
            held_to: found.held_to.label().to_owned(),
            strongest: found.strongest(4).into_iter().map(|write| (write, text.at(found.step_of(write)).to_owned())).collect(),
            facts: facts_by(text, place.step),
        }
    };
    let reads: Vec<ReadShown> = models.iter().map(shown).filter(|read| read.parts.iter().flatten().any(|part| *part != 0.0)).collect();
    if reads.is_empty() {
        return Err(nothing(Figure::Read, "the read is zero: choose another step with --step"));
    }
    Ok(ReadData { quantity: spec.options.of_read, reads })
}

impl ReadShown {
    fn title(&self) -> String {
        format!("{}, read of {}", words_of(&self.label, &self.place), step_words(self.place.step, &self.words))
    }

    fn rests(&self, quantity: ReadIn) -> String {
        let one = |(write, words): &(usize, String)| {
            let step = write / self.writes_per_step.max(1);
            let stale = if self.facts.contains(&(step, true)) { ", stale" } else { "" };
            format!("{}{stale} {:+.3}", step_words(step, words), self.parts[*write][quantity.place()])
        };
        let strongest = self.strongest.iter().map(one).collect::<Vec<_>>().join(", ");
        let residual = self.residual.map_or_else(|| "not a number".to_owned(), |residual| format!("{residual:.1e}"));
        format!("Rests most on {strongest}. Unexplained against {}: {residual} of its length.", self.held_to)
    }
}

impl Prepared for ReadData {
    fn summary(&self) -> String {
        let each = self.reads.iter().map(|read| format!("{}: {}", read.title(), read.rests(self.quantity)));
        format!("{} of every write. {}", self.quantity.label(), each.collect::<Vec<_>>().join(" "))
    }

    fn table(&self) -> Table {
        let columns = ["model", "layer", "head", "sequence", "read at", "written at", "write", "weight", "share", "stale"];
        let mut table =
            Table::new("Exact weight and share of every write in one read; shares sum to 1 with that of the first memory", &columns);
        for read in &self.reads {
            let Place { layer, head, sequence, step, .. } = read.place;
            for (write, [weight, share]) in read.parts.iter().enumerate() {
                let made = write / read.writes_per_step.max(1);
                let stale = read.facts.iter().find(|(fact, _)| *fact == made).map(|(_, stale)| *stale);
                let mut row: Vec<Value> = vec![(&read.label).into(), layer.into(), head.into(), sequence.into(), step.into(), made.into()];
                row.extend([write.into(), (*weight).into(), (*share).into()]);
                row.push(stale.map_or(Value::Missing, |stale| if stale { "stale" } else { "current" }.into()));
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let note = |read: &ReadShown| Note::fit(&format!("{} Dots: facts; the open ones are stale.", read.rests(self.quantity)), width);
        let notes: Vec<Note> = self.reads.iter().map(note).collect();
        let height = |n: usize| title_height(&self.reads[n].title(), width) + FACTS + 96.0 + notes[n].height() + 3.0;
        let total = 4.0 + (0..self.reads.len()).map(height).sum::<f64>();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        let share = room.height / (total - 4.0);
        let mut at = room.top;
        for (n, (read, note)) in self.reads.iter().zip(&notes).enumerate() {
            let whole = Rect::new(room.left, at, room.width, height(n) * share);
            let body = title(&mut scene, &read.title(), whole);
            note.draw(&mut scene, body.left, body.bottom());
            let plot = Rect::new(body.left, body.top + FACTS - 4.0, body.width, body.height - FACTS + 4.0 - note.height());
            self.draw_read(&mut scene, plot, read);
            at += whole.height;
        }
        scene
    }
}

impl ReadData {
    fn draw_read(&self, scene: &mut Scene, outer: Rect, read: &ReadShown) {
        let values: Vec<f64> = read.parts.iter().map(|part| part[self.quantity.place()]).collect();
        let frame = Frame { x_label: "step that wrote".to_owned(), y_label: self.quantity.label().to_owned(), ..Frame::default() };
        let x = Scale::linear(-0.5, read.place.step as f64 + 0.5);
        let panel = Panel::fit(outer, x, Scale::around(values.iter().copied(), &[0.0]), frame);
        panel.grid(scene);
        let zero = panel.down(0.0);
        let each = read.writes_per_step.max(1) as f64;
        let width = (panel.area.width / values.len().max(1) as f64 * 0.8).clamp(0.6, 6.0);
        // Of writes that share a column only the farthest on each side is seen: the others lie beneath it.
        let mut columns: std::collections::BTreeMap<i64, [f64; 2]> = std::collections::BTreeMap::new();
        for (write, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let column = (panel.across(write as f64 / each) * 2.0).round() as i64;
            let ends = columns.entry(column).or_insert([0.0, 0.0]);
            *ends = [ends[0].min(value), ends[1].max(value)];
        }
        for (column, ends) in columns {
            let left = column as f64 / 2.0 - width / 2.0;
            for (end, colour) in ends.into_iter().zip([VERMILLION, BLUE]).filter(|(end, _)| *end != 0.0) {
                let (top, bottom) = (panel.down(end).min(zero), panel.down(end).max(zero));
                scene.cell(Rect::new(left, top, width, bottom - top), colour);
            }
        }
        let ink = scene.theme.ink();
        panel.level(scene, 0.0, ink, None);
        for (write, _) in &read.strongest {
            let value = values[*write];
            let tip = panel.down(value) + if value < 0.0 { 4.0 } else { -4.0 };
            scene.marker(Marker::Diamond, [panel.across(*write as f64 / each), tip], 1.6, ink);
        }
        facts(scene, &panel, &read.facts);
        panel.axes(scene);
    }
}
