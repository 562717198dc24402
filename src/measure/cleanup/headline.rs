//! What cleanup against decay found, in sentences that say how sure it is.

use super::{Cleanup, Correlation, DecayAxis, NullCorrelation, Strength};
use crate::measure::words;

/// Below this a p-value is called a finding: 5 % shared by the two strengths the headline tests.
const SIGNIFICANCE: f64 = 0.025;
/// Below this size an excess of rho over a null is called weak.
const WEAK: f64 = 0.1;

impl Cleanup {
    /// What was found inside heads and how sure it is, in plain sentences. A finding must leave every null, on the same side of
    /// all; raw recall stands beside it.
    pub fn headline(&self) -> String {
        let within = |strength, decay| self.relation(strength, decay).and_then(|relation| relation.within_heads.as_ref());
        let unique = sentence(
            "the erase uniquely removes",
            "of a write",
            "decay alone would have kept more of it",
            within(Strength::UniqueContribution, DecayAxis::WindowRetention),
        );
        let gate =
            sentence("the erase gate opens", "", "mean retention is higher", within(Strength::EraseStrength, DecayAxis::MeanRetention));
        let mut said = format!("{unique} {gate}");
        let kept = self.recall.global.iter().filter(|row| row.lag > 0).find_map(|row| Some((row.lag, row.r2.as_ref()?)));
        if let Some((lag, r2)) = kept {
            let middle = &self.recall.global[self.recall.global.len() / 2];
            said += &format!(" Beside it, raw recall at the write key: R2 {r2} at lag {lag}");
            if let Some(r2) = middle.r2.as_ref().filter(|_| middle.lag > lag) {
                said += &format!(", {r2} at lag {}", middle.lag);
            }
            said += ".";
        }
        said
    }

    /// More of what was found, a line each: every relation with its nulls, between heads, and the naive correlation.
    pub fn details(&self) -> Vec<String> {
        let mut lines = vec![];
        for relation in &self.relations {
            let what = format!("{} against {}", relation.strength.label(), relation.decay.label());
            for (place, correlation) in [("inside", &relation.within_heads), ("between", &relation.between_heads)] {
                let Some(correlation) = correlation else {
                    lines.push(format!("{what}, {place} heads: nothing varies, no correlation."));
                    continue;
                };
                let null = |null: &NullCorrelation| format!("{} {} ({})", null.null.label(), null.band, words::p_value(null.p_value));
                let nulls: Vec<String> = correlation.nulls.iter().map(null).collect();
                let nulls = if nulls.is_empty() { "none applies".to_owned() } else { nulls.join(", ") };
                lines.push(format!(
                    "{what}, {place} heads: rho = {} ({}); nulls: {nulls}.",
                    correlation.rho,
                    words::p_value(correlation.p_value)
                ));
            }
            if let Some(naive) = &relation.naive_pooled {
                lines.push(format!(
                    "{what}, naive: rho = {:.3} with all {} tokens taken for independent ({}): not to be believed.",
                    naive.rho,
                    naive.n_tokens,
                    words::p_value(Some(naive.p_value_if_tokens_were_independent))
                ));
            }
        }
        lines
    }
}

/// The null that explains a correlation best: the one with the largest p, the smallest excess among equals.
fn nearest_null(correlation: &Correlation) -> Option<&NullCorrelation> {
    let key = |null: &NullCorrelation| (null.p_value.unwrap_or(1.0), -null.excess.estimate.abs());
    correlation.nulls.iter().max_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)))
}

/// One sentence about a correlation inside heads; `verb` and `object` stand around "more" or "less", `place` says where x is higher.
fn sentence(verb: &str, object: &str, place: &str, correlation: Option<&Correlation>) -> String {
    let object = if object.is_empty() { String::new() } else { format!(" {object}") };
    let Some((correlation, nearest)) = correlation.and_then(|correlation| Some((correlation, nearest_null(correlation)?))) else {
        return format!("Whether {verb} more{object} where {place} cannot be asked inside heads: one of the two never varies.");
    };
    let numbers = format!(
        "rho = {} against {} under the nearest null ({}; {}, {})",
        correlation.rho,
        nearest.band,
        nearest.null.label(),
        words::p_value(nearest.p_value),
        words::sequences(correlation.rho.n)
    );
    let above = nearest.excess.estimate > 0.0;
    let one_side = correlation.nulls.iter().all(|null| (null.excess.estimate > 0.0) == above);
    match nearest.p_value {
        Some(p) if p < SIGNIFICANCE && one_side => {
            let weakly = if nearest.excess.estimate.abs() < WEAK { " (weakly)" } else { "" };
            let side = if above { "more" } else { "less" };
            format!("Inside heads {verb} {side}{object} where {place}: {numbers}, beyond every null{weakly}.")
        }
        Some(_) => {
            format!("No sign beyond the nulls that inside heads {verb} more or less{object} where {place}: {numbers}.")
        }
        None => format!("Too few sequences to tell whether inside heads {verb} more{object} where {place}: {numbers}."),
    }
}
