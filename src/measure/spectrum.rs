//! Spectrum of memories: singular values and effective rank, how many directions a memory really uses.

use serde::{Deserialize, Serialize};

use super::{HeadId, Interval, StatisticsOptions};
use crate::memory::Phase;

/// Options of the spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpectrumOptions {
    /// Phase of the step at which the memory is taken.
    pub phase: Phase,
    /// How many steps of each sequence, equally spaced and ending with the last.
    pub points: usize,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for SpectrumOptions {
    fn default() -> Self {
        Self { phase: Phase::Write, points: 4, statistics: StatisticsOptions::default() }
    }
}

/// Spectrum of a trace's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// How it was computed.
    pub options: SpectrumOptions,
    /// The steps (0-based) looked at, increasing.
    pub steps: Vec<usize>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadSpectrum>,
}

/// Spectrum of one head's memories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadSpectrum {
    /// Which head.
    pub id: HeadId,
    /// One per step looked at.
    pub steps: Vec<StepSpectrum>,
}

/// Memories of one head at one step, means over sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSpectrum {
    /// The step (0-based).
    pub step: usize,
    /// Mean singular values, largest first, as many as min(d_k, d_v).
    pub singular_values: Vec<f64>,
    /// Frobenius norm.
    pub norm: Option<Interval>,
    /// exp of the entropy of sigma_i / sum sigma, from 1 to min(d_k, d_v); `None` for zero memories.
    pub effective_rank: Option<Interval>,
    /// |S|_F^2 / sigma_1^2, from 1 to min(d_k, d_v); `None` for zero memories.
    pub stable_rank: Option<Interval>,
}
