//! Whether what was recorded replays to what the model had, and a digest of it all.

use std::collections::BTreeMap;

use ndarray::Array3;
use rayon::prelude::*;
use serde_json::Value;

use super::{Layer, Trace, TraceError};

/// The largest absolute difference between each stored memory and its replay from the checkpoint before,
/// [batch, checkpoint, head]; 0 for the first checkpoint, which nothing leads to.
pub(super) fn replay_error(trace: &Trace, layer: &Layer) -> Result<Array3<f32>, TraceError> {
    let n_checkpoints = layer.checkpoint_steps.len();
    let places: Vec<[usize; 3]> = (0..layer.dims.batch)
        .flat_map(|batch| (1..n_checkpoints).flat_map(move |index| (0..layer.dims.head).map(move |head| [batch, index, head])))
        .collect();
    let errors: Vec<f32> = places
        .par_iter()
        .map(|&[batch, index, head]| {
            let stored = trace.checkpoint(layer.index, head, batch, index)?;
            let replayed = trace.replayed_checkpoint(layer.index, head, batch, index)?;
            // A NaN on either side must not vanish in a maximum.
            let difference = |(&a, &b): (&f32, &f32)| if a.to_bits() == b.to_bits() { 0.0 } else { (a - b).abs() };
            Ok(stored
                .iter()
                .zip(&replayed)
                .map(difference)
                .fold(0.0, |most: f32, next| if next.is_nan() || next > most { next } else { most }))
        })
        .collect::<Result<_, TraceError>>()?;
    let mut all = Array3::zeros((layer.dims.batch, n_checkpoints, layer.dims.head));
    for (place, error) in places.into_iter().zip(errors) {
        all[place] = error;
    }
    Ok(all)
}

/// The digest of a trace's content: of every array's metadata and the digest of each of its files, in sorted order.
pub(super) fn content_digest(arrays: &BTreeMap<String, Value>, files: &BTreeMap<String, blake3::Hash>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, metadata) in arrays {
        hasher.update(name.as_bytes()).update(&[0]).update(metadata.to_string().as_bytes()).update(&[0]);
    }
    for (key, digest) in files {
        hasher.update(key.as_bytes()).update(&[0]).update(digest.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
