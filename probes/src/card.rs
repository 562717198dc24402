//! The probe card: no number leaves without what it estimates, how it was split, how sure it is, and its controls.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{Estimate, Metric, multiple::benjamini_hochberg};

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
        }
    }

    /// What an honest analysis expects of it.
    pub const fn expectation(self) -> Expectation {
        match self {
            Self::LabelPermutation | Self::BeforeTheWrite | Self::NeverWritten => Expectation::Chance,
            Self::ControlTask | Self::UntrainedModel | Self::WrongHead | Self::Majority | Self::NormOnly | Self::InputOnly => {
                Expectation::Below
            }
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
    /// Mean score under the null: what the same predictions score on exchanged or redrawn targets.
    pub chance: f64,
    /// Of the score against that null.
    pub p_value: f64,
    /// The same, adjusted for all places tested together by max-T; `None` for a single card.
    pub adjusted_p_value: Option<f64>,
    /// Gain in bits a sample over the class shares, where the readout gives probabilities.
    pub bits: Option<Estimate>,
    /// Every control.
    pub controls: Vec<ControlResult>,
    /// What must not be overlooked. Empty when all negative controls are at chance.
    pub alarms: Vec<String>,
}

/// Judges the controls of all cards of an analysis together and raises their alarms.
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
        for control in &mut card.controls {
            if is_negative(control) {
                control.adjusted_p_value = control.p_value.and_then(|_| adjusted.next());
                let significant = control.adjusted_p_value.is_some_and(|p| p <= level);
                control.verdict = if significant { Verdict::Alarm } else { Verdict::Passed };
                if significant {
                    let p = control.adjusted_p_value.unwrap_or(1.0);
                    card.alarms.push(format!("the negative control '{}' scores {} where chance is due (adjusted p = {p:.4}): do not trust this card before you know why", control.kind.name(), control.estimate));
                }
            } else {
                let beaten = control.difference.is_some_and(|difference| difference.low > 0.0);
                control.verdict = if beaten { Verdict::Passed } else { Verdict::NotBeaten };
            }
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

impl Table {
    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        let line =
            |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let mut text = format!("**{}**\n\n{}", self.title, line(&self.columns));
        let _ = writeln!(text, "|{}", "---|".repeat(self.columns.len()));
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

impl ProbeCard {
    /// "layer 0, head 1, ...".
    pub fn place_name(&self) -> String {
        self.place.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The whole card: the score first, then every control.
    pub fn table(&self) -> Table {
        let p = |p: Option<f64>| p.map_or_else(String::new, |p| format!("{p:.4}"));
        let mut rows = vec![vec![
            "score".to_owned(),
            self.score.to_string(),
            String::new(),
            p(Some(self.p_value)),
            p(self.adjusted_p_value),
            String::new(),
        ]];
        rows.push(vec!["chance".to_owned(), format!("{:.3}", self.chance), String::new(), String::new(), String::new(), String::new()]);
        for control in &self.controls {
            rows.push(vec![
                control.kind.name().to_owned(),
                control.estimate.to_string(),
                control.difference.map_or_else(String::new, |difference| difference.to_string()),
                p(control.p_value),
                p(control.adjusted_p_value),
                control.verdict.name().to_owned(),
            ]);
        }
        Table {
            title: format!(
                "{}: {} ({} readout of {} samples in {} sequences)",
                self.place_name(),
                self.estimand,
                self.readout,
                self.n_samples,
                self.n_groups
            ),
            columns: ["", self.metric.name(), "score minus control", "p", "adjusted p", "verdict"].map(str::to_owned).to_vec(),
            rows,
        }
    }

    /// The card as Markdown, alarms first.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for alarm in &self.alarms {
            let _ = writeln!(text, "> **ALARM**: {alarm}\n");
        }
        text + &self.table().to_markdown()
    }
}

/// One line per card, for maps over layers, heads and phases.
pub fn summary(title: &str, cards: &[ProbeCard]) -> Table {
    let names: Vec<String> = cards.first().map_or_else(Vec::new, |card| card.place.iter().map(|(name, _)| name.clone()).collect());
    let mut columns = names;
    columns.extend(["metric", "score", "chance", "p", "adjusted p", "samples", "sequences", "alarms"].map(str::to_owned));
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
                card.n_samples.to_string(),
                card.n_groups.to_string(),
                if card.alarms.is_empty() { String::new() } else { format!("ALARM x{}", card.alarms.len()) },
            ]);
            row
        })
        .collect();
    Table { title: title.to_owned(), columns, rows }
}
