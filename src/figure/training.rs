//! Loss and accuracy while a model is trained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::{Scale, fixed, thousands};
use super::scene::{Rect, Scene, dash_of};
use super::{Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};

/// A training log as drawn: one entry per logged step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingLog {
    /// Optimiser steps, increasing.
    pub steps: Vec<usize>,
    /// Training loss in nats a token; absent where it was not logged.
    pub loss: Vec<Option<f64>>,
    /// Held-out accuracy in [0, 1], of several tasks their mean; absent where it was not measured.
    pub accuracy: Vec<Option<f64>>,
    /// Tasks behind it.
    pub n_tasks: usize,
}

impl TrainingLog {
    /// Read the `log.jsonl` of a training; says which line is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Line {
            step: usize,
            loss: f64,
            #[serde(default)]
            held_out: BTreeMap<String, HeldOut>,
        }
        #[derive(Deserialize)]
        struct HeldOut {
            accuracy: Option<f64>,
        }
        let parse = |(n, line): (usize, &str)| serde_json::from_str::<Line>(line).map_err(|error| format!("line {}: {error}", n + 1));
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect::<Result<Vec<_>, _>>()?;
        let accuracies = |line: &Line| -> Vec<f64> { line.held_out.values().filter_map(|held_out| held_out.accuracy).collect() };
        let mean = |accuracies: Vec<f64>| (!accuracies.is_empty()).then(|| accuracies.iter().sum::<f64>() / accuracies.len() as f64);
        Ok(Self {
            steps: lines.iter().map(|line| line.step).collect(),
            loss: lines.iter().map(|line| Some(line.loss)).collect(),
            accuracy: lines.iter().map(|line| mean(accuracies(line))).collect(),
            n_tasks: lines.iter().map(|line| accuracies(line).len()).max().unwrap_or(1).max(1),
        })
    }
}

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingData {
    /// Tasks behind an accuracy, at most.
    pub n_tasks: usize,
    /// The runs.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub label: String,
    /// Step and loss.
    pub loss: Vec<[f64; 2]>,
    /// Step and accuracy.
    pub accuracy: Vec<[f64; 2]>,
}

/// Pick what is drawn.
pub fn prepare(logs: &[Labelled<TrainingLog>], _spec: &FigureSpec) -> Result<TrainingData, FigureError> {
    let pairs = |steps: &[usize], values: &[Option<f64>]| -> Vec<[f64; 2]> {
        steps.iter().zip(values).filter_map(|(step, value)| value.filter(|v| v.is_finite()).map(|value| [*step as f64, value])).collect()
    };
    let runs: Vec<Run> = logs
        .iter()
        .map(|log| Run {
            label: log.label.clone(),
            loss: pairs(&log.measured.steps, &log.measured.loss),
            accuracy: pairs(&log.measured.steps, &log.measured.accuracy),
        })
        .collect();
    if runs.iter().all(|run| run.loss.is_empty() && run.accuracy.is_empty()) {
        return Err(nothing(Figure::Training, "the log is empty"));
    }
    Ok(TrainingData { n_tasks: logs.iter().map(|log| log.measured.n_tasks).max().unwrap_or(1), runs })
}

impl Prepared for TrainingData {
    fn summary(&self) -> String {
        let run = |run: &Run| {
            let loss = run.loss.last().map(|[step, loss]| format!("loss {} at step {}", fixed(*loss, 3), thousands(*step)));
            let accuracy =
                run.accuracy.last().map(|[step, accuracy]| format!("accuracy {} at step {}", fixed(*accuracy, 3), thousands(*step)));
            let ends: Vec<String> = loss.into_iter().chain(accuracy).collect();
            format!("{}: {}", run.label, ends.join(", "))
        };
        let of = if self.n_tasks > 1 { format!(" Accuracies are means over {} held-out tasks.", self.n_tasks) } else { String::new() };
        format!("Training. {}.{of}", self.runs.iter().map(run).collect::<Vec<_>>().join("; "))
    }

    fn table(&self) -> Table {
        let mut table = Table::new("Training log", &["run", "step", "quantity", "value"]);
        for run in &self.runs {
            for (name, curve) in [("loss", &run.loss), ("accuracy", &run.accuracy)] {
                for [step, value] in curve {
                    table.push(vec![(&run.label).into(), Value::Integer(*step as i64), name.into(), (*value).into()]);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let (mut scene, room) = sheet(spec, if wide { 0.34 } else { 0.9 });
        let keys: Vec<Key> =
            self.runs.iter().enumerate().map(|(n, run)| Key::new(&run.label, Swatch::Line(category(n), dash_of(n), None))).collect();
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let tiles = if wide { body.tiles(2, 1, [12.0, 0.0]) } else { body.tiles(1, 2, [0.0, 6.0]) };
        let last = self.runs.iter().flat_map(|run| run.loss.iter().chain(&run.accuracy)).map(|point| point[0]).fold(0.0, f64::max);
        let losses = self.runs.iter().flat_map(|run| run.loss.iter().map(|point| point[1]));
        let loss_scale = if spec.options.log_loss { Scale::log_around(losses) } else { Scale::around(losses, &[0.0]) };
        let accuracy_scale = Scale::linear(0.0, 1.0);
        let frame = |y_label: &str| Frame { x_label: "optimiser step".to_owned(), y_label: y_label.to_owned(), ..Frame::default() };
        let accuracy = if self.n_tasks > 1 { format!("accuracy, {} tasks", self.n_tasks) } else { "held-out accuracy".to_owned() };
        let frames = [frame("loss [nats / token]"), frame(&accuracy)];
        let scales = [loss_scale, accuracy_scale];
        let least = |n: usize| Panel::left_room(tiles[n].height, scales[n], &frames[n]);
        let least_left = if wide { 0.0 } else { least(0).max(least(1)) };
        for (n, frame) in frames.into_iter().enumerate() {
            let bare = n == 0 && !wide;
            let x_label = if bare { String::new() } else { frame.x_label.clone() };
            let frame = Frame { least_left, bare_x: bare, x_label, ..frame };
            let panel = Panel::fit(tiles[n], Scale::linear(0.0, last.max(1.0)), scales[n], frame);
            panel.grid(&mut scene);
            for (series, run) in self.runs.iter().enumerate() {
                let curve = if n == 0 { &run.loss } else { &run.accuracy };
                panel.line(&mut scene, &thin(curve, 600), category(series), 1.1, dash_of(series));
            }
            panel.axes(&mut scene);
        }
        scene
    }
}

/// At most about `most` points: the lowest and the highest of each stretch, so that no spike is lost.
fn thin(curve: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    if curve.len() <= most {
        return curve.to_vec();
    }
    let stretch = curve.len().div_ceil(most / 2);
    let ends = |points: &[[f64; 2]]| {
        let by = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let mut ends: Vec<[f64; 2]> = points.iter().min_by(by).into_iter().chain(points.iter().max_by(by)).copied().collect();
        ends.sort_by(|a, b| a[0].total_cmp(&b[0]));
        ends
    };
    curve.chunks(stretch).flat_map(ends).collect()
}
