//! Every checksum of a trace, and a replay from checkpoint to checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::committed::{self, Grid};
use super::layout::indices;
use super::shard::ChunkCodec;
use super::{Status, Trace, TraceError, integrity, reader};

/// What [`verify`] found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What the trace says of itself.
    pub status: Status,
    /// Sequences that are committed.
    pub committed_batch: usize,
    /// Steps that are committed.
    pub committed_steps: usize,
    /// Every array with what is wrong with it.
    pub arrays: Vec<ArrayReport>,
    /// What keeps the trace from being opened, if anything does.
    pub structure: Option<String>,
    /// Every layer's replay, unless damage stands in the way.
    pub replays: Vec<ReplayReport>,
    /// The digest the trace names; absent while it is not complete.
    pub digest: Option<String>,
    /// The digest of what is there.
    pub digest_found: String,
    /// Files of an unfinished recording: harmless, removed by `repair`.
    pub leftovers: Vec<String>,
}

/// One array's files.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayReport {
    /// Its path inside the trace.
    pub array: String,
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Files it should have.
    pub files: usize,
    /// Chunks whose checksum was right.
    pub chunks: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// The file, relative to the trace.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How exactly a layer replays.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayReport {
    /// The layer.
    pub layer: usize,
    /// Stretches between checkpoints that were replayed, over all heads and sequences.
    pub stretches: usize,
    /// The largest absolute difference between a stored memory and its replay.
    pub max_error: f32,
    /// The same when the recording was finished.
    pub max_error_recorded: Option<f32>,
    /// Why it could not be replayed.
    pub failure: Option<String>,
}

impl ReplayReport {
    /// Whether the replay is as exact as it was when the recording was finished.
    pub fn is_sound(&self) -> bool {
        self.failure.is_none()
            && !self.max_error.is_nan()
            && self.max_error_recorded.is_none_or(|recorded| recorded.to_bits() == self.max_error.to_bits())
    }
}

impl Verification {
    /// Whether nothing is wrong. A recording that did not finish can be sound: its committed prefix.
    pub fn is_sound(&self) -> bool {
        self.structure.is_none()
            && self.arrays.iter().all(|array| array.damage.is_empty())
            && self.replays.iter().all(ReplayReport::is_sound)
            && self.digest.as_ref().is_none_or(|digest| *digest == self.digest_found)
    }

    /// Everything that is wrong, one line each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.structure.iter().cloned().collect();
        for array in &self.arrays {
            problems.extend(array.damage.iter().map(|damage| format!("array '{}': {} (file {})", array.array, damage.reason, damage.key)));
        }
        for replay in self.replays.iter().filter(|replay| !replay.is_sound()) {
            problems.push(match (&replay.failure, replay.max_error_recorded) {
                (Some(failure), _) => format!("layer {}: cannot be replayed: {failure}", replay.layer),
                (None, recorded) => format!("layer {}: replay error {} (recorded: {recorded:?})", replay.layer, replay.max_error),
            });
        }
        if let Some(digest) = self.digest.as_ref().filter(|digest| **digest != self.digest_found) {
            problems.push(format!("the content has digest {}, but {digest} was recorded: a file was exchanged", self.digest_found));
        }
        problems
    }
}

/// Reads every byte of a trace, checks every checksum, replays every memory from checkpoint to checkpoint, and compares the
/// digest of it all. Fails only if there is no trace to look at: damage is reported, not an error.
pub fn verify(path: impl AsRef<Path>) -> Result<Verification, TraceError> {
    let path = path.as_ref();
    let root = reader::read_root(path)?;
    let metadata = committed::arrays(&root);
    let checked: Vec<(ArrayReport, BTreeMap<String, blake3::Hash>)> =
        metadata.iter().map(|(name, metadata)| check_array(path, name, metadata)).collect();
    let mut files = BTreeMap::new();
    let mut arrays = Vec::new();
    for (report, digests) in checked {
        files.extend(digests);
        arrays.push(report);
    }
    let attributes = &root["attributes"];
    let status = serde_json::from_value(attributes["status"].clone()).unwrap_or(Status::Recording);
    if matches!(status, Status::Complete | Status::Repaired) {
        check_nodes(path, &root, &mut arrays);
    }
    let (structure, replays) = match Trace::open(path) {
        Ok(trace) => (None, trace.layers().iter().map(|layer| replay(&trace, layer)).collect()),
        Err(error) => (Some(error.to_string()), Vec::new()),
    };
    let count = |name: &str| attributes[name].as_u64().unwrap_or(0) as usize;
    Ok(Verification {
        status,
        committed_batch: count("committed_batch"),
        committed_steps: count("committed_steps"),
        arrays,
        structure,
        replays,
        digest: attributes["content_digest"].as_str().map(str::to_owned),
        digest_found: integrity::content_digest(&metadata, &files),
        leftovers: committed::leftovers(path)?,
    })
}

fn replay(trace: &Trace, layer: &super::Layer) -> ReplayReport {
    let largest =
        |errors: &mut dyn Iterator<Item = f32>| errors.fold(0.0, |most: f32, next| if next.is_nan() || next > most { next } else { most });
    let recorded = trace.read_all_f32(&format!("{}/checkpoint/replay_error", layer.group())).ok();
    let (max_error, failure) = match integrity::replay_error(trace, layer) {
        Ok(errors) => (largest(&mut errors.iter().copied()), None),
        Err(error) => (f32::NAN, Some(error.to_string())),
    };
    ReplayReport {
        layer: layer.index,
        stretches: layer.dims.batch * layer.dims.head * (layer.checkpoint_steps.len() - 1),
        max_error,
        max_error_recorded: recorded.map(|errors| largest(&mut errors.iter().copied())),
        failure,
    }
}

/// The `zarr.json` of every node must say what the root says, or readers without consolidated metadata see another trace.
fn check_nodes(path: &Path, root: &Value, arrays: &mut [ArrayReport]) {
    for report in arrays {
        let key = format!("{}/zarr.json", report.array);
        let found = std::fs::read(path.join(&key)).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let reason = match found {
            None => "its own metadata is missing or not JSON",
            Some(found) if found != root["consolidated_metadata"]["metadata"][&report.array] => "its own metadata differs from the root's",
            Some(_) => continue,
        };
        report.damage.push(Damage { key, reason: reason.to_owned() });
    }
}

pub(super) fn check_array(path: &Path, name: &str, metadata: &Value) -> (ArrayReport, BTreeMap<String, blake3::Hash>) {
    let mut report = ArrayReport { array: name.to_owned(), shape: Vec::new(), files: 0, chunks: 0, bytes: 0, damage: Vec::new() };
    let (Some(grid), Ok(codec)) = (Grid::of(metadata), ChunkCodec::new(name, metadata)) else {
        report.damage.push(Damage {
            key: format!("{name}/zarr.json"),
            reason: "its layout is not known to this version and cannot be checked".to_owned(),
        });
        return (report, BTreeMap::new());
    };
    let shards = grid.shards(name);
    let checked: Vec<_> = shards.par_iter().map(|(index, key)| (key.clone(), check_shard(&path.join(key), &grid, index, &codec))).collect();
    report.files = shards.len();
    report.shape = grid.shape;
    let mut digests = BTreeMap::new();
    for (key, shard) in checked {
        report.chunks += shard.sound_chunks;
        report.bytes += shard.bytes;
        report.damage.extend(shard.damage.map(|reason| Damage { key: key.clone(), reason }));
        digests.extend(shard.digest.map(|digest| (key, digest)));
    }
    (report, digests)
}

#[derive(Default)]
struct ShardCheck {
    sound_chunks: usize,
    bytes: u64,
    damage: Option<String>,
    digest: Option<blake3::Hash>,
}

fn check_shard(file: &Path, grid: &Grid, index: &[usize], codec: &ChunkCodec) -> ShardCheck {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return ShardCheck { damage: Some("the file is missing".to_owned()), ..ShardCheck::default() };
        }
        Err(error) => return ShardCheck { damage: Some(format!("the file cannot be read: {error}")), ..ShardCheck::default() },
    };
    let mut check = ShardCheck { bytes: bytes.len() as u64, digest: Some(blake3::hash(&bytes)), ..ShardCheck::default() };
    let counts: Vec<usize> = grid.shard.iter().zip(&grid.chunk).map(|(shard, chunk)| shard / chunk).collect();
    let table_bytes = counts.iter().product::<usize>() * 16;
    let Some(table_start) = bytes.len().checked_sub(table_bytes + 4) else {
        check.damage = Some(format!("the file is truncated: {} bytes are less than its table of chunks", bytes.len()));
        return check;
    };
    let (table, checksum) = bytes[table_start..].split_at(table_bytes);
    if crc32c::crc32c(table).to_le_bytes() != checksum {
        check.damage =
            Some(format!("the file is truncated or its table of chunks altered ({} bytes, the table's checksum is wrong)", bytes.len()));
        return check;
    }
    let mut bad = Vec::new();
    for (chunk, entry) in indices(&counts).zip(table.chunks_exact(16)) {
        let origin: Vec<usize> = (0..index.len()).map(|axis| index[axis] * grid.shard[axis] + chunk[axis] * grid.chunk[axis]).collect();
        if origin.iter().zip(&grid.shape).any(|(origin, length)| origin >= length) {
            continue;
        }
        let number = |part: &[u8]| u64::from_le_bytes(part.try_into().expect("eight bytes")) as usize;
        let (offset, length) = (number(&entry[..8]), number(&entry[8..]));
        let encoded = offset.checked_add(length).and_then(|end| bytes.get(offset..end));
        match encoded.ok_or_else(|| "is missing".to_owned()).and_then(|encoded| codec.check(encoded)) {
            Ok(()) => check.sound_chunks += 1,
            Err(reason) => bad.push((origin, reason)),
        }
    }
    if let Some((origin, reason)) = bad.first() {
        check.damage = Some(format!("{} of its chunks are altered, the first at {origin:?}: {reason}", bad.len()));
    }
    check
}
