//! One layer's recurrence as rows of plain slices, checked once so that the kernels need not.

use std::borrow::Cow;

use ndarray::{ArcArray, Dimension};

use super::super::{Dims, Read, Recurrence};

/// One input array as rows [batch, step, head]; head `h` has row `h * heads / head`.
pub(super) struct Rows<'a> {
    data: Cow<'a, [f32]>,
    heads: usize,
    width: usize,
}

/// What an edit reads.
pub(super) enum LayerRead<'a> {
    Nothing,
    Direction,
    Other(Rows<'a>),
    BeforeDecay(Rows<'a>),
}

pub(super) struct LayerEdit<'a> {
    pub strength: Option<Rows<'a>>,
    pub direction: Rows<'a>,
    pub read: LayerRead<'a>,
    pub value: Option<Rows<'a>>,
}

/// One layer, ready to run.
pub(super) struct Layer<'a> {
    pub dims: Dims,
    pub query: Rows<'a>,
    pub retention: Rows<'a>,
    pub edits: Vec<LayerEdit<'a>>,
    initial: Option<Cow<'a, [f32]>>,
}

impl<'a> Layer<'a> {
    /// # Panics
    /// If an array's shape is not what `Recurrence` documents: the kernels rely on it.
    pub fn new(recurrence: &'a Recurrence<f32>) -> Self {
        let d = recurrence.dims;
        let rows = |name: &str, array: &'a ArcArray<f32, ndarray::Ix4>, width: usize| {
            let heads = array.shape()[2];
            assert!(
                heads == d.head || heads == d.key_head,
                "{name}: {heads} heads, but the layer has {} (and {} key heads)",
                d.head,
                d.key_head
            );
            assert_eq!(array.shape(), [d.batch, d.step, heads, width], "{name}: shape");
            Rows { data: contiguous(array), heads, width }
        };
        assert!(d.key_head > 0 && d.head.is_multiple_of(d.key_head), "{} heads cannot be served by {} key heads", d.head, d.key_head);
        let edits = recurrence
            .edits
            .iter()
            .map(|edit| LayerEdit {
                strength: edit.strength.as_ref().map(|strength| {
                    assert_eq!(strength.shape(), [d.batch, d.step, d.head], "strength: shape");
                    Rows { data: contiguous(strength), heads: d.head, width: 1 }
                }),
                direction: rows("direction", &edit.direction, d.d_k),
                read: match &edit.read {
                    Read::Nothing => LayerRead::Nothing,
                    Read::Direction => LayerRead::Direction,
                    Read::Other(read) => LayerRead::Other(rows("read", read, d.d_k)),
                    Read::BeforeDecay(read) => LayerRead::BeforeDecay(rows("read", read, d.d_k)),
                },
                value: edit.value.as_ref().map(|value| rows("value", value, d.d_v)),
            })
            .collect();
        let initial = recurrence.initial_memory.as_ref().map(|memory| {
            assert_eq!(memory.shape(), [d.batch, d.head, d.d_k, d.d_v], "initial memory: shape");
            contiguous(memory)
        });
        Self {
            dims: d,
            query: rows("query", &recurrence.query, d.d_k),
            retention: rows("retention", &recurrence.retention, d.d_k),
            edits,
            initial,
        }
    }

    /// One row of an array of this layer.
    pub fn row<'b>(&self, rows: &'b Rows, at: At) -> &'b [f32] {
        let head = at.head * rows.heads / self.dims.head;
        let start = ((at.batch * self.dims.step + at.step) * rows.heads + head) * rows.width;
        &rows.data[start..start + rows.width]
    }

    /// What an edit reads, if anything.
    pub fn read_row<'b>(&self, edit: &'b LayerEdit, at: At) -> Option<&'b [f32]> {
        match &edit.read {
            LayerRead::Nothing => None,
            LayerRead::Direction => Some(self.row(&edit.direction, at)),
            LayerRead::Other(rows) | LayerRead::BeforeDecay(rows) => Some(self.row(rows, at)),
        }
    }

    /// The initial memory of a head, [d_k, d_v]; `None` is zero.
    pub fn initial(&self, batch: usize, head: usize) -> Option<&[f32]> {
        let size = self.dims.d_k * self.dims.d_v;
        self.initial.as_ref().map(|initial| &initial[(batch * self.dims.head + head) * size..][..size])
    }
}

/// A head at a step.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub batch: usize,
    pub step: usize,
    pub head: usize,
}

fn contiguous<D: Dimension>(array: &ArcArray<f32, D>) -> Cow<'_, [f32]> {
    match array.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(array.iter().copied().collect()),
    }
}
