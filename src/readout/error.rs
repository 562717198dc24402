//! What can stand between a trace and its readouts.

use std::path::PathBuf;

use pentimento_probes::ProbeError;

use crate::trace::TraceError;

/// Why a trace cannot be read out.
#[derive(Debug, thiserror::Error)]
pub enum ReadoutError {
    /// The trace has no truth table.
    #[error("the trace has no labels, so nothing is known that could be read out: record it from a task: {}", .0.display())]
    NoLabels(PathBuf),
    /// The truth table does not belong to these sequences.
    #[error("the trace has labels for {found} sequences, but {wanted} sequences")]
    LabelCount {
        /// Labelled sequences.
        found: usize,
        /// Recorded sequences.
        wanted: usize,
    },
    /// The control trace was recorded from other sequences or another shape of model.
    #[error("the trace of the untrained model must hold the same sequences, layers and heads: {}", .0.display())]
    OtherSequences(PathBuf),
    /// No sample has what was asked for.
    #[error("nothing can be read out: {0}")]
    NothingToAsk(String),
    /// A head that the layer does not have.
    #[error("layer {layer} has no head {head}: it has {n_heads}")]
    Head {
        /// The layer.
        layer: usize,
        /// The head asked for.
        head: usize,
        /// Heads of the layer.
        n_heads: usize,
    },
    /// An option outside its range.
    #[error("the readout option '{option}' {problem}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Whoever waited for it waits no longer.
    #[error("stopped before the readouts were done")]
    Stopped,
    /// The bench's data cannot be written.
    #[error("cannot write the bench's data ({reason}): {}", path.display())]
    BenchData {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The statistics cannot be done.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}
