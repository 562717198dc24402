//! RWKV-7 (arXiv 2503.14456): `S_t = (diag(w_t) - (a_t * kh_t) kh_t^T) S_{t-1} + k_t v_t^T`.
//!
//! w_t is `retention`, kh_t the L2-normalised removal key (`erase_direction`), a_t the in-context learning rate per channel
//! (`erase_gate`). Decay and removal act on the same memory, so the removal reads the memory before decay; reading kh_t / w_t
//! after it is the same number, but not a finite one when w_t underflows.

use super::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Scalar, additive_write, gated_direction, recurrence};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    let removal_key = factors.channels(HookPoint::EraseDirection);
    let removal = Edit {
        kind: EditKind::Erase,
        strength: None,
        direction: gated_direction(&removal_key, &factors.channels(HookPoint::EraseGate)).into_shared(),
        read: Read::BeforeDecay(removal_key),
        value: None,
    };
    recurrence(factors, vec![removal, additive_write(factors)])
}
