//! What to read out, where, and how to judge it.

use pentimento_probes::{Bootstrap, Evaluation, Readout, Scaling};
use serde::{Deserialize, Serialize};

use super::ReadoutError;
use crate::{memory::Phase, trace::Trace};

/// What a readout is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The value that is no longer true (the latest of them).
    Stale,
    /// The value that is true now.
    Current,
    /// A value that stands nowhere in the sequence: a negative control.
    Never,
    /// Steps since the content was written; a number, read out by ridge.
    Age,
    /// Whether what was written at an address is stale once the step has been read: of every write so far, one sample. Needs an
    /// address, so only the feature `read` can be asked.
    #[serde(rename = "is_stale")]
    IsStale,
}

/// What a readout sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// The whole memory, flattened [d_k * d_v].
    State,
    /// What the memory says at one address, S^T k \[d_v\].
    Read,
    /// The part of the memory in its strongest directions (its best approximation of rank `singular_rank`), flattened
    /// [d_k * d_v]: whether content lies in what the memory holds strongly.
    Singular,
}

/// How the feature `state` is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateForm {
    /// Formed while a layer's states fit into [`DENSE_NUMBERS`], else matrix-free.
    #[default]
    Auto,
    /// Formed: one row of d_k * d_v numbers a sample.
    Dense,
    /// Never formed: readouts run on retention, directions and pseudo-values (performance: `pentimento_probes::matrix_free`).
    MatrixFree,
}

/// Numbers (f32) of formed states of one layer above which they are no longer formed: 1 GiB.
pub const DENSE_NUMBERS: usize = 1 << 28;

/// What a card can carry beside its score and controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// V-information in bits, by logistic readouts.
    Information,
    /// Online code length of the labels, and of the control task's.
    DescriptionLength,
    /// What a linear readout could reach at best.
    Ceiling,
    /// Whether nothing is shown to be left.
    Equivalence,
    /// LEACE against a random subspace of the same rank, with what that does to readouts and to the layer's output.
    Erasure,
}

impl Extra {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Information, Self::DescriptionLength, Self::Ceiling, Self::Equivalence, Self::Erasure];
}

/// The address of [`Feature::Read`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// The write direction recorded where what is asked about was last written. Where a model's write direction depends on the
    /// value it writes, the address itself gives the current value away: the control "state before the write" shows it.
    #[default]
    Asked,
    /// The write direction recorded where the target itself was written. May give the target away in the same manner.
    Own,
    /// The query of the sample's own step.
    Query,
}

/// Where samples are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// At the step whose logits must give the answer.
    Question,
    /// This many steps after the step from which the content is stale (0: that step itself, so that its phases can be compared).
    Superseding {
        /// Steps.
        lag: usize,
    },
}

macro_rules! display_by_name {
    ($type:ty, $($variant:pat => $name:expr),+) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $($variant => f.write_str($name)),+
                }
            }
        }
    };
}

display_by_name!(Target, Self::Stale => "stale", Self::Current => "current", Self::Never => "never", Self::Age => "age", Self::IsStale => "is_stale");
display_by_name!(Feature, Self::State => "state", Self::Read => "read", Self::Singular => "singular");

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Question => f.write_str("question"),
            Self::Superseding { lag } => write!(f, "superseding+{lag}"),
        }
    }
}

/// What to read out.
///
/// | option | default | purpose | range |
/// |---|---|---|---|
/// | `layers`, `heads` | all | which | those of the trace |
/// | `phases` | before, decay, erase, write | of the sample's step | at least one |
/// | `features` | state, read | what a readout sees | at least one |
/// | `targets` | stale, current | what it says | at least one |
/// | `places` | superseding+0, question | where samples are taken; of several lags all but the least are read at the last phase only (the curve by age) | at least one |
/// | `address` | asked | of the feature `read` | |
/// | `state_form` | auto | how the feature `state` is held | |
/// | `singular_rank` | 4 | of the feature `singular` | at least 1 |
/// | `extras` | all | what a card carries beside score and controls | |
/// | `equivalence_margin` | 0.05 | excess over chance that counts as nothing | above 0 |
/// | `ceiling_noise` | 1e-12 | noise a memory is seen with: its variance over the mean square of the memory's entries (about f32 rounding over a thousand steps) | above 0 |
/// | `readout` | ridge | its kind and parameters | |
/// | `folds` | 5 | test parts, by sequence | at least 2 |
/// | `scaling` | isotropic | of features, fitted on the training part | |
/// | `resamples` | 10000 | of the cluster bootstrap | at least 100 |
/// | `level` | 0.95 | coverage of intervals | 0 to 1 |
/// | `permutations` | 1000 | exchanges of targets between sequences | at least 20 |
/// | `alarm_level` | 0.01 | false discoveries tolerated among negative controls | 0 to 1 |
/// | `max_samples` | 4000 | most samples of a place and target, whole sequences from the first | at least 10 |
/// | `seed` | 0 | of folds, draws, permutations, control tasks | |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadoutOptions {
    /// Layers by their number in the model.
    pub layers: Option<Vec<usize>>,
    /// Heads.
    pub heads: Option<Vec<usize>>,
    /// Phases of the sample's step.
    pub phases: Vec<Phase>,
    /// What a readout sees.
    pub features: Vec<Feature>,
    /// What it says.
    pub targets: Vec<Target>,
    /// Where samples are taken.
    pub places: Vec<Place>,
    /// Of the feature `read`.
    pub address: Address,
    /// How the feature `state` is held.
    pub state_form: StateForm,
    /// Of the feature `singular`.
    pub singular_rank: usize,
    /// What a card carries beside score and controls.
    pub extras: Vec<Extra>,
    /// Excess over chance that counts as nothing.
    pub equivalence_margin: f64,
    /// Noise a memory is seen with: its variance over the mean square of the memory's entries.
    pub ceiling_noise: f64,
    /// Its kind and parameters.
    pub readout: Readout,
    /// Test parts, by sequence.
    pub folds: usize,
    /// Of features.
    pub scaling: Scaling,
    /// Of the cluster bootstrap.
    pub resamples: usize,
    /// Coverage of intervals.
    pub level: f64,
    /// Exchanges of targets between sequences.
    pub permutations: usize,
    /// False discoveries tolerated among negative controls.
    pub alarm_level: f64,
    /// Most samples of a place and target.
    pub max_samples: usize,
    /// Of everything random.
    pub seed: u64,
}

impl Default for ReadoutOptions {
    fn default() -> Self {
        Self {
            layers: None,
            heads: None,
            phases: Phase::ALL.to_vec(),
            features: vec![Feature::State, Feature::Read],
            targets: vec![Target::Stale, Target::Current],
            places: vec![Place::Superseding { lag: 0 }, Place::Question],
            address: Address::default(),
            state_form: StateForm::default(),
            singular_rank: 4,
            extras: Extra::ALL.to_vec(),
            equivalence_margin: 0.05,
            ceiling_noise: 1e-12,
            readout: Readout::default(),
            folds: 5,
            scaling: Scaling::default(),
            resamples: 10_000,
            level: 0.95,
            permutations: 1000,
            alarm_level: 0.01,
            max_samples: 4000,
            seed: 0,
        }
    }
}

impl ReadoutOptions {
    /// Says which option makes no sense, if one does.
    pub fn check(&self) -> Result<(), ReadoutError> {
        let lists = [
            ("phases", self.phases.is_empty()),
            ("features", self.features.is_empty()),
            ("targets", self.targets.is_empty()),
            ("places", self.places.is_empty()),
        ];
        if let Some((option, _)) = lists.into_iter().find(|(_, is_empty)| *is_empty) {
            return Err(ReadoutError::Option { option, problem: "is empty: name at least one" });
        }
        if self.permutations < 20 {
            return Err(ReadoutError::Option { option: "permutations", problem: "must be at least 20" });
        }
        if self.max_samples < 10 {
            return Err(ReadoutError::Option { option: "max_samples", problem: "must be at least 10" });
        }
        if self.singular_rank == 0 {
            return Err(ReadoutError::Option { option: "singular_rank", problem: "must be at least 1" });
        }
        let positive = [("equivalence_margin", self.equivalence_margin), ("ceiling_noise", self.ceiling_noise)];
        if let Some((option, _)) = positive.into_iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            return Err(ReadoutError::Option { option, problem: "must be above 0" });
        }
        if self.features.iter().all(|feature| *feature != Feature::Read) && self.targets == [Target::IsStale] {
            return Err(ReadoutError::Option { option: "targets", problem: "asks 'is_stale', which needs the feature 'read'" });
        }
        if !(self.alarm_level > 0.0 && self.alarm_level < 1.0) {
            return Err(ReadoutError::Option { option: "alarm_level", problem: "must be between 0 and 1" });
        }
        Ok(())
    }

    pub(crate) const fn evaluation(&self) -> Evaluation {
        Evaluation { folds: self.folds, seed: self.seed, scaling: self.scaling }
    }

    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap { resamples: self.resamples, level: self.level, seed: self.seed, ..Bootstrap::default() }
    }

    /// The phases asked for in the order of the update.
    pub(super) fn ordered_phases(&self) -> Vec<Phase> {
        Phase::ALL.into_iter().filter(|phase| self.phases.contains(phase)).collect()
    }

    pub(super) fn layers_of(&self, trace: &Trace) -> Result<Vec<usize>, ReadoutError> {
        match &self.layers {
            None => Ok(trace.layers().iter().map(|layer| layer.index).collect()),
            Some(layers) => layers.iter().map(|&layer| Ok(trace.layer(layer)?.index)).collect(),
        }
    }

    pub(super) fn heads_of(&self, layer: usize, n_heads: usize) -> Result<Vec<usize>, ReadoutError> {
        match &self.heads {
            None => Ok((0..n_heads).collect()),
            Some(heads) => match heads.iter().find(|head| **head >= n_heads) {
                Some(&head) => Err(ReadoutError::Head { layer, head, n_heads }),
                None => Ok(heads.clone()),
            },
        }
    }
}
