//! Where factors come from: a trace, or memory. Measures take one sequence of one layer at a time.

use std::sync::OnceLock;

use ndarray::{ArcArray, Axis, IxDyn, Slice};
use rayon::prelude::*;

use super::{MeasureError, StatisticsOptions};
use crate::memory::{Dims, Factors, HookPoint, Rule};
use crate::trace::Trace;

/// One layer of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The layer's number in the model.
    pub layer: usize,
    /// Its rule.
    pub rule: Rule,
    /// Its sizes; `batch` is the number of sequences.
    pub dims: Dims,
}

/// Layers of factors, the same sequences in each.
pub trait Source: Sync {
    /// The layers, in the order of the model.
    fn layers(&self) -> Vec<LayerInfo>;

    /// All steps of one sequence of the layer at this place in [`Source::layers`]: factors with batch 1, from the initial memory on.
    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError>;
}

/// Factors held in memory: one entry per layer, its number in the model first.
impl Source for [(usize, Factors<f32>)] {
    fn layers(&self) -> Vec<LayerInfo> {
        self.iter().map(|(layer, factors)| LayerInfo { layer: *layer, rule: factors.rule(), dims: factors.dims() }).collect()
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        let (layer, factors) = &self[place];
        let slice = Slice::from(sequence..=sequence);
        let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.slice_axis(Axis(0), slice).to_owned())).collect();
        let initial = factors.initial_memory().map(|memory| memory.slice_axis(Axis(0), slice).to_owned());
        Factors::new(factors.rule(), arrays, initial).map_err(|source| MeasureError::Factors { layer: *layer, sequence, source })
    }
}

impl Source for Vec<(usize, Factors<f32>)> {
    fn layers(&self) -> Vec<LayerInfo> {
        self.as_slice().layers()
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        self.as_slice().factors(place, sequence)
    }
}

/// A trace, read one sequence of one layer at a time.
impl Source for Trace {
    fn layers(&self) -> Vec<LayerInfo> {
        Self::layers(self).iter().map(|layer| LayerInfo { layer: layer.index, rule: layer.rule, dims: layer.dims }).collect()
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        let layer = &Self::layers(self)[place];
        Ok(Self::factors(self, layer.index, sequence..sequence + 1, 0..layer.dims.step)?)
    }
}

/// A source of which only some layers are taken, or one head of one layer: every measure of a part, with its own nulls and intervals.
pub struct Part<S> {
    source: S,
    /// Places in the whole source.
    places: Vec<usize>,
    head: Option<usize>,
}

impl<S: Source> Part<S> {
    /// One layer, or one head of it.
    pub fn new(source: S, layer: usize, head: Option<usize>) -> Self {
        let places = source.layers().iter().enumerate().filter(|(_, info)| info.layer == layer).map(|(place, _)| place).collect();
        Self { source, places, head }
    }
}

impl<S: Source> Source for Part<S> {
    fn layers(&self) -> Vec<LayerInfo> {
        let all = self.source.layers();
        let one = |dims: Dims| if self.head.is_some() { Dims { head: 1, key_head: 1, ..dims } } else { dims };
        self.places.iter().map(|&place| LayerInfo { dims: one(all[place].dims), ..all[place] }).collect()
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        let factors = self.source.factors(self.places[place], sequence)?;
        let Some(head) = self.head else { return Ok(factors) };
        let dims = factors.dims();
        let (head, key_head) = (head.min(dims.head - 1), dims.key_head_of(head.min(dims.head - 1)));
        let one = |point: HookPoint, array: &ArcArray<f32, IxDyn>| {
            let index = if point.axes()[2] == crate::memory::Axis::KeyHead { key_head } else { head };
            array.slice_axis(Axis(2), Slice::from(index..=index)).to_owned()
        };
        let arrays = factors.arrays().iter().map(|(&point, array)| (point, one(point, array))).collect();
        let initial = factors.initial_memory().map(|memory| memory.slice_axis(Axis(1), Slice::from(head..=head)).to_owned());
        let layer = self.layers()[place].layer;
        Factors::new(factors.rule(), arrays, initial).map_err(|source| MeasureError::Factors { layer, sequence, source })
    }
}

/// A source of which every sequence is read once and kept: for several measures of the same source. One that would take more than
/// [`Held::MOST_BYTES`] is read anew for each.
pub struct Held<'a, S: ?Sized> {
    source: &'a S,
    layers: Vec<LayerInfo>,
    /// \[layer\]\[sequence\]; empty where too much would have to be kept.
    kept: Vec<Vec<OnceLock<Factors<f32>>>>,
}

impl<'a, S: Source + ?Sized> Held<'a, S> {
    /// Most that is kept, in bytes.
    pub const MOST_BYTES: usize = 1 << 29;

    /// Nothing is read yet.
    pub fn new(source: &'a S) -> Self {
        let layers = source.layers();
        let numbers = |info: &LayerInfo| {
            let Dims { batch, step, head, d_k, d_v, .. } = info.dims;
            // Query, key, value, retention, erase direction and a few gates: no more than this many channels each.
            batch * head * (step * 8 * d_k.max(d_v) + d_k * d_v)
        };
        let fits = 4 * layers.iter().map(numbers).sum::<usize>() <= Self::MOST_BYTES;
        let room = |info: &LayerInfo| (0..if fits { info.dims.batch } else { 0 }).map(|_| OnceLock::new()).collect();
        Self { source, kept: layers.iter().map(room).collect(), layers }
    }
}

impl<S: Source + ?Sized> Source for Held<'_, S> {
    fn layers(&self) -> Vec<LayerInfo> {
        self.layers.clone()
    }

    fn factors(&self, place: usize, sequence: usize) -> Result<Factors<f32>, MeasureError> {
        let Some(kept) = self.kept[place].get(sequence) else { return self.source.factors(place, sequence) };
        if let Some(factors) = kept.get() {
            return Ok(factors.clone());
        }
        let factors = self.source.factors(place, sequence)?;
        Ok(kept.get_or_init(|| factors).clone())
    }
}

/// A layer and what a core made of each of its sequences.
pub(super) struct LayerParts<T> {
    pub info: LayerInfo,
    pub sequences: Vec<T>,
}

/// Runs a core on every sequence of every layer that `wanted` takes, at most as many at once as there are threads.
pub(super) fn walk<T: Send>(
    source: &(impl Source + ?Sized),
    wanted: impl Fn(&LayerInfo) -> bool,
    core: impl Fn(&LayerInfo, usize, &Factors<f32>) -> T + Sync,
) -> Result<Vec<LayerParts<T>>, MeasureError> {
    walk_source(source, wanted, |_, info, sequence, factors| Ok(core(info, sequence, factors)))
}

/// The same for a core that may read other sequences of the layer, which stands at this place of the source.
pub(super) fn walk_source<T: Send>(
    source: &(impl Source + ?Sized),
    wanted: impl Fn(&LayerInfo) -> bool,
    core: impl Fn(usize, &LayerInfo, usize, &Factors<f32>) -> Result<T, MeasureError> + Sync,
) -> Result<Vec<LayerParts<T>>, MeasureError> {
    let layers = source.layers();
    n_sequences(&layers)?;
    let mut parts = vec![];
    for (place, info) in layers.into_iter().enumerate().filter(|(_, info)| wanted(info)) {
        let one = |sequence| {
            let factors = source.factors(place, sequence)?;
            factors.check_ranges().map_err(|source| MeasureError::Factors { layer: info.layer, sequence, source })?;
            core(place, &info, sequence, &factors)
        };
        let sequences = (0..info.dims.batch).into_par_iter().map(one).collect::<Result<_, MeasureError>>()?;
        parts.push(LayerParts { info, sequences });
    }
    Ok(parts)
}

/// How many sequences all layers have.
pub(super) fn n_sequences(layers: &[LayerInfo]) -> Result<usize, MeasureError> {
    let first = layers.first().ok_or(MeasureError::Empty("there are no layers"))?;
    let wanted = first.dims.batch;
    if wanted == 0 || first.dims.step == 0 {
        return Err(MeasureError::Empty("the sequences have no steps"));
    }
    match layers.iter().find(|info| info.dims.batch != wanted) {
        Some(info) => Err(MeasureError::Sequences { layer: info.layer, found: info.dims.batch, wanted }),
        None => Ok(wanted),
    }
}

/// The error of a measure about the erase on layers without one; `Ok` if some layer has it.
pub(super) fn require_erase(measure: &'static str, layers: &[LayerInfo]) -> Result<(), MeasureError> {
    if layers.iter().any(|info| info.rule.has_erase()) {
        return Ok(());
    }
    let mut rules: Vec<String> = layers.iter().map(|info| info.rule.name()).collect();
    rules.dedup();
    Err(MeasureError::NoErase { measure, rules: rules.join(", ") })
}

/// Says which layers a measure about the erase leaves out.
pub(super) fn remark_layers_without_erase(layers: &[LayerInfo]) -> Vec<String> {
    let without: Vec<String> =
        layers.iter().filter(|info| !info.rule.has_erase()).map(|info| format!("{} ({})", info.layer, info.rule)).collect();
    if without.is_empty() { vec![] } else { vec![format!("Layers without an erase are left out: {}.", without.join(", "))] }
}

impl StatisticsOptions {
    /// Checks the ranges.
    pub(super) fn check(&self) -> Result<(), MeasureError> {
        if self.level > 0.0 && self.level < 1.0 {
            return Ok(());
        }
        Err(MeasureError::Option { option: "level", value: self.level, range: "between 0 and 1" })
    }
}
