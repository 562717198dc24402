//! Places in a trace: one head of one sequence at one step, and what was found there.

use serde::{Deserialize, Serialize};

use super::{MeasureError, SequenceText, SequenceWords};
use crate::memory::HookPoint;
use crate::task::Example;
use crate::trace::{Trace, TraceError};

/// One head of one sequence at one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The layer's number in the model.
    pub layer: usize,
    /// The head of the layer.
    pub head: usize,
    /// The sequence.
    pub sequence: usize,
    /// The step.
    pub step: usize,
    /// Which write of the step, for rules that write several times.
    pub number: usize,
}

/// A place as it is typed: whatever is left out is where something is to be seen first ([`first_look`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WantedPlace {
    /// The layer's number in the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The head of the layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<usize>,
    /// The sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<usize>,
    /// The step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Which write of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
}

/// What a place is looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookFor {
    /// What happens at a step.
    Step,
    /// What becomes of a write.
    Write,
}

/// What was found at a place, with what its sequence says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen<T> {
    /// The place.
    pub place: Place,
    /// The words of its sequence.
    pub text: SequenceWords,
    /// What was found.
    pub found: T,
}

/// Where to look first in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstLook {
    /// The place.
    pub place: Place,
    /// The step of the write that goes stale there.
    pub write: Option<usize>,
}

impl From<Place> for WantedPlace {
    fn from(place: Place) -> Self {
        let Place { layer, head, sequence, step, number } = place;
        Self { layer: Some(layer), head: Some(head), sequence: Some(sequence), step: Some(step), number: Some(number) }
    }
}

impl WantedPlace {
    /// The place in a trace, or which part of it is beyond the trace.
    pub fn of(self, trace: &Trace, wanted: LookFor) -> Result<Place, MeasureError> {
        let first = first_look(trace);
        let step = if wanted == LookFor::Write { first.write.unwrap_or(first.place.step) } else { first.place.step };
        let layer = self.layer.unwrap_or(first.place.layer);
        let dims = trace.layer(layer)?.dims;
        let within = |what: &'static str, typed: Option<usize>, otherwise: usize, count: usize| match typed {
            Some(index) if index >= count => Err(MeasureError::Place { what, index, count }),
            Some(index) => Ok(index),
            None => Ok(otherwise.min(count.saturating_sub(1))),
        };
        Ok(Place {
            layer,
            head: within("head", self.head, first.place.head, dims.head)?,
            sequence: within("sequence", self.sequence, first.place.sequence, trace.n_batch())?,
            step: within("step", self.step, step, trace.n_steps())?,
            number: self.number.unwrap_or(0),
        })
    }
}

impl Place {
    /// The place in a few words, without its step.
    pub fn head_words(&self) -> String {
        format!("layer {} head {}, sequence {}", self.layer, self.head, self.sequence)
    }
}

impl<T> Seen<T> {
    /// What was found at a place of a trace.
    pub fn of(trace: &Trace, place: Place, found: T) -> Result<Self, TraceError> {
        Ok(Self { place, text: SequenceText::of_trace(trace)?.of_sequence(place.sequence), found })
    }
}

/// The strongest erase at a step where a fact goes stale, in the first sequence that has one; with no truth table, or no erase, the
/// middle of the first sequence: there a memory holds something and something is still to come.
pub fn first_look(trace: &Trace) -> FirstLook {
    let layer = trace.layers().first().map_or(0, |layer| layer.index);
    let middle = FirstLook { place: Place { layer, step: trace.n_steps() / 2, ..Place::default() }, write: None };
    // Whatever cannot be read is said where it is shown.
    stale_erase(trace).ok().flatten().unwrap_or(middle)
}

fn stale_erase(trace: &Trace) -> Result<Option<FirstLook>, TraceError> {
    let Some(examples) = trace.labels::<Example>()? else { return Ok(None) };
    let stale = |example: &Example| {
        let writes = example.writes.iter().filter_map(|write| Some((write.stale_at()?, write.position)));
        writes.filter(|(at, _)| *at < trace.n_steps()).min()
    };
    let first = examples.iter().take(trace.n_batch()).enumerate().find_map(|(sequence, example)| Some((sequence, stale(example)?)));
    let Some((sequence, (step, write))) = first else { return Ok(None) };
    let mut best: Option<(f32, Place)> = None;
    for layer in trace.layers().iter().filter(|layer| layer.rule.factors().contains(&HookPoint::EraseStrength)) {
        let gates = trace.stream(layer.index, HookPoint::EraseStrength, sequence..sequence + 1, step..step + 1)?;
        for (head, &gamma) in gates.iter().enumerate() {
            if gamma.is_finite() && best.as_ref().is_none_or(|(most, _)| gamma > *most) {
                best = Some((gamma, Place { layer: layer.index, head, sequence, step, number: 0 }));
            }
        }
    }
    let layer = trace.layers().first().map_or(0, |layer| layer.index);
    let place = best.map_or(Place { layer, sequence, step, ..Place::default() }, |(_, place)| place);
    Ok(Some(FirstLook { place, write: Some(write) }))
}
