//! From the sums a backward sweep left per step to the gradients of query, retention, directions, reads and strengths.
//!
//! With y_j = S' r_j (the output's gradient g being the last r) and x_ji = r_j . a_i:
//!
//! ```text
//! query       alpha y_g + sum over i of x_gi direction_i
//! read j      alpha y_j + sum over i < j of x_ji direction_i        (y_j alone where the memory before decay is read)
//! direction j G a_j + x_gj q + sum over i > j of x_ij c_i
//! retention   rows of G * S' + q y_g + sum over j of c_j y_j        (without those that read before decay)
//! ```

#![expect(clippy::inline_always, reason = "compiled for an instruction set only where inlined into `Lanes::enter`")]

use super::adjoint::{Sums, row_vectors};
use super::lanes::{LANES, Lanes, Routine};
use super::layer::{Layer, LayerRead};
use super::prepare::{Prepared, coupling};

/// One edit's gradients at the chunk's first step.
pub(super) struct EditRows {
    pub strength: *mut f32,
    pub direction: *mut f32,
    pub read: Option<*mut f32>,
}

/// All steps of a chunk of one head.
pub(super) struct Finish<'a, 'b> {
    pub prepared: &'a Prepared<'a>,
    pub layer: &'a Layer<'b>,
    /// See [`super::adjoint::Sweep`].
    pub sums: *const f32,
    /// With room up to a multiple of sixteen.
    pub scalars: *mut f32,
    pub query: *mut f32,
    pub retention: *mut f32,
    pub edits: &'a [EditRows],
    pub n_heads: usize,
}

impl Routine for Finish<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let p = self.prepared;
        let n = p.n_edits;
        let n_scalars = p.n_couplings() + n;
        // SAFETY: as the caller's: scratch is laid out as `Sweep` says, gradients have a row per step and head.
        unsafe {
            // Each scalar's sixteen lanes become one number, in place: the sums come out before the lanes they replace.
            for group in 0..(p.n_steps * n_scalars).div_ceil(LANES) {
                let from = self.scalars.add(group * LANES * LANES);
                let mut rows = [V::splat(0.0); LANES];
                for (row, vector) in rows.iter_mut().enumerate() {
                    *vector = V::load(from.add(row * LANES));
                }
                V::sums(&rows).store(self.scalars.add(group * LANES));
            }
            for t in 0..p.n_steps {
                let scalars = std::slice::from_raw_parts(self.scalars.add(t * n_scalars), n_scalars);
                for (j, edit) in self.edits.iter().enumerate() {
                    *edit.strength.add(t * self.n_heads) = scalars[p.n_couplings() + j];
                }
                for k in (0..p.d_k).step_by(LANES) {
                    self.channels::<V>(t, k, scalars);
                }
            }
        }
    }
}

impl Finish<'_, '_> {
    /// Sixteen key channels of a step.
    #[inline(always)]
    unsafe fn channels<V: Lanes>(&self, t: usize, k: usize, scalars: &[f32]) {
        let p = self.prepared;
        let n = p.n_edits;
        let at = t * self.n_heads * p.d_k + k;
        let valid = p.d_k - k;
        // SAFETY: as for `run`.
        unsafe {
            let sum = |index: usize| V::load(self.sums.add((t * Sums::count(n) + index) * p.padded + k));
            let [alpha] = row_vectors::<V, 1>(p.retention[t], k);
            let [query] = row_vectors::<V, 1>(p.query[t], k);
            let by_output = sum(Sums::read(n, n));
            let mut grad_query = alpha.mul(by_output);
            let mut grad_retention = query.mul_add(by_output, sum(Sums::retention(n)));
            for j in 0..n {
                let [direction] = row_vectors::<V, 1>(p.directions[t * n + j], k);
                let by_query = V::splat(scalars[coupling(n, j)]);
                grad_query = by_query.mul_add(direction, grad_query);
                let mut grad_direction = by_query.mul_add(query, sum(Sums::direction(j)));
                for i in j + 1..n {
                    if let (Some(read), false) = (p.reads[t * n + i], self.reads_before_decay(i)) {
                        let [read] = row_vectors::<V, 1>(read, k);
                        grad_direction = V::splat(scalars[coupling(i, j)]).mul_add(read, grad_direction);
                    }
                }
                if let Some(read) = p.reads[t * n + j] {
                    let mut grad_read = sum(Sums::read(n, j));
                    if !self.reads_before_decay(j) {
                        let [read] = row_vectors::<V, 1>(read, k);
                        grad_retention = read.mul_add(grad_read, grad_retention);
                        grad_read = alpha.mul(grad_read);
                        for i in 0..j {
                            let [direction] = row_vectors::<V, 1>(p.directions[t * n + i], k);
                            grad_read = V::splat(scalars[coupling(j, i)]).mul_add(direction, grad_read);
                        }
                    }
                    match self.edits[j].read {
                        Some(to) => grad_read.store_part(to.add(at), valid),
                        None => grad_direction = grad_direction.add(grad_read),
                    }
                }
                grad_direction.store_part(self.edits[j].direction.add(at), valid);
            }
            grad_query.store_part(self.query.add(at), valid);
            grad_retention.store_part(self.retention.add(at), valid);
        }
    }

    #[inline(always)]
    fn reads_before_decay(&self, j: usize) -> bool {
        matches!(self.layer.edits[j].read, LayerRead::BeforeDecay(_))
    }
}
