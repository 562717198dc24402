//! Scores as ratios of sums over groups, so that groups can be reweighted without a refit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a score counts. Higher is better for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of samples whose most probable class is the true one, 0 to 1.
    Accuracy,
    /// Mean gain in log2 probability of the true class over the class shares of the training part, bits a sample.
    Bits,
    /// Share of the squared deviation from the training mean that the readout explains; 1 is perfect, 0 nothing, negative harm.
    R2,
}

impl Metric {
    /// The word on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Bits => "bits",
            Self::R2 => "R2",
        }
    }
}

/// A score as `sum of numerators / sum of denominators` over groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedScore {
    /// What it counts.
    pub metric: Metric,
    /// Group ids, ascending.
    pub groups: Vec<u64>,
    /// One per group.
    pub numerators: Vec<f64>,
    /// One per group.
    pub denominators: Vec<f64>,
}

impl GroupedScore {
    /// Sums each sample's numerator and denominator into its group.
    pub fn from_samples(metric: Metric, groups: &[u64], parts: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for (&group, (numerator, denominator)) in groups.iter().zip(parts) {
            let sum = sums.entry(group).or_default();
            sum.0 += numerator;
            sum.1 += denominator;
        }
        Self {
            metric,
            groups: sums.keys().copied().collect(),
            numerators: sums.values().map(|sum| sum.0).collect(),
            denominators: sums.values().map(|sum| sum.1).collect(),
        }
    }

    /// The score over all groups.
    pub fn value(&self) -> f64 {
        ratio(self.numerators.iter().sum(), self.denominators.iter().sum())
    }

    /// How many groups there are.
    pub fn n_groups(&self) -> usize {
        self.groups.len()
    }

    /// The same groups in the same order, so that a resampling of one is a resampling of the other.
    pub fn pairs_with(&self, other: &Self) -> bool {
        self.groups == other.groups
    }
}

/// 0 where there is nothing to divide: a target without any variation explains nothing.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}
