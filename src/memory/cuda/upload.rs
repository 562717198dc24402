//! A recurrence of the host, copied to a card.

use std::ops::Range;

use cudarc::driver::{CudaSlice, DeviceRepr};
use half::bf16;
use ndarray::{ArcArray, Axis, Dimension, RemoveAxis, Slice};

use super::super::{Dims, EditKind, Read, Recurrence};
use super::buffers::{CardEdit, CardRead, CardRecurrence, Numbers, Rows};
use super::driver_error;
use super::engine::Engine;
use super::error::CudaError;

/// How inputs stand on the card. The memory is f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Element {
    /// Single precision.
    #[default]
    F32,
    /// The upper half of single precision, rounded to nearest even.
    Bf16,
}

impl Element {
    /// Bytes of a number.
    pub const fn n_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// A recurrence of the host, copied to a card.
#[derive(Debug)]
pub struct Uploaded {
    dims: Dims,
    query: OwnedRows,
    retention: OwnedRows,
    edits: Vec<OwnedEdit>,
    initial_memory: Option<CudaSlice<f32>>,
}

/// An array of the card's own.
#[derive(Debug)]
pub(super) struct OwnedRows {
    pub numbers: OwnedNumbers,
    pub n_steps: usize,
    pub heads: usize,
    pub width: usize,
}

#[derive(Debug)]
pub(super) enum OwnedNumbers {
    F32(CudaSlice<f32>),
    Bf16(CudaSlice<bf16>),
}

impl OwnedRows {
    pub fn view(&self) -> Rows<'_> {
        let numbers = match &self.numbers {
            OwnedNumbers::F32(numbers) => Numbers::F32(numbers.as_view()),
            OwnedNumbers::Bf16(numbers) => Numbers::Bf16(numbers.as_view()),
        };
        Rows::contiguous(numbers, self.n_steps, self.heads, self.width)
    }
}

#[derive(Debug)]
struct OwnedEdit {
    kind: EditKind,
    strength: Option<OwnedRows>,
    direction: OwnedRows,
    read: OwnedRead,
    value: Option<OwnedRows>,
}

#[derive(Debug)]
enum OwnedRead {
    Nothing,
    Direction,
    Other(OwnedRows),
    BeforeDecay(OwnedRows),
}

impl Uploaded {
    /// Copies some sequences of a recurrence.
    pub fn new(engine: &Engine, recurrence: &Recurrence<f32>, sequences: Range<usize>, element: Element) -> Result<Self, CudaError> {
        let d = Dims { batch: sequences.len(), ..recurrence.dims };
        let four = |array: &ArcArray<f32, ndarray::Ix4>| rows(engine, array, &sequences, element, array.shape()[2], array.shape()[3]);
        let edits = recurrence
            .edits
            .iter()
            .map(|edit| {
                Ok(OwnedEdit {
                    kind: edit.kind,
                    strength: edit.strength.as_ref().map(|array| rows(engine, array, &sequences, element, d.head, 1)).transpose()?,
                    direction: four(&edit.direction)?,
                    read: match &edit.read {
                        Read::Nothing => OwnedRead::Nothing,
                        Read::Direction => OwnedRead::Direction,
                        Read::Other(read) => OwnedRead::Other(four(read)?),
                        Read::BeforeDecay(read) => OwnedRead::BeforeDecay(four(read)?),
                    },
                    value: edit.value.as_ref().map(four).transpose()?,
                })
            })
            .collect::<Result<_, CudaError>>()?;
        let initial_memory = recurrence.initial_memory.as_ref().map(|memory| copy(engine, &part(memory, &sequences))).transpose()?;
        Ok(Self { dims: d, query: four(&recurrence.query)?, retention: four(&recurrence.retention)?, edits, initial_memory })
    }

    /// What the kernels take.
    pub fn view(&self) -> CardRecurrence<'_> {
        CardRecurrence {
            dims: self.dims,
            query: self.query.view(),
            retention: self.retention.view(),
            edits: self
                .edits
                .iter()
                .map(|edit| CardEdit {
                    kind: edit.kind,
                    strength: edit.strength.as_ref().map(OwnedRows::view),
                    direction: edit.direction.view(),
                    read: match &edit.read {
                        OwnedRead::Nothing => CardRead::Nothing,
                        OwnedRead::Direction => CardRead::Direction,
                        OwnedRead::Other(read) => CardRead::Other(read.view()),
                        OwnedRead::BeforeDecay(read) => CardRead::BeforeDecay(read.view()),
                    },
                    value: edit.value.as_ref().map(OwnedRows::view),
                })
                .collect(),
            initial_memory: self.initial_memory.as_ref().map(CudaSlice::as_view),
        }
    }
}

/// Some sequences of an array, in standard order.
fn part<D: Dimension + RemoveAxis>(array: &ArcArray<f32, D>, sequences: &Range<usize>) -> Vec<f32> {
    array.slice_axis(Axis(0), Slice::from(sequences.clone())).iter().copied().collect()
}

fn rows<D: Dimension + RemoveAxis>(
    engine: &Engine,
    array: &ArcArray<f32, D>,
    sequences: &Range<usize>,
    element: Element,
    heads: usize,
    width: usize,
) -> Result<OwnedRows, CudaError> {
    let numbers = part(array, sequences);
    let n_steps = array.shape()[1];
    let numbers = match element {
        Element::F32 => OwnedNumbers::F32(copy(engine, &numbers)?),
        Element::Bf16 => OwnedNumbers::Bf16(copy(engine, &numbers.into_iter().map(bf16::from_f32).collect::<Vec<_>>())?),
    };
    Ok(OwnedRows { numbers, n_steps, heads, width })
}

fn copy<T: DeviceRepr>(engine: &Engine, numbers: &[T]) -> Result<CudaSlice<T>, CudaError> {
    let stream = engine.stream();
    stream.clone_htod(numbers).map_err(driver_error(stream.context(), "copying inputs to it"))
}
