//! Dose-response of the erase: what answers become as every erase strength is scaled.
//!
//! The never-written foils stand beside the stale values, and random addresses under the same gates beside the dose: neither a fall
//! of the right answer nor a rise of the stale one means anything alone.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel, SeriesPoint};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::Table;
use crate::intervene::Address;
use crate::measure::{EraseEffects, EraseRun};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoseData {
    /// The models.
    pub models: Vec<ModelDoses>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDoses {
    /// Its name.
    pub label: String,
    /// In order of the factor; the model as it is stands at 1.
    pub doses: Vec<Dose>,
    /// Accuracy with erases at random addresses under the same gates.
    pub random: Option<Estimate>,
}

/// One factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    /// c of gamma := c gamma.
    pub factor: f64,
    /// Change of the log-probability of the right answer (nats); absent at 1.
    pub right: Option<Estimate>,
    /// Of the stale values.
    pub stale: Option<Estimate>,
    /// Of as many never-written ones.
    pub foil: Option<Estimate>,
    /// Share of right answers.
    pub accuracy: Estimate,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<EraseEffects>], _spec: &FigureSpec) -> Result<DoseData, FigureError> {
    let model = |model: &Labelled<EraseEffects>| {
        let effects = &model.measured;
        let mut doses: Vec<Dose> = effects
            .doses()
            .into_iter()
            .map(|(factor, effect)| Dose {
                factor,
                right: Some(Estimate::from(&effect.gold)),
                stale: effect.stale.as_ref().map(Estimate::from),
                foil: effect.foil.as_ref().map(Estimate::from),
                accuracy: Estimate::from(&effect.accuracy),
            })
            .filter(|dose| (dose.factor - 1.0).abs() > f64::EPSILON)
            .collect();
        doses.push(Dose { factor: 1.0, right: None, stale: None, foil: None, accuracy: Estimate::from(&effects.accuracy) });
        doses.sort_by(|a, b| a.factor.total_cmp(&b.factor));
        let random = effects.run(&EraseRun::Address(Address::Random)).map(|run| Estimate::from(&run.all.accuracy));
        ModelDoses { label: model.label.clone(), doses, random }
    };
    let models: Vec<ModelDoses> = models.iter().map(model).filter(|model| model.doses.len() > 1).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Dose, "no factor of the erase strength was run"));
    }
    Ok(DoseData { models })
}

/// A series of changes: name, and how it is picked.
type Pick = (&'static str, fn(&Dose) -> Option<Estimate>);

const CHANGES: [Pick; 3] = [("right", |dose| dose.right), ("stale", |dose| dose.stale), ("never written", |dose| dose.foil)];

impl Prepared for DoseData {
    fn summary(&self) -> String {
        let model = |model: &ModelDoses| {
            let each: Vec<String> = model
                .doses
                .iter()
                .map(|dose| {
                    let change = dose.right.map_or(String::new(), |right| format!(", log p(right) {right} nats"));
                    format!("{} × γ: accuracy {}{change}", dose.factor, dose.accuracy)
                })
                .collect();
            format!("{}: {}", model.label, each.join("; "))
        };
        format!("Answers with every erase strength scaled. {}.", self.models.iter().map(model).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let columns = [
            "model",
            "factor",
            "right",
            "right_low",
            "right_high",
            "stale",
            "stale_low",
            "stale_high",
            "never_written",
            "never_written_low",
            "never_written_high",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
        ];
        let mut table = Table::new("Dose-response of the erase: changes of log-probabilities [nats] and accuracy", &columns);
        for model in &self.models {
            for dose in &model.doses {
                let mut row = vec![(&model.label).into(), dose.factor.into()];
                for estimate in [dose.right, dose.stale, dose.foil, Some(dose.accuracy)] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let rows = self.models.len() as f64;
        let (mut scene, room) = sheet(spec, if wide { 0.38 * rows } else { 1.0 * rows });
        let mut keys: Vec<Key> = CHANGES
            .iter()
            .enumerate()
            .map(|(n, (name, _))| Key::new(*name, Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
            .collect();
        keys.push(Key::new("random addresses, same gates", Swatch::Line(scene.theme.quiet(), Some([2.0, 1.6]), None)));
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let tiles = if wide { body.tiles(2, self.models.len(), [12.0, 8.0]) } else { body.tiles(1, 2 * self.models.len(), [0.0, 6.0]) };
        for (model, tiles) in self.models.iter().zip(tiles.chunks_exact(2)) {
            let title = if self.models.len() > 1 { model.label.clone() } else { String::new() };
            draw_model(&mut scene, model, [tiles[0], tiles[1]], &title);
        }
        scene
    }
}

fn draw_model(scene: &mut Scene, model: &ModelDoses, [left, right]: [Rect; 2], title: &str) {
    let is_stacked = right.top > left.top;
    let ends = model.doses.iter().map(|dose| dose.factor);
    let margin = 0.03 * ends.clone().fold(0.0, f64::max);
    let x = Scale::linear(ends.clone().fold(f64::INFINITY, f64::min) - margin, ends.fold(0.0, f64::max) + margin);
    let reach = model.doses.iter().flat_map(|dose| CHANGES.map(|(_, pick)| pick(dose))).flatten().flat_map(|estimate| estimate.reach());
    let mut upper = Frame { title: title.to_owned(), y_label: "change of log p [nats]".to_owned(), bare_x: is_stacked, ..Frame::default() };
    let mut lower = Frame { x_label: "factor c of γ := c γ".to_owned(), y_label: "right answers".to_owned(), ..Frame::default() };
    let changes = Scale::around(reach, &[0.0]);
    let answers = Scale::linear(0.0, 1.0);
    if is_stacked {
        let least = Panel::left_room(left.height, changes, &upper).max(Panel::left_room(right.height, answers, &lower));
        (upper.least_left, lower.least_left) = (least, least);
    } else {
        upper.x_label.clone_from(&lower.x_label);
    }
    let panel = Panel::fit(left, x, changes, upper);
    panel.grid(scene);
    panel.level(scene, 0.0, scene.theme.ink(), None);
    panel.upright(scene, 1.0, scene.theme.quiet(), Some([2.0, 1.6]));
    for (n, (_, pick)) in CHANGES.iter().enumerate() {
        // At 1 nothing changes, by construction: the line passes there without an interval.
        let rows: Vec<SeriesPoint> = model
            .doses
            .iter()
            .filter_map(|dose| match pick(dose) {
                Some(estimate) => Some(SeriesPoint { x: dose.factor, y: estimate.value, interval: estimate.interval }),
                None if dose.right.is_none() => Some(SeriesPoint { x: dose.factor, y: 0.0, interval: None }),
                None => None,
            })
            .collect();
        panel.series(scene, &rows, n, category(n));
    }
    panel.axes(scene);

    let panel = Panel::fit(right, x, answers, lower);
    panel.grid(scene);
    panel.upright(scene, 1.0, scene.theme.quiet(), Some([2.0, 1.6]));
    if let Some(random) = model.random {
        panel.level(scene, random.value, scene.theme.quiet(), Some([2.0, 1.6]));
    }
    let rows = |dose: &Dose| SeriesPoint { x: dose.factor, y: dose.accuracy.value, interval: dose.accuracy.interval };
    let ink = scene.theme.ink();
    panel.series(scene, &model.doses.iter().map(rows).collect::<Vec<_>>(), 0, ink);
    scene.text("as it is", [panel.across(1.0) + 2.0, panel.area.bottom() - 3.0], SMALL, scene.theme.quiet(), Anchor::Start);
    panel.axes(scene);
}
