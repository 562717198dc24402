//! How near erase and write directions are: mean |cos(e, k)| by layer, beside what independent directions give.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel, SeriesPoint};
use super::collateral::thinned;
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::{Scale, fixed};
use super::scene::{Anchor, Marker, Rect, SMALL, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Alignment, HeadId};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignmentData {
    /// The models.
    pub models: Vec<ModelAlignment>,
    /// Mean |cos| of independent directions, one per dimension of the keys found.
    pub random_references: Vec<f64>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAlignment {
    /// Its name.
    pub label: String,
    /// All layers.
    pub global: Estimate,
    /// Mean |cos| by layer.
    pub layers: Vec<(usize, Estimate)>,
    /// Mean |cos| by key head.
    pub key_heads: Vec<(HeadId, Estimate)>,
}

/// Pick what is drawn.
pub fn prepare(models: &[Labelled<Alignment>], _spec: &FigureSpec) -> Result<AlignmentData, FigureError> {
    let with_erase: Vec<_> = models.iter().filter(|model| !model.measured.layers.is_empty()).collect();
    if with_erase.is_empty() {
        return Err(nothing(Figure::Alignment, "no layer has an erase direction"));
    }
    let mut random_references: Vec<f64> = with_erase.iter().map(|model| model.measured.global.random_reference).collect();
    random_references.sort_by(f64::total_cmp);
    random_references.dedup();
    let models = with_erase.into_iter().map(|model| ModelAlignment {
        label: model.label.clone(),
        global: (&model.measured.global.absolute_cosine).into(),
        layers: model.measured.layers.iter().map(|layer| (layer.layer, (&layer.alignment.absolute_cosine).into())).collect(),
        key_heads: model.measured.key_heads.iter().map(|head| (head.id, (&head.alignment.absolute_cosine).into())).collect(),
    });
    Ok(AlignmentData { models: models.collect(), random_references })
}

impl Prepared for AlignmentData {
    fn summary(&self) -> String {
        let models: Vec<String> = self.models.iter().map(|model| format!("{} {}", model.label, model.global)).collect();
        let random: Vec<String> = self.random_references.iter().map(|reference| fixed(*reference, 3)).collect();
        format!("Mean |cos(e, k)|: {}; independent directions give {}.", models.join(", "), random.join(" or "))
    }

    fn table(&self) -> Table {
        let mut table = Table::new(
            "Mean |cos(e, k)|; rows without a key head hold the layer, rows without a layer all",
            &["model", "layer", "key_head", "absolute_cosine", "low", "high"],
        );
        for model in &self.models {
            let mut row = |layer: Value, head: Value, estimate: Estimate| {
                let [value, low, high] = Estimate::cells(Some(estimate));
                table.push(vec![(&model.label).into(), layer, head, value, low, high]);
            };
            row(Value::Missing, Value::Missing, model.global);
            for (layer, estimate) in &model.layers {
                row((*layer).into(), Value::Missing, *estimate);
            }
            for (id, estimate) in &model.key_heads {
                row(id.layer.into(), id.head.into(), *estimate);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let (mut scene, room) = sheet(spec, if spec.width.points() > 300.0 { 0.36 } else { 0.6 });
        let mut keys: Vec<Key> = self
            .models
            .iter()
            .enumerate()
            .map(|(n, model)| Key::new(&model.label, Swatch::Line(category(n), dash_of(n), Some(Marker::of(n)))))
            .collect();
        keys.push(Key::new("key heads", Swatch::Point(scene.theme.quiet(), Marker::Ring)));
        let top = legend::height(&keys, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &keys);
        let mut layers: Vec<usize> = self.models.iter().flat_map(|model| model.layers.iter().map(|(layer, _)| *layer)).collect();
        layers.sort_unstable();
        layers.dedup();
        let place = |layer: usize| layers.binary_search(&layer).unwrap_or_default() as f64;
        let reach = self.models.iter().flat_map(|model| {
            model.layers.iter().flat_map(|(_, estimate)| estimate.reach()).chain(model.key_heads.iter().map(|(_, estimate)| estimate.value))
        });
        let always: Vec<f64> = self.random_references.iter().copied().chain([0.0]).collect();
        let frame =
            Frame { x_label: "layer".to_owned(), y_label: "mean |cos(e, k)|".to_owned(), x_names: thinned(&layers), ..Frame::default() };
        let panel = Panel::fit(
            Rect::new(room.left, room.top + top, room.width, room.height - top),
            Scale::linear(-0.5, layers.len() as f64 - 0.5),
            Scale::around(reach, &always),
            frame,
        );
        panel.grid(&mut scene);
        let (ink, quiet) = (scene.theme.ink(), scene.theme.quiet());
        for (n, reference) in self.random_references.iter().enumerate() {
            panel.level(&mut scene, *reference, ink, Some([2.4, 1.8]));
            if n == 0 {
                let label = format!("independent directions {}", fixed(*reference, 3));
                scene.text(&label, [panel.area.right() - 1.0, panel.down(*reference) + SMALL * 1.1], SMALL, quiet, Anchor::End);
            }
        }
        for (n, model) in self.models.iter().enumerate() {
            let shift = (n as f64 - (self.models.len() - 1) as f64 / 2.0) * 0.2;
            for (id, estimate) in &model.key_heads {
                scene.marker(
                    Marker::Ring,
                    panel.at(place(id.layer) + shift + 0.12, estimate.value),
                    1.5,
                    category(n).fade(0.55).over(scene.theme.paper()),
                );
            }
            let rows: Vec<SeriesPoint> = model
                .layers
                .iter()
                .map(|(layer, estimate)| SeriesPoint { x: place(*layer) + shift, y: estimate.value, interval: estimate.interval })
                .collect();
            panel.series(&mut scene, &rows, n, category(n));
        }
        panel.axes(&mut scene);
        scene
    }
}
