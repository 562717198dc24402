//! Where to look first in a trace: a token at which something is to be seen.

use super::selection::Selection;
use crate::memory::HookPoint;
use crate::task::Example;
use crate::trace::{Trace, TraceError};

/// The strongest erase at a step where a fact goes stale, in the first sequence that has one; with no truth table, or no erase, the
/// middle of the first sequence: there a memory holds something and something is still to come.
pub fn find(trace: &Trace) -> Selection {
    let layer = trace.layers().first().map_or(0, |layer| layer.index);
    let middle = Selection { layer, step: trace.n_steps() / 2, ..Selection::default() };
    // Whatever cannot be read is said where it is shown.
    stale_erase(trace).ok().flatten().unwrap_or(middle)
}

fn stale_erase(trace: &Trace) -> Result<Option<Selection>, TraceError> {
    let Some(examples) = trace.labels::<Example>()? else { return Ok(None) };
    let stale = |example: &Example| {
        let writes = example.writes.iter().filter_map(|write| Some((write.stale_at()?, write.position)));
        writes.filter(|(at, _)| *at < trace.n_steps()).min()
    };
    let first = examples.iter().take(trace.n_batch()).enumerate().find_map(|(sequence, example)| Some((sequence, stale(example)?)));
    let Some((sequence, (step, write))) = first else { return Ok(None) };
    let mut best: Option<(f32, Selection)> = None;
    for layer in trace.layers().iter().filter(|layer| layer.rule.factors().contains(&HookPoint::EraseStrength)) {
        let gates = trace.stream(layer.index, HookPoint::EraseStrength, sequence..sequence + 1, step..step + 1)?;
        for (head, &gamma) in gates.iter().enumerate() {
            if gamma.is_finite() && best.as_ref().is_none_or(|(most, _)| gamma > *most) {
                let place = Selection { sequence, layer: layer.index, head, step, write: Some(write), ..Selection::default() };
                best = Some((gamma, place));
            }
        }
    }
    let layer = trace.layers().first().map_or(0, |layer| layer.index);
    let without_erase = || Selection { sequence, layer, step, write: Some(write), ..Selection::default() };
    Ok(Some(best.map_or_else(without_erase, |(_, place)| place)))
}
