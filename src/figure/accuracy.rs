//! Answers by condition: how often right, how often stale, and how often a foil that was never written.
//!
//! Stale answers mean something only where they outnumber foils.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, text_width};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::Table;
use crate::measure::Behaviour;

/// A model's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// One per condition, in the order drawn.
    pub conditions: Vec<ConditionAnswers>,
}

/// Answers under one condition, as shares of its questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionAnswers {
    /// A letter or short name: `A`.
    pub condition: String,
    /// What it is: `overwrite`.
    pub meaning: String,
    /// Right answers.
    pub accuracy: Estimate,
    /// Answers from the stale set; absent where nothing is stale.
    pub stale: Option<Estimate>,
    /// Answers from as many never-written values.
    pub foil: Option<Estimate>,
}

impl From<&Behaviour> for Answers {
    fn from(behaviour: &Behaviour) -> Self {
        let conditions = behaviour.conditions.iter().map(|row| ConditionAnswers {
            condition: row.condition.map_or(String::new(), |condition| condition.letter().to_string()),
            meaning: row.condition.map_or(String::new(), |condition| condition.name().replace('_', " ")),
            accuracy: Estimate::from(&row.accuracy),
            stale: row.stale_intrusion.as_ref().map(Estimate::from),
            foil: row.matched_foil_rate.as_ref().map(Estimate::from),
        });
        Self { conditions: conditions.collect() }
    }
}

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccuracyData {
    /// Letter and meaning of each condition.
    pub conditions: Vec<(String, String)>,
    /// The models.
    pub models: Vec<ModelAnswers>,
}

/// One model; entries stand in the order of [`AccuracyData::conditions`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswers {
    /// Its name.
    pub label: String,
    /// Right answers.
    pub accuracy: Vec<Option<Estimate>>,
    /// Stale answers.
    pub stale: Vec<Option<Estimate>>,
    /// Foils.
    pub foil: Vec<Option<Estimate>>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Answers>], _spec: &FigureSpec) -> Result<AccuracyData, FigureError> {
    let mut conditions: Vec<(String, String)> = Vec::new();
    for answers in models.iter().flat_map(|model| &model.measured.conditions) {
        if conditions.iter().all(|(letter, _)| *letter != answers.condition) {
            conditions.push((answers.condition.clone(), answers.meaning.clone()));
        }
    }
    if conditions.is_empty() {
        return Err(nothing(Figure::Accuracy, "no condition was answered"));
    }
    let models = models.iter().map(|model| {
        let pick = |what: &dyn Fn(&ConditionAnswers) -> Option<Estimate>| {
            let find = |letter: &String| model.measured.conditions.iter().find(|answers| answers.condition == *letter);
            conditions.iter().map(|(letter, _)| find(letter).and_then(what)).collect()
        };
        ModelAnswers {
            label: model.label.clone(),
            accuracy: pick(&|answers| Some(answers.accuracy)),
            stale: pick(&|answers| answers.stale),
            foil: pick(&|answers| answers.foil),
        }
    });
    Ok(AccuracyData { models: models.collect(), conditions })
}

impl Prepared for AccuracyData {
    fn summary(&self) -> String {
        let model = |model: &ModelAnswers| {
            let each: Vec<String> = self
                .conditions
                .iter()
                .enumerate()
                .filter_map(|(n, (letter, meaning))| {
                    let accuracy = model.accuracy[n]?;
                    let stale = model.stale[n].map_or(String::new(), |stale| format!(", stale {stale}"));
                    let foil = model.foil[n].map_or(String::new(), |foil| format!(", foil {foil}"));
                    Some(format!("{letter} ({meaning}) right {accuracy}{stale}{foil}"))
                })
                .collect();
            format!("{}: {}", model.label, each.join("; "))
        };
        format!("Answers by condition. {}.", self.models.iter().map(model).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let columns = [
            "model",
            "condition",
            "meaning",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "stale",
            "stale_low",
            "stale_high",
            "foil",
            "foil_low",
            "foil_high",
        ];
        let mut table = Table::new("Answers by condition, as shares of questions", &columns);
        for model in &self.models {
            for (n, (letter, meaning)) in self.conditions.iter().enumerate() {
                let mut row = vec![(&model.label).into(), letter.into(), meaning.into()];
                for estimate in [model.accuracy[n], model.stale[n], model.foil[n]] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let (mut scene, room) = sheet(spec, if wide { 0.4 } else { 1.02 });
        let mut keys: Vec<Key> =
            self.models.iter().enumerate().map(|(n, model)| Key::new(&model.label, Swatch::Point(category(n), Marker::of(n)))).collect();
        keys.push(Key::new("foil answers", Swatch::Point(scene.theme.quiet(), Marker::Ring)));
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let legends = wrap(&self.conditions, room.width);
        let note_room = legends.len() as f64 * SMALL * 1.25;
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note_room);
        let tiles = if wide { body.tiles(2, 1, [12.0, 0.0]) } else { body.tiles(1, 2, [0.0, 6.0]) };
        let letters: Vec<String> = self.conditions.iter().map(|(letter, _)| letter.clone()).collect();
        let x = Scale::linear(-0.5, letters.len() as f64 - 0.5);

        let frame = |y_label: &str, bare: bool| Frame {
            x_label: if bare { String::new() } else { "condition".to_owned() },
            y_label: y_label.to_owned(),
            x_names: letters.clone(),
            bare_x: bare,
            ..Frame::default()
        };
        let answers = Scale::linear(0.0, 1.0);
        let errors = self.models.iter().flat_map(|model| model.stale.iter().chain(&model.foil)).flatten().flat_map(Estimate::reach);
        let errors = Scale::around(errors, &[0.0, 0.05]);
        let least_left = if wide {
            0.0
        } else {
            Panel::left_room(tiles[0].height, answers, &frame("x", true)).max(Panel::left_room(tiles[1].height, errors, &frame("x", false)))
        };
        let upper = Panel::fit(tiles[0], x, answers, Frame { least_left, ..frame("right answers", !wide) });
        let lower = Panel::fit(tiles[1], x, errors, Frame { least_left, ..frame("stale answers", false) });
        for panel in [&upper, &lower] {
            panel.grid(&mut scene);
        }
        let models = self.models.len();
        for (n, model) in self.models.iter().enumerate() {
            let at = |condition: usize| condition as f64 + (n as f64 - (models - 1) as f64 / 2.0) * 0.56 / models as f64;
            draw_column(&mut scene, &upper, &model.accuracy, &at, (n, Marker::of(n)));
            let beside = |condition: usize| at(condition) + 0.13;
            draw_column(&mut scene, &lower, &model.foil, &beside, (n, Marker::Ring));
            draw_column(&mut scene, &lower, &model.stale, &at, (n, Marker::of(n)));
        }
        for panel in [&upper, &lower] {
            panel.axes(&mut scene);
        }
        let quiet = scene.theme.quiet();
        for (n, line) in legends.iter().enumerate() {
            let baseline = room.bottom() - note_room + SMALL * (1.05 + 1.25 * n as f64);
            scene.text(line, [room.left, baseline], SMALL, quiet, Anchor::Start);
        }
        scene
    }
}

fn draw_column(
    scene: &mut Scene,
    panel: &Panel,
    column: &[Option<Estimate>],
    at: &dyn Fn(usize) -> f64,
    (series, marker): (usize, Marker),
) {
    for (condition, estimate) in column.iter().enumerate() {
        let Some(estimate) = estimate else { continue };
        if let Some(interval) = estimate.interval {
            panel.interval(scene, at(condition), interval, category(series), 0.0);
        }
        scene.marker(marker, panel.at(at(condition), estimate.value), 2.2, category(series));
    }
}

/// `A overwrite · B fresh key · ...` in lines of at most `width` points.
fn wrap(conditions: &[(String, String)], width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (letter, meaning) in conditions.iter().filter(|(_, meaning)| !meaning.is_empty()) {
        let item = format!("{letter} {meaning}");
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} · {item}"), SMALL) <= width => *line = format!("{line} · {item}"),
            _ => lines.push(item),
        }
    }
    lines
}
