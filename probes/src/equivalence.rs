//! Showing that nothing is there: two one-sided tests against a margin (TOST), sequences as the unit.
//!
//! "Not significant" is no evidence of absence. Equivalence is: the score is shown to lie within a stated margin of its
//! reference when both one-sided tests reject, that is when the interval of coverage `1 - 2 level` lies inside the margin.

use serde::{Deserialize, Serialize};

use crate::{Estimate, GroupedScore, ProbeError, Resampling};

/// The outcome of an equivalence test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// Score minus reference, with the interval of coverage `1 - 2 level`.
    pub difference: Estimate,
    /// Differences smaller than this, either way, count as nothing.
    pub margin: f64,
    /// Of each one-sided test.
    pub level: f64,
    /// The larger of the two one-sided p-values.
    pub p_value: f64,
}

impl Equivalence {
    /// Whether the difference is shown to be smaller than the margin.
    pub fn is_shown(&self) -> bool {
        self.p_value <= self.level && self.difference.low > -self.margin && self.difference.high < self.margin
    }

    /// In words, `what` being for example "stale content".
    pub fn words(&self, what: &str) -> String {
        if self.is_shown() {
            format!(
                "{what} is at chance within {}: excess {} ({:.0} % interval; equivalence p = {:.4})",
                self.margin,
                self.difference,
                100.0 * self.difference.level,
                self.p_value
            )
        } else {
            format!(
                "that {what} is at chance within {} is NOT shown: excess {} ({:.0} % interval; equivalence p = {:.4})",
                self.margin,
                self.difference,
                100.0 * self.difference.level,
                self.p_value
            )
        }
    }
}

impl Resampling {
    /// Is `score` the same as `reference` up to `margin`? Both over the same groups; `reference` may be a constant: what chance
    /// scores in each group.
    pub fn equivalence(&self, score: &GroupedScore, reference: &GroupedScore, margin: f64, level: f64) -> Result<Equivalence, ProbeError> {
        if !(margin.is_finite() && margin > 0.0) {
            return Err(ProbeError::Parameter { parameter: "the margin of equivalence", value: margin, range: "above 0" });
        }
        if !(level > 0.0 && level < 0.5) {
            return Err(ProbeError::Parameter { parameter: "the level of an equivalence test", value: level, range: "between 0 and 0.5" });
        }
        let (difference, draws) = self.difference_at(score, reference, 1.0 - 2.0 * level)?;
        let value = difference.value;
        let n = (draws.len() + 1) as f64;
        // Under "at the margin" the draws are shifted there; how often would one then be as far inside as what was seen?
        let above = (1 + draws.iter().filter(|&&draw| draw - value <= value - margin).count()) as f64 / n;
        let below = (1 + draws.iter().filter(|&&draw| draw - value >= value + margin).count()) as f64 / n;
        let mut p_value = above.max(below);
        // Draws that never move see no uncertainty, but there is some: fall back on the exact interval's ends.
        let moves = draws.iter().any(|draw| (draw - value).abs() > 1e-12);
        let inside = difference.low > -margin && difference.high < margin;
        if !moves && !inside {
            p_value = 1.0;
        }
        Ok(Equivalence { difference, margin, level, p_value })
    }
}
