//! The headline: how strongly steps clean up, against how much decay keeps.
//!
//! The line is the mean over tokens in bins of decay, its interval from whole sequences; the grey bands are the same mean on
//! replays in which the erase knows nothing of decay (shuffled and constant gates). A finding is a line outside the bands.
//! The shade beneath counts tokens, and its sums stand along the edges; rings are heads. Rank correlations inside heads and between heads stand apart.

mod heads;
mod pooled;

use serde::{Deserialize, Serialize};

use super::scale::{fixed, thousands};
use super::scene::Scene;
use super::{Estimate, Figure, FigureError, FigureSpec, Panels, Prepared, nothing};
use crate::export::{Table, Value};
use crate::measure::{Cleanup, Correlation, DecayAxis, HeadCleanup, HeadId, Null, Strength, TokenDensity};

/// What the figure draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanupData {
    /// Label of the horizontal axis.
    pub decay: String,
    /// Label of the vertical axis.
    pub strength: String,
    /// The mean by bin of decay; empty bins are left out.
    pub bins: Vec<BinMean>,
    /// The same under each null.
    pub nulls: Vec<NullBins>,
    /// Where the tokens lie.
    pub tokens: Option<TokenDensity>,
    /// The heads.
    pub heads: Vec<HeadPoint>,
    /// Rank correlation inside heads, then sequences averaged.
    pub within_heads: Option<Estimate>,
    /// The same between heads.
    pub between_heads: Option<Estimate>,
    /// What the shuffled gate gives inside heads.
    pub within_heads_shuffled: Option<Estimate>,
    /// Sequences behind every interval.
    pub n_sequences: usize,
    /// Coverage of the intervals, in per cent.
    pub level: f64,
}

/// One bin of decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinMean {
    /// Lower edge.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Tokens times heads.
    pub n_tokens: u64,
    /// Mean strength.
    pub mean: Estimate,
}

/// The bins under a null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullBins {
    /// Which.
    pub null: Null,
    /// The band in each bin of [`CleanupData::bins`]; absent where the null has none.
    pub bands: Vec<Option<Estimate>>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadPoint {
    /// Which.
    pub id: HeadId,
    /// Its mean decay.
    pub decay: f64,
    /// Its mean strength.
    pub strength: f64,
    /// Rank correlation over its tokens.
    pub rho: Option<Estimate>,
    /// The band of that correlation with shuffled gates.
    pub rho_shuffled: Option<Estimate>,
}

/// Pick what is drawn.
pub fn prepare(cleanup: &Cleanup, spec: &FigureSpec) -> Result<CleanupData, FigureError> {
    let (strength, decay) = (spec.options.strength, spec.options.decay);
    let relation = cleanup.relation(strength, decay).ok_or_else(|| nothing(Figure::Cleanup, "this pair of axes was not measured"))?;
    let filled: Vec<_> = relation.curve.iter().filter_map(|bin| bin.strength.as_ref().map(|mean| (bin, mean))).collect();
    let Some((_, first)) = filled.first() else {
        return Err(nothing(Figure::Cleanup, "no layer of the trace has an erase, so there is no cleanup to draw"));
    };
    let level = first.level * 100.0;
    let nulls = spec.options.nulls.iter().map(|null| NullBins {
        null: *null,
        bands: filled
            .iter()
            .map(|(bin, _)| bin.nulls.iter().find(|band| band.null == *null).map(|band| Estimate::from(&band.band)))
            .collect(),
    });
    let bins =
        filled.iter().map(|(bin, mean)| BinMean { low: bin.low, high: bin.high, n_tokens: bin.n_tokens, mean: Estimate::from(*mean) });
    let rho = |correlation: &Option<Correlation>| correlation.as_ref().map(|correlation| Estimate::from(&correlation.rho));
    let shuffled = relation.within_heads.iter().flat_map(|correlation| &correlation.nulls).find(|null| null.null == Null::ShuffledStrength);
    Ok(CleanupData {
        decay: decay.label().to_owned(),
        strength: strength.label().to_owned(),
        bins: bins.collect(),
        nulls: nulls.filter(|null| null.bands.iter().any(Option::is_some)).collect(),
        tokens: relation.tokens.clone(),
        heads: cleanup.heads.iter().filter_map(|head| head_point(head, strength, decay)).collect(),
        within_heads: rho(&relation.within_heads),
        between_heads: rho(&relation.between_heads),
        within_heads_shuffled: shuffled.map(|null| Estimate::from(&null.band)),
        n_sequences: cleanup.n_sequences,
        level,
    })
}

fn head_point(head: &HeadCleanup, strength: Strength, decay: DecayAxis) -> Option<HeadPoint> {
    let x = match decay {
        DecayAxis::MeanRetention => Some(&head.mean_retention),
        DecayAxis::WindowRetention => head.window_retention.as_ref(),
    };
    let y = match strength {
        Strength::EraseStrength => Some(&head.erase_strength),
        Strength::GateShare => Some(&head.gate_share),
        Strength::RemovedEnergy => head.removed_energy.as_ref(),
        Strength::UniqueContribution => head.unique_contribution.as_ref(),
    };
    let inside = head.rho.iter().find(|rho| rho.strength == strength && rho.decay == decay);
    Some(HeadPoint {
        id: head.id,
        decay: x?.estimate,
        strength: y?.estimate,
        rho: inside.map(|rho| Estimate::from(&rho.rho)),
        rho_shuffled: inside.and_then(|rho| rho.shuffled.as_ref()).map(Estimate::from),
    })
}

impl Prepared for CleanupData {
    fn summary(&self) -> String {
        let tokens: u64 = self.bins.iter().map(|bin| bin.n_tokens).sum();
        let rho = |name: &str, rho: Option<Estimate>| rho.map_or(String::new(), |rho| format!(" Rank correlation {name} heads: {rho}."));
        let ends = match (self.bins.first(), self.bins.last()) {
            (Some(first), Some(last)) => format!(
                " Mean {} is {} where {} is {} to {}, and {} where it is {} to {}.",
                self.strength,
                first.mean,
                self.decay,
                fixed(first.low, 2),
                fixed(first.high, 2),
                last.mean,
                fixed(last.low, 2),
                fixed(last.high, 2)
            ),
            _ => String::new(),
        };
        format!(
            "{} against {} over {} tokens times heads of {} sequences.{ends}{}{}",
            self.strength,
            self.decay,
            thousands(tokens as f64),
            self.n_sequences,
            rho("within", self.within_heads),
            rho("between", self.between_heads)
        )
    }

    fn table(&self) -> Table {
        let columns = [
            "row",
            "layer",
            "head",
            "decay_low",
            "decay_high",
            "n_tokens",
            "strength",
            "strength_low",
            "strength_high",
            "rho",
            "rho_low",
            "rho_high",
        ];
        let mut table = Table::new(format!("{} against {}", self.strength, self.decay), &columns);
        let missing = || Value::Missing;
        let mut bin_row = |name: &str, bin: &BinMean, mean: &Estimate| {
            let n_tokens = Value::Integer(bin.n_tokens as i64);
            let mean: [Value; 3] = [mean.value.into(), mean.low().into(), mean.high().into()];
            let [value, low, high] = mean;
            table.push(vec![
                name.into(),
                missing(),
                missing(),
                bin.low.into(),
                bin.high.into(),
                n_tokens,
                value,
                low,
                high,
                missing(),
                missing(),
                missing(),
            ]);
        };
        for bin in &self.bins {
            bin_row("learned", bin, &bin.mean);
        }
        for null in &self.nulls {
            for (bin, band) in self.bins.iter().zip(&null.bands) {
                if let Some(band) = band {
                    bin_row(null.null.label(), bin, band);
                }
            }
        }
        for head in &self.heads {
            let rho = head.rho;
            table.push(vec![
                "head".into(),
                head.id.layer.into(),
                head.id.head.into(),
                head.decay.into(),
                head.decay.into(),
                missing(),
                head.strength.into(),
                missing(),
                missing(),
                rho.map(|rho| rho.value).into(),
                rho.and_then(|rho| rho.low()).into(),
                rho.and_then(|rho| rho.high()).into(),
            ]);
        }
        table
    }

    fn draw(&self, spec: &FigureSpec) -> Scene {
        match spec.options.panels {
            Panels::Pooled => pooled::draw(self, spec),
            Panels::Heads => heads::draw(self, spec),
        }
    }
}
