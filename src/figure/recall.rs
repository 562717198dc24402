//! What can still be read back at its own write key, by lag: stands beside every claim of cleanup.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::{Scale, fixed};
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::Table;
use crate::measure::Recall;

/// R2 below this is drawn at the edge: the mean value would be nearer by far, and how far does not matter.
const FLOOR: f64 = -1.0;

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallData {
    /// Lags in steps, increasing.
    pub lags: Vec<usize>,
    /// The models.
    pub models: Vec<ModelRecall>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecall {
    /// Its name.
    pub label: String,
    /// R2 at each lag of [`RecallData::lags`].
    pub r2: Vec<Option<Estimate>>,
    /// Mean cosine at each lag.
    pub cosine: Vec<Option<Estimate>>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Recall>], _spec: &FigureSpec) -> Result<RecallData, FigureError> {
    let mut lags: Vec<usize> = models.iter().flat_map(|model| model.measured.global.iter().map(|lag| lag.lag)).collect();
    lags.sort_unstable();
    lags.dedup();
    if lags.is_empty() {
        return Err(nothing(Figure::Recall, "no lag was reached"));
    }
    let models = models.iter().map(|model| {
        let at = |lag: &usize| model.measured.global.iter().find(|entry| entry.lag == *lag);
        ModelRecall {
            label: model.label.clone(),
            r2: lags.iter().map(|lag| at(lag)?.r2.as_ref().map(Estimate::from)).collect(),
            cosine: lags.iter().map(|lag| at(lag)?.cosine.as_ref().map(Estimate::from)).collect(),
        }
    });
    Ok(RecallData { models: models.collect(), lags })
}

impl Prepared for RecallData {
    fn summary(&self) -> String {
        let model = |model: &ModelRecall| {
            let at: Vec<String> = self
                .lags
                .iter()
                .zip(&model.r2)
                .filter_map(|(lag, r2)| r2.map(|r2| format!("{} at lag {lag}", fixed(r2.value, 2))))
                .collect();
            format!("{}: {}", model.label, at.join(", "))
        };
        format!("R2 of values read back at their own write key. {}.", self.models.iter().map(model).collect::<Vec<_>>().join("; "))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(
            "Raw write-key recall by lag",
            &["model", "lag [steps]", "r2", "r2_low", "r2_high", "cosine", "cosine_low", "cosine_high"],
        );
        for model in &self.models {
            for ((lag, r2), cosine) in self.lags.iter().zip(&model.r2).zip(&model.cosine) {
                let mut row = vec![(&model.label).into(), (*lag).into()];
                row.extend(Estimate::cells(*r2));
                row.extend(Estimate::cells(*cosine));
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let (mut scene, room) = sheet(spec, if spec.width.points() > 300.0 { 0.4 } else { 0.64 });
        let keys: Vec<Key> = self
            .models
            .iter()
            .enumerate()
            .map(|(n, model)| Key::new(&model.label, Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
            .collect();
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let values = self.models.iter().flat_map(|model| model.r2.iter().flatten()).flat_map(Estimate::reach);
        let hidden = self.models.iter().flat_map(|model| model.r2.iter().flatten()).filter(|r2| r2.value < FLOOR).count();
        let y = Scale::around(values.filter(|value| *value >= FLOOR), &[0.0, 1.0]);
        let every = self.lags.len().div_ceil(((room.width - 30.0) / 17.0) as usize).max(1);
        let x_names = self.lags.iter().enumerate().map(|(n, lag)| if n % every == 0 { lag.to_string() } else { String::new() }).collect();
        let frame =
            Frame { x_label: "lag t − s [steps]".to_owned(), y_label: "R^{2} at the write key".to_owned(), x_names, ..Frame::default() };
        let panel = Panel::fit(
            Rect::new(room.left, room.top + top, room.width, room.height - top),
            Scale::linear(-0.3, self.lags.len() as f64 - 0.7),
            y,
            frame,
        );
        panel.grid(&mut scene);
        panel.level(&mut scene, 0.0, spec.theme.ink(), None);
        for (n, model) in self.models.iter().enumerate() {
            let seen = |r2: &Option<Estimate>| r2.filter(|r2| r2.value >= FLOOR);
            let band: Vec<[f64; 3]> = model
                .r2
                .iter()
                .enumerate()
                .map(|(x, r2)| {
                    let [low, high] = seen(r2).and_then(|r2| r2.interval).unwrap_or([f64::NAN; 2]);
                    [x as f64, low, high]
                })
                .collect();
            panel.band(&mut scene, &band, category(n).fade(0.22));
            let line: Vec<[f64; 2]> =
                model.r2.iter().enumerate().map(|(x, r2)| [x as f64, seen(r2).map_or(f64::NAN, |r2| r2.value)]).collect();
            panel.line(&mut scene, &line, category(n), 1.2, dash_of(n));
            for [x, y] in line {
                scene.marker(Marker::of(n), panel.at(x, y), 2.0, category(n));
            }
        }
        if hidden > 0 {
            let note = format!("{hidden} below −1, see the table");
            scene.text(&note, [panel.area.right() - 2.0, panel.area.top + SMALL], SMALL, scene.theme.quiet(), Anchor::End);
        }
        panel.axes(&mut scene);
        scene
    }
}
