//! A trace opened for reading: only what is asked leaves the disk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, Array4, ArrayD, Axis, s};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zarrs::filesystem::FilesystemStore;

use super::attributes::FORMAT;
use super::landing::landings;
use super::stored::Stored;
use super::{Attributes, LayerAttributes, SCHEMA_VERSION, Status, TraceError, labels};
use crate::memory::{Dims, Factors, HookPoint, Phase, Rule};

/// A trace opened for reading.
pub struct Trace {
    path: PathBuf,
    attributes: Attributes,
    layers: Vec<Layer>,
    arrays: BTreeMap<String, Stored>,
    /// Arrays that this version cannot read, and why.
    unreadable: BTreeMap<String, String>,
}

/// What a trace holds of one layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its number in the model.
    pub index: usize,
    /// Its rule.
    pub rule: Rule,
    /// Its sizes; batch and step are what is committed.
    pub dims: Dims,
    /// Steps whose memory before is stored; the last may be the number of steps: the memory after the last one.
    pub checkpoint_steps: Vec<usize>,
    /// All attributes of its group.
    pub attributes: LayerAttributes,
}

impl Layer {
    /// The layer's group, `layer_00`.
    pub fn group(&self) -> String {
        group_of(self.index)
    }
}

pub(super) fn group_of(layer: usize) -> String {
    format!("layer_{layer:02}")
}

/// The root metadata, checked to be of a trace that this program can read.
pub(super) fn read_root(path: &Path) -> Result<Value, TraceError> {
    let not = |reason: String| TraceError::NotATrace { reason, path: path.to_path_buf() };
    let root = path.join("zarr.json");
    let text = match std::fs::read(&root) {
        Ok(text) => text,
        Err(_) if !path.exists() => return Err(not("nothing is there".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(not("it has no zarr.json".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Err(not("it is not a directory".to_owned())),
        Err(error) => return Err(TraceError::io("read", &root)(error)),
    };
    let value: Value = serde_json::from_slice(&text).map_err(|error| not(format!("its zarr.json is not JSON: {error}")))?;
    if value["attributes"]["format"] != FORMAT {
        return Err(not("its zarr.json lacks the attribute format = \"pentimento trace\"".to_owned()));
    }
    let found = value["attributes"]["schema_version"].as_str().unwrap_or_default();
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u64>().ok());
    match major(found) {
        None => Err(not(format!("its schema version '{found}' is not a version"))),
        Some(major_found) if Some(major_found) > major(SCHEMA_VERSION) => {
            Err(TraceError::FutureVersion { found: found.to_owned(), known: SCHEMA_VERSION, path: path.to_path_buf() })
        }
        Some(_) => Ok(value),
    }
}

impl Trace {
    /// Opens a trace and checks that what its layers' rules need is there in the right shapes. Reads no array.
    ///
    /// A recording that is under way or was killed opens as its committed prefix: see [`Trace::status`] and
    /// [`Trace::require_complete`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref().to_path_buf();
        let root = read_root(&path)?;
        let not = |reason: String| TraceError::NotATrace { reason, path: path.clone() };
        let attributes: Attributes = serde_json::from_value(root["attributes"].clone())
            .map_err(|error| not(format!("its attributes are not understood: {error}")))?;
        let store = FilesystemStore::new(&path).map_err(|error| not(error.to_string()))?;
        let store = Arc::new(store);
        let nodes =
            root["consolidated_metadata"]["metadata"].as_object().ok_or_else(|| not("it has no consolidated metadata".to_owned()))?;
        let (mut arrays, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
        let mut groups = Vec::new();
        for (name, node) in nodes {
            if node["node_type"] == "array" {
                match Stored::open(&store, name, node) {
                    Ok(array) => drop(arrays.insert(name.clone(), array)),
                    // An array this version does not know may be coded in ways it does not know: that matters when it is asked for.
                    Err(TraceError::Zarr { reason, .. }) => drop(unreadable.insert(name.clone(), reason)),
                    Err(error) => return Err(error),
                }
            } else if let Some(index) = name.strip_prefix("layer_").and_then(|index| index.parse::<usize>().ok()) {
                let layer: LayerAttributes = serde_json::from_value(node["attributes"].clone())
                    .map_err(|error| not(format!("the attributes of {name} are not understood: {error}")))?;
                groups.push((index, layer));
            }
        }
        let mut trace = Self { path, attributes, layers: Vec::new(), arrays, unreadable };
        groups.sort_by_key(|group| group.0);
        for (index, layer) in groups {
            let layer = trace.checked_layer(index, layer)?;
            trace.layers.push(layer);
        }
        Ok(trace)
    }

    /// A layer whose arrays are all there.
    fn checked_layer(&self, index: usize, attributes: LayerAttributes) -> Result<Layer, TraceError> {
        let dims = Dims {
            batch: self.attributes.committed_batch,
            step: self.attributes.committed_steps,
            key_head: attributes.n_key_heads,
            head: attributes.n_value_heads,
            d_k: attributes.d_k,
            d_v: attributes.d_v,
        };
        let rule = attributes.rule;
        let pseudo_values = landings(rule).into_iter().map(|landing| landing.kind.pseudo_value());
        for point in rule.factors().into_iter().chain(pseudo_values) {
            self.expect_shape(&format!("{}/{point}", group_of(index)), &point.shape(&dims))?;
        }
        let name = format!("{}/checkpoint/step", group_of(index));
        let steps = self.stored(&name)?.read_all::<i64>()?;
        let checkpoint_steps: Vec<usize> = steps.iter().map(|&step| step as usize).collect();
        let ascending = checkpoint_steps.windows(2).all(|pair| pair[0] < pair[1]);
        if checkpoint_steps.first() != Some(&0) || !ascending || checkpoint_steps.iter().any(|&step| step > dims.step) {
            return Err(TraceError::Zarr {
                array: name,
                reason: "checkpoints must start at step 0, ascend and end within the trace".to_owned(),
            });
        }
        self.expect_shape(
            &format!("{}/checkpoint/memory", group_of(index)),
            &[dims.batch, checkpoint_steps.len(), dims.head, dims.d_k, dims.d_v],
        )?;
        Ok(Layer { index, rule, dims, checkpoint_steps, attributes })
    }

    fn expect_shape(&self, name: &str, wanted: &[usize]) -> Result<(), TraceError> {
        let found = &self.stored(name)?.shape;
        if found != wanted {
            return Err(TraceError::WrongShape { array: name.to_owned(), found: found.clone(), wanted: wanted.to_vec() });
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of itself.
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// How far the recording came.
    pub const fn status(&self) -> Status {
        self.attributes.status
    }

    /// Refuses a recording that did not finish and was not repaired.
    pub fn require_complete(&self) -> Result<(), TraceError> {
        match self.attributes.status {
            Status::Complete | Status::Repaired => Ok(()),
            status => Err(TraceError::Incomplete { status, committed_steps: self.attributes.committed_steps, path: self.path.clone() }),
        }
    }

    /// The digest of its content, for what is made from it; absent while it is not complete.
    pub fn digest(&self) -> Option<&str> {
        self.attributes.content_digest.as_deref()
    }

    /// Sequences.
    pub const fn n_batch(&self) -> usize {
        self.attributes.committed_batch
    }

    /// Steps of every sequence.
    pub const fn n_steps(&self) -> usize {
        self.attributes.committed_steps
    }

    /// Its layers, in the order of the model.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// One layer by its number in the model.
    pub fn layer(&self, layer: usize) -> Result<&Layer, TraceError> {
        self.layers.iter().find(|found| found.index == layer).ok_or_else(|| {
            let known: Vec<_> = self.layers.iter().map(|layer| layer.index.to_string()).collect();
            TraceError::OutOfRange { what: "layer", index: layer, available: format!("layers {}", known.join(", ")) }
        })
    }

    /// Paths of all arrays, sorted.
    pub fn array_names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// Names of an array's axes and their sizes.
    pub fn array_dims(&self, name: &str) -> Result<Vec<(String, usize)>, TraceError> {
        let stored = self.stored(name)?;
        Ok(stored.dims().into_iter().zip(stored.shape.iter().copied()).collect())
    }

    /// A box of any float32 array.
    pub fn read_f32(&self, name: &str, ranges: &[Range<usize>]) -> Result<ArrayD<f32>, TraceError> {
        self.stored(name)?.read(ranges)
    }

    /// Any float32 array.
    pub fn read_all_f32(&self, name: &str) -> Result<ArrayD<f32>, TraceError> {
        self.stored(name)?.read_all()
    }

    /// Any int32 array.
    pub fn read_all_i32(&self, name: &str) -> Result<ArrayD<i32>, TraceError> {
        self.stored(name)?.read_all()
    }

    /// Any array of strings.
    pub fn read_all_text(&self, name: &str) -> Result<ArrayD<String>, TraceError> {
        self.stored(name)?.read_all()
    }

    /// A factor, pseudo-value or output of a layer, axes as in its [`HookPoint`].
    pub fn stream(&self, layer: usize, point: HookPoint, batch: Range<usize>, steps: Range<usize>) -> Result<ArrayD<f32>, TraceError> {
        let name = format!("{}/{point}", self.layer(layer)?.group());
        let stored = self.stored(&name)?;
        let rest = stored.shape.iter().skip(2).map(|&length| 0..length);
        stored.read(&[batch, steps].into_iter().chain(rest).collect::<Vec<_>>())
    }

    /// The same for one head of one sequence: \[step\] or [step, channels].
    pub fn head_stream(
        &self,
        layer: usize,
        point: HookPoint,
        head: usize,
        batch: usize,
        steps: Range<usize>,
    ) -> Result<ArrayD<f32>, TraceError> {
        let found = self.layer(layer)?;
        let stored = self.stored(&format!("{}/{point}", found.group()))?;
        // Some factors have one entry per key head.
        let head = if stored.shape[2] == found.dims.head { head } else { found.dims.key_head_of(head) };
        let rest = stored.shape.iter().skip(3).map(|&length| 0..length);
        let read = stored.read(&[batch..batch + 1, steps, head..head + 1].into_iter().chain(rest).collect::<Vec<_>>())?;
        Ok(read.index_axis_move(Axis(2), 0).index_axis_move(Axis(0), 0))
    }

    /// All factors of a layer over some sequences and steps. They start from the memory found before the first of these
    /// steps, so that running them gives the model's own outputs.
    pub fn factors(&self, layer: usize, batch: Range<usize>, steps: Range<usize>) -> Result<Factors<f32>, TraceError> {
        let found = self.layer(layer)?;
        let Dims { head: n_heads, d_k, d_v, .. } = found.dims;
        let arrays = found.rule.factors().into_iter().map(|point| Ok((point, self.stream(layer, point, batch.clone(), steps.clone())?)));
        let arrays = arrays.collect::<Result<_, TraceError>>()?;
        let mut initial = Array4::zeros((batch.len(), n_heads, d_k, d_v));
        if !steps.is_empty() {
            let (index, start) = self.checkpoint_before(layer, steps.start)?;
            if start == steps.start {
                let name = format!("{}/checkpoint/memory", found.group());
                let stored = self.stored(&name)?.read(&[batch, index..index + 1, 0..n_heads, 0..d_k, 0..d_v])?;
                initial.assign(&stored.index_axis_move(Axis(1), 0));
            } else {
                for (index, sequence) in batch.enumerate() {
                    for head in 0..n_heads {
                        let memory = self.memory(layer, head, sequence, steps.start, Phase::Before)?;
                        initial.slice_mut(s![index, head, .., ..]).assign(&memory);
                    }
                }
            }
        }
        let initial = initial.iter().any(|&x| x != 0.0).then_some(initial);
        Ok(Factors::new(found.rule, arrays, initial)?)
    }

    /// The same for one head of one sequence, all steps: batch, head and key head are 1, and nothing of other heads is read.
    pub fn head_factors(&self, layer: usize, head: usize, batch: usize) -> Result<Factors<f32>, TraceError> {
        let found = self.layer(layer)?;
        let dims = Dims { batch: 1, head: 1, key_head: 1, ..found.dims };
        let one = |point: HookPoint| {
            let stream = self.head_stream(layer, point, head, batch, 0..dims.step)?;
            Ok((point, stream.insert_axis(Axis(1)).insert_axis(Axis(0))))
        };
        let arrays = found.rule.factors().into_iter().map(one).collect::<Result<_, TraceError>>()?;
        let before = self.checkpoint(layer, head, batch, 0)?;
        let initial = before.iter().any(|&x| x != 0.0).then(|| before.insert_axis(Axis(0)).insert_axis(Axis(0)));
        Ok(Factors::new(found.rule, arrays, initial)?)
    }

    /// A scalar [batch, step, head] by its name under `scalars/`.
    pub fn scalar(&self, layer: usize, name: &str) -> Result<Array3<f32>, TraceError> {
        let name = format!("{}/scalars/{name}", self.layer(layer)?.group());
        let all = self.stored(&name)?.read_all()?;
        let found = all.shape().to_vec();
        all.into_dimensionality().map_err(|_| TraceError::WrongShape { array: name, found, wanted: vec![self.n_batch(), self.n_steps()] })
    }

    /// A stored memory, by the number of the checkpoint.
    pub fn checkpoint(&self, layer: usize, head: usize, batch: usize, index: usize) -> Result<Array2<f32>, TraceError> {
        let found = self.layer(layer)?;
        let name = format!("{}/checkpoint/memory", found.group());
        let ranges = [batch..batch + 1, index..index + 1, head..head + 1, 0..found.dims.d_k, 0..found.dims.d_v];
        Ok(matrix(self.stored(&name)?.read(&ranges)?))
    }

    /// The last checkpoint at or before a step: its number and its step.
    pub(super) fn checkpoint_before(&self, layer: usize, step: usize) -> Result<(usize, usize), TraceError> {
        let steps = &self.layer(layer)?.checkpoint_steps;
        let index = steps.partition_point(|&start| start <= step) - 1;
        Ok((index, steps[index]))
    }

    /// A memory that was stored whole and exact, if it was.
    pub(super) fn dense(
        &self,
        layer: usize,
        head: usize,
        batch: usize,
        step: usize,
        phase: Phase,
    ) -> Result<Option<Array2<f32>>, TraceError> {
        if self.attributes.recording.bitround.is_some() {
            return Ok(None);
        }
        let found = self.layer(layer)?;
        let name = format!("{}/dense/all/{}", found.group(), HookPoint::Memory(phase));
        let Some(stored) = self.arrays.get(&name) else { return Ok(None) };
        let ranges = [batch..batch + 1, step..step + 1, head..head + 1, 0..found.dims.d_k, 0..found.dims.d_v];
        Ok(Some(matrix(stored.read(&ranges)?)))
    }

    /// Token ids [batch, step], -1 where there is none; `None` if the trace has no tokens.
    pub fn tokens(&self) -> Result<Option<Array2<i32>>, TraceError> {
        let Some(stored) = self.arrays.get("tokens") else { return Ok(None) };
        let found = stored.shape.clone();
        let tokens = stored.read_all()?.into_dimensionality();
        tokens.map(Some).map_err(|_| TraceError::WrongShape {
            array: "tokens".to_owned(),
            found,
            wanted: vec![self.n_batch(), self.n_steps()],
        })
    }

    /// The tokens as text [batch, step]; `None` if the trace has no text.
    pub fn token_str(&self) -> Result<Option<Array2<String>>, TraceError> {
        let name = "text/token_str";
        let Some(stored) = self.arrays.get(name) else { return Ok(None) };
        let found = stored.shape.clone();
        let words = stored.read_all()?.into_dimensionality();
        words.map(Some).map_err(|_| TraceError::WrongShape { array: name.to_owned(), found, wanted: vec![self.n_batch(), self.n_steps()] })
    }

    /// The task's truth table, one record a sequence, as it was given to the writer; `None` if the trace has none.
    pub fn labels<T: DeserializeOwned>(&self) -> Result<Option<Vec<T>>, TraceError> {
        let Some(stored) = self.arrays.get(labels::JSON) else { return Ok(None) };
        // A trace that grows by sequences has the records of all sequences to come.
        let n_records = stored.shape.first().copied().unwrap_or(0).min(self.n_batch());
        let records = stored.read::<String>(std::slice::from_ref(&(0..n_records)))?;
        let refused = |error: serde_json::Error| TraceError::Zarr { array: labels::JSON.to_owned(), reason: error.to_string() };
        records.iter().map(|record| serde_json::from_str(record)).collect::<Result<_, _>>().map(Some).map_err(refused)
    }

    pub(super) fn stored(&self, name: &str) -> Result<&Stored, TraceError> {
        self.arrays.get(name).ok_or_else(|| match self.unreadable.get(name) {
            Some(reason) => TraceError::Zarr { array: name.to_owned(), reason: reason.clone() },
            None => TraceError::MissingArray { array: name.to_owned() },
        })
    }

    pub(super) fn arrays(&self) -> impl Iterator<Item = &Stored> {
        self.arrays.values()
    }

    /// Checks that a question is about something the trace has.
    pub(super) fn check(&self, layer: usize, head: usize, batch: usize, steps: Range<usize>) -> Result<(), TraceError> {
        let dims = self.layer(layer)?.dims;
        let within = |what, index, length: usize| {
            let available = format!("0 to {}", length.saturating_sub(1));
            if index < length { Ok(()) } else { Err(TraceError::OutOfRange { what, index, available }) }
        };
        within("head", head, dims.head)?;
        within("batch", batch, dims.batch)?;
        if steps.is_empty() { Ok(()) } else { within("step", steps.end - 1, dims.step) }
    }
}

/// The one matrix in a box of memories.
fn matrix(array: ArrayD<f32>) -> Array2<f32> {
    let shape = array.shape().to_vec();
    let (rows, columns) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    array.into_shape_with_order((rows, columns)).expect("a box around one matrix")
}
