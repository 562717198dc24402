//! What a piece of work is: parts with the same spec can be merged, others never.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Feature;
use super::PartialError;
use crate::memory::Phase;
use crate::provenance::digest;
use crate::task::random;
use crate::trace::Trace;

/// Steps of a leaf of the tree: a multiple of the usual distance of checkpoints, so that leaves replay on their own.
pub const BLOCK: usize = 256;
/// The largest sums, in numbers a node: 1 GiB.
const LARGEST: usize = 1 << 27;

/// Where samples come from: which traces belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkSource {
    /// Digest of model, weights, task, split, seed and lengths for traces recorded from a task: traces of different ranges of its
    /// sequences have the same. For any other trace, its content digest.
    pub digest: String,
    /// The number of the trace's first sequence in that work.
    pub first_sequence: u64,
}

impl WorkSource {
    /// What a trace belongs to.
    pub fn of(trace: &Trace) -> Self {
        let (attributes, mut run) = (trace.attributes(), trace.attributes().run.clone());
        let first = run["sequences"][0].as_u64();
        let recorded = attributes.model["weights_digest"].as_str().zip(first).filter(|_| run["task"].is_object());
        if let (Some((weights, first_sequence)), Some(run)) = (recorded, run.as_object_mut()) {
            run.remove("sequences");
            let work = json!({ "weights": weights, "config": attributes.model["config"], "run": run, "steps": trace.n_steps() });
            return Self { digest: digest(&work), first_sequence };
        }
        let own = || digest(&json!({ "model": attributes.model, "run": attributes.run, "provenance": attributes.provenance }));
        Self { digest: trace.digest().map_or_else(own, str::to_owned), first_sequence: 0 }
    }
}

/// The address of the feature `read`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadAddress {
    /// The write direction of the step whose value is the target. Where directions depend on values, it gives some of the value away.
    #[default]
    Own,
    /// The query of the sample's own step.
    Query,
}

/// Targets that the memory cannot hold, beside the true ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// The value written at the same step of the neighbouring sequence (0 and 1, 2 and 3, ... exchange; a last one takes the first's):
    /// what the step's number alone tells.
    #[default]
    Exchanged,
    /// None: sums take half the time and a third of the space.
    None,
}

/// A piece of work. Everything in it changes what the sums are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartSpec {
    /// Version of the file's layout and of the order of its sums.
    pub version: u32,
    /// Digest of the work's traces, see [`WorkSource`].
    pub source: String,
    /// The layer's number in the model.
    pub layer: usize,
    /// The head.
    pub head: usize,
    /// Steps between the target's write and the sample.
    pub lag: usize,
    /// What a readout sees.
    pub feature: Feature,
    /// Where the memory is read, for the feature `read`.
    pub address: ReadAddress,
    /// The memory's phase within the sample's step.
    pub phase: Phase,
    /// Steps that count as samples: first, and the one after the last.
    pub window: [u64; 2],
    /// Steps of a leaf.
    pub block: u64,
    /// Folds of sequences.
    pub folds: usize,
    /// Deals sequences into folds.
    pub fold_seed: u64,
    /// Control targets.
    pub control: Control,
    /// Features of a sample.
    pub n_features: usize,
    /// Numbers of a target, without the control's.
    pub n_targets: usize,
}

impl PartSpec {
    /// Columns of a sample: features, targets, control targets.
    pub fn n_columns(&self) -> usize {
        self.n_features + self.n_target_columns()
    }

    /// Targets and control targets.
    pub fn n_target_columns(&self) -> usize {
        self.n_targets * if self.control == Control::None { 1 } else { 2 }
    }

    /// Refuses sums that no machine would hold.
    pub(super) fn check_size(&self) -> Result<(), PartialError> {
        let numbers = pentimento_probes::moments::triangle(self.n_columns());
        if numbers > LARGEST {
            let (features, targets) = (self.n_features, self.n_target_columns());
            return Err(PartialError::TooLarge { features, targets, gigabytes: numbers as f64 * 8.0 / 1e9 });
        }
        Ok(())
    }

    /// The fold of a sequence, and its place there. A pure function of the sequence's number: each run of as many sequences as
    /// there are folds gives one to every fold.
    pub fn fold_of(&self, sequence: u64) -> (usize, u64) {
        let (run, place) = (sequence / self.folds as u64, (sequence % self.folds as u64) as usize);
        let mut order: Vec<usize> = (0..self.folds).collect();
        order.shuffle(&mut random::stream(self.fold_seed, "readout/partial/folds", run));
        (order[place], run)
    }

    /// A name that says what a part is of: the same work has the same name.
    pub fn file_name(&self, covered: &super::Coverage) -> String {
        let hull = covered
            .hull()
            .map_or(String::new(), |hull| format!("-b{}-{}-s{}-{}", hull.sequences[0], hull.sequences[1], hull.steps[0], hull.steps[1]));
        let Self { layer, head, lag, feature, .. } = self;
        format!("stats-{}-l{layer}-h{head}-j{lag}-{feature}{hull}.safetensors", &digest(self)[..8])
    }

    /// The first setting in which two specs differ: name and both values.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let fields = |spec: &Self| match serde_json::to_value(spec).expect("plain data serialises") {
            Value::Object(fields) => fields,
            _ => unreachable!("a struct is an object"),
        };
        let (own, other) = (fields(self), fields(other));
        let name = |name: &String| if name == "source" { "the trace (model, task, seed or content)".to_owned() } else { name.clone() };
        own.iter().find(|(key, value)| other[*key] != **value).map(|(key, value)| (name(key), value.to_string(), other[key].to_string()))
    }
}
