//! Comba (Hu et al., 2026): `S_t = (alpha_t I - beta_t k_t p_t^T) S_{t-1} + beta_t k_t v_t^T`, read as
//! `o_t = S_t^T (q_t - D p_t)`, with p_t = d k_t, and alpha_t, d (`feedback`) and D (`output_correction`) one number per head.
//!
//! The removal reads the memory before decay at p_t; reading p_t / alpha_t after it is the same number, but not a finite one
//! when alpha_t underflows. The output correction is part of the lowered query.

use super::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Scalar, per_lane, recurrence, scaled_direction};

pub(super) fn lower<F: Scalar>(factors: &Factors<F>) -> Recurrence<F> {
    let direction = factors.channels(HookPoint::WriteDirection(0));
    let feedback = scaled_direction(&direction, &factors.per_head(HookPoint::Feedback)); // p_t
    let correction = factors.per_head(HookPoint::OutputCorrection);
    let query = per_lane(&factors.channels(HookPoint::Query), factors.dims().head, |index, query| {
        let [batch, step, head] = index;
        query.iter().zip(feedback.slice(ndarray::s![batch, step, head, ..])).map(|(&q, &p)| q - correction[index] * p).collect()
    });
    let write = Edit {
        kind: EditKind::Write(0),
        strength: Some(factors.per_head(HookPoint::WriteStrength(0))),
        direction,
        read: Read::BeforeDecay(feedback.into_shared()),
        value: Some(factors.channels(HookPoint::Value(0))),
    };
    Recurrence { query: query.into_shared(), ..recurrence(factors, vec![write]) }
}
