//! What a memory's capacity is spent on: degrees of freedom and the ceiling of linear readouts, by noise and by age.
//!
//! The ceiling takes values for independent of addresses: in deep layers it is a reference, not a bound.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Note, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::ledger::{NOISE_BF16, NOISE_F16, NOISE_F32};
use crate::measure::{CEILING_NOTICE, Capacity, Role};

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityData {
    /// What the ceiling leaves open.
    pub notice: String,
    /// The models.
    pub models: Vec<ModelCapacity>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCapacity {
    /// Its name.
    pub label: String,
    /// Key channels: the most degrees of freedom.
    pub most: f64,
    /// By noise, smallest first.
    pub noises: Vec<NoisePoint>,
    /// By age, youngest first.
    pub ages: Vec<AgePoint>,
}

/// One noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoisePoint {
    /// Variance over the mean square of the memory's entries.
    pub noise: f64,
    /// Sum of R2.
    pub degrees_of_freedom: Estimate,
    /// Mean R2 of a stale fact.
    pub stale: Option<Estimate>,
    /// Mean R2 of a kept fact.
    pub kept: Option<Estimate>,
    /// Share of the capacity that stale facts hold.
    pub stale_share: Option<Estimate>,
}

/// One class of ages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgePoint {
    /// Least age in steps.
    pub from: usize,
    /// Largest age.
    pub to: usize,
    /// Mean R2.
    pub r2: Estimate,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Capacity>], _spec: &FigureSpec) -> Result<CapacityData, FigureError> {
    let one = |model: &Labelled<Capacity>| {
        let share = |row: &crate::measure::CapacityRow, role: Role| row.shares.iter().find(|share| share.role == role).copied();
        let mut noises: Vec<NoisePoint> = model
            .measured
            .rows
            .iter()
            .filter(|row| row.condition.is_none())
            .map(|row| NoisePoint {
                noise: row.noise,
                degrees_of_freedom: (&row.degrees_of_freedom).into(),
                stale: share(row, Role::Stale).map(|share| (&share.mean_r2).into()),
                kept: share(row, Role::Kept).map(|share| (&share.mean_r2).into()),
                stale_share: share(row, Role::Stale).map(|share| (&share.share).into()),
            })
            .collect();
        noises.sort_by(|a, b| a.noise.total_cmp(&b.noise));
        let ages = model.measured.ages.iter().map(|age| AgePoint { from: age.from, to: age.to, r2: (&age.mean_r2).into() });
        ModelCapacity { label: model.label.clone(), most: model.measured.most, noises, ages: ages.collect() }
    };
    let models: Vec<ModelCapacity> = models.iter().map(one).filter(|model| !model.noises.is_empty()).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Capacity, "the memories hold nothing"));
    }
    Ok(CapacityData { notice: CEILING_NOTICE.to_owned(), models })
}

impl Prepared for CapacityData {
    fn summary(&self) -> String {
        let model = |model: &ModelCapacity| {
            let ends = [model.noises.first(), model.noises.last()].into_iter().flatten();
            let end = |point: &NoisePoint| {
                let stale = point.stale_share.map_or(String::new(), |share| format!(", of them stale {share}"));
                format!("{} degrees of freedom at noise {:.1e}{stale}", point.degrees_of_freedom, point.noise)
            };
            format!("{}: {}", model.label, ends.map(end).collect::<Vec<_>>().join("; "))
        };
        format!(
            "Capacity of the memories at the end of the sequence. {}. {}",
            self.models.iter().map(model).collect::<Vec<_>>().join(". "),
            self.notice
        )
    }

    fn table(&self) -> Table {
        let mut columns = ["model", "noise", "age_from [steps]", "age_to [steps]"].map(str::to_owned).to_vec();
        for name in ["degrees_of_freedom", "r2_stale", "r2_kept", "stale_share", "r2"] {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new("Capacity of the memories by noise, and R2 by age", &columns);
        for model in &self.models {
            for point in &model.noises {
                let mut row: Vec<Value> = vec![(&model.label).into(), point.noise.into(), Value::Missing, Value::Missing];
                for estimate in [Some(point.degrees_of_freedom), point.stale, point.kept, point.stale_share, None] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
            for age in &model.ages {
                let mut row: Vec<Value> = vec![(&model.label).into(), Value::Missing, age.from.into(), age.to.into()];
                for estimate in [None, None, None, None, Some(age.r2)] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let (mut scene, room) = sheet(spec, if wide { 0.34 } else { 1.4 });
        let mut keys: Vec<Key> = self
            .models
            .iter()
            .enumerate()
            .map(|(n, model)| Key::new(&model.label, Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
            .collect();
        if self.models.iter().any(|model| model.noises.iter().any(|point| point.kept.is_some())) {
            keys.push(Key::new("kept facts", Swatch::Point(scene.theme.quiet(), Marker::Ring)));
        }
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let note = Note::fit(if wide { self.notice.as_str() } else { "a reference, not a bound, in deep layers" }, room.width);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note.height());
        let tiles = if wide { body.tiles(3, 1, [10.0, 0.0]) } else { body.tiles(1, 3, [0.0, 4.0]) };
        let most = self.models.iter().map(|model| model.most).fold(1.0, f64::max);
        self.draw_by_noise(&mut scene, tiles[0], "degrees of freedom", most, |point| [Some(point.degrees_of_freedom), None]);
        self.draw_by_noise(&mut scene, tiles[1], "ceiling R^{2} of facts", 1.0, |point| [point.stale, point.kept]);
        self.draw_by_age(&mut scene, tiles[2]);
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

impl CapacityData {
    fn draw_by_noise(&self, scene: &mut Scene, tile: Rect, label: &str, most: f64, of: impl Fn(&NoisePoint) -> [Option<Estimate>; 2]) {
        let mut noises: Vec<f64> = self.models.iter().flat_map(|model| model.noises.iter().map(|point| point.noise)).collect();
        noises.sort_by(f64::total_cmp);
        noises.dedup();
        let place = |noise: f64| noises.iter().position(|&other| other >= noise).unwrap_or(0) as f64;
        let frame = Frame {
            x_label: "noise, relative".to_owned(),
            y_label: label.to_owned(),
            x_names: noises.iter().map(|&noise| noise_name(noise)).collect(),
            ..Frame::default()
        };
        let x = Scale::linear(-0.4, noises.len() as f64 - 0.6);
        let panel = Panel::fit(tile, x, Scale::around([0.0, most], &[]), frame);
        panel.grid(scene);
        panel.level(scene, most, scene.theme.quiet(), Some([2.0, 1.6]));
        for (n, model) in self.models.iter().enumerate() {
            for (part, marker) in [(1, Marker::Ring), (0, Marker::of(n))] {
                let seen: Vec<(f64, Estimate)> =
                    model.noises.iter().filter_map(|point| Some((place(point.noise), of(point)[part]?))).collect();
                draw_line(scene, &panel, &seen, n, marker);
            }
        }
        panel.axes(scene);
    }

    fn draw_by_age(&self, scene: &mut Scene, tile: Rect) {
        let longest = self.models.iter().map(|model| &model.ages).max_by_key(|ages| ages.len());
        let names = longest.map_or(vec![], |ages| ages.iter().map(|age| age.from.to_string()).collect());
        let n_classes = names.len().max(1);
        let frame =
            Frame { x_label: "age from [steps]".to_owned(), y_label: "ceiling R^{2}".to_owned(), x_names: names, ..Frame::default() };
        let reach = self.models.iter().flat_map(|model| &model.ages).flat_map(|age| age.r2.reach());
        let panel = Panel::fit(tile, Scale::linear(-0.3, n_classes as f64 - 0.7), Scale::around(reach, &[0.0, 1.0]), frame);
        panel.grid(scene);
        for (n, model) in self.models.iter().enumerate() {
            let seen: Vec<(f64, Estimate)> = model.ages.iter().enumerate().map(|(x, age)| (x as f64, age.r2)).collect();
            draw_line(scene, &panel, &seen, n, Marker::of(n));
        }
        panel.axes(scene);
    }
}

/// The type whose rounding it is, or the number.
fn noise_name(noise: f64) -> String {
    let known = [(NOISE_F32, "f32"), (NOISE_F16, "f16"), (NOISE_BF16, "bf16")];
    match known.iter().find(|(known, _)| (known / noise - 1.0).abs() < 1e-3) {
        Some((_, name)) => (*name).to_owned(),
        None if noise >= 0.01 => noise.to_string(),
        None => {
            let exponent = noise.log10().floor() as i32;
            let factor = noise / 10_f64.powi(exponent);
            let factor = if (factor - 1.0).abs() < 0.05 { String::new() } else { format!("{factor:.1}·") };
            format!("{factor}10^{{−{}}}", -exponent)
        }
    }
}

fn draw_line(scene: &mut Scene, panel: &Panel, points: &[(f64, Estimate)], n: usize, marker: Marker) {
    let line: Vec<[f64; 2]> = points.iter().map(|(x, estimate)| [*x, estimate.value]).collect();
    panel.line(scene, &line, category(n), 1.1, dash_of(n));
    for (x, estimate) in points {
        if let Some(interval) = estimate.interval {
            panel.interval(scene, *x, interval, category(n), 0.0);
        }
        scene.marker(marker, panel.at(*x, estimate.value), 1.9, category(n));
    }
}
