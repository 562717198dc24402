//! What can keep an intervention from being made.

use crate::memory::{MemoryError, Rule};
use crate::trace::TraceError;

/// What can keep an intervention from being made.
#[derive(Debug, thiserror::Error)]
pub enum InterveneError {
    /// A spec that makes no sense.
    #[error("intervention: {0}")]
    Spec(String),
    /// The rule has no erase to change.
    #[error("layer {layer} has rule {rule}, which has no erase to change: leave the layer out of `layers`")]
    NoErase {
        /// The layer's number in the model.
        layer: usize,
        /// Its rule.
        rule: Rule,
    },
    /// The rule has no factor for a change.
    #[error("layer {layer} has rule {rule}, which has no factors for this change: it can be run, but not recorded as a trace")]
    NoFactor {
        /// The layer's number in the model.
        layer: usize,
        /// Its rule.
        rule: Rule,
    },
    /// A place the sequences do not have.
    #[error("{what} {index} is not there: available {available}")]
    OutOfRange {
        /// What was asked for: head, step, question and so on.
        what: &'static str,
        /// Its number.
        index: usize,
        /// What there is.
        available: String,
    },
    /// A block of steps does not hold what the intervention is about.
    #[error("step {write} was run in an earlier block than step {step}, so its write cannot be followed: run the sequence in one block")]
    EarlierBlock {
        /// The write's step.
        write: usize,
        /// The step of the intervention.
        step: usize,
    },
    /// As many lists of interventions as sequences are needed.
    #[error("{found} lists of interventions for {wanted} sequences: give one per sequence")]
    Rows {
        /// Lists given.
        found: usize,
        /// Sequences.
        wanted: usize,
    },
    /// The trace holds no truth table.
    #[error("the trace holds no truth table: {needs} needs one; record a task, or name a layer, head and step")]
    NoTruth {
        /// What needs it.
        needs: &'static str,
    },
    /// Factors that the equation does not allow.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}
