//! The step on a block of columns that stays in the first-level cache for a whole chunk.
//!
//! Columns of a memory never meet: a block of them runs through all steps alone. Every row of the block is loaded once per
//! step: it takes on the step's decay and edits (`s = alpha_i * s`, then `s = fma(direction_i, a, s)` per edit, as the replay
//! does), is stored, and is at once added to the reads of the next step while it still stands in registers.

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]
#![expect(clippy::needless_range_loop, reason = "loops over edits and vectors index several arrays in step, and must unroll")]

use super::count::{Any, Count, Exactly};
use super::lanes::{LANES, Lanes, Routine};
use super::prepare::{Prepared, coupling};

/// Where the rows of a chunk go. Pointers stand at the block's first column in the row of the chunk's first step.
pub(super) struct Sinks<'a> {
    /// From one step to the next in output, pseudo-values and residuals.
    pub step_stride: usize,
    pub output: Option<*mut f32>,
    /// Per edit: `a`.
    pub pseudo_values: &'a [*mut f32],
    /// Per edit: `value - S^T read`, so that a = strength * residual.
    pub residuals: &'a [*mut f32],
    /// Before, after decay, erase and write.
    pub dense: [Option<*mut f32>; 4],
    pub dense_step_stride: usize,
    pub dense_row_stride: usize,
    /// Whether rows of `dense` may be streamed past the caches: aligned, and whole vectors.
    pub stream: bool,
}

/// All steps of a chunk on one block of `W` vectors of columns.
pub(super) struct Steps<'a, const W: usize> {
    pub prepared: &'a Prepared<'a>,
    /// [d_k, W * 16], columns beyond `n_columns` zero; aligned to 64 bytes.
    pub memory: *mut f32,
    pub first_column: usize,
    /// Valid columns; the last vector may be partly filled.
    pub n_columns: usize,
    /// Edits made until the end of the erase phase.
    pub n_erases: usize,
    /// Pseudo-values per edit, where the sinks' rows would be: replays them instead of reading the memory.
    pub given: Option<&'a [*const f32]>,
    pub sinks: Sinks<'a>,
}

impl<const W: usize> Routine for Steps<'_, W> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: as the caller's.
        unsafe {
            match self.prepared.n_edits {
                1 => self.steps::<V, Exactly<1>>(),
                2 => self.steps::<V, Exactly<2>>(),
                3 => self.steps::<V, Exactly<3>>(),
                4 => self.steps::<V, Exactly<4>>(),
                _ => self.steps::<V, Any>(),
            }
        }
    }
}

impl<const W: usize> Steps<'_, W> {
    #[inline(always)]
    unsafe fn steps<V: Lanes, N: Count>(&self) {
        // SAFETY: as the caller's.
        unsafe { if self.sinks.dense.iter().any(Option::is_some) { self.chunk::<V, N, true>() } else { self.chunk::<V, N, false>() } }
    }

    #[inline(always)]
    unsafe fn chunk<V: Lanes, N: Count, const DENSE: bool>(&self) {
        let p = self.prepared;
        let n = N::edits(p.n_edits);
        // SAFETY: as the caller's; steps are in range.
        unsafe {
            let zero = [V::splat(0.0); W];
            let mut pass = Pass::<V, W, N> { reads: N::each(zero, n), query: zero, values: N::each(zero, n) };
            if let Some(given) = self.given {
                for t in 0..p.n_steps {
                    for j in 0..n {
                        let row = given[j].add(t * self.sinks.step_stride);
                        for w in 0..W {
                            pass.values[j][w] = V::load_part(row.add(w * LANES), self.n_columns - w * LANES);
                        }
                    }
                    self.pass::<V, N, true, false, DENSE>(&mut pass, t, t);
                }
                return;
            }
            self.pass::<V, N, false, true, false>(&mut pass, 0, 0);
            for t in 0..p.n_steps {
                self.correct(&mut pass, n, t);
                if t + 1 < p.n_steps {
                    self.pass::<V, N, true, true, DENSE>(&mut pass, t, t + 1);
                } else {
                    self.pass::<V, N, true, false, DENSE>(&mut pass, t, t);
                }
            }
        }
    }

    /// From the reads of the memory before the step to the pseudo-values and the output: the edits correct one another.
    #[inline(always)]
    unsafe fn correct<V: Lanes, N: Count>(&self, pass: &mut Pass<V, W, N>, n: usize, t: usize) {
        let p = self.prepared;
        let couplings = &p.couplings[t * p.n_couplings()..][..p.n_couplings()];
        // SAFETY: rows have `n_columns` numbers from the block's first column on.
        unsafe {
            for j in 0..n {
                let strength = V::splat(p.strengths[t * n + j]);
                let value = p.values[t * n + j];
                for w in 0..W {
                    let mut held = pass.reads[j][w];
                    for i in 0..j {
                        held = V::splat(couplings[coupling(j, i)]).mul_add(pass.values[i][w], held);
                    }
                    let value = match value {
                        Some(row) => V::load_part(row.as_ptr().add(self.first_column + w * LANES), self.n_columns - w * LANES),
                        None => V::splat(0.0),
                    };
                    let residual = value.sub(held);
                    pass.values[j][w] = strength.mul(residual);
                    if let Some(&to) = self.sinks.residuals.get(j) {
                        self.put(residual, to.add(t * self.sinks.step_stride), w);
                    }
                    if let Some(&to) = self.sinks.pseudo_values.get(j) {
                        self.put(pass.values[j][w], to.add(t * self.sinks.step_stride), w);
                    }
                }
            }
            if let Some(to) = self.sinks.output {
                for w in 0..W {
                    let mut output = pass.query[w];
                    for i in 0..n {
                        output = V::splat(couplings[coupling(n, i)]).mul_add(pass.values[i][w], output);
                    }
                    self.put(output, to.add(t * self.sinks.step_stride), w);
                }
            }
        }
    }

    /// Vector `w` of a row of the block's columns.
    #[inline(always)]
    unsafe fn put<V: Lanes>(&self, x: V, row: *mut f32, w: usize) {
        // SAFETY: the caller's row has `n_columns` numbers.
        unsafe { x.store_part(row.add(w * LANES), self.n_columns - w * LANES) }
    }

    /// Once over the rows: the update of step `t` with the pseudo-values, and the reads for step `next`.
    #[inline(always)]
    unsafe fn pass<V: Lanes, N: Count, const UPDATE: bool, const READ: bool, const DENSE: bool>(
        &self,
        pass: &mut Pass<V, W, N>,
        t: usize,
        next: usize,
    ) {
        let p = self.prepared;
        let n = N::edits(p.n_edits);
        let retention = p.retention[t].as_ptr();
        let mut directions = N::each(retention, n);
        let mut scaled = N::each(retention, n);
        for j in 0..n {
            directions[j] = p.directions[t * n + j].as_ptr();
            scaled[j] = p.scaled_reads[(next * (n + 1) + j) * p.padded..].as_ptr();
        }
        let scaled_query = p.scaled_reads[(next * (n + 1) + n) * p.padded..].as_ptr();
        // SAFETY: all rows have d_k numbers, the block d_k rows of W vectors.
        unsafe {
            let mut reads = N::each([V::splat(0.0); W], n);
            let mut query = [V::splat(0.0); W];
            let values = &pass.values;
            for i in 0..p.d_k {
                let row = self.memory.add(i * W * LANES);
                let mut x: [V; W] = [V::splat(0.0); W];
                for w in 0..W {
                    x[w] = V::load(row.add(w * LANES));
                }
                if UPDATE {
                    if DENSE {
                        self.emit(0, &x, t, i);
                    }
                    let alpha = V::splat(*retention.add(i));
                    for w in 0..W {
                        x[w] = alpha.mul(x[w]);
                    }
                    if DENSE {
                        self.emit(1, &x, t, i);
                    }
                    for j in 0..n {
                        if DENSE && j == self.n_erases {
                            self.emit(2, &x, t, i);
                        }
                        let direction = V::splat(*directions[j].add(i));
                        for w in 0..W {
                            x[w] = direction.mul_add(values[j][w], x[w]);
                        }
                    }
                    if DENSE {
                        if self.n_erases == n {
                            self.emit(2, &x, t, i);
                        }
                        self.emit(3, &x, t, i);
                    }
                    for w in 0..W {
                        x[w].store(row.add(w * LANES));
                    }
                }
                if READ {
                    for j in 0..n {
                        let read = V::splat(*scaled[j].add(i));
                        for w in 0..W {
                            reads[j][w] = read.mul_add(x[w], reads[j][w]);
                        }
                    }
                    let read = V::splat(*scaled_query.add(i));
                    for w in 0..W {
                        query[w] = read.mul_add(x[w], query[w]);
                    }
                }
            }
            pass.reads = reads;
            pass.query = query;
        }
    }

    /// Records row `i` at a phase of step `t`, if that phase is kept.
    #[inline(always)]
    unsafe fn emit<V: Lanes>(&self, phase: usize, x: &[V; W], t: usize, i: usize) {
        if let Some(to) = self.sinks.dense[phase] {
            // SAFETY: the caller's array has a row of `n_columns` numbers there, aligned if `stream`.
            unsafe {
                let to = to.add(t * self.sinks.dense_step_stride + i * self.sinks.dense_row_stride);
                for w in 0..W {
                    if self.sinks.stream { x[w].stream(to.add(w * LANES)) } else { self.put(x[w], to, w) }
                }
            }
        }
    }
}

/// What one pass over the rows leaves for the next step.
struct Pass<V: Lanes, const W: usize, N: Count> {
    /// `(alpha * c_j)^T S'`.
    reads: N::Of<[V; W]>,
    /// `(alpha * q)^T S'`.
    query: [V; W],
    /// `a_j`.
    values: N::Of<[V; W]>,
}
