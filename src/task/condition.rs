//! The conditions of the stale-content tasks, and their mixture.

use super::{Draw, TaskError};
use serde::{Deserialize, Serialize};

/// What happens to the first value of an updated key. All conditions have the same length and the same layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The task has no conditions.
    #[default]
    Plain,
    /// A: the key is written again with another value.
    Overwrite,
    /// B: the matched control: the earlier value stands at a key of its own, nothing is stale.
    FreshKey,
    /// C: the key is deleted: only decay or erase can clean, for nothing is written.
    ExplicitDelete,
    /// D: the role goes to another key: the content of the former key goes stale by a write at another address.
    SupersededElsewhere,
    /// E: the same value is written again: nothing is stale.
    Refresh,
    /// F: another value stands next to the key in reverse order, which is no write: nothing is stale.
    Distractor,
}

impl Condition {
    /// All conditions; the index is the code in stored tables.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Overwrite, Self::FreshKey, Self::ExplicitDelete, Self::SupersededElsewhere, Self::Refresh, Self::Distractor];

    /// The letter by which it is cited, `-` for a task without conditions.
    pub const fn letter(self) -> char {
        ['-', 'A', 'B', 'C', 'D', 'E', 'F'][self as usize]
    }

    /// The word in specs, tables and on screen.
    pub const fn name(self) -> &'static str {
        ["plain", "overwrite", "fresh_key", "explicit_delete", "superseded_elsewhere", "refresh", "distractor"][self as usize]
    }

    /// The condition with this stored code.
    pub fn from_code(code: usize) -> Option<Self> {
        Self::ALL.get(code).copied()
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How often each condition is drawn: weights at least 0, in any unit. Default: all six alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionWeights {
    /// A.
    pub overwrite: f64,
    /// B.
    pub fresh_key: f64,
    /// C.
    pub explicit_delete: f64,
    /// D.
    pub superseded_elsewhere: f64,
    /// E.
    pub refresh: f64,
    /// F.
    pub distractor: f64,
}

impl Default for ConditionWeights {
    fn default() -> Self {
        Self { overwrite: 1.0, fresh_key: 1.0, explicit_delete: 1.0, superseded_elsewhere: 1.0, refresh: 1.0, distractor: 1.0 }
    }
}

impl ConditionWeights {
    /// Only `condition`.
    pub fn only(condition: Condition) -> Self {
        let weight = |other| f64::from(u8::from(condition == other));
        Self {
            overwrite: weight(Condition::Overwrite),
            fresh_key: weight(Condition::FreshKey),
            explicit_delete: weight(Condition::ExplicitDelete),
            superseded_elsewhere: weight(Condition::SupersededElsewhere),
            refresh: weight(Condition::Refresh),
            distractor: weight(Condition::Distractor),
        }
    }

    /// The weight of each condition, in the order of [`Condition::ALL`] without `Plain`.
    pub fn as_array(&self) -> [f64; 6] {
        [self.overwrite, self.fresh_key, self.explicit_delete, self.superseded_elsewhere, self.refresh, self.distractor]
    }

    /// The conditions that can be drawn.
    pub fn possible(&self) -> Vec<Condition> {
        Condition::ALL[1..].iter().zip(self.as_array()).filter(|&(_, weight)| weight > 0.0).map(|(&condition, _)| condition).collect()
    }

    pub(super) fn draw(&self, draw: &mut Draw) -> Condition {
        Condition::ALL[1 + draw.weighted(&self.as_array())]
    }

    pub(super) fn check(&self) -> Result<(), TaskError> {
        for (condition, weight) in Condition::ALL[1..].iter().zip(self.as_array()) {
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(TaskError::parameter(format!("conditions.{condition}"), weight, "a finite number, at least 0"));
            }
        }
        if self.possible().is_empty() {
            return Err(TaskError::parameter("conditions", "all 0", "a weight above 0 for at least one condition"));
        }
        Ok(())
    }
}
