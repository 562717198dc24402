//! What a model says to one question, and how an intervention changes it.

use serde::{Deserialize, Serialize};

use crate::task::Condition;

/// What a model says to one question, in natural logarithms of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The most probable token.
    pub predicted: u32,
    /// Of the right answer.
    pub gold: f64,
    /// Of all stale values together; `None` when nothing is stale.
    pub stale: Option<f64>,
    /// Of as many never-written values together (one, when nothing is stale); `None` without foils.
    pub foil: Option<f64>,
}

/// Changes of log-probabilities, in nats: under the intervention, minus as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreChange {
    /// Of the right answer.
    pub gold: f64,
    /// Of the stale values.
    pub stale: Option<f64>,
    /// Of the never-written foils.
    pub foil: Option<f64>,
}

impl Scores {
    /// The log-odds of the right answer over the stale one, or over the foil where nothing is stale (over nothing without foils).
    pub fn margin(&self) -> f64 {
        self.gold - self.stale.or(self.foil).unwrap_or(0.0)
    }

    /// What these scores have over others.
    pub fn minus(&self, other: &Self) -> ScoreChange {
        let both = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        ScoreChange { gold: self.gold - other.gold, stale: both(self.stale, other.stale), foil: both(self.foil, other.foil) }
    }
}

impl ScoreChange {
    /// The change of [`Scores::margin`].
    pub fn margin(&self) -> f64 {
        self.gold - self.stale.or(self.foil).unwrap_or(0.0)
    }

    /// Both changes, one after the other, if they did not interact.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let both = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Self { gold: self.gold + other.gold, stale: both(self.stale, other.stale), foil: both(self.foil, other.foil) }
    }

    /// What this change has beyond another: the interaction, where the other is the sum of its parts.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let both = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        Self { gold: self.gold - other.gold, stale: both(self.stale, other.stale), foil: both(self.foil, other.foil) }
    }

    /// The sum of changes; zero of none, with stale and foil where `like` has them.
    pub fn sum<'a>(changes: impl IntoIterator<Item = &'a Self>, like: &Scores) -> Self {
        let zero = Self { gold: 0.0, stale: like.stale.map(|_| 0.0), foil: like.foil.map(|_| 0.0) };
        changes.into_iter().fold(zero, |sum, change| sum.plus(change))
    }
}

/// What the model says in one sequence, as it is and under each of a list of named runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequenceScores {
    /// The sequence's place in the trace.
    pub batch: usize,
    /// Its condition.
    pub condition: Condition,
    /// As it is, by question.
    pub as_it_is: Vec<Scores>,
    /// The right answer of each question.
    pub gold: Vec<u32>,
    /// The stale values of each question.
    pub stale: Vec<Vec<u32>>,
    /// \[run\]\[question\].
    pub runs: Vec<Vec<Scores>>,
}
