//! Recording block by block: a block is there as a whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::{Array4, Array5, ArrayD, Axis, Slice};
use serde_json::Value;

use super::attributes::FORMAT;
use super::column::Column;
use super::layout::{self, Coding, Plan};
use super::reader::{group_of, read_root};
use super::root::Root;
use super::{
    Attributes, Conventions, Data, DenseSelection, Growth, LayerAttributes, OnExisting, RecordingChoices, SCHEMA_VERSION, Status, Table,
    Trace, TraceError, TraceSpec, integrity, replay, scalars, store,
};
use crate::memory::{Dims, Factors, HookPoint, Phase, Recording, Rule};

/// The file that a writer locks as long as it lives.
pub(super) const LOCK: &str = "recording.lock";

/// What the writer remembers of a layer.
struct LayerState {
    rule: Rule,
    dims: Dims,
    /// Entries of the growing axis so far.
    appended: usize,
    final_memory: Array4<f32>,
}

/// Writes a trace block by block.
///
/// Per block: [`append_layer`](Self::append_layer) for each layer and [`append`](Self::append) for each table that grows, then
/// [`commit`](Self::commit). At the end [`finish`](Self::finish). Blocks may have any length; what does not fill a commit
/// waits in memory. A writer that is dropped without `finish` leaves the committed prefix, marked aborted.
pub struct TraceWriter {
    path: PathBuf,
    attributes: Attributes,
    dense: Vec<DenseSelection>,
    columns: BTreeMap<String, Column>,
    groups: BTreeMap<String, Value>,
    layers: BTreeMap<usize, LayerState>,
    /// Files written under temporary names since the last commit.
    unpublished: Vec<PathBuf>,
    digests: BTreeMap<String, blake3::Hash>,
    committed: usize,
    statics_pending: bool,
    finished: bool,
    _lock: File,
}

impl TraceWriter {
    /// Makes an empty trace.
    pub fn create(path: impl AsRef<Path>, spec: &TraceSpec) -> Result<Self, TraceError> {
        let path = path.as_ref().to_path_buf();
        spec.check()?;
        make_room(&path, spec.on_existing)?;
        fs::create_dir_all(&path).map_err(TraceError::io("create", &path))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(TraceError::io("create", &lock_path))?;
        lock.try_lock().map_err(|_| TraceError::Locked(path.clone()))?;
        let attributes = Attributes {
            format: FORMAT.to_owned(),
            schema_version: SCHEMA_VERSION.to_owned(),
            status: Status::Recording,
            committed_batch: 0,
            committed_steps: 0,
            growth: spec.growth,
            provenance: spec.provenance.clone(),
            model: spec.model.clone(),
            run: spec.run.clone(),
            conventions: Conventions::default(),
            recording: RecordingChoices {
                checkpoint_every: spec.checkpoint_every,
                commit_every: spec.commit_every,
                dense: Vec::new(),
                bitround: spec.bitround,
                memory_norms: spec.memory_norms,
            },
            content_digest: None,
        };
        let writer = Self {
            path,
            attributes,
            dense: spec.dense.clone(),
            columns: BTreeMap::new(),
            groups: BTreeMap::new(),
            layers: BTreeMap::new(),
            unpublished: Vec::new(),
            digests: BTreeMap::new(),
            committed: 0,
            statics_pending: false,
            finished: false,
            _lock: lock,
        };
        Root { attributes: &writer.attributes, groups: &writer.groups, arrays: &BTreeMap::new() }.commit(&writer.path)?;
        Ok(writer)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Steps or sequences (the growing axis) that are safely on disk.
    pub const fn committed(&self) -> usize {
        self.committed
    }

    /// Appends a block of one layer: its factors and what the engine recorded of them, pseudo-values and checkpoints included.
    pub fn append_layer(&mut self, layer: usize, factors: &Factors<f32>, recording: Recording) -> Result<(), TraceError> {
        let at = self.committed_steps();
        self.append_layer_inner(layer, factors, recording).map_err(|error| error.with_committed(at, &self.path))
    }

    fn append_layer_inner(&mut self, layer: usize, factors: &Factors<f32>, recording: Recording) -> Result<(), TraceError> {
        let (rule, dims, growth) = (factors.rule(), factors.dims(), self.attributes.growth);
        let group = group_of(layer);
        let start = self.check_continues(layer, rule, dims)?;
        let scalars = scalars::compute(factors, &recording, self.attributes.recording.memory_norms);
        for (&point, array) in factors.arrays() {
            self.stage_point(&group, point, Data::F32(array.clone()))?;
        }
        let wanted = super::landing::landings(rule);
        if let Some(missing) = wanted.iter().find(|landing| !recording.pseudo_values.iter().any(|(kind, _)| *kind == landing.kind)) {
            let point = missing.kind.pseudo_value();
            return Err(TraceError::Block(format!("the recording of layer {layer} lacks '{point}': record with pseudo_values")));
        }
        self.stage_checkpoints(&group, layer, start, factors, &recording)?;
        let Recording { output, pseudo_values, dense, final_memory, .. } = recording;
        self.stage_point(&group, HookPoint::Output, output.into_dyn().into())?;
        for (kind, array) in pseudo_values {
            self.stage_point(&group, kind.pseudo_value(), array.into_dyn().into())?;
        }
        for (name, array) in scalars {
            self.stage(&format!("{group}/scalars/{name}"), &["batch", "step", "head"], Coding::Stream, array.into_dyn().into())?;
        }
        for (phase, memories) in dense {
            self.stage_dense(&group, phase, memories)?;
        }
        let grown = if growth == Growth::Step { dims.step } else { dims.batch };
        let state =
            self.layers.entry(layer).or_insert_with(|| LayerState { rule, dims, appended: 0, final_memory: Array4::zeros((0, 0, 0, 0)) });
        state.appended += grown;
        state.final_memory = final_memory;
        Ok(())
    }

    /// Where a block of a layer starts; refuses one of another rule or size.
    fn check_continues(&mut self, layer: usize, rule: Rule, dims: Dims) -> Result<usize, TraceError> {
        let growth = self.attributes.growth;
        let Some(state) = self.layers.get(&layer) else {
            let attributes = LayerAttributes {
                rule,
                n_key_heads: dims.key_head,
                n_value_heads: dims.head,
                d_k: dims.d_k,
                d_v: dims.d_v,
                more: BTreeMap::new(),
            };
            self.groups.insert(group_of(layer), serde_json::to_value(attributes).expect("plain data serialises"));
            return Ok(0);
        };
        let fixed = |dims: Dims| match growth {
            Growth::Step => Dims { step: 0, ..dims },
            Growth::Batch => Dims { batch: 0, ..dims },
        };
        if state.rule != rule || fixed(state.dims) != fixed(dims) {
            let reason = format!("layer {layer} is {rule} with {dims:?}, but its first block was {} with {:?}", state.rule, state.dims);
            return Err(TraceError::Block(reason));
        }
        Ok(state.appended)
    }

    fn stage_checkpoints(
        &mut self,
        group: &str,
        layer: usize,
        start: usize,
        factors: &Factors<f32>,
        recording: &Recording,
    ) -> Result<(), TraceError> {
        let dims = factors.dims();
        let every = self.attributes.recording.checkpoint_every;
        let first = if self.attributes.growth == Growth::Step { start } else { 0 };
        let wanted: Vec<usize> = (first.next_multiple_of(every)..first + dims.step).step_by(every).collect();
        let local: Vec<usize> = wanted.iter().map(|step| step - first).collect();
        if recording.checkpoint_steps.first() != Some(&0) {
            let reason = format!("the recording of layer {layer} lacks the memory before its first step: record with checkpoint_every");
            return Err(TraceError::Block(reason));
        }
        let mut steps: Vec<i64> = wanted.iter().map(|&step| step as i64).collect();
        // Blocks of other lengths than multiples of `checkpoint_every` have their checkpoints elsewhere.
        let mut memories = if local == recording.checkpoint_steps {
            recording.checkpoints.clone()
        } else {
            replay::checkpoints(factors, recording, &local)
        };
        if self.attributes.growth == Growth::Batch {
            steps.push(dims.step as i64);
            memories = with_last(&memories, &recording.final_memory);
        }
        self.stage_checkpoint_block(group, steps, memories)
    }

    fn stage_checkpoint_block(&mut self, group: &str, steps: Vec<i64>, memories: Array5<f32>) -> Result<(), TraceError> {
        let steps = ArrayD::from_shape_vec(vec![steps.len()], steps).expect("one axis");
        let name = format!("{group}/checkpoint/step");
        if self.attributes.growth == Growth::Step || !self.columns.contains_key(&name) {
            self.stage(&name, &["checkpoint"], Coding::Stream, steps.into())?;
        }
        let dims = ["batch", "checkpoint", "head", "d_k", "d_v"];
        self.stage(&format!("{group}/checkpoint/memory"), &dims, Coding::Memory, memories.into_dyn().into())
    }

    fn stage_dense(&mut self, group: &str, phase: Phase, mut memories: Array5<f32>) -> Result<(), TraceError> {
        let bits = self.attributes.recording.bitround;
        if let Some(bits) = bits {
            memories.mapv_inplace(|x| rounded(x, bits));
        }
        let coding = if bits.is_some() { Coding::RoundedMemory } else { Coding::Memory };
        if !self.attributes.recording.dense.contains(&phase) {
            self.attributes.recording.dense.push(phase);
        }
        let memories = memories.into_dyn().into_shared();
        for selection in self.dense.clone() {
            let chosen = match &selection.heads {
                None => memories.clone(),
                Some(heads) if heads.iter().all(|&head| head < memories.shape()[2]) => memories.select(Axis(2), heads).into_shared(),
                Some(heads) => {
                    return Err(TraceError::Block(format!(
                        "dense selection '{}' names heads {heads:?}, but there are {}",
                        selection.name,
                        memories.shape()[2]
                    )));
                }
            };
            let group = format!("{group}/dense/{}", selection.name);
            let heads = selection.heads.unwrap_or_else(|| (0..memories.shape()[2]).collect());
            self.groups.insert(group.clone(), serde_json::json!({"heads": heads}));
            let dims = ["batch", "step", "head", "d_k", "d_v"];
            self.stage(&format!("{group}/{}", HookPoint::Memory(phase)), &dims, coding, Data::F32(chosen))?;
        }
        Ok(())
    }

    fn stage_point(&mut self, group: &str, point: HookPoint, data: Data) -> Result<(), TraceError> {
        let dims: Vec<&str> = point.axes().iter().map(|axis| axis.name()).collect();
        self.stage(&format!("{group}/{point}"), &dims, Coding::Stream, data)
    }

    /// Appends a block of a table that has the growing dimension, for example [`Table::tokens`].
    pub fn append(&mut self, table: Table) -> Result<(), TraceError> {
        let growing = self.attributes.growth.dimension();
        if !table.dims.iter().any(|dim| dim == growing) {
            return Err(TraceError::Block(format!("table '{}' has no dimension '{growing}': give it once with `set`", table.path)));
        }
        let dims: Vec<&str> = table.dims.iter().map(String::as_str).collect();
        let at = self.committed_steps();
        self.stage(&table.path, &dims, Coding::Stream, table.data).map_err(|error| error.with_committed(at, &self.path))
    }

    /// Gives a table that does not grow, once: labels (see [`label_tables`](super::label_tables)), a vocabulary. In a trace
    /// that grows by sequences it covers all sequences to come.
    pub fn set(&mut self, table: Table) -> Result<(), TraceError> {
        if self.columns.contains_key(&table.path) {
            return Err(TraceError::Block(format!("table '{}' was given before", table.path)));
        }
        let plan = Plan::new(&table.path, &table.dims, table.data.type_name(), Coding::Stream, table.data.shape(), None);
        self.statics_pending = true;
        let at = self.committed_steps();
        self.stage_into(plan, table.data).map_err(|error| error.with_committed(at, &self.path))
    }

    fn stage(&mut self, path: &str, dims: &[&str], coding: Coding, data: Data) -> Result<(), TraceError> {
        if dims.len() != data.shape().len() {
            return Err(TraceError::Block(format!("array '{path}' has shape {:?}, but dimensions {dims:?}", data.shape())));
        }
        let choices = &self.attributes.recording;
        let growth = dims.iter().enumerate().find_map(|(axis, dim)| {
            let unit = layout::unit(self.attributes.growth, dim, choices.commit_every, choices.checkpoint_every)?;
            Some((axis, unit))
        });
        let names: Vec<String> = dims.iter().map(|&dim| dim.to_owned()).collect();
        let mut plan = Plan::new(path, &names, data.type_name(), coding, data.shape(), growth);
        if let (Coding::RoundedMemory, Some(bits)) = (coding, choices.bitround) {
            plan.attributes.insert("mantissa_bits_kept".to_owned(), bits.into());
        }
        self.stage_into(plan, data)
    }

    fn stage_into(&mut self, plan: Plan, data: Data) -> Result<(), TraceError> {
        let path = plan.path.clone();
        if !self.columns.contains_key(&path) {
            if self.committed > 0 && plan.growth.is_some() {
                return Err(TraceError::Block(format!("array '{path}' was not in the first block")));
            }
            self.columns.insert(path.clone(), Column::new(plan)?);
        }
        let column = self.columns.get_mut(&path).expect("it was just put there");
        column.push(data)?;
        let written = column.flush(&self.path, false)?;
        self.note(written);
        Ok(())
    }

    fn note(&mut self, written: Vec<super::column::Written>) {
        for shard in written {
            self.unpublished.push(shard.path);
            self.digests.insert(shard.key, shard.digest);
        }
    }

    /// Entries of the growing axis appended so far; every array must have as many.
    fn appended(&self) -> Result<usize, TraceError> {
        let growing = self.attributes.growth.dimension();
        let mut lengths = self.columns.values().filter_map(|column| {
            let (axis, _) = column.plan.growth?;
            (column.plan.dims[axis] == growing).then_some((column.length(), &column.plan.path))
        });
        let Some((length, first)) = lengths.next() else { return Ok(0) };
        match lengths.find(|(other, _)| *other != length) {
            Some((other, path)) => Err(TraceError::Block(format!(
                "array '{first}' has {length} entries along {growing}, but '{path}' has {other}: append every layer and table, then commit"
            ))),
            None => Ok(length),
        }
    }

    /// Commits the blocks appended so far, as far as they fill commits (see [`TraceSpec::commit_every`]).
    pub fn commit(&mut self) -> Result<(), TraceError> {
        let length = self.appended()?;
        let every = self.attributes.recording.commit_every;
        let at = self.committed_steps();
        self.commit_up_to(length / every * every).map_err(|error| error.with_committed(at, &self.path))
    }

    fn commit_up_to(&mut self, length: usize) -> Result<(), TraceError> {
        if length == self.committed && !(self.statics_pending && length > 0) {
            return Ok(());
        }
        store::publish(&self.unpublished, &self.path)?;
        self.unpublished.clear();
        self.committed = length;
        self.statics_pending = false;
        let dims = self.layers.values().next().map(|layer| layer.dims);
        let fixed = |pick: fn(&Dims) -> usize, table_axis: &str| dims.as_ref().map_or_else(|| self.table_length(table_axis), pick);
        let (batch, steps) = match self.attributes.growth {
            Growth::Step => (fixed(|dims| dims.batch, "batch"), length),
            Growth::Batch => (length, fixed(|dims| dims.step, "step")),
        };
        (self.attributes.committed_batch, self.attributes.committed_steps) = (batch, steps);
        self.write_root()
    }

    /// A dimension's length in a trace without layers.
    fn table_length(&self, dimension: &str) -> usize {
        let of = |column: &Column| column.plan.dims.iter().position(|dim| dim == dimension).map(|axis| column.plan.shape[axis]);
        self.columns.values().find_map(of).unwrap_or(0)
    }

    fn committed_steps(&self) -> usize {
        self.attributes.committed_steps
    }

    /// Metadata of every array with its committed shape.
    fn arrays(&mut self) -> BTreeMap<String, Value> {
        let every = self.attributes.recording.checkpoint_every;
        let (committed, finished) = (self.committed, self.columns.values().all(|column| column.length() == column.written));
        let metadata = |column: &mut Column| {
            if let Some((axis, _)) = column.plan.growth {
                let is_checkpoint = column.plan.dims[axis] == "checkpoint";
                column.plan.shape[axis] = match is_checkpoint {
                    true if finished && column.written * every > committed => column.written,
                    true => committed.div_ceil(every),
                    false => committed,
                };
            }
            column.plan.metadata()
        };
        self.columns.iter_mut().map(|(path, column)| (path.clone(), metadata(column))).collect()
    }

    fn write_root(&mut self) -> Result<(), TraceError> {
        let arrays = self.arrays();
        Root { attributes: &self.attributes, groups: &self.groups, arrays: &arrays }.commit(&self.path)
    }

    /// Writes what waits, replays every layer from checkpoint to checkpoint, stores how exact that was and closes the trace.
    pub fn finish(mut self) -> Result<(), TraceError> {
        let at = self.committed_steps();
        let path = self.path.clone();
        self.finish_inner().map_err(|error| error.with_committed(at, &path))
    }

    fn finish_inner(&mut self) -> Result<(), TraceError> {
        let length = self.appended()?;
        if self.attributes.growth == Growth::Step {
            let last: Vec<_> = self.layers.iter().map(|(&layer, state)| (layer, state.appended, state.final_memory.clone())).collect();
            for (layer, step, memory) in last {
                self.stage_checkpoint_block(&group_of(layer), vec![step as i64], memory.insert_axis(Axis(1)))?;
            }
        }
        let paths: Vec<String> = self.columns.keys().cloned().collect();
        for path in paths {
            let written = self.columns.get_mut(&path).expect("a key of the map").flush(&self.path, true)?;
            self.note(written);
        }
        self.statics_pending = true;
        self.commit_up_to(length)?;
        let trace = Trace::open(&self.path)?;
        for layer in trace.layers() {
            let errors = integrity::replay_error(&trace, layer)?;
            let name = format!("{}/checkpoint/replay_error", layer.group());
            self.set(Table::new(name, &["batch", "checkpoint", "head"], errors.into_dyn()))?;
        }
        store::publish(&self.unpublished, &self.path)?;
        self.unpublished.clear();
        let arrays = self.arrays();
        self.attributes.status = Status::Complete;
        self.attributes.content_digest = Some(integrity::content_digest(&arrays, &self.digests));
        let root = Root { attributes: &self.attributes, groups: &self.groups, arrays: &arrays };
        root.write_nodes(&self.path)?;
        root.commit(&self.path)?;
        self.finished = true;
        let lock = self.path.join(LOCK);
        fs::remove_file(&lock).map_err(TraceError::io("remove", &lock))
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.attributes.status = Status::Aborted;
            self.attributes.content_digest = None;
            // Half-written files are of no use, and on a full disk their space is needed to say so.
            let half_written = store::files_below(&self.path).unwrap_or_default().into_iter().filter(|file| store::is_partial(file));
            half_written.for_each(|file| drop(fs::remove_file(self.path.join(file))));
            // The committed prefix is good either way; if even this cannot be written it stays marked as recording.
            let _ = self.write_root_of_prefix();
            let _ = fs::remove_file(self.path.join(LOCK));
        }
    }
}

impl TraceWriter {
    /// The root as last committed, with the present status.
    fn write_root_of_prefix(&mut self) -> Result<(), TraceError> {
        let mut root = read_root(&self.path)?;
        root["attributes"]["status"] = serde_json::to_value(self.attributes.status).expect("plain data serialises");
        let text = serde_json::to_vec_pretty(&root).expect("JSON serialises");
        store::replace(&self.path.join("zarr.json"), &text)
    }
}

/// Clears the way for a new trace, or refuses.
fn make_room(path: &Path, on_existing: OnExisting) -> Result<(), TraceError> {
    let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if !path.exists() || is_empty {
        return Ok(());
    }
    if on_existing == OnExisting::Refuse {
        return Err(TraceError::Exists(path.to_path_buf()));
    }
    // Only a trace may be replaced: `--force` on a wrong path must not cost someone a directory.
    if let Err(error @ TraceError::NotATrace { .. }) = read_root(path) {
        return Err(error);
    }
    if let Ok(lock) = File::open(path.join(LOCK)) {
        lock.try_lock().map_err(|_| TraceError::Locked(path.to_path_buf()))?;
    }
    fs::remove_dir_all(path).map_err(TraceError::io("remove", path))
}

/// Checkpoints with the memory after the last step behind them.
fn with_last(checkpoints: &Array5<f32>, last: &Array4<f32>) -> Array5<f32> {
    let (batch, n, head, d_k, d_v) = checkpoints.dim();
    let mut all = Array5::zeros((batch, n + 1, head, d_k, d_v));
    all.slice_axis_mut(Axis(1), Slice::from(..n)).assign(checkpoints);
    all.index_axis_mut(Axis(1), n).assign(last);
    all
}

/// A float with only so many mantissa bits, to nearest, ties to even.
fn rounded(x: f32, bits: u8) -> f32 {
    if !x.is_finite() {
        return x;
    }
    let drop = 23 - u32::from(bits);
    let raw = x.to_bits();
    let half = (1 << (drop - 1)) - 1 + ((raw >> drop) & 1);
    f32::from_bits((raw.wrapping_add(half)) & !((1 << drop) - 1))
}
