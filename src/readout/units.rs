//! From features to probe cards: one unit is one question put to one head, feature and phase.

use std::collections::BTreeMap;

use pentimento_probes::{
    ControlKind, ControlResult, Evaluated, GroupedScore, MinimumDetectable, ProbeCard, ProbeError, Readout, RidgeParams, Targets,
    evaluate::evaluate,
    multiple::max_t,
    permutation::{PermutationTest, stack_nulls},
};
use rayon::prelude::*;

use super::{
    Erasure, Extra, Feature, PhaseComparison, Place, ReadoutError, ReadoutOptions, Target,
    ceiling::{Ceilings, ceilings},
    erasure::erasures,
    extras::{description_length, equivalence, information},
    features::{Features, refit},
    gather::{Gathered, Moment, Seen, Slot, Wanted, gather},
    sites::{Question, Task},
    watch::Watch,
};
use crate::{memory::Phase, trace::Trace};

/// A card on its way: what adjustments over all cards still need.
pub(super) struct Unit {
    pub card: ProbeCard,
    pub score: GroupedScore,
    question: usize,
    test: PermutationTest,
}

/// All that is found in one layer.
#[derive(Default)]
pub(super) struct Found {
    pub units: Vec<Unit>,
    pub comparisons: Vec<PhaseComparison>,
    pub erasures: Vec<Erasure>,
}

impl Question {
    /// Whether "before it was written" means anything for its target.
    pub fn has_before(&self) -> bool {
        matches!(self.target, Target::Stale | Target::Current)
    }
}

/// Age is a number: ridge, whatever was asked for.
pub(super) fn readout_for(targets: &Targets, options: &ReadoutOptions) -> Readout {
    match (targets, &options.readout) {
        (Targets::Vectors(_), Readout::Logistic(_)) => Readout::Ridge(RidgeParams::default()),
        (_, readout) => readout.clone(),
    }
}

/// Held-out predictions, and whether they are better than chance.
type Judged = (Evaluated, PermutationTest);

/// Which unit of a layer: question number, head, feature, phase.
type Place4 = (usize, usize, Feature, Phase);

/// What was fitted on one unit's features.
struct Fitted {
    by_task: Vec<(Task, Evaluated, PermutationTest)>,
    norm_only: (Evaluated, PermutationTest),
    n_channels: usize,
}

/// All cards and comparisons of one layer.
pub(super) fn read_layer(
    trace: &Trace,
    untrained: Option<&Trace>,
    layer: usize,
    questions: &[Question],
    options: &ReadoutOptions,
    watch: &Watch,
    found: &mut Found,
) -> Result<(), ReadoutError> {
    let dims = trace.layer(layer)?.dims;
    let heads = options.heads_of(layer, dims.head)?;
    let phases = options.ordered_phases();
    let last = *phases.last().expect("options are checked");
    let erases = options.extras.contains(&Extra::Erasure) && questions.iter().any(|question| !question.current.is_empty());
    let wanted = Wanted { layer, heads: &heads, phases: &phases, options, outputs: erases && options.features.contains(&Feature::State) };
    let gathered = gather(trace, questions, &wanted)?;
    let ceilings = if options.extras.contains(&Extra::Ceiling) {
        ceilings(trace, layer, &heads, questions, &phases, options.ceiling_noise, options.seed)?
    } else {
        Ceilings::new()
    };
    let untrained = match untrained {
        None => None,
        Some(other) => {
            let same = other.layer(layer).is_ok_and(|found| found.dims.head == dims.head);
            if !same {
                return Err(ReadoutError::OtherSequences(other.path().to_path_buf()));
            }
            Some(gather(other, questions, &Wanted { outputs: false, ..wanted })?)
        }
    };

    let mut places: Vec<Place4> = Vec::new();
    for (question, asks) in questions.iter().enumerate() {
        for &head in &heads {
            // Without an address the memory cannot know which write is asked about.
            let needs_address = asks.target == Target::IsStale;
            for &feature in options.features.iter().filter(|feature| !needs_address || **feature == Feature::Read) {
                let asked = if is_later(asks.place, options) { &phases[phases.len() - 1..] } else { &phases[..] };
                places.extend(asked.iter().map(|&phase| (question, head, feature, phase)));
            }
        }
    }
    // Fitting and judging take about as long; gathering is behind us.
    watch.expect(2 * places.len());
    let fitted: BTreeMap<Place4, Fitted> = places
        .par_iter()
        .map(|&place| {
            let fitted = fit_unit(place, &gathered, questions, options)?;
            watch.step()?;
            Ok((place, fitted))
        })
        .collect::<Result<_, ReadoutError>>()?;
    let judged = |slot: &Slot, question: &Question, others: Option<&[Targets]>| -> Result<Judged, ProbeError> {
        let (features, target) = (&gathered[slot], &question.tasks[0].1);
        let refit = features.refit(question, options)?;
        let test = others.map_or_else(|| question.judge(&refit, target), |others| refit.test(target, others))?;
        Ok((features.evaluate_target(question, options)?, test))
    };
    let before: BTreeMap<(usize, usize, Feature), Judged> = places
        .par_iter()
        .filter(|(question, _, _, phase)| *phase == last && questions[*question].has_before())
        .map(|&(number, head, feature, _)| {
            let (question, slot) = (&questions[number], (number, Moment::BeforeTheWrite, head, seen(feature)));
            Ok(((number, head, feature), judged(&slot, question, Some(&question.other_before))?))
        })
        .collect::<Result<_, ProbeError>>()?;
    // The address is the same at every phase.
    let addresses: BTreeMap<(usize, usize), Judged> = places
        .par_iter()
        .filter(|(_, _, feature, phase)| *phase == last && *feature == Feature::Read)
        .map(|&(number, head, ..)| {
            Ok(((number, head), judged(&(number, Moment::At(last), head, Seen::Address), &questions[number], None)?))
        })
        .collect::<Result<_, ProbeError>>()?;
    let made: Vec<Unit> = places
        .par_iter()
        .map(|&place| {
            let parts = Parts {
                fitted: &fitted,
                before: &before,
                addresses: &addresses,
                gathered: &gathered,
                untrained: untrained.as_ref(),
                heads: &heads,
                ceilings: &ceilings,
            };
            let made = make_unit(layer, place, &parts, questions, options)?;
            watch.step()?;
            Ok(made)
        })
        .collect::<Result<_, ReadoutError>>()?;
    found.units.extend(made);
    if erases {
        found.erasures.extend(erasures(layer, &heads, &phases, &gathered, questions, options)?);
    }

    found.comparisons.extend(compared(layer, &places, &phases, &fitted, questions, options)?);
    Ok(())
}

/// Every phase beside the one before it, on the same samples.
fn compared(
    layer: usize,
    places: &[Place4],
    phases: &[Phase],
    fitted: &BTreeMap<Place4, Fitted>,
    questions: &[Question],
    options: &ReadoutOptions,
) -> Result<Vec<PhaseComparison>, ReadoutError> {
    let mut comparisons = Vec::new();
    for &(number, head, feature, to) in places {
        let Some(&from) = phases.iter().take_while(|phase| **phase < to).last() else { continue };
        if is_later(questions[number].place, options) {
            continue;
        }
        let score = |phase| fitted[&(number, head, feature, phase)].by_task[0].1.score();
        let (later, earlier) = (score(to), score(from));
        let question = &questions[number];
        let difference = question.resampling.difference(&later, &earlier)?;
        comparisons.push(PhaseComparison {
            place: question.place,
            target: question.target,
            layer,
            head,
            feature,
            from,
            to,
            metric: later.metric,
            difference,
        });
    }
    Ok(comparisons)
}

/// Of several lags all but the first are read at the last phase only: together they make the curve by age.
fn is_later(place: Place, options: &ReadoutOptions) -> bool {
    let lags = options.places.iter().filter_map(|place| if let Place::Superseding { lag } = place { Some(*lag) } else { None });
    matches!(place, Place::Superseding { lag } if lags.min().is_some_and(|least| least < lag))
}

pub(super) const fn seen(feature: Feature) -> Seen {
    match feature {
        Feature::State => Seen::State,
        Feature::Read => Seen::Read,
        Feature::Singular => Seen::Singular,
    }
}

fn fit_unit(
    (number, head, feature, phase): Place4,
    gathered: &Gathered,
    questions: &[Question],
    options: &ReadoutOptions,
) -> Result<Fitted, ProbeError> {
    let question = &questions[number];
    let features = &gathered[&(number, Moment::At(phase), head, seen(feature))];
    let (tasks, targets): (Vec<Task>, Vec<Targets>) = question.tasks.iter().cloned().unzip();
    let readout = readout_for(&targets[0], options);
    let evaluated = features.evaluate(&targets, question, &readout, options)?;
    let nulls = features.refit(question, options)?;
    let by_task = tasks.into_iter().zip(evaluated).zip(&targets).map(|((task, evaluated), target)| {
        let test = match task {
            Task::Target => question.judge(&nulls, target)?,
            Task::Permuted | Task::RandomClasses => question.permutations.test(&nulls, target)?,
            Task::NeverWritten => nulls.test(target, &question.other_foils)?,
        };
        Ok((task, evaluated, test))
    });
    let by_task = by_task.collect::<Result<_, ProbeError>>()?;
    let norms = features.norms();
    let norm_only = evaluate(&norms, &targets[..1], &question.groups, &readout, &options.evaluation())?.remove(0);
    let norm_test = question.judge(&refit(&norms, &question.groups, options)?, &targets[0])?;
    Ok(Fitted { by_task, norm_only: (norm_only, norm_test), n_channels: features.n_channels() })
}

/// What units of a layer share.
struct Parts<'a> {
    fitted: &'a BTreeMap<Place4, Fitted>,
    before: &'a BTreeMap<(usize, usize, Feature), Judged>,
    addresses: &'a BTreeMap<(usize, usize), Judged>,
    gathered: &'a Gathered,
    untrained: Option<&'a Gathered>,
    heads: &'a [usize],
    ceilings: &'a Ceilings,
}

fn make_unit(layer: usize, place: Place4, parts: &Parts, questions: &[Question], options: &ReadoutOptions) -> Result<Unit, ProbeError> {
    let (number, head, feature, phase) = place;
    let question = &questions[number];
    let fitted = &parts.fitted[&place];
    let (_, target, test) = &fitted.by_task[0];
    let score = target.score();

    let mut found: Vec<(ControlKind, GroupedScore, Option<f64>)> = Vec::new();
    let mut add = |kind: ControlKind, evaluated: &Evaluated, test: &PermutationTest| {
        found.push((kind, evaluated.score(), Some(test.tail_p_value())));
    };
    for (task, evaluated, test) in &fitted.by_task[1..] {
        let kind = match task {
            Task::Target => continue,
            Task::Permuted => ControlKind::LabelPermutation,
            Task::RandomClasses => ControlKind::ControlTask,
            Task::NeverWritten => ControlKind::NeverWritten,
        };
        add(kind, evaluated, test);
    }
    if question.target == Target::Never {
        add(ControlKind::NeverWritten, target, test);
    }
    if let Some((before, test)) = parts.before.get(&(number, head, feature)) {
        add(ControlKind::BeforeTheWrite, before, test);
    }
    let of_slot = |features: &Features| -> Result<Judged, ProbeError> {
        let test = question.judge(&features.refit(question, options)?, &question.tasks[0].1)?;
        Ok((features.evaluate_target(question, options)?, test))
    };
    if parts.heads.len() > 1 {
        let index = parts.heads.iter().position(|&other| other == head).expect("one of the heads");
        let next = parts.heads[(index + 1) % parts.heads.len()];
        if feature == Feature::Read {
            let (wrong, test) = of_slot(&parts.gathered[&(number, Moment::At(phase), head, Seen::WrongRead)])?;
            add(ControlKind::WrongHead, &wrong, &test);
        } else {
            let (_, wrong, test) = &parts.fitted[&(number, next, feature, phase)].by_task[0];
            add(ControlKind::WrongHead, wrong, test);
        }
    }
    if let Some(untrained) = parts.untrained {
        let (evaluated, test) = of_slot(&untrained[&(number, Moment::At(phase), head, seen(feature))])?;
        add(ControlKind::UntrainedModel, &evaluated, &test);
    }
    if let Some((address, test)) = parts.addresses.get(&(number, head)).filter(|_| feature == Feature::Read) {
        add(ControlKind::AddressOnly, address, test);
    }
    add(ControlKind::NormOnly, &fitted.norm_only.0, &fitted.norm_only.1);
    add(ControlKind::InputOnly, &question.input_only, &question.input_only_test);
    found.push((ControlKind::Majority, target.majority(), None));
    let controls = found
        .into_iter()
        .map(|(kind, control, p_value)| control_result(question, kind, &score, &control, p_value))
        .collect::<Result<Vec<_>, _>>()?;
    let features = &parts.gathered[&(number, Moment::At(phase), head, seen(feature))];
    let ceiling = parts.ceilings.get(&(number, head, phase)).map(|ceiling| ceiling.beside(&score, test.chance(), question)).transpose()?;
    let card = ProbeCard {
        estimand: estimand(question.target, question.place),
        place: vec![
            ("place".to_owned(), question.place.to_string()),
            ("target".to_owned(), question.target.to_string()),
            ("layer".to_owned(), layer.to_string()),
            ("head".to_owned(), head.to_string()),
            ("feature".to_owned(), feature.to_string()),
            ("phase".to_owned(), phase.to_string()),
        ],
        readout: readout_for(&target.targets, options).name().to_owned(),
        metric: score.metric,
        n_samples: question.sites.len(),
        n_groups: score.n_groups(),
        n_channels: fitted.n_channels,
        n_classes: question.n_classes,
        n_folds: options.folds,
        penalties: target.penalties.clone(),
        score: question.resampling.estimate(&score)?,
        chance: test.chance(),
        p_value: test.p_value,
        adjusted_p_value: None,
        minimum_detectable: None,
        information: information(target, features, question, options)?,
        description_length: description_length(features, question, options)?,
        ceiling,
        equivalence: equivalence(&score, test, question, options)?,
        over_models: None,
        controls,
        alarms: Vec::new(),
        remarks: Vec::new(),
        answers: None,
    };
    Ok(Unit { card, score, question: number, test: test.clone() })
}

fn control_result(
    question: &Question,
    kind: ControlKind,
    score: &GroupedScore,
    control: &GroupedScore,
    p_value: Option<f64>,
) -> Result<ControlResult, ProbeError> {
    let estimate = question.resampling.estimate(control)?;
    Ok(ControlResult::new(kind, estimate, Some(question.resampling.difference(score, control)?), p_value))
}

fn estimand(target: Target, place: Place) -> String {
    let what = match target {
        Target::Stale => "share of held-out samples whose superseded value is read out",
        Target::Current => "share of held-out samples whose current value is read out",
        Target::Never => "share of held-out samples whose never-written value is read out",
        Target::Age => "variance of the content's age, in steps, that is read out",
        Target::IsStale => "share of held-out writes of which it is read out rightly whether they are stale",
    };
    match place {
        Place::Question => format!("{what}, at the question"),
        Place::Superseding { lag: 0 } => format!("{what}, at the step that makes it stale"),
        Place::Superseding { lag } => format!("{what}, {lag} steps after it went stale"),
    }
}

/// Level and power of the minimum detectable effect.
const DETECTION: (f64, f64) = (0.05, 0.8);

/// Adjusts p-values by max-T over all units of a question: they share samples and permutations. Says what would have been found.
pub(super) fn adjust(questions: &[Question], units: &mut [Unit]) -> Result<(), ProbeError> {
    for (number, question) in questions.iter().enumerate() {
        let of_question: Vec<usize> = (0..units.len()).filter(|&unit| units[unit].question == number).collect();
        let tests: Vec<PermutationTest> = of_question.iter().map(|&unit| units[unit].test.clone()).collect();
        let observed: Vec<f64> = tests.iter().map(|test| test.observed).collect();
        let null = stack_nulls(&tests);
        let mut largest: Vec<f64> =
            null.rows().into_iter().map(|row| row.fold(f64::NEG_INFINITY, |most, &score| most.max(score))).collect();
        largest.sort_by(f64::total_cmp);
        let (level, power) = DETECTION;
        let place = ((1.0 - level) * largest.len() as f64).ceil() as usize;
        let critical = largest.get(place.min(largest.len().saturating_sub(1))).copied();
        for (unit, adjusted) in of_question.into_iter().zip(max_t(&observed, null.view())) {
            let unit = &mut units[unit];
            unit.card.adjusted_p_value = Some(adjusted);
            let error = question.resampling.standard_error(&unit.score)?;
            let least = |critical| unit.test.minimum_detectable(level, power, error, critical);
            unit.card.minimum_detectable =
                Some(MinimumDetectable { level, power, alone: least(None), together: critical.map(|critical| least(Some(critical))) });
        }
    }
    Ok(())
}
