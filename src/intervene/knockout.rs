//! Every single-gate knockout of a query, from one backward sweep.
//!
//! A query reads `S^T x` of some memory. Taken back through the edits of a step it stays a linear reading of the memory before, with
//! another vector g and a constant: over an edit of strength sigma, direction d, read c and residual r = w - S^T c
//!
//! ```text
//! S^T g  =  S'^T g + sigma (d.g) r        so     do/dsigma = (d.g) r,     o[do(sigma := x)] - o = (x - sigma) (d.g) r
//! g  <-  g - sigma (d.g) c                (c read before the decay: taken off after it)
//! g  <-  alpha * g                        do/dalpha_i = g_i (row i of the memory before the step)
//! ```
//!
//! Exactly, not to first order: the output is affine in each single gate. With unit e, gamma and S^ this is analysis of
//! arXiv 2606.26560's erase: `do/dgamma = -(W^T g.e)(e^T S^)^T`. The same numbers `A = sigma (d.g)` are the exact attention of the query
//! to every write: `o = S_0^T g_0 + sum A v`.

use rayon::prelude::*;

use super::InterveneError;
use super::tape::HeadTape;
use crate::memory::{EditKind, Phase, Scalar};

/// A linear reading of a head's memory: `S^T vector` at a phase of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Query<F> {
    /// The step.
    pub step: usize,
    /// The moment within it.
    pub phase: Phase,
    /// \[d_k\].
    pub vector: Vec<F>,
}

/// What one backward sweep gives for one query. Effects are taken with [`Knockouts::effect`] and its kin from the same tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Knockouts<F> {
    /// The query.
    pub query: Query<F>,
    /// In the order of the update.
    pub edits: Vec<EditKnockouts<F>>,
    /// g_0 with which the query reads the initial memory, \[d_k\].
    pub initial: Vec<F>,
}

/// The gates of one edit, as one query meets them.
#[derive(Clone, Debug, PartialEq)]
pub struct EditKnockouts<F> {
    /// Which edit.
    pub kind: EditKind,
    /// `d.g` at each step up to the query's: how much of what the edit puts down the query reads. 0 where the query comes first.
    pub reach: Vec<F>,
}

impl<F: Scalar> Query<F> {
    /// The step's own query: reads the output o_t.
    pub fn output(tape: &HeadTape<F>, step: usize) -> Self {
        Self { step, phase: Phase::Write, vector: tape.query(step).to_vec() }
    }
}

impl<F: Scalar> Knockouts<F> {
    /// By how much the reading changes with the strength of an edit at a step: `do/dsigma`, \[d_v\].
    pub fn derivative(&self, tape: &HeadTape<F>, edit: usize, step: usize) -> Vec<F> {
        let reach = self.edits[edit].reach[step];
        tape.residual(edit, step).iter().map(|&residual| reach * residual).collect()
    }

    /// The reading under another strength of one edit at one step, minus the reading as it is: exact, \[d_v\].
    pub fn effect(&self, tape: &HeadTape<F>, edit: usize, step: usize, strength: F) -> Vec<F> {
        let change = strength - tape.strength(edit, step);
        self.derivative(tape, edit, step).into_iter().map(|x| change * x).collect()
    }

    /// The length of [`Knockouts::effect`] of strength 0 at every step of an edit.
    pub fn knockout_norms(&self, tape: &HeadTape<F>, edit: usize) -> Vec<F> {
        let reaches = self.edits[edit].reach.iter().enumerate();
        reaches.map(|(step, &reach)| (tape.strength(edit, step) * reach).abs() * norm(tape.residual(edit, step))).collect()
    }

    /// The exact attention of the query to the value of a write: `A` in `o = S_0^T g_0 + sum A v`.
    pub fn attention(&self, tape: &HeadTape<F>, edit: usize, step: usize) -> F {
        tape.strength(edit, step) * self.edits[edit].reach[step]
    }
}

/// One backward sweep for each query, in parallel: O(t d_k) numbers touched per query and edit, no memory formed.
pub fn knockouts<F: Scalar>(tape: &HeadTape<F>, queries: &[Query<F>]) -> Result<Vec<Knockouts<F>>, InterveneError> {
    check(tape, queries)?;
    Ok(queries
        .par_iter()
        .map(|query| {
            let mut found = empty(query, tape);
            let mut reading = Reading::new(query, tape);
            for step in (0..=query.step).rev() {
                reading.undo_edits(tape, step, |edit, reach| found.edits[edit].reach[step] = reach);
                reading.undo_decay(tape, step);
            }
            found.initial = reading.vector;
            found
        })
        .collect())
}

/// The same sweep over retention: visits, for every query and step, backwards, `(query number, step, g, memory before)` with g \[d_k\]
/// the vector by which the query reads the memory after that step's decay, and the memory before it, [d_k, d_v]. So
/// `do/dalpha_i = g_i S_i`, and `o[do(alpha_i := x)] - o = (x - alpha_i) g_i S_i` exactly, channel by channel: rows add up, so any set
/// of channels of one step is exact too.
///
/// Memories are replayed from the tape's checkpoints, one stretch at a time.
pub fn visit_retention<F: Scalar>(
    tape: &HeadTape<F>,
    queries: &[Query<F>],
    mut visit: impl FnMut(usize, usize, &[F], &[F]),
) -> Result<(), InterveneError> {
    check(tape, queries)?;
    let Some(last) = queries.iter().map(|query| query.step).max() else { return Ok(()) };
    let every = tape.checkpoint_every();
    let mut readings: Vec<Option<Reading<F>>> = queries.iter().map(|_| None).collect();
    for stretch in (0..=last / every).rev() {
        let until = (last + 1).min((stretch + 1) * every);
        let memories = tape.memories(stretch, until);
        for step in (stretch * every..until).rev() {
            for (number, query) in queries.iter().enumerate().filter(|(_, query)| query.step >= step) {
                let reading = readings[number].get_or_insert_with(|| Reading::new(query, tape));
                reading.undo_edits(tape, step, |_, _| {});
                if reading.sees_decay() {
                    visit(number, step, &reading.vector, &memories[step - stretch * every]);
                }
                reading.undo_decay(tape, step);
            }
        }
    }
    Ok(())
}

/// What not decaying at all at a step (`alpha := 1` on every channel) would change of a reading, for every step, \[step\]\[d_v\].
pub fn decay_knockouts<F: Scalar>(tape: &HeadTape<F>, query: &Query<F>) -> Result<Vec<Vec<F>>, InterveneError> {
    let mut effects = vec![vec![F::zero(); tape.d_v]; query.step + 1];
    visit_retention(tape, std::slice::from_ref(query), |_, step, vector, memory| {
        let channels = vector.iter().zip(tape.retention(step)).zip(memory.chunks_exact(tape.d_v));
        for ((&g, &alpha), row) in channels {
            effects[step].iter_mut().zip(row).for_each(|(to, &x)| *to += (F::one() - alpha) * g * x);
        }
    })?;
    Ok(effects)
}

fn check<F: Scalar>(tape: &HeadTape<F>, queries: &[Query<F>]) -> Result<(), InterveneError> {
    match queries.iter().find(|query| query.step >= tape.n_steps) {
        Some(query) => {
            let available = format!("steps 0 to {}", tape.n_steps.saturating_sub(1));
            Err(InterveneError::OutOfRange { what: "step", index: query.step, available })
        }
        None => Ok(()),
    }
}

fn empty<F: Scalar>(query: &Query<F>, tape: &HeadTape<F>) -> Knockouts<F> {
    let edits = tape.edits.iter().map(|edit| EditKnockouts { kind: edit.kind, reach: vec![F::zero(); query.step + 1] });
    Knockouts { query: query.clone(), edits: edits.collect(), initial: Vec::new() }
}

/// A query on its way back.
struct Reading<F> {
    /// g, \[d_k\].
    vector: Vec<F>,
    /// What joins g once the step's decay is behind it, \[d_k\].
    beyond_decay: Vec<F>,
    /// Edits of its own step that it sees, then all.
    n_edits: usize,
    sees_decay: bool,
}

impl<F: Scalar> Reading<F> {
    fn new(query: &Query<F>, tape: &HeadTape<F>) -> Self {
        Self {
            vector: query.vector.clone(),
            beyond_decay: vec![F::zero(); tape.d_k],
            n_edits: tape.n_edits_at(query.phase),
            sees_decay: query.phase != Phase::Before,
        }
    }

    fn undo_edits(&mut self, tape: &HeadTape<F>, step: usize, mut reached: impl FnMut(usize, F)) {
        for edit in (0..self.n_edits).rev() {
            let reach = dot(tape.direction(edit, step), &self.vector);
            reached(edit, reach);
            let Some(read) = tape.read(edit, step) else { continue };
            let scale = tape.strength(edit, step) * reach;
            let to = if tape.reads_before_decay(edit) { &mut self.beyond_decay } else { &mut self.vector };
            to.iter_mut().zip(read).for_each(|(g, &c)| *g -= scale * c);
        }
    }

    const fn sees_decay(&self) -> bool {
        self.sees_decay
    }

    fn undo_decay(&mut self, tape: &HeadTape<F>, step: usize) {
        if self.sees_decay {
            let rows = self.vector.iter_mut().zip(tape.retention(step)).zip(&mut self.beyond_decay);
            for ((g, &alpha), beyond) in rows {
                *g = alpha * *g + *beyond;
                *beyond = F::zero();
            }
        }
        (self.n_edits, self.sees_decay) = (tape.edits.len(), true);
    }
}

/// x.y in eight sums, so that it vectorises.
pub(super) fn dot<F: Scalar>(x: &[F], y: &[F]) -> F {
    const LANES: usize = 8;
    let mut sums = [F::zero(); LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest = xs.remainder().iter().zip(ys.remainder()).fold(F::zero(), |sum, (&x, &y)| sum + x * y);
    sums.into_iter().fold(rest, |sum, x| sum + x)
}

pub(super) fn norm<F: Scalar>(x: &[F]) -> F {
    dot(x, x).sqrt()
}
