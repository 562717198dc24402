//! Collateral perturbation of the erase under counterfactual addresses (arXiv 2606.26560).
//!
//! With o = S^^T q (the read just before the erase) and delta o = S~^T q - o, the score of a token is |delta o| / |o|.
//! The same gates, the state sequence replayed. The score is the product of three factors,
//! |delta o| / |o| = gamma |q.e| |S^^T e| / |S^^T q|: a small score may only mean that there was little at the address, so the
//! factors and the energy found there (a random address finds 1/d_k of it) are reported beside it.

use serde::{Deserialize, Serialize};

use super::{Interval, StatisticsOptions};

/// Where the erase lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// The model's own erase direction.
    Learned,
    /// Random unit vectors, one per token and key head.
    Random,
    /// The learned directions, exchanged between the key heads of a layer.
    HeadShuffled,
    /// The write direction: e = k.
    WriteDirection,
}

impl Address {
    /// All, in the paper's order.
    pub const ALL: [Self; 4] = [Self::Learned, Self::Random, Self::HeadShuffled, Self::WriteDirection];

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Random => "random",
            Self::HeadShuffled => "shuffled between heads",
            Self::WriteDirection => "write direction (e = k)",
        }
    }
}

/// Which memory a counterfactual erase finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trajectory {
    /// The counterfactual address drives all later states too.
    FullReplay,
    /// One counterfactual step on the model's own trajectory.
    LocalStep,
}

/// How directions are exchanged between key heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadShuffle {
    /// A random permutation of the heads at every token; it may leave a head its own.
    #[default]
    Permutation,
    /// A random rotation of the heads at every token: no head keeps its own.
    Rotation,
}

/// Choices the paper leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollateralOptions {
    /// Which of the two trajectories is the headline; both are reported.
    pub trajectory: Trajectory,
    /// How directions are exchanged between heads.
    pub head_shuffle: HeadShuffle,
    /// Intervals and random addresses.
    pub statistics: StatisticsOptions,
}

impl Default for CollateralOptions {
    fn default() -> Self {
        Self { trajectory: Trajectory::FullReplay, head_shuffle: HeadShuffle::default(), statistics: StatisticsOptions::default() }
    }
}

/// Collateral perturbation of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collateral {
    /// How it was computed.
    pub options: CollateralOptions,
    /// What was left out and why (layers without an erase, one key head only).
    pub remarks: Vec<String>,
    /// One per address and trajectory: all layers, heads and tokens.
    pub global: Vec<AddressCollateral>,
    /// One per layer.
    pub layers: Vec<LayerCollateral>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadCollateral>,
}

/// Collateral of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerCollateral {
    /// The layer's number in the model.
    pub layer: usize,
    /// One per address and trajectory.
    pub addresses: Vec<AddressCollateral>,
}

/// Collateral of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCollateral {
    /// Which head.
    pub id: super::HeadId,
    /// One per address and trajectory.
    pub addresses: Vec<AddressCollateral>,
}

/// The erase at one kind of address, means over tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddressCollateral {
    /// Where the erase lands.
    pub address: Address,
    /// Which memory it finds.
    pub trajectory: Trajectory,
    /// Tokens times heads whose read before the erase is not zero.
    pub n_tokens: u64,
    /// The score: mean |delta o| / |o|.
    pub perturbation: Interval,
    /// The score over the learned address's, mean over layers of each layer's ratio; `None` if the learned one is 0.
    pub fold: Option<Interval>,
    /// Factor: mean erase strength gamma.
    pub erase_strength: Interval,
    /// Factor: mean |q.e|, q as the model scales it.
    pub query_overlap: Interval,
    /// Factor: mean |S^^T e| / |S^^T q|.
    pub relative_content: Interval,
    /// Share of the memory's energy at the address, mean |S^^T e|^2 / (|e|^2 |S^|_F^2).
    pub energy_at_address: Interval,
    /// What a random address finds of the energy: 1/d_k.
    pub random_energy_reference: f64,
    /// Mean share of the memory's energy that the erase removes, (|S^|^2 - |S~|^2) / |S^|^2.
    pub removed_energy: Interval,
}
