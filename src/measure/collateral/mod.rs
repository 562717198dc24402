//! Collateral perturbation of the erase under counterfactual addresses (arXiv 2606.26560).
//!
//! With o = S^^T q (the read just before the erase) and delta o = S~^T q - o, the score of a token is |delta o| / |o|.
//! The same gates, the state sequence replayed. The score is the product of three factors,
//! |delta o| / |o| = gamma |q.e| |S^^T e| / |S^^T q|: a small score may only mean that there was little at the address, so the
//! factors and the energy found there (a random address finds 1/d_k of it) are reported beside it.

mod tokens;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::source::{LayerParts, n_sequences, remark_layers_without_erase, require_erase, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions, words};
use crate::memory::Rule;
use tokens::{Tally, VARIANTS, place_of};

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

impl Trajectory {
    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FullReplay => "full replay",
            Self::LocalStep => "local step",
        }
    }
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
    pub id: HeadId,
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
    /// The paper's score, mean |delta o| / |o|, without an interval. While a memory holds one write, o is that write's value times
    /// q.k, and 1 / |q.k| of directions that vary has no mean: more tokens do not settle this number, and an interval would
    /// promise that they do (a bootstrap missed what many tokens give in 19 % of worlds at a promised 5 %).
    pub perturbation: Interval,
    /// The score over the learned address's, mean over layers of each layer's ratio; `None` if the learned one is 0.
    pub fold: Option<Interval>,
    /// sum |delta o| / sum |o|: the same with tokens weighed by their read, so that reads near 0 do not decide. The headline.
    pub ratio_of_sums: Interval,
    /// Factor: mean erase strength gamma.
    pub erase_strength: Interval,
    /// Factor: mean |q.e|, q as the model scales it.
    pub query_overlap: Interval,
    /// Factor: mean |S^^T e| / |S^^T q|; without an interval, as `perturbation`.
    pub relative_content: Interval,
    /// Share of the memory's energy at the address, mean |S^^T e|^2 / (|e|^2 |S^|_F^2).
    /// `None` while the memory is zero.
    pub energy_at_address: Option<Interval>,
    /// What a random address finds of the energy: 1/d_k.
    pub random_energy_reference: f64,
    /// Mean share of the memory's energy that the erase removes, (|S^|^2 - |S~|^2) / |S^|^2.
    /// `None` while the memory is zero.
    pub removed_energy: Option<Interval>,
}

impl Collateral {
    /// All layers, heads and tokens at one address and trajectory.
    pub fn global_at(&self, address: Address, trajectory: Trajectory) -> Option<&AddressCollateral> {
        self.global.iter().find(|row| row.address == address && row.trajectory == trajectory)
    }
}

/// Collateral perturbation in a source, at all addresses, on both trajectories.
pub fn collateral(source: &(impl Source + ?Sized), options: &CollateralOptions) -> Result<Collateral, MeasureError> {
    options.statistics.check()?;
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    require_erase("collateral", &layers)?;
    let parts = walk(source, |info| info.rule.has_erase(), |info, sequence, factors| tokens::sequence(info, sequence, factors, options))?;
    let heads = |part: &Part| 0..part.info.dims.head;
    let head = |part: &Part, head: usize| HeadCollateral {
        id: HeadId { layer: part.info.layer, head },
        addresses: addresses(&[(part, head..head + 1)], &bootstrap),
    };

    let mut remarks = remark_layers_without_erase(&layers);
    if parts.iter().any(|part| part.info.dims.key_head < 2) {
        remarks.push("Layers with one key head have nothing to shuffle: they are left out of the shuffled addresses.".to_owned());
    }
    if parts.iter().any(|part| part.info.rule == Rule::Rwkv7) {
        remarks.push(
            "Rule rwkv7 reads the memory before decay and lands at erase gate times removal key: its factors do not multiply to the score."
                .to_owned(),
        );
    }
    Ok(Collateral {
        options: *options,
        remarks,
        global: addresses(&parts.iter().map(|part| (part, heads(part))).collect::<Vec<_>>(), &bootstrap),
        layers: parts
            .iter()
            .map(|part| LayerCollateral { layer: part.info.layer, addresses: addresses(&[(part, heads(part))], &bootstrap) })
            .collect(),
        heads: parts.iter().flat_map(|part| heads(part).map(move |index| (part, index))).map(|(part, index)| head(part, index)).collect(),
    })
}

/// Sums of a layer's sequences, [sequence][head][variant].
type Part = LayerParts<Vec<[Tally; VARIANTS.len()]>>;

/// One row per address and trajectory that has tokens, over a choice of heads of each layer.
fn addresses(chosen: &[(&Part, Range<usize>)], bootstrap: &Bootstrap) -> Vec<AddressCollateral> {
    // Per layer, since the fold is taken layer by layer; [layer][sequence].
    let pools = |place: usize| -> Vec<Vec<Tally>> {
        let pool = |(part, heads): &(&Part, Range<usize>)| {
            let one = |sequence: &Vec<[Tally; VARIANTS.len()]>| {
                let mut sum = Tally::default();
                sequence[heads.clone()].iter().for_each(|head| sum.add(&head[place]));
                sum
            };
            part.sequences.iter().map(one).collect()
        };
        chosen.iter().map(pool).collect()
    };
    let row = |(place, &(address, trajectory)): (usize, &(Address, Trajectory))| {
        let (pools, learned) = (pools(place), pools(place_of(Address::Learned, trajectory)));
        let d_k: Vec<usize> = chosen.iter().map(|(part, _)| part.info.dims.d_k).collect();
        summarise(address, trajectory, &pools, &learned, &d_k, bootstrap)
    };
    VARIANTS.iter().enumerate().filter_map(row).collect()
}

/// One row; `None` without tokens.
fn summarise(
    address: Address,
    trajectory: Trajectory,
    layers: &[Vec<Tally>],
    learned: &[Vec<Tally>],
    d_k: &[usize],
    bootstrap: &Bootstrap,
) -> Option<AddressCollateral> {
    let mut pooled = vec![Tally::default(); bootstrap.n_sequences()];
    for layer in layers {
        pooled.iter_mut().zip(layer).for_each(|(sum, tally)| sum.add(tally));
    }
    let column = |value: &dyn Fn(&Tally) -> f64| pooled.iter().map(value).collect::<Vec<f64>>();
    let (n_tokens, n_energies) = (column(&|tally| tally.n_tokens), column(&|tally| tally.n_energies));
    let mean = |value: &dyn Fn(&Tally) -> f64| Some(bootstrap.ratio(&column(value), &n_tokens)?.within(0.0, f64::INFINITY));

    let n = n_tokens.iter().filter(|&&count| count > 0.0).count();
    // Four sums of every layer: the score and the tokens, at this address and at the learned one.
    let of_layer = |tallies: &Vec<Tally>| -> [Vec<f64>; 2] {
        [tallies.iter().map(|tally| tally.perturbation).collect(), tallies.iter().map(|tally| tally.n_tokens).collect()]
    };
    let sums: Vec<Vec<f64>> =
        layers.iter().zip(learned).flat_map(|(layer, learned)| of_layer(layer).into_iter().chain(of_layer(learned))).collect();
    let fold = bootstrap.smooth(n, &sums.iter().map(Vec::as_slice).collect::<Vec<_>>(), |sums| {
        let is_defined = |four: &&[f64]| four[1] > 0.0 && four[2] > 0.0 && four[3] > 0.0;
        let ratios: Vec<f64> = sums.chunks(4).filter(is_defined).map(|four| (four[0] / four[1]) / (four[2] / four[3])).collect();
        (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
    });
    let tokens_of = |layer: &[Tally]| layer.iter().map(|tally| tally.n_tokens).sum::<f64>();
    let total: f64 = n_tokens.iter().sum();
    Some(AddressCollateral {
        address,
        trajectory,
        n_tokens: total as u64,
        perturbation: mean(&|tally| tally.perturbation)?.without_ends(),
        fold,
        ratio_of_sums: bootstrap.ratio(&column(&|tally| tally.change), &column(&|tally| tally.read))?.within(0.0, f64::INFINITY),
        erase_strength: mean(&|tally| tally.strength)?,
        query_overlap: mean(&|tally| tally.overlap)?,
        relative_content: mean(&|tally| tally.content)?.without_ends(),
        energy_at_address: bootstrap.fraction(&column(&|tally| tally.energy_at_address), &n_energies),
        random_energy_reference: layers.iter().zip(d_k).map(|(layer, &d_k)| tokens_of(layer) / d_k as f64).sum::<f64>() / total,
        removed_energy: bootstrap.ratio(&column(&|tally| tally.removed_energy), &n_energies),
    })
}

impl Collateral {
    /// What was found and how sure it is, in plain sentences.
    pub fn headline(&self) -> String {
        let at = |address| self.global_at(address, self.options.trajectory);
        let how = match self.options.trajectory {
            Trajectory::FullReplay => "full replay",
            Trajectory::LocalStep => "local step",
        };
        let Some(learned) = at(Address::Learned) else { return "No token has a read to perturb.".to_owned() };
        let mut said = format!(
            "The erase changes the read by {} of its length at its learned address ({how}, {}; mean of ratios, which no number of sequences settles: {:.1} %)",
            words::percent(&learned.ratio_of_sums),
            words::sequences(learned.ratio_of_sums.n),
            100.0 * learned.perturbation.estimate
        );
        for row in Address::ALL.into_iter().skip(1).filter_map(at) {
            let Some(fold) = &row.fold else { continue };
            let verdict = words::against(fold, 1.0, "more", "less", "not distinguishable");
            said += &format!("; {}: {} times that, {verdict}", row.address.label(), fold);
        }
        said += ".";
        if let Some(energy) = &learned.energy_at_address {
            let verdict = words::against(energy, learned.random_energy_reference, "more than", "less than", "about as much as");
            said += &format!(
                " The learned address holds {} of the memory's energy, {verdict} a random one would ({:.1} %).",
                words::percent(energy),
                100.0 * learned.random_energy_reference
            );
        }
        said
    }
}
