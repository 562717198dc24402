//! One array while it is being written: what waits, what is on disk.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::layout::{Plan, indices};
use super::shard::{self, ChunkCodec};
use super::{Data, TraceError};

/// One array while it is being written.
pub(super) struct Column {
    pub plan: Plan,
    codec: ChunkCodec,
    /// Blocks not yet on disk, in order along the growing axis.
    waiting: Vec<Data>,
    waiting_length: usize,
    /// Entries of the growing axis that are on disk.
    pub written: usize,
}

/// A shard that was written under its temporary name.
pub(super) struct Written {
    pub path: PathBuf,
    pub key: String,
    pub digest: blake3::Hash,
}

impl Column {
    pub fn new(plan: Plan) -> Result<Self, TraceError> {
        let codec = ChunkCodec::new(&plan.path, &plan.metadata())?;
        Ok(Self { plan, codec, waiting: Vec::new(), waiting_length: 0, written: 0 })
    }

    /// Entries along the growing axis so far, on disk or not.
    pub const fn length(&self) -> usize {
        self.written + self.waiting_length
    }

    /// Takes a block. Its shape must be the array's on every axis but the growing one.
    pub fn push(&mut self, data: Data) -> Result<(), TraceError> {
        let growing = self.plan.growth.map(|growth| growth.0);
        let fits = data.type_name() == self.plan.data_type
            && data.shape().len() == self.plan.shape.len()
            && data
                .shape()
                .iter()
                .zip(&self.plan.shape)
                .enumerate()
                .all(|(axis, (found, wanted))| Some(axis) == growing || found == wanted);
        if !fits {
            let (path, dims) = (&self.plan.path, self.plan.dims.join(", "));
            let reason = format!("array '{path}' [{dims}] has shape {:?}, but the first block had {:?}", data.shape(), self.plan.shape);
            return Err(TraceError::Block(reason));
        }
        if let Some(axis) = growing {
            self.waiting_length += data.shape()[axis];
        }
        self.waiting.push(data);
        Ok(())
    }

    /// Writes the whole shards that wait, or everything (`last`), under temporary names.
    pub fn flush(&mut self, root: &Path, last: bool) -> Result<Vec<Written>, TraceError> {
        let Some((axis, _)) = self.plan.growth else {
            let Some(data) = self.waiting.pop() else { return Ok(Vec::new()) };
            return self.write(root, &data, None);
        };
        let step = self.plan.shard[axis];
        let length = if last { self.waiting_length } else { self.waiting_length / step * step };
        if length == 0 {
            return Ok(Vec::new());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let data =
            Data::concatenate(&waiting, axis).ok_or_else(|| TraceError::Block(format!("array '{}' changed its type", self.plan.path)))?;
        drop(waiting);
        if length < self.waiting_length {
            self.waiting.push(data.slice(axis, length, self.waiting_length).detached());
        }
        let from = self.written;
        let written = self.write(root, &data.slice(axis, 0, length), Some((axis, from / step)))?;
        self.waiting_length -= length;
        self.written += length;
        Ok(written)
    }

    /// Writes the shards that `data` covers; along the growing axis it starts at that shard.
    fn write(&self, root: &Path, data: &Data, start: Option<(usize, usize)>) -> Result<Vec<Written>, TraceError> {
        let shard = &self.plan.shard;
        let counts: Vec<usize> = data.shape().iter().zip(shard).map(|(length, shard)| length.div_ceil(*shard)).collect();
        let all: Vec<Vec<usize>> = indices(&counts).collect();
        all.into_par_iter()
            .map(|mut index| {
                let mut part = data.clone();
                for axis in 0..index.len() {
                    let range: Range<usize> = index[axis] * shard[axis]..((index[axis] + 1) * shard[axis]).min(data.shape()[axis]);
                    part = part.slice(axis, range.start, range.end);
                }
                if let Some((axis, first)) = start {
                    index[axis] += first;
                }
                let key = self.plan.key(&index);
                let path = root.join(&key);
                let digest = shard::write(&path, &self.plan, &self.codec, &part)?;
                Ok(Written { path, key, digest })
            })
            .collect()
    }
}
