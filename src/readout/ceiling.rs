//! The ceiling under every probe curve: what is left of the write that is asked about, among all else that memory holds.

use std::collections::BTreeMap;

use ndarray::{Array2, s};
use pentimento_probes::{
    Ceiling, GroupedScore, Metric, ProbeError, Targets,
    ceiling::{ValueModel, leverage},
};
use rayon::prelude::*;

use super::{
    ReadoutError, Target,
    sites::{Question, Site},
};
use crate::{
    memory::{EditKind, HookPoint, Phase, Read, Recurrence},
    trace::Trace,
};

/// Draws of the noise for one sample's expected accuracy.
const DRAWS: usize = 32;
/// Sequences read at once.
const BLOCK: usize = 32;

/// What a linear readout of one question, head and phase could reach.
pub(super) struct CeilingScore {
    /// Expected accuracy of the best linear classifier, one a sample.
    reached: Vec<f64>,
    /// R2 of each sample's write.
    r2: Vec<f64>,
    mean_r2: f64,
    noise: f64,
}

impl CeilingScore {
    /// Beside a score. Where the write tells nothing any more the ceiling is what chance scores: exclusion of values that are
    /// elsewhere in memory is in chance, not in the write.
    pub fn beside(&self, score: &GroupedScore, chance: f64, question: &Question) -> Result<Ceiling, ProbeError> {
        let floored = |(reached, r2): (&f64, &f64)| if *r2 > 1e-9 { reached.max(chance) } else { chance };
        let parts = self.reached.iter().zip(&self.r2).map(|sample| (floored(sample), 1.0));
        let ceiling = GroupedScore::from_samples(Metric::Accuracy, &question.groups, parts);
        Ok(Ceiling {
            estimate: question.resampling.estimate(&ceiling)?,
            excess: question.resampling.difference(score, &ceiling)?,
            mean_r2: self.mean_r2,
            noise: self.noise,
        })
    }
}

/// By question, head and phase.
pub(super) type Ceilings = BTreeMap<(usize, usize, Phase), CeilingScore>;

/// Of the questions whose target is a value that was written.
pub(super) fn ceilings(
    trace: &Trace,
    layer: usize,
    heads: &[usize],
    questions: &[Question],
    phases: &[Phase],
    noise: f64,
    seed: u64,
) -> Result<Ceilings, ReadoutError> {
    let mut ceilings = Ceilings::new();
    for (number, question) in questions.iter().enumerate() {
        let is_written = matches!(question.target, Target::Stale | Target::Current);
        let (Targets::Classes { labels, n_classes }, true) = (&question.tasks[0].1, is_written) else { continue };
        let found = look(trace, layer, heads, &question.sites, phases, noise)?;
        for (place, &head) in heads.iter().enumerate() {
            let d_v = found.first().map_or(0, |sample| sample.values[place].len());
            let values = Array2::from_shape_fn((found.len(), d_v), |(sample, channel)| found[sample].values[place][channel]);
            let model = ValueModel::new(values.view(), labels, *n_classes)?;
            for (index, &phase) in phases.iter().enumerate() {
                let r2: Vec<f64> = found.iter().map(|sample| sample.r2[place][index]).collect();
                let reached: Vec<f64> = labels
                    .par_iter()
                    .zip(&r2)
                    .enumerate()
                    .map(|(sample, (&class, &r2))| model.accuracy(class, r2, DRAWS, seed.wrapping_add(sample as u64)))
                    .collect();
                let mean_r2 = r2.iter().sum::<f64>() / r2.len().max(1) as f64;
                ceilings.insert((number, head, phase), CeilingScore { reached, r2, mean_r2, noise });
            }
        }
    }
    Ok(ceilings)
}

/// One sample: by head, and by phase within.
struct Sample {
    r2: Vec<Vec<f64>>,
    /// The value that was written, by head.
    values: Vec<Vec<f64>>,
}

fn look(trace: &Trace, layer: usize, heads: &[usize], sites: &[Site], phases: &[Phase], noise: f64) -> Result<Vec<Sample>, ReadoutError> {
    let mut samples: Vec<Sample> =
        sites.iter().map(|_| Sample { r2: vec![Vec::new(); heads.len()], values: vec![Vec::new(); heads.len()] }).collect();
    let mut start = 0;
    while start < sites.len() {
        let first = sites[start].sequence;
        let end = sites.partition_point(|site| site.sequence < first + BLOCK);
        let block = &sites[start..end];
        let last = block.iter().map(|site| site.step).max().unwrap_or(0);
        let n_sequences = block.last().map_or(1, |site| site.sequence + 1 - first);
        let factors = trace.factors(layer, first..first + n_sequences, 0..last + 1)?;
        let recurrence = factors.cast::<f64>().lower();
        let values = factors.channels(HookPoint::Value(0));
        let jobs: Vec<(&[Site], usize)> =
            block.chunk_by(|a, b| a.sequence == b.sequence).flat_map(|sites| (0..heads.len()).map(move |place| (sites, place))).collect();
        let found: Vec<Vec<Vec<f64>>> = jobs
            .par_iter()
            .map(|(sites, place)| leverages(&recurrence, sites[0].sequence - first, heads[*place], sites, phases, noise))
            .collect::<Result<_, ProbeError>>()?;
        for ((sites, place), r2) in jobs.iter().zip(found) {
            let offset = start + block.partition_point(|site| site.sequence < sites[0].sequence);
            for (index, (site, r2)) in sites.iter().zip(r2).enumerate() {
                let sample = &mut samples[offset + index];
                sample.r2[*place] = r2;
                let told = site.told_step.unwrap_or(site.step);
                let value = values.slice(s![site.sequence - first, told, heads[*place], ..]);
                sample.values[*place] = value.iter().map(|&value| f64::from(value)).collect();
            }
        }
        start = end;
    }
    Ok(samples)
}

/// R2 of the asked write at each phase of each site of one sequence and head.
fn leverages(
    recurrence: &Recurrence<f64>,
    batch: usize,
    head: usize,
    sites: &[Site],
    phases: &[Phase],
    noise: f64,
) -> Result<Vec<Vec<f64>>, ProbeError> {
    let d_k = recurrence.dims.d_k;
    let last = sites.iter().map(|site| site.step).max().unwrap_or(0);
    let mut found = vec![Vec::new(); sites.len()];
    let mut left = Left { rows: Vec::new(), steps: Vec::new() };
    for step in 0..=last {
        let mut at_phase = |phase: Phase, left: &Left| -> Result<(), ProbeError> {
            if !phases.contains(&phase) {
                return Ok(());
            }
            for (site, found) in sites.iter().zip(&mut found).filter(|(site, _)| site.step == step) {
                found.push(left.leverage_of(site.told_step, d_k, noise)?);
            }
            Ok(())
        };
        at_phase(Phase::Before, &left)?;
        let before = recurrence.edits.iter().any(|edit| matches!(edit.read, Read::BeforeDecay(_))).then(|| left.rows.clone());
        let retention = recurrence.lane(&recurrence.retention, batch, step, head);
        left.rows.iter_mut().for_each(|row| *row *= &retention);
        at_phase(Phase::Decay, &left)?;
        let n_erases = recurrence.n_edits_at(Phase::Erase);
        for (index, edit) in recurrence.edits.iter().enumerate() {
            if index == n_erases {
                at_phase(Phase::Erase, &left)?;
            }
            let strength = edit.strength.as_ref().map_or(1.0, |strength| strength[[batch, step, head]]);
            let direction = recurrence.lane(&edit.direction, batch, step, head);
            for (number, row) in left.rows.iter_mut().enumerate() {
                let read = match &edit.read {
                    Read::Nothing => continue,
                    Read::Direction => direction.dot(row),
                    Read::Other(read) => recurrence.lane(read, batch, step, head).dot(row),
                    Read::BeforeDecay(read) => {
                        let found = before.as_ref().and_then(|rows| rows.get(number));
                        found.map_or(0.0, |row| recurrence.lane(read, batch, step, head).dot(row))
                    }
                };
                row.scaled_add(-strength * read, &direction);
            }
            if matches!(edit.kind, EditKind::Write(_)) {
                left.rows.push(&direction * strength);
                left.steps.push(step);
            }
        }
        if n_erases == recurrence.edits.len() {
            at_phase(Phase::Erase, &left)?;
        }
        at_phase(Phase::Write, &left)?;
    }
    Ok(found)
}

/// What is left of every write so far: u_i \[d_k\] and the step it was made at.
struct Left {
    rows: Vec<ndarray::Array1<f64>>,
    steps: Vec<usize>,
}

impl Left {
    /// R2 of what was written at a step (the best of its writes).
    fn leverage_of(&self, told: Option<usize>, d_k: usize, noise: f64) -> Result<f64, ProbeError> {
        let Some(told) = told else { return Ok(0.0) };
        let own: Vec<usize> = (0..self.steps.len()).filter(|&write| self.steps[write] == told).collect();
        let energy = self.rows.iter().map(|row| row.dot(row)).sum::<f64>();
        if own.is_empty() || energy <= 0.0 {
            return Ok(0.0);
        }
        let traces = Array2::from_shape_fn((d_k, self.rows.len()), |(channel, write)| self.rows[write][channel]);
        let r2 = leverage(traces.view(), noise * energy / d_k as f64)?;
        Ok(own.into_iter().map(|write| r2[write]).fold(0.0, f64::max))
    }
}
