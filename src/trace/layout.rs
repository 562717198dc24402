//! How an array lies on disk: its chunks, its shards and its Zarr metadata.

use serde_json::{Map, Value, json};

use super::Growth;

/// Steps in one inner chunk of a stream.
pub(super) const CHUNK_STEPS: usize = 64;
/// A shard is split further above this size.
const SHARD_BYTES: usize = 64 << 20;

/// How inner chunks are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Blosc (zstd, level 1, shuffled bytes) and crc32c.
    Stream,
    /// One matrix of little-endian floats and crc32c, 64-byte aligned: a shard can be memory-mapped.
    Memory,
    /// One matrix, compressed because its mantissas were rounded.
    RoundedMemory,
}

/// Where an array goes on disk.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Path inside the trace.
    pub path: String,
    /// One name per axis.
    pub dims: Vec<String>,
    /// Zarr data type.
    pub data_type: &'static str,
    /// How inner chunks are stored.
    pub coding: Coding,
    /// Sizes of the axes; that of the growing one is what is committed.
    pub shape: Vec<usize>,
    /// Inner chunk.
    pub chunk: Vec<usize>,
    /// Shard: a multiple of the chunk on every axis.
    pub shard: Vec<usize>,
    /// The growing axis and how many of its entries one commit brings.
    pub growth: Option<(usize, usize)>,
    /// Attributes of the array.
    pub attributes: Map<String, Value>,
}

impl Plan {
    /// Decides chunks and shards. `shape` is that of the array, or of its first block along the growing axis.
    ///
    /// `growth` is the growing axis and the entries of one commit.
    pub fn new(
        path: &str,
        dims: &[String],
        data_type: &'static str,
        coding: Coding,
        shape: &[usize],
        growth: Option<(usize, usize)>,
    ) -> Self {
        let axis_of = |name: &str| dims.iter().position(|dim| dim == name);
        let size = match data_type {
            "int64" => 8,
            "string" => 16,
            _ => 4,
        };
        let n_axes = dims.len();
        let chunk: Vec<usize> = if coding == Coding::Stream {
            let has_step = axis_of("step").is_some();
            let has_channels = dims.last().is_some_and(|dim| dim != "head" && dim != "step");
            (0..n_axes)
                .map(|axis| match dims[axis].as_str() {
                    "step" => CHUNK_STEPS,
                    "batch" if has_step => 1,
                    // Without steps a commit is one chunk: its size must not depend on the first block.
                    _ if growth.is_some_and(|growth| growth.0 == axis) => growth.map_or(1, |growth| growth.1),
                    "batch" => shape[axis].min(256),
                    "head" | "key_head" if has_step && has_channels => 1,
                    _ => shape[axis],
                })
                .map(|length| length.max(1))
                .collect()
        } else {
            (0..n_axes).map(|axis| if axis + 2 >= n_axes { shape[axis].max(1) } else { 1 }).collect()
        };
        let mut shard: Vec<usize> = (0..n_axes)
            .map(|axis| {
                let wanted = match growth {
                    Some((growing, unit)) if growing == axis => unit,
                    _ if dims[axis] == "step" => shape[axis].max(256),
                    _ => shape[axis],
                };
                wanted.max(1).next_multiple_of(chunk[axis])
            })
            .collect();
        let too_large = |shard: &[usize]| shard.iter().product::<usize>() * size > SHARD_BYTES;
        // Along the growing axis a shard must divide a commit, so that no file is ever written twice: only exact halves.
        let halve = |shard: &mut [usize], axis: usize, least: usize| {
            while too_large(shard) && shard[axis] > least {
                let grows = growth.is_some_and(|growth| growth.0 == axis);
                let half = shard[axis] / 2;
                if grows && (!shard[axis].is_multiple_of(2) || !half.is_multiple_of(chunk[axis])) {
                    break;
                }
                shard[axis] = half.max(least).next_multiple_of(chunk[axis]);
            }
        };
        if let Some(batch) = axis_of("batch") {
            halve(&mut shard, batch, chunk[batch]);
        }
        if let Some(step) = axis_of("step") {
            halve(&mut shard, step, if coding == Coding::Stream { 256 } else { 1 });
        }
        if let Some(checkpoint) = axis_of("checkpoint").filter(|_| coding == Coding::Memory) {
            halve(&mut shard, checkpoint, 1);
        }
        Self {
            path: path.to_owned(),
            dims: dims.to_vec(),
            data_type,
            coding,
            shape: shape.to_vec(),
            chunk,
            shard,
            growth,
            attributes: Map::new(),
        }
    }

    /// The codecs inside a shard.
    pub fn chunk_codecs(&self) -> Value {
        let crc32c = json!({"name": "crc32c"});
        let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
        let blosc = |type_size: usize| json!({"name": "blosc", "configuration": {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": type_size, "blocksize": 0}});
        match (self.data_type, self.coding) {
            ("string", _) => json!([{"name": "vlen-utf8"}, crc32c]),
            (_, Coding::Memory) => json!([bytes, crc32c]),
            ("int64", _) => json!([bytes, blosc(8), crc32c]),
            _ => json!([bytes, blosc(4), crc32c]),
        }
    }

    /// What stands where nothing was recorded: missing is not zero.
    pub fn fill_value(&self) -> Value {
        match self.data_type {
            "float32" => json!("NaN"),
            "string" => json!(""),
            _ => json!(-1),
        }
    }

    /// The array's Zarr metadata.
    pub fn metadata(&self) -> Value {
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": self.data_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.shard}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self.fill_value(),
            "codecs": [{"name": "sharding_indexed", "configuration": {
                "chunk_shape": self.chunk,
                "codecs": self.chunk_codecs(),
                "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
                "index_location": "end",
            }}],
            "dimension_names": self.dims,
            "attributes": self.attributes,
        })
    }

    /// The file of a shard, relative to the trace.
    pub fn key(&self, shard: &[usize]) -> String {
        let mut key = format!("{}/c", self.path);
        for index in shard {
            key.push('/');
            key.push_str(&index.to_string());
        }
        key
    }
}

/// Entries of `dimension` that one commit brings, if it grows.
pub(super) fn unit(growth: Growth, dimension: &str, commit_every: usize, checkpoint_every: usize) -> Option<usize> {
    match (growth, dimension) {
        (Growth::Step, "step") | (Growth::Batch, "batch") => Some(commit_every),
        (Growth::Step, "checkpoint") => Some(commit_every / checkpoint_every),
        _ => None,
    }
}

/// Every index below `counts`, the last axis fastest.
pub(super) fn indices(counts: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let total: usize = counts.iter().product();
    (0..total).map(move |mut flat| {
        let mut index = vec![0; counts.len()];
        for (slot, &count) in index.iter_mut().zip(counts).rev() {
            *slot = flat % count;
            flat /= count;
        }
        index
    })
}
