//! What the user typed: which tests, in worlds of which size, how often.

use serde::{Deserialize, Serialize};

use crate::experiment::FigureChoices;

/// A calibration as typed. It is told from an experiment on models by its table `[calibration]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationSpec {
    /// Short name: the report's title and the default output folder.
    pub name: String,
    /// The question in plain words; it opens the report.
    #[serde(default)]
    pub question: String,
    /// Seed of every world.
    #[serde(default)]
    pub seed: u64,
    /// Worlds and replications.
    pub calibration: CalibrationOptions,
    /// How the figure is drawn.
    #[serde(default)]
    pub figure: FigureChoices,
}

/// Worlds and replications.
///
/// | option | default | purpose | range |
/// |---|---|---|---|
/// | `families` | all | which tests | |
/// | `replications` | 1000 | of each family that replays memories, for each effect | at least 20 |
/// | `quick_replications` | 2000 | of each family that does not | at least 20 |
/// | `effects` | 0, 0.05, 0.1, 0.2, 0.3, 0.5 | sizes of what is planted, as correlations; starts with 0 | 0 to 1 |
/// | `power_replications` | 200 | of every family, for each effect but 0 | at least 20 |
/// | `sequences` | 16 | of a world | at least 8 |
/// | `steps` | 32 | of a sequence | at least 8 |
/// | `layers`, `heads` | 2, 4 | of a world | at least 4 heads together |
/// | `channels` | 6 | of keys and values | at least 2 |
/// | `resamples` | 500 | behind each interval and p-value where memories are replayed | at least 100 |
/// | `quick_resamples` | 1000 | behind the others | at least 100 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationOptions {
    /// Which tests.
    pub families: Vec<Family>,
    /// Replications of families that replay memories.
    pub replications: usize,
    /// Replications of families that do not.
    pub quick_replications: usize,
    /// Replications for each effect but 0.
    pub power_replications: usize,
    /// Sizes of what is planted.
    pub effects: Vec<f64>,
    /// Sequences of a world.
    pub sequences: usize,
    /// Steps of a sequence.
    pub steps: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of a layer.
    pub heads: usize,
    /// Channels of keys and values.
    pub channels: usize,
    /// Behind each interval and p-value where memories are replayed.
    pub resamples: usize,
    /// Behind the others.
    pub quick_resamples: usize,
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self {
            families: Family::ALL.to_vec(),
            replications: 1000,
            quick_replications: 2000,
            power_replications: 200,
            effects: vec![0.0, 0.05, 0.1, 0.2, 0.3, 0.5],
            sequences: 16,
            steps: 32,
            layers: 2,
            heads: 4,
            channels: 6,
            resamples: 500,
            quick_resamples: 1000,
        }
    }
}

/// Tests that share their worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Cleanup strength against decay, inside and between heads, with its nulls and its headline.
    Relation,
    /// Intervals of alignment and collateral perturbation.
    Addresses,
    /// The bricks: sign flips, permuted heads, bootstrap intervals.
    Units,
    /// Readouts: permutation between sequences, splits, readouts from sums.
    Readouts,
    /// Many tests together: max-T and Benjamini-Hochberg.
    Many,
    /// Intervals of what a model answers.
    Answers,
    /// Whether the erase hits what is stale.
    Targeting,
}

impl Family {
    /// All.
    pub const ALL: [Self; 7] = [Self::Relation, Self::Addresses, Self::Targeting, Self::Units, Self::Readouts, Self::Many, Self::Answers];

    /// Its name in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relation => "relation",
            Self::Addresses => "addresses",
            Self::Units => "units",
            Self::Readouts => "readouts",
            Self::Many => "many",
            Self::Answers => "answers",
            Self::Targeting => "targeting",
        }
    }

    /// Whether each replication replays memories.
    pub const fn replays(self) -> bool {
        matches!(self, Self::Relation | Self::Addresses | Self::Targeting)
    }

    /// Whether something can be planted.
    pub const fn has_power(self) -> bool {
        !matches!(self, Self::Addresses | Self::Answers)
    }
}

impl CalibrationOptions {
    /// The first value outside its range, in words.
    pub fn fault(&self) -> Option<String> {
        let least = [
            ("replications", self.replications, 20),
            ("quick_replications", self.quick_replications, 20),
            ("power_replications", self.power_replications, 20),
            ("sequences", self.sequences, 8),
            ("steps", self.steps, 8),
            ("layers", self.layers, 1),
            ("heads", self.heads, 2),
            ("channels", self.channels, 2),
            ("resamples", self.resamples, 100),
            ("quick_resamples", self.quick_resamples, 100),
            ("families", self.families.len(), 1),
        ];
        if let Some((name, found, least)) = least.into_iter().find(|(_, found, least)| found < least) {
            return Some(format!("calibration.{name} is {found}, but must be at least {least}"));
        }
        if self.layers * self.heads < 4 {
            return Some("calibration.layers times calibration.heads must be at least 4: fewer heads cannot be permuted".to_owned());
        }
        let in_range = self.effects.iter().all(|effect| (0.0..=1.0).contains(effect));
        (self.effects.first() != Some(&0.0) || !in_range)
            .then(|| "calibration.effects must start with 0 and lie between 0 and 1".to_owned())
    }
}
