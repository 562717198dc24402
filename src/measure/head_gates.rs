//! The gates of one head of one sequence, for a person who looks at them step by step.

use serde::{Deserialize, Serialize};

use super::{MeasureError, gates};
use crate::trace::Trace;

/// What a head does at every step of a sequence, each \[step\].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadGates {
    /// abar: retention averaged over channels, in (0, 1].
    pub retention: Vec<f64>,
    /// beta, the write strength, in (0, 1).
    pub write_strength: Vec<f64>,
    /// gamma, the erase strength, in (0, 1); 0 throughout for a rule without an erase.
    pub erase_strength: Vec<f64>,
    /// What stands in for a gate that the rule does not have, in a sentence.
    pub remark: Option<String>,
}

/// Reads the gates of one head of one sequence, all steps.
pub fn head_gates(trace: &Trace, layer: usize, head: usize, sequence: usize) -> Result<HeadGates, MeasureError> {
    let rule = trace.layer(layer)?.rule;
    let column = gates::of_head(trace, layer, head, sequence)?;
    let [retention, write_strength, erase_strength] = column;
    Ok(HeadGates { retention, write_strength, erase_strength, remark: gates::remark(rule) })
}
