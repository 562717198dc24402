//! What should be on disk by a trace's own account, and what is there beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::layout::indices;
use super::writer::LOCK;
use super::{TraceError, reader, store};

/// An array's grid, from its metadata.
pub(super) struct Grid {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Shard.
    pub shard: Vec<usize>,
    /// Inner chunk.
    pub chunk: Vec<usize>,
}

impl Grid {
    /// `None` if the array is not laid out as this program does.
    pub fn of(metadata: &Value) -> Option<Self> {
        let lengths = |value: &Value| serde_json::from_value::<Vec<usize>>(value.clone()).ok();
        let shape = lengths(&metadata["shape"])?;
        let shard = lengths(&metadata["chunk_grid"]["configuration"]["chunk_shape"])?;
        if metadata["codecs"][0]["name"] != "sharding_indexed" || metadata["codecs"][0]["configuration"]["index_location"] != "end" {
            return None;
        }
        let chunk = lengths(&metadata["codecs"][0]["configuration"]["chunk_shape"])?;
        let same = shape.len() == shard.len() && shape.len() == chunk.len();
        let divides = same && shard.iter().zip(&chunk).all(|(&shard, &chunk)| chunk > 0 && shard > 0 && shard % chunk == 0);
        divides.then_some(Self { shape, shard, chunk })
    }

    /// The index and the file of every shard, relative to the trace.
    pub fn shards(&self, array: &str) -> Vec<(Vec<usize>, String)> {
        let counts: Vec<usize> = self.shape.iter().zip(&self.shard).map(|(length, shard)| length.div_ceil(*shard)).collect();
        let key = |index: &[usize]| index.iter().fold(format!("{array}/c"), |key, index| format!("{key}/{index}"));
        indices(&counts).map(|index| (index.clone(), key(&index))).collect()
    }
}

/// The metadata of every array that is committed.
pub(super) fn arrays(root: &Value) -> BTreeMap<String, Value> {
    let nodes = root["consolidated_metadata"]["metadata"].as_object();
    let arrays = nodes.into_iter().flatten().filter(|(_, node)| node["node_type"] == "array");
    arrays.map(|(name, node)| (name.clone(), node.clone())).collect()
}

/// The attributes of every group that is committed.
pub(super) fn groups(root: &Value) -> BTreeMap<String, Value> {
    let nodes = root["consolidated_metadata"]["metadata"].as_object();
    let groups = nodes.into_iter().flatten().filter(|(_, node)| node["node_type"] == "group");
    groups.map(|(name, node)| (name.clone(), node["attributes"].clone())).collect()
}

/// Files that a writer left behind: temporary ones, and shards that no committed array names. Other files are not ours.
pub(super) fn leftovers(trace: &Path) -> Result<Vec<String>, TraceError> {
    let root = reader::read_root(trace)?;
    let arrays = arrays(&root);
    let committed: BTreeSet<String> =
        arrays.iter().filter_map(|(name, metadata)| Some(Grid::of(metadata)?.shards(name))).flatten().map(|(_, key)| key).collect();
    // An array whose layout is unknown keeps all its files.
    let foreign: Vec<String> =
        arrays.iter().filter(|(_, metadata)| Grid::of(metadata).is_none()).map(|(name, _)| format!("{name}/")).collect();
    let is_left = |file: &String| {
        let is_shard = file.split_once("/c/").is_some_and(|(_, index)| index.split('/').all(|part| part.parse::<usize>().is_ok()));
        let uncommitted = is_shard && !committed.contains(file) && !foreign.iter().any(|prefix| file.starts_with(prefix));
        store::is_partial(file) || uncommitted || file == LOCK
    };
    Ok(store::files_below(trace)?.into_iter().filter(is_left).collect())
}
