//! From a trace to numbers: every measured number on screen and in print is made here.
//!
//! One measure a file, each a pure core on one layer's factors and a walk over the layers of a [`Source`] (a trace, or factors in
//! memory) that holds one sequence of one layer at a time. The sequence is the unit of every interval ([`Interval`]); the same
//! source, options and seed give the same bytes.
//!
//! - [`Allocation`]: how gate strength is divided between decay, write and erase
//! - [`Collateral`]: what the erase does to the read, at the learned and at counterfactual addresses
//! - [`Alignment`]: how near erase and write directions are
//! - [`Recall`]: what can still be read back at its own write key
//! - [`Cleanup`]: cleanup strength against decay, with its nulls
//! - [`Spectrum`]: how many directions a memory uses
//! - [`Behaviour`]: what the model answers, by condition
//! - [`EraseEffects`]: what erases do to answers, with the model run again
//! - [`Fate`]: what becomes of every write: surviving, decayed, erased, overwritten
//! - [`Targeting`]: whether what is removed is what is stale
//! - [`Capacity`]: what a memory's capacity is spent on
//! - [`HeadGates`], [`OneHead`], [`HeadAngles`], [`StepMemories`], [`TokenPoint`]: what one head, one step and one token say, for a
//!   person who looks at them, each [`Seen`] at a [`Place`]
//! - [`Explained`]: how much of the output an attention map explains, the exact one beside those of other tools
//! - [`HeadMap`]: any of their numbers, head by head

mod error;
mod sequence_text;
mod place;
mod bin;
mod interval;
mod models;
mod rank;
mod permutation;
mod source;
mod gates;
mod head_gates;
mod head_read;
mod head_directions;
mod step_memory;
mod replay;
mod counterfactual;
mod eigen;
mod words;
mod allocation;
mod alignment;
mod collateral;
mod recall;
mod cleanup;
mod spectrum;
mod behaviour;
mod effect;
mod truth;
mod fate;
mod targeting;
mod capacity;
mod explained;
mod heads;
mod compare;

pub use alignment::{
    Alignment, AlignmentOptions, AlignmentSummary, HeadAlignment, LayerAlignment, alignment, random_absolute_cosine, random_cosine_bound,
};
pub use allocation::{
    ALLOCATION_NOTICE, Allocation, AllocationBin, AllocationOptions, GateSummary, HeadAllocation, LayerAllocation, ShareOf, allocation,
};
pub use behaviour::{Behaviour, ConditionBehaviour, behaviour};
pub use bin::Bins;
pub use capacity::{AgeCapacity, CEILING_NOTICE, Capacity, CapacityOptions, CapacityRow, HeadCapacity, RoleShare, capacity};
pub use cleanup::{
    Cleanup, CleanupOptions, Correlation, CurveBin, DecayAxis, HeadCleanup, HeadCorrelation, NaiveCorrelation, Null, NullBand,
    NullCorrelation, Relation, Strength, TokenDensity, TokenPoint, cleanup, token_points,
};
pub use collateral::{
    Address, AddressCollateral, Collateral, CollateralOptions, HeadCollateral, HeadShuffle, LayerCollateral, Trajectory, collateral,
};
pub use compare::{
    AnswerDifference, Difference, HeadDifference, HeadTable, Pairing, answer_differences, head_differences, head_maps, head_table, pairing,
};
pub use effect::{AnswerEffect, EraseEffectOptions, EraseEffects, EraseRun, RunEffect, erase_effects};
pub use eigen::{singular_values, symmetric_eigenvalues};
pub use error::MeasureError;
pub use explained::{AttentionMap, Explained, HeadExplained, MapError, explained, random_heads};
pub use fate::{AgeShares, FATES, Fate, FateOptions, FateRow, FateShares, HeadFate, Weight, fate};
pub use head_directions::{DirectionOf, HeadAngles, HeadDirections, RandomCosine, Superseding, head_directions};
pub use head_gates::{HeadGates, head_gates};
pub use head_read::{AttentionMatrix, HeldTo, OneHead, ReadParts, WriteLife};
pub use heads::{HeadMap, HeadMeasure, HeadQuantity, HeadValue, MeasuredHeads, Sign};
pub use interval::{Bootstrap, Interval, StatisticsOptions, Unit, quantile};
pub use models::over_models;
pub use permutation::{permute_heads, sign_flip};
pub use place::{FirstLook, LookFor, Place, Seen, WantedPlace, first_look};
pub use rank::{p_value_of_independent_pairs, pearson, ranks, spearman};
pub use recall::{HeadRecall, LagRecall, LayerRecall, Recall, RecallOptions, recall};
pub use sequence_text::{FactSteps, SequenceText, SequenceWords};
pub use source::{Held, LayerInfo, Part, Source};
pub use spectrum::{HeadSpectrum, Spectrum, SpectrumOptions, StepSpectrum, effective_rank, spectrum, stable_rank};
pub use step_memory::{Profiles, StepMemories, profiles, step_memories};
pub use targeting::{AddressNull, Among, HeadTargeting, Targeting, TargetingNull, TargetingOptions, TargetingRow, targeting};
pub use truth::{Role, SequenceTruth, Truth};

use serde::{Deserialize, Serialize};

/// A head of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeadId {
    /// The layer's number in the model (0-based).
    pub layer: usize,
    /// The head's number in the layer (0-based).
    pub head: usize,
}

impl std::fmt::Display for HeadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "layer {} head {}", self.layer, self.head)
    }
}
