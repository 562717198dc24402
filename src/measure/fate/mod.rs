//! The fate of a write: what becomes of what a memory was told, by condition, by role and by age.
//!
//! Every write of every head is followed to the end of its sequence ([`ledger`](crate::ledger)); its four shares (surviving,
//! decayed, erased, overwritten) are exact. The **unique contribution** of the erase is what survives without it less what survives
//! with it; the rest of what it took is **compensation**: decay and overwriting would have removed it anyway.

mod collect;
mod headline;
mod summary;

use serde::{Deserialize, Serialize};

use super::source::{n_sequences, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Role, Source, StatisticsOptions, Truth};
use crate::ledger::Form;
use crate::task::Condition;

/// How writes count in a mean share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// By the energy that was written: of all that a head wrote for such tokens, how much was taken by whom.
    #[default]
    Energy,
    /// Every write alike, also those of next to nothing.
    Write,
}

/// Options of the fate of a write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FateOptions {
    /// How writes count.
    pub weight: Weight,
    /// Ages in steps at which shares are taken too; those that no sequence reaches are left out.
    pub ages: Vec<usize>,
    /// Average removal over the orders of attribution too: how much hangs on the model's own order.
    pub orders: bool,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for FateOptions {
    fn default() -> Self {
        Self {
            weight: Weight::Energy,
            ages: vec![1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
            orders: true,
            statistics: StatisticsOptions::default(),
        }
    }
}

/// The fate of the writes of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fate {
    /// How it was computed.
    pub options: FateOptions,
    /// What the numbers stand on, and what was left out.
    pub remarks: Vec<String>,
    /// Sequences.
    pub n_sequences: usize,
    /// All heads: every role, over all conditions and by condition.
    pub rows: Vec<FateRow>,
    /// Every head: every role, over all conditions.
    pub heads: Vec<HeadFate>,
    /// The largest distance of the four shares of any write from summing to 1.
    pub share_residual: f64,
}

/// What became of one kind of writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FateRow {
    /// Sequences of this condition; `None` for all.
    pub condition: Option<Condition>,
    /// What the writes stand for.
    pub role: Role,
    /// Writes times heads.
    pub n_writes: u64,
    /// Whether shares are of energies or of vectors.
    pub form: Form,
    /// After the last step, charged in the model's own order.
    pub shares: FateShares,
    /// The same averaged over the orders of attribution; `None` for oblique rules, and where it was not asked for.
    pub averaged: Option<FateShares>,
    /// What the erase alone removed: survival without it less survival with it. `None` without an erase.
    pub unique: Option<Interval>,
    /// What it took that decay and overwriting would have removed anyway. `None` without an erase.
    pub compensation: Option<Interval>,
    /// Of what was there when it went stale: what became of it from then on. Only for stale facts.
    pub since_stale: Option<FateShares>,
    /// Median steps until |u| has halved (Kaplan and Meier: sequences end before some writes have). `None` if more than half last to the
    /// end.
    pub half_life_steps: Option<Interval>,
    /// The same had nothing but decay acted.
    pub decay_only_half_life_steps: Option<Interval>,
    /// Shares by age.
    pub ages: Vec<AgeShares>,
}

/// Four shares that sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FateShares {
    /// Still there.
    pub surviving: Interval,
    /// Taken by decay.
    pub decayed: Interval,
    /// Taken by erases.
    pub erased: Interval,
    /// Taken by later corrective writes.
    pub overwritten: Interval,
}

impl FateShares {
    /// Surviving, decayed, erased, overwritten.
    pub const fn as_array(&self) -> [&Interval; 4] {
        [&self.surviving, &self.decayed, &self.erased, &self.overwritten]
    }
}

/// The names of the four shares, in the order of [`FateShares::as_array`].
pub const FATES: [&str; 4] = ["surviving", "decayed", "erased", "overwritten"];

/// Shares at one age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgeShares {
    /// Steps since the write.
    pub age: usize,
    /// What has become of it by then.
    pub shares: FateShares,
}

/// One head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadFate {
    /// Which head.
    pub id: HeadId,
    /// Every role, over all conditions.
    pub rows: Vec<FateRow>,
}

/// The fate of every write of a source.
pub fn fate(source: &(impl Source + ?Sized), truth: &Truth, options: &FateOptions) -> Result<Fate, MeasureError> {
    options.statistics.check()?;
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let parts = walk(source, |_| true, |_, sequence, factors| collect::sequence_part(factors, sequence, truth, options))?;
    let mut remarks = vec![truth.remark()];
    let mut forms: Vec<Form> = parts.iter().map(|part| if part.info.rule.is_oblique() { Form::Vector } else { Form::Energy }).collect();
    forms.dedup();
    remarks.extend(forms.iter().map(|form| form.remark().to_owned()));
    let share_residual = parts.iter().flat_map(|part| &part.sequences).map(|part| part.share_residual).fold(0.0, f64::max);
    Ok(Fate {
        options: options.clone(),
        remarks,
        n_sequences: bootstrap.n_sequences(),
        rows: summary::rows(&parts, truth, options, &bootstrap),
        heads: summary::heads(&parts, options, &bootstrap),
        share_residual,
    })
}
