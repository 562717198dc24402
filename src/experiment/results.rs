//! Every number of an experiment, and who made it.

use serde::{Deserialize, Serialize};

use super::AnswerErasure;
use crate::evaluate::Answers;
use crate::intervene::AnswerAccount;
use crate::measure::{
    Alignment, Allocation, Behaviour, Capacity, Cleanup, Collateral, EraseEffects, Explained, Fate, Recall, Spectrum, Targeting,
};
use crate::memory::Rule;
use crate::provenance::Provenance;
use crate::readout::Readouts;

use super::{FamilyQuantity, Judged, Spec};

/// What `results.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// Who made it.
    pub provenance: Provenance,
    /// The spec with every default resolved.
    pub spec: Spec,
    /// One per model, in the order of the spec.
    pub models: Vec<ModelResults>,
    /// The quantities of the spec, by family.
    #[serde(default)]
    pub families: Vec<FamilyQuantity>,
    /// One per claim, in the order of the spec.
    #[serde(default)]
    pub claims: Vec<Judged>,
}

/// What was found in one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelResults {
    /// Its name in the spec.
    pub name: String,
    /// Its family in the spec.
    #[serde(default)]
    pub family: Option<String>,
    /// The seed of its training in the spec.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Where it came from: `bundled:NAME` or the last part of its path.
    pub checkpoint: String,
    /// The rules of its layers with a memory.
    pub rules: Vec<Rule>,
    /// Parameters.
    pub parameters: usize,
    /// Digest of its weights.
    pub weights_digest: String,
    /// Content digest of its trace.
    pub trace_digest: Option<String>,
    /// What it answers; `None` for a task without questions.
    pub behaviour: Option<Behaviour>,
    /// What it answers to the further tasks, at each length.
    #[serde(default)]
    pub answers: Vec<Answers>,
    /// Gate-strength allocation.
    pub allocation: Allocation,
    /// Collateral perturbation; `None` for a model without erase.
    pub collateral: Option<Collateral>,
    /// Erase-write alignment; `None` for a model without erase.
    pub alignment: Option<Alignment>,
    /// Raw write-key recall.
    pub recall: Recall,
    /// Cleanup against decay; `None` for a model without erase.
    pub cleanup: Option<Cleanup>,
    /// What becomes of every write.
    pub fate: Fate,
    /// Whether what is removed is what is stale; `None` where nothing goes stale.
    pub targeting: Option<Targeting>,
    /// What the memories' capacity is spent on.
    pub capacity: Capacity,
    /// Singular values.
    pub spectrum: Spectrum,
    /// How much of the output attention maps explain; `None` where the published ones are not defined.
    #[serde(default)]
    pub explained: Option<Explained>,
    /// What erases do to answers; `None` for a model without erase or a task without questions.
    #[serde(default)]
    pub erase_effects: Option<EraseEffects>,
    /// The erase events behind some answers.
    #[serde(default)]
    pub accounts: Vec<AnswerAccount>,
    /// What the model answers without what its reads tell of the stale and of the current value.
    #[serde(default)]
    pub answer_erasures: Vec<AnswerErasure>,
    /// Linear readouts; `None` where the spec asks for none.
    pub readouts: Option<Readouts>,
}

impl ModelResults {
    /// What was found, a sentence or two each, the headline first.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        findings.extend(self.behaviour.as_ref().map(Behaviour::headline));
        findings.extend(self.cleanup.as_ref().map(Cleanup::headline));
        findings.extend(self.erase_effects.as_ref().map(EraseEffects::headline));
        findings.push(self.fate.headline());
        findings.extend(self.targeting.as_ref().map(Targeting::headline));
        findings.push(self.allocation.headline());
        findings.extend(self.collateral.as_ref().map(Collateral::headline));
        findings.extend(self.alignment.as_ref().map(Alignment::headline));
        findings.push(self.recall.headline());
        findings.push(self.capacity.headline());
        findings.push(self.spectrum.headline());
        findings.extend(self.explained.as_ref().map(Explained::headline));
        findings.extend(self.readouts.as_ref().map(Readouts::headline));
        findings.extend(Some(AnswerErasure::headline(&self.answer_erasures)).filter(|said| !said.is_empty()));
        findings
    }

    /// Controls that failed; to be shouted.
    pub fn alarms(&self) -> Vec<String> {
        self.readouts.as_ref().map(Readouts::alarms).unwrap_or_default()
    }
}
