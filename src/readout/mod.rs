//! Linear readouts of memory: (trace, truth table) -> samples -> fitted readouts -> probe cards.
//!
//! ```no_run
//! use pentimento::{readout::{ReadoutOptions, readouts}, trace::Trace};
//!
//! let trace = Trace::open("run.trace.zarr")?;
//! let result = readouts(&trace, None, &ReadoutOptions::default())?;
//! for card in &result.cards {
//!     println!("{}", card.to_markdown());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For every layer, head and phase a readout is asked what the memory (or the memory read at one address) says of the
//! superseded value, the current value, a value that was never written, and the content's age. Splits, intervals and
//! permutations have the sequence as their unit; every number comes on a [`ProbeCard`] with its controls (analysis of
//! arXiv 2606.26560's memory states; Hewitt and Liang, arXiv 1909.03368).
//!
//! This is the only module that knows both traces and probes.

mod error;
mod options;
mod sites;
mod features;
mod gather;
mod ceiling;
mod units;
mod extras;
mod erasure;
mod place;
mod watch;
pub mod partial;
pub mod bench;

pub use erasure::{ErasedScore, Erasure, OutputChange, What};
pub use error::ReadoutError;
pub use options::{Address, DENSE_NUMBERS, Extra, Feature, Place, ReadoutOptions, StateForm, Target};
pub use pentimento_probes::{
    Ceiling, ControlKind, ControlResult, Equivalence, Estimate, LogisticParams, Metric, ProbeCard, Readout, Standing, Table, Verdict, card,
    card::OverModels, render,
};
pub use place::{CardPlace, LayerHead};
pub use watch::GoOn;

use pentimento_probes::GroupedScore;
use serde::{Deserialize, Serialize};

use crate::{memory::Phase, task::Example, trace::Trace};

/// Everything the readouts of one trace say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readouts {
    /// What was asked for.
    pub options: ReadoutOptions,
    /// One per place, target, layer, head, feature and phase, in this order.
    pub cards: Vec<ProbeCard>,
    /// What each phase of a step did to decodability.
    pub comparisons: Vec<PhaseComparison>,
    /// What erasing the stale value did.
    pub erasures: Vec<Erasure>,
    /// What was left out and why.
    pub notices: Vec<String>,
}

/// One phase's score minus another's, paired over sequences: for example how much less of the stale value is decodable after
/// the erase than before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseComparison {
    /// Where samples were taken.
    pub place: Place,
    /// What was read out.
    pub target: Target,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// Of the memory, or of the read.
    pub feature: Feature,
    /// The earlier phase.
    pub from: Phase,
    /// The later phase.
    pub to: Phase,
    /// In the cards' metric.
    pub metric: Metric,
    /// Score at `to` minus score at `from`.
    pub difference: Estimate,
}

impl Readouts {
    /// All alarms of all cards, each with its place.
    pub fn alarms(&self) -> Vec<String> {
        self.cards.iter().flat_map(|card| card.alarms.iter().map(|alarm| format!("{}: {alarm}", card.place_name()))).collect()
    }

    /// What was found, in a few sentences: where the stale value is best readable, and what each phase of the step that supersedes
    /// it does to that.
    pub fn headline(&self) -> String {
        let beat_chance = |card: &&ProbeCard| card.adjusted_p_value.unwrap_or(card.p_value) < 0.05;
        let count = self.cards.iter().filter(beat_chance).count();
        let supported = self.cards.iter().filter(|card| card.standing() == Standing::Supported).count();
        let mut said = format!(
            "{count} of {} linear readouts beat chance after adjustment for all places tested, {supported} of them every control too.",
            self.cards.len()
        );
        let score = |row: &&PhaseComparison| {
            self.cards
                .iter()
                .find(|card| card.is_at(row.place, row.target, (row.layer, row.head), row.feature, row.from))
                .filter(beat_chance)
        };
        let stale = self.comparisons.iter().filter(|row| row.target == Target::Stale);
        if stale.clone().next().is_none() {
            return said;
        }
        let readable = stale.filter_map(|row| Some((row, score(&row)?)));
        // The earliest phase among equals.
        let Some((row, best)) = readable.reduce(|best, next| if next.1.score.value > best.1.score.value { next } else { best }) else {
            return said + " In none of them is the stale value readable in the step that supersedes it.";
        };
        said += &format!(
            " The stale value is best readable in layer {} head {} ({} {} at phase '{}', chance {:.3}; {} sequences).",
            row.layer,
            row.head,
            best.metric.name(),
            best.score,
            row.from,
            best.chance,
            best.n_groups
        );
        let same = |other: &&PhaseComparison| {
            (other.place, other.target, other.layer, other.head, other.feature) == (row.place, row.target, row.layer, row.head, row.feature)
        };
        let changes = self.comparisons.iter().filter(same).map(|change| {
            let verdict = if change.difference.excludes(0.0) { "changes it by" } else { "no change is seen:" };
            format!("{} {verdict} {}", change.to, change.difference)
        });
        said + &format!(" There, {}.", changes.collect::<Vec<_>>().join("; "))
    }

    /// What erasing the stale value did, one line per score.
    pub fn erasure_table(&self) -> Table {
        Erasure::table(&self.erasures)
    }

    /// One line per card.
    pub fn summary(&self) -> Table {
        card::summary("Linear readouts", &self.cards)
    }

    /// One line per comparison of phases.
    pub fn comparison_table(&self) -> Table {
        let columns = ["place", "target", "layer", "head", "feature", "from", "to", "metric", "change"].map(str::to_owned).to_vec();
        let rows = self.comparisons.iter().map(|row| {
            let words =
                [row.place.to_string(), row.target.to_string(), row.layer.to_string(), row.head.to_string(), row.feature.to_string()];
            let rest = [row.from.to_string(), row.to.to_string(), row.metric.name().to_owned(), row.difference.to_string()];
            words.into_iter().chain(rest).collect()
        });
        Table { title: "What each phase does to decodability".to_owned(), columns, rows: rows.collect() }
    }
}

/// Fits and judges all readouts that `options` asks for.
///
/// `untrained` is a trace of the same sequences recorded from a model that was never trained: with it every card gets that
/// control. The same trace, options and seed give the same numbers.
pub fn readouts(trace: &Trace, untrained: Option<&Trace>, options: &ReadoutOptions) -> Result<Readouts, ReadoutError> {
    readouts_watched(&[trace], untrained, options, &|_| true)
}

/// With the score of every card.
fn scored(
    trace: &Trace,
    untrained: Option<&Trace>,
    options: &ReadoutOptions,
    watch: &watch::Watch,
) -> Result<(Readouts, Vec<GroupedScore>), ReadoutError> {
    let examples: Vec<Example> = trace.labels()?.ok_or_else(|| ReadoutError::NoLabels(trace.path().to_path_buf()))?;
    if examples.len() != trace.n_batch() {
        return Err(ReadoutError::LabelCount { found: examples.len(), wanted: trace.n_batch() });
    }
    if let Some(other) = untrained
        && other.tokens()? != trace.tokens()?
    {
        return Err(ReadoutError::OtherSequences(other.path().to_path_buf()));
    }
    options.check()?;
    let layers = options.layers_of(trace)?;
    for &layer in &layers {
        options.heads_of(layer, trace.layer(layer)?.dims.head)?;
    }
    let mut notices = Vec::new();
    let questions = sites::ask(&examples, trace.n_steps(), options, &mut notices)?;
    if questions.is_empty() {
        return Err(ReadoutError::NothingToAsk(notices.join("; ")));
    }
    let mut found = units::Found::default();
    let n_layers = layers.len();
    for (index, layer) in layers.into_iter().enumerate() {
        units::read_layer(trace, untrained, layer, &questions, options, &watch.part(index, n_layers), &mut found)?;
    }
    units::adjust(&questions, &mut found.units)?;
    let (mut cards, scores): (Vec<ProbeCard>, Vec<GroupedScore>) = found.units.into_iter().map(|unit| (unit.card, unit.score)).unzip();
    card::judge(&mut cards, options.alarm_level);
    let readouts = Readouts { options: options.clone(), cards, comparisons: found.comparisons, erasures: found.erasures, notices };
    Ok((readouts, scores))
}

/// The same readouts of several models: runs of the same recipe from other seeds, each with its trace of its own or the same
/// sequences. The first trace's cards get the mean score over all models, its interval counting models and sequences.
pub fn readouts_over_models(traces: &[&Trace], untrained: Option<&Trace>, options: &ReadoutOptions) -> Result<Readouts, ReadoutError> {
    readouts_watched(traces, untrained, options, &|_| true)
}

/// The same for somebody who waits: `go_on` is told how far the work is, and ends it ([`ReadoutError::Stopped`]) by answering `false`.
pub fn readouts_watched(
    traces: &[&Trace],
    untrained: Option<&Trace>,
    options: &ReadoutOptions,
    go_on: GoOn,
) -> Result<Readouts, ReadoutError> {
    // All work below is spread over threads, so BLAS keeps to one each; and no number may depend on how many threads it has.
    let _one_thread = pentimento_probes::linalg::OneThread::new();
    let watch = watch::Watch::new(go_on);
    let (first, others) = traces.split_first().ok_or(ReadoutError::Option { option: "traces", problem: "is empty: name at least one" })?;
    let (mut readouts, scores) = scored(first, untrained, options, &watch.part(0, traces.len()))?;
    let mut by_place: Vec<Vec<GroupedScore>> = scores.into_iter().map(|score| vec![score]).collect();
    // Of the others only scores are wanted.
    let plain = ReadoutOptions { extras: Vec::new(), ..options.clone() };
    for (index, other) in others.iter().enumerate() {
        let (found, scores) = scored(other, None, &plain, &watch.part(index + 1, traces.len()))?;
        for (card, score) in found.cards.iter().zip(scores) {
            if let Some(index) = readouts.cards.iter().position(|known| known.place == card.place) {
                by_place[index].push(score);
            }
        }
    }
    for (card, scores) in readouts.cards.iter_mut().zip(by_place).filter(|(_, scores)| scores.len() > 1) {
        let estimate = pentimento_probes::uncertainty::hierarchical(&scores, options.level)?;
        card.over_models = Some(OverModels { estimate, n_models: scores.len() });
    }
    Ok(readouts)
}
