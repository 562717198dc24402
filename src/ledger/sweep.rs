//! The adjoint: what one read of the memory owes to every write, without forming any of them.
//!
//! The memory is linear in what was written: `S = P S_0 + sum_i u_i v_i^T`. A read at `g` is `S^T g`, to which write `i`
//! contributes `(g.u_i) v_i`. One sweep backwards in time, `g <- M_s^T g`, gives every `g.u_i`: O(t d_k) time, O(d_k) memory.

use ndarray::{Array1, ArrayView1};

use super::head::{HeadRead, HeadRecurrence};
use crate::memory::{EditKind, Phase, Scalar};

/// What every write contributes to one read of the memory.
#[derive(Clone, Debug)]
pub struct Contributions<F: Scalar> {
    /// g.u_i, the weight of value v_i in the read, for every write made until then, in the ledger's order \[write\].
    pub weights: Vec<F>,
    /// What the memory held before the first step contributes, \[d_v\]; `None` if it held nothing.
    pub initial: Option<Array1<F>>,
}

/// What every write contributes to the read `S^T g` of the memory at a phase of a step: the row `A_t` of the exact attention
/// for `g = q_t` and the phase [`Phase::Write`].
///
/// Writes that are made later than the phase are absent, so the weights are as many as `step` (or `step + 1`) times the
/// writes of a step; within a step of several writes a phase is the end of all its erases or all its writes.
///
/// # Panics
/// If the step is out of range or `g` is not \[d_k\].
pub fn contributions<F: Scalar>(head: &HeadRecurrence<F>, step: usize, phase: Phase, g: ArrayView1<F>) -> Contributions<F> {
    assert!(step < head.n_steps(), "step {step} is after the last, {}", head.n_steps() - 1);
    assert_eq!(g.len(), head.d_k(), "the read direction has another length than the memory's key channels");
    let each = head.writes_per_step();
    let n_steps = if phase == Phase::Write { step + 1 } else { step };
    let mut weights = vec![F::zero(); n_steps * each];
    let mut g = g.to_owned();
    let (mut s, mut n_edits, mut decays) = (step, head.n_edits_at(phase), phase != Phase::Before);
    loop {
        if decays {
            step_back(head, s, n_edits, &mut g, &mut weights);
        }
        if s == 0 {
            break;
        }
        (s, n_edits, decays) = (s - 1, head.edits.len(), true);
    }
    let initial = head.initial_memory.as_ref().map(|memory| {
        let mut read = Array1::zeros(memory.ncols());
        for (row, &g) in memory.rows().into_iter().zip(&g) {
            read.zip_mut_with(&row, |sum, &x| *sum += g * x);
        }
        read
    });
    Contributions { weights, initial }
}

/// `g <- M_s^T g` through the first `n_edits` edits of a step and its decay; notes the step's own writes on the way.
fn step_back<F: Scalar>(head: &HeadRecurrence<F>, s: usize, n_edits: usize, g: &mut Array1<F>, weights: &mut [F]) {
    let each = head.writes_per_step();
    let mut number = head.edits[..n_edits].iter().filter(|edit| edit.value.is_some()).count();
    let mut before: Option<Array1<F>> = None;
    for edit in head.edits[..n_edits].iter().rev() {
        let along = edit.strength[s] * dot(edit.direction.row(s), g.view()); // strength (direction . g)
        if edit.value.is_some() {
            number -= 1;
            weights[s * each + number] = along;
        }
        match &edit.read {
            HeadRead::Nothing => {}
            HeadRead::Direction | HeadRead::Other(_) => {
                if let Some(read) = edit.read_now(s) {
                    g.zip_mut_with(&read, |g, &c| *g -= along * c);
                }
            }
            HeadRead::BeforeDecay(read) => {
                let before = before.get_or_insert_with(|| Array1::zeros(g.len()));
                before.zip_mut_with(&read.row(s), |g, &c| *g -= along * c);
            }
        }
    }
    g.zip_mut_with(&head.retention.row(s), |g, &alpha| *g *= alpha);
    if let Some(before) = before {
        *g += &before;
    }
}

/// What one erase (or other edit) took from every write.
#[derive(Clone, Debug)]
pub struct Taken<F: Scalar> {
    /// What the edit read of every earlier write: read . x, where x is the write as the edit found it, \[write\].
    pub read: Vec<F>,
    /// Squared size of what it took: for an edit that lands where it reads the energy removed, strength (2 - strength |e|^2)
    /// (e.x)^2; for an oblique one the energy of the vector taken away, strength^2 |e|^2 (c.x)^2. \[write\], f64.
    pub energy: Vec<f64>,
}

/// What the erase of a step took from every write made before the step: H_{t,i}. `None` if the rule has no erase.
///
/// # Panics
/// If the step is out of range.
pub fn erased_at<F: Scalar>(head: &HeadRecurrence<F>, step: usize) -> Option<Taken<F>> {
    let edit = head.edits.iter().find(|edit| edit.kind == EditKind::Erase)?;
    let read_at = edit.read_at(step)?;
    // Erases come first in every rule, so what the erase finds is the decayed memory.
    let phase = if edit.reads_before_decay() { Phase::Before } else { Phase::Decay };
    let read = contributions(head, step, phase, read_at).weights;
    let strength = edit.strength[step].to_f64().unwrap_or(f64::NAN);
    let direction: f64 = edit.direction.row(step).iter().map(|x| x.to_f64().unwrap_or(f64::NAN).powi(2)).sum();
    let oblique = !matches!(edit.read, HeadRead::Direction);
    let rate = if oblique { strength * strength * direction } else { strength * (2.0 - strength * direction) };
    let energy = read.iter().map(|read| rate * read.to_f64().unwrap_or(f64::NAN).powi(2)).collect();
    Some(Taken { read, energy })
}

/// x.y.
pub(super) fn dot<F: Scalar>(x: ArrayView1<F>, y: ArrayView1<F>) -> F {
    x.iter().zip(y).fold(F::zero(), |sum, (&x, &y)| x.mul_add(y, sum))
}
