//! Erase-write alignment: |cos(e, k)|, beside what independent directions give.

use serde::{Deserialize, Serialize};

use super::{HeadId, Interval, StatisticsOptions};

/// Options of the alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignmentOptions {
    /// Intervals.
    pub statistics: StatisticsOptions,
}

/// Alignment of erase and write direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// How it was computed.
    pub options: AlignmentOptions,
    /// What was left out or taken otherwise; empty for Erase-then-Delta Attention.
    pub remarks: Vec<String>,
    /// All layers whose rule has an erase.
    pub global: AlignmentSummary,
    /// One per layer.
    pub layers: Vec<LayerAlignment>,
    /// One per layer and **key head** (directions belong to key heads), in this order.
    pub key_heads: Vec<HeadAlignment>,
}

/// Alignment of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAlignment {
    /// The layer's number in the model.
    pub layer: usize,
    /// All its key heads and tokens.
    pub alignment: AlignmentSummary,
}

/// Alignment of one key head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadAlignment {
    /// Which key head.
    pub id: HeadId,
    /// All its tokens.
    pub alignment: AlignmentSummary,
}

/// Means over tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignmentSummary {
    /// Tokens times key heads.
    pub n_tokens: u64,
    /// Mean |cos(e, k)|, in [0, 1].
    pub absolute_cosine: Interval,
    /// Mean cos(e, k), in [-1, 1].
    pub signed_cosine: Interval,
    /// Mean |cos| of independent directions: Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).
    pub random_reference: f64,
    /// Standard deviation of one |cos| of independent directions.
    pub random_deviation: f64,
    /// `absolute_cosine` over `random_reference`: 1 is independent.
    pub fold: Interval,
}
