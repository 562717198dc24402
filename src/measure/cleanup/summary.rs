//! From sequences to the report: correlations, curves and heads with intervals over sequences.

use super::tokens::{Mean, RunPart, SequencePart, place_of_axis, place_of_strength};
use super::{
    CleanupOptions, Correlation, CurveBin, DecayAxis, HeadCleanup, HeadCorrelation, NaiveCorrelation, Null, NullBand, NullCorrelation,
    Relation, Strength, TokenDensity,
};
use crate::measure::interval::present;
use crate::measure::permutation::{permute_heads, sign_flip};
use crate::measure::rank::{p_value_of_independent_pairs, spearman};
use crate::measure::source::LayerParts;
use crate::measure::{Bootstrap, HeadId, Interval, StatisticsOptions};

type Parts = [LayerParts<SequencePart>];

/// The nulls under which a strength is not simply the model's own: random addresses leave gates as they are.
fn nulls_of(strength: Strength) -> &'static [Null] {
    match strength {
        Strength::EraseStrength | Strength::GateShare => &[Null::ShuffledStrength, Null::ConstantStrength],
        Strength::RemovedEnergy | Strength::UniqueContribution => &Null::ALL,
    }
}

fn place_of_null(null: Null) -> usize {
    Null::ALL.iter().position(|&other| other == null).expect("all nulls are listed")
}

/// A run per sequence and layer: the model's, or one replay of a null.
#[derive(Clone, Copy)]
enum Run {
    Model,
    Null(usize, usize),
}

impl Run {
    fn of(self, part: &SequencePart) -> &RunPart {
        match self {
            Self::Model => &part.model,
            Self::Null(null, replay) => &part.nulls[null][replay],
        }
    }

    /// All replays of a null.
    fn replays(parts: &Parts, null: Null) -> Vec<Self> {
        let place = place_of_null(null);
        (0..parts[0].sequences[0].nulls[place].len()).map(|replay| Self::Null(place, replay)).collect()
    }
}

/// Every strength against every decay axis.
pub(super) fn relations(parts: &Parts, options: &CleanupOptions, bootstrap: &Bootstrap) -> Vec<Relation> {
    let one = |decay: DecayAxis, strength: Strength| {
        let (axis, kind) = (place_of_axis(decay), place_of_strength(strength));
        let within = |run: Run| rho_within(parts, run, axis, kind);
        let between = |run: Run| rho_between(parts, run, axis, kind);
        let p_within = |rho: &[Option<f64>]| sign_flip(&rho.iter().flatten().copied().collect::<Vec<_>>(), &options.statistics);
        let p_between = |_: &[Option<f64>]| {
            let (x, y): (Vec<_>, Vec<_>) =
                (0..bootstrap.n_sequences()).filter_map(|sequence| head_means(parts, sequence, Run::Model, axis, kind)).unzip();
            permute_heads(&x, &y, &layers_of_heads(parts), &options.statistics)
        };
        Relation {
            strength,
            decay,
            within_heads: correlation(parts, strength, within, p_within, &options.statistics, bootstrap),
            between_heads: correlation(parts, strength, between, p_between, &options.statistics, bootstrap),
            naive_pooled: naive(parts, axis, kind),
            curve: curve(parts, decay, strength, options, bootstrap),
            tokens: TokenDensity::of(pooled(parts, axis, kind), options.bins),
        }
    };
    DecayAxis::ALL.into_iter().flat_map(|decay| Strength::ALL.map(|strength| one(decay, strength))).collect()
}

/// rho of each sequence inside heads: the mean over the heads that have one.
fn rho_within(parts: &Parts, run: Run, axis: usize, kind: usize) -> Vec<Option<f64>> {
    let sequence = |sequence: usize| {
        let mut mean = Mean::default();
        for part in parts {
            for rho in run.of(&part.sequences[sequence]).rho.iter().filter_map(|rho| rho[axis][kind]) {
                mean.add(Mean { sum: rho, count: 1.0 });
            }
        }
        mean.value()
    };
    (0..parts[0].sequences.len()).map(sequence).collect()
}

/// rho of each sequence between heads, over their token means.
fn rho_between(parts: &Parts, run: Run, axis: usize, kind: usize) -> Vec<Option<f64>> {
    let sequence = |sequence: usize| head_means(parts, sequence, run, axis, kind).and_then(|(x, y)| spearman(&x, &y));
    (0..parts[0].sequences.len()).map(sequence).collect()
}

/// The layer of every head, in the order of [`head_means`].
fn layers_of_heads(parts: &Parts) -> Vec<usize> {
    parts.iter().flat_map(|part| (0..part.info.dims.head).map(|_| part.info.layer)).collect()
}

/// Token means of x and y of every head in one sequence; `None` unless every head has both (heads must stay comparable).
fn head_means(parts: &Parts, sequence: usize, run: Run, axis: usize, kind: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let heads = parts.iter().flat_map(|part| {
        let sequence = &part.sequences[sequence];
        sequence.decay.iter().zip(&run.of(sequence).strength)
    });
    heads.map(|(x, y)| Some((x[axis].value()?, y[kind].value()?))).collect::<Option<Vec<_>>>().map(|pairs| pairs.into_iter().unzip())
}

/// Correlations nearer than this are equal.
const ROUNDING: f64 = 1e-12;

/// A correlation and its nulls; `None` when no sequence has one.
fn correlation(
    parts: &Parts,
    strength: Strength,
    rho: impl Fn(Run) -> Vec<Option<f64>>,
    p_value: impl Fn(&[Option<f64>]) -> Option<f64>,
    statistics: &StatisticsOptions,
    bootstrap: &Bootstrap,
) -> Option<Correlation> {
    let model = rho(Run::Model);
    let null = |&null: &Null| {
        let replays: Vec<_> = Run::replays(parts, null).into_iter().map(&rho).collect();
        let band = bootstrap.band(&replays.iter().map(|replay| present(replay)).collect::<Vec<_>>())?;
        let excess: Vec<Option<f64>> = (0..model.len())
            .map(|sequence| {
                let mut mean = Mean::default();
                replays.iter().filter_map(|replay| replay[sequence]).for_each(|rho| mean.add(Mean { sum: rho, count: 1.0 }));
                let excess = model[sequence]? - mean.value()?;
                // Replays that all give the model's own rho differ from it by the rounding of their mean, which is no excess.
                Some(if excess.abs() < ROUNDING { 0.0 } else { excess })
            })
            .collect();
        let p_value = sign_flip(&excess.iter().flatten().copied().collect::<Vec<_>>(), statistics);
        Some(NullCorrelation { null, band, excess: bootstrap.mean(&excess)?, p_value })
    };
    Some(Correlation {
        rho: bootstrap.mean(&model)?,
        p_value: p_value(&model),
        nulls: nulls_of(strength).iter().filter_map(null).collect(),
    })
}

/// x and y of the tokens taken, all heads together.
fn pooled(parts: &Parts, axis: usize, kind: usize) -> impl Iterator<Item = (f64, f64)> {
    let tokens = parts.iter().flat_map(|part| part.sequences.iter().flat_map(|sequence| &sequence.pooled));
    tokens.map(move |(x, y)| (x[axis], y[kind]))
}

/// All tokens of all heads as if independent.
fn naive(parts: &Parts, axis: usize, kind: usize) -> Option<NaiveCorrelation> {
    let (x, y): (Vec<f64>, Vec<f64>) = pooled(parts, axis, kind).filter(|(x, y)| x.is_finite() && y.is_finite()).unzip();
    let rho = spearman(&x, &y)?;
    Some(NaiveCorrelation { rho, p_value_if_tokens_were_independent: p_value_of_independent_pairs(rho, x.len()), n_tokens: x.len() as u64 })
}

fn curve(parts: &Parts, decay: DecayAxis, strength: Strength, options: &CleanupOptions, bootstrap: &Bootstrap) -> Vec<CurveBin> {
    let (axis, kind) = (place_of_axis(decay), place_of_strength(strength));
    let sums = |run: Run, bin: usize| -> (Vec<f64>, Vec<f64>) {
        let sequence = |sequence: usize| {
            let mut mean = Mean::default();
            parts.iter().for_each(|part| mean.add(run.of(&part.sequences[sequence]).curve[axis][kind][bin]));
            (mean.sum, mean.count)
        };
        (0..bootstrap.n_sequences()).map(sequence).unzip()
    };
    let bin = |bin: usize| {
        let (low, high) = options.bins.edges(bin);
        let (sum, count) = sums(Run::Model, bin);
        let null = |&null: &Null| {
            let replays: Vec<_> = Run::replays(parts, null).into_iter().map(|run| sums(run, bin)).collect();
            Some(NullBand { null, band: bootstrap.band(&replays)? })
        };
        CurveBin {
            low,
            high,
            n_tokens: count.iter().sum::<f64>() as u64,
            strength: bootstrap.ratio(&sum, &count),
            nulls: nulls_of(strength).iter().filter_map(null).collect(),
        }
    };
    (0..options.bins.count).map(bin).collect()
}

/// The points of the scatter.
pub(super) fn heads(parts: &Parts, bootstrap: &Bootstrap) -> Vec<HeadCleanup> {
    let heads = parts.iter().flat_map(|part| (0..part.info.dims.head).map(move |head| (part, head)));
    heads.filter_map(|(part, head)| one_head(part, head, bootstrap)).collect()
}

fn one_head(part: &LayerParts<SequencePart>, head: usize, bootstrap: &Bootstrap) -> Option<HeadCleanup> {
    let sums = |mean: &dyn Fn(&SequencePart) -> Mean| -> (Vec<f64>, Vec<f64>) {
        part.sequences.iter().map(mean).map(|mean| (mean.sum, mean.count)).unzip()
    };
    let interval = |mean: &dyn Fn(&SequencePart) -> Mean| {
        let (sum, count) = sums(mean);
        bootstrap.ratio(&sum, &count)
    };
    let strength = |strength: Strength| interval(&|part| part.model.strength[head][place_of_strength(strength)]);
    let decay = |axis: DecayAxis| interval(&|part| part.decay[head][place_of_axis(axis)]);
    let removed = place_of_strength(Strength::RemovedEnergy);
    let parts = std::slice::from_ref(part);
    let null = |null: Null| {
        let replays: Vec<_> = Run::replays(parts, null).into_iter().map(|run| sums(&|part| run.of(part).strength[head][removed])).collect();
        Some(NullBand { null, band: bootstrap.band(&replays)? })
    };
    let rho = |decay: DecayAxis, strength: Strength| {
        let (axis, kind) = (place_of_axis(decay), place_of_strength(strength));
        let per_sequence = |run: Run| part.sequences.iter().map(|part| run.of(part).rho[head][axis][kind]).collect::<Vec<_>>();
        let shuffled: Vec<_> = Run::replays(parts, Null::ShuffledStrength).into_iter().map(|run| present(&per_sequence(run))).collect();
        let rho: Interval = bootstrap.mean(&per_sequence(Run::Model))?;
        Some(HeadCorrelation { strength, decay, rho, shuffled: bootstrap.band(&shuffled) })
    };
    let (gamma, _) = sums(&|part| part.model.strength[head][place_of_strength(Strength::EraseStrength)]);
    let (beta, _) = sums(&|part| part.write_strength[head]);
    Some(HeadCleanup {
        id: HeadId { layer: part.info.layer, head },
        mean_retention: decay(DecayAxis::MeanRetention)?,
        window_retention: decay(DecayAxis::WindowRetention),
        erase_strength: strength(Strength::EraseStrength)?,
        write_strength: interval(&|part| part.write_strength[head])?,
        erase_over_write: bootstrap.ratio(&gamma, &beta),
        gate_share: strength(Strength::GateShare)?,
        removed_energy: strength(Strength::RemovedEnergy),
        unique_contribution: strength(Strength::UniqueContribution),
        removed_energy_nulls: Null::ALL.into_iter().filter_map(null).collect(),
        rho: DecayAxis::ALL.into_iter().flat_map(|axis| Strength::ALL.map(|kind| rho(axis, kind))).flatten().collect(),
    })
}
