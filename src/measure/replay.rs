//! One sequence run again, and its memories visited one at a time.

use ndarray::{Array2, Array4, ArrayView1, s};

use crate::memory::replay::HeadReplay;
use crate::memory::{EditKind, Factors, Phase, Read, RecordOptions, Recurrence, cpu};

/// One sequence (batch 1) with the pseudo-values of its edits, ready to give back any memory of any head.
pub(super) struct Replay {
    recurrence: Recurrence<f32>,
    /// Per edit, [1, step, head, d_v].
    pseudo_values: Vec<Array4<f32>>,
}

impl Replay {
    /// Runs the recurrence of factors with batch 1.
    pub fn new(factors: &Factors<f32>) -> Self {
        let recurrence = factors.lower();
        let recording = cpu::record(&recurrence, &RecordOptions { pseudo_values: true, ..RecordOptions::default() });
        let pseudo_values = recording.pseudo_values.into_iter().map(|(_, values)| values).collect();
        Self { recurrence, pseudo_values }
    }

    /// What was run.
    pub const fn recurrence(&self) -> &Recurrence<f32> {
        &self.recurrence
    }

    /// The pseudo-value of an edit, [d_v].
    pub fn pseudo_value(&self, edit: usize, step: usize, head: usize) -> ArrayView1<'_, f32> {
        self.pseudo_values[edit].slice(s![0, step, head, ..])
    }

    /// Visits a head's memory before every step's erase, in order: `visit(step, memory_before, memory_after_decay)`, each
    /// [d_k, d_v]. The memory before is only kept where `before` asks for it, else it is the one after decay.
    pub fn visit_decayed(&self, head: usize, before: bool, mut visit: impl FnMut(usize, &Array2<f32>, &Array2<f32>)) {
        let replay = self.head(head);
        let mut memory = self.recurrence.initial(0, head);
        for step in 0..self.recurrence.dims.step {
            let kept = before.then(|| memory.clone());
            replay.advance(&mut memory, step, Phase::Before, Phase::Decay);
            visit(step, kept.as_ref().unwrap_or(&memory), &memory);
            replay.advance(&mut memory, step, Phase::Decay, Phase::Write);
        }
    }

    /// Visits a head's memory at one phase of every step, in order.
    pub fn visit(&self, head: usize, phase: Phase, mut visit: impl FnMut(usize, &Array2<f32>)) {
        let replay = self.head(head);
        let mut memory = self.recurrence.initial(0, head);
        for step in 0..self.recurrence.dims.step {
            replay.advance(&mut memory, step, Phase::Before, phase);
            visit(step, &memory);
            replay.advance(&mut memory, step, phase, Phase::Write);
        }
    }

    /// The place of the erase among the edits.
    pub fn erase(&self) -> Option<usize> {
        self.recurrence.edits.iter().position(|edit| edit.kind == EditKind::Erase)
    }

    /// |S^|^2 - |S~|^2, what the erase of a step removes of the energy of `decayed`. Below 0 where an oblique erase adds.
    pub fn removed_energy(&self, step: usize, head: usize, decayed: &Array2<f32>) -> f64 {
        let Some(index) = self.erase() else { return 0.0 };
        let (edit, a) = (&self.recurrence.edits[index], self.pseudo_value(index, step, head));
        let direction = self.recurrence.lane(&edit.direction, 0, step, head);
        let (aa, uu) = (square(a), square(direction));
        if let (Read::Direction, None) = (&edit.read, &edit.value) {
            // a = -gamma S^^T e, so that 2 a.(S^^T e) is known without reading the memory again.
            let strength = edit.strength.as_ref().map_or(1.0, |strength| f64::from(strength[[0, step, head]]));
            return if strength > 0.0 { aa * (2.0 / strength - uu) } else { 0.0 };
        }
        let held = read(decayed, direction);
        let across: f64 = held.iter().zip(a).map(|(&held, &a)| f64::from(held) * f64::from(a)).sum();
        -(2.0 * across + uu * aa)
    }

    fn head(&self, head: usize) -> HeadReplay<'_> {
        let pseudo_values = self.pseudo_values.iter().map(|values| values.view()).collect();
        HeadReplay { recurrence: &self.recurrence, pseudo_values, batch: 0, head }
    }
}

/// S^T x, [d_v], of a memory [d_k, d_v].
pub(super) fn read(memory: &Array2<f32>, at: ArrayView1<f32>) -> Vec<f32> {
    let mut sum = vec![0.0; memory.ncols()];
    for (row, &x) in memory.rows().into_iter().zip(at) {
        let row = row.to_slice().expect("a memory is contiguous");
        sum.iter_mut().zip(row).for_each(|(sum, &s)| *sum += x * s);
    }
    sum
}

/// |S|_F^2.
pub(super) fn energy(memory: &Array2<f32>) -> f64 {
    memory.rows().into_iter().map(|row| f64::from(row.dot(&row))).sum()
}

/// |x|^2 in f64.
pub(super) fn square<'a>(values: impl IntoIterator<Item = &'a f32>) -> f64 {
    values.into_iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// x.y in f64.
pub(super) fn dot(x: ArrayView1<f32>, y: ArrayView1<f32>) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}
