//! What a card carries beside its score and controls: bits, code lengths, equivalence.

use pentimento_probes::{
    Code, CodeLength, Equivalence, Estimate, Evaluated, GroupedScore, LogisticParams, ProbeError, Readout, Targets,
    permutation::PermutationTest,
};

use super::{
    Extra, ReadoutOptions, Target,
    features::Features,
    sites::{Question, Task},
};

/// Level of the equivalence test.
const EQUIVALENCE_LEVEL: f64 = 0.05;

/// V-information in bits: of the readout itself where it gives probabilities, else of a logistic readout on the same features and
/// folds.
pub(super) fn information(
    target: &Evaluated,
    features: &Features,
    question: &Question,
    options: &ReadoutOptions,
) -> Result<Option<Estimate>, ProbeError> {
    let is_class = matches!(target.targets, Targets::Classes { .. });
    if !is_class || !options.extras.contains(&Extra::Information) {
        return Ok(None);
    }
    if let Some(bits) = target.bits() {
        return question.resampling.estimate(&bits).map(Some);
    }
    // Three digits of a bit are enough.
    let params =
        LogisticParams { penalties: vec![1e-2, 1e-1], inner_folds: 2, tolerance: 1e-4, max_iterations: 100, ..LogisticParams::default() };
    let evaluated = features.evaluate(std::slice::from_ref(&target.targets), question, &Readout::Logistic(params), options)?;
    evaluated[0].bits().map(|bits| question.resampling.estimate(&bits)).transpose()
}

/// Online code length of the labels, and of the control task's.
pub(super) fn description_length(
    features: &Features,
    question: &Question,
    options: &ReadoutOptions,
) -> Result<Option<CodeLength>, ProbeError> {
    let target = &question.tasks[0].1;
    let is_class = matches!(target, Targets::Classes { .. });
    let (true, Some(features)) = (is_class && options.extras.contains(&Extra::DescriptionLength), features.formed()) else {
        return Ok(None);
    };
    let code = Code { penalties: vec![1e-2, 1e-1], seed: options.seed, ..Code::default() };
    let mut length = code.length(&features, target, &question.groups)?;
    if let Some((_, control)) = question.tasks.iter().find(|(task, _)| *task == Task::RandomClasses) {
        length.bits_of_control = Some(code.length(&features, control, &question.groups)?.bits);
    }
    Ok(Some(length))
}

/// Is the score at chance, shown and not only not excluded? Asked of stale and of never-written content.
pub(super) fn equivalence(
    score: &GroupedScore,
    test: &PermutationTest,
    question: &Question,
    options: &ReadoutOptions,
) -> Result<Option<Equivalence>, ProbeError> {
    let is_asked = matches!(question.target, Target::Stale | Target::Never) && options.extras.contains(&Extra::Equivalence);
    if !is_asked {
        return Ok(None);
    }
    let chance = GroupedScore { numerators: score.denominators.iter().map(|weight| weight * test.chance()).collect(), ..score.clone() };
    question.resampling.equivalence(score, &chance, options.equivalence_margin, EQUIVALENCE_LEVEL).map(Some)
}
