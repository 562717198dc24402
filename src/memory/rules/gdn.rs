//! Gated DeltaNet (arXiv 2412.06464): `S_t = (I - beta_t k_t k_t^T) alpha_t S_{t-1} + beta_t k_t v_t^T`, alpha_t one number
//! per head.
//!
//! A trace holds alpha_t on every key channel, so that all rules replay alike.

use super::{Factors, Recurrence, Scalar, delta_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![delta_write(factors, 0)])
}
