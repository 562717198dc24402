//! Kimi Delta Attention (arXiv 2510.26692): `S_t = (I - beta_t k_t k_t^T) diag(alpha_t) S_{t-1} + beta_t k_t v_t^T`, alpha_t
//! per key channel.

use super::{Factors, Recurrence, Scalar, delta_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![delta_write(factors, 0)])
}
