//! Linear attention (arXiv 2006.16236): `S_t = S_{t-1} + k_t v_t^T`.
//!
//! Retention is 1: nothing is ever forgotten, and a second write at a key adds to the first.

use super::{Factors, Recurrence, Scalar, additive_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    recurrence(factors, vec![additive_write(factors)])
}
