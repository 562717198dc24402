//! Who watches a model run.

use crate::memory::{Factors, RecordOptions, Recording};

use super::{GradientSink, Intervene};

/// Watches the memories of a model while it runs.
///
/// Watching never changes what the model computes: logits are bit-identical to those under [`NoObserver`]. Only an observer that
/// hands out an [intervention](Observer::intervention) changes something, and only in that layer and above it.
pub trait Observer {
    /// What to keep of a layer (counted over all layers of the model, from 0); `None`, the default, leaves the layer alone.
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        None
    }

    /// Takes what a layer computed: the inputs to its recurrence, and what the engine kept of the run. Called only for layers of
    /// which [`record_options`](Observer::record_options) asked for something; the default drops it.
    ///
    /// Under an intervention the factors are those the layer computed, the recording is that of the intervention.
    fn layer(
        &mut self,
        _layer: usize,
        _factors: Factors<f32>,
        _recording: Recording,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    /// Who runs the memory of a layer in the engine's place; `None`, the default, leaves it to the engine.
    fn intervention(&mut self, _layer: usize) -> Option<&mut dyn Intervene> {
        None
    }

    /// Who takes the gradients of a layer's factors when a number is differentiated; `None`, the default, is nobody. It is asked
    /// only where gradients flow: without a state, in layers that are neither recorded nor intervened on.
    fn gradient_sink(&self, _layer: usize) -> Option<GradientSink> {
        None
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
