//! From truth tables to questions put to a memory: where to look, and what is true there.

use std::collections::BTreeMap;

use pentimento_probes::{
    Evaluated, ProbeError, Refit, Resampling, Targets, baseline, control,
    evaluate::evaluate,
    permutation::{PermutationTest, Permutations},
};
use rand::{
    RngExt,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use super::{Address, Place, ReadoutError, ReadoutOptions, Target, features::refit};
use crate::task::Example;

/// One sample: a moment of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub sequence: usize,
    pub step: usize,
    /// The step whose write direction is the address of the read; `None`: the query of the step itself.
    pub address_step: Option<usize>,
    /// The first step that could know the target.
    pub first_told: usize,
    /// The step at which the target was written, if it is a value.
    pub told_step: Option<usize>,
}

/// All samples of one place and target, with what every layer and head shares: targets, splits, draws, input-only readouts.
pub(super) struct Question {
    pub place: Place,
    pub target: Target,
    pub sites: Vec<Site>,
    pub groups: Vec<u64>,
    /// The target, then its refitted controls in the order of `Task`.
    pub tasks: Vec<(Task, Targets)>,
    pub n_classes: Option<usize>,
    pub resampling: Resampling,
    pub permutations: Permutations,
    /// Labels that the target could have had, given all else in the sequence; the same draws for all units. Empty for numbers.
    pub other_targets: Vec<Targets>,
    /// Labels that the foil could have had.
    pub other_foils: Vec<Targets>,
    /// Labels that the target could have had, given what was in the sequence before it was told.
    pub other_before: Vec<Targets>,
    pub input_only: Evaluated,
    pub input_only_test: PermutationTest,
    /// For a stale value: the samples of which a current value is known too, and its class.
    pub current: Vec<(usize, usize)>,
}

/// What is fitted on one set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Target,
    Permuted,
    /// Hewitt and Liang's control task.
    RandomClasses,
    NeverWritten,
}

/// A sample before its classes are numbered.
struct Draft {
    site: Site,
    key: u32,
    value: Option<u32>,
    /// The write that told the value.
    told: Option<u32>,
    /// The value that is true in its place, if one is.
    current: Option<u32>,
    is_stale: bool,
    age: Option<usize>,
    /// Number of the foil in its sequence's list.
    foil: usize,
}

/// One question per place and target for which there are enough sequences.
pub(super) fn ask(
    examples: &[Example],
    n_steps: usize,
    options: &ReadoutOptions,
    notices: &mut Vec<String>,
) -> Result<Vec<Question>, ReadoutError> {
    let classes = value_classes(examples);
    let mut questions = Vec::new();
    for &place in &options.places {
        for &target in &options.targets {
            let mut drafts = Vec::new();
            for (sequence, example) in examples.iter().enumerate() {
                let of_sequence = drafts_of(example, sequence, place, target, options.address);
                let within: Vec<Draft> = of_sequence.into_iter().filter(|draft| draft.site.step < n_steps).collect();
                if drafts.len() + within.len() > options.max_samples {
                    notices.push(format!(
                        "{target} at {place}: the first {} samples of more, max_samples = {}",
                        drafts.len(),
                        options.max_samples
                    ));
                    break;
                }
                drafts.extend(within);
            }
            let n_groups = drafts.chunk_by(|a, b| a.site.sequence == b.site.sequence).count();
            if n_groups < 2 * options.folds {
                notices.push(format!(
                    "{target} at {place}: only {n_groups} sequences have it, {} are needed (record more)",
                    2 * options.folds
                ));
                continue;
            }
            questions.push(question(place, target, &drafts, examples, &classes, options)?);
        }
    }
    Ok(questions)
}

/// Every value that is written or listed as a foil anywhere, ascending.
fn value_classes(examples: &[Example]) -> Vec<u32> {
    let written = examples.iter().flat_map(|example| example.writes.iter().map(|write| write.value));
    let foils = examples.iter().flat_map(|example| example.questions.iter().flat_map(|question| question.foils.iter().copied()));
    let mut classes: Vec<u32> = written.chain(foils).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn drafts_of(example: &Example, sequence: usize, place: Place, target: Target, address: Address) -> Vec<Draft> {
    let write = |id: u32| &example.writes[id as usize];
    let draft = |step: usize, key: u32, told: Option<u32>, asked: Option<u32>, index: usize, age: Option<usize>| -> Option<Draft> {
        let own = told.map(write);
        let address_step = match address {
            Address::Query => None,
            Address::Asked => Some(asked.or(told).map(write)?.position),
            Address::Own => Some(told.or(asked).map(write)?.position),
        };
        let value = own.map(|own| own.value);
        let told_at = own.map_or(step, |own| own.key_position.min(own.position));
        let seen_at = value.and_then(|value| example.tokens.iter().position(|&token| token == value));
        let first_told = seen_at.map_or(told_at, |seen_at| seen_at.min(told_at));
        let site = Site { sequence, step, address_step, first_told, told_step: own.map(|own| own.position) };
        Some(Draft { site, key, value, told, current: None, is_stale: false, age, foil: index })
    };
    // Of every write so far at some step: is it stale by then?
    let states_at = |step: usize, index: usize| {
        example.writes.iter().filter(move |write| write.position < step).map(move |write| Draft {
            site: Site { sequence, step, address_step: Some(write.position), first_told: write.position, told_step: None },
            key: write.key,
            value: None,
            told: None,
            current: None,
            is_stale: write.is_stale(step),
            age: Some(step - write.position),
            foil: index,
        })
    };
    if target == Target::IsStale {
        let steps: Vec<usize> = match place {
            Place::Question => example.questions.first().map(|question| question.position).into_iter().collect(),
            // The last event of the sequence: every write counts once.
            Place::Superseding { lag } => {
                example.writes.iter().filter_map(|write| Some(write.stale_at()? + lag)).max().into_iter().collect()
            }
        };
        return steps.into_iter().enumerate().flat_map(|(index, step)| states_at(step, index)).collect();
    }
    let mut drafts: Vec<Draft> = match place {
        Place::Question => example
            .questions
            .iter()
            .enumerate()
            .filter_map(|(index, question)| {
                let told = match target {
                    Target::Stale => Some(*question.stale_writes.last()?),
                    Target::Current => Some(question.gold_write?),
                    Target::Never | Target::IsStale => None,
                    Target::Age => {
                        question.age?;
                        question.asked_write
                    }
                };
                draft(question.position, question.key, told, question.asked_write, index, question.age)
            })
            .collect(),
        Place::Superseding { lag } => example
            .writes
            .iter()
            .enumerate()
            .filter_map(|(index, stale)| {
                let step = stale.stale_at()? + lag;
                let told = match target {
                    Target::Stale | Target::Age => Some(stale.id),
                    Target::Current => Some(stale.superseded_by?),
                    Target::Never | Target::IsStale => None,
                };
                // What the event is about: the write that takes the place, or what a delete removes.
                draft(step, stale.key, told, stale.superseded_by.or(Some(stale.id)), index, Some(step - stale.position))
            })
            .collect(),
    };
    for draft in &mut drafts {
        let successor = draft.told.and_then(|id| write(id).superseded_by).map(|id| write(id).value);
        draft.current = successor.filter(|value| Some(*value) != draft.value);
    }
    drafts
}

fn question(
    place: Place,
    target: Target,
    drafts: &[Draft],
    examples: &[Example],
    classes: &[u32],
    options: &ReadoutOptions,
) -> Result<Question, ReadoutError> {
    let groups: Vec<u64> = drafts.iter().map(|draft| draft.site.sequence as u64).collect();
    let keys: Vec<u64> = drafts.iter().map(|draft| u64::from(draft.key)).collect();
    let class_of = |token: u32| classes.binary_search(&token).expect("every value is a class");
    let foils = foil_labels(drafts, examples, &class_of);
    let targets = match target {
        Target::Age => Targets::scalars(&drafts.iter().map(|draft| draft.age.unwrap_or(0) as f64).collect::<Vec<_>>()),
        Target::Never => foils
            .clone()
            .map(|labels| Targets::Classes { labels, n_classes: classes.len() })
            .ok_or_else(|| ReadoutError::NothingToAsk("this task lists no never-written values: drop the target 'never'".to_owned()))?,
        Target::IsStale => Targets::Classes { labels: drafts.iter().map(|draft| usize::from(draft.is_stale)).collect(), n_classes: 2 },
        Target::Stale | Target::Current => {
            let labels = drafts.iter().filter_map(|draft| draft.value).map(class_of).collect();
            Targets::Classes { labels, n_classes: classes.len() }
        }
    };
    let permuted = control::permuted_targets(&targets, &groups, options.seed.wrapping_add(1));
    let controlled = control::control_task(&keys, &targets, options.seed.wrapping_add(2))?;
    let mut tasks = vec![(Task::Target, targets.clone()), (Task::Permuted, permuted), (Task::RandomClasses, controlled)];
    let is_class = target != Target::Age;
    let is_value = matches!(target, Target::Stale | Target::Current | Target::Never);
    if let Some(labels) = foils.filter(|_| is_value && target != Target::Never) {
        tasks.push((Task::NeverWritten, Targets::Classes { labels, n_classes: classes.len() }));
    }
    // Whether something is stale can be guessed from how old it is.
    let ages: Vec<f64> =
        if target == Target::IsStale { drafts.iter().map(|draft| draft.age.unwrap_or(0) as f64).collect() } else { Vec::new() };
    let poor = poor_features(&keys, &ages);
    let readout = super::units::readout_for(&targets, options);
    let input_only = evaluate(&poor, std::slice::from_ref(&targets), &groups, &readout, &options.evaluation())?.remove(0);
    let sites: Vec<Site> = drafts.iter().map(|draft| draft.site).collect();
    let needs_values = is_value && target != Target::Never;
    let redraw = |draw: &dyn Fn(&mut ChaCha8Rng) -> Vec<usize>| -> Vec<Targets> {
        let mut random = crate::task::random::stream(options.seed, "readout: other draws", 0);
        (0..options.permutations).map(|_| Targets::Classes { labels: draw(&mut random), n_classes: classes.len() }).collect()
    };
    let mut question = Question {
        place,
        target,
        resampling: options.bootstrap().draw(drafts.chunk_by(|a, b| a.site.sequence == b.site.sequence).count())?,
        permutations: Permutations::new(&groups, options.permutations, options.seed),
        other_foils: if is_value { redraw(&|random| other_foils(drafts, examples, classes, random)) } else { Vec::new() },
        other_targets: if needs_values { redraw(&|random| other_targets(drafts, examples, classes, random)) } else { Vec::new() },
        other_before: if needs_values { redraw(&|random| other_before(&sites, examples, classes, random)) } else { Vec::new() },
        sites,
        groups,
        tasks,
        n_classes: is_class.then_some(if is_value { classes.len() } else { 2 }),
        input_only_test: PermutationTest::new(0.0, Vec::new()),
        input_only,
        current: if target == Target::Stale {
            let known = drafts.iter().enumerate().filter_map(|(sample, draft)| Some((sample, class_of(draft.current?))));
            known.collect()
        } else {
            Vec::new()
        },
    };
    question.input_only_test = question.judge(&refit(&poor, &question.groups, options)?, &question.tasks[0].1)?;
    Ok(question)
}

impl Question {
    /// Is a readout, refitted, better on the target than on what the target could have been?
    pub fn judge(&self, refit: &Refit, target: &Targets) -> Result<PermutationTest, ProbeError> {
        match self.target {
            Target::Stale | Target::Current => refit.test(target, &self.other_targets),
            Target::Never => refit.test(target, &self.other_foils),
            Target::Age | Target::IsStale => self.permutations.test(refit, target),
        }
    }
}

/// The class of each sample's foil: the next of its sequence's list. `None` if the task lists none.
fn foil_labels(drafts: &[Draft], examples: &[Example], class_of: &impl Fn(u32) -> usize) -> Option<Vec<usize>> {
    drafts
        .iter()
        .map(|draft| {
            let listed = foils_of(&examples[draft.site.sequence])?;
            Some(class_of(listed[draft.foil % listed.len()]))
        })
        .collect()
}

fn foils_of(example: &Example) -> Option<&[u32]> {
    example.questions.first().map(|question| question.foils.as_slice()).filter(|foils| !foils.is_empty())
}

/// Classes whose token does not stand in these tokens.
fn absent(tokens: &[u32], classes: &[u32]) -> Vec<usize> {
    (0..classes.len()).filter(|&class| !tokens.contains(&classes[class])).collect()
}

// A memory says which values are *there*, hence which the target cannot be, if values are distinct inside a sequence. Exchanging
// targets between sequences ignores that and calls such exclusion a finding. So chance is judged by redrawing: given all else
// in the sequence, what else could the target have been?

/// What the targets could have been: each value of a sequence anew, from those that stand nowhere else in it.
fn other_targets(drafts: &[Draft], examples: &[Example], classes: &[u32], random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut labels = Vec::with_capacity(drafts.len());
    for drafts in drafts.chunk_by(|a, b| a.site.sequence == b.site.sequence) {
        let free = absent(&examples[drafts[0].site.sequence].tokens, classes);
        let mut drawn: BTreeMap<u32, usize> = BTreeMap::new();
        for value in drafts.iter().filter_map(|draft| draft.value) {
            let label = *drawn.entry(value).or_insert_with(|| {
                let other = random.random_range(0..=free.len());
                free.get(other).copied().unwrap_or_else(|| classes.binary_search(&value).expect("every value is a class"))
            });
            labels.push(label);
        }
    }
    labels
}

/// What other lists of foils would have given: as many values, drawn from those that stand nowhere in the sequence.
fn other_foils(drafts: &[Draft], examples: &[Example], classes: &[u32], random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut labels = Vec::with_capacity(drafts.len());
    for drafts in drafts.chunk_by(|a, b| a.site.sequence == b.site.sequence) {
        let example = &examples[drafts[0].site.sequence];
        let mut candidates = absent(&example.tokens, classes);
        candidates.shuffle(random);
        let listed = foils_of(example).map_or(1, <[u32]>::len).min(candidates.len()).max(1);
        labels.extend(drafts.iter().map(|draft| candidates.get(draft.foil % listed).copied().unwrap_or(0)));
    }
    labels
}

/// What other values could have been written at each site: any that does not stand in the sequence before.
fn other_before(sites: &[Site], examples: &[Example], classes: &[u32], random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut known: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    sites
        .iter()
        .map(|site| {
            let candidates = known
                .entry((site.sequence, site.first_told))
                .or_insert_with(|| absent(&examples[site.sequence].tokens[..site.first_told], classes));
            candidates.choose(random).copied().unwrap_or(0)
        })
        .collect()
}

/// What the token asked about, and where given the content's age, say without any memory: features [sample, channel].
fn poor_features(keys: &[u64], ages: &[f64]) -> ndarray::Array2<f64> {
    let mut distinct = keys.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let symbols: Vec<usize> = keys.iter().map(|key| distinct.partition_point(|other| other < key)).collect();
    let features = baseline::input_only(&symbols, distinct.len());
    if ages.is_empty() {
        return features;
    }
    let most = ages.iter().fold(1.0_f64, |most, &age| most.max(age));
    let age = ndarray::Array2::from_shape_fn((ages.len(), 2), |(sample, power)| (ages[sample] / most).powi(1 + power as i32));
    ndarray::concatenate(ndarray::Axis(1), &[features.view(), age.view()]).expect("a row per sample")
}
