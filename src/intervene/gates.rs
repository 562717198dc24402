//! Single-gate knockouts of one read over every head: which erase, write or decay it hangs on. Any rule of the family.

use serde::{Deserialize, Serialize};

use super::knockout::{Query, decay_knockouts, knockouts, norm};
use super::words::{SequenceWords, StepWords};
use super::{HeadTape, InterveneError};
use crate::memory::EditKind;
use crate::trace::Trace;

/// Steps between two memories kept for the knockouts of decays.
const CHECKPOINT_EVERY: usize = 64;

/// What a step does that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// gamma := 0. RWKV-7: its whole removal.
    Erase,
    /// beta := 0, one write of the step at a time. Rules without a write gate: their whole write.
    Write,
    /// alpha := 1 on every channel of the step.
    Decay,
}

/// The knockout of one gate at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateChange {
    /// The layer's number in the model.
    pub layer: usize,
    /// Head.
    pub head: usize,
    /// Where.
    pub at: StepWords,
    /// Which gate.
    pub gate: Gate,
    /// gamma or beta as it is (1 where the rule has none); for a decay the mean retention over channels.
    pub strength: f64,
    /// Length of the change of the read without it, over the length of the read: exact.
    pub read_change: f64,
}

/// The knockouts of one kind that change the read at a step most, most first, over chosen layers and heads (`None`: all).
pub fn gate_changes(
    trace: &Trace,
    batch: usize,
    step: usize,
    layers: Option<&[usize]>,
    heads: Option<&[usize]>,
    gate: Gate,
    top: usize,
) -> Result<Vec<GateChange>, InterveneError> {
    let words = SequenceWords::of_trace(trace, batch)?;
    if step >= trace.n_steps() {
        let available = format!("steps 0 to {}", trace.n_steps().saturating_sub(1));
        return Err(InterveneError::OutOfRange { what: "step", index: step, available });
    }
    let mut found: Vec<(usize, usize, usize, f64, f64)> = Vec::new();
    for &layer in layers.unwrap_or_default() {
        trace.layer(layer)?;
    }
    for layer in trace.layers().iter().filter(|layer| layers.is_none_or(|layers| layers.contains(&layer.index))) {
        let recurrence = trace.factors(layer.index, batch..batch + 1, 0..step + 1)?.cast::<f64>().lower();
        let all: Vec<usize> = (0..layer.dims.head).collect();
        for &head in heads.unwrap_or(&all) {
            let tape = HeadTape::new(&recurrence, 0, head, CHECKPOINT_EVERY)?;
            let query = Query::output(&tape, step);
            let length = norm(tape.output(step)).max(f64::MIN_POSITIVE);
            let mut add = |at: usize, strength: f64, change: f64| found.push((layer.index, head, at, strength, change / length));
            if gate == Gate::Decay {
                for (at, effect) in decay_knockouts(&tape, &query)?.iter().enumerate() {
                    let retention = tape.retention(at);
                    add(at, retention.iter().sum::<f64>() / retention.len() as f64, norm(effect));
                }
                continue;
            }
            let swept = knockouts(&tape, &[query])?.remove(0);
            for (edit, _) in tape.edits().iter().enumerate().filter(|(_, kind)| (**kind == EditKind::Erase) == (gate == Gate::Erase)) {
                for (at, change) in swept.knockout_norms(&tape, edit).into_iter().enumerate() {
                    add(at, tape.strength(edit, at), change);
                }
            }
        }
    }
    found.sort_by(|a, b| b.4.total_cmp(&a.4).then((a.0, a.1, a.2).cmp(&(b.0, b.1, b.2))));
    let told = found.into_iter().take(top).map(|(layer, head, at, strength, read_change)| GateChange {
        layer,
        head,
        at: words.step(at),
        gate,
        strength,
        read_change,
    });
    Ok(told.collect())
}
