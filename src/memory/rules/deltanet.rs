//! DeltaNet (arXiv 2406.06484): `S_t = (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T`.
//!
//! Retention is 1: only a later write near the same key removes anything.

use super::{Factors, Recurrence, Scalar, delta_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![delta_write(factors, 0)])
}
