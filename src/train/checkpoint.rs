//! What is kept so that a training can go on: written whole or not at all.

use super::optimizer::Moments;
use super::{AdamW, TrainError};
use crate::model::Weights;
use candle_core::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Weights, moments and step, for resuming.
pub const TRAINING_FILE: &str = "training.safetensors";
/// The words of the model's tokens.
pub const VOCABULARY_FILE: &str = "vocabulary.json";
/// The spec of the training.
pub const SPEC_FILE: &str = "train.toml";
/// The log, one JSON object a line.
pub const LOG_FILE: &str = "log.jsonl";

/// Writes a file that appears whole or not at all, also when the machine stops.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    use std::io::Write;
    let draft = path.with_extension("draft");
    let write = || {
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().map_err(TrainError::file("cannot write", path))
}

const KINDS: [&str; 3] = ["weight", "first_moment", "second_moment"];

/// Writes weights and optimiser after `step` steps of the training whose spec has `spec_digest`.
pub(super) fn save(path: &Path, step: u64, spec_digest: &str, weights: &Weights, optimizer: &AdamW) -> Result<(), TrainError> {
    let mut arrays: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    for (name, var) in weights {
        let moments = &optimizer.moments[name];
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        let [first, second] = moments.numbers()?;
        for (kind, numbers) in KINDS.iter().zip([values, first, second]) {
            arrays.push((format!("{kind}.{name}"), var.dims().to_vec(), bytes(&numbers)));
        }
    }
    let damaged = |error: safetensors::SafeTensorError| TrainError::Damaged { what: error.to_string(), path: path.display().to_string() };
    let mut views = Vec::new();
    for (name, shape, bytes) in &arrays {
        views.push((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(damaged)?));
    }
    let metadata = HashMap::from([
        ("step".to_owned(), step.to_string()),
        ("updates".to_owned(), optimizer.updates.to_string()),
        ("spec_digest".to_owned(), spec_digest.to_owned()),
    ]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(damaged)?;
    write_whole(path, &bytes)
}

/// Puts weights and optimiser back as they were; returns the number of steps that were made.
pub(super) fn restore(path: &Path, spec_digest: &str, weights: &Weights, optimizer: &mut AdamW) -> Result<u64, TrainError> {
    let damaged = |what: String| TrainError::Damaged { what, path: path.display().to_string() };
    let bytes = std::fs::read(path).map_err(TrainError::file("cannot read", path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let entry = |name: &str| metadata.get(name).cloned().ok_or_else(|| damaged(format!("the metadata has no '{name}'")));
    if entry("spec_digest")? != spec_digest {
        let folder = path.parent().unwrap_or(path).display().to_string();
        return Err(TrainError::OtherSpec { path: folder });
    }
    let number = |name: &str| entry(name)?.parse::<u64>().map_err(|_| damaged(format!("'{name}' in the metadata is no number")));
    let arrays = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let read = |kind: &str, name: &str, shape: &[usize]| {
        let array = arrays.tensor(&format!("{kind}.{name}")).map_err(|error| damaged(error.to_string()))?;
        if array.dtype() != Dtype::F32 || array.shape() != shape {
            return Err(damaged(format!("'{kind}.{name}' is {:?} {:?}, but f32 {shape:?} is needed", array.dtype(), array.shape())));
        }
        let numbers = array.data().chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        Ok(numbers.collect::<Vec<f32>>())
    };
    for (name, var) in weights {
        let [values, first, second] = KINDS.map(|kind| read(kind, name, var.dims()));
        var.set(&Tensor::from_vec(values?, var.shape(), var.device())?)?;
        optimizer.moments.insert(name.clone(), Moments::new(first?, second?, var.device())?);
    }
    optimizer.updates = number("updates")?;
    number("step")
}
