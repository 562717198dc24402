//! The life of one write: what survives of it after every step, and what decay, erases and later writes took.
//!
//! The four shares sum to one at every age. The dashed line is what decay alone would have left, the dotted one what would be left
//! had the erase not been.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::fate::colours;
use super::legend::{self, Key, Note, Swatch};
use super::place::{step_words, title, title_height, words_of};
use super::scale::Scale;
use super::scene::{Anchor, HAIR, Rect, SMALL, Scene, text_width};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::ledger::{Form, Mechanism};
use crate::measure::{FATES, Place, Seen, WriteLife};

/// Ages drawn at most; the table has all.
const MOST: usize = 600;
const DECAY_ALONE: Option<[f64; 2]> = Some([3.0, 2.0]);
const WITHOUT_ERASE: Option<[f64; 2]> = Some([1.0, 1.4]);

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LifeData {
    /// The writes followed.
    pub writes: Vec<WriteShown>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteShown {
    /// Its model.
    pub label: String,
    /// Where it was made.
    pub place: Place,
    /// What was written, in words.
    pub words: String,
    /// Whether shares are of vectors: then one may be negative.
    pub of_vectors: bool,
    /// Surviving, decayed, erased, overwritten, \[age\].
    pub shares: Vec<[f64; 4]>,
    /// What decay, erase and write of the step took, \[age\].
    pub taken: Vec<[f64; 3]>,
    /// What decay alone would have left, \[age\].
    pub decay_only: Vec<f64>,
    /// What would be left had the erase not been, \[age\]; absent without an erase.
    pub without_erase: Option<Vec<f64>>,
    /// Half-lives in steps, as it was and of decay alone.
    pub half_lives: [Option<usize>; 2],
    /// The age from which on it is stale.
    pub stale_from: Option<usize>,
    /// The erases and writes that took most: step, who, share, and what stands at the step.
    pub removals: Vec<(usize, Mechanism, f64, String)>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Seen<Option<WriteLife>>>], _spec: &FigureSpec) -> Result<LifeData, FigureError> {
    let writes: Vec<WriteShown> = models.iter().filter_map(|model| shown(&model.label, &model.measured)).collect();
    if writes.is_empty() {
        return Err(nothing(Figure::Life, "this step wrote nothing: choose another with --step"));
    }
    Ok(LifeData { writes })
}

fn shown(label: &str, seen: &Seen<Option<WriteLife>>) -> Option<WriteShown> {
    let WriteLife { life, without_erase } = seen.found.as_ref()?;
    let last = life.born + life.shares.len() - 1;
    let removals = life.removals(&[Mechanism::Erase, Mechanism::Write]);
    let removal =
        |removal: &crate::ledger::Removal| (removal.step, removal.mechanism, removal.share, seen.text.at(removal.step).to_owned());
    Some(WriteShown {
        label: label.to_owned(),
        place: seen.place,
        words: seen.text.at(life.born).to_owned(),
        of_vectors: life.form == Form::Vector,
        shares: life.shares.clone(),
        taken: life.taken.clone(),
        decay_only: life.decay_only.clone(),
        without_erase: without_erase.clone(),
        half_lives: [life.half_life, life.decay_only_half_life],
        stale_from: seen.text.stale_from(life.born).filter(|from| (life.born..=last).contains(from)).map(|from| from - life.born),
        removals: removals.iter().take(3).map(removal).collect(),
    })
}

impl WriteShown {
    fn title(&self) -> String {
        format!("{}, write of {}", words_of(&self.label, &self.place), step_words(self.place.step, &self.words))
    }

    fn took(&self) -> String {
        let one = |(step, who, share, words): &(usize, Mechanism, f64, String)| {
            format!("{who} at {} {:.1} %", step_words(*step, words), 100.0 * share)
        };
        if self.removals.is_empty() {
            return "No erase and no later write took anything of it.".to_owned();
        }
        format!("Took most: {}.", self.removals.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    /// The ages that are drawn.
    fn ages(&self) -> Vec<usize> {
        let last = self.shares.len() - 1;
        let mut ages: Vec<usize> = (0..=last).step_by(self.shares.len().div_ceil(MOST)).chain([last]).collect();
        ages.dedup();
        ages
    }
}

impl Prepared for LifeData {
    fn summary(&self) -> String {
        let one = |write: &WriteShown| {
            let last = write.shares.len() - 1;
            let shares = FATES.iter().zip(write.shares[last]).map(|(name, share)| format!("{name} {:.1} %", 100.0 * share));
            let half = write.half_lives[0].map_or_else(|| "beyond the end".to_owned(), |age| format!("{age} steps"));
            let shares = shares.collect::<Vec<_>>().join(", ");
            format!("{}: after {last} steps {shares}; half-life {half}. {}", write.title(), write.took())
        };
        self.writes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> Table {
        let taken = Mechanism::ALL.map(|mechanism| format!("{mechanism}_took"));
        let names = ["model", "layer", "head", "sequence", "written at", "age [steps]"];
        let last = ["surviving_decay_alone", "surviving_without_erase"];
        let columns: Vec<&str> = names.into_iter().chain(FATES).chain(taken.iter().map(String::as_str)).chain(last).collect();
        let mut table = Table::new("Shares of one write by age, and what each step took of it", &columns);
        for write in &self.writes {
            let Place { layer, head, sequence, step, .. } = write.place;
            for (age, shares) in write.shares.iter().enumerate() {
                let mut row: Vec<Value> = vec![(&write.label).into(), layer.into(), head.into(), sequence.into(), step.into(), age.into()];
                row.extend(shares.iter().chain(&write.taken[age]).map(|&share| Value::from(share)));
                row.push(write.decay_only[age].into());
                row.push(write.without_erase.as_ref().map(|left| left[age]).into());
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let width = spec.width.points() - 4.0;
        let mut keys: Vec<Key> =
            FATES.into_iter().zip(colours(spec.theme)).map(|(name, colour)| Key::new(name, Swatch::Fill(colour))).collect();
        keys.push(Key::new("decay alone", Swatch::Line(spec.theme.ink(), DECAY_ALONE, None)));
        if self.writes.iter().any(|write| write.without_erase.is_some()) {
            keys.push(Key::new("without the erase", Swatch::Line(spec.theme.ink(), WITHOUT_ERASE, None)));
        }
        let top = legend::height(&keys, width);
        let notes: Vec<Note> = self.writes.iter().map(|write| Note::fit(&write.took(), width)).collect();
        let plot = 104.0;
        let height = |n: usize| title_height(&self.writes[n].title(), width) + plot + notes[n].height() + 3.0;
        let total = 4.0 + top + (0..self.writes.len()).map(height).sum::<f64>();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let share = (room.height - top) / (total - 4.0 - top);
        let mut at = room.top + top;
        for (n, (write, note)) in self.writes.iter().zip(&notes).enumerate() {
            let whole = Rect::new(room.left, at, room.width, height(n) * share);
            let body = title(&mut scene, &write.title(), whole);
            note.draw(&mut scene, body.left, body.bottom());
            draw_write(&mut scene, Rect::new(body.left, body.top, body.width, body.height - note.height()), write);
            at += whole.height;
        }
        scene
    }
}

fn draw_write(scene: &mut Scene, outer: Rect, write: &WriteShown) {
    let ages = write.ages();
    let last = write.shares.len() - 1;
    let y = if write.of_vectors { Scale::around(write.shares.iter().flatten().copied(), &[0.0, 1.0]) } else { Scale::linear(0.0, 1.0) };
    let frame = Frame { x_label: "age [steps]".to_owned(), y_label: "share of the write".to_owned(), ..Frame::default() };
    let panel = Panel::fit(outer, Scale::linear(0.0, last.max(1) as f64), y, frame);
    let mut below = vec![0.0; ages.len()];
    for (part, colour) in colours(scene.theme).into_iter().enumerate() {
        if write.of_vectors {
            let line: Vec<[f64; 2]> = ages.iter().map(|&age| [age as f64, write.shares[age][part]]).collect();
            panel.line(scene, &line, colour, 1.2, None);
            continue;
        }
        let above: Vec<f64> = below.iter().zip(&ages).map(|(below, &age)| below + write.shares[age][part]).collect();
        let rows: Vec<[f64; 3]> = ages.iter().zip(below.iter().zip(&above)).map(|(&age, (&low, &high))| [age as f64, low, high]).collect();
        panel.band(scene, &rows, colour);
        below = above;
    }
    let ink = scene.theme.ink();
    let line = |series: &[f64]| ages.iter().map(|&age| [age as f64, series[age]]).collect::<Vec<_>>();
    panel.line(scene, &line(&write.decay_only), ink, 0.9, DECAY_ALONE);
    if let Some(without) = &write.without_erase {
        panel.line(scene, &line(without), ink, 0.9, WITHOUT_ERASE);
    }
    let marks = [(write.stale_from, "stale from here"), (write.half_lives[0], "half-life")];
    for (n, (age, name)) in marks.into_iter().enumerate() {
        let Some(age) = age else { continue };
        panel.upright(scene, age as f64, ink, Some([2.0, 1.6]));
        let said = format!("{name} {age}");
        let width = text_width(&said, SMALL);
        let left = (panel.across(age as f64) + 3.0).min(panel.area.right() - width - 2.0);
        let top = panel.area.top + 3.0 + n as f64 * 11.0;
        scene.cell(Rect::new(left - 1.0, top, width + 2.0, SMALL + 2.0), scene.theme.paper());
        scene.outline(Rect::new(left - 1.0, top, width + 2.0, SMALL + 2.0), scene.theme.grid(), HAIR);
        scene.text(&said, [left, top + SMALL], SMALL, ink, Anchor::Start);
    }
    panel.axes(scene);
}
