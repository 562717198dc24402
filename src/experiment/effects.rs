//! From erases to answers: the part of an experiment that runs the network again.

use crate::intervene::{AccountOptions, AnswerAccount};
use crate::measure::{EraseEffectOptions, EraseEffects, EraseRun, Source, erase_effects};
use crate::model::OpenedModel;
use crate::network::{NetworkError, NetworkReplay};
use crate::task::Example;
use crate::trace::Trace;

/// What erases do to the answers of a trace, and the accounts of the example answers; nothing for a model without an erase or a task
/// without questions.
pub(super) fn of_erases(
    opened: &OpenedModel,
    trace: &Trace,
    examples: &[Example],
    options: &EraseEffectOptions,
) -> Result<(Option<EraseEffects>, Vec<AnswerAccount>), NetworkError> {
    let has_erase = trace.layers().iter().any(|layer| layer.rule.has_erase());
    if !has_erase || examples.iter().all(|example| example.questions.is_empty()) {
        return Ok((None, Vec::new()));
    }
    let mut replay = NetworkReplay::of_trace(&opened.model, trace, options.statistics.seed)?;
    replay.vocabulary = opened.vocabulary.as_ref();
    let runs = EraseRun::all(options, &Source::layers(trace));
    let effects = erase_effects(
        &runs,
        &replay.effects(trace, |example| runs.iter().map(|run| run.interventions(example)).collect(), |_, _| {})?,
        options,
    );
    let accounts = told(examples, options)
        .into_iter()
        .map(|(batch, question)| replay.account(trace, batch, question, &AccountOptions::default()))
        .collect::<Result<_, _>>()?;
    Ok((effects, accounts))
}

/// The answers that are told in full, chosen before anything is known of them: of each condition, the first question about something
/// stale in the first sequence that has one.
fn told(examples: &[Example], options: &EraseEffectOptions) -> Vec<(usize, usize)> {
    let first = |condition| {
        let sequences = examples.iter().enumerate().filter(move |(_, example)| example.condition == condition);
        let questions = sequences
            .filter_map(|(batch, example)| Some((batch, example.questions.iter().position(|question| !question.stale.is_empty())?)));
        let mut questions = questions;
        questions.next()
    };
    options.examples.iter().filter_map(|&condition| first(condition)).collect()
}
