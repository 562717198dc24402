//! What a memory's capacity is spent on: effective degrees of freedom, by role and by age.
//!
//! The ceiling R2_i of a write is the best a linear readout could make of its value, were values independent of addresses
//! ([`ledger::ceiling`](crate::ledger::ceiling())). Its sum over writes is the number of values the memory can hold at once, at most
//! d_k; the part of stale writes is capacity lost to what no longer counts. In deep layers values do depend on addresses: a reference,
//! not a bound.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::source::{LayerParts, n_sequences, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Role, Source, StatisticsOptions, Truth, words};
use crate::ledger::{AccountOptions, HeadRecurrence, NOISE_GRID, account, ceiling};
use crate::memory::Factors;
use crate::task::Condition;

/// What the ceiling leaves open.
pub const CEILING_NOTICE: &str = "The ceiling takes values for independent of addresses; in deep layers it is a reference, not a bound.";

/// Options of the capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityOptions {
    /// Noises: variance on an entry of the memory over the mean square of its entries.
    pub noise: Vec<f64>,
    /// The noise at which capacity is split by age, head and condition: the nearest of `noise`. Default: rounding to bf16.
    pub reference_noise: f64,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for CapacityOptions {
    fn default() -> Self {
        Self { noise: NOISE_GRID.to_vec(), reference_noise: crate::ledger::NOISE_BF16, statistics: StatisticsOptions::default() }
    }
}

/// The capacity of the memories of a source, after the last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// How it was computed.
    pub options: CapacityOptions,
    /// What the numbers stand on.
    pub remarks: Vec<String>,
    /// Sequences.
    pub n_sequences: usize,
    /// Mean number of key channels, the most that the degrees of freedom can be.
    pub most: f64,
    /// All heads, at every noise, over all conditions; and by condition at the reference noise.
    pub rows: Vec<CapacityRow>,
    /// R2 by age at the reference noise.
    pub ages: Vec<AgeCapacity>,
    /// Every head at the reference noise.
    pub heads: Vec<HeadCapacity>,
}

/// What capacity is spent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityRow {
    /// Sequences of this condition; `None` for all.
    pub condition: Option<Condition>,
    /// Noise: variance over the mean square of the memory's entries.
    pub noise: f64,
    /// Effective degrees of freedom of a memory: sum of R2 over its writes.
    pub degrees_of_freedom: Interval,
    /// Shares of it that roles hold, which sum to 1.
    pub shares: Vec<RoleShare>,
}

impl CapacityRow {
    /// The share of capacity that stale facts hold; `None` where none is stale.
    pub fn stale(&self) -> Option<&Interval> {
        self.shares.iter().find(|share| share.role == Role::Stale).map(|share| &share.share)
    }
}

/// The share of one role.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleShare {
    /// Which.
    pub role: Role,
    /// Its share of the degrees of freedom.
    pub share: Interval,
    /// Mean R2 of one of its writes.
    pub mean_r2: Interval,
    /// Its share of the writes.
    pub share_of_writes: Interval,
}

/// R2 of writes of some age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgeCapacity {
    /// Least age in steps.
    pub from: usize,
    /// Largest age.
    pub to: usize,
    /// Mean R2 of a write.
    pub mean_r2: Interval,
    /// Share of the degrees of freedom.
    pub share: Interval,
}

/// One head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCapacity {
    /// Which head.
    pub id: HeadId,
    /// What its capacity is spent on, at the reference noise.
    pub row: CapacityRow,
}

/// The capacity of the memories of a source.
pub fn capacity(source: &(impl Source + ?Sized), truth: &Truth, options: &CapacityOptions) -> Result<Capacity, MeasureError> {
    options.statistics.check()?;
    if options.noise.is_empty() {
        return Err(MeasureError::Option { option: "noise", value: 0.0, range: "a list of at least one number" });
    }
    if let Some(&value) = options.noise.iter().find(|noise| !(**noise > 0.0 && noise.is_finite())) {
        return Err(MeasureError::Option { option: "noise", value, range: "above 0" });
    }
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let parts = walk(source, |_| true, |_, sequence, factors| sequence_part(factors, sequence, truth, options))?;
    let distance = |noise: f64| (noise.ln() - options.reference_noise.ln()).abs();
    let reference =
        (0..options.noise.len()).min_by(|&a, &b| distance(options.noise[a]).total_cmp(&distance(options.noise[b]))).unwrap_or(0);
    let heads: Vec<(&Part, usize)> = parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |head| (part, head))).collect();
    let row = |heads: &[(&Part, usize)], condition: Option<Condition>, noise: usize| {
        let counts = |sequence: usize| condition.is_none() || truth.condition(sequence) == condition;
        one_row(heads, condition, options.noise[noise], noise, &counts, &bootstrap)
    };
    let by_noise = (0..options.noise.len()).filter_map(|noise| row(&heads, None, noise));
    let by_condition =
        truth.conditions(bootstrap.n_sequences()).into_iter().filter_map(|condition| row(&heads, Some(condition), reference));
    let head = |&(part, head): &(&Part, usize)| {
        Some(HeadCapacity { id: HeadId { layer: part.info.layer, head }, row: row(&[(part, head)], None, reference)? })
    };
    Ok(Capacity {
        options: options.clone(),
        remarks: vec![truth.remark(), CEILING_NOTICE.to_owned()],
        n_sequences: bootstrap.n_sequences(),
        most: heads.iter().map(|(part, _)| part.info.dims.d_k as f64).sum::<f64>() / heads.len().max(1) as f64,
        rows: by_noise.chain(by_condition).collect(),
        ages: ages(&heads, reference, &bootstrap),
        heads: heads.iter().filter_map(head).collect(),
    })
}

type Part = LayerParts<Vec<HeadSums>>;

/// Sums of one head of one sequence.
struct HeadSums {
    /// Writes by the roles of [`Role::ALL`].
    n_writes: [f64; 3],
    /// R2 summed by role, \[noise\]\[role\].
    r2: Vec<[f64; 3]>,
    /// By class of age: writes, and R2 summed, \[class\]\[noise\].
    ages: Vec<(f64, Vec<f64>)>,
}

/// Classes of age: 0, 1, 2 to 3, 4 to 7 and so on.
const fn age_class(age: usize) -> usize {
    (usize::BITS - age.leading_zeros()) as usize
}

fn sequence_part(factors: &Factors<f32>, sequence: usize, truth: &Truth, options: &CapacityOptions) -> Vec<HeadSums> {
    let recurrence = factors.lower();
    let one = |index: usize| {
        let head = HeadRecurrence::new(&recurrence, 0, index);
        let staleness = truth.staleness(sequence, &head);
        let found = account(&head, &AccountOptions::default());
        let ceiling = ceiling(found.left.view(), &options.noise);
        let n_noises = options.noise.len();
        let n_classes = age_class(head.n_steps() - 1) + 1;
        let mut sums = HeadSums { n_writes: [0.0; 3], r2: vec![[0.0; 3]; n_noises], ages: vec![(0.0, vec![0.0; n_noises]); n_classes] };
        for (write, r2) in ceiling.r2.rows().into_iter().enumerate() {
            let step = head.place(write).step;
            let role = Role::from(staleness.at(step)) as usize;
            let age = &mut sums.ages[age_class(head.n_steps() - 1 - step)];
            sums.n_writes[role] += 1.0;
            age.0 += 1.0;
            for (noise, &r2) in r2.iter().enumerate() {
                sums.r2[noise][role] += r2;
                age.1[noise] += r2;
            }
        }
        sums
    };
    (0..factors.dims().head).into_par_iter().map(one).collect()
}

fn one_row(
    heads: &[(&Part, usize)],
    condition: Option<Condition>,
    value: f64,
    noise: usize,
    counts: &dyn Fn(usize) -> bool,
    bootstrap: &Bootstrap,
) -> Option<CapacityRow> {
    let column = |of: &dyn Fn(&HeadSums) -> f64| -> Vec<f64> {
        let one = |sequence: usize| {
            if counts(sequence) { heads.iter().map(|(part, head)| of(&part.sequences[sequence][*head])).sum() } else { 0.0 }
        };
        (0..bootstrap.n_sequences()).map(one).collect()
    };
    let (all, writes) = (column(&|sums| sums.r2[noise].iter().sum()), column(&|sums| sums.n_writes.iter().sum()));
    let shares = Role::ALL.into_iter().filter_map(|role| {
        let (mine, of_writes) = (column(&|sums| sums.r2[noise][role as usize]), column(&|sums| sums.n_writes[role as usize]));
        // A role without writes has no share.
        let mean_r2 = bootstrap.fraction(&mine, &of_writes)?;
        Some(RoleShare {
            role,
            share: bootstrap.fraction(&mine, &all)?,
            mean_r2,
            share_of_writes: bootstrap.fraction(&of_writes, &writes)?,
        })
    });
    Some(CapacityRow { condition, noise: value, degrees_of_freedom: bootstrap.ratio(&all, &column(&|_| 1.0))?, shares: shares.collect() })
}

fn ages(heads: &[(&Part, usize)], noise: usize, bootstrap: &Bootstrap) -> Vec<AgeCapacity> {
    let n_classes = heads.iter().flat_map(|(part, head)| part.sequences.iter().map(|sums| sums[*head].ages.len())).max().unwrap_or(0);
    let column = |of: &dyn Fn(&HeadSums) -> f64| -> Vec<f64> {
        (0..bootstrap.n_sequences()).map(|sequence| heads.iter().map(|(part, head)| of(&part.sequences[sequence][*head])).sum()).collect()
    };
    let all = column(&|sums| sums.r2[noise].iter().sum());
    let last_step = heads.iter().map(|(part, _)| part.info.dims.step - 1).max().unwrap_or(0);
    let class = |class: usize| {
        let r2 = column(&|sums| sums.ages.get(class).map_or(0.0, |age| age.1[noise]));
        let writes = column(&|sums| sums.ages.get(class).map_or(0.0, |age| age.0));
        let from = if class == 0 { 0 } else { 1 << (class - 1) };
        let to = if class == 0 { 0 } else { ((1 << class) - 1).min(last_step) };
        Some(AgeCapacity { from, to, mean_r2: bootstrap.fraction(&r2, &writes)?, share: bootstrap.fraction(&r2, &all)? })
    };
    (0..n_classes).filter_map(class).collect()
}

impl Capacity {
    /// The row over all conditions at the noise nearest the reference.
    pub fn reference(&self) -> Option<&CapacityRow> {
        let distance = |row: &&CapacityRow| (row.noise.ln() - self.options.reference_noise.ln()).abs();
        self.rows.iter().filter(|row| row.condition.is_none()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    /// What was found and how sure it is, in plain sentences.
    pub fn headline(&self) -> String {
        let Some(row) = self.reference() else { return "No memory holds anything.".to_owned() };
        let mut said = format!(
            "Seen with noise of {:.1e} of its mean square (rounding to bf16 is {:.1e}), a memory has {} effective degrees of freedom of at most {:.0} ({}).",
            row.noise,
            crate::ledger::NOISE_BF16,
            row.degrees_of_freedom,
            self.most,
            words::sequences(row.degrees_of_freedom.n)
        );
        let share = |role: Role| row.shares.iter().find(|share| share.role == role);
        if let Some(stale) = share(Role::Stale) {
            said += &format!(
                " Stale facts hold {} of that with {:.1} % of the writes: R2 {} each",
                words::percent(&stale.share),
                100.0 * stale.share_of_writes.estimate,
                stale.mean_r2
            );
            said += &share(Role::Kept).map_or(".".to_owned(), |kept| format!(", beside {} of a kept fact.", kept.mean_r2));
        }
        said + " " + CEILING_NOTICE
    }
}
