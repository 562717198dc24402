//! Without the `cuda` feature: what the recurrence on a card answers.

use candle_core::{CudaStorage, Device, Layout, Tensor};

use crate::memory::{RecordOptions, Recording, Shared4};

use super::super::ModelError;
use super::CardLayer;

/// What a forward pass would keep.
pub enum Tape {}

fn missing<T>(layer: &CardLayer) -> Result<T, ModelError> {
    let rule = layer.rule;
    Err(ModelError::Config(format!("a memory of {rule} on a card: this build has no `cuda` feature; rebuild with --features cuda")))
}

pub fn forward(layer: &CardLayer, _: &CudaStorage, _: &Layout, _: bool) -> Result<(CudaStorage, Option<Tape>), ModelError> {
    missing(layer)
}

pub fn backward(_: &CardLayer, _: &Tensor, tape: Tape, _: &Tensor) -> Result<Tensor, ModelError> {
    match tape {}
}

pub fn record(layer: &CardLayer, _: &Tensor, _: Option<&Shared4<f32>>, _: &RecordOptions) -> Result<Recording, ModelError> {
    missing(layer)
}

pub const fn keep_freed_memory(_: &Device) {}
