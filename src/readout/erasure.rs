//! Erasing what linearly tells the stale value, and seeing what that does: to readouts, and to what the layer reads.
//!
//! A readout shows what is decodable, not what is used. Here the subspace that tells the stale value is removed from the
//! memory (LEACE, arXiv 2306.03819) beside a random one of the same rank, and the layer's own read `S^T q` of the memory
//! without it is read out again: if the stale value goes and the current one stays, the subspace is the stale value's; if
//! both erasures do alike, nothing special was found.

use ndarray::{Array2, ArrayView1, s};
use pentimento_probes::{
    Estimate, Evaluated, GroupedScore, Metric, ProbeError, Table, Targets,
    erasure::{Erased, erase_and_evaluate},
    evaluate::{evaluate, evaluate_on},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Feature, Place, ReadoutOptions, Target,
    gather::{Gathered, Moment, Seen},
    sites::Question,
    units::{readout_for, seen},
};
use crate::memory::Phase;

/// What was asked of erased memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The stale value, by a readout fitted anew: what is still there.
    StaleRefitted,
    /// The current value, by a readout fitted anew: what the erasure took along.
    CurrentRefitted,
    /// The stale value, in what the layer reads at the step, by a readout that knew whole memories.
    StaleInOutput,
    /// The current value, likewise.
    CurrentInOutput,
}

impl What {
    /// The words on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaleRefitted => "stale, fitted anew",
            Self::CurrentRefitted => "current, fitted anew",
            Self::StaleInOutput => "stale, in the layer's read",
            Self::CurrentInOutput => "current, in the layer's read",
        }
    }
}

/// One score, with the memory whole and without each subspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasedScore {
    /// What was asked.
    pub what: What,
    /// Of the whole memory.
    pub whole: Estimate,
    /// Without what tells the stale value.
    pub without_concept: Estimate,
    /// Without a random subspace of the same rank.
    pub without_random: Estimate,
    /// Without the concept minus without the random one, paired.
    pub difference: Estimate,
}

/// How much the layer's read moves: `|o' - o| / |o|`, mean over samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputChange {
    /// Without what tells the stale value.
    pub without_concept: Estimate,
    /// Without a random subspace of the same rank.
    pub without_random: Estimate,
}

/// The erasure of the stale value from one head's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// Where samples were taken.
    pub place: Place,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// What was erased from.
    pub feature: Feature,
    /// At which phase.
    pub phase: Phase,
    /// Samples of which a stale and a current value are known.
    pub n_samples: usize,
    /// Dimensions erased, mean over folds.
    pub rank: f64,
    /// Dimensions the features vary in, mean over folds.
    pub n_dimensions: f64,
    /// Whether only the leading directions of the concept were erased, because whole it fills more than half of the dimensions.
    pub is_partial: bool,
    /// What came of it.
    pub scores: Vec<ErasedScore>,
    /// How much the layer's read moved; for the feature `state`, whose erasure has an effect on the read.
    pub output_change: Option<OutputChange>,
}

impl Erasure {
    /// One line per score.
    pub fn table(erasures: &[Self]) -> Table {
        let columns = [
            "place",
            "layer",
            "head",
            "feature",
            "phase",
            "rank of dimensions",
            "what",
            "whole",
            "without the concept",
            "without a random subspace",
            "concept minus random",
        ];
        let rows = erasures.iter().flat_map(|erasure| {
            let start = [
                erasure.place.to_string(),
                erasure.layer.to_string(),
                erasure.head.to_string(),
                erasure.feature.to_string(),
                erasure.phase.to_string(),
                format!("{:.0} of {:.0}{}", erasure.rank, erasure.n_dimensions, if erasure.is_partial { " (leading)" } else { "" }),
            ];
            let scores = erasure.scores.iter().map(|score| {
                [
                    score.what.name().to_owned(),
                    score.whole.to_string(),
                    score.without_concept.to_string(),
                    score.without_random.to_string(),
                    score.difference.to_string(),
                ]
            });
            let change = erasure.output_change.iter().map(|change| {
                [
                    "relative change of the layer's read".to_owned(),
                    String::new(),
                    change.without_concept.to_string(),
                    change.without_random.to_string(),
                    String::new(),
                ]
            });
            scores.chain(change).map(|cells| start.iter().cloned().chain(cells).collect::<Vec<String>>()).collect::<Vec<_>>()
        });
        Table {
            title: "Erasing what tells the stale value (LEACE), beside a random subspace of the same rank".to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }
    }
}

/// Erases the stale value from every head and feature of a question that asks for it: at the first phase of the step that
/// supersedes it (while it is there), elsewhere at the last.
pub(super) fn erasures(
    layer: usize,
    heads: &[usize],
    phases: &[Phase],
    gathered: &Gathered,
    questions: &[Question],
    options: &ReadoutOptions,
) -> Result<Vec<Erasure>, ProbeError> {
    let mut jobs: Vec<(usize, usize, Feature)> = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        let groups = question.current.chunk_by(|a, b| question.groups[a.0] == question.groups[b.0]).count();
        if question.target == Target::Stale && groups >= 4 * options.folds {
            for &head in heads {
                jobs.extend(options.features.iter().map(|&feature| (number, head, feature)));
            }
        }
    }
    jobs.par_iter()
        .filter_map(|&(number, head, feature)| {
            let question = &questions[number];
            let is_event = question.place == (Place::Superseding { lag: 0 });
            let phase = *if is_event { phases.first() } else { phases.last() }?;
            let features = gathered[&(number, Moment::At(phase), head, seen(feature))].formed()?;
            Some(Job { question, number, layer, head, feature, phase, gathered, options }.run(&features))
        })
        .collect()
}

struct Job<'a> {
    question: &'a Question,
    number: usize,
    layer: usize,
    head: usize,
    feature: Feature,
    phase: Phase,
    gathered: &'a Gathered,
    options: &'a ReadoutOptions,
}

impl Job<'_> {
    fn run(&self, features: &Array2<f64>) -> Result<Erasure, ProbeError> {
        let question = self.question;
        let samples: Vec<usize> = question.current.iter().map(|(sample, _)| *sample).collect();
        let groups: Vec<u64> = samples.iter().map(|&sample| question.groups[sample]).collect();
        let stale = question.tasks[0].1.select(&samples);
        let n_classes = question.n_classes.unwrap_or(0);
        let current = Targets::classes(question.current.iter().map(|(_, class)| *class).collect(), n_classes)?;
        let tasks = [stale.clone(), current];
        let readout = readout_for(&stale, self.options);
        let evaluation = self.options.evaluation();
        let features = features.select(ndarray::Axis(0), &samples);
        let found = erase_and_evaluate(&features, &stale, &tasks, &groups, &readout, &evaluation)?;
        let whole = evaluate(&features, &tasks, &groups, &readout, &evaluation)?;
        let resampling = self.options.bootstrap().draw(whole[0].score().n_groups())?;
        let scored = |what, whole: &Evaluated, concept: &Evaluated, random: &Evaluated| {
            let (whole, concept, random) = (whole.score(), concept.score(), random.score());
            Ok::<_, ProbeError>(ErasedScore {
                what,
                whole: resampling.estimate(&whole)?,
                without_concept: resampling.estimate(&concept)?,
                without_random: resampling.estimate(&random)?,
                difference: resampling.difference(&concept, &random)?,
            })
        };
        let [concept, random] = &found;
        let mut scores = vec![
            scored(What::StaleRefitted, &whole[0], &concept.refitted[0], &random.refitted[0])?,
            scored(What::CurrentRefitted, &whole[1], &concept.refitted[1], &random.refitted[1])?,
        ];
        let mut output_change = None;
        if self.feature == Feature::State
            && let Some(reads) = self.reads(&samples, &found)
        {
            let asked = |other: &Array2<f64>| evaluate_on(&reads.whole, other, &tasks, &groups, &readout, &evaluation);
            let (before, concept, random) = (asked(&reads.whole)?, asked(&reads.without[0])?, asked(&reads.without[1])?);
            scores.push(scored(What::StaleInOutput, &before[0], &concept[0], &random[0])?);
            scores.push(scored(What::CurrentInOutput, &before[1], &concept[1], &random[1])?);
            let change = |erased: &Array2<f64>| resampling.estimate(&relative_change(&reads.whole, erased, &groups));
            output_change = Some(OutputChange { without_concept: change(&reads.without[0])?, without_random: change(&reads.without[1])? });
        }
        Ok(Erasure {
            place: question.place,
            layer: self.layer,
            head: self.head,
            feature: self.feature,
            phase: self.phase,
            n_samples: samples.len(),
            rank: concept.rank,
            n_dimensions: concept.n_dimensions,
            is_partial: concept.is_partial,
            scores,
            output_change,
        })
    }

    /// The layer's read at each sample, with the memory whole and without each subspace.
    fn reads(&self, samples: &[usize], found: &[Erased; 2]) -> Option<Reads> {
        let of = |seen| self.gathered.get(&(self.number, Moment::At(self.phase), self.head, seen))?.formed();
        let whole = of(Seen::Output)?.select(ndarray::Axis(0), samples);
        let queries = of(Seen::Query)?.select(ndarray::Axis(0), samples);
        let d_v = whole.ncols();
        let without = found.each_ref().map(|erased| {
            let mut reads = whole.clone();
            for ((mut read, change), query) in reads.rows_mut().into_iter().zip(erased.change.rows()).zip(queries.rows()) {
                // The change is of S, row by row: o' = o + change^T q.
                for (channel, &q) in query.iter().enumerate() {
                    read.scaled_add(q, &change.slice(s![channel * d_v..(channel + 1) * d_v]));
                }
            }
            reads
        });
        Some(Reads { whole, without })
    }
}

/// What the layer reads, with the memory whole and without each subspace.
struct Reads {
    whole: Array2<f64>,
    without: [Array2<f64>; 2],
}

fn relative_change(whole: &Array2<f64>, erased: &Array2<f64>, groups: &[u64]) -> GroupedScore {
    let norm = |row: ArrayView1<f64>| row.dot(&row).sqrt();
    let parts = whole.rows().into_iter().zip(erased.rows()).map(|(whole, erased)| {
        let moved = norm((&erased - &whole).view());
        (if moved > 0.0 { moved / norm(whole).max(f64::MIN_POSITIVE) } else { 0.0 }, 1.0)
    });
    GroupedScore::from_samples(Metric::R2, groups, parts)
}
