//! What is counted: a test in a world, and how often it errs.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use super::Family;

/// What an error of a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It calls a finding what is none (and, where something is planted, its power).
    Rejects,
    /// Its interval misses the truth.
    Misses,
}

/// Whether the tool ships a test or only shows what would happen without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Shipped: it should err at its nominal rate at most.
    Shipped,
    /// A common practice that ignores the structure of the data; shown beside.
    Naive,
}

/// A test in a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The test.
    pub test: String,
    /// The world, in a few words.
    pub world: String,
    /// Shipped or naive.
    pub standing: Standing,
    /// What an error is.
    pub fault: Fault,
    /// The rate it promises at most.
    pub nominal: f64,
}

impl Case {
    pub(super) fn new(test: &str, world: &str, standing: Standing, fault: Fault) -> Self {
        Self { test: test.to_owned(), world: world.to_owned(), standing, fault, nominal: 0.05 }
    }
}

/// What one replication gave for one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Nothing: the test does not apply there.
    None,
    /// 1 for an error, 0 for none, between them for a share of errors.
    Error(f64),
    /// An interval of something whose truth a world of very many sequences shows.
    Interval { low: f64, high: f64 },
}

impl Outcome {
    /// Of a p-value.
    pub fn of_p(p: Option<f64>, level: f64) -> Self {
        p.map_or(Self::None, |p| Self::Error(f64::from(u8::from(p <= level))))
    }

    /// Of an interval around a known truth.
    pub fn of_interval(bounds: Option<(f64, f64)>, truth: f64) -> Self {
        bounds.map_or(Self::None, |(low, high)| Self::Error(f64::from(u8::from(truth < low || truth > high))))
    }

    /// Of an interval whose truth a very large world shows.
    pub fn of_unknown(interval: Option<&crate::measure::Interval>) -> Self {
        interval.and_then(crate::measure::Interval::bounds).map_or(Self::None, |(low, high)| Self::Interval { low, high })
    }
}

/// How often a test erred.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Tests that share their worlds.
    pub family: Family,
    /// The test and the world.
    pub case: Case,
    /// Size of what was planted; 0 is nothing.
    pub effect: f64,
    /// Replications in which the test applied.
    pub n: u64,
    /// Share of errors (with something planted and a test that rejects: its power).
    pub rate: f64,
    /// Exact binomial interval of the rate at 99 %.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Whether a test keeps its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibrated {
    /// The nominal rate lies within the interval of the rate.
    AtItsLevel,
    /// It errs less often than it promises: safe, but less powerful than it could be.
    Conservative,
    /// It errs more often than it promises.
    TooLiberal,
}

impl Calibrated {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtItsLevel => "at its level",
            Self::Conservative => "conservative",
            Self::TooLiberal => "too liberal",
        }
    }
}

impl Rate {
    /// Counts one case's outcomes; `None` where the test never applied. `truth` is what intervals should cover.
    pub(super) fn of(family: Family, case: &Case, effect: f64, outcomes: &[Outcome], truth: Option<f64>) -> Option<Self> {
        let truth = truth.unwrap_or(f64::NAN);
        let errors: Vec<f64> = outcomes
            .iter()
            .filter_map(|outcome| match *outcome {
                Outcome::None => None,
                Outcome::Error(error) => Some(error),
                Outcome::Interval { low, high } => Some(f64::from(u8::from(!(low <= truth && truth <= high)))),
            })
            .collect();
        let n = errors.len() as u64;
        if n == 0 {
            return None;
        }
        let hits: f64 = errors.iter().sum();
        let (low, high) = exact(hits, n as f64, 0.99);
        Some(Self { family, case: case.clone(), effect, n, rate: hits / n as f64, low, high })
    }

    /// Whether the promise is kept; only of use where nothing is planted.
    pub fn calibrated(&self) -> Calibrated {
        if self.low > self.case.nominal {
            Calibrated::TooLiberal
        } else if self.high < self.case.nominal {
            Calibrated::Conservative
        } else {
            Calibrated::AtItsLevel
        }
    }
}

/// Clopper and Pearson's interval of a share.
fn exact(hits: f64, n: f64, level: f64) -> (f64, f64) {
    let tail = (1.0 - level) / 2.0;
    let bound = |a: f64, b: f64, p: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(p));
    let low = if hits <= 0.0 { 0.0 } else { bound(hits, n - hits + 1.0, tail) };
    let high = if hits >= n { 1.0 } else { bound(hits + 1.0, n - hits, 1.0 - tail) };
    (low, high)
}
