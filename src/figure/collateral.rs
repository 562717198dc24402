//! What the erase does to the read, at learned and at counterfactual addresses (arXiv 2606.26560, its figure on collateral
//! perturbation).
//!
//! A small score may only mean that there was nothing at the address, so the energy found there stands beside it.

use serde::{Deserialize, Serialize};

use super::axes::{Frame, Panel, SeriesPoint};
use super::colour::category;
use super::legend::{self, Key, Swatch};
use super::scale::Scale;
use super::scene::{Marker, Rect, Scene, dash_of};
use super::{Estimate, Figure, FigureError, FigureSpec, Labelled, Prepared, nothing, sheet};
use crate::export::{Table, Value};
use crate::measure::{Address, AddressCollateral, Collateral};

/// What the figure draws: one entry per model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollateralData {
    /// The models.
    pub models: Vec<ModelCollateral>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCollateral {
    /// Its name.
    pub label: String,
    /// All layers, one entry per address.
    pub addresses: Vec<AddressEffect>,
    /// The fold change over the learned address by layer.
    pub layers: Vec<LayerFold>,
}

/// The erase at one kind of address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressEffect {
    /// Where the erase lands.
    pub address: Address,
    /// Mean |delta o| / |o|, the paper's score, without an interval; in the table.
    pub perturbation: Estimate,
    /// sum |delta o| / sum |o|: reads near zero do not decide.
    pub ratio_of_sums: Estimate,
    /// `perturbation` over the learned address's.
    pub fold: Option<Estimate>,
    /// Mean erase strength.
    pub erase_strength: Estimate,
    /// Mean |q.e|.
    pub query_overlap: Estimate,
    /// Mean |S^T e| / |S^T q|.
    pub relative_content: Estimate,
    /// Energy at the address over what a random address finds; absent while the memory is zero throughout.
    pub relative_energy: Option<Estimate>,
}

/// One address in one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerFold {
    /// The layer.
    pub layer: usize,
    /// Where the erase lands.
    pub address: Address,
    /// Perturbation over the learned address's.
    pub fold: Estimate,
}

/// Pick what is drawn: the measure's headline trajectory.
pub fn prepare(models: &[Labelled<Collateral>], _spec: &FigureSpec) -> Result<CollateralData, FigureError> {
    let models: Vec<ModelCollateral> = models.iter().map(prepare_model).filter(|model| !model.addresses.is_empty()).collect();
    if models.is_empty() {
        return Err(nothing(Figure::Collateral, "no layer has an erase, so it perturbs nothing"));
    }
    Ok(CollateralData { models })
}

fn prepare_model(model: &Labelled<Collateral>) -> ModelCollateral {
    let headline = |entry: &&AddressCollateral| entry.trajectory == model.measured.options.trajectory;
    let layers = model.measured.layers.iter().flat_map(|layer| {
        let folds = layer.addresses.iter().filter(headline).filter(|entry| entry.address != Address::Learned);
        folds
            .filter_map(|entry| entry.fold.as_ref().map(|fold| LayerFold { layer: layer.layer, address: entry.address, fold: fold.into() }))
    });
    ModelCollateral {
        label: model.label.clone(),
        addresses: model.measured.global.iter().filter(headline).map(effect).collect(),
        layers: layers.collect(),
    }
}

fn effect(entry: &AddressCollateral) -> AddressEffect {
    let reference = entry.random_energy_reference;
    let over_reference = |energy: Estimate| Estimate {
        value: energy.value / reference,
        interval: energy.interval.map(|ends| ends.map(|end| end / reference)),
    };
    AddressEffect {
        address: entry.address,
        perturbation: (&entry.perturbation).into(),
        ratio_of_sums: (&entry.ratio_of_sums).into(),
        fold: entry.fold.as_ref().map(Estimate::from),
        erase_strength: (&entry.erase_strength).into(),
        query_overlap: (&entry.query_overlap).into(),
        relative_content: (&entry.relative_content).into(),
        relative_energy: entry.energy_at_address.as_ref().map(|energy| over_reference(energy.into())),
    }
}

type Factor = (&'static str, fn(&AddressEffect) -> Option<Estimate>);

const SCORE: Factor = ("Σ|δo| / Σ|o|", |effect| Some(effect.ratio_of_sums));
const ENERGY: Factor = ("energy / random", |effect| effect.relative_energy);
const FACTORS: [Factor; 3] = [
    ("erase strength γ", |effect| Some(effect.erase_strength)),
    ("|q·e|", |effect| Some(effect.query_overlap)),
    ("|S^{T}e| / |S^{T}q|", |effect| Some(effect.relative_content)),
];

impl Prepared for CollateralData {
    fn summary(&self) -> String {
        let effects = |model: &ModelCollateral| {
            let each = model.addresses.iter().map(|effect| format!("{} {}", effect.address.label(), effect.ratio_of_sums));
            format!("{}: {}", model.label, each.collect::<Vec<_>>().join(", "))
        };
        let models: Vec<String> = self.models.iter().map(effects).collect();
        format!("Change of the read by the erase, sums over tokens. {}.", models.join("; "))
    }

    fn table(&self) -> Table {
        let mut columns = vec!["model".to_owned(), "layer".to_owned(), "address".to_owned()];
        for name in ["perturbation", "fold", "ratio_of_sums", "erase_strength", "query_overlap", "relative_content", "relative_energy"] {
            columns.extend([name.to_owned(), format!("{name}_low"), format!("{name}_high")]);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new("Collateral perturbation by address; rows without a layer hold all layers", &columns);
        for model in &self.models {
            for effect in &model.addresses {
                let mut row: Vec<Value> = vec![(&model.label).into(), Value::Missing, effect.address.label().into()];
                let rest = [
                    Some(effect.ratio_of_sums),
                    Some(effect.erase_strength),
                    Some(effect.query_overlap),
                    Some(effect.relative_content),
                    effect.relative_energy,
                ];
                for estimate in [Some(effect.perturbation), effect.fold].into_iter().chain(rest) {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
            for fold in &model.layers {
                let mut row: Vec<Value> = vec![(&model.label).into(), fold.layer.into(), fold.address.label().into()];
                for estimate in [None, Some(fold.fold), None, None, None, None, None] {
                    row.extend(Estimate::cells(estimate));
                }
                table.push(row);
            }
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        let wide = spec.width.points() > 300.0;
        let with_layers = self.models.iter().filter(|model| !model.layers.is_empty()).count();
        let score_height = 40.0 + 13.0 * Address::ALL.len() as f64;
        let fold_height = if self.models.len() > 1 { 124.0 } else { 112.0 };
        let height = 4.0 + score_height + fold_height * with_layers as f64 + if self.models.len() > 1 { 12.0 } else { 0.0 };
        let (mut scene, room) = sheet(spec, height / spec.width.points());
        let models: Vec<Key> =
            self.models.iter().enumerate().map(|(n, model)| Key::new(&model.label, Swatch::Point(category(n), Marker::of(n)))).collect();
        let models = if models.len() > 1 { models } else { Vec::new() };
        let top = legend::height(&models, room.width);
        legend::draw(&mut scene, room.left, room.top, room.width, &models);
        let share = score_height / (score_height + fold_height * with_layers as f64);
        let body = Rect::new(room.left, room.top + top, room.width, room.height - top);
        let scores = Rect::new(body.left, body.top, body.width, body.height * share);
        let mut factors = vec![SCORE];
        if wide {
            factors.extend(FACTORS);
        }
        factors.push(ENERGY);
        self.draw_scores(&mut scene, scores, &factors);
        let mut top = scores.bottom();
        let each = (body.bottom() - top) / with_layers.max(1) as f64;
        for model in self.models.iter().filter(|model| !model.layers.is_empty()) {
            self.draw_folds(&mut scene, Rect::new(body.left, top, body.width, each), model);
            top += each;
        }
        scene
    }
}

impl CollateralData {
    fn draw_scores(&self, scene: &mut Scene, outer: Rect, factors: &[Factor]) {
        let addresses: Vec<Address> = self.models[0].addresses.iter().map(|effect| effect.address).collect();
        let names: Vec<String> = addresses.iter().map(|address| short_label(*address).to_owned()).collect();
        let y = Scale::linear(addresses.len() as f64 - 0.5, -0.5);
        let named = Frame { y_names: names.clone(), ..Frame::default() };
        let room = Panel::left_room(outer.height, y, &named);
        let gap = 12.0;
        let width = (outer.width - room - gap * (factors.len() - 1) as f64) / factors.len() as f64;
        for (index, (label, factor)) in factors.iter().enumerate() {
            let first = index == 0;
            let left = outer.left + if first { 0.0 } else { room + index as f64 * (width + gap) - 3.0 };
            let tile = Rect::new(left, outer.top, if first { room + width } else { width + 3.0 }, outer.height);
            let effects = self.models.iter().flat_map(|model| &model.addresses);
            let always: &[f64] = if *label == ENERGY.0 { &[0.0, 1.0] } else { &[0.0] };
            let x = Scale::around(effects.filter_map(factor).flat_map(|estimate| estimate.reach()), always);
            let frame = Frame { x_label: (*label).to_owned(), y_names: names.clone(), bare_y: !first, ..Frame::default() };
            let panel = Panel::fit(tile, x, y, frame);
            panel.grid(scene);
            if *label == ENERGY.0 {
                panel.upright(scene, 1.0, scene.theme.quiet(), Some([2.0, 1.6]));
            }
            for (n, model) in self.models.iter().enumerate() {
                let shift = (n as f64 - (self.models.len() - 1) as f64 / 2.0) * 0.26;
                for (row, effect) in model.addresses.iter().enumerate() {
                    let Some(estimate) = factor(effect) else { continue };
                    let y = row as f64 + shift;
                    let colour = if self.models.len() == 1 { scene.theme.ink() } else { category(n) };
                    if let Some(interval) = estimate.interval {
                        panel.lying_interval(scene, interval, y, colour);
                    }
                    scene.marker(Marker::of(n), panel.at(estimate.value, y), 2.0, colour);
                }
            }
            panel.axes(scene);
        }
    }

    fn draw_folds(&self, scene: &mut Scene, outer: Rect, model: &ModelCollateral) {
        let mut layers: Vec<usize> = model.layers.iter().map(|fold| fold.layer).collect();
        layers.dedup();
        let place = |layer: usize| layers.iter().position(|other| *other == layer).unwrap_or(0) as f64;
        let addresses: Vec<Address> =
            Address::ALL.into_iter().filter(|address| model.layers.iter().any(|fold| fold.address == *address)).collect();
        let keys: Vec<Key> = addresses
            .iter()
            .map(|address| {
                let n = manner(*address);
                Key::new(short_label(*address), Swatch::Line(category(n), dash_of(n), Some(Marker::of(n))))
            })
            .collect();
        let top = legend::height(&keys, outer.width - 30.0) + 3.0;
        let frame = Frame {
            title: if self.models.len() > 1 { model.label.clone() } else { String::new() },
            x_label: "layer".to_owned(),
            y_label: "score, × learned e".to_owned(),
            x_names: thinned(&layers),
            ..Frame::default()
        };
        let reach = model.layers.iter().flat_map(|fold| fold.fold.reach());
        let panel = Panel::fit(
            Rect::new(outer.left, outer.top + top, outer.width, outer.height - top),
            Scale::linear(-0.4, layers.len() as f64 - 0.6),
            Scale::around(reach, &[0.0, 1.0]),
            frame,
        );
        legend::draw(scene, panel.area.left, outer.top + 2.0, outer.width - 30.0, &keys);
        panel.grid(scene);
        panel.level(scene, 1.0, scene.theme.quiet(), Some([2.0, 1.6]));
        for address in addresses {
            let folds = model.layers.iter().filter(|fold| fold.address == address);
            let rows: Vec<SeriesPoint> =
                folds.map(|fold| SeriesPoint { x: place(fold.layer), y: fold.fold.value, interval: fold.fold.interval }).collect();
            panel.series(scene, &rows, manner(address), category(manner(address)));
        }
        panel.axes(scene);
    }
}

fn manner(address: Address) -> usize {
    match address {
        Address::Random => 0,
        Address::HeadShuffled => 1,
        Address::WriteDirection => 2,
        Address::Learned => 3,
    }
}

fn short_label(address: Address) -> &'static str {
    match address {
        Address::Learned => "learned e",
        Address::Random => "random e",
        Address::HeadShuffled => "e of other head",
        Address::WriteDirection => "e = k",
    }
}

/// Numbers as names, thinned so that they do not touch.
pub(super) fn thinned(numbers: &[usize]) -> Vec<String> {
    let every = numbers.len().div_ceil(14).max(1);
    numbers.iter().enumerate().map(|(n, number)| if n % every == 0 { number.to_string() } else { String::new() }).collect()
}
