//! Raw write-key recall: can an older value be read back at its own write key?
//!
//! At step t the memory is read at the write direction of an earlier step s, S_t^T k_s, and compared with what was written
//! there, v_s, by lag t - s. Report this next to every claim of cleanup: a memory can look clean because it forgets.

use serde::{Deserialize, Serialize};

use super::{HeadId, Interval, StatisticsOptions};

/// Options of the recall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecallOptions {
    /// Lags t - s in steps; those that no sequence reaches are left out.
    pub lags: Vec<usize>,
    /// Read at every how many-th step t (1: every step).
    pub every: usize,
    /// Intervals.
    pub statistics: StatisticsOptions,
}

impl Default for RecallOptions {
    fn default() -> Self {
        Self { lags: vec![0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], every: 1, statistics: StatisticsOptions::default() }
    }
}

/// Raw write-key recall of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// How it was computed.
    pub options: RecallOptions,
    /// All layers and heads, by lag.
    pub global: Vec<LagRecall>,
    /// One per layer.
    pub layers: Vec<LayerRecall>,
    /// One per layer and head, in this order.
    pub heads: Vec<HeadRecall>,
}

/// Recall of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerRecall {
    /// The layer's number in the model.
    pub layer: usize,
    /// By lag.
    pub lags: Vec<LagRecall>,
}

/// Recall of one head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadRecall {
    /// Which head.
    pub id: HeadId,
    /// By lag.
    pub lags: Vec<LagRecall>,
}

/// Recall at one lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LagRecall {
    /// t - s in steps; 0 reads straight after the write.
    pub lag: usize,
    /// Reads.
    pub n_reads: u64,
    /// R2 of S_t^T k_s against v_s: 1 - sum |S_t^T k_s - v_s|^2 / sum |v_s - vbar|^2 with vbar the head's mean value in the sequence.
    /// At most 1; below 0 when the mean value would be nearer. `None` when values do not vary.
    pub r2: Option<Interval>,
    /// Mean cos(S_t^T k_s, v_s), blind to scale; `None` when every read is zero.
    pub cosine: Option<Interval>,
}
