//! The probe card: no number leaves without what it estimates, how it was split, how sure it is, and its controls.

use serde::{Deserialize, Serialize};

use crate::{CodeLength, Equivalence, Estimate, Metric, ceiling::Ceiling, multiple::benjamini_hochberg};

/// What a control asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// Targets exchanged between groups, readout refitted.
    LabelPermutation,
    /// Hewitt and Liang's control task: a random class per key.
    ControlTask,
    /// The same readout of a model that was never trained.
    UntrainedModel,
    /// The memory before the content was written.
    BeforeTheWrite,
    /// A value that was never written.
    NeverWritten,
    /// The memory of another head.
    WrongHead,
    /// The most frequent class, or the mean.
    Majority,
    /// The norm of the features alone.
    NormOnly,
    /// The input at the sample's place alone.
    InputOnly,
    /// The address of a read alone, without the memory it reads.
    AddressOnly,
}

impl ControlKind {
    /// The words on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LabelPermutation => "label permutation",
            Self::ControlTask => "control task",
            Self::UntrainedModel => "untrained model",
            Self::BeforeTheWrite => "state before the write",
            Self::NeverWritten => "never-written value",
            Self::WrongHead => "wrong head",
            Self::Majority => "majority",
            Self::NormOnly => "norm only",
            Self::InputOnly => "input only",
            Self::AddressOnly => "address only",
        }
    }

    /// What it may mean when this negative control beats chance; what to look for first.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::LabelPermutation => {
                "exchanged targets are still read out, so fitting or judging sees the targets it is judged by: look for samples of one sequence on both sides of a split, or for targets that hardly change when exchanged"
            }
            Self::BeforeTheWrite => {
                "the target is read out of a memory that cannot hold it yet, so it comes from elsewhere: the address of the read, the position, or an earlier mention of the value gives it away"
            }
            Self::NeverWritten => {
                "a value that was never written is read out, so targets can be guessed from what else is in the sequence: look for foils that are not drawn at random, or for a null that ignores which values are taken"
            }
            _ => "this control may beat chance; the score must beat it",
        }
    }

    /// What an honest analysis expects of it.
    pub const fn expectation(self) -> Expectation {
        match self {
            Self::LabelPermutation | Self::BeforeTheWrite | Self::NeverWritten => Expectation::Chance,
            Self::ControlTask
            | Self::UntrainedModel
            | Self::WrongHead
            | Self::Majority
            | Self::NormOnly
            | Self::InputOnly
            | Self::AddressOnly => Expectation::Below,
        }
    }
}

/// What is expected of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// It must not beat chance: a negative control. If it does, something leaks.
    Chance,
    /// It may beat chance, but the score must beat it for the claim to hold.
    Below,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    Passed,
    /// The score does not beat this control: the claim is not supported. Not an error.
    NotBeaten,
    /// A negative control came out significant.
    Alarm,
}

impl Verdict {
    /// The word on screen; an alarm is shouted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotBeaten => "not beaten",
            Self::Alarm => "ALARM",
        }
    }
}

/// One control with its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlResult {
    /// Which.
    pub kind: ControlKind,
    /// Its own score, in the card's metric.
    pub estimate: Estimate,
    /// The card's score minus the control's, paired where both are over the same groups.
    pub difference: Option<Estimate>,
    /// That it is no better than its own null.
    pub p_value: Option<f64>,
    /// The same, adjusted for all negative controls judged together.
    pub adjusted_p_value: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

impl ControlResult {
    /// Whether it is better than its own null, judged alone.
    pub fn beats_chance(&self) -> bool {
        self.p_value.is_some_and(|p| p <= LEVEL)
    }

    /// A control that is not judged yet: [`judge`] does that for all cards of an analysis together.
    pub const fn new(kind: ControlKind, estimate: Estimate, difference: Option<Estimate>, p_value: Option<f64>) -> Self {
        Self { kind, estimate, difference, p_value, adjusted_p_value: None, verdict: Verdict::Passed }
    }
}

/// One readout's result with everything needed to believe it, or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeCard {
    /// What the score estimates, in one sentence.
    pub estimand: String,
    /// Where it was read: names and values in order, for example layer, head, phase, feature, target.
    pub place: Vec<(String, String)>,
    /// Which readout.
    pub readout: String,
    /// What the score counts.
    pub metric: Metric,
    /// Samples.
    pub n_samples: usize,
    /// Groups (sequences), the unit of splits, intervals and permutations.
    pub n_groups: usize,
    /// Channels of a sample.
    pub n_channels: usize,
    /// Classes; `None` for vectors.
    pub n_classes: Option<usize>,
    /// Test parts, by group.
    pub n_folds: usize,
    /// Penalty chosen in each fold.
    pub penalties: Vec<f64>,
    /// The score with its interval.
    pub score: Estimate,
    /// Mean score under the null: what a readout refitted on exchanged or redrawn targets scores on them.
    pub chance: f64,
    /// Of a ridge readout of the same features (its penalty chosen by generalised cross-validation) against that null.
    pub p_value: f64,
    /// The same, adjusted for all places tested together by max-T; `None` for a single card.
    pub adjusted_p_value: Option<f64>,
    /// The smallest excess over chance that would have been found.
    pub minimum_detectable: Option<MinimumDetectable>,
    /// V-information in bits a sample, V being linear logistic readouts (Xu et al., arXiv 2002.10689): held-out gain in log2
    /// probability of the true class over the class shares.
    pub information: Option<Estimate>,
    /// Online code length of the labels given the features.
    pub description_length: Option<CodeLength>,
    /// What a linear readout could reach at best.
    pub ceiling: Option<Ceiling>,
    /// Whether nothing is shown to be there.
    pub equivalence: Option<Equivalence>,
    /// The mean score over several models (seeds of training), its interval counting models and sequences.
    pub over_models: Option<OverModels>,
    /// What the model answers without what tells the target: the concept erased from this head's read where questions are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<ErasedAnswers>,
    /// Every control.
    pub controls: Vec<ControlResult>,
    /// What must not be overlooked: why the card is red. Empty when all negative controls are at chance and no ceiling is broken.
    pub alarms: Vec<String>,
    /// What else must be known to read the score rightly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// The smallest excess over chance that would have been found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinimumDetectable {
    /// Level of the test.
    pub level: f64,
    /// How often it would have been found.
    pub power: f64,
    /// Judged alone.
    pub alone: f64,
    /// Judged together with all places tested (max-T); `None` for a single card.
    pub together: Option<f64>,
}

/// What a model answers when a concept is erased inside it, beside random subspaces of the same rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasedAnswers {
    /// Dimensions erased, mean over folds.
    pub rank: f64,
    /// Dimensions the features vary in, mean over folds.
    pub n_dimensions: f64,
    /// Random subspaces, whose mean is taken.
    pub n_random: usize,
    /// One per kind of answer.
    pub changes: Vec<AnswerChange>,
}

/// The change of one kind of answer's log-probability, in nats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerChange {
    /// Which answer: right, stale, never written.
    pub answer: String,
    /// Without what tells the concept.
    pub without_concept: Estimate,
    /// Without a random subspace.
    pub without_random: Estimate,
    /// The first minus the second, paired.
    pub difference: Estimate,
}

/// A score over several models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverModels {
    /// The mean, with an interval that counts both models and sequences.
    pub estimate: Estimate,
    /// How many models.
    pub n_models: usize,
}

/// What a card says, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A negative control or a ceiling failed: do not trust the score.
    Red,
    /// Beats chance and every control.
    Supported,
    /// Beats chance, but not every control.
    NotBeyondControls,
    /// Does not beat chance.
    NotFound,
}

impl Standing {
    /// The words on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "RED: do not trust this card before you know why",
            Self::Supported => "supported: beats chance and every control",
            Self::NotBeyondControls => "beats chance, but not every control",
            Self::NotFound => "not found: does not beat chance",
        }
    }
}

/// The level at which a card says that its score beats chance.
pub const LEVEL: f64 = 0.05;

/// Judges the controls and ceilings of all cards of an analysis together and raises their alarms.
///
/// Negative controls are adjusted by Benjamini and Hochberg over all of them, so that many cards do not cry wolf. A control
/// the score must beat is beaten when the interval of the difference lies above 0.
pub fn judge(cards: &mut [ProbeCard], level: f64) {
    let is_negative = |control: &ControlResult| control.kind.expectation() == Expectation::Chance;
    let p_values: Vec<f64> =
        cards.iter().flat_map(|card| &card.controls).filter(|control| is_negative(control)).filter_map(|control| control.p_value).collect();
    let mut adjusted = benjamini_hochberg(&p_values).into_iter();
    for card in cards {
        card.alarms.clear();
        card.remarks.clear();
        for control in &mut card.controls {
            if is_negative(control) {
                control.adjusted_p_value = control.p_value.and_then(|_| adjusted.next());
                let significant = control.adjusted_p_value.is_some_and(|p| p <= level);
                control.verdict = if significant { Verdict::Alarm } else { Verdict::Passed };
                if significant {
                    let p = control.adjusted_p_value.unwrap_or(1.0);
                    card.alarms.push(format!(
                        "the negative control '{}' scores {} where chance is due (adjusted p = {p:.4}). It may mean: {}",
                        control.kind.name(),
                        control.estimate,
                        control.kind.meaning()
                    ));
                }
            } else {
                let beaten = control.difference.is_some_and(|difference| difference.low > 0.0);
                control.verdict = if beaten { Verdict::Passed } else { Verdict::NotBeaten };
            }
        }
        // A score that is not told from chance has broken nothing.
        let beats_chance = card.adjusted_p_value.unwrap_or(card.p_value) <= LEVEL;
        if let Some(ceiling) = card.ceiling.filter(|ceiling| beats_chance && ceiling.is_broken()) {
            // What the address says no memory is needed for, so the ceiling of the memory does not bound it.
            let address = card.controls.iter().find(|control| control.kind == ControlKind::AddressOnly);
            if let Some(address) = address.filter(|address| address.verdict == Verdict::NotBeaten && address.beats_chance()) {
                card.remarks.push(format!(
                    "the score {} lies above its ceiling {}, but the address alone scores {}: the address of the read depends on the value itself (a short convolution carries it there), so this is not read out of memory",
                    card.score, ceiling.estimate, address.estimate
                ));
                continue;
            }
            card.alarms.push(format!(
                "the score {} lies above its ceiling {} (by {}). It may mean: leakage, or values that depend on their addresses or on one another (a short convolution carries a value into its neighbours' writes), which the ceiling rules out and models, deep layers above all, do not",
                card.score, ceiling.estimate, ceiling.excess
            ));
        }
    }
}

/// Rows of text under headings: what a terminal, a report or a LaTeX table draws.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Above the table.
    pub title: String,
    /// Column headings.
    pub columns: Vec<String>,
    /// Cells, as many per row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl ProbeCard {
    /// "layer 0, head 1, ...".
    pub fn place_name(&self) -> String {
        self.place.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// What it says in one word.
    pub fn standing(&self) -> Standing {
        if !self.alarms.is_empty() {
            return Standing::Red;
        }
        if self.adjusted_p_value.unwrap_or(self.p_value) > LEVEL {
            return Standing::NotFound;
        }
        let is_beaten = self.controls.iter().all(|control| control.verdict != Verdict::NotBeaten);
        if is_beaten { Standing::Supported } else { Standing::NotBeyondControls }
    }

    /// Score minus that of the control task (Hewitt and Liang, arXiv 1909.03368): what is not memorised keys.
    pub fn selectivity(&self) -> Option<Estimate> {
        self.controls.iter().find(|control| control.kind == ControlKind::ControlTask)?.difference
    }

    /// The control of this kind.
    pub fn control(&self, kind: ControlKind) -> Option<&ControlResult> {
        self.controls.iter().find(|control| control.kind == kind)
    }
}

/// One line per card, for maps over layers, heads and phases.
pub fn summary(title: &str, cards: &[ProbeCard]) -> Table {
    let names: Vec<String> = cards.first().map_or_else(Vec::new, |card| card.place.iter().map(|(name, _)| name.clone()).collect());
    let mut columns = names;
    columns.extend(
        ["metric", "score", "chance", "p", "adjusted p", "ceiling", "selectivity", "bits", "samples", "sequences", "says"]
            .map(str::to_owned),
    );
    let rows = cards
        .iter()
        .map(|card| {
            let mut row: Vec<String> = card.place.iter().map(|(_, value)| value.clone()).collect();
            row.extend([
                card.metric.name().to_owned(),
                card.score.to_string(),
                format!("{:.3}", card.chance),
                format!("{:.4}", card.p_value),
                card.adjusted_p_value.map_or_else(String::new, |p| format!("{p:.4}")),
                card.ceiling.map_or_else(String::new, |ceiling| format!("{:.3}", ceiling.estimate.value)),
                card.selectivity().map_or_else(String::new, |selectivity| selectivity.to_string()),
                card.information.map_or_else(String::new, |bits| format!("{:.2}", bits.value)),
                card.n_samples.to_string(),
                card.n_groups.to_string(),
                match card.standing() {
                    Standing::Red => "RED",
                    Standing::Supported => "supported",
                    Standing::NotBeyondControls => "not beyond controls",
                    Standing::NotFound => "not found",
                }
                .to_owned(),
            ]);
            row
        })
        .collect();
    Table { title: title.to_owned(), columns, rows }
}
