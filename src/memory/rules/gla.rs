//! Gated linear attention (arXiv 2312.06635): `S_t = diag(alpha_t) S_{t-1} + k_t v_t^T`, alpha_t per key channel.

use super::{Factors, Recurrence, Scalar, additive_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![additive_write(factors)])
}
