//! The journey: models and task -> traces -> measures and readouts -> results, figures, tables, report.

use std::fs;
use std::path::{Path, PathBuf};

use super::answer_erasure::{AnswerErasure, erase_from_answers};
use crate::evaluate::AnswersError;
use crate::export::whole_file;
use crate::measure::{
    Held, MeasureError, Truth, alignment, allocation, behaviour, capacity, cleanup, collateral, explained, fate, recall, spectrum,
    targeting,
};
use crate::model::{LanguageModel, ModelError};
use crate::network::NetworkReplay;
use crate::provenance::{Provenance, digest};
use crate::readout::{ReadoutError, readouts};
use crate::record::{RecordError, RecordSpec, record};
use crate::task::Example;
use crate::trace::{Answer, Trace, TraceError};

use super::plan::PlannedModel;
use super::{ClaimError, ModelResults, Plan, Results, claims, effects, figures, report, tables};

/// The resolved spec: the first file of an output folder, by which it is known as one.
const SPEC_FILE: &str = "spec.toml";

/// What is being done, for a progress display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Recording a model: tokens done, of how many.
    Recording(String, usize, usize),
    /// Letting a model answer a task: which, at which length.
    Answering(String, String, usize),
    /// Measuring a model's trace: what.
    Measuring(String, &'static str),
    /// Fitting readouts on a model's trace.
    Reading(String),
    /// Drawing and writing.
    Writing,
}

/// What can go wrong on the way.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The output folder is there already.
    #[error("output exists: choose another folder with --out, or add --force to replace it: {}", .0.display())]
    Exists(PathBuf),
    /// Something else lies there.
    #[error("output is not replaced, even with --force: the folder is not the output of an experiment; choose another with --out: {}", .0.display())]
    NotOurs(PathBuf),
    /// A file cannot be written.
    #[error("cannot write: {source}: {}", path.display())]
    Write {
        /// The cause.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A recording.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A measure.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The network, run again.
    #[error(transparent)]
    Network(#[from] crate::network::NetworkError),
    /// A readout.
    #[error(transparent)]
    Readout(#[from] ReadoutError),
    /// Answers.
    #[error(transparent)]
    Answers(#[from] AnswersError),
    /// A claim.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A figure.
    #[error(transparent)]
    Figure(#[from] crate::figure::FigureError),
}

/// Runs an experiment and leaves everything in the folder `out`. `results.json` is written last but for the report, so a folder with
/// a report is a finished experiment.
pub fn run(plan: &Plan, out: &Path, force: bool, mut progress: impl FnMut(Stage)) -> Result<Results, RunError> {
    make_room(out, "traces", force)?;
    let spec = plan.published_spec();
    write(&out.join(SPEC_FILE), &toml::to_string(&spec).expect("a spec that was TOML is TOML"))?;
    let mut models = Vec::new();
    for planned in &plan.models {
        let trained = record_model(plan, planned, &planned.opened.model, &planned.name, out, &mut progress)?;
        let untrained = match plan.spec.readout {
            Some(_) => {
                let (model, _) = LanguageModel::new(planned.opened.model.config().clone(), plan.spec.seed)?;
                Some(record_model(plan, planned, &model, &format!("{}-untrained", planned.name), out, &mut progress)?)
            }
            None => None,
        };
        models.push(look_into(plan, planned, &trained, untrained.as_ref(), &mut progress)?);
    }
    progress(Stage::Writing);
    let provenance = Provenance { seed: Some(plan.spec.seed), spec_digest: Some(digest(&spec)), ..Provenance::here("run") };
    let level = plan.spec.measure.allocation.statistics.level;
    let claims = claims::judge(&plan.spec.claims, &models, level)?;
    let families = claims::by_family(&plan.spec.quantities, &models, level);
    let results = Results { provenance, spec, models, families, claims };
    let drawn = figures::draw(&results, &out.join("figures"))?;
    let tabled = tables::write(&results, &out.join("tables"))?;
    write(&out.join("results.json"), &(serde_json::to_string_pretty(&results).expect("plain data serialises") + "\n"))?;
    let document = report::document(&results, &drawn, &tabled);
    write(&out.join("report.md"), &document.markdown())?;
    write(&out.join("report.html"), &document.html())?;
    Ok(results)
}

fn record_model(
    plan: &Plan,
    planned: &PlannedModel,
    model: &LanguageModel,
    name: &str,
    out: &Path,
    progress: &mut impl FnMut(Stage),
) -> Result<Trace, RunError> {
    let spec =
        RecordSpec { seed: plan.spec.seed, checkpoint_every: plan.spec.checkpoint_every, ..RecordSpec::new(0..plan.spec.sequences as u64) };
    let path = out.join("traces").join(format!("{name}.trace.zarr"));
    let describe = serde_json::json!({ "name": name, "checkpoint": planned.opened.name });
    record(model, &describe, &planned.task, &spec, &path, |done, total| progress(Stage::Recording(name.to_owned(), done, total)))?;
    Ok(Trace::open(path)?)
}

/// Measures and readouts of one model.
fn look_into(
    plan: &Plan,
    planned: &PlannedModel,
    trace: &Trace,
    untrained: Option<&Trace>,
    progress: &mut impl FnMut(Stage),
) -> Result<ModelResults, RunError> {
    let (model, measure) = (&planned.opened.model, &plan.spec.measure);
    let mut answered = Vec::new();
    for spec in &plan.spec.answers {
        let (vocabulary, statistics) = (planned.opened.vocabulary.as_ref(), &measure.allocation.statistics);
        answered.extend(spec.run(model, vocabulary, plan.spec.seed, statistics, |length| {
            progress(Stage::Answering(planned.name.clone(), spec.name.clone(), length));
        })?);
    }
    let rules: Vec<_> = trace.layers().iter().map(|layer| layer.rule).collect();
    let has_erase = rules.iter().any(|rule| rule.has_erase());
    let mut say = |what| progress(Stage::Measuring(planned.name.clone(), what));
    say("behaviour");
    let examples: Vec<Example> = trace.labels()?.unwrap_or_default();
    let answers = Answer::of_trace(trace, &examples)?;
    let behaviour = answers.and_then(|answers| behaviour(&examples, &answers, &measure.allocation.statistics));
    let source = Held::new(trace);
    say("allocation");
    let allocation = allocation(&source, &measure.allocation)?;
    say("collateral");
    let collateral = has_erase.then(|| collateral(&source, &measure.collateral)).transpose()?;
    say("alignment");
    let alignment = has_erase.then(|| alignment(&source, &measure.alignment)).transpose()?;
    say("recall");
    let recall = recall(&source, &measure.recall)?;
    say("cleanup against decay");
    let cleanup = has_erase.then(|| cleanup(&source, &measure.cleanup)).transpose()?;
    let truth = Truth::of_labels(Some(&examples), trace.n_steps());
    say("fate of every write");
    let fate = fate(&source, &truth, &measure.fate)?;
    say("targeting");
    let targeting = match targeting(&source, &truth, &measure.targeting) {
        Err(MeasureError::Empty(_)) => None,
        found => Some(found?),
    };
    say("capacity");
    let capacity = capacity(&source, &truth, &measure.capacity)?;
    say("spectrum");
    let spectrum = spectrum(&source, &measure.spectrum)?;
    say("attention maps");
    let explained = match explained(&source, &measure.allocation.statistics) {
        Err(MeasureError::Empty(_)) => None,
        found => Some(found?),
    };
    say("erases and answers (the network run again)");
    let (erase_effects, accounts) = effects::of_erases(&planned.opened, trace, &examples, &measure.erase_effects)?;
    progress(Stage::Reading(planned.name.clone()));
    let mut readouts = plan.spec.readout.as_ref().map(|options| readouts(trace, untrained, options)).transpose()?;
    let mut answer_erasures = Vec::new();
    if let Some(readouts) = readouts.as_mut().filter(|_| examples.iter().any(|example| !example.questions.is_empty())) {
        let replay = NetworkReplay::of_trace(model, trace, plan.spec.seed)?;
        answer_erasures = erase_from_answers(&replay, &examples, &readouts.options.evaluation(), &measure.erase_effects.statistics)?;
        AnswerErasure::put_on_cards(&answer_erasures, readouts);
    }
    Ok(ModelResults {
        name: planned.name.clone(),
        family: planned.family.clone(),
        seed: planned.seed,
        checkpoint: planned.opened.name.clone(),
        rules,
        parameters: model.config().count()?.total,
        weights_digest: model.weights_digest()?,
        trace_digest: trace.digest().map(str::to_owned),
        behaviour,
        answers: answered,
        allocation,
        collateral,
        alignment,
        recall,
        cleanup,
        fate,
        targeting,
        capacity,
        spectrum,
        explained,
        erase_effects,
        accounts,
        answer_erasures,
        readouts,
    })
}

/// An empty folder but for the first of its own. Only a folder that an experiment made is ever replaced.
pub(super) fn make_room(out: &Path, first: &str, force: bool) -> Result<(), RunError> {
    let fault = |source| RunError::Write { source, path: out.to_path_buf() };
    if out.exists() {
        let is_empty = out.is_dir() && fs::read_dir(out).map_err(fault)?.next().is_none();
        let is_ours = out.join(SPEC_FILE).is_file() && ["traces", "figures"].iter().any(|folder| out.join(folder).is_dir());
        if force && !is_empty && !is_ours {
            return Err(RunError::NotOurs(out.to_path_buf()));
        }
        let may_go = is_empty || force;
        if !may_go {
            return Err(RunError::Exists(out.to_path_buf()));
        }
        fs::remove_dir_all(out).map_err(fault)?;
    }
    fs::create_dir_all(out.join(first)).map_err(fault)
}

/// Writes a whole file or none.
pub(super) fn write(path: &Path, text: &str) -> Result<(), RunError> {
    whole_file(path, text.as_bytes()).map_err(|source| RunError::Write { source, path: path.to_path_buf() })
}
