//! Where one head erases and writes: signed cosines over the steps of a sequence, beside what independent directions give.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, LABEL_ROOM, Panel};
use super::colour::{Colour, GREEN, ORANGE, SKY};
use super::legend::{self, Key, Note, Swatch};
use super::place::{step_words, title, title_height, words_of};
use super::scale::{Scale, fixed};
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{HeadAngles, Place, Seen};

/// More steps than this are drawn as a line, not one by one.
const ONE_BY_ONE: usize = 260;
const WHOSE: [&str; 3] = ["erase", "write", "read"];
const INKS: [Colour; 3] = [ORANGE, GREEN, SKY];

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnglesData {
    /// The heads.
    pub models: Vec<AnglesShown>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnglesShown {
    /// Its model.
    pub label: String,
    /// The place; its step is the write whose key is held to.
    pub place: Place,
    /// What stands at that step.
    pub words: String,
    /// The angles.
    pub angles: HeadAngles,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<HeadAngles>>], _spec: &FigureSpec) -> Result<AnglesData, FigureError> {
    let shown = |model: &Labelled<Seen<HeadAngles>>| AnglesShown {
        label: model.label.clone(),
        place: model.measured.place,
        words: model.measured.text.at(model.measured.place.step).to_owned(),
        angles: model.measured.found.clone(),
    };
    let models: Vec<AnglesShown> = models.iter().map(shown).filter(|model| model.n_steps() > 0).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Angles, "the sequence has no directions"));
    }
    Ok(AnglesData { models })
}

/// One panel.
enum Lane<'a> {
    EraseToWrite(&'a [Option<f64>]),
    Superseding(&'a [(usize, usize, Option<f64>, Option<f64>)]),
    Towards([Option<&'a [Option<f64>]>; 3]),
}

impl AnglesShown {
    fn n_steps(&self) -> usize {
        self.angles.towards.iter().flatten().map(Vec::len).max().unwrap_or(0)
    }

    fn lanes(&self) -> Vec<(String, Lane<'_>)> {
        let mut lanes = Vec::new();
        if let Some(cosines) = &self.angles.erase_to_write {
            lanes.push(("erase to write of the same step".to_owned(), Lane::EraseToWrite(cosines)));
        }
        if !self.angles.superseding.is_empty() {
            lanes.push(("to the key of the fact superseded".to_owned(), Lane::Superseding(&self.angles.superseding)));
        }
        let towards = self.angles.towards.each_ref().map(|cosines| cosines.as_deref());
        lanes.push((format!("to the key of {}", step_words(self.place.step, &self.words)), Lane::Towards(towards)));
        lanes
    }

    fn said(&self) -> String {
        let reference = &self.angles.reference;
        let own = self.angles.erase_to_write.as_ref().map_or_else(String::new, |cosines| {
            let sizes: Vec<f64> = cosines.iter().flatten().map(|cosine| cosine.abs()).collect();
            format!("Mean |cos(e, k)| {}; ", fixed(sizes.iter().sum::<f64>() / sizes.len().max(1) as f64, 3))
        });
        let remark = self.angles.remark.as_ref().map_or_else(String::new, |remark| format!(" {remark}"));
        let (mean, bound) = (fixed(reference.mean_absolute, 3), fixed(reference.bound, 3));
        format!("{own}independent directions: {mean}, 95 of 100 within ±{bound} (band).{remark}")
    }
}

impl Prepared for AnglesData {
    fn summary(&self) -> String {
        let one = |model: &AnglesShown| format!("{}: {}", words_of(&model.label, &model.place), model.said());
        format!("Cosines of directions over the steps. {}", self.models.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    fn table(&self) -> Table {
        let names = ["model", "layer", "head", "sequence", "step", "erase_to_write", "key of step", "erase_to_key", "write_to_key"];
        let mut table = Table::new(
            "Cosines by step, to the key of one write, and of superseding steps to the keys they supersede",
            &[names.as_slice(), &["read_to_key", "superseded_step", "erase_to_superseded", "write_to_superseded"]].concat(),
        );
        for model in &self.models {
            let Place { layer, head, sequence, step: key, .. } = model.place;
            for step in 0..model.n_steps() {
                let at =
                    |series: &Option<Vec<Option<f64>>>| Value::from(series.as_ref().and_then(|series| series.get(step).copied().flatten()));
                let mut row: Vec<Value> = vec![(&model.label).into(), layer.into(), head.into(), sequence.into(), step.into()];
                row.extend([at(&model.angles.erase_to_write), key.into()]);
                row.extend(model.angles.towards.iter().map(at));
                match model.angles.superseding.iter().find(|event| event.0 == step) {
                    Some((_, fact, erase, write)) => row.extend([(*fact).into(), (*erase).into(), (*write).into()]),
                    None => row.extend([Value::Missing, Value::Missing, Value::Missing]),
                }
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let keys: Vec<Key> =
            (0..3).map(|n| Key::new(WHOSE[n], Swatch::Line(INKS[n], dash_of(n), (n < 2).then(|| Marker::of(n * 3))))).collect();
        let top = legend::height(&keys, width);
        let notes: Vec<Note> = self.models.iter().map(|model| Note::fit(&model.said(), width)).collect();
        let lane = 62.0;
        let height = |n: usize| {
            let model = &self.models[n];
            let lanes = model.lanes().len() as f64;
            title_height(&words_of(&model.label, &model.place), width) + lanes * lane + LABEL_ROOM + 12.0 + notes[n].height()
        };
        let total = 4.0 + top + (0..self.models.len()).map(height).sum::<f64>();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let share = (room.height - top) / (total - 4.0 - top);
        let mut at = room.top + top;
        for (n, model) in self.models.iter().enumerate() {
            let whole = Rect::new(room.left, at, room.width, height(n) * share);
            let body = title(&mut scene, &words_of(&model.label, &model.place), whole);
            notes[n].draw(&mut scene, body.left, body.bottom());
            let lanes = model.lanes();
            let plots = Rect::new(body.left, body.top, body.width, body.height - notes[n].height());
            let tiles = plots.tiles_beside(1, lanes.len(), [0.0, 0.0], [0.0, LABEL_ROOM + 9.0]);
            for (place, ((name, lane), tile)) in lanes.iter().zip(tiles).enumerate() {
                draw_lane(&mut scene, tile, model, name, lane, place + 1 == lanes.len());
            }
            at += whole.height;
        }
        scene
    }
}

fn draw_lane(scene: &mut Scene, tile: Rect, model: &AnglesShown, name: &str, lane: &Lane<'_>, is_last: bool) {
    let reference = &model.angles.reference;
    let found: Vec<f64> = match lane {
        Lane::EraseToWrite(cosines) => cosines.iter().copied().flatten().collect(),
        Lane::Superseding(events) => events.iter().flat_map(|(_, _, erase, write)| [*erase, *write]).flatten().collect(),
        Lane::Towards(series) => series.iter().flatten().flat_map(|series| series.iter().copied().flatten()).collect(),
    };
    let most = found.into_iter().map(f64::abs).fold(reference.bound * 1.15, f64::max);
    let end = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0].into_iter().find(|end| *end >= most - 1e-9).unwrap_or(1.0);
    let n_steps = model.n_steps() as f64;
    let frame = Frame {
        title: name.to_owned(),
        x_label: if is_last { "step".to_owned() } else { String::new() },
        y_label: "cosine".to_owned(),
        bare_x: !is_last,
        least_left: 34.0,
        ..Frame::default()
    };
    let panel = Panel::fit(tile, Scale::linear(-0.5, n_steps - 0.5), Scale::linear(-end, end), frame);
    let (ink, quiet, (_, fill)) = (scene.theme.ink(), scene.theme.quiet(), scene.theme.null(1));
    panel.band(scene, &[[-0.5, -reference.bound, reference.bound], [n_steps - 0.5, -reference.bound, reference.bound]], fill.fade(0.35));
    panel.level(scene, 0.0, quiet, None);
    let line = |series: &[Option<f64>]| series.iter().enumerate().map(|(step, x)| [step as f64, x.unwrap_or(f64::NAN)]).collect::<Vec<_>>();
    match lane {
        Lane::EraseToWrite(cosines) if cosines.len() <= ONE_BY_ONE => {
            for (step, cosine) in cosines.iter().enumerate() {
                let Some(cosine) = cosine else { continue };
                let [x, y] = panel.at(step as f64, *cosine);
                scene.line(&[[x, panel.down(0.0)], [x, y]], quiet, 0.5);
                scene.disc([x, y], 1.1, ink);
            }
        }
        Lane::EraseToWrite(cosines) => panel.line(scene, &line(cosines), ink, 0.6, None),
        Lane::Superseding(events) => {
            for (step, _, erase, write) in *events {
                if let Some(write) = write {
                    scene.marker(Marker::Diamond, panel.at(*step as f64, *write), 2.0, GREEN);
                }
                if let Some(erase) = erase {
                    scene.marker(Marker::Disc, panel.at(*step as f64, *erase), 2.0, ORANGE);
                }
            }
        }
        Lane::Towards(series) => {
            for (n, series) in series.iter().enumerate() {
                let Some(series) = series else { continue };
                panel.line(scene, &line(series), INKS[n], 0.9, dash_of(n));
            }
        }
    }
    panel.axes(scene);
}
