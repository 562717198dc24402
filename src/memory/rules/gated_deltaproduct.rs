//! Gated DeltaProduct (arXiv 2502.10297): n delta writes a step,
//! `S <- alpha_t S_{t-1};  then for j = 0..n:  S <- (I - beta_j k_j k_j^T) S + beta_j k_j v_j^T`, alpha_t one number per head.
//!
//! A trace holds alpha_t on every key channel, so that all rules replay alike.

use super::{Factors, Recurrence, Scalar, delta_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>, n_writes: u8) -> Recurrence<F> {
    recurrence(factors, (0..n_writes).map(|index| delta_write(factors, index)).collect())
}
