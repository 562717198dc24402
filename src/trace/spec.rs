//! What a new trace will be.

use serde_json::Value;

use super::{Growth, TraceError};
use crate::provenance::Provenance;

/// What a trace will say of itself and how it is written.
#[derive(Clone, Debug)]
pub struct TraceSpec {
    /// Who makes it.
    pub provenance: Provenance,
    /// The model: rule, configuration, names and digests of weights.
    pub model: Value,
    /// The run: task or prompt digest, split, seed.
    pub run: Value,
    /// The axis along which blocks are appended.
    pub growth: Growth,
    /// Entries of the growing axis that are committed together. Steps: a multiple of 256 and of `checkpoint_every`.
    pub commit_every: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// For which heads the dense memories of a recording are kept, by the name of the selection.
    pub dense: Vec<DenseSelection>,
    /// Mantissa bits (1 to 22) to keep in dense memories; `None` keeps them exact.
    pub bitround: Option<u8>,
    /// Compute memory norms and the removal by decay, which needs a replay of every step while recording.
    pub memory_norms: bool,
    /// What to do if something is there already.
    pub on_existing: OnExisting,
}

impl TraceSpec {
    /// The least `commit_every` along `step` that is no shorter than asked: it ends where a chunk and a checkpoint end.
    pub fn steps_of_a_commit(at_least: usize, checkpoint_every: usize) -> usize {
        let every = checkpoint_every.max(1);
        let together = (1..=every).find(|n| (n * 256).is_multiple_of(every)).expect("every itself divides");
        at_least.max(1).next_multiple_of(together * 256)
    }

    /// The defaults: blocks along `step`, 256 steps a commit, a checkpoint every 64, all heads where memories are dense.
    pub fn new(provenance: Provenance) -> Self {
        Self {
            provenance,
            model: Value::Null,
            run: Value::Null,
            growth: Growth::Step,
            commit_every: 256,
            checkpoint_every: 64,
            dense: vec![DenseSelection { name: "all".to_owned(), heads: None }],
            bitround: None,
            memory_norms: true,
            on_existing: OnExisting::Refuse,
        }
    }

    /// For many short sequences: blocks along `batch`, 32 sequences a commit.
    pub fn of_sequences(provenance: Provenance) -> Self {
        Self { growth: Growth::Batch, commit_every: 32, ..Self::new(provenance) }
    }

    pub(super) fn check(&self) -> Result<(), TraceError> {
        let bad = |reason: String| Err(TraceError::Block(reason));
        if self.commit_every == 0 || self.checkpoint_every == 0 {
            return bad("commit_every and checkpoint_every must be at least 1".to_owned());
        }
        if self.growth == Growth::Step
            && (!self.commit_every.is_multiple_of(256) || !self.commit_every.is_multiple_of(self.checkpoint_every))
        {
            let (commit, checkpoint) = (self.commit_every, self.checkpoint_every);
            return bad(format!("commit_every ({commit}) must be a multiple of 256 and of checkpoint_every ({checkpoint})"));
        }
        if self.bitround.is_some_and(|bits| !(1..=22).contains(&bits)) {
            return bad("bitround must keep 1 to 22 mantissa bits".to_owned());
        }
        Ok(())
    }
}

/// Heads of which the memories are stored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseSelection {
    /// Its name on disk: `dense/<name>/memory_after_write`.
    pub name: String,
    /// The heads; `None` is all.
    pub heads: Option<Vec<usize>>,
}

/// What to do if something is at the trace's path already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExisting {
    /// Refuse: nothing is lost.
    #[default]
    Refuse,
    /// Replace it if it is a trace (`--force`); anything else is still refused.
    Replace,
}
