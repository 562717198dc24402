//! What can keep a network from being run again.

use crate::intervene::InterveneError;
use crate::model::ModelError;
use crate::trace::TraceError;

/// What can keep a network from being run again.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The trace was recorded from other weights.
    #[error(
        "the trace was recorded from weights {trace}, but the model has weights {model}: name the checkpoint it was recorded from with --model, or record it again"
    )]
    OtherWeights {
        /// Digest of the weights the trace was recorded from.
        trace: String,
        /// Digest of the model's weights.
        model: String,
    },
    /// The trace does not say which weights it was recorded from.
    #[error(
        "the trace does not say which weights it was recorded from (it was imported): total effects need a recording made with `pentimento record`"
    )]
    UnknownWeights,
    /// The model does not give the answers that the trace holds.
    #[error(
        "the model gives other answers than the trace holds (log-probabilities differ by up to {difference:.4} nats): record the trace again with this version"
    )]
    OtherAnswers {
        /// Largest difference of a log-probability, in nats.
        difference: f64,
    },
    /// Whoever watched it said so.
    #[error("cancelled")]
    Cancelled,
    /// The model could not be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The intervention cannot be made.
    #[error(transparent)]
    Intervene(#[from] InterveneError),
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl From<candle_core::Error> for NetworkError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
