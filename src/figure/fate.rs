//! The fate of a write: what survives of it, and who took the rest, by what it stands for and by age.
//!
//! The four shares of a bar sum to one, exactly. The points beside the bars are what the erase alone removed: what decay and
//! overwriting would have taken anyway does not count.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::{AREAS, Colour, Theme};
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Anchor, Marker, Rect, SMALL, Scene};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::ledger::Form;
use crate::measure::{FATES, Fate, FateRow, FateShares, Role};

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FateData {
    /// The models.
    pub models: Vec<ModelFate>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFate {
    /// Its name.
    pub label: String,
    /// Sequences.
    pub n_sequences: usize,
    /// Whether shares are of vectors: then one may be negative.
    pub of_vectors: bool,
    /// One per kind of writes.
    pub bars: Vec<FateBar>,
    /// What the ages are of.
    pub aged: Role,
    /// Shares by age of stale facts, or of all tokens where nothing is stale.
    pub ages: Vec<AgeStack>,
}

/// One kind of writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FateBar {
    /// What they stand for.
    pub role: Role,
    /// Letter of the condition; empty for all.
    pub condition: String,
    /// Writes times heads.
    pub n_writes: u64,
    /// Surviving, decayed, erased, overwritten.
    pub shares: [Estimate; 4],
    /// What the erase alone removed; absent without an erase.
    pub unique: Option<Estimate>,
}

impl FateBar {
    fn name(&self) -> String {
        let role = match self.role {
            Role::Stale => "stale",
            Role::Kept => "kept",
            Role::Other => "other",
        };
        if self.condition.is_empty() { format!("{role}, all") } else { format!("{role}, {}", self.condition) }
    }
}

/// Shares at one age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgeStack {
    /// Steps since the write.
    pub age: usize,
    /// Surviving, decayed, erased, overwritten.
    pub shares: [Estimate; 4],
}

/// Pick what is drawn: every role over all conditions, and stale facts by condition.
pub fn prepare(models: &[Labelled<Fate>], _spec: &FigureSpec) -> Result<FateData, FigureError> {
    let models: Vec<ModelFate> = models.iter().map(prepare_model).filter(|model| !model.bars.is_empty()).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Fate, "nothing was written"));
    }
    Ok(FateData { models })
}

fn prepare_model(model: &Labelled<Fate>) -> ModelFate {
    let fate = &model.measured;
    let bar = |row: &FateRow| FateBar {
        role: row.role,
        condition: row.condition.map_or(String::new(), |condition| condition.letter().to_string()),
        n_writes: row.n_writes,
        shares: stack(&row.shares),
        unique: row.unique.as_ref().map(Estimate::from),
    };
    let of_role = |role: Role| fate.rows.iter().filter(move |row| row.role == role && (row.condition.is_none() || role == Role::Stale));
    let aged = [Role::Stale, Role::Other, Role::Kept].into_iter().find_map(|role| fate.row(role, None));
    let ages = aged.iter().flat_map(|row| &row.ages);
    ModelFate {
        label: model.label.clone(),
        n_sequences: fate.n_sequences,
        of_vectors: fate.rows.iter().any(|row| row.form == Form::Vector),
        bars: Role::ALL.into_iter().flat_map(of_role).map(bar).collect(),
        aged: aged.map_or(Role::Other, |row| row.role),
        ages: ages.map(|at| AgeStack { age: at.age, shares: stack(&at.shares) }).collect(),
    }
}

fn stack(shares: &FateShares) -> [Estimate; 4] {
    shares.as_array().map(Estimate::from)
}

/// Of surviving, decayed, erased and overwritten, everywhere.
pub fn colours(theme: Theme) -> [Colour; 4] {
    let [decay, erase, write] = AREAS;
    [theme.quiet().fade(0.22).over(theme.paper()), decay, erase, write]
}

impl Prepared for FateData {
    fn summary(&self) -> String {
        let parts =
            |shares: &[Estimate; 4]| FATES.iter().zip(shares).map(|(name, share)| format!("{name} {share}")).collect::<Vec<_>>().join(", ");
        let model = |model: &ModelFate| {
            let all = model.bars.iter().filter(|bar| bar.condition.is_empty());
            let bar = |bar: &FateBar| {
                let unique = bar.unique.map_or(String::new(), |unique| format!("; uniquely by the erase {unique}"));
                format!("{} {}{unique}", bar.role.label(), parts(&bar.shares))
            };
            format!("{}: {}", model.label, all.map(bar).collect::<Vec<_>>().join(". "))
        };
        format!("Shares of what was written, at the end of the sequence. {}.", self.models.iter().map(model).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let mut columns = ["model", "writes", "condition", "age [steps]", "n_writes"].map(str::to_owned).to_vec();
        for name in FATES.into_iter().chain(["unique"]) {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new("Shares of what was written; rows without an age are at the end of the sequence", &columns);
        for model in &self.models {
            for bar in &model.bars {
                let mut row: Vec<Value> = vec![(&model.label).into(), bar.role.label().into(), (&bar.condition).into(), Value::Missing];
                row.push(Value::Integer(bar.n_writes as i64));
                bar.shares.iter().copied().map(Some).chain([bar.unique]).for_each(|estimate| row.extend(Estimate::cells(estimate)));
                table.push(row);
            }
            for at in &model.ages {
                let mut row: Vec<Value> = vec![(&model.label).into(), model.aged.label().into(), "".into(), at.age.into(), Value::Missing];
                at.shares.iter().copied().map(Some).chain([None]).for_each(|estimate| row.extend(Estimate::cells(estimate)));
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let bars_height = |model: &ModelFate| 40.0 + 11.5 * model.bars.len() as f64;
        let ages_height = 92.0;
        let height = |model: &ModelFate| if wide { bars_height(model).max(ages_height) } else { bars_height(model) + ages_height };
        let total = 28.0 + self.models.iter().map(height).sum::<f64>();
        let (mut scene, room) = sheet(spec, total / spec.width.points());
        let keys: Vec<Key> =
            FATES.into_iter().zip(colours(scene.theme)).map(|(name, colour)| Key::new(name, Swatch::Fill(colour))).collect();
        let erases = self.models.iter().any(|model| model.bars.iter().any(|bar| bar.unique.is_some()));
        let unique = erases.then(|| Key::new("uniquely by the erase", Swatch::Point(scene.theme.ink(), Marker::Diamond)));
        let keys: Vec<Key> = keys.into_iter().chain(unique).collect();
        let mut top = room.top + legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        for model in &self.models {
            let body = Rect::new(room.left, top, room.width, height(model));
            if wide {
                let left = body.width * 0.62;
                self.draw_bars(&mut scene, Rect::new(body.left, body.top, left, bars_height(model)), model);
                draw_ages(&mut scene, Rect::new(body.left + left + 10.0, body.top, body.width - left - 10.0, body.height), model);
            } else {
                self.draw_bars(&mut scene, Rect::new(body.left, body.top, body.width, bars_height(model)), model);
                draw_ages(&mut scene, Rect::new(body.left, body.top + bars_height(model), body.width, ages_height), model);
            }
            top += body.height;
        }
        let quiet = scene.theme.quiet();
        let note = if self.models.iter().any(|model| model.of_vectors) {
            "shares of vectors: a negative one is drawn as 0, see the table"
        } else {
            "shares of energy, exact"
        };
        scene.text(note, [room.left, room.bottom() - 2.0], SMALL, quiet, Anchor::Start);
        scene
    }
}

impl FateData {
    fn draw_bars(&self, scene: &mut Scene, outer: Rect, model: &ModelFate) {
        let names = model.bars.iter().map(FateBar::name).collect();
        let title = if self.models.len() > 1 { model.label.clone() } else { String::new() };
        let frame = Frame { title, x_label: "share of what was written".to_owned(), y_names: names, ..Frame::default() };
        let y = Scale::linear(model.bars.len() as f64 - 0.4, -0.6);
        let panel = Panel::fit(outer, Scale::linear(0.0, 1.0), y, frame);
        let (colours, ink, paper) = (colours(scene.theme), scene.theme.ink(), scene.theme.paper());
        for (row, bar) in model.bars.iter().enumerate() {
            let (row, mut at) = (row as f64, 0.0);
            let height = panel.down(row + 0.36) - panel.down(row - 0.36);
            for (share, colour) in bar.shares.iter().zip(colours) {
                let next = at + share.value.max(0.0);
                let (left, right) = (panel.across(at), panel.across(next));
                if right - left > 0.05 {
                    scene.cell(Rect::new(left, panel.down(row - 0.36), right - left, height), colour);
                }
                at = next;
            }
            if let Some(interval) = bar.shares[0].interval {
                panel.lying_interval(scene, interval, row, ink);
            }
            if let Some(unique) = bar.unique {
                if let Some(interval) = unique.interval {
                    panel.lying_interval(scene, interval, row, ink);
                }
                scene.marker(Marker::Diamond, panel.at(unique.value, row), 2.6, paper);
                scene.marker(Marker::Diamond, panel.at(unique.value, row), 1.9, ink);
            }
        }
        panel.axes(scene);
    }
}

fn draw_ages(scene: &mut Scene, outer: Rect, model: &ModelFate) {
    if model.ages.len() < 2 {
        return;
    }
    let names = model.ages.iter().map(|at| at.age.to_string()).collect();
    let frame = Frame {
        title: model.aged.label().to_owned(),
        x_label: "age [steps]".to_owned(),
        y_label: "share".to_owned(),
        x_names: names,
        ..Frame::default()
    };
    let panel = Panel::fit(outer, Scale::linear(0.0, model.ages.len() as f64 - 1.0), Scale::linear(0.0, 1.0), frame);
    let mut below = vec![0.0; model.ages.len()];
    for (part, colour) in colours(scene.theme).into_iter().enumerate() {
        let above: Vec<f64> = below.iter().zip(&model.ages).map(|(below, at)| below + at.shares[part].value.max(0.0)).collect();
        let rows: Vec<[f64; 3]> = below.iter().zip(&above).enumerate().map(|(x, (&low, &high))| [x as f64, low, high]).collect();
        panel.band(scene, &rows, colour);
        below = above;
    }
    let ink = scene.theme.ink();
    for (x, at) in model.ages.iter().enumerate() {
        if let Some(interval) = at.shares[0].interval {
            panel.interval(scene, x as f64, interval, ink, 0.0);
        }
    }
    panel.axes(scene);
}
