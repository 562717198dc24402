//! Cleanup strength against decay: the headline plot, with its controls.
//!
//! Does a head clean more actively where its memory forgets less? Known traps, each with its control here:
//! - *Mechanical*: with a constant gate and random addresses the removed energy already correlates with decay. The same statistic is
//!   computed on replays with the gate shuffled, held constant, and with random addresses ([`Null`]); a finding must leave their bands.
//! - *Pseudo-replication*: tokens of a sequence are not independent. The sequence is the unit of every interval and p-value; the
//!   pooled correlation is reported too, labelled as naive.
//! - *Simpson*: heads may differ although nothing happens inside any of them. Within heads and between heads stand apart.
//! - *Compensation*: what the erase takes may be what decay or the next write would have taken anyway. The headline regresses its
//!   [unique contribution](Strength::UniqueContribution) on what decay alone would have kept, not raw erased energy.
//! - *Forgetting looks like cleanliness*: raw write-key recall stands beside every number.

mod density;
mod headline;
mod points;
mod summary;
mod tokens;

pub use density::TokenDensity;
pub use points::{TokenPoint, token_points};

use serde::{Deserialize, Serialize};

use super::source::{n_sequences, remark_layers_without_erase, require_erase, walk};
use super::{Bins, Bootstrap, HeadId, Interval, MeasureError, Recall, RecallOptions, Source, StatisticsOptions, recall};

/// How strongly a step cleans: the plot's y.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// gamma, the erase gate.
    EraseStrength,
    /// The erase's share of gate strength, b_E / (b_D + b_W + b_E). An allocation of gates, not removed energy.
    GateShare,
    /// (|S^|^2 - |S~|^2) / |S^|^2, which is gamma (2 - gamma) |S^^T e|^2 / |S^|_F^2 for unit e.
    RemovedEnergy,
    /// What the erase alone did to the write that is one window old: its survival without the erase less its survival with it. What
    /// decay or overwriting would have removed anyway does not count.
    UniqueContribution,
}

impl Strength {
    /// All.
    pub const ALL: [Self; 4] = [Self::EraseStrength, Self::GateShare, Self::RemovedEnergy, Self::UniqueContribution];

    /// For axes.
    pub const fn label(self) -> &'static str {
        match self {
            Self::EraseStrength => "erase strength γ",
            Self::GateShare => "erase share of gate strength",
            Self::RemovedEnergy => "removed energy fraction",
            Self::UniqueContribution => "unique contribution of the erase",
        }
    }
}

/// How much passive decay keeps: the plot's x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayAxis {
    /// abar_t, the step's retention averaged over channels.
    MeanRetention,
    /// What decay alone leaves of the write that is one window old: the product of retention over the window that ends with the step, averaged
    /// over channels. Steps before the first full window are left out.
    WindowRetention,
}

impl DecayAxis {
    /// All.
    pub const ALL: [Self; 2] = [Self::MeanRetention, Self::WindowRetention];

    /// For axes.
    pub const fn label(self) -> &'static str {
        match self {
            Self::MeanRetention => "mean retention ᾱ",
            Self::WindowRetention => "decay-only retention over the window",
        }
    }
}

/// A replay in which the erase knows nothing of decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Null {
    /// gamma shuffled over the tokens of each head and sequence; addresses as learned.
    ShuffledStrength,
    /// gamma held at its mean over the tokens of each head and sequence; addresses as learned.
    ConstantStrength,
    /// gamma as learned, at random addresses.
    RandomDirection,
    /// gamma held at its mean over the tokens of each head and sequence, at random addresses.
    ConstantStrengthRandomDirection,
}

impl Null {
    /// All.
    pub const ALL: [Self; 4] =
        [Self::ShuffledStrength, Self::ConstantStrength, Self::RandomDirection, Self::ConstantStrengthRandomDirection];

    /// For legends.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ShuffledStrength => "shuffled γ",
            Self::ConstantStrength => "constant γ",
            Self::RandomDirection => "random e",
            Self::ConstantStrengthRandomDirection => "constant γ, random e",
        }
    }
}

/// Cleanup strength against decay in a source, with its nulls, and raw recall beside it.
pub fn cleanup(source: &(impl Source + ?Sized), options: &CleanupOptions) -> Result<Cleanup, MeasureError> {
    options.statistics.check()?;
    options.bins.check()?;
    for (option, value) in [("window", options.window), ("null_replays", options.null_replays), ("pooled_limit", options.pooled_limit)] {
        if value == 0 {
            return Err(MeasureError::Option { option, value: 0.0, range: "at least 1" });
        }
    }
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    require_erase("cleanup against decay", &layers)?;
    let with_erase = layers.iter().filter(|info| info.rule.has_erase());
    let n_tokens: usize = with_erase.map(|info| info.dims.batch * info.dims.step * info.dims.head).sum();
    let stride = n_tokens.div_ceil(options.pooled_limit).max(1);
    let parts = walk(
        source,
        |info| info.rule.has_erase(),
        |info, sequence, factors| tokens::sequence_part(info, sequence, factors, options, stride),
    )?;
    let mut remarks = remark_layers_without_erase(&layers);
    if parts.iter().any(|part| part.info.rule.is_oblique()) {
        remarks.push("Rule rwkv7 removes obliquely: its removed energy can be negative, and its erase gate averaged over channels stands for the erase strength.".to_owned());
    }
    Ok(Cleanup {
        options: options.clone(),
        remarks,
        n_sequences: bootstrap.n_sequences(),
        relations: summary::relations(&parts, options, &bootstrap),
        heads: summary::heads(&parts, &bootstrap),
        recall: recall(source, &options.recall)?,
    })
}

/// Options of cleanup against decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CleanupOptions {
    /// Bins of the curves' x.
    pub bins: Bins,
    /// Steps of the window of [`DecayAxis::WindowRetention`] and [`Strength::UniqueContribution`].
    pub window: usize,
    /// Replays of each null with a random part.
    pub null_replays: usize,
    /// Tokens times heads the naive pooled correlation takes at most (every n-th token beyond).
    pub pooled_limit: usize,
    /// Recall reported beside.
    pub recall: RecallOptions,
    /// Intervals, nulls and p-values.
    pub statistics: StatisticsOptions,
}

impl Default for CleanupOptions {
    fn default() -> Self {
        Self {
            bins: Bins::default(),
            window: 16,
            null_replays: 10,
            pooled_limit: 1_000_000,
            recall: RecallOptions::default(),
            statistics: StatisticsOptions::default(),
        }
    }
}

/// Cleanup strength against decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cleanup {
    /// How it was computed.
    pub options: CleanupOptions,
    /// What was left out and why.
    pub remarks: Vec<String>,
    /// Sequences.
    pub n_sequences: usize,
    /// Every strength against every decay axis.
    pub relations: Vec<Relation>,
    /// The points of the scatter: one per layer and head whose rule has an erase, in this order.
    pub heads: Vec<HeadCleanup>,
    /// Raw write-key recall: a memory may look clean because it forgets.
    pub recall: Recall,
}

impl Cleanup {
    /// The relation of one strength to one decay axis.
    pub fn relation(&self, strength: Strength, decay: DecayAxis) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.strength == strength && relation.decay == decay)
    }
}

/// One strength against one decay axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// y.
    pub strength: Strength,
    /// x.
    pub decay: DecayAxis,
    /// Inside heads: Spearman's rho over the tokens of each head and sequence, averaged over heads, then over sequences.
    /// `None` when one side never varies.
    pub within_heads: Option<Correlation>,
    /// Between heads: Spearman's rho over the heads' token means in each sequence, averaged over sequences.
    /// `None` with fewer than three heads or when one side never varies.
    pub between_heads: Option<Correlation>,
    /// All tokens of all heads thrown together, as if independent. Shown to be distrusted.
    pub naive_pooled: Option<NaiveCorrelation>,
    /// y by bin of x, with what the nulls give there.
    pub curve: Vec<CurveBin>,
    /// Where the tokens lie; `None` when there is none to draw.
    pub tokens: Option<TokenDensity>,
}

/// A rank correlation whose unit is the sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Spearman's rho, mean over sequences, in [-1, 1].
    pub rho: Interval,
    /// Two-sided p that rho is 0. Within heads: permutation of signs over sequences. Between heads: permutation of heads
    /// (inside their layers, and of whole layers; the same for all sequences), since every sequence has the same heads. `None` with
    /// fewer than six sequences, or too few heads.
    pub p_value: Option<f64>,
    /// What the nulls give; only those under which y varies.
    pub nulls: Vec<NullCorrelation>,
}

/// The same statistic under a null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NullCorrelation {
    /// Which null.
    pub null: Null,
    /// Mean rho over replays, and the band of a single replay on other sequences.
    pub band: Interval,
    /// rho of the model minus mean rho of the null's replays, paired by sequence.
    pub excess: Interval,
    /// Two-sided p that the excess is 0, by permutation of signs over sequences; `None` with fewer than six sequences.
    pub p_value: Option<f64>,
}

/// A correlation that takes every token for independent. **Not to be believed**: at a nominal 5 % it errs far more often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NaiveCorrelation {
    /// Spearman's rho over all tokens of all heads.
    pub rho: f64,
    /// Its p-value if tokens were independent (t approximation).
    pub p_value_if_tokens_were_independent: f64,
    /// Tokens times heads taken.
    pub n_tokens: u64,
}

/// One bin of a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveBin {
    /// Lower edge of x (included).
    pub low: f64,
    /// Upper edge (excluded; included in the last bin).
    pub high: f64,
    /// Tokens times heads in the bin.
    pub n_tokens: u64,
    /// Mean y; `None` for an empty bin.
    pub strength: Option<Interval>,
    /// Mean y under each null; empty for an empty bin.
    pub nulls: Vec<NullBand>,
}

/// Mean y of a bin under a null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NullBand {
    /// Which null.
    pub null: Null,
    /// Mean over replays, and the band of a single replay on other sequences.
    pub band: Interval,
}

/// One head: a point of the scatter. Means over its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCleanup {
    /// Which head.
    pub id: HeadId,
    /// Mean retention abar.
    pub mean_retention: Interval,
    /// Decay-only retention over the window; `None` when sequences are shorter than it.
    pub window_retention: Option<Interval>,
    /// Mean gamma.
    pub erase_strength: Interval,
    /// Mean beta.
    pub write_strength: Interval,
    /// Mean gamma over mean beta, which the ratio of erase and write share repeats; `None` if beta is 0.
    pub erase_over_write: Option<Interval>,
    /// The erase's share of gate strength. An allocation of gates, not removed energy.
    pub gate_share: Interval,
    /// Removed energy fraction; `None` while the memory is zero throughout.
    pub removed_energy: Option<Interval>,
    /// Unique contribution of the erase to writes one window old; `None` when sequences are shorter than the window.
    pub unique_contribution: Option<Interval>,
    /// Removed energy fraction under each null.
    pub removed_energy_nulls: Vec<NullBand>,
    /// rho inside this head, per relation that has one.
    pub rho: Vec<HeadCorrelation>,
}

/// rho inside one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCorrelation {
    /// y.
    pub strength: Strength,
    /// x.
    pub decay: DecayAxis,
    /// Spearman's rho over tokens, mean over sequences.
    pub rho: Interval,
    /// Mean rho under the null with shuffled gamma, and the band of a single replay.
    pub shuffled: Option<Interval>,
}
