//! What figures are made of: numbers with their intervals, and the names of models.

use serde::{Deserialize, Serialize};

use super::scale;
use crate::export::Value;
use crate::measure::Interval;

/// A measured struct with the name of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labelled<T> {
    /// As the legend says it.
    pub label: String,
    /// What was measured.
    pub measured: T,
}

impl<T> Labelled<T> {
    /// A measured struct with the name of its model.
    pub fn new(label: impl Into<String>, measured: T) -> Self {
        Self { label: label.into(), measured }
    }
}

/// A number with its interval, as drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower and upper end; absent where there are too few units for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Estimate {
    /// A number with its interval.
    pub const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, interval: Some([low, high]) }
    }

    /// The estimate and both ends, for the range of an axis.
    pub(super) fn reach(&self) -> impl Iterator<Item = f64> + use<> {
        std::iter::once(self.value).chain(self.interval.into_iter().flatten())
    }

    /// Estimate, lower and upper end as three cells of a row.
    pub(super) fn cells(estimate: Option<Self>) -> [Value; 3] {
        [estimate.map(|e| e.value).into(), estimate.and_then(|e| e.low()).into(), estimate.and_then(|e| e.high()).into()]
    }

    pub(super) fn low(&self) -> Option<f64> {
        self.interval.map(|[low, _]| low)
    }

    pub(super) fn high(&self) -> Option<f64> {
        self.interval.map(|[_, high]| high)
    }
}

impl From<&Interval> for Estimate {
    fn from(interval: &Interval) -> Self {
        Self { value: interval.estimate, interval: interval.bounds().map(|(low, high)| [low, high]) }
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Two decimals, or as many as show two digits of the largest.
        let largest = self.reach().filter(|number| number.is_finite()).fold(0.0_f64, |most, number| most.max(number.abs()));
        let decimals = if largest > 0.0 { (1.0 - largest.log10().floor()).clamp(2.0, 6.0) as usize } else { 2 };
        formatter.write_str(&scale::fixed(self.value, decimals))?;
        match self.interval {
            Some([low, high]) => write!(formatter, " [{}, {}]", scale::fixed(low, decimals), scale::fixed(high, decimals)),
            None => Ok(()),
        }
    }
}
