//! Who watches a model run.

use crate::memory::{Factors, RecordOptions, Recording};

/// Watches the memories of a model while it runs.
///
/// Watching never changes what the model computes: logits are bit-identical to those under [`NoObserver`].
pub trait Observer {
    /// What to keep of a layer (counted over all layers of the model, from 0); `None` leaves the layer alone.
    fn record_options(&self, layer: usize) -> Option<RecordOptions>;

    /// Takes what a layer computed: the inputs to its recurrence, and what the engine kept of the run.
    fn layer(&mut self, layer: usize, factors: Factors<f32>, recording: Recording) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        None
    }

    fn layer(
        &mut self,
        _layer: usize,
        _factors: Factors<f32>,
        _recording: Recording,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}
