//! Showing that nothing is there: two one-sided tests against a margin (TOST), sequences as the unit.
//!
//! "Not significant" is no evidence of absence. Equivalence is: the score is shown to lie within a stated margin of its
//! reference when both one-sided tests reject, that is when the interval of coverage `1 - 2 level` lies inside the margin.

use serde::{Deserialize, Serialize};

use crate::{Estimate, GroupedScore, ProbeError, Resampling};

/// The largest level tried; at one half the interval is a point.
const LARGEST: f64 = 0.499;
/// Halvings of the p-value's range: it is known to 1e-5.
const BISECTIONS: usize = 16;

/// The outcome of an equivalence test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// Score minus reference, with the interval of coverage `1 - 2 level`.
    pub difference: Estimate,
    /// Differences smaller than this, either way, count as nothing.
    pub margin: f64,
    /// Of each one-sided test.
    pub level: f64,
    /// The larger of the two one-sided p-values, in (0, 0.5]: the smallest level at which equivalence is shown; 0.5 if at none.
    pub p_value: f64,
}

impl Equivalence {
    /// Whether the difference is shown to be smaller than the margin.
    pub fn is_shown(&self) -> bool {
        self.difference.low > -self.margin && self.difference.high < self.margin
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
        let paired = self.paired(score, reference)?;
        let inside = |level: f64| {
            let difference = paired.at(1.0 - 2.0 * level);
            difference.low > -margin && difference.high < margin
        };
        // The p-value is the level from which on the interval lies inside: interval and p-value then never disagree.
        let (mut outside, mut p_value) = (0.0, 0.5);
        if inside(LARGEST) {
            for _ in 0..BISECTIONS {
                let between = 0.5 * (outside + p_value);
                if inside(between) { p_value = between } else { outside = between }
            }
        }
        let difference = paired.at(1.0 - 2.0 * level);
        Ok(Equivalence { difference, margin, level, p_value })
    }
}
