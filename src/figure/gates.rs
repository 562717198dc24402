//! What one head does at every step of a sequence: retention, write and erase strength; of two models also their difference.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, LABEL_ROOM, Panel};
use super::colour::{BLUE, Colour, GREEN, ORANGE, category};
use super::legend::{self, Key, Note, Swatch};
use super::place::{FACTS, facts, facts_by, title, title_height, words_of};
use super::scale::Scale;
use super::scene::{Rect, Scene, dash_of};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{HeadGates, Place, Seen};

const NAMES: [&str; 3] = ["retention ᾱ", "write strength β", "erase strength γ"];
const INKS: [Colour; 3] = [BLUE, GREEN, ORANGE];

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatesData {
    /// The models, over the steps of the first.
    pub models: Vec<GatesShown>,
    /// Steps at which facts of the first are complete, and whether they go stale before the end.
    pub facts: Vec<(usize, bool)>,
}

/// One model's head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatesShown {
    /// Its name.
    pub label: String,
    /// Which head of which sequence.
    pub place: Place,
    /// Retention, write and erase strength, each \[step\]; absent where the step has no counterpart.
    pub gates: [Vec<Option<f64>>; 3],
    /// What stands in for a gate that the rule does not have.
    pub remark: Option<String>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<HeadGates>>], _spec: &FigureSpec) -> Result<GatesData, FigureError> {
    let present = |values: &[f64]| values.iter().map(|&x| x.is_finite().then_some(x)).collect::<Vec<_>>();
    let shown = |model: &Labelled<Seen<HeadGates>>| {
        let HeadGates { retention, write_strength, erase_strength, remark } = &model.measured.found;
        GatesShown {
            label: model.label.clone(),
            place: model.measured.place,
            gates: [present(retention), present(write_strength), present(erase_strength)],
            remark: remark.clone(),
        }
    };
    let Some(first) = models.first().filter(|model| !model.measured.found.retention.is_empty()) else {
        return Err(nothing(Figure::Gates, "the sequence has no steps"));
    };
    Ok(GatesData { models: models.iter().map(shown).collect(), facts: facts_by(&first.measured.text, usize::MAX) })
}

impl GatesShown {
    fn mean(&self, gate: usize) -> f64 {
        let found: Vec<f64> = self.gates[gate].iter().flatten().copied().collect();
        found.iter().sum::<f64>() / found.len().max(1) as f64
    }
}

impl GatesData {
    fn n_steps(&self) -> usize {
        self.models.iter().map(|model| model.gates[0].len()).max().unwrap_or(0)
    }

    fn title(&self) -> String {
        self.models.iter().map(|model| words_of(&model.label, &model.place)).collect::<Vec<_>>().join("; ")
    }

    /// The first minus the second, where there are two.
    fn difference(&self, gate: usize) -> Option<Vec<Option<f64>>> {
        let [a, b] = self.models.as_slice() else { return None };
        Some(a.gates[gate].iter().zip(&b.gates[gate]).map(|(a, b)| Some((*a)? - (*b)?)).collect())
    }
}

impl Prepared for GatesData {
    fn summary(&self) -> String {
        let one = |model: &GatesShown| {
            let means = NAMES.iter().enumerate().map(|(gate, name)| format!("mean {name} {:.3}", model.mean(gate)));
            let remark = model.remark.as_ref().map_or_else(String::new, |remark| format!(" ({remark})"));
            format!("{}: {}{remark}.", words_of(&model.label, &model.place), means.collect::<Vec<_>>().join(", "))
        };
        format!("Gates over {} steps. {}", self.n_steps(), self.models.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    fn table(&self) -> Table {
        let columns = ["model", "layer", "head", "sequence", "step", "retention", "write_strength", "erase_strength"];
        let mut table = Table::new("Gates of one head by step", &columns);
        for model in &self.models {
            for step in 0..model.gates[0].len() {
                let Place { layer, head, sequence, .. } = model.place;
                let mut row: Vec<Value> = vec![(&model.label).into(), layer.into(), head.into(), sequence.into(), step.into()];
                row.extend(model.gates.iter().map(|gate| Value::from(gate.get(step).copied().flatten())));
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let several = self.models.len() > 1;
        let key = |n: usize| Key::new(&self.models[n].label, Swatch::Line(category(n), dash_of(n), None));
        let keys: Vec<Key> = if several { (0..self.models.len()).map(key).collect() } else { Vec::new() };
        let mut said: Vec<String> = self.models.iter().filter_map(|model| model.remark.clone()).collect();
        said.dedup();
        if !self.facts.is_empty() {
            said.push("Dots: facts; the open ones go stale.".to_owned());
        }
        let differs = self.models.len() == 2;
        if differs {
            said.push("Δ: the first minus the second.".to_owned());
        }
        let note = Note::fit(&said.join(" "), width);
        let each = if differs { 92.0 } else { 58.0 };
        let top = legend::height(&keys, width);
        let total = 4.0 + title_height(&self.title(), width) + top + FACTS + 3.0 * each + LABEL_ROOM + 12.0 + note.height();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        let body = title(&mut scene, &self.title(), room);
        legend::draw(&mut scene, body.left, body.top, body.width, &keys);
        note.draw(&mut scene, body.left, body.bottom());
        let above = top + FACTS - 3.0;
        let plots = Rect::new(body.left, body.top + above, body.width, body.height - above - note.height());
        let rows = if differs { 6 } else { 3 };
        let tiles = plots.tiles_beside(1, rows, [0.0, 5.0], [0.0, LABEL_ROOM + 9.0]);
        for gate in 0..3 {
            let row = if differs { 2 * gate } else { gate };
            self.draw_gate(&mut scene, tiles[row], gate, row + 1 == rows);
            if differs {
                self.draw_difference(&mut scene, tiles[row + 1], gate, row + 2 == rows);
            }
        }
        scene
    }
}

/// Places of a series; a gap where there is none.
fn line(values: &[Option<f64>]) -> Vec<[f64; 2]> {
    values.iter().enumerate().map(|(step, value)| [step as f64, value.unwrap_or(f64::NAN)]).collect()
}

impl GatesData {
    fn frame(y_label: &str, is_last: bool) -> Frame {
        Frame {
            x_label: if is_last { "step".to_owned() } else { String::new() },
            y_label: y_label.to_owned(),
            bare_x: !is_last,
            least_left: 30.0,
            ..Frame::default()
        }
    }

    fn draw_gate(&self, scene: &mut Scene, tile: Rect, gate: usize, is_last: bool) {
        let x = Scale::linear(-0.5, self.n_steps() as f64 - 0.5);
        let short = ["ᾱ", "β", "γ"][gate];
        let label = if self.models.len() == 2 { short } else { NAMES[gate] };
        let label = if super::scene::text_width(label, super::scene::NORMAL) > tile.height { short } else { label };
        let panel = Panel::fit(tile, x, Scale::linear(0.0, 1.0), Self::frame(label, is_last));
        panel.grid(scene);
        for (n, model) in self.models.iter().enumerate() {
            let colour = if self.models.len() > 1 { category(n) } else { INKS[gate] };
            panel.line(scene, &line(&model.gates[gate]), colour, 0.9, dash_of(n));
        }
        if gate == 0 {
            facts(scene, &panel, &self.facts);
        }
        panel.axes(scene);
    }

    fn draw_difference(&self, scene: &mut Scene, tile: Rect, gate: usize, is_last: bool) {
        let Some(change) = self.difference(gate) else { return };
        let most = change.iter().flatten().fold(0.05_f64, |most, x| most.max(x.abs()));
        let end = [0.1, 0.2, 0.5, 1.0].into_iter().find(|end| *end >= most).unwrap_or(1.0);
        let x = Scale::linear(-0.5, self.n_steps() as f64 - 0.5);
        let panel = Panel::fit(tile, x, Scale::linear(-end, end), Self::frame("Δ", is_last));
        panel.grid(scene);
        let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
        panel.level(scene, 0.0, quiet, None);
        panel.line(scene, &line(&change), ink, 0.8, None);
        panel.axes(scene);
    }
}
