//! One head of one sequence as the ledger reads it: contiguous rows, any rule.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use crate::memory::{EditKind, Phase, Read, Recurrence, Scalar, Shared4};

/// One head of one sequence of a [`Recurrence`]: its decay, its edits and its query.
#[derive(Clone, Debug)]
pub struct HeadRecurrence<F: Scalar> {
    /// [step, d_k].
    pub(super) retention: Array2<F>,
    /// [step, d_k].
    pub(super) query: Array2<F>,
    pub(super) edits: Vec<HeadEdit<F>>,
    /// [d_k, d_v]; `None` is zero.
    pub(super) initial_memory: Option<Array2<F>>,
    d_v: usize,
}

/// One edit of every step.
#[derive(Clone, Debug)]
pub(super) struct HeadEdit<F: Scalar> {
    pub kind: EditKind,
    /// \[step\].
    pub strength: Array1<F>,
    /// [step, d_k].
    pub direction: Array2<F>,
    pub read: HeadRead<F>,
    /// [step, d_v]; `None` for an erase.
    pub value: Option<Array2<F>>,
}

/// What an edit reads, as [`Read`] with the rows of one head, [step, d_k].
#[derive(Clone, Debug)]
pub(super) enum HeadRead<F: Scalar> {
    Nothing,
    Direction,
    Other(Array2<F>),
    BeforeDecay(Array2<F>),
}

/// Which write of the sequence: the ledger numbers writes by step, and by their order within the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WritePlace {
    /// The step that made it (0-based).
    pub step: usize,
    /// Its number within the step: 0 for every rule but Gated DeltaProduct.
    pub number: usize,
}

impl<F: Scalar> HeadRecurrence<F> {
    /// One head of one sequence.
    ///
    /// # Panics
    /// If `batch` or `head` is out of range.
    pub fn new(recurrence: &Recurrence<F>, batch: usize, head: usize) -> Self {
        let dims = recurrence.dims;
        let lanes = |array: &Shared4<F>| {
            let entry = head * array.shape()[2] / dims.head;
            array.slice(s![batch, .., entry, ..]).to_owned()
        };
        let edits = recurrence.edits.iter().map(|edit| HeadEdit {
            kind: edit.kind,
            strength: match &edit.strength {
                Some(strength) => strength.slice(s![batch, .., head]).to_owned(),
                None => Array1::ones(dims.step),
            },
            direction: lanes(&edit.direction),
            read: match &edit.read {
                Read::Nothing => HeadRead::Nothing,
                Read::Direction => HeadRead::Direction,
                Read::Other(read) => HeadRead::Other(lanes(read)),
                Read::BeforeDecay(read) => HeadRead::BeforeDecay(lanes(read)),
            },
            value: edit.value.as_ref().map(lanes),
        });
        let initial_memory = recurrence.initial_memory.as_ref().map(|memory| memory.slice(s![batch, head, .., ..]).to_owned());
        Self {
            retention: lanes(&recurrence.retention),
            query: lanes(&recurrence.query),
            edits: edits.collect(),
            initial_memory: initial_memory.filter(|memory| memory.iter().any(|&x| x != F::zero())),
            d_v: dims.d_v,
        }
    }

    /// Steps.
    pub fn n_steps(&self) -> usize {
        self.retention.nrows()
    }

    /// Key channels.
    pub fn d_k(&self) -> usize {
        self.retention.ncols()
    }

    /// Value channels.
    pub const fn d_v(&self) -> usize {
        self.d_v
    }

    /// Writes of one step: 1 for every rule but Gated DeltaProduct.
    pub fn writes_per_step(&self) -> usize {
        self.edits.iter().filter(|edit| edit.value.is_some()).count()
    }

    /// Writes of the whole sequence; they are numbered by step, then by their order within the step.
    pub fn n_writes(&self) -> usize {
        self.n_steps() * self.writes_per_step()
    }

    /// The step and number of a write.
    pub fn place(&self, write: usize) -> WritePlace {
        let each = self.writes_per_step();
        WritePlace { step: write / each, number: write % each }
    }

    /// What every write puts into memory, [write, d_v].
    pub fn values(&self) -> Array2<F> {
        let each = self.writes_per_step();
        let mut values = Array2::zeros((self.n_writes(), self.d_v));
        for (number, value) in self.edits.iter().filter_map(|edit| edit.value.as_ref()).enumerate() {
            values.slice_mut(s![number..;each, ..]).assign(value);
        }
        values
    }

    /// Where every write lands, scaled by its strength: u_{i,i} = beta_i k_i at the moment it is made, [write, d_k].
    pub fn written(&self) -> Array2<F> {
        let each = self.writes_per_step();
        let mut written = Array2::zeros((self.n_writes(), self.d_k()));
        for (number, edit) in self.edits.iter().filter(|edit| edit.value.is_some()).enumerate() {
            let scaled = &edit.direction * &edit.strength.view().insert_axis(Axis(1));
            written.slice_mut(s![number..;each, ..]).assign(&scaled);
        }
        written
    }

    /// Where a step reads, \[d_k\].
    pub fn query_of(&self, step: usize) -> ArrayView1<'_, F> {
        self.query.row(step)
    }

    /// Whether a step removes at a direction of its own before it writes.
    pub fn has_erase(&self) -> bool {
        self.edits.iter().any(|edit| edit.kind == EditKind::Erase)
    }

    /// Whether some edit reads elsewhere than where it lands: then energy has no law, and shares are those of vectors.
    pub fn is_oblique(&self) -> bool {
        self.edits.iter().any(|edit| matches!(edit.read, HeadRead::Other(_) | HeadRead::BeforeDecay(_)))
    }

    /// The same without its erase, do(gamma = 0): what decay and writes alone would do. What is written stays as it was.
    #[must_use]
    pub fn without_erase(&self) -> Self {
        let edits = self.edits.iter().filter(|edit| edit.kind != EditKind::Erase).cloned().collect();
        Self { edits, ..self.clone() }
    }

    /// The same numbers in f64.
    #[must_use]
    pub fn wide(&self) -> HeadRecurrence<f64>
    where
        F: super::Precision,
    {
        let rows = |array: &Array2<F>| array.mapv(super::Precision::wide);
        let edits = self.edits.iter().map(|edit| HeadEdit {
            kind: edit.kind,
            strength: edit.strength.mapv(super::Precision::wide),
            direction: rows(&edit.direction),
            read: match &edit.read {
                HeadRead::Nothing => HeadRead::Nothing,
                HeadRead::Direction => HeadRead::Direction,
                HeadRead::Other(read) => HeadRead::Other(rows(read)),
                HeadRead::BeforeDecay(read) => HeadRead::BeforeDecay(rows(read)),
            },
            value: edit.value.as_ref().map(rows),
        });
        HeadRecurrence {
            retention: rows(&self.retention),
            query: rows(&self.query),
            edits: edits.collect(),
            initial_memory: self.initial_memory.as_ref().map(rows),
            d_v: self.d_v,
        }
    }

    /// The first steps only.
    #[must_use]
    pub fn first_steps(&self, n_steps: usize) -> Self {
        let rows = |array: &Array2<F>| array.slice(s![..n_steps, ..]).to_owned();
        let edits = self.edits.iter().map(|edit| HeadEdit {
            kind: edit.kind,
            strength: edit.strength.slice(s![..n_steps]).to_owned(),
            direction: rows(&edit.direction),
            read: match &edit.read {
                HeadRead::Nothing => HeadRead::Nothing,
                HeadRead::Direction => HeadRead::Direction,
                HeadRead::Other(read) => HeadRead::Other(rows(read)),
                HeadRead::BeforeDecay(read) => HeadRead::BeforeDecay(rows(read)),
            },
            value: edit.value.as_ref().map(rows),
        });
        Self {
            retention: rows(&self.retention),
            query: rows(&self.query),
            edits: edits.collect(),
            initial_memory: self.initial_memory.clone(),
            d_v: self.d_v,
        }
    }

    /// How many edits have been made at a phase of a step.
    pub(super) fn n_edits_at(&self, phase: Phase) -> usize {
        match phase {
            Phase::Before | Phase::Decay => 0,
            Phase::Erase => self.edits.iter().filter(|edit| edit.kind == EditKind::Erase).count(),
            Phase::Write => self.edits.len(),
        }
    }
}

impl<F: Scalar> HeadEdit<F> {
    /// Where it reads the memory it finds; `None` if it reads nothing or the memory before decay.
    pub fn read_now(&self, step: usize) -> Option<ArrayView1<'_, F>> {
        match &self.read {
            HeadRead::Direction => Some(self.direction.row(step)),
            HeadRead::Other(read) => Some(read.row(step)),
            HeadRead::Nothing | HeadRead::BeforeDecay(_) => None,
        }
    }

    /// Where it reads, whichever memory that is.
    pub fn read_at(&self, step: usize) -> Option<ArrayView1<'_, F>> {
        match &self.read {
            HeadRead::BeforeDecay(read) => Some(read.row(step)),
            _ => self.read_now(step),
        }
    }

    pub const fn reads_before_decay(&self) -> bool {
        matches!(self.read, HeadRead::BeforeDecay(_))
    }
}
