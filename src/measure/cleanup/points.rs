//! The tokens themselves: what stands behind every point of the plot.

use serde::{Deserialize, Serialize};

use super::tokens::{place_of_axis, place_of_strength, strengths_of_run, survivals, window_retention};
use super::{DecayAxis, Strength};
use crate::ledger::HeadRecurrence;
use crate::measure::gates::Gates;
use crate::measure::source::{require_erase, walk};
use crate::measure::{HeadId, MeasureError, Source};

/// One token of one head in the plot of cleanup against decay. NaN where a number is not defined (before the first full window).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenPoint {
    /// The head.
    pub id: HeadId,
    /// The sequence (0-based).
    pub sequence: u32,
    /// The step (0-based).
    pub step: u32,
    decay: [f32; 2],
    strength: [f32; 4],
}

impl TokenPoint {
    /// x.
    pub fn decay(&self, axis: DecayAxis) -> f64 {
        f64::from(self.decay[place_of_axis(axis)])
    }

    /// y.
    pub fn strength(&self, strength: Strength) -> f64 {
        f64::from(self.strength[place_of_strength(strength)])
    }
}

/// Every token of every head whose rule has an erase, of the layers that `wanted` takes, by layer, sequence, head, step. The numbers
/// are those that [`cleanup`](super::cleanup) averages with the same `window`.
pub fn token_points(
    source: &(impl Source + ?Sized),
    window: usize,
    wanted: impl Fn(usize) -> bool,
) -> Result<Vec<TokenPoint>, MeasureError> {
    if window == 0 {
        return Err(MeasureError::Option { option: "window", value: 0.0, range: "at least 1" });
    }
    require_erase("cleanup against decay", &source.layers())?;
    let parts = walk(
        source,
        |info| info.rule.has_erase() && wanted(info.layer),
        |info, sequence, factors| {
            let decay = [Gates::of(factors).retention, window_retention(factors, window)];
            let without_erase = survivals(&factors.lower(), window, HeadRecurrence::without_erase);
            let strength = strengths_of_run(factors, window, &without_erase);
            let (n_heads, n_steps) = (factors.dims().head, factors.dims().step);
            let point = |head: usize, step: usize| TokenPoint {
                id: HeadId { layer: info.layer, head },
                sequence: sequence as u32,
                step: step as u32,
                decay: decay.each_ref().map(|x| x[[step, head]] as f32),
                strength: strength.each_ref().map(|y| y[[step, head]] as f32),
            };
            (0..n_heads)
                .flat_map(|head| (0..n_steps).map(move |step| (head, step)))
                .map(|(head, step)| point(head, step))
                .collect::<Vec<_>>()
        },
    )?;
    Ok(parts.into_iter().flat_map(|part| part.sequences).flatten().collect())
}
