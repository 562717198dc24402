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

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView4, ArrayViewMut2, s};

use super::{Phase, Recurrence};

/// One edit of one step: its direction [d_k] and its pseudo-value [d_v].
pub type RecordedEdit<'a> = (ArrayView1<'a, f32>, ArrayView1<'a, f32>);

/// One whole step on a memory [d_k, d_v]: decay, then the edits in the order given.
///
/// For an earlier phase pass only the edits made until then (see [`Recurrence::n_edits_at`]).
pub fn step(mut memory: ArrayViewMut2<f32>, retention: ArrayView1<f32>, edits: &[RecordedEdit]) {
    decay(memory.view_mut(), retention);
    for (direction, pseudo_value) in edits {
        edit(memory.view_mut(), *direction, *pseudo_value);
    }
}

/// `S <- diag(retention) S` on a memory [d_k, d_v].
pub fn decay(mut memory: ArrayViewMut2<f32>, retention: ArrayView1<f32>) {
    for (mut row, &alpha) in memory.rows_mut().into_iter().zip(retention) {
        row.mapv_inplace(|x| alpha * x);
    }
}

/// `S <- S + direction pseudo_value^T` on a memory [d_k, d_v], fused.
pub fn edit(mut memory: ArrayViewMut2<f32>, direction: ArrayView1<f32>, pseudo_value: ArrayView1<f32>) {
    let owned;
    let pseudo_value = if let Some(contiguous) = pseudo_value.as_slice() {
        contiguous
    } else {
        owned = pseudo_value.to_vec();
        &owned
    };
    for (mut row, &direction) in memory.rows_mut().into_iter().zip(direction) {
        if let Some(row) = row.as_slice_mut() {
            fused_row(row, direction, pseudo_value);
        } else {
            row.iter_mut().zip(pseudo_value).for_each(|(x, &a)| *x = direction.mul_add(a, *x));
        }
    }
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
        if from == Phase::Before && to > Phase::Before {
            decay(memory.view_mut(), self.recurrence.lane(&self.recurrence.retention, self.batch, step, self.head));
        }
        for index in self.recurrence.n_edits_at(from)..self.recurrence.n_edits_at(to) {
            let direction = self.recurrence.lane(&self.recurrence.edits[index].direction, self.batch, step, self.head);
            edit(memory.view_mut(), direction, self.pseudo_values[index].slice(s![self.batch, step, self.head, ..]));
        }
    }
}

/// `row <- fma(direction, pseudo_value, row)`.
fn fused_row(row: &mut [f32], direction: f32, pseudo_value: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the features it is compiled for were just found.
        unsafe { fused_row_avx2(row, direction, pseudo_value) };
        return;
    }
    fused_row_any(row, direction, pseudo_value);
}

/// Without the hardware instruction `mul_add` is a library call, with the same bits.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn fused_row_any(row: &mut [f32], direction: f32, pseudo_value: &[f32]) {
    for (x, &a) in row.iter_mut().zip(pseudo_value) {
        *x = direction.mul_add(a, *x);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused_row_avx2(row: &mut [f32], direction: f32, pseudo_value: &[f32]) {
    fused_row_any(row, direction, pseudo_value);
}
