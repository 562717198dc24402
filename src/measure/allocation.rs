//! Gate-strength allocation: how a step's strength is divided between decay, write and erase (arXiv 2606.26560; figure (a)).
//!
//! Per token and head, with abar the mean retention over channels: b_D = 1 - abar, b_W = abar beta, b_E = abar gamma; a share is
//! b_m over their sum. **This is an allocation of gates, not removed energy**: a wide open erase gate removes nothing where the
//! memory holds nothing. The shares of erase and write stand to each other as gamma to beta whatever abar is, so the gates are
//! reported beside the shares.

use serde::{Deserialize, Serialize};

use super::{Bins, HeadId, Interval, StatisticsOptions};

/// What the numbers are not; for captions.
pub const ALLOCATION_NOTICE: &str = "An allocation of gates, not removed energy.";

/// How shares of many tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareOf {
    /// The mean of per-token shares.
    #[default]
    Token,
    /// The share of summed strengths.
    Sum,
}

/// Choices the paper leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AllocationOptions {
    /// Bins of mean retention.
    pub bins: Bins,
    /// How shares of many tokens become one.
    pub share_of: ShareOf,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

/// Gate-strength allocation of a trace. An allocation of gates, not removed energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// How it was computed.
    pub options: AllocationOptions,
    /// What the numbers are not; for captions.
    pub notice: String,
    /// What a rule without some gate was taken to have; empty for Erase-then-Delta Attention.
    pub remarks: Vec<String>,
    /// Whether any layer's rule has an erase: without one its share is 0 by construction.
    pub has_erase: bool,
    /// All layers, heads and tokens.
    pub global: GateSummary,
    /// All layers and heads, by mean retention, lowest first.
    pub bins: Vec<AllocationBin>,
    /// One per layer, all its heads.
    pub layers: Vec<LayerAllocation>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadAllocation>,
}

/// The tokens of one bin of mean retention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllocationBin {
    /// Lower edge of mean retention (included).
    pub low: f64,
    /// Upper edge (excluded; included in the last bin).
    pub high: f64,
    /// The gates there; `None` when no token falls into the bin.
    pub gates: Option<GateSummary>,
}

/// Allocation of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAllocation {
    /// The layer's number in the model.
    pub layer: usize,
    /// All its heads and tokens.
    pub gates: GateSummary,
}

/// Allocation of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadAllocation {
    /// Which head.
    pub id: HeadId,
    /// All its tokens.
    pub gates: GateSummary,
    /// By mean retention, lowest first.
    pub bins: Vec<AllocationBin>,
}

/// Gates of a set of tokens: means over tokens, and shares in [0, 1] that sum to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateSummary {
    /// Tokens times heads.
    pub n_tokens: u64,
    /// Share of decay, b_D = 1 - abar.
    pub decay: Interval,
    /// Share of the write, b_W = abar beta.
    pub write: Interval,
    /// Share of the erase, b_E = abar gamma; 0 for a rule without erase.
    pub erase: Interval,
    /// Mean retention abar.
    pub retention: Interval,
    /// Mean write strength beta.
    pub write_strength: Interval,
    /// Mean erase strength gamma; 0 for a rule without erase.
    pub erase_strength: Interval,
    /// Mean gamma over mean beta, which the erase and write shares repeat; `None` if beta is 0.
    pub erase_over_write: Option<Interval>,
}
