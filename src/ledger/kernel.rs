//! The inner loops: a block of writes, one in each column, taken through one step.
//!
//! All writes suffer the same decay and edits, so their u_i stand side by side as the columns of a block [d_k, [`COLUMNS`]] that
//! stays in the first-level cache. Dot products over key channels run down the columns: no sum over lanes is ever needed.
//!
//! Operations of a step of EDA on one element (one channel of one write): load; times alpha; two fused multiply-adds for the
//! erase and the write; store; three for energy and decay loss; three for the reads at e, k and q. That is 16 FLOP in 9
//! instructions a lane, and the block is read twice and written once from the first-level cache.

#![expect(clippy::inline_always, reason = "a kernel is compiled for an instruction set only where it is inlined into `Lanes::enter`")]
#![expect(clippy::needless_range_loop, reason = "loops over the vectors of a row index several arrays in step, and must unroll")]

use crate::memory::Scalar;
use crate::memory::cpu::{InstructionSet, LANES, Lanes, Routine};

/// Writes of a block.
pub const COLUMNS: usize = 2 * LANES;

/// One number for each write of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Row<F>(pub [F; COLUMNS]);

impl<F: Scalar> Row<F> {
    /// Zeros.
    pub fn zero() -> Self {
        Self([F::zero(); COLUMNS])
    }
}

/// What a step does to every column.
pub struct Update<'a, F> {
    /// alpha, \[d_k\]; `None` leaves the columns as they are.
    pub retention: Option<&'a [F]>,
    /// Direction \[d_k\] and pseudo-value of every edit, in order.
    pub edits: &'a [(&'a [F], Row<F>)],
    /// 1 - alpha^2 of the step to come, \[d_k\].
    pub loss_weights: &'a [F],
}

/// The precision of a ledger: f32 with vector instructions, f64 in plain Rust as its judge.
pub trait Precision: Scalar + ndarray::LinalgScalar {
    /// Takes all columns through a step. Returns their energies |x|^2 after it, and sum_r `loss_weights`_r x_r^2: what the next
    /// decay will take.
    fn update(block: &mut [Row<Self>], update: &Update<Self>) -> [Row<Self>; 2];

    /// `sums[n] = weights[n] . x` for every column.
    fn read(block: &[Row<Self>], weights: &[&[Self]], sums: &mut [Row<Self>]);

    /// `sum_r weights_r x_r y_r` for every column of two blocks.
    fn product(block: &[Row<Self>], other: &[Row<Self>], weights: &[Self]) -> Row<Self>;

    /// As f64.
    fn wide(self) -> f64;

    /// From f64, rounded.
    fn narrow(x: f64) -> Self;
}

impl Precision for f64 {
    fn update(block: &mut [Row<Self>], update: &Update<Self>) -> [Row<Self>; 2] {
        let mut found = [Row::zero(); 2];
        for (r, row) in block.iter_mut().enumerate() {
            for (c, x) in row.0.iter_mut().enumerate() {
                if let Some(retention) = update.retention {
                    *x *= retention[r];
                }
                for (direction, values) in update.edits {
                    *x += direction[r] * values.0[c];
                }
                found[0].0[c] += *x * *x;
                found[1].0[c] += update.loss_weights[r] * *x * *x;
            }
        }
        found
    }

    fn read(block: &[Row<Self>], weights: &[&[Self]], sums: &mut [Row<Self>]) {
        for (weights, sum) in weights.iter().zip(sums) {
            *sum = Row::zero();
            for (row, &weight) in block.iter().zip(*weights) {
                sum.0.iter_mut().zip(&row.0).for_each(|(sum, &x)| *sum += weight * x);
            }
        }
    }

    fn product(block: &[Row<Self>], other: &[Row<Self>], weights: &[Self]) -> Row<Self> {
        let mut sum = Row::zero();
        for ((x, y), &weight) in block.iter().zip(other).zip(weights) {
            for c in 0..COLUMNS {
                sum.0[c] += weight * x.0[c] * y.0[c];
            }
        }
        sum
    }

    fn wide(self) -> f64 {
        self
    }

    fn narrow(x: f64) -> Self {
        x
    }
}

/// Vectors of a row.
const W: usize = COLUMNS / LANES;

impl Precision for f32 {
    fn update(block: &mut [Row<Self>], update: &Update<Self>) -> [Row<Self>; 2] {
        assert!(update.loss_weights.len() >= block.len(), "one loss weight per row");
        assert!(update.retention.is_none_or(|alpha| alpha.len() >= block.len()), "one retention per row");
        assert!(update.edits.iter().all(|(direction, _)| direction.len() >= block.len()), "one number of a direction per row");
        let mut found = [Row::zero(); 2];
        // Two edits at a time stay in registers; rules with more go over the rows again.
        let mut parts = update.edits.chunks(2);
        let mut retention = update.retention;
        loop {
            let edits = parts.next().unwrap_or_default();
            run(Updating { block, retention: retention.take(), edits, loss_weights: update.loss_weights, found: &mut found });
            if parts.len() == 0 {
                return found;
            }
        }
    }

    fn read(block: &[Row<Self>], weights: &[&[Self]], sums: &mut [Row<Self>]) {
        assert!(weights.iter().all(|weights| weights.len() >= block.len()), "one weight per row");
        for (weights, sums) in weights.chunks(3).zip(sums.chunks_mut(3)) {
            run(Reading { block, weights, sums });
        }
    }

    fn product(block: &[Row<Self>], other: &[Row<Self>], weights: &[Self]) -> Row<Self> {
        let mut sum = Row::zero();
        for ((x, y), &weight) in block.iter().zip(other).zip(weights) {
            for c in 0..COLUMNS {
                sum.0[c] += weight * x.0[c] * y.0[c];
            }
        }
        sum
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn narrow(x: f64) -> Self {
        x as Self
    }
}

fn run(routine: impl Routine) {
    // SAFETY: `best` is an instruction set this machine has; the routines below check their slices in safe code.
    unsafe { InstructionSet::best().enter(routine) }
}

/// One update with at most two edits; energies are those after it.
struct Updating<'a> {
    block: &'a mut [Row<f32>],
    retention: Option<&'a [f32]>,
    edits: &'a [(&'a [f32], Row<f32>)],
    loss_weights: &'a [f32],
    found: &'a mut [Row<f32>; 2],
}

impl Routine for Updating<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: as the caller's.
        unsafe {
            match (self.edits, self.retention) {
                ([a, b], Some(retention)) => self.rows::<V, 2, true>([a, b], retention),
                ([a, b], None) => self.rows::<V, 2, false>([a, b], &[]),
                ([a], Some(retention)) => self.rows::<V, 1, true>([a], retention),
                ([a], None) => self.rows::<V, 1, false>([a], &[]),
                (_, Some(retention)) => self.rows::<V, 0, true>([], retention),
                (_, None) => self.rows::<V, 0, false>([], &[]),
            }
        }
    }
}

impl Updating<'_> {
    #[inline(always)]
    unsafe fn rows<V: Lanes, const N: usize, const DECAY: bool>(self, edits: [&(&[f32], Row<f32>); N], retention: &[f32]) {
        // SAFETY: the caller vouches for the instruction set; `update` has checked that there is a number for every row.
        unsafe {
            let values: [[V; W]; N] = std::array::from_fn(|n| std::array::from_fn(|w| V::load(edits[n].1.0.as_ptr().add(w * LANES))));
            let directions: [*const f32; N] = std::array::from_fn(|n| edits[n].0.as_ptr());
            let (alpha, loss) = (retention.as_ptr(), self.loss_weights.as_ptr());
            let mut energy = [V::splat(0.0); W];
            let mut lost = [V::splat(0.0); W];
            for (r, row) in self.block.iter_mut().enumerate() {
                let to = row.0.as_mut_ptr();
                let weight = V::splat(*loss.add(r));
                for w in 0..W {
                    let mut x = V::load(to.add(w * LANES));
                    if DECAY {
                        x = x.mul(V::splat(*alpha.add(r)));
                    }
                    for n in 0..N {
                        x = V::splat(*directions[n].add(r)).mul_add(values[n][w], x);
                    }
                    if DECAY || N > 0 {
                        x.store(to.add(w * LANES));
                    }
                    energy[w] = x.mul_add(x, energy[w]);
                    lost[w] = x.mul(weight).mul_add(x, lost[w]);
                }
            }
            for w in 0..W {
                energy[w].store(self.found[0].0.as_mut_ptr().add(w * LANES));
                lost[w].store(self.found[1].0.as_mut_ptr().add(w * LANES));
            }
        }
    }
}

/// At most three reads at once.
struct Reading<'a> {
    block: &'a [Row<f32>],
    weights: &'a [&'a [f32]],
    sums: &'a mut [Row<f32>],
}

impl Routine for Reading<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: as the caller's.
        unsafe {
            match *self.weights {
                [a, b, c] => self.rows::<V, 3>([a, b, c]),
                [a, b] => self.rows::<V, 2>([a, b]),
                [a] => self.rows::<V, 1>([a]),
                _ => {}
            }
        }
    }
}

impl Reading<'_> {
    #[inline(always)]
    unsafe fn rows<V: Lanes, const R: usize>(self, weights: [&[f32]; R]) {
        let weights: [*const f32; R] = weights.map(<[f32]>::as_ptr);
        // SAFETY: the caller vouches for the instruction set; `read` has checked that there is a weight for every row.
        unsafe {
            let mut sums = [[V::splat(0.0); W]; R];
            for (r, row) in self.block.iter().enumerate() {
                for w in 0..W {
                    let x = V::load(row.0.as_ptr().add(w * LANES));
                    for n in 0..R {
                        sums[n][w] = V::splat(*weights[n].add(r)).mul_add(x, sums[n][w]);
                    }
                }
            }
            for (sum, to) in sums.iter().zip(self.sums) {
                for w in 0..W {
                    sum[w].store(to.0.as_mut_ptr().add(w * LANES));
                }
            }
        }
    }
}
