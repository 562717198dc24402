//! What any interventions change of a read, head by head: direct effects, where no model is at hand.

use serde::{Deserialize, Serialize};

use super::knockout::{dot, norm};
use super::{HeadTape, InterveneError, Intervention, Place, Row, SequenceWords, apply};
use crate::trace::Trace;

/// How a read of one head changes, its layer's inputs fixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadChange {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// Length of the read as it is.
    pub length: f64,
    /// Length of its change, over its own.
    pub change: f64,
    /// Cosine of the read before and after.
    pub cosine: f64,
}

/// What interventions change of the read at a step, for chosen layers and heads of one sequence (`None`: all), by exact replay in f64.
pub fn read_change(
    trace: &Trace,
    batch: usize,
    step: usize,
    layers: Option<&[usize]>,
    heads: Option<&[usize]>,
    interventions: &[Intervention],
    seed: u64,
) -> Result<Vec<ReadChange>, InterveneError> {
    let words = SequenceWords::of_trace(trace, batch)?;
    if step >= trace.n_steps() {
        let available = format!("steps 0 to {}", trace.n_steps().saturating_sub(1));
        return Err(InterveneError::OutOfRange { what: "step", index: step, available });
    }
    let superseded = words.superseded();
    let row = Row { interventions, sequence: batch as u64, superseded: &superseded };
    let mut changes = Vec::new();
    for layer in trace.layers().iter().filter(|layer| layers.is_none_or(|layers| layers.contains(&layer.index))) {
        let factors = trace.factors(layer.index, batch..batch + 1, 0..step + 1)?.cast::<f64>();
        let (as_it_is, changed) = (factors.lower(), apply(&factors, Place { layer: layer.index, position: 0, seed }, &[row])?);
        let all: Vec<usize> = (0..layer.dims.head).collect();
        for &head in heads.unwrap_or(&all) {
            let before = HeadTape::new(&as_it_is, 0, head, step + 1)?.output(step).to_vec();
            let after = HeadTape::new(&changed, 0, head, step + 1)?.output(step).to_vec();
            let difference: Vec<f64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
            let length = norm(&before);
            let both = length * norm(&after);
            changes.push(ReadChange {
                layer: layer.index,
                head,
                length,
                change: if length > 0.0 { norm(&difference) / length } else { 0.0 },
                cosine: if both > 0.0 { dot(&before, &after) / both } else { 0.0 },
            });
        }
    }
    Ok(changes)
}
