//! What a trace says of itself: the attributes of its root and of each layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::memory::{Phase, Rule};
use crate::provenance::Provenance;

/// Version of the layout (semver). A higher major is refused; unknown arrays and attributes are ignored.
pub const SCHEMA_VERSION: &str = "1.0.0";

/// The mark by which a Zarr group is known as a trace.
pub(crate) const FORMAT: &str = "pentimento trace";

/// The attributes of the root group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attributes {
    /// Always `pentimento trace`.
    pub format: String,
    /// Version of the layout.
    pub schema_version: String,
    /// How far the recording came.
    pub status: Status,
    /// Sequences that are there in full length.
    pub committed_batch: usize,
    /// Steps (of every sequence) that are there.
    pub committed_steps: usize,
    /// The axis along which blocks were appended.
    pub growth: Growth,
    /// Who made it.
    pub provenance: Provenance,
    /// The model: rule, configuration, names and digests of weights, precision; as its maker describes it.
    #[serde(default)]
    pub model: Value,
    /// The run: task or prompt and their digests, seed, device; as its maker describes it.
    #[serde(default)]
    pub run: Value,
    /// The equation's conventions, as data.
    pub conventions: Conventions,
    /// What was kept.
    pub recording: RecordingChoices,
    /// Digest of all stored bytes (blake3, 32 hexadecimal digits); present when the recording was finished or repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,
}

/// How far a recording came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being written, or killed while it was: the committed steps are good.
    Recording,
    /// Finished, with replay checked.
    Complete,
    /// Its writer gave up and said so: the committed steps are good.
    Aborted,
    /// A prefix that `trace repair` has made usable, with replay checked.
    Repaired,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Recording => "recording",
            Self::Complete => "complete",
            Self::Aborted => "aborted",
            Self::Repaired => "repaired",
        })
    }
}

/// The axis along which blocks are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Growth {
    /// Each block continues all sequences by some steps: for long texts.
    #[default]
    Step,
    /// Each block brings further sequences in full length: for many examples of a task.
    Batch,
}

impl Growth {
    /// The growing dimension's name.
    pub const fn dimension(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Batch => "batch",
        }
    }
}

/// The equation's conventions, so that a reader need not guess them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conventions {
    /// Order of the phases of a step.
    pub order: Vec<String>,
    /// How pseudo-values replay.
    pub replay: String,
    /// What the decay multiplies.
    pub decay: String,
    /// Axes of a memory.
    pub memory_layout: Vec<String>,
    /// How the output reads the memory.
    pub output: String,
    /// Whether directions are unit vectors by the time they are stored.
    pub directions: String,
    /// What scale the stored query has.
    pub query_scale: String,
    /// Which key head serves a head.
    pub key_head_of_head: String,
    /// What a checkpoint holds.
    pub checkpoint: String,
    /// First step.
    pub first_step: usize,
}

impl Default for Conventions {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            order: vec![text("decay"), text("erase"), text("write")],
            replay: text("S = retention * S; then per edit in order S = fma(direction, pseudo_value, S), all in f32"),
            decay: text("retention = exp(log_decay), one factor per row (key channel) of the memory; 1 keeps all"),
            memory_layout: vec![text("d_k"), text("d_v")],
            output: text("o = S^T q after the write"),
            directions: text("as the model used them (L2-normalised by the models of this program)"),
            query_scale: text("as the model used it: the stored query is normalised and scaled already"),
            key_head_of_head: text("head * n_key_heads // n_value_heads"),
            checkpoint: text("the memory found before the step named in checkpoint/step; the last one follows the last step"),
            first_step: 0,
        }
    }
}

/// What a recording kept, and how it is laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingChoices {
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// Steps (growth `step`) or sequences (growth `batch`) that are committed together.
    pub commit_every: usize,
    /// Phases of which every memory is stored.
    pub dense: Vec<Phase>,
    /// Mantissa bits kept in dense memories; absent if they are exact. Checkpoints are always exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitround: Option<u8>,
    /// Whether memory norms and the removal by decay were computed (they need a replay while recording).
    pub memory_norms: bool,
}

/// The attributes of a layer's group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerAttributes {
    /// The rule its factors belong to.
    pub rule: Rule,
    /// Heads with a key of their own.
    pub n_key_heads: usize,
    /// Heads with a memory of their own.
    pub n_value_heads: usize,
    /// Key channels.
    pub d_k: usize,
    /// Value channels.
    pub d_v: usize,
    /// Whatever else was said of the layer.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}
