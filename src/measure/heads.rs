//! One number a head: any measure as a map over layers and heads.
//!
//! Every measure keeps what it found of each head; this file names those numbers and picks them, so that atlas and window can ask for
//! any of them by name.

use serde::{Deserialize, Serialize};

use super::{
    Address, Alignment, Allocation, Among, AttentionMap, Capacity, Cleanup, Collateral, DecayAxis, Explained, Fate, FateRow, HeadId,
    Interval, Recall, Role, Spectrum, Strength, Targeting,
};
use crate::ledger::Mechanism;

/// One row a quantity: variant, name, the words of its axis, the measure it comes from, whether it is signed.
macro_rules! quantities {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $label:literal, $of:ident, $sign:ident;)+) => {
        /// What can be asked of a head.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum HeadQuantity {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl HeadQuantity {
            /// All quantities, by measure.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Its name on the command line and in specs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its words on an axis.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// The measure it comes from.
            pub const fn measure(self) -> HeadMeasure {
                match self { $(Self::$variant => HeadMeasure::$of,)+ }
            }

            /// Whether zero has two sides.
            pub const fn sign(self) -> Sign {
                match self { $(Self::$variant => Sign::$sign,)+ }
            }
        }
    };
}

quantities! {
    /// Mean retention, in (0, 1].
    MeanRetention, "mean_retention", "mean retention ᾱ", Allocation, Unsigned;
    /// Mean write strength, in (0, 1).
    WriteStrength, "write_strength", "write strength β", Allocation, Unsigned;
    /// Mean erase strength, in (0, 1).
    EraseStrength, "erase_strength", "erase strength γ", Allocation, Unsigned;
    /// Erase strength over write strength.
    EraseOverWrite, "erase_over_write", "γ / β", Allocation, Unsigned;
    /// Share of gate strength that decay has.
    DecayShare, "decay_share", "gate share of decay", Allocation, Unsigned;
    /// Share of gate strength that the erase has.
    EraseShare, "erase_share", "gate share of erase", Allocation, Unsigned;
    /// Mean |cos(e, k)|, of each key head.
    AbsoluteCosine, "absolute_cosine", "|cos(e, k)|", Alignment, Unsigned;
    /// Mean |delta o| / |o| of the erase at its learned address.
    Perturbation, "perturbation", "|δo| / |o|", Collateral, Unsigned;
    /// Energy that the erase removes, as a share of what there is.
    RemovedEnergy, "removed_energy", "removed energy", Cleanup, Unsigned;
    /// What the erase alone removes of a write.
    UniqueContribution, "unique_contribution", "unique contribution", Cleanup, Unsigned;
    /// Rank correlation, inside the head, of the erase's unique contribution with what decay alone would have kept.
    CleanupCorrelation, "cleanup_correlation", "ρ of cleanup with decay", Cleanup, Signed;
    /// R2 of the read at an older key, at the lag nearest 16 steps.
    Recall, "recall", "recall R^{2}, lag 16", Recall, Signed;
    /// exp of the entropy of the singular values after the last step.
    EffectiveRank, "effective_rank", "effective rank", Spectrum, Unsigned;
    /// |S|_F^2 / sigma_1^2 after the last step.
    StableRank, "stable_rank", "stable rank", Spectrum, Unsigned;
    /// Frobenius norm after the last step.
    Norm, "norm", "|S|_{F}", Spectrum, Unsigned;
    /// Share of stale facts still there after the last step.
    StaleSurviving, "stale_surviving", "stale: surviving", Fate, Unsigned;
    /// Share of stale facts that erases took.
    StaleErased, "stale_erased", "stale: erased", Fate, Unsigned;
    /// Share of kept facts still there after the last step.
    KeptSurviving, "kept_surviving", "kept: surviving", Fate, Unsigned;
    /// Lift of the erase towards what is stale, among facts.
    EraseLift, "erase_lift", "lift of erase", Targeting, Unsigned;
    /// Lift of the corrective write towards what is stale, among facts.
    WriteLift, "write_lift", "lift of write", Targeting, Unsigned;
    /// Effective degrees of freedom of the memory.
    DegreesOfFreedom, "degrees_of_freedom", "degrees of freedom", Capacity, Unsigned;
    /// Share of the capacity that stale facts hold.
    StaleCapacity, "stale_capacity", "stale capacity", Capacity, Unsigned;
    /// What the gated linear map leaves unexplained of the output.
    HeuristicError, "heuristic_error", "error of gated linear map", Attention, Unsigned;
}

/// Whether zero has two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Both signs mean something.
    Signed,
    /// Not below zero.
    Unsigned,
}

/// The measures that say something of each head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadMeasure {
    /// [`Allocation`].
    Allocation,
    /// [`Alignment`].
    Alignment,
    /// [`Collateral`].
    Collateral,
    /// [`Cleanup`].
    Cleanup,
    /// [`Recall`].
    Recall,
    /// [`Spectrum`].
    Spectrum,
    /// [`Fate`].
    Fate,
    /// [`Targeting`].
    Targeting,
    /// [`Capacity`].
    Capacity,
    /// [`Explained`].
    Attention,
}

impl HeadMeasure {
    /// Whether it says something of models with an erase alone, and of others gives an error.
    pub const fn needs_erase(self) -> bool {
        matches!(self, Self::Alignment | Self::Collateral | Self::Cleanup)
    }
}

/// A measure's result, to pick from.
#[derive(Clone, Copy, Debug)]
pub enum MeasuredHeads<'a> {
    /// Gates.
    Allocation(&'a Allocation),
    /// Directions.
    Alignment(&'a Alignment),
    /// Reads.
    Collateral(&'a Collateral),
    /// Cleanup against decay.
    Cleanup(&'a Cleanup),
    /// Raw recall.
    Recall(&'a Recall),
    /// Singular values.
    Spectrum(&'a Spectrum),
    /// Removal shares.
    Fate(&'a Fate),
    /// Lifts.
    Targeting(&'a Targeting),
    /// Ceilings.
    Capacity(&'a Capacity),
    /// Attention maps.
    Attention(&'a Explained),
}

/// One quantity of every head that has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadMap {
    /// Which.
    pub quantity: HeadQuantity,
    /// One per head that has it, by layer and head.
    pub heads: Vec<HeadValue>,
}

/// A head's number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadValue {
    /// Which head.
    pub id: HeadId,
    /// Its number.
    pub value: Interval,
}

impl MeasuredHeads<'_> {
    /// The quantity of every head; `None` if another measure has it, or no head does.
    pub fn map(self, quantity: HeadQuantity) -> Option<HeadMap> {
        let heads: Vec<HeadValue> = match self {
            Self::Allocation(found) if found.has_erase || !quantity.needs_erase() => {
                pick(&found.heads, |head| (head.id, of_allocation(head, quantity)))
            }
            Self::Allocation(_) => Vec::new(),
            Self::Alignment(found) => pick(&found.key_heads, |head| {
                (head.id, (quantity == HeadQuantity::AbsoluteCosine).then_some(head.alignment.absolute_cosine))
            }),
            Self::Collateral(found) => pick(&found.heads, |head| {
                let learned = head
                    .addresses
                    .iter()
                    .find(|entry| entry.address == Address::Learned && entry.trajectory == found.options.trajectory)
                    .map(|entry| entry.perturbation);
                (head.id, learned.filter(|_| quantity == HeadQuantity::Perturbation))
            }),
            Self::Cleanup(found) => pick(&found.heads, |head| {
                let rho = head
                    .rho
                    .iter()
                    .find(|rho| rho.strength == Strength::UniqueContribution && rho.decay == DecayAxis::WindowRetention)
                    .map(|rho| rho.rho);
                let value = match quantity {
                    HeadQuantity::RemovedEnergy => head.removed_energy,
                    HeadQuantity::UniqueContribution => head.unique_contribution,
                    HeadQuantity::CleanupCorrelation => rho,
                    _ => None,
                };
                (head.id, value)
            }),
            Self::Recall(found) => pick(&found.heads, |head| {
                let nearest = head.lags.iter().filter(|lag| lag.r2.is_some()).min_by_key(|lag| lag.lag.abs_diff(16));
                (head.id, nearest.and_then(|lag| lag.r2).filter(|_| quantity == HeadQuantity::Recall))
            }),
            Self::Spectrum(found) => pick(&found.heads, |head| {
                let last = head.steps.last();
                let value = match quantity {
                    HeadQuantity::EffectiveRank => last.and_then(|step| step.effective_rank),
                    HeadQuantity::StableRank => last.and_then(|step| step.stable_rank),
                    HeadQuantity::Norm => last.and_then(|step| step.norm),
                    _ => None,
                };
                (head.id, value)
            }),
            Self::Fate(found) => pick(&found.heads, |head| (head.id, of_fate(&head.rows, quantity))),
            Self::Targeting(found) => pick(&found.heads, |head| {
                let lift = |mechanism| {
                    let wanted = head.rows.iter().find(|row| row.mechanism == mechanism && row.among == Among::Facts);
                    wanted.and_then(|row| row.lift)
                };
                let value = match quantity {
                    HeadQuantity::EraseLift => lift(Mechanism::Erase),
                    HeadQuantity::WriteLift => lift(Mechanism::Write),
                    _ => None,
                };
                (head.id, value)
            }),
            Self::Capacity(found) => pick(&found.heads, |head| {
                let value = match quantity {
                    HeadQuantity::DegreesOfFreedom => Some(head.row.degrees_of_freedom),
                    HeadQuantity::StaleCapacity => head.row.stale().copied(),
                    _ => None,
                };
                (head.id, value)
            }),
            Self::Attention(found) => pick(&found.heads, |head| {
                let linear = head.maps.iter().find(|map| map.map == AttentionMap::GatedLinear).map(|map| map.relative_error);
                (head.id, linear.filter(|_| quantity == HeadQuantity::HeuristicError))
            }),
        };
        (!heads.is_empty()).then_some(HeadMap { quantity, heads })
    }
}

impl HeadQuantity {
    const fn needs_erase(self) -> bool {
        matches!(self, Self::EraseStrength | Self::EraseOverWrite | Self::EraseShare)
    }
}

fn pick<T>(heads: &[T], of: impl Fn(&T) -> (HeadId, Option<Interval>)) -> Vec<HeadValue> {
    heads.iter().map(of).filter_map(|(id, value)| Some(HeadValue { id, value: value? })).collect()
}

fn of_allocation(head: &super::HeadAllocation, quantity: HeadQuantity) -> Option<Interval> {
    let gates = &head.gates;
    match quantity {
        HeadQuantity::MeanRetention => Some(gates.retention),
        HeadQuantity::WriteStrength => Some(gates.write_strength),
        HeadQuantity::EraseStrength => Some(gates.erase_strength),
        HeadQuantity::EraseOverWrite => gates.erase_over_write,
        HeadQuantity::DecayShare => Some(gates.decay),
        HeadQuantity::EraseShare => Some(gates.erase),
        _ => None,
    }
}

fn of_fate(rows: &[FateRow], quantity: HeadQuantity) -> Option<Interval> {
    let row = |role: Role| rows.iter().find(|row| row.role == role && row.condition.is_none());
    match quantity {
        HeadQuantity::StaleSurviving => row(Role::Stale).map(|row| row.shares.surviving),
        HeadQuantity::StaleErased => row(Role::Stale).map(|row| row.shares.erased),
        HeadQuantity::KeptSurviving => row(Role::Kept).map(|row| row.shares.surviving),
        _ => None,
    }
}
