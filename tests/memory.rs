//! The equation: the reference against formulas, identities and golden numbers; every other implementation against the reference.

mod check;
mod chunk_gradient;
mod chunkwise;
mod energy;
mod gate;
mod golden;
mod identities;
pub(crate) mod naive;
mod replay;
mod rules;
pub(crate) mod sample;
