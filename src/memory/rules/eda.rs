//! Erase-then-Delta Attention (arXiv 2606.26560):
//! `S_t = (I - beta_t k_t k_t^T) (I - gamma_t e_t e_t^T) diag(alpha_t) S_{t-1} + beta_t k_t v_t^T`.
//!
//! Decay, then erase, then write: the erase is a gradient step of 1/2 |S^T e|^2, the write one of 1/2 |S^T k - v|^2. The other
//! order would erase what was just written.

use super::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Scalar, delta_write, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    let erase = Edit {
        kind: EditKind::Erase,
        strength: Some(factors.per_head(HookPoint::EraseStrength)),
        direction: factors.channels(HookPoint::EraseDirection),
        read: Read::Direction,
        value: None,
    };
    recurrence(factors, vec![erase, delta_write(factors, 0)])
}
