//! Makes the committed prefix of an unfinished recording usable.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::column::Column;
use super::layout::{Coding, Plan};
use super::root::Root;
use super::writer::LOCK;
use super::{Attributes, Data, Status, Trace, TraceError, committed, integrity, reader, store, verify};

/// What [`repair`] did.
#[derive(Clone, Debug, Serialize)]
pub struct Repair {
    /// What the trace said of itself before.
    pub status_before: Status,
    /// What it says now.
    pub status: Status,
    /// Steps that are there.
    pub committed_steps: usize,
    /// Sequences that are there.
    pub committed_batch: usize,
    /// Files that were removed: temporary ones and uncommitted shards.
    pub removed: Vec<String>,
    /// The largest replay error of all layers, if it was computed now.
    pub max_replay_error: Option<f32>,
}

/// Removes what an unfinished recording left behind, checks the committed prefix by replay and marks it `repaired`.
///
/// Invents nothing: a committed file that is damaged stays so, and is an error here. A complete trace is only tidied.
pub fn repair(path: impl AsRef<Path>) -> Result<Repair, TraceError> {
    let path = path.as_ref();
    let root = reader::read_root(path)?;
    let lock = path.join(LOCK);
    if let Ok(file) = File::open(&lock) {
        file.try_lock().map_err(|_| TraceError::Locked(path.to_path_buf()))?;
    }
    let removed = committed::leftovers(path)?;
    for file in &removed {
        let file = path.join(file);
        fs::remove_file(&file).map_err(TraceError::io("remove", &file))?;
        remove_empty_folders(&file, path);
    }
    let trace = Trace::open(path)?;
    let mut attributes = trace.attributes().clone();
    let mut repair = Repair {
        status_before: attributes.status,
        status: attributes.status,
        committed_steps: attributes.committed_steps,
        committed_batch: attributes.committed_batch,
        removed,
        max_replay_error: None,
    };
    if matches!(attributes.status, Status::Complete | Status::Repaired) {
        return Ok(repair);
    }
    if attributes.committed_steps == 0 || attributes.committed_batch == 0 {
        let reason = "nothing was committed before the recording ended: record again".to_owned();
        return Err(TraceError::NotATrace { reason, path: path.to_path_buf() });
    }
    repair.max_replay_error = Some(close(&trace, &mut attributes, &root)?);
    repair.status = attributes.status;
    Ok(repair)
}

/// Stores the replay error of every layer, the digest and the new status.
fn close(trace: &Trace, attributes: &mut Attributes, root: &Value) -> Result<f32, TraceError> {
    let path = trace.path();
    let (mut arrays, groups) = (committed::arrays(root), committed::groups(root));
    let mut largest = 0.0_f32;
    let mut files = Vec::new();
    for layer in trace.layers() {
        let errors = integrity::replay_error(trace, layer)?;
        largest = errors.iter().copied().fold(largest, f32::max);
        let name = format!("{}/checkpoint/replay_error", layer.group());
        let dims = ["batch", "checkpoint", "head"].map(str::to_owned);
        let mut column = Column::new(Plan::new(&name, &dims, "float32", Coding::Stream, errors.shape(), None))?;
        column.push(Data::F32(errors.into_dyn().into_shared()))?;
        files.extend(column.flush(path, true)?.into_iter().map(|written| written.path));
        arrays.insert(name, column.plan.metadata());
    }
    store::publish(&files, path)?;
    let checked = arrays.iter().map(|(name, metadata)| verify::check_array(path, name, metadata));
    let mut digests = BTreeMap::new();
    for (report, found) in checked {
        if let Some(damage) = report.damage.into_iter().next() {
            return Err(TraceError::Damaged { array: report.array, key: damage.key, reason: damage.reason });
        }
        digests.extend(found);
    }
    attributes.status = Status::Repaired;
    attributes.content_digest = Some(integrity::content_digest(&arrays, &digests));
    let root = Root { attributes, groups: &groups, arrays: &arrays };
    root.write_nodes(path)?;
    root.commit(path)?;
    Ok(largest)
}

/// Removes the folders that a file leaves empty.
fn remove_empty_folders(file: &Path, trace: &Path) {
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != trace) {
        // A folder that is not empty refuses, and so do those above it.
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}
