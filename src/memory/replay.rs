//! Memories again, from pseudo-values, without a dot product.
//!
//! A recorded step is `S <- diag(alpha) S`, then `S <- S + direction a^T` for each edit, with the pseudo-value `a` kept. In
//! f32 that is one rounded product, then one fused multiply-add per edit, in this order, for every element:
//!
//! ```text
//! s = alpha_i * s;   s = fma(direction_i, a_j, s)   per edit
//! ```
//!
//! Engines that record apply the same operations in the same order, so a replay from a checkpoint gives their memories back
//! bit for bit, on any machine.

use std::{borrow::Cow, ops::Range};

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView4, ArrayViewMut2, s};

use super::{Phase, Recurrence};

/// One edit of one step: its direction `[d_k]` and its pseudo-value `[d_v]`.
pub type RecordedEdit<'a> = (ArrayView1<'a, f32>, ArrayView1<'a, f32>);

/// One whole step on a memory [d_k, d_v]: decay, then the edits in the order given, in one pass over the memory.
///
/// For an earlier phase pass only the edits made until then (see [`Recurrence::n_edits_at`]).
pub fn step(memory: ArrayViewMut2<f32>, retention: ArrayView1<f32>, edits: &[RecordedEdit]) {
    apply(memory, Some(retention), edits);
}

/// `S <- diag(retention) S` on a memory [d_k, d_v].
pub fn decay(memory: ArrayViewMut2<f32>, retention: ArrayView1<f32>) {
    apply(memory, Some(retention), &[]);
}

/// `S <- S + direction pseudo_value^T` on a memory [d_k, d_v], fused.
pub fn edit(memory: ArrayViewMut2<f32>, direction: ArrayView1<f32>, pseudo_value: ArrayView1<f32>) {
    apply(memory, None, &[(direction, pseudo_value)]);
}

/// One head of one sequence of a recorded run, ready to give back any of its memories.
#[derive(Clone, Debug)]
pub struct HeadReplay<'a> {
    /// What was run: retention and the edits' directions are used.
    pub recurrence: &'a Recurrence<f32>,
    /// Per edit of the recurrence, [batch, step, head, d_v].
    pub pseudo_values: Vec<ArrayView4<'a, f32>>,
    /// Which sequence.
    pub batch: usize,
    /// Which head.
    pub head: usize,
}

impl HeadReplay<'_> {
    /// The memory at a phase of a step, from the memory found by an earlier step (or the same): a checkpoint, or the initial
    /// memory and 0.
    ///
    /// # Panics
    /// If the checkpoint is after the step, or the step after the last.
    pub fn memory(&self, checkpoint: ArrayView2<f32>, checkpoint_step: usize, step: usize, phase: Phase) -> Array2<f32> {
        assert!(checkpoint_step <= step, "a replay runs forward: checkpoint {checkpoint_step} is after step {step}");
        let mut memory = checkpoint.to_owned();
        for t in checkpoint_step..step {
            self.advance(&mut memory, t, Phase::Before, Phase::Write);
        }
        self.advance(&mut memory, step, Phase::Before, phase);
        memory
    }

    /// Visits the memory at a phase of each of these steps in order, from the memory found by the first of them. Returns the
    /// memory after the last.
    pub fn memories(
        &self,
        checkpoint: ArrayView2<f32>,
        steps: Range<usize>,
        phase: Phase,
        mut visit: impl FnMut(usize, ArrayView2<f32>),
    ) -> Array2<f32> {
        let mut memory = checkpoint.to_owned();
        for t in steps {
            self.advance(&mut memory, t, Phase::Before, phase);
            visit(t, memory.view());
            self.advance(&mut memory, t, phase, Phase::Write);
        }
        memory
    }

    /// Takes a memory from one phase of a step to a later phase of it.
    pub fn advance(&self, memory: &mut Array2<f32>, step: usize, from: Phase, to: Phase) {
        let lane = |array| self.recurrence.lane(array, self.batch, step, self.head);
        let decays = from == Phase::Before && to > Phase::Before;
        let edits: Vec<_> = (self.recurrence.n_edits_at(from)..self.recurrence.n_edits_at(to))
            .map(|index| {
                (lane(&self.recurrence.edits[index].direction), self.pseudo_values[index].slice(s![self.batch, step, self.head, ..]))
            })
            .collect();
        apply(memory.view_mut(), decays.then(|| lane(&self.recurrence.retention)), &edits);
    }
}

/// Decay if there is one, then the edits, row by row.
fn apply(mut memory: ArrayViewMut2<f32>, retention: Option<ArrayView1<f32>>, edits: &[RecordedEdit]) {
    // Values in a row of memory of their own, so that the loops below are over plain slices.
    let edits: Vec<_> = edits.iter().map(|(direction, pseudo_value)| (direction, as_row(pseudo_value))).collect();
    for (i, mut row) in memory.rows_mut().into_iter().enumerate() {
        let step = RowStep { alpha: retention.map(|retention| retention[i]), edits: &edits, channel: i };
        if let Some(row) = row.as_slice_mut() {
            step.apply(row);
        } else {
            let mut contiguous = row.to_vec();
            step.apply(&mut contiguous);
            row.assign(&ArrayView1::from(&contiguous));
        }
    }
}

fn as_row<'a>(values: &'a ArrayView1<f32>) -> Cow<'a, [f32]> {
    values.as_slice().map_or_else(|| values.to_vec().into(), Cow::Borrowed)
}

/// What one step does to one row of a memory.
struct RowStep<'a> {
    alpha: Option<f32>,
    /// Directions `[d_k]` and pseudo-values `[d_v]`.
    edits: &'a [(&'a ArrayView1<'a, f32>, Cow<'a, [f32]>)],
    channel: usize,
}

impl RowStep<'_> {
    fn apply(&self, row: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the features it is compiled for were just found.
            unsafe { self.apply_avx2(row) };
            return;
        }
        self.apply_any(row);
    }

    /// Without the hardware instruction `mul_add` is a library call, with the same bits.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must take on the target features of its caller")]
    fn apply_any(&self, row: &mut [f32]) {
        match (self.alpha, self.edits) {
            // An erase and a write at once: the row is loaded and stored only once.
            (Some(alpha), [(erase, a), (write, u)]) => {
                let (e, k) = (erase[self.channel], write[self.channel]);
                for ((x, &a), &u) in row.iter_mut().zip(a.iter()).zip(u.iter()) {
                    *x = k.mul_add(u, e.mul_add(a, alpha * *x));
                }
            }
            (Some(alpha), [(write, u)]) => {
                let k = write[self.channel];
                row.iter_mut().zip(u.iter()).for_each(|(x, &u)| *x = k.mul_add(u, alpha * *x));
            }
            (alpha, edits) => {
                if let Some(alpha) = alpha {
                    for x in row.iter_mut() {
                        *x *= alpha;
                    }
                }
                for (direction, values) in edits {
                    let direction = direction[self.channel];
                    row.iter_mut().zip(values.iter()).for_each(|(x, &a)| *x = direction.mul_add(a, *x));
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn apply_avx2(&self, row: &mut [f32]) {
        self.apply_any(row);
    }
}
