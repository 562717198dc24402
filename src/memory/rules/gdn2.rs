//! Gated DeltaNet-2 (arXiv 2605.22791): `S_t = (I - k_t (b_t * k_t)^T) diag(alpha_t) S_{t-1} + k_t (w_t * v_t)^T`.
//!
//! b_t (`read_gate`) weighs the key channels the correction reads, w_t (`value_gate`) the value channels it writes. With
//! b_t = w_t = beta_t this is KDA. The edit is oblique: it reads elsewhere than where it lands.

use super::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Scalar, gated_direction, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    let direction = factors.channels(HookPoint::WriteDirection(0));
    let read = gated_direction(&direction, &factors.channels(HookPoint::ReadGate));
    let value = &factors.channels(HookPoint::ValueGate) * &factors.channels(HookPoint::Value(0));
    recurrence(
        factors,
        vec![Edit {
            kind: EditKind::Write(0),
            strength: None,
            direction,
            read: Read::Other(read.into_shared()),
            value: Some(value.into_shared()),
        }],
    )
}
