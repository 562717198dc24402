//! Spectrum of memories: singular values and effective rank, how many directions a memory really uses.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::eigen::singular_values;
use super::replay::Replay;
use super::source::{LayerParts, n_sequences, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions};
use crate::memory::{Factors, Phase};

/// Options of the spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpectrumOptions {
    /// Phase of the step at which the memory is taken.
    pub phase: Phase,
    /// How many steps of each sequence, equally spaced and ending with the last.
    pub points: usize,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for SpectrumOptions {
    fn default() -> Self {
        Self { phase: Phase::Write, points: 4, statistics: StatisticsOptions::default() }
    }
}

/// Spectrum of a trace's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// How it was computed.
    pub options: SpectrumOptions,
    /// The steps (0-based) looked at, increasing.
    pub steps: Vec<usize>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadSpectrum>,
}

/// Spectrum of one head's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadSpectrum {
    /// Which head.
    pub id: HeadId,
    /// One per step looked at.
    pub steps: Vec<StepSpectrum>,
}

/// Memories of one head at one step, means over sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSpectrum {
    /// The step (0-based).
    pub step: usize,
    /// Mean singular values, largest first, as many as min(d_k, d_v).
    pub singular_values: Vec<f64>,
    /// Frobenius norm.
    pub norm: Option<Interval>,
    /// exp of the entropy of sigma_i / sum sigma, from 1 to min(d_k, d_v); `None` for zero memories.
    pub effective_rank: Option<Interval>,
    /// |S|_F^2 / sigma_1^2, from 1 to min(d_k, d_v); `None` for zero memories.
    pub stable_rank: Option<Interval>,
}

/// Spectrum of the memories of a source.
pub fn spectrum(source: &(impl Source + ?Sized), options: &SpectrumOptions) -> Result<Spectrum, MeasureError> {
    options.statistics.check()?;
    if options.points == 0 {
        return Err(MeasureError::Option { option: "points", value: 0.0, range: "at least 1" });
    }
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let steps = chosen_steps(layers[0].dims.step, options.points);
    let parts = walk(source, |_| true, |_, _, factors| sequence(factors, &steps, options.phase))?;
    let head = |part: &Part, head: usize| HeadSpectrum {
        id: HeadId { layer: part.info.layer, head },
        steps: steps.iter().enumerate().filter_map(|(place, &step)| summarise(part, head, place, step, &bootstrap)).collect(),
    };
    let heads = parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |index| (part, index)));
    let heads = heads.map(|(part, index)| head(part, index)).collect();
    Ok(Spectrum { options: options.clone(), steps, heads })
}

/// Equally spaced steps that end with the last.
fn chosen_steps(n_steps: usize, points: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = (1..=points).filter_map(|point| (point * n_steps / points).checked_sub(1)).collect();
    steps.dedup();
    steps
}

/// Singular values, [sequence][head][step]; steps a sequence does not reach are absent.
type Part = LayerParts<Vec<Vec<Vec<f64>>>>;

/// The singular values of one sequence, [head][step].
fn sequence(factors: &Factors<f32>, steps: &[usize], phase: Phase) -> Vec<Vec<Vec<f64>>> {
    let replay = Replay::new(factors);
    let head = |head| {
        let mut values = vec![];
        replay.visit(head, phase, |step, memory| {
            if steps.contains(&step) {
                values.push(singular_values(&memory.mapv(f64::from)));
            }
        });
        values
    };
    (0..factors.dims().head).into_par_iter().map(head).collect()
}

/// One head at one step; `None` if no sequence reaches it.
fn summarise(part: &Part, head: usize, place: usize, step: usize, bootstrap: &Bootstrap) -> Option<StepSpectrum> {
    let values: Vec<Option<&Vec<f64>>> = part.sequences.iter().map(|heads| heads[head].get(place)).collect();
    let reached: Vec<&Vec<f64>> = values.iter().flatten().copied().collect();
    let n_values = reached.first()?.len();
    let mean = |index: usize| reached.iter().map(|values| values[index]).sum::<f64>() / reached.len() as f64;
    let interval = |of: &dyn Fn(&[f64]) -> Option<f64>| {
        bootstrap.mean(&values.iter().map(|values| values.and_then(|values| of(values))).collect::<Vec<_>>())
    };
    Some(StepSpectrum {
        step,
        singular_values: (0..n_values).map(mean).collect(),
        norm: interval(&|values| Some(values.iter().map(|value| value * value).sum::<f64>().sqrt())),
        effective_rank: interval(&effective_rank),
        stable_rank: interval(&stable_rank),
    })
}

/// exp of the entropy of sigma_i / sum sigma (Roy and Vetterli 2007); `None` for a zero memory.
pub fn effective_rank(singular_values: &[f64]) -> Option<f64> {
    let sum: f64 = singular_values.iter().sum();
    let entropy = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
    (sum > 0.0).then(|| singular_values.iter().map(|value| entropy(value / sum)).sum::<f64>().exp())
}

/// |S|_F^2 / sigma_1^2; `None` for a zero memory.
pub fn stable_rank(singular_values: &[f64]) -> Option<f64> {
    let largest = singular_values.iter().copied().fold(0.0, f64::max);
    (largest > 0.0).then(|| singular_values.iter().map(|value| (value / largest).powi(2)).sum())
}

impl Spectrum {
    /// What was found, in plain sentences.
    pub fn headline(&self) -> String {
        let last = self.heads.iter().filter_map(|head| head.steps.last());
        let ranks: Vec<f64> = last.clone().filter_map(|step| Some(step.effective_rank.as_ref()?.estimate)).collect();
        let (Some(&step), Some(full)) = (self.steps.last(), last.map(|step| step.singular_values.len()).max()) else {
            return "No memory was looked at.".to_owned();
        };
        if ranks.is_empty() {
            return "Every memory is zero.".to_owned();
        }
        let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
        let (low, high) = ranks.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &rank| (low.min(rank), high.max(rank)));
        format!(
            "At step {step} memories have an effective rank of {mean:.1} of {full} (mean over {} heads, from {low:.1} to {high:.1}).",
            ranks.len()
        )
    }
}
