//! What will be done: the spec with every default resolved, checked before any work.

use std::path::Path;

use crate::evaluate::AnswersError;
use crate::memory::Device;
use crate::model::{CONFIG_FILE, ModelError, OpenedModel, config_of, device, open_model_on};
use crate::readout::ReadoutError;
use crate::task::{Task, TaskError};

use super::{Missing, ModelSpec, Spec};

/// An experiment that can be run.
pub struct Plan {
    /// The spec, seeds handed down to everything random.
    pub spec: Spec,
    /// The models, in the order of the spec.
    pub models: Vec<PlannedModel>,
    /// Models of the spec that are left out, as it allows: there are none by that name here.
    pub left_out: Vec<String>,
}

/// A model that was opened, and the task in its words.
pub struct PlannedModel {
    /// Its name in the report, fit for a file name.
    pub name: String,
    /// Its family, to which claims refer.
    pub family: Option<String>,
    /// The seed of its training.
    pub seed: Option<u64>,
    /// Weights and vocabulary.
    pub opened: OpenedModel,
    /// The task in the model's vocabulary.
    pub task: Task,
}

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A value that makes no sense.
    #[error("spec: {0}")]
    Spec(String),
    /// A model cannot be opened.
    #[error("model '{name}': {source}")]
    Model {
        /// Its name in the spec.
        name: String,
        /// The cause.
        source: ModelError,
    },
    /// The task cannot be built, or not in a model's words.
    #[error("task for model '{name}': {source}")]
    Task {
        /// The model's name in the spec.
        name: String,
        /// The cause.
        source: TaskError,
    },
    /// A task of which only the answers are looked at.
    #[error("model '{name}': {source}")]
    Answers {
        /// The model's name in the spec.
        name: String,
        /// The cause.
        source: Box<AnswersError>,
    },
    /// The readout's options.
    #[error(transparent)]
    Readout(#[from] ReadoutError),
}

impl Plan {
    /// Checks a spec and resolves its defaults; models run on the CPU.
    pub fn new(spec: Spec) -> Result<Self, PlanError> {
        Self::on(spec, &Device::Cpu)
    }

    /// The same with models on a device.
    pub fn on(mut spec: Spec, place: &Device) -> Result<Self, PlanError> {
        let bad = |reason: String| Err(PlanError::Spec(reason));
        if spec.models.is_empty() {
            return bad("`models` is empty: name at least one checkpoint".to_owned());
        }
        if spec.sequences < 2 {
            return bad(format!(
                "`sequences` is {}: the sequence is the unit of every interval, so at least 2 are needed (200 or more for narrow ones)",
                spec.sequences
            ));
        }
        if spec.checkpoint_every == 0 {
            return bad("`checkpoint_every` is 0: it must be at least 1".to_owned());
        }
        for (index, model) in spec.models.iter().enumerate() {
            if !is_file_name(&model.name) {
                return bad(format!("model name '{}' must be letters, digits, '-' or '_': files are named after it", model.name));
            }
            if spec.models[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&model.name)) {
                return bad(format!("two models are named '{}': files are named after them", model.name));
            }
        }
        for claim in &spec.claims {
            let has = |family: &str| spec.models.iter().any(|model| model.family.as_deref() == Some(family));
            if let Some(family) = std::iter::once(&claim.family).chain(&claim.than).find(|family| !has(family)) {
                return bad(format!("claim '{}' is about the family '{family}', of which there is no model", claim.text));
            }
        }
        for (index, answers) in spec.answers.iter().enumerate() {
            if answers.sequences < 2 {
                return bad(format!("answers '{}' have {} sequences: at least 2 are needed", answers.name, answers.sequences));
            }
            if spec.answers[..index].iter().any(|other| other.name == answers.name) {
                return bad(format!("two `answers` are named '{}'", answers.name));
            }
        }
        spec.hand_down_seed();
        if let Some(readout) = &spec.readout {
            readout.check()?;
        }
        let may_go = |model: &ModelSpec| {
            let named = config_of(&model.checkpoint).is_ok() || Path::new(&model.checkpoint).join(CONFIG_FILE).is_file();
            model.missing == Missing::Skip && !named
        };
        let (gone, there): (Vec<ModelSpec>, Vec<ModelSpec>) = std::mem::take(&mut spec.models).into_iter().partition(may_go);
        let left_out: Vec<String> = gone.into_iter().map(|model| model.name).collect();
        if there.is_empty() {
            return bad(format!("none of its models is here: {}", left_out.join(", ")));
        }
        spec.models = there;
        let models = spec.models.iter().map(|model| {
            let name = model.name.clone();
            let failed = |source| PlanError::Model { name: name.clone(), source };
            let opened = open_model_on(&model.checkpoint, spec.seed, &device(place).map_err(failed)?).map_err(failed)?;
            for answers in &spec.answers {
                let checked = answers.check(opened.vocabulary.as_ref());
                checked.map_err(|source| PlanError::Answers { name: name.clone(), source: Box::new(source) })?;
            }
            let task = spec.task.build().and_then(|task| match &opened.vocabulary {
                Some(vocabulary) => task.in_vocabulary(vocabulary),
                None => Ok(task),
            });
            let task = task.map_err(|source| PlanError::Task { name: name.clone(), source })?;
            Ok(PlannedModel { name, family: model.family.clone(), seed: model.seed, opened, task })
        });
        let models = models.collect::<Result<_, PlanError>>()?;
        Ok(Self { spec, models, left_out })
    }
}

impl Plan {
    /// The spec as it may be published: models and texts by name, not by where they lie on this machine.
    pub fn published_spec(&self) -> Spec {
        let mut spec = self.spec.clone();
        for (model, planned) in spec.models.iter_mut().zip(&self.models) {
            if Path::new(&model.checkpoint).is_absolute() {
                model.checkpoint.clone_from(&planned.opened.name);
            }
        }
        spec.task = spec.task.without_folders();
        for answers in &mut spec.answers {
            answers.task = answers.task.clone().without_folders();
        }
        spec
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl Spec {
    /// One seed for all that is random, where the spec does not say otherwise.
    fn hand_down_seed(&mut self) {
        let seed = self.seed;
        let measure = &mut self.measure;
        let statistics = [
            &mut measure.allocation.statistics,
            &mut measure.collateral.statistics,
            &mut measure.alignment.statistics,
            &mut measure.recall.statistics,
            &mut measure.cleanup.statistics,
            &mut measure.cleanup.recall.statistics,
            &mut measure.spectrum.statistics,
            &mut measure.erase_effects.statistics,
            &mut measure.fate.statistics,
            &mut measure.targeting.statistics,
            &mut measure.capacity.statistics,
        ];
        let readout = self.readout.as_mut().map(|readout| &mut readout.seed);
        for own in statistics.into_iter().map(|statistics| &mut statistics.seed).chain(readout).filter(|own| **own == 0) {
            *own = seed;
        }
    }
}
