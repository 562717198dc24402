//! Who changes what a layer's memory does, and who asks what it would change.

use std::{collections::BTreeMap, sync::Arc};

use ndarray::ArrayD;

use crate::memory::{Factors, HookPoint, RecordOptions, Recording};

/// Runs the memory of a layer in place of the model's engine: an intervention.
///
/// An [`Observer`](super::Observer) hands one out ([`Observer::intervention`](super::Observer::intervention)); where it hands out
/// none, the model computes what it always computes, bit for bit. No gradient flows through a layer that is intervened on.
pub trait Intervene {
    /// What the layer's memory does: its output (and whatever `options` ask to keep) and the memory it ends with.
    ///
    /// `factors` are what the layer computed, with the memory it starts from; their first step is step `position` of the
    /// sequences. To change nothing is [`cpu::record`](crate::memory::cpu::record)`(&factors.lower(), options)`.
    fn run(
        &mut self,
        layer: usize,
        position: usize,
        factors: &Factors<f32>,
        options: &RecordOptions,
    ) -> Result<Recording, Box<dyn std::error::Error + Send + Sync>>;
}

/// Takes the gradient of some number with respect to every factor of a layer, by hook point, shaped as [`HookPoint::shape`] says,
/// when it flows back through the layer's memory.
pub type GradientSink = Arc<dyn Fn(&BTreeMap<HookPoint, ArrayD<f32>>) + Send + Sync>;
