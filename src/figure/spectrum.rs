//! Spectra of memories: the singular values of each head, and how its effective rank grows over the sequence.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, LABEL_ROOM, Panel};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{HeadId, HeadSpectrum, Spectrum};

/// Singular values below this share of the largest are rounding.
const LEAST: f64 = 1e-6;

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpectrumData {
    /// The models.
    pub models: Vec<ModelSpectrum>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpectrum {
    /// Its name.
    pub label: String,
    /// The step of the singular values.
    pub last_step: usize,
    /// The heads.
    pub heads: Vec<HeadLine>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadLine {
    /// Which.
    pub id: HeadId,
    /// Mean singular values after the last step over the largest of them, largest first.
    pub singular_values: Vec<f64>,
    /// Step and effective rank; absent where the memory is zero.
    pub effective_ranks: Vec<(usize, Option<Estimate>)>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Spectrum>], _spec: &FigureSpec) -> Result<SpectrumData, FigureError> {
    let one = |model: &Labelled<Spectrum>| ModelSpectrum {
        label: model.label.clone(),
        last_step: model.measured.steps.last().copied().unwrap_or(0),
        heads: model.measured.heads.iter().filter_map(line).collect(),
    };
    let models: Vec<ModelSpectrum> = models.iter().map(one).filter(|model| !model.heads.is_empty()).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Spectrum, "every memory is zero"));
    }
    Ok(SpectrumData { models })
}

fn line(head: &HeadSpectrum) -> Option<HeadLine> {
    let values = &head.steps.last()?.singular_values;
    let largest = values.first().copied().filter(|largest| *largest > 0.0)?;
    Some(HeadLine {
        id: head.id,
        singular_values: values.iter().map(|value| value / largest).collect(),
        effective_ranks: head.steps.iter().map(|step| (step.step, step.effective_rank.as_ref().map(Estimate::from))).collect(),
    })
}

impl Prepared for SpectrumData {
    fn summary(&self) -> String {
        let one = |model: &ModelSpectrum| {
            let head = |head: &HeadLine| {
                let rank = head.effective_ranks.last().and_then(|(_, rank)| *rank);
                rank.map(|rank| format!("{} {rank}", head.id))
            };
            let most = model.heads.iter().map(|head| head.singular_values.len()).max().unwrap_or(0);
            let heads: Vec<String> = model.heads.iter().filter_map(head).collect();
            format!("{}: effective rank after step {}, at most {most}: {}", model.label, model.last_step, heads.join(", "))
        };
        format!("Spectra of memories. {}.", self.models.iter().map(one).collect::<Vec<_>>().join(". "))
    }

    fn table(&self) -> Table {
        let columns =
            ["model", "layer", "head", "step", "effective_rank", "effective_rank_low", "effective_rank_high", "index", "singular_value"];
        let mut table = Table::new("Effective rank by step, and singular values over the largest after the last step", &columns);
        for model in &self.models {
            for head in &model.heads {
                let names =
                    |step: usize| -> Vec<Value> { vec![(&model.label).into(), head.id.layer.into(), head.id.head.into(), step.into()] };
                for (step, rank) in &head.effective_ranks {
                    let mut row = names(*step);
                    row.extend(Estimate::cells(*rank));
                    row.extend([Value::Missing, Value::Missing]);
                    table.push(row);
                }
                for (index, value) in head.singular_values.iter().enumerate() {
                    let mut row = names(model.last_step);
                    row.extend([Value::Missing, Value::Missing, Value::Missing, index.into(), (*value).into()]);
                    table.push(row);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let n = self.models.len();
        let layers = self.layers();
        let keys: Vec<Key> = layers
            .iter()
            .enumerate()
            .take(8)
            .map(|(n, layer)| Key::new(format!("layer {layer}"), Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
            .collect();
        let keys = if keys.len() > 1 { keys } else { Vec::new() };
        let top = legend::height(&keys, spec.width.points() - 4.0);
        let height = 6.0 + top + 106.0 * n as f64 + LABEL_ROOM;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let gap = if wide { 16.0 } else { 8.0 };
        let tiles = body.tiles_beside(2, n, [gap, 4.0], [0.0, LABEL_ROOM]);
        for ((row, model), pair) in self.models.iter().enumerate().zip(tiles.chunks(2)) {
            self.draw_values(&mut scene, model, &layers, pair[0], row + 1 == n);
            self.draw_ranks(&mut scene, model, &layers, pair[1], row + 1 == n);
        }
        scene
    }
}

impl SpectrumData {
    fn layers(&self) -> Vec<usize> {
        let mut layers: Vec<usize> = self.models.iter().flat_map(|model| &model.heads).map(|head| head.id.layer).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    fn draw_values(&self, scene: &mut Scene, model: &ModelSpectrum, layers: &[usize], tile: Rect, is_last: bool) {
        let most = self.models.iter().flat_map(|model| &model.heads).map(|head| head.singular_values.len()).max().unwrap_or(1);
        let values = self.models.iter().flat_map(|model| &model.heads).flat_map(|head| &head.singular_values);
        let frame = Frame {
            title: if self.models.len() > 1 { model.label.clone() } else { String::new() },
            x_label: if is_last { "singular value, by rank".to_owned() } else { String::new() },
            y_label: "σ_{i} / σ_{1}".to_owned(),
            ..Frame::default()
        };
        let y = Scale::log_around(values.copied().filter(|value| *value > LEAST));
        let panel = Panel::fit(tile, Scale::linear(1.0, most.max(2) as f64), y, frame);
        panel.grid(scene);
        for head in &model.heads {
            let n = layers.iter().position(|layer| *layer == head.id.layer).unwrap_or(0);
            let points: Vec<[f64; 2]> = head
                .singular_values
                .iter()
                .enumerate()
                .take_while(|(_, value)| **value > LEAST)
                .map(|(index, value)| [index as f64 + 1.0, *value])
                .collect();
            panel.line(scene, &points, category(n), 0.9, dash_of(n));
        }
        panel.axes(scene);
    }

    fn draw_ranks(&self, scene: &mut Scene, model: &ModelSpectrum, layers: &[usize], tile: Rect, is_last: bool) {
        let reach = self.models.iter().flat_map(|model| &model.heads).flat_map(|head| &head.effective_ranks);
        let reach = reach.filter_map(|(_, rank)| *rank).flat_map(|rank| rank.reach());
        let last = self.models.iter().map(|model| model.last_step).max().unwrap_or(1);
        let frame = Frame {
            x_label: if is_last { "step".to_owned() } else { String::new() },
            y_label: "effective rank".to_owned(),
            title: if self.models.len() > 1 { " ".to_owned() } else { String::new() },
            ..Frame::default()
        };
        let x = Scale::linear(0.0, (last as f64 * 1.03).max(1.0));
        let panel = Panel::fit(tile, x, Scale::around(reach, &[0.0]), frame);
        panel.grid(scene);
        for head in &model.heads {
            let n = layers.iter().position(|layer| *layer == head.id.layer).unwrap_or(0);
            let points: Vec<[f64; 2]> =
                head.effective_ranks.iter().map(|(step, rank)| [*step as f64, rank.map_or(f64::NAN, |rank| rank.value)]).collect();
            panel.line(scene, &points, category(n), 0.9, dash_of(n));
            for (step, rank) in &head.effective_ranks {
                let Some(rank) = rank else { continue };
                if let Some(interval) = rank.interval {
                    panel.interval(scene, *step as f64, interval, category(n), 0.0);
                }
                scene.marker(Marker::of(n), panel.at(*step as f64, rank.value), 1.7, category(n));
            }
        }
        panel.axes(scene);
    }
}
