//! RetNet (arXiv 2307.08621) and Mamba-2-like rules: `S_t = alpha_t S_{t-1} + k_t v_t^T`, alpha_t one number per head.
//!
//! A trace holds alpha_t on every key channel, so that all rules replay alike.

use super::{Factors, Recurrence, Scalar, additive_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![additive_write(factors)])
}
