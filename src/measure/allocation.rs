//! Gate-strength allocation: how a step's strength is divided between decay, write and erase (arXiv 2606.26560; figure (a)).
//!
//! Per token and head, with abar the mean retention over channels: b_D = 1 - abar, b_W = abar beta, b_E = abar gamma; a share is
//! b_m over their sum. **This is an allocation of gates, not removed energy**: a wide open erase gate removes nothing where the
//! memory holds nothing. The shares of erase and write stand to each other as gamma to beta whatever abar is, so the gates are
//! reported beside the shares.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::gates::{self, Gates};
use super::source::{LayerParts, n_sequences, walk};
use super::{Bins, Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions, words};
use crate::memory::Factors;

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

/// Some heads of a layer, with the tallies of its sequences by head and bin.
type HeadsOf<'a> = (&'a LayerParts<Vec<Vec<Tally>>>, Range<usize>);

/// Gate-strength allocation of a source.
pub fn allocation(source: &(impl Source + ?Sized), options: &AllocationOptions) -> Result<Allocation, MeasureError> {
    options.statistics.check()?;
    options.bins.check()?;
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    let parts = walk(source, |_| true, |_, _, factors| tally(factors, options.bins))?;

    let heads = |part: &LayerParts<Vec<Vec<Tally>>>| 0..part.info.dims.head;
    let summary = |tallies: Vec<Tally>| summarise(&tallies, options.share_of, &bootstrap);
    // The tallies of a choice of heads and bins, one per sequence.
    let pool = |chosen: &[HeadsOf<'_>], bins: Range<usize>| -> Vec<Tally> {
        let mut pooled = vec![Tally::default(); bootstrap.n_sequences()];
        for (part, heads) in chosen {
            for (sum, sequence) in pooled.iter_mut().zip(&part.sequences) {
                sequence[heads.clone()].iter().flat_map(|head| &head[bins.clone()]).for_each(|tally| sum.add(tally));
            }
        }
        pooled
    };
    let all_bins = 0..options.bins.count;
    let by_bin = |chosen: &[HeadsOf<'_>]| -> Vec<AllocationBin> {
        let bin = |index: usize| {
            let (low, high) = options.bins.edges(index);
            AllocationBin { low, high, gates: summary(pool(chosen, index..index + 1)) }
        };
        all_bins.clone().map(bin).collect()
    };
    let whole: Vec<_> = parts.iter().map(|part| (part, heads(part))).collect();
    let some = |gates: Option<GateSummary>| {
        gates.ok_or(MeasureError::Empty("all gates are zero everywhere: nothing is decayed, written or erased"))
    };

    let mut head_rows = vec![];
    for part in &parts {
        for head in heads(part) {
            let chosen = [(part, head..head + 1)];
            if let Some(gates) = summary(pool(&chosen, all_bins.clone())) {
                head_rows.push(HeadAllocation { id: HeadId { layer: part.info.layer, head }, gates, bins: by_bin(&chosen) });
            }
        }
    }
    let mut remarks: Vec<String> = vec![];
    for remark in layers.iter().filter_map(|info| gates::remark(info.rule)) {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    Ok(Allocation {
        options: *options,
        notice: ALLOCATION_NOTICE.to_owned(),
        remarks,
        has_erase: layers.iter().any(|info| info.rule.has_erase()),
        global: some(summary(pool(&whole, all_bins.clone())))?,
        bins: by_bin(&whole),
        layers: parts
            .iter()
            .filter_map(|part| {
                summary(pool(&[(part, heads(part))], all_bins.clone())).map(|gates| LayerAllocation { layer: part.info.layer, gates })
            })
            .collect(),
        heads: head_rows,
    })
}

/// Sums over tokens.
#[derive(Clone, Copy, Default)]
struct Tally {
    n_tokens: f64,
    /// Of per-token shares: decay, write, erase.
    shares: [f64; 3],
    /// Of strengths b: decay, write, erase.
    strengths: [f64; 3],
    /// abar, beta, gamma.
    gates: [f64; 3],
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.n_tokens += other.n_tokens;
        for index in 0..3 {
            self.shares[index] += other.shares[index];
            self.strengths[index] += other.strengths[index];
            self.gates[index] += other.gates[index];
        }
    }
}

/// Strengths (b_D, b_W, b_E) of a token from (abar, beta, gamma).
pub(super) fn strengths([retention, write, erase]: [f64; 3]) -> [f64; 3] {
    [1.0 - retention, retention * write, retention * erase]
}

/// The sums of one sequence, [head][bin].
fn tally(factors: &Factors<f32>, bins: Bins) -> Vec<Vec<Tally>> {
    let gates = Gates::of(factors);
    let mut tallies = vec![vec![Tally::default(); bins.count]; factors.dims().head];
    for ((step, head), &retention) in gates.retention.indexed_iter() {
        let gates = [retention, gates.write[[step, head]], gates.erase[[step, head]]];
        let strengths = strengths(gates);
        let sum: f64 = strengths.iter().sum();
        // A token whose gates are all shut has no shares.
        if sum > 0.0 {
            let shares = strengths.map(|strength| strength / sum);
            tallies[head][bins.index(retention)].add(&Tally { n_tokens: 1.0, shares, strengths, gates });
        }
    }
    tallies
}

/// One summary of sums per sequence; `None` without tokens.
fn summarise(tallies: &[Tally], share_of: ShareOf, bootstrap: &Bootstrap) -> Option<GateSummary> {
    let column = |value: &dyn Fn(&Tally) -> f64| tallies.iter().map(value).collect::<Vec<f64>>();
    let n_tokens = column(&|tally| tally.n_tokens);
    let total_strength = column(&|tally| tally.strengths.iter().sum());
    let share = |index: usize| match share_of {
        ShareOf::Token => bootstrap.fraction(&column(&|tally| tally.shares[index]), &n_tokens),
        ShareOf::Sum => bootstrap.fraction(&column(&|tally| tally.strengths[index]), &total_strength),
    };
    let gate = |index: usize| bootstrap.fraction(&column(&|tally| tally.gates[index]), &n_tokens);
    Some(GateSummary {
        n_tokens: n_tokens.iter().sum::<f64>() as u64,
        decay: share(0)?,
        write: share(1)?,
        erase: share(2)?,
        retention: gate(0)?,
        write_strength: gate(1)?,
        erase_strength: gate(2)?,
        erase_over_write: bootstrap.ratio(&column(&|tally| tally.gates[2]), &column(&|tally| tally.gates[1])),
    })
}

impl Allocation {
    /// What was found and how sure it is, in plain sentences.
    pub fn headline(&self) -> String {
        let global = &self.global;
        let n = words::sequences(global.decay.n);
        let shares = format!("{} to decay, {} to the write", words::percent(&global.decay), words::percent(&global.write));
        if !self.has_erase {
            return format!("Gate strength goes {shares} ({n}); the rule has no erase, so its share is 0 by construction. {}", self.notice);
        }
        let mut said = format!("Gate strength goes {shares} and {} to the erase ({n}). {}", words::percent(&global.erase), self.notice);
        if let Some((bin, gates)) = self.bins.iter().rev().find_map(|bin| Some((bin, bin.gates.as_ref()?))) {
            said += &format!(
                " Where most is kept (mean retention {:.1} to {:.1}) the erase has {} and the write {}.",
                bin.low,
                bin.high,
                words::percent(&gates.erase),
                words::percent(&gates.write)
            );
        }
        said
    }
}
