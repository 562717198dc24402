//! A recurrence whose arrays stand on a card, and the arrays a run fills there.
//!
//! All of it borrows: a model on the card hands its own buffers over without a copy. Inputs are f32 or bf16 and may have any
//! strides, so that parts of a packed tensor, or [batch, head, step, channel], are read as they are.

use std::ops::Range;

use cudarc::driver::{CudaView, CudaViewMut};
use half::bf16;

use super::super::{Dims, EditKind};

/// Numbers on a card.
#[derive(Debug)]
pub enum Numbers<'a> {
    /// Single precision.
    F32(CudaView<'a, f32>),
    /// The upper half of single precision.
    Bf16(CudaView<'a, bf16>),
}

impl Numbers<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::Bf16(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array [batch, step, heads, width] on a card; head `h` of the memory reads row `h * heads / head`.
#[derive(Debug)]
pub struct Rows<'a> {
    /// All of the array's numbers, the first one first.
    pub numbers: Numbers<'a>,
    /// `head` or `key_head`.
    pub heads: usize,
    /// From one sequence, step and head to the next, in numbers. Channels stand side by side.
    pub strides: [usize; 3],
}

impl<'a> Rows<'a> {
    /// An array in standard layout, [batch, step, heads, width].
    pub const fn contiguous(numbers: Numbers<'a>, n_steps: usize, heads: usize, width: usize) -> Self {
        Self { numbers, heads, strides: [n_steps * heads * width, heads * width, width] }
    }

    /// One sequence of it.
    pub fn sequence(&self, batch: usize) -> Rows<'_> {
        let first = batch * self.strides[0];
        let numbers = match &self.numbers {
            Numbers::F32(numbers) => Numbers::F32(numbers.slice(first..)),
            Numbers::Bf16(numbers) => Numbers::Bf16(numbers.slice(first..)),
        };
        Rows { numbers, heads: self.heads, strides: self.strides }
    }
}

/// [`Recurrence`](super::super::Recurrence) on a card.
#[derive(Debug)]
pub struct CardRecurrence<'a> {
    /// Sizes.
    pub dims: Dims,
    /// [batch, step, head or key_head, d_k].
    pub query: Rows<'a>,
    /// [batch, step, head or key_head, d_k].
    pub retention: Rows<'a>,
    /// In the order of the update.
    pub edits: Vec<CardEdit<'a>>,
    /// The memory before the first step that is run, [batch, head, d_k, d_v]; `None` is zero.
    pub initial_memory: Option<CudaView<'a, f32>>,
}

impl CardRecurrence<'_> {
    /// One sequence of it.
    pub fn sequence(&self, batch: usize) -> CardRecurrence<'_> {
        let d = self.dims;
        CardRecurrence {
            dims: Dims { batch: 1, ..d },
            query: self.query.sequence(batch),
            retention: self.retention.sequence(batch),
            edits: self
                .edits
                .iter()
                .map(|edit| CardEdit {
                    kind: edit.kind,
                    strength: edit.strength.as_ref().map(|rows| rows.sequence(batch)),
                    direction: edit.direction.sequence(batch),
                    read: match &edit.read {
                        CardRead::Nothing => CardRead::Nothing,
                        CardRead::Direction => CardRead::Direction,
                        CardRead::Other(rows) => CardRead::Other(rows.sequence(batch)),
                        CardRead::BeforeDecay(rows) => CardRead::BeforeDecay(rows.sequence(batch)),
                    },
                    value: edit.value.as_ref().map(|rows| rows.sequence(batch)),
                })
                .collect(),
            initial_memory: self.initial_memory.as_ref().map(|memory| memory.slice(batch * d.head * d.d_k * d.d_v..)),
        }
    }
}

/// [`Edit`](super::super::Edit) on a card.
#[derive(Debug)]
pub struct CardEdit<'a> {
    /// Which phase of the step it ends.
    pub kind: EditKind,
    /// Width 1; `None` is 1.
    pub strength: Option<Rows<'a>>,
    /// Where it lands, width d_k.
    pub direction: Rows<'a>,
    /// What it reads.
    pub read: CardRead<'a>,
    /// What it puts there, width d_v; `None` is 0.
    pub value: Option<Rows<'a>>,
}

/// [`Read`](super::super::Read) on a card.
#[derive(Debug)]
pub enum CardRead<'a> {
    /// Nothing: the edit only adds.
    Nothing,
    /// At its own direction.
    Direction,
    /// The memory it finds at another place, width d_k.
    Other(Rows<'a>),
    /// The memory before the step's decay, width d_k.
    BeforeDecay(Rows<'a>),
}

/// Arrays a forward run fills; those absent are not kept. All f32 in standard layout.
#[derive(Debug, Default)]
pub struct Targets<'a> {
    /// Steps of which `output`, `pseudo_values` and `residuals` have rows; `None` is the steps that are run.
    pub rows: Option<Range<usize>>,
    /// o_t, [batch, row, head, d_v].
    pub output: Option<CudaViewMut<'a, f32>>,
    /// Per edit `a_t`, [batch, row, head, d_v]. Empty: not kept.
    pub pseudo_values: Vec<CudaViewMut<'a, f32>>,
    /// Per edit `value - S^T read`, [batch, row, head, d_v]. Empty: not kept.
    pub residuals: Vec<CudaViewMut<'a, f32>>,
    /// The memory found by every step whose number is a multiple of `every`.
    pub checkpoints: Option<Checkpoints<CudaViewMut<'a, f32>>>,
    /// The memory of every step that is run, [batch, step, head, d_k, d_v], before, after decay, erase and write.
    pub dense: [Option<CudaViewMut<'a, f32>>; 4],
    /// The memory after the last step that is run, [batch, head, d_k, d_v].
    pub final_memory: Option<CudaViewMut<'a, f32>>,
}

/// Memories found by every step whose number is a multiple of `every`.
#[derive(Debug)]
pub struct Checkpoints<T> {
    /// Steps between two.
    pub every: usize,
    /// Number (step / `every`) of the first one in the array.
    pub first: usize,
    /// How many of each head the array has.
    pub count: usize,
    /// [batch, count, head, d_k, d_v].
    pub memories: T,
}

/// Checkpoints and pseudo-values of a run, from which every memory follows.
#[derive(Debug)]
pub struct Trace<'a> {
    /// Steps of which `pseudo_values` have rows; `None` is all steps of the recurrence.
    pub rows: Option<Range<usize>>,
    /// Per edit, [batch, row, head, d_v].
    pub pseudo_values: Vec<CudaView<'a, f32>>,
    /// The chunks' first memories.
    pub checkpoints: Checkpoints<CudaView<'a, f32>>,
}

impl Trace<'_> {
    /// That of one sequence.
    pub fn sequence(&self, batch: usize, dims: &Dims) -> Trace<'_> {
        let n_rows = self.rows.as_ref().map_or(dims.step, ExactSizeIterator::len);
        let first = batch * n_rows * dims.head * dims.d_v;
        let checkpoints = &self.checkpoints;
        Trace {
            rows: self.rows.clone(),
            pseudo_values: self.pseudo_values.iter().map(|values| values.slice(first..)).collect(),
            checkpoints: Checkpoints {
                every: checkpoints.every,
                first: checkpoints.first,
                count: checkpoints.count,
                memories: checkpoints.memories.slice(batch * checkpoints.count * dims.head * dims.d_k * dims.d_v..),
            },
        }
    }
}

/// What a run leaves for its gradient: residuals of all steps and checkpoints, both as [`Targets`] keeps them.
#[derive(Debug)]
pub struct CardTape<'a> {
    /// Per edit, [batch, step, head, d_v].
    pub residuals: Vec<CudaView<'a, f32>>,
    /// From the first step on.
    pub checkpoints: Checkpoints<CudaView<'a, f32>>,
}

/// Arrays the backward pass fills with the gradients of the inputs; those absent are not kept. All f32 in standard layout,
/// [batch, step, heads of the input, width]: where a key head serves several heads their gradients are summed.
#[derive(Debug, Default)]
pub struct CardGradient<'a> {
    /// Of the query.
    pub query: Option<CudaViewMut<'a, f32>>,
    /// Of the retention itself.
    pub retention: Option<CudaViewMut<'a, f32>>,
    /// Of the initial memory, [batch, head, d_k, d_v].
    pub initial_memory: Option<CudaViewMut<'a, f32>>,
    /// In the order of the update.
    pub edits: Vec<CardEditGradient<'a>>,
}

/// Gradients of one edit.
#[derive(Debug, Default)]
pub struct CardEditGradient<'a> {
    /// [batch, step, head]; also where no strength is given (and it is 1).
    pub strength: Option<CudaViewMut<'a, f32>>,
    /// Includes the part of the read where the edit reads at its own direction.
    pub direction: Option<CudaViewMut<'a, f32>>,
    /// Where the edit reads elsewhere.
    pub read: Option<CudaViewMut<'a, f32>>,
    /// Where the edit has a value.
    pub value: Option<CudaViewMut<'a, f32>>,
}
