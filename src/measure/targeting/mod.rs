//! Does what is removed hit what is stale? Precision, chance, lift and recall of decay, erase and write, with their nulls.
//!
//! Definitions stand in [`ledger`](crate::ledger): the lift of a mechanism is the share of what it took that was stale, over the
//! share of what it found that was. The lift is the product of an address lift and a timing lift. Only sequences in which something
//! goes stale count, from the first step on at which something is.
//!
//! The erase is compared with replays of the whole sequence under other erase addresses ([`AddressNull`]): a lift within their band
//! is no targeting.

mod collect;
mod headline;
mod summary;

use serde::{Deserialize, Serialize};

use super::source::{n_sequences, walk_source};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions, Truth};
use crate::ledger::Mechanism;
use crate::task::Condition;

/// Among which writes a mechanism is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// The writes of all tokens.
    AllWrites,
    /// Those that state a fact: is it the stale ones that are hit?
    Facts,
}

impl Among {
    /// Both.
    pub const ALL: [Self; 2] = [Self::AllWrites, Self::Facts];

    /// For tables and legends.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AllWrites => "all writes",
            Self::Facts => "facts",
        }
    }
}

/// An erase that knows nothing of what is stale; each is a replay of the whole sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressNull {
    /// Random unit vectors.
    RandomDirection,
    /// The learned addresses of a head shuffled over its tokens.
    ShuffledDirection,
    /// The learned addresses of the same head in another sequence.
    OtherSequence,
}

impl AddressNull {
    /// All.
    pub const ALL: [Self; 3] = [Self::RandomDirection, Self::ShuffledDirection, Self::OtherSequence];

    /// For tables and legends.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RandomDirection => "random e",
            Self::ShuffledDirection => "e shuffled over tokens",
            Self::OtherSequence => "e of another sequence",
        }
    }
}

/// Options of targeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetingOptions {
    /// Replays of each null.
    pub null_replays: usize,
    /// Intervals, nulls and p-values.
    pub statistics: StatisticsOptions,
}

impl Default for TargetingOptions {
    fn default() -> Self {
        Self { null_replays: 5, statistics: StatisticsOptions::default() }
    }
}

/// Targeting of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Targeting {
    /// How it was computed.
    pub options: TargetingOptions,
    /// What the numbers stand on, and what was left out.
    pub remarks: Vec<String>,
    /// Sequences in which something goes stale.
    pub n_sequences: usize,
    /// All heads, every mechanism, over all conditions and by condition.
    pub rows: Vec<TargetingRow>,
    /// Every head, over all conditions.
    pub heads: Vec<HeadTargeting>,
}

impl Targeting {
    /// The row of a mechanism among these writes, over all conditions (`None`) or under one.
    pub fn row(&self, mechanism: Mechanism, among: Among, condition: Option<Condition>) -> Option<&TargetingRow> {
        self.rows.iter().find(|row| row.mechanism == mechanism && row.among == among && row.condition == condition)
    }
}

/// How well one mechanism hits what is stale. A number is `None` where nothing was taken, or nothing was stale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetingRow {
    /// Sequences of this condition; `None` for all.
    pub condition: Option<Condition>,
    /// What removes.
    pub mechanism: Mechanism,
    /// Among which writes.
    pub among: Among,
    /// Share of what it took that was stale.
    pub precision: Option<Interval>,
    /// Share of what it found that was stale.
    pub chance: Option<Interval>,
    /// Precision over chance; 1 takes everything alike.
    pub lift: Option<Interval>,
    /// The part of the lift that the address has; a random address has 1.
    pub address_lift: Option<Interval>,
    /// The part of the lift that the moment has.
    pub timing_lift: Option<Interval>,
    /// The mechanism's share of all removal of stale content.
    pub recall: Option<Interval>,
    /// What replays with other erase addresses give; only for the erase of a rule with a learned erase address.
    pub nulls: Vec<TargetingNull>,
}

impl TargetingRow {
    /// What replays under a null give, if they were made.
    pub fn null(&self, null: AddressNull) -> Option<&TargetingNull> {
        self.nulls.iter().find(|row| row.null == null)
    }
}

/// The lift under a null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetingNull {
    /// Which null.
    pub null: AddressNull,
    /// Mean lift over replays, and the band of a single replay on other sequences.
    pub lift: Interval,
    /// The same of the address lift.
    pub address_lift: Interval,
    /// Lift of the model less the lift of all the null's replays together.
    pub excess: Interval,
    /// Two-sided p that the excess is 0, by permutation of signs over sequences of each sequence's own difference; `None` with fewer
    /// than six sequences.
    pub p_value: Option<f64>,
}

/// One head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadTargeting {
    /// Which head.
    pub id: HeadId,
    /// Every mechanism, over all conditions.
    pub rows: Vec<TargetingRow>,
}

/// Targeting of every mechanism that removes.
///
/// Without anything that goes stale there is nothing to target: that is an error.
pub fn targeting(source: &(impl Source + ?Sized), truth: &Truth, options: &TargetingOptions) -> Result<Targeting, MeasureError> {
    options.statistics.check()?;
    if options.null_replays == 0 {
        return Err(MeasureError::Option { option: "null_replays", value: 0.0, range: "at least 1" });
    }
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let parts = walk_source(
        source,
        |_| true,
        |place, info, sequence, factors| collect::sequence_part(source, place, info, sequence, factors, truth, options),
    )?;
    let n_sequences = (0..bootstrap.n_sequences()).filter(|&sequence| parts.iter().any(|part| part.sequences[sequence].any_stale)).count();
    if n_sequences == 0 {
        return Err(MeasureError::Empty("nothing goes stale in these sequences, so there is nothing to target"));
    }
    let mut remarks = vec![
        truth.remark(),
        format!(
            "{n_sequences} of {} sequences have something that goes stale; only they count, from the first stale step on.",
            bootstrap.n_sequences()
        ),
    ];
    remarks.push("Stale content is older than the rest: a mechanism that takes what is young has a lift below 1 without sparing anything on purpose. The nulls share the ages.".to_owned());
    if parts.iter().any(|part| part.info.rule.is_oblique()) {
        remarks.push("An oblique edit is charged with the squared size of the vector it takes: energy has no law there.".to_owned());
    }
    Ok(Targeting {
        options: options.clone(),
        remarks,
        n_sequences,
        rows: summary::rows(&parts, truth, options, &bootstrap),
        heads: summary::heads(&parts, options, &bootstrap),
    })
}
