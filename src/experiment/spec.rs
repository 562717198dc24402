//! What the user typed: one TOML file that says which models, which task, and what to ask of their memories.

use serde::{Deserialize, Serialize};

use crate::evaluate::AnswersSpec;
use crate::figure::{Format, Width};
use crate::measure::{
    AlignmentOptions, AllocationOptions, CapacityOptions, CleanupOptions, CollateralOptions, EraseEffectOptions, FateOptions,
    RecallOptions, SpectrumOptions, TargetingOptions,
};
use crate::readout::ReadoutOptions;
use crate::task::TaskSpec;

use super::{Claim, Quantity};

/// An experiment as typed. Everything but `name`, `models` and `task` has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Short name: the report's title and the default output folder.
    pub name: String,
    /// The question in plain words; it opens the report.
    #[serde(default)]
    pub question: String,
    /// Seed of the data, the nulls and the resamples.
    #[serde(default)]
    pub seed: u64,
    /// Sequences recorded from each model: the unit of every interval.
    #[serde(default = "default_sequences")]
    pub sequences: usize,
    /// Steps between two stored memories.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: usize,
    /// The models that are compared.
    pub models: Vec<ModelSpec>,
    /// The task they are run on.
    pub task: TaskSpec,
    /// What is measured, and how.
    #[serde(default)]
    pub measure: MeasureSpec,
    /// Further tasks, of which only the answers are looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswersSpec>,
    /// Numbers that are shown of every family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantities: Vec<Quantity>,
    /// Claims to be judged by what is found, several models of a family together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// What is read out of the memories; without it no readouts are fitted.
    #[serde(default)]
    pub readout: Option<ReadoutOptions>,
    /// How figures are drawn.
    #[serde(default)]
    pub figure: FigureChoices,
}

const fn default_sequences() -> usize {
    256
}

const fn default_checkpoint_every() -> usize {
    64
}

/// One model of an experiment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name in the report.
    pub name: String,
    /// `bundled:NAME`, or a folder with `config.json` and `weights.safetensors`.
    pub checkpoint: String,
    /// The family to which claims refer; models of one family differ by their seed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Seed of its training: models of one seed in different families are twins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What to do where there is no such model: `fail` (the default), or `skip` it; claims on it are then undecided.
    #[serde(default)]
    pub missing: Missing,
}

/// What to do where a model is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Stop before any work.
    #[default]
    Fail,
    /// Leave it out, and say so.
    Skip,
}

/// Options of every measure. Each defaults to what the paper states, or to the stated default where it states none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeasureSpec {
    /// Gate-strength allocation.
    pub allocation: AllocationOptions,
    /// Collateral perturbation of the erase.
    pub collateral: CollateralOptions,
    /// Erase-write alignment.
    pub alignment: AlignmentOptions,
    /// Raw write-key recall.
    pub recall: RecallOptions,
    /// Cleanup strength against decay.
    pub cleanup: CleanupOptions,
    /// Singular values of the memories.
    pub spectrum: SpectrumOptions,
    /// What erases do to answers, the model run again.
    pub erase_effects: EraseEffectOptions,
    /// What becomes of every write.
    pub fate: FateOptions,
    /// Whether what is removed is what is stale.
    pub targeting: TargetingOptions,
    /// What the memories' capacity is spent on.
    pub capacity: CapacityOptions,
}

/// How figures are drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FigureChoices {
    /// `single`, `double` or a width in millimetres.
    pub width: Width,
    /// Any of `svg`, `pdf`, `png`.
    pub formats: Vec<Format>,
}

impl Default for FigureChoices {
    fn default() -> Self {
        Self { width: Width::Double, formats: vec![Format::Svg, Format::Pdf, Format::Png] }
    }
}
