//! What factors are worth: values outside the ranges of the equation are refused, the norms of directions reported.

use std::collections::BTreeMap;

use ndarray::{ArrayViewD, Axis};
use serde::Serialize;

use super::{Factors, HookPoint, MemoryError, Phase, Rule, Scalar};

/// The L2 norms of every direction of some factors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactorNorms {
    rule: Rule,
    norms: BTreeMap<String, NormSummary>,
}

/// The L2 norms of one direction over all steps and heads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NormSummary {
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The greatest.
    pub max: f64,
}

impl FactorNorms {
    /// The norms by the name of the direction: `query`, `write_direction`, `erase_direction` and so on.
    pub const fn by_name(&self) -> &BTreeMap<String, NormSummary> {
        &self.norms
    }

    /// Directions that the rule normalises, but whose norms stray from 1 by more than `tolerance` (with rounded models
    /// 0.02 is usual). The removal of such an edit is not the strength given.
    pub fn far_from_unit(&self, tolerance: f64) -> Vec<(&str, NormSummary)> {
        let strays = |norms: &NormSummary| (norms.min - 1.0).abs() > tolerance || (norms.max - 1.0).abs() > tolerance;
        self.norms
            .iter()
            .filter(|(name, norms)| is_unit(self.rule, name) && strays(norms))
            .map(|(name, &norms)| (name.as_str(), norms))
            .collect()
    }
}

impl<F: Scalar> Factors<F> {
    /// Checks that every value is finite and every gate in its range, and reports the norms of the directions.
    ///
    /// Ranges are closed, as a sigmoid rounds to 0 and 1 and a strong decay underflows to 0. A rule without decay needs
    /// retention 1, a rule with one decay per head the same retention on all channels.
    pub fn check_values(&self) -> Result<FactorNorms, MemoryError> {
        self.check_ranges()?;
        let mut norms = BTreeMap::new();
        for (&factor, array) in self.arrays() {
            if matches!(factor, HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection) {
                norms.insert(factor.name(), summary(array.view()));
            }
        }
        Ok(FactorNorms { rule: self.rule(), norms })
    }

    /// The same checks, without the norms.
    pub fn check_ranges(&self) -> Result<(), MemoryError> {
        for (&factor, array) in self.arrays() {
            let (bounds, range) = range(self.rule(), factor);
            check(factor, array.view(), range, |x| bounds.contains(&x))?;
        }
        if let Some(memory) = self.initial_memory() {
            check(HookPoint::Memory(Phase::Before), memory.view().into_dyn(), FINITE, |_| true)?;
        }
        if matches!(self.rule(), Rule::RetNet | Rule::Gdn | Rule::GatedDeltaProduct(_) | Rule::Comba) {
            self.check_scalar_retention()?;
        }
        Ok(())
    }

    fn check_scalar_retention(&self) -> Result<(), MemoryError> {
        let retention = self.channels(HookPoint::Retention);
        for ((batch, step, head, channel), &alpha) in retention.indexed_iter() {
            if alpha != retention[[batch, step, head, 0]] {
                return Err(MemoryError::OutOfRange {
                    factor: HookPoint::Retention,
                    value: alpha.to_f64().unwrap_or(f64::NAN),
                    index: vec![batch, step, head, channel],
                    range: "the same on all channels of a head, as this rule has one decay per head",
                });
            }
        }
        Ok(())
    }
}

const FINITE: &str = "finite";

/// The values a factor may have, and the same in words.
fn range(rule: Rule, factor: HookPoint) -> (std::ops::RangeInclusive<f64>, &'static str) {
    match (factor, rule) {
        (HookPoint::Retention, Rule::LinearAttention | Rule::DeltaNet) => (1.0..=1.0, "1, as this rule has no decay"),
        (HookPoint::Retention, _) => (0.0..=1.0, "in [0, 1] (1 keeps all; retention is exp of the log decay)"),
        // Strengths up to 2 let a product of reflections turn the memory; this is what the rule was made for.
        (HookPoint::WriteStrength(_), Rule::GatedDeltaProduct(_)) => (0.0..=2.0, "in [0, 2]"),
        (
            HookPoint::WriteStrength(_)
            | HookPoint::EraseStrength
            | HookPoint::EraseGate
            | HookPoint::ReadGate
            | HookPoint::ValueGate
            | HookPoint::Feedback,
            _,
        ) => (0.0..=1.0, "in [0, 1]"),
        _ => (f64::MIN..=f64::MAX, FINITE),
    }
}

fn check<F: Scalar>(
    factor: HookPoint,
    array: ArrayViewD<F>,
    range: &'static str,
    allowed: impl Fn(f64) -> bool,
) -> Result<(), MemoryError> {
    let is_fine = |x: F| x.to_f64().is_some_and(|value| value.is_finite() && allowed(value));
    // Places are only counted where there is something to say about one.
    if array.iter().all(|&x| is_fine(x)) {
        return Ok(());
    }
    for (index, &x) in array.indexed_iter() {
        let value = x.to_f64().unwrap_or(f64::NAN);
        if !is_fine(x) {
            return Err(MemoryError::OutOfRange { factor, value, index: ndarray::Dimension::slice(&index).to_vec(), range });
        }
    }
    Ok(())
}

/// The norms along the last axis.
fn summary<F: Scalar>(array: ArrayViewD<F>) -> NormSummary {
    let last = Axis(array.ndim() - 1);
    let (mut n, mut all) = (0_usize, NormSummary { min: f64::INFINITY, mean: 0.0, max: 0.0 });
    for lane in array.lanes(last) {
        let norm = lane.iter().map(|x| x.to_f64().unwrap_or(f64::NAN).powi(2)).sum::<f64>().sqrt();
        all = NormSummary { min: all.min.min(norm), mean: all.mean + norm, max: all.max.max(norm) };
        n += 1;
    }
    if n == 0 { NormSummary { min: 0.0, mean: 0.0, max: 0.0 } } else { NormSummary { mean: all.mean / n as f64, ..all } }
}

/// Whether the rule takes this direction to have norm 1.
fn is_unit(rule: Rule, name: &str) -> bool {
    match rule {
        Rule::LinearAttention | Rule::RetNet | Rule::Gla => false,
        Rule::Rwkv7 => name == HookPoint::EraseDirection.name(),
        _ => name != HookPoint::Query.name(),
    }
}
