//! One file per rule of the family: its equation, and how its factors lower to a decay and edits.
//!
//! Adding a rule is: a variant of [`Rule`] with its row in `Rule::factors`, a file here, a line in [`Factors::lower`], and
//! its formula written out naively in the tests.

mod comba;
mod deltanet;
mod eda;
mod gated_deltaproduct;
mod gdn;
mod gdn2;
mod gla;
mod kda;
mod linear_attention;
mod retnet;
mod rwkv7;

use ndarray::{Array4, ArrayView1, Axis};

use super::{Edit, EditKind, Factors, HookPoint, Read, Recurrence, Rule, Scalar, Shared3, Shared4};

impl<F: Scalar> Factors<F> {
    /// The decay and edits these factors stand for, ready for any engine.
    ///
    /// Retention is used as given by every rule, those without decay included (there it is 1). Arrays are shared where the
    /// rule uses a factor as it is.
    pub fn lower(&self) -> Recurrence<F> {
        match self.rule() {
            Rule::LinearAttention => linear_attention::lower(self),
            Rule::RetNet => retnet::lower(self),
            Rule::Gla => gla::lower(self),
            Rule::DeltaNet => deltanet::lower(self),
            Rule::Gdn => gdn::lower(self),
            Rule::Kda => kda::lower(self),
            Rule::Gdn2 => gdn2::lower(self),
            Rule::GatedDeltaProduct(n_writes) => gated_deltaproduct::lower(self, n_writes),
            Rule::Rwkv7 => rwkv7::lower(self),
            Rule::Comba => comba::lower(self),
            Rule::Eda => eda::lower(self),
        }
    }
}

/// The factors' own query, retention and initial memory, with these edits.
fn recurrence<F: Scalar>(factors: &Factors<F>, edits: Vec<Edit<F>>) -> Recurrence<F> {
    Recurrence {
        dims: factors.dims(),
        query: factors.channels(HookPoint::Query),
        retention: factors.channels(HookPoint::Retention),
        edits,
        initial_memory: factors.initial_memory().cloned(),
    }
}

/// `S <- S + k v^T`: the write of the additive rules.
fn additive_write<F: Scalar>(factors: &Factors<F>) -> Edit<F> {
    Edit {
        kind: EditKind::Write(0),
        strength: None,
        direction: factors.channels(HookPoint::WriteDirection(0)),
        read: Read::Nothing,
        value: Some(factors.channels(HookPoint::Value(0))),
    }
}

/// `S <- S + beta k (v - S^T k)^T`: the corrective write of the delta rules.
fn delta_write<F: Scalar>(factors: &Factors<F>, index: u8) -> Edit<F> {
    Edit {
        kind: EditKind::Write(index),
        strength: Some(factors.per_head(HookPoint::WriteStrength(index))),
        direction: factors.channels(HookPoint::WriteDirection(index)),
        read: Read::Direction,
        value: Some(factors.channels(HookPoint::Value(index))),
    }
}

/// A direction of key heads, scaled per channel of every head: [batch, step, head, d_k].
fn gated_direction<F: Scalar>(direction: &Shared4<F>, gate: &Shared4<F>) -> Array4<F> {
    per_lane(direction, gate.shape()[2], |index, lane| {
        lane.iter().zip(gate.slice(ndarray::s![index[0], index[1], index[2], ..])).map(|(&k, &b)| k * b).collect()
    })
}

/// A direction of key heads, scaled by one number per head: [batch, step, head, d_k].
fn scaled_direction<F: Scalar>(direction: &Shared4<F>, strength: &Shared3<F>) -> Array4<F> {
    per_lane(direction, strength.shape()[2], |index, lane| lane.iter().map(|&k| k * strength[index]).collect())
}

/// Every head's vector made from the vector of its key head; the index is [batch, step, head].
fn per_lane<F: Scalar>(grouped: &Shared4<F>, n_heads: usize, make: impl Fn([usize; 3], ArrayView1<F>) -> Vec<F>) -> Array4<F> {
    let (n_batch, n_steps, n_key_heads, width) = grouped.dim();
    let mut all = Array4::zeros((n_batch, n_steps, n_heads, width));
    for ((batch, step, head), mut lane) in ndarray::indices((n_batch, n_steps, n_heads)).into_iter().zip(all.lanes_mut(Axis(3))) {
        let made = make([batch, step, head], grouped.slice(ndarray::s![batch, step, head * n_key_heads / n_heads, ..]));
        lane.assign(&ArrayView1::from(&made));
    }
    all
}
