//! One array of a trace, read chunk by chunk through the Zarr library with every checksum checked.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn, Slice};
use rayon::prelude::*;
use serde_json::Value;
use zarrs::array::{Array, ArrayMetadata, ArrayShardedReadableExt, ArrayShardedReadableExtCache, ElementOwned};
use zarrs::filesystem::FilesystemStore;

use super::TraceError;
use super::layout::indices;
use super::shard::ChunkCodec;

/// One array of a trace.
pub(super) struct Stored {
    /// Path inside the trace.
    pub path: String,
    /// Its Zarr metadata.
    pub metadata: Value,
    /// Sizes of its axes, as committed.
    pub shape: Vec<usize>,
    array: Array<FilesystemStore>,
    cache: ArrayShardedReadableExtCache,
    codec: ChunkCodec,
}

impl Stored {
    /// From the metadata that was committed with the root.
    pub fn open(store: &Arc<FilesystemStore>, path: &str, metadata: &Value) -> Result<Self, TraceError> {
        let refused = |reason: &dyn std::fmt::Display| TraceError::Zarr { array: path.to_owned(), reason: reason.to_string() };
        let parsed: ArrayMetadata = serde_json::from_value(metadata.clone()).map_err(|error| refused(&error))?;
        let array = Array::new_with_metadata(Arc::clone(store), &format!("/{path}"), parsed).map_err(|error| refused(&error))?;
        let cache = ArrayShardedReadableExtCache::new(&array);
        if !cache.array_is_exclusively_sharded() {
            return Err(refused(&"it is not stored in shards"));
        }
        let codec = ChunkCodec::new(path, metadata)?;
        let shape = array.shape().iter().map(|&length| length as usize).collect();
        Ok(Self { path: path.to_owned(), metadata: metadata.clone(), shape, array, cache, codec })
    }

    /// Names of its axes.
    pub fn dims(&self) -> Vec<String> {
        serde_json::from_value(self.metadata["dimension_names"].clone()).unwrap_or_default()
    }

    /// A box of it. Only the chunks it touches are read.
    pub fn read<T: ElementOwned + Clone + Default + Send>(&self, ranges: &[Range<usize>]) -> Result<ArrayD<T>, TraceError> {
        if ranges.len() != self.shape.len() || ranges.iter().zip(&self.shape).any(|(range, &length)| range.end > length) {
            let wanted = ranges.iter().map(|range| range.end).collect();
            return Err(TraceError::WrongShape { array: self.path.clone(), found: self.shape.clone(), wanted });
        }
        let chunk = self.codec.chunk_shape();
        let mut whole = ArrayD::from_elem(IxDyn(&ranges.iter().map(Range::len).collect::<Vec<_>>()), T::default());
        if whole.is_empty() {
            return Ok(whole);
        }
        let first: Vec<usize> = ranges.iter().zip(&chunk).map(|(range, chunk)| range.start / chunk).collect();
        let counts: Vec<usize> =
            ranges.iter().zip(&chunk).zip(&first).map(|((range, chunk), first)| range.end.div_ceil(*chunk) - first).collect();
        let wanted: Vec<Vec<usize>> =
            indices(&counts).map(|index| index.iter().zip(&first).map(|(index, first)| index + first).collect()).collect();
        let read_one = |index: &Vec<usize>| self.read_chunk::<T>(index);
        // A few chunks are quicker read here than handed to other threads.
        let parts: Vec<ArrayD<T>> = if wanted.len() < 8 {
            wanted.iter().map(read_one).collect::<Result<_, _>>()?
        } else {
            wanted.par_iter().map(read_one).collect::<Result<_, _>>()?
        };
        for (index, part) in wanted.iter().zip(parts) {
            let overlap = |axis: usize| {
                let origin = index[axis] * chunk[axis];
                (origin.max(ranges[axis].start), (origin + chunk[axis]).min(ranges[axis].end), origin)
            };
            let source = part.slice_each_axis(|axis| {
                let (from, to, origin) = overlap(axis.axis.index());
                Slice::from(from - origin..to - origin)
            });
            let mut target = whole.slice_each_axis_mut(|axis| {
                let axis = axis.axis.index();
                let (from, to, _) = overlap(axis);
                Slice::from(from - ranges[axis].start..to - ranges[axis].start)
            });
            target.assign(&source);
        }
        Ok(whole)
    }

    /// All of it.
    pub fn read_all<T: ElementOwned + Clone + Default + Send>(&self) -> Result<ArrayD<T>, TraceError> {
        self.read(&self.shape.iter().map(|&length| 0..length).collect::<Vec<_>>())
    }

    fn read_chunk<T: ElementOwned>(&self, index: &[usize]) -> Result<ArrayD<T>, TraceError> {
        let index: Vec<u64> = index.iter().map(|&index| index as u64).collect();
        let encoded = self.array.retrieve_encoded_subchunk(&self.cache, &index).map_err(|error| self.damaged(&index, &error))?;
        let encoded = encoded.ok_or_else(|| self.damaged(&index, &"the file or the chunk is missing"))?;
        let elements = self.codec.decode(encoded).map_err(|error| self.damaged(&index, &error))?;
        ArrayD::from_shape_vec(IxDyn(&self.codec.chunk_shape()), elements).map_err(|error| self.damaged(&index, &error))
    }

    fn damaged(&self, chunk: &[u64], reason: &dyn std::fmt::Display) -> TraceError {
        let shard_shape: Vec<u64> =
            serde_json::from_value(self.metadata["chunk_grid"]["configuration"]["chunk_shape"].clone()).unwrap_or_default();
        let lengths = self.codec.chunk_shape();
        let parts: Vec<String> = chunk
            .iter()
            .zip(&lengths)
            .zip(shard_shape)
            .map(|((chunk, &length), shard)| (chunk * length as u64 / shard).to_string())
            .collect();
        TraceError::Damaged { array: self.path.clone(), key: format!("{}/c/{}", self.path, parts.join("/")), reason: reason.to_string() }
    }
}
