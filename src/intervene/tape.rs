//! One head of one sequence, run forward once: what every backward sweep over its steps needs.

use super::InterveneError;
use crate::memory::{EditKind, Phase, Read, Recurrence, Scalar};

/// One head of one sequence: its factors in rows, what every edit corrects, and a memory every few steps.
///
/// `F` is f64 for numbers that are reported, f32 where speed matters. It takes O(T (d_k + d_v)) numbers and one memory per
/// `checkpoint_every` steps, however long the sequence.
#[derive(Clone, Debug)]
pub struct HeadTape<F: Scalar> {
    /// Steps.
    pub n_steps: usize,
    /// Key channels.
    pub d_k: usize,
    /// Value channels.
    pub d_v: usize,
    pub(super) edits: Vec<TapeEdit<F>>,
    /// [step, d_k].
    pub(super) query: Vec<F>,
    /// [step, d_k].
    pub(super) retention: Vec<F>,
    /// [step, d_v].
    output: Vec<F>,
    checkpoint_every: usize,
    /// [checkpoint, d_k, d_v]: the memory found before every step whose number is a multiple of `checkpoint_every`.
    checkpoints: Vec<F>,
}

#[derive(Clone, Debug)]
pub(super) struct TapeEdit<F> {
    pub kind: EditKind,
    /// \[step\].
    pub strength: Vec<F>,
    /// [step, d_k].
    pub direction: Vec<F>,
    /// [step, d_k]; `None` where it reads nothing, or at its direction.
    pub read: Option<Vec<F>>,
    pub reads: Reads,
    /// [step, d_v]: `value - S^T read`, what the edit would put there at strength 1.
    pub residual: Vec<F>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Nothing,
    Found,
    BeforeDecay,
}

impl<F: Scalar> HeadTape<F> {
    /// Runs one head of one sequence; `checkpoint_every` is at least 1.
    pub fn new(recurrence: &Recurrence<F>, batch: usize, head: usize, checkpoint_every: usize) -> Result<Self, InterveneError> {
        let dims = recurrence.dims;
        let within = |what, index: usize, length: usize| {
            let available = format!("{what}s 0 to {}", length.saturating_sub(1));
            if index < length { Ok(()) } else { Err(InterveneError::OutOfRange { what, index, available }) }
        };
        within("sequence", batch, dims.batch)?;
        within("head", head, dims.head)?;
        let rows = |array| (0..dims.step).flat_map(|step| recurrence.lane(array, batch, step, head).to_vec()).collect::<Vec<F>>();
        let mut edits: Vec<(TapeEdit<F>, Option<Vec<F>>)> = recurrence
            .edits
            .iter()
            .map(|edit| {
                let (reads, read) = match &edit.read {
                    Read::Nothing => (Reads::Nothing, None),
                    Read::Direction => (Reads::Found, None),
                    Read::Other(read) => (Reads::Found, Some(rows(read))),
                    Read::BeforeDecay(read) => (Reads::BeforeDecay, Some(rows(read))),
                };
                let strength = |step| edit.strength.as_ref().map_or(F::one(), |strength| strength[[batch, step, head]]);
                let edit_of = TapeEdit {
                    kind: edit.kind,
                    strength: (0..dims.step).map(strength).collect(),
                    direction: rows(&edit.direction),
                    read,
                    reads,
                    residual: vec![F::zero(); dims.step * dims.d_v],
                };
                (edit_of, edit.value.as_ref().map(rows))
            })
            .collect();
        let (query, retention) = (rows(&recurrence.query), rows(&recurrence.retention));
        let (d_k, d_v) = (dims.d_k, dims.d_v);
        let every = checkpoint_every.max(1);
        let mut tape = Self {
            n_steps: dims.step,
            d_k,
            d_v,
            edits: Vec::new(),
            query,
            retention,
            output: vec![F::zero(); dims.step * d_v],
            checkpoint_every: every,
            checkpoints: Vec::with_capacity(dims.step.div_ceil(every) * d_k * d_v),
        };
        let mut memory: Vec<F> = recurrence.initial(batch, head).iter().copied().collect();
        let mut before = Vec::new();
        for step in 0..dims.step {
            if step % every == 0 {
                tape.checkpoints.extend_from_slice(&memory);
            }
            before.clone_from(&memory);
            scale_rows(&mut memory, row(&tape.retention, step, d_k), d_v);
            for (edit, value) in &mut edits {
                let mut residual = value.as_ref().map_or_else(|| vec![F::zero(); d_v], |value| row(value, step, d_v).to_vec());
                let read = row(edit.read.as_ref().unwrap_or(&edit.direction), step, d_k);
                match edit.reads {
                    Reads::Nothing => {}
                    Reads::Found => subtract_read(&mut residual, &memory, read),
                    Reads::BeforeDecay => subtract_read(&mut residual, &before, read),
                }
                add_outer(&mut memory, row(&edit.direction, step, d_k), edit.strength[step], &residual);
                edit.residual[step * d_v..][..d_v].copy_from_slice(&residual);
            }
            let mut read = vec![F::zero(); d_v];
            subtract_read(&mut read, &memory, row(&tape.query, step, d_k));
            tape.output[step * d_v..][..d_v].iter_mut().zip(read).for_each(|(to, x)| *to = -x);
        }
        tape.edits = edits.into_iter().map(|(edit, _)| edit).collect();
        Ok(tape)
    }

    /// The kinds of its edits, in the order of the update.
    pub fn edits(&self) -> Vec<EditKind> {
        self.edits.iter().map(|edit| edit.kind).collect()
    }

    /// The edit of this kind.
    pub fn edit(&self, kind: EditKind) -> Option<usize> {
        self.edits.iter().position(|edit| edit.kind == kind)
    }

    /// o_t, \[d_v\].
    pub fn output(&self, step: usize) -> &[F] {
        row(&self.output, step, self.d_v)
    }

    /// q_t as it was lowered (Comba's output correction is part of it), \[d_k\].
    pub fn query(&self, step: usize) -> &[F] {
        row(&self.query, step, self.d_k)
    }

    /// alpha_t, \[d_k\].
    pub fn retention(&self, step: usize) -> &[F] {
        row(&self.retention, step, self.d_k)
    }

    /// The strength of an edit at a step: gamma or beta; 1 where the rule has none.
    pub fn strength(&self, edit: usize, step: usize) -> F {
        self.edits[edit].strength[step]
    }

    /// Where an edit lands, \[d_k\].
    pub fn direction(&self, edit: usize, step: usize) -> &[F] {
        row(&self.edits[edit].direction, step, self.d_k)
    }

    /// What an edit reads, \[d_k\]; `None` if it reads nothing.
    pub fn read(&self, edit: usize, step: usize) -> Option<&[F]> {
        let edit = &self.edits[edit];
        (edit.reads != Reads::Nothing).then(|| row(edit.read.as_ref().unwrap_or(&edit.direction), step, self.d_k))
    }

    /// Whether an edit reads the memory before the step's decay.
    pub(super) fn reads_before_decay(&self, edit: usize) -> bool {
        self.edits[edit].reads == Reads::BeforeDecay
    }

    /// `value - S^T read`, what an edit puts along its direction at strength 1, \[d_v\].
    pub fn residual(&self, edit: usize, step: usize) -> &[F] {
        row(&self.edits[edit].residual, step, self.d_v)
    }

    /// Edits made until a phase of a step.
    pub(super) fn n_edits_at(&self, phase: Phase) -> usize {
        match phase {
            Phase::Before | Phase::Decay => 0,
            Phase::Erase => self.edits.iter().filter(|edit| edit.kind == EditKind::Erase).count(),
            Phase::Write => self.edits.len(),
        }
    }

    /// First steps of the stretches between checkpoints.
    pub(super) const fn checkpoint_every(&self) -> usize {
        self.checkpoint_every
    }

    /// The memories found before each step of a stretch, from its checkpoint, each [d_k, d_v].
    pub(super) fn memories(&self, stretch: usize, until: usize) -> Vec<Vec<F>> {
        let (size, from) = (self.d_k * self.d_v, stretch * self.checkpoint_every);
        let mut memory = self.checkpoints[stretch * size..][..size].to_vec();
        let mut all = Vec::with_capacity(until - from);
        for step in from..until {
            all.push(memory.clone());
            scale_rows(&mut memory, self.retention(step), self.d_v);
            for edit in 0..self.edits.len() {
                add_outer(&mut memory, self.direction(edit, step), self.strength(edit, step), self.residual(edit, step));
            }
        }
        all
    }
}

pub(super) fn row<F>(array: &[F], index: usize, width: usize) -> &[F] {
    &array[index * width..][..width]
}

fn scale_rows<F: Scalar>(memory: &mut [F], scales: &[F], width: usize) {
    for (row, &scale) in memory.chunks_exact_mut(width).zip(scales) {
        row.iter_mut().for_each(|x| *x *= scale);
    }
}

/// `to <- to - S^T read`
fn subtract_read<F: Scalar>(to: &mut [F], memory: &[F], read: &[F]) {
    for (row, &at) in memory.chunks_exact(to.len()).zip(read) {
        to.iter_mut().zip(row).for_each(|(to, &x)| *to -= at * x);
    }
}

/// `S <- S + strength direction residual^T`
fn add_outer<F: Scalar>(memory: &mut [F], direction: &[F], strength: F, residual: &[F]) {
    for (row, &along) in memory.chunks_exact_mut(residual.len()).zip(direction) {
        let scale = strength * along;
        row.iter_mut().zip(residual).for_each(|(x, &residual)| *x += scale * residual);
    }
}
