//! A trace in short.

use std::path::Path;

use serde::Serialize;

use super::committed::Grid;
use super::{Attributes, Layer, Trace, TraceError};
use crate::memory::{Dims, Rule};

/// A trace in short: what it says of itself, its layers and arrays.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The last part of its path.
    pub name: String,
    /// What it says of itself.
    pub attributes: Attributes,
    /// Its layers.
    pub layers: Vec<LayerInfo>,
    /// Its arrays.
    pub arrays: Vec<ArrayInfo>,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A layer in short.
#[derive(Clone, Debug, Serialize)]
pub struct LayerInfo {
    /// Its number in the model.
    pub layer: usize,
    /// Its rule.
    pub rule: Rule,
    /// Its sizes.
    pub dims: Dims,
    /// Stored memories per head and sequence.
    pub checkpoints: usize,
    /// The largest absolute difference between a stored memory and its replay; absent while the trace is not complete.
    pub max_replay_error: Option<f32>,
}

/// An array in short.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayInfo {
    /// Its path inside the trace.
    pub name: String,
    /// Names of its axes.
    pub dims: Vec<String>,
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Zarr data type.
    pub data_type: String,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Looks at a trace without reading its streams.
pub fn info(path: impl AsRef<Path>) -> Result<Info, TraceError> {
    let trace = Trace::open(path)?;
    let arrays: Vec<ArrayInfo> = trace
        .arrays()
        .map(|stored| {
            let shards = Grid::of(&stored.metadata).map(|grid| grid.shards(&stored.path)).unwrap_or_default();
            let size = |key: &str| std::fs::metadata(trace.path().join(key)).map_or(0, |file| file.len());
            ArrayInfo {
                name: stored.path.clone(),
                dims: stored.dims(),
                shape: stored.shape.clone(),
                data_type: stored.metadata["data_type"].as_str().unwrap_or_default().to_owned(),
                bytes: shards.iter().map(|(_, key)| size(key)).sum(),
            }
        })
        .collect();
    let layer = |layer: &Layer| LayerInfo {
        layer: layer.index,
        rule: layer.rule,
        dims: layer.dims,
        checkpoints: layer.checkpoint_steps.len(),
        max_replay_error: trace
            .read_all_f32(&format!("{}/checkpoint/replay_error", layer.group()))
            .ok()
            .map(|errors| errors.iter().copied().fold(0.0, f32::max)),
    };
    Ok(Info {
        name: trace.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        attributes: trace.attributes().clone(),
        layers: trace.layers().iter().map(layer).collect(),
        bytes: arrays.iter().map(|array| array.bytes).sum(),
        arrays,
    })
}
