//! Erase-write alignment: |cos(e, k)|, beside what independent directions give.

use ndarray::{ArrayView1, s};
use serde::{Deserialize, Serialize};
use statrs::distribution::ContinuousCDF;
use statrs::function::gamma::ln_gamma;

use super::source::{n_sequences, remark_layers_without_erase, require_erase, walk};
use super::{Bootstrap, HeadId, Interval, MeasureError, Source, StatisticsOptions, words};
use crate::memory::{Factors, HookPoint, Rule};

/// Options of the alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlignmentOptions {
    /// Intervals.
    pub statistics: StatisticsOptions,
}

/// Alignment of erase and write direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// How it was computed.
    pub options: AlignmentOptions,
    /// What was left out or taken otherwise; empty for Erase-then-Delta Attention.
    pub remarks: Vec<String>,
    /// All layers whose rule has an erase.
    pub global: AlignmentSummary,
    /// One per layer.
    pub layers: Vec<LayerAlignment>,
    /// One per layer and **key head** (directions belong to key heads), in this order.
    pub key_heads: Vec<HeadAlignment>,
}

/// Alignment of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAlignment {
    /// The layer's number in the model.
    pub layer: usize,
    /// All its key heads and tokens.
    pub alignment: AlignmentSummary,
}

/// Alignment of one key head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadAlignment {
    /// Which key head.
    pub id: HeadId,
    /// All its tokens.
    pub alignment: AlignmentSummary,
}

/// Means over tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlignmentSummary {
    /// Tokens times key heads.
    pub n_tokens: u64,
    /// Mean |cos(e, k)|, in [0, 1].
    pub absolute_cosine: Interval,
    /// Mean cos(e, k), in [-1, 1].
    pub signed_cosine: Interval,
    /// Mean |cos| of independent directions: Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).
    pub random_reference: f64,
    /// Standard deviation of one |cos| of independent directions.
    pub random_deviation: f64,
    /// `absolute_cosine` over `random_reference`: 1 is independent.
    pub fold: Interval,
}

/// Erase-write alignment of a source.
pub fn alignment(source: &(impl Source + ?Sized), options: &AlignmentOptions) -> Result<Alignment, MeasureError> {
    options.statistics.check()?;
    let layers = source.layers();
    let bootstrap = Bootstrap::new(n_sequences(&layers)?, &options.statistics);
    require_erase("alignment", &layers)?;
    let parts = walk(source, |info| info.rule.has_erase(), |_, _, factors| tally(factors))?;

    let pool = |places: &[(usize, usize)]| -> Vec<Tally> {
        let mut pooled = vec![Tally::default(); bootstrap.n_sequences()];
        for &(place, key_head) in places {
            for (sum, sequence) in pooled.iter_mut().zip(&parts[place].sequences) {
                sum.add(&sequence[key_head]);
            }
        }
        pooled
    };
    let of_layer = |place: usize| (0..parts[place].info.dims.key_head).map(move |key_head| (place, key_head));
    let all: Vec<_> = (0..parts.len()).flat_map(of_layer).collect();
    let one = |&(place, key_head): &(usize, usize)| {
        let alignment = summarise(&pool(&[(place, key_head)]), &bootstrap)?;
        Some(HeadAlignment { id: HeadId { layer: parts[place].info.layer, head: key_head }, alignment })
    };
    let layer = |place: usize| {
        let alignment = summarise(&pool(&of_layer(place).collect::<Vec<_>>()), &bootstrap)?;
        Some(LayerAlignment { layer: parts[place].info.layer, alignment })
    };
    let mut remarks = remark_layers_without_erase(&layers);
    if parts.iter().any(|part| part.info.rule == Rule::Rwkv7) {
        remarks.push("Rule rwkv7: the removal key stands for the erase direction.".to_owned());
    }
    Ok(Alignment {
        options: *options,
        remarks,
        global: summarise(&pool(&all), &bootstrap).ok_or(MeasureError::Empty("every direction is zero"))?,
        layers: (0..parts.len()).filter_map(layer).collect(),
        key_heads: all.iter().filter_map(one).collect(),
    })
}

/// Mean |cos| of two independent directions in `d` dimensions: Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).
pub fn random_absolute_cosine(d: usize) -> f64 {
    let half = d as f64 / 2.0;
    (ln_gamma(half) - ln_gamma(half + 0.5)).exp() / std::f64::consts::PI.sqrt()
}

/// |cos| of two independent directions in `d` dimensions stays below it in a share `level` of draws: its square has the distribution
/// Beta(1/2, (d - 1)/2).
///
/// # Panics
/// If `level` is not between 0 and 1.
pub fn random_cosine_bound(d: usize, level: f64) -> f64 {
    assert!((0.0..=1.0).contains(&level), "a share of draws is between 0 and 1");
    // On a line every cosine is 1 or -1.
    statrs::distribution::Beta::new(0.5, (d as f64 - 1.0) / 2.0).map_or(1.0, |square| square.inverse_cdf(level).sqrt())
}

/// Sums over tokens.
#[derive(Clone, Copy, Default)]
struct Tally {
    n_tokens: f64,
    absolute: f64,
    signed: f64,
    /// Of the means that independent directions have, and of their squares' (1/d).
    reference: f64,
    reference_square: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.n_tokens += other.n_tokens;
        self.absolute += other.absolute;
        self.signed += other.signed;
        self.reference += other.reference;
        self.reference_square += other.reference_square;
    }
}

/// The sums of one sequence, one per key head.
fn tally(factors: &Factors<f32>) -> Vec<Tally> {
    let dims = factors.dims();
    let (erase, write) = (factors.channels(HookPoint::EraseDirection), factors.channels(HookPoint::WriteDirection(0)));
    let (reference, reference_square) = (random_absolute_cosine(dims.d_k), 1.0 / dims.d_k as f64);
    let mut tallies = vec![Tally::default(); dims.key_head];
    for step in 0..dims.step {
        for (key_head, tally) in tallies.iter_mut().enumerate() {
            let lane = s![0, step, key_head, ..];
            // Directions of a zero vector do not exist.
            if let Some(cosine) = cosine(erase.slice(lane), write.slice(lane)) {
                tally.add(&Tally { n_tokens: 1.0, absolute: cosine.abs(), signed: cosine, reference, reference_square });
            }
        }
    }
    tallies
}

/// The cosine of two vectors; `None` if one is zero.
pub(super) fn cosine(a: ArrayView1<f32>, b: ArrayView1<f32>) -> Option<f64> {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// One summary of sums per sequence; `None` without tokens.
fn summarise(tallies: &[Tally], bootstrap: &Bootstrap) -> Option<AlignmentSummary> {
    let column = |value: &dyn Fn(&Tally) -> f64| tallies.iter().map(value).collect::<Vec<f64>>();
    let (n_tokens, absolute, reference) =
        (column(&|tally| tally.n_tokens), column(&|tally| tally.absolute), column(&|tally| tally.reference));
    let total: f64 = n_tokens.iter().sum();
    let absolute_cosine = bootstrap.fraction(&absolute, &n_tokens)?;
    let random_reference = reference.iter().sum::<f64>() / total;
    let mean_square = tallies.iter().map(|tally| tally.reference_square).sum::<f64>() / total;
    Some(AlignmentSummary {
        n_tokens: total as u64,
        absolute_cosine,
        signed_cosine: bootstrap.ratio(&column(&|tally| tally.signed), &n_tokens)?,
        random_reference,
        random_deviation: (mean_square - random_reference * random_reference).max(0.0).sqrt(),
        fold: bootstrap.ratio(&absolute, &reference)?,
    })
}

impl Alignment {
    /// What was found and how sure it is, in plain sentences.
    pub fn headline(&self) -> String {
        let global = &self.global;
        let verdict = words::against(
            &global.absolute_cosine,
            global.random_reference,
            "more aligned than chance",
            "less aligned than chance",
            "not distinguishable from chance",
        );
        format!(
            "Erase and write directions have a mean |cos| of {}, against {:.4} for independent directions: {verdict} ({}).",
            global.absolute_cosine,
            global.random_reference,
            words::sequences(global.absolute_cosine.n)
        )
    }
}
