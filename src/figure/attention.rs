//! Exact against approximate attention: what each published map leaves unexplained of a head's output.
//!
//! A map A says that the output is `sum_i A_{t,i} v_i`; the axis is how far that is from the output the head gave, `|A v - o| / |o|`.
//! At 1 a map is as good as none. Open marks allow each head its best single factor, in case only a scale is off.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel};
use super::colour::category;
use super::legend::{self, Key, Note, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{AttentionMap, Explained, HeadId, MapError};

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttentionData {
    /// The models.
    pub models: Vec<ModelAttention>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAttention {
    /// Its name.
    pub label: String,
    /// Sequences behind every interval.
    pub n_sequences: usize,
    /// One per map, all heads together.
    pub maps: Vec<MapPoint>,
}

/// One map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// Which.
    pub map: AttentionMap,
    /// What it leaves unexplained.
    pub error: Estimate,
    /// The same after the best factor for each head; absent for the exact map, where it is rounding.
    pub scaled_error: Option<Estimate>,
    /// The error of every head.
    pub heads: Vec<(HeadId, Estimate)>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Explained>], _spec: &FigureSpec) -> Result<AttentionData, FigureError> {
    let one = |model: &Labelled<Explained>| {
        let heads = |map: AttentionMap| {
            let found = |maps: &[MapError]| maps.iter().find(|row| row.map == map).map(|row| Estimate::from(&row.relative_error));
            model.measured.heads.iter().filter_map(move |head| Some((head.id, found(&head.maps)?))).collect()
        };
        let maps = model.measured.global.iter().map(|row| MapPoint {
            map: row.map,
            error: (&row.relative_error).into(),
            scaled_error: (row.map != AttentionMap::Exact).then(|| (&row.scaled_error).into()),
            heads: heads(row.map),
        });
        ModelAttention { label: model.label.clone(), n_sequences: model.measured.n_sequences, maps: maps.collect() }
    };
    let models: Vec<ModelAttention> = models.iter().map(one).filter(|model| !model.maps.is_empty()).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Attention, "every head's output is zero, so there is nothing to explain"));
    }
    Ok(AttentionData { models })
}

/// Name on the axis, and where the definition stands.
const fn names(map: AttentionMap) -> [&'static str; 2] {
    match map {
        AttentionMap::Exact => ["exact", "ledger"],
        AttentionMap::GatedLinear => ["gated linear", "TransformerLens 4.3"],
        AttentionMap::Rectified => ["rectified", "candle-mi 0.2"],
    }
}

impl Prepared for AttentionData {
    fn summary(&self) -> String {
        let map = |point: &MapPoint| format!("{} ({}) {}", names(point.map)[0], names(point.map)[1], in_words(point.error));
        let model = |model: &ModelAttention| format!("{}: {}", model.label, model.maps.iter().map(map).collect::<Vec<_>>().join(", "));
        format!(
            "Share of heads' outputs that attention maps leave unexplained, |A v - o| / |o|; 1 is as good as no map. {}.",
            self.models.iter().map(model).collect::<Vec<_>>().join(". ")
        )
    }

    fn table(&self) -> Table {
        let columns =
            ["model", "map", "layer", "head", "error", "error_low", "error_high", "scaled_error", "scaled_error_low", "scaled_error_high"];
        let mut table = Table::new("What attention maps leave unexplained, |A v - o| / |o|; rows without a layer hold all heads", &columns);
        for model in &self.models {
            for point in &model.maps {
                let mut row: Vec<Value> = vec![(&model.label).into(), names(point.map)[0].into(), Value::Missing, Value::Missing];
                row.extend(Estimate::cells(Some(point.error)).into_iter().chain(Estimate::cells(point.scaled_error)));
                table.push(row);
                for (id, error) in &point.heads {
                    let mut row: Vec<Value> = vec![(&model.label).into(), names(point.map)[0].into(), id.layer.into(), id.head.into()];
                    row.extend(Estimate::cells(Some(*error)).into_iter().chain(Estimate::cells(None)));
                    table.push(row);
                }
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let each = 16.0 + 9.0 * self.models.len() as f64;
        let height = 62.0 + each * AttentionMap::ALL.len() as f64;
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
        let mut keys: Vec<Key> = Vec::new();
        if self.models.len() > 1 {
            keys.extend(self.models.iter().enumerate().map(|(n, model)| Key::new(&model.label, Swatch::Point(category(n), Marker::of(n)))));
        } else {
            keys.push(Key::new("all heads", Swatch::Point(category(0), Marker::of(0))));
        }
        keys.push(Key::new("best factor per head", Swatch::Point(quiet, Marker::Box)));
        keys.push(Key::new("single heads", Swatch::Point(quiet, Marker::Ring)));
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let points = || self.models.iter().flat_map(|model| &model.maps);
        let reach = points().flat_map(|point| {
            let ends = point.error.reach().chain(point.scaled_error.into_iter().flat_map(|scaled| scaled.reach()));
            ends.chain(point.heads.iter().map(|(_, error)| error.value))
        });
        // An error of zero to the last bit has no place on this axis: it stands at the left edge.
        let x = Scale::log_around(reach.filter(|error| *error > 1e-12).chain([1.0]));
        let frame = Frame {
            x_label: "unexplained share of the output, |A v − o| / |o|".to_owned(),
            y_names: AttentionMap::ALL.map(|map| names(map)[0].to_owned()).to_vec(),
            ..Frame::default()
        };
        let n = self.models.iter().map(|model| model.n_sequences).max().unwrap_or(0);
        let note = Note::fit(&format!("dashed: as good as no map; intervals over {n} sequences"), room.width);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top - note.height());
        let panel = Panel::fit(body, x, Scale::linear(AttentionMap::ALL.len() as f64 - 0.5, -0.5), frame);
        panel.grid(&mut scene);
        panel.upright(&mut scene, 1.0, ink, Some([2.0, 1.6]));
        for (n, model) in self.models.iter().enumerate() {
            let shift = (n as f64 - (self.models.len() - 1) as f64 / 2.0) * 0.66 / self.models.len() as f64;
            for point in &model.maps {
                draw_point(&mut scene, &panel, point, shift, n);
            }
        }
        panel.axes(&mut scene);
        note.draw(&mut scene, room.left, room.bottom());
        scene
    }
}

fn draw_point(scene: &mut Scene, panel: &Panel, point: &MapPoint, shift: f64, n: usize) {
    let row = AttentionMap::ALL.iter().position(|map| *map == point.map).unwrap_or(0) as f64 + shift;
    let least = panel.x.ends().0;
    let pale = category(n).fade(0.55).over(scene.theme.paper());
    for (_, error) in &point.heads {
        scene.marker(Marker::Ring, panel.at(error.value.max(least), row), 1.5, pale);
    }
    if let Some(scaled) = point.scaled_error {
        scene.marker(Marker::Box, panel.at(scaled.value.max(least), row), 2.3, category(n));
    }
    if let Some([low, high]) = point.error.interval {
        panel.lying_interval(scene, [low.max(least), high.max(least)], row, category(n));
    }
    scene.marker(Marker::of(n), panel.at(point.error.value.max(least), row), 2.3, category(n));
}

/// Small numbers with their power of ten.
fn in_words(error: Estimate) -> String {
    if error.value < 1e-3 { format!("{:.1e}", error.value) } else { error.to_string() }
}
