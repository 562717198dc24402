//! The step backwards on a block of columns, transposed: a row is one value channel, its lanes are key channels.
//!
//! With S' the memory a step finds, G the gradient of the memory it leaves, g that of its output and r_j that of the read of
//! edit j, all sums over value channels (S' g, S' r_j, G a_j and the rows of G * S') are sums over rows, and only the n sums
//! over key channels `direction_j^T G` cross the lanes. As in the forward kernel these are taken in one round, from G before
//! any edit is undone, while its rows stand in registers for the update of the step after; then the edits correct one another:
//!
//! ```text
//! gradient of a_j = G^T direction_j + (q . direction_j) g + sum over i > j of (c_i . direction_j) r_i
//! r_j = -strength_j * gradient of a_j
//! G  <- alpha G + (alpha q) g^T + sum over j of (alpha c_j) r_j^T
//! ```

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]
#![expect(clippy::needless_range_loop, reason = "loops over edits and vectors index several arrays in step, and must unroll")]

use super::count::{Any, Count, Exactly};
use super::lanes::{LANES, Lanes, Routine};
use super::prepare::{Prepared, coupling};

/// A chunk of steps, backwards, for one block of value channels. All pointers but those of gradients are to scratch.
pub(super) struct Sweep<'a, const W: usize> {
    pub prepared: &'a Prepared<'a>,
    /// Value channels of the block up to a multiple of the lanes.
    pub n_rows: usize,
    /// [step, panel, row, W * 16]: the memory each step finds. The first is given, the others are made here.
    pub states: *mut f32,
    /// [panel, row, W * 16]: gradient of the memory after the chunk, replaced by that of the memory before it.
    pub gradient: *mut f32,
    /// [step, edit, row]: `a`.
    pub values: *const f32,
    /// [step, edit, row]: `value - S^T read`.
    pub residuals: *const f32,
    /// [step, row].
    pub grad_output: *const f32,
    /// [edit, row]: room for the gradients of the reads.
    pub grad_reads: *mut f32,
    /// [edit, row, 16]: room for sums over key channels.
    pub partial: *mut f32,
    /// [step, sum, padded], added to: see [`Sums`].
    pub sums: *mut f32,
    /// [step, scalar, 16], added to: `r_j . a_i` at the couplings' places (the output's gradient is the last r), then
    /// the gradients of the strengths.
    pub scalars: *mut f32,
    /// Per edit with a value: gradient of its value, at the block's first column in the row of the chunk's first step.
    pub grad_values: &'a [Option<*mut f32>],
    pub value_stride: usize,
    pub n_columns: usize,
}

/// Places of the sums over value channels within a step.
pub(super) struct Sums;

impl Sums {
    /// `G a_j`.
    pub const fn direction(j: usize) -> usize {
        j
    }
    /// Rows of `G * S'`.
    pub const fn retention(n_edits: usize) -> usize {
        n_edits
    }
    /// `S' r_j`; the output's gradient is the last r.
    pub const fn read(n_edits: usize, j: usize) -> usize {
        n_edits + 1 + j
    }
    /// How many.
    pub const fn count(n_edits: usize) -> usize {
        2 * n_edits + 2
    }
}

impl<const W: usize> Routine for Sweep<'_, W> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: as the caller's.
        unsafe {
            match self.prepared.n_edits {
                1 => self.chunk::<V, Exactly<1>>(),
                2 => self.chunk::<V, Exactly<2>>(),
                3 => self.chunk::<V, Exactly<3>>(),
                4 => self.chunk::<V, Exactly<4>>(),
                _ => self.chunk::<V, Any>(),
            }
        }
    }
}

impl<const W: usize> Sweep<'_, W> {
    #[inline(always)]
    unsafe fn chunk<V: Lanes, N: Count>(&self) {
        let last = self.prepared.n_steps - 1;
        // SAFETY: as the caller's; steps are in range.
        unsafe {
            for t in 0..last {
                self.advance::<V, N>(t);
            }
            self.pass::<V, N, false, true>(last, last);
            for t in (0..=last).rev() {
                self.correct::<V, N>(t);
                if t > 0 {
                    self.pass::<V, N, true, true>(t, t - 1);
                } else {
                    self.pass::<V, N, true, false>(t, t);
                }
            }
        }
    }

    /// From the memory step `t` finds to the one it leaves, as the forward kernel made it.
    #[inline(always)]
    unsafe fn advance<V: Lanes, N: Count>(&self, t: usize) {
        let p = self.prepared;
        let n = N::edits(p.n_edits);
        let n_panels = p.d_k.div_ceil(W * LANES);
        // SAFETY: states have room for all steps; rows are read as far as they go.
        unsafe {
            for panel in 0..n_panels {
                let k = panel * W * LANES;
                let alpha = row_vectors::<V, W>(p.retention[t], k);
                let mut directions = N::each([V::splat(0.0); W], n);
                for j in 0..n {
                    directions[j] = row_vectors(p.directions[t * n + j], k);
                }
                let from = self.states.add((t * n_panels + panel) * self.n_rows * W * LANES);
                let to = self.states.add(((t + 1) * n_panels + panel) * self.n_rows * W * LANES);
                let values = self.values.add(t * n * self.n_rows);
                for row in 0..self.n_rows {
                    let mut x = [V::splat(0.0); W];
                    for w in 0..W {
                        x[w] = alpha[w].mul(V::load(from.add((row * W + w) * LANES)));
                    }
                    for j in 0..n {
                        let a = V::splat(*values.add(j * self.n_rows + row));
                        for w in 0..W {
                            x[w] = directions[j][w].mul_add(a, x[w]);
                        }
                    }
                    for w in 0..W {
                        x[w].store(to.add((row * W + w) * LANES));
                    }
                }
            }
        }
    }

    /// From the sums over key channels to the gradients of pseudo-values, and from these to all that has no key channel.
    #[inline(always)]
    unsafe fn correct<V: Lanes, N: Count>(&self, t: usize) {
        let p = self.prepared;
        let n = N::edits(p.n_edits);
        let couplings = &p.couplings[t * p.n_couplings()..][..p.n_couplings()];
        let n_scalars = p.n_couplings() + n;
        // SAFETY: scratch has rows in whole vectors; gradients of values have `n_columns` numbers.
        unsafe {
            let scalar = |index: usize| self.scalars.add((t * n_scalars + index) * LANES);
            for group in 0..self.n_rows / LANES {
                let first = group * LANES;
                let output = V::load(self.grad_output.add(t * self.n_rows + first));
                let value = |j: usize| self.values.add((t * n + j) * self.n_rows + first);
                for j in (0..n).rev() {
                    let mut rows = [output; LANES];
                    for (row, vector) in rows.iter_mut().enumerate() {
                        *vector = V::load(self.partial.add((j * self.n_rows + first + row) * LANES));
                    }
                    let mut grad = V::splat(couplings[coupling(n, j)]).mul_add(output, V::sums(&rows));
                    for i in j + 1..n {
                        grad = V::splat(couplings[coupling(i, j)]).mul_add(V::load(self.grad_reads.add(i * self.n_rows + first)), grad);
                    }
                    let residual = V::load(self.residuals.add((t * n + j) * self.n_rows + first));
                    add_to(scalar(p.n_couplings() + j), grad.mul(residual));
                    let grad_value = V::splat(p.strengths[t * n + j]).mul(grad);
                    if let Some(to) = self.grad_values[j]
                        && first < self.n_columns
                    {
                        grad_value.store_part(to.add(t * self.value_stride + first), self.n_columns - first);
                    }
                    V::splat(0.0).sub(grad_value).store(self.grad_reads.add(j * self.n_rows + first));
                }
                for i in 0..n {
                    let a = V::load(value(i));
                    for j in i + 1..n {
                        add_to(scalar(coupling(j, i)), a.mul(V::load(self.grad_reads.add(j * self.n_rows + first))));
                    }
                    add_to(scalar(coupling(n, i)), a.mul(output));
                }
            }
        }
    }

    /// Once over the rows: undoes step `t`, adds to its sums, and takes the sums over key channels for step `next`.
    #[inline(always)]
    unsafe fn pass<V: Lanes, N: Count, const UNDO: bool, const READ: bool>(&self, t: usize, next: usize) {
        let p = self.prepared;
        let n = N::edits(p.n_edits);
        let n_panels = p.d_k.div_ceil(W * LANES);
        // SAFETY: scratch is laid out as documented; rows are read as far as they go.
        unsafe {
            for panel in 0..n_panels {
                let k = panel * W * LANES;
                let zero = [V::splat(0.0); W];
                let alpha = row_vectors::<V, W>(p.retention[t], k);
                let scaled = |j: usize| vectors::<V, W>(p.scaled_reads.as_ptr().add((t * (n + 1) + j) * p.padded + k));
                let query = scaled(n);
                let (mut reads, mut directions) = (N::each(zero, n), N::each(zero, n));
                for j in 0..n {
                    reads[j] = scaled(j);
                    directions[j] = row_vectors(p.directions[next * n + j], k);
                }
                let (mut by_value, mut by_retention, mut by_read, mut by_output) = (N::each(zero, n), zero, N::each(zero, n), zero);
                let values = self.values.add(t * n * self.n_rows);
                let outputs = self.grad_output.add(t * self.n_rows);
                for row in 0..self.n_rows {
                    let at = self.gradient.add((panel * self.n_rows + row) * W * LANES);
                    let mut g = vectors::<V, W>(at);
                    if UNDO {
                        let s = vectors::<V, W>(self.states.add(((t * n_panels + panel) * self.n_rows + row) * W * LANES));
                        for j in 0..n {
                            let a = V::splat(*values.add(j * self.n_rows + row));
                            for w in 0..W {
                                by_value[j][w] = g[w].mul_add(a, by_value[j][w]);
                            }
                        }
                        let output = V::splat(*outputs.add(row));
                        for w in 0..W {
                            by_retention[w] = g[w].mul_add(s[w], by_retention[w]);
                            by_output[w] = s[w].mul_add(output, by_output[w]);
                            g[w] = query[w].mul_add(output, alpha[w].mul(g[w]));
                        }
                        for j in 0..n {
                            let r = V::splat(*self.grad_reads.add(j * self.n_rows + row));
                            for w in 0..W {
                                by_read[j][w] = s[w].mul_add(r, by_read[j][w]);
                                g[w] = reads[j][w].mul_add(r, g[w]);
                            }
                        }
                        for w in 0..W {
                            g[w].store(at.add(w * LANES));
                        }
                    }
                    if READ {
                        for j in 0..n {
                            let to = self.partial.add((j * self.n_rows + row) * LANES);
                            let mut sum = if panel == 0 { directions[j][0].mul(g[0]) } else { directions[j][0].mul_add(g[0], V::load(to)) };
                            for w in 1..W {
                                sum = directions[j][w].mul_add(g[w], sum);
                            }
                            sum.store(to);
                        }
                    }
                }
                if UNDO {
                    let sums = |index: usize| self.sums.add((t * Sums::count(n) + index) * p.padded + k);
                    for w in 0..W {
                        for j in 0..n {
                            add_to(sums(Sums::direction(j)).add(w * LANES), by_value[j][w]);
                            add_to(sums(Sums::read(n, j)).add(w * LANES), by_read[j][w]);
                        }
                        add_to(sums(Sums::retention(n)).add(w * LANES), by_retention[w]);
                        add_to(sums(Sums::read(n, n)).add(w * LANES), by_output[w]);
                    }
                }
            }
        }
    }
}

/// `to += x`.
#[inline(always)]
unsafe fn add_to<V: Lanes>(to: *mut f32, x: V) {
    // SAFETY: the caller's pointer has room for a vector.
    unsafe { V::load(to).add(x).store(to) }
}

/// W vectors from `from` on.
#[inline(always)]
unsafe fn vectors<V: Lanes, const W: usize>(from: *const f32) -> [V; W] {
    // SAFETY: the caller vouches for W vectors.
    unsafe {
        let mut x = [V::splat(0.0); W];
        for w in 0..W {
            x[w] = V::load(from.add(w * LANES));
        }
        x
    }
}

/// W vectors of a row from number `start` on, zero beyond its end.
#[inline(always)]
pub(super) unsafe fn row_vectors<V: Lanes, const W: usize>(row: &[f32], start: usize) -> [V; W] {
    // SAFETY: `load_part` stops at the end of the row.
    unsafe {
        let mut x = [V::splat(0.0); W];
        for w in 0..W {
            let start = start + w * LANES;
            x[w] = V::load_part(row.as_ptr().wrapping_add(start), row.len().saturating_sub(start));
        }
        x
    }
}
