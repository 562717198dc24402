//! What can keep a measure from being taken.

use crate::memory::MemoryError;
use crate::trace::TraceError;

/// What can keep a measure from being taken.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// No layer has what the measure is about.
    #[error(
        "{measure} needs an erase, but no layer's rule has one (rules: {rules}): measure a trace of eda or rwkv7, or leave this measure out"
    )]
    NoErase {
        /// The measure.
        measure: &'static str,
        /// The rules of the layers.
        rules: String,
    },
    /// Whoever asked no longer wants to know.
    #[error("cancelled")]
    Cancelled,
    /// There is nothing to measure.
    #[error("nothing to measure: {0}")]
    Empty(&'static str),
    /// An option outside its range.
    #[error("option '{option}' is {value}; it must be {range}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What it is.
        value: f64,
        /// The allowed range in words.
        range: &'static str,
    },
    /// A place that the trace does not have.
    #[error("{what} {index} is out of range: the trace has {count}, counted from 0")]
    Place {
        /// Head, sequence or step.
        what: &'static str,
        /// The one asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Factors that the equation does not allow.
    #[error("layer {layer}, sequence {sequence}: {source}")]
    Factors {
        /// The layer's number in the model.
        layer: usize,
        /// The sequence (0-based).
        sequence: usize,
        /// What is wrong with them.
        source: MemoryError,
    },
    /// Layers of one source disagree about the sequences.
    #[error("layer {layer} has {found} sequences, but the first layer has {wanted}: all layers must stand for the same sequences")]
    Sequences {
        /// The layer's number in the model.
        layer: usize,
        /// How many sequences it has.
        found: usize,
        /// How many the first layer has.
        wanted: usize,
    },
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}
