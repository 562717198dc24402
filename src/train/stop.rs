//! When a stage ends before its steps are over: the tasks are solved, or the curve is flat.

use super::{LogEntry, TrainError};
use serde::{Deserialize, Serialize};

/// When a stage ends early, judged at each evaluation by the held-out accuracy. (Twins that are to be compared at equal tokens have
/// stages without this.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// Solved: every task of the stage is answered at least this well (default 0.995).
    pub accuracy: f64,
    /// Flat: this many evaluations in a row without a gain (default 8; 0 never).
    pub patience: usize,
    /// What counts as a gain of the mean accuracy over the tasks (default 0.002).
    pub gain: f64,
}

impl Default for Stop {
    fn default() -> Self {
        Self { accuracy: 0.995, patience: 8, gain: 0.002 }
    }
}

/// Why a stage ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageEnd {
    /// Every task is answered well.
    Solved,
    /// Nothing was gained for long.
    Flat,
}

/// Worst and mean accuracy over the tasks of one evaluation; tasks without questions do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    worst: f64,
    mean: f64,
}

impl Score {
    /// The score of a line of the log; none where nothing was evaluated.
    pub fn of(entry: &LogEntry) -> Option<Self> {
        let accuracies: Vec<f64> = entry.held_out.values().filter_map(|task| task.accuracy).collect();
        let worst = accuracies.iter().copied().reduce(f64::min)?;
        Some(Self { worst, mean: accuracies.iter().sum::<f64>() / accuracies.len() as f64 })
    }
}

impl Stop {
    /// Whether a stage with these evaluations so far has ended.
    pub(super) fn judge(&self, scores: &[Score]) -> Option<StageEnd> {
        if scores.last()?.worst >= self.accuracy {
            return Some(StageEnd::Solved);
        }
        let best = |scores: &[Score]| scores.iter().map(|score| score.mean).fold(f64::NEG_INFINITY, f64::max);
        let before = scores.len().checked_sub(self.patience).filter(|&before| self.patience > 0 && before > 0)?;
        (best(&scores[before..]) < best(&scores[..before]) + self.gain).then_some(StageEnd::Flat)
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        if !(0.0..=1.0).contains(&self.accuracy) {
            return Err(TrainError::setting("stop.accuracy", self.accuracy, "a share, 0 to 1"));
        }
        if !(self.gain.is_finite() && self.gain >= 0.0) {
            return Err(TrainError::setting("stop.gain", self.gain, "at least 0"));
        }
        Ok(())
    }
}
