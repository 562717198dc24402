//! The lowered form that every engine runs: a decay and an ordered list of rank-one edits.

use ndarray::{ArcArray, Array2, ArrayView1, Ix3, Ix4, s};

use super::{Dims, HookPoint, Phase, Scalar};

/// A shared array [batch, step, head].
pub type Shared3<F> = ArcArray<F, Ix3>;
/// A shared array with a channel axis.
pub type Shared4<F> = ArcArray<F, Ix4>;

/// Every step of every head of one layer: `S <- diag(retention) S`, then the edits in order, then `o = S^T query`.
///
/// Arrays whose third axis is a head axis may have `dims.head` or `dims.key_head` entries there; head `h` reads entry
/// `h * len / dims.head`.
#[derive(Clone, Debug)]
pub struct Recurrence<F: Scalar> {
    /// Sizes.
    pub dims: Dims,
    /// [batch, step, head or key_head, d_k].
    pub query: Shared4<F>,
    /// [batch, step, head, d_k].
    pub retention: Shared4<F>,
    /// In the order of the update.
    pub edits: Vec<Edit<F>>,
    /// [batch, head, d_k, d_v]; `None` is zero.
    pub initial_memory: Option<Shared4<F>>,
}

impl<F: Scalar> Recurrence<F> {
    /// How many of the step's edits have been made at a phase; erases come before writes in every rule.
    pub fn n_edits_at(&self, phase: Phase) -> usize {
        match phase {
            Phase::Before | Phase::Decay => 0,
            Phase::Erase => self.edits.iter().filter(|edit| edit.kind == EditKind::Erase).count(),
            Phase::Write => self.edits.len(),
        }
    }

    /// One head's vector of one of these arrays, whose third axis has `head` or `key_head` entries.
    pub fn lane<'a>(&self, array: &'a Shared4<F>, batch: usize, step: usize, head: usize) -> ArrayView1<'a, F> {
        array.slice(s![batch, step, head * array.shape()[2] / self.dims.head, ..])
    }

    /// The initial memory of one head, [d_k, d_v].
    pub fn initial(&self, batch: usize, head: usize) -> Array2<F> {
        match &self.initial_memory {
            Some(memory) => memory.slice(s![batch, head, .., ..]).to_owned(),
            None => Array2::zeros((self.dims.d_k, self.dims.d_v)),
        }
    }
}

/// One corrective rank-one edit of every step: `S <- S + direction a^T` with the pseudo-value
/// `a = strength (value - S^T read)`.
///
/// In the letters of the family table, u = strength direction, c = read, w = value.
#[derive(Clone, Debug)]
pub struct Edit<F: Scalar> {
    /// Which phase of the step it ends.
    pub kind: EditKind,
    /// [batch, step, head]; `None` is 1.
    pub strength: Option<Shared3<F>>,
    /// Where it lands, [batch, step, head or key_head, d_k].
    pub direction: Shared4<F>,
    /// What it reads of the memory it finds.
    pub read: Read<F>,
    /// What it puts there, [batch, step, head, d_v]; `None` is 0.
    pub value: Option<Shared4<F>>,
}

/// What an edit reads before it corrects.
#[derive(Clone, Debug)]
pub enum Read<F: Scalar> {
    /// Nothing: the edit only adds.
    Nothing,
    /// At its own direction: a gradient step of the delta rule.
    Direction,
    /// The memory it finds at another place, [batch, step, head or key_head, d_k]: an oblique edit.
    Other(Shared4<F>),
    /// `S_{t-1}`, the memory before the decay (and before every edit) of the step, [batch, step, head or key_head, d_k].
    ///
    /// The pseudo-value is `a = strength (value - S_{t-1}^T read)`. RWKV-7 and Comba are defined so. It equals `Other(read /
    /// retention)` for a first edit, but stays finite however small the retention is.
    BeforeDecay(Shared4<F>),
}

/// The role of an edit within the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// Removes; its pseudo-value is `erase_value`.
    Erase,
    /// Writes; the number counts the writes of the step, its pseudo-value is `write_value`.
    Write(u8),
}

impl EditKind {
    /// The hook point under which the pseudo-value is recorded.
    pub const fn pseudo_value(self) -> HookPoint {
        match self {
            Self::Erase => HookPoint::EraseValue,
            Self::Write(index) => HookPoint::WriteValue(index),
        }
    }
}
