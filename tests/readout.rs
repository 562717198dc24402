//! A synthetic memory with planted content: what is there is found, what is not there is not.

use std::{collections::BTreeMap, path::Path};

use ndarray::{Array, ArrayD, IxDyn};
use pentimento::{
    memory::{Factors, HookPoint, Phase, RecordOptions, Rule, cpu},
    provenance::Provenance,
    readout::{
        Address, ControlKind, Extra, Feature, Place, ProbeCard, Readout, ReadoutError, ReadoutOptions, Readouts, Standing, StateForm,
        Target, Verdict, What, readouts, readouts_over_models,
    },
    task::{Condition, Example, Question, Write, WriteKind, random},
    trace::{Table, Trace, TraceSpec, TraceWriter, label_tables},
};
use pentimento_probes::{LogisticParams, RidgeParams};
use rand::RngExt;

const STEPS: usize = 12;
const KEYS: usize = 4;
const VALUES: usize = 5;
const FIRST_VALUE: u32 = 100;
/// Steps of the write that goes stale, of the one that takes its place, and of the question.
const STALE: usize = 2;
const SUPERSEDING: usize = 8;
const ASKED: usize = 11;

/// One key (of several names) is written with one value, erased and written with another; a third value is never written.
fn example(sequence: u64) -> Example {
    let mut random = random::stream(5, "readout test", sequence);
    let mut values: Vec<u32> = (0..VALUES as u32).collect();
    rand::seq::SliceRandom::shuffle(&mut values[..], &mut random);
    let token = |value: usize| FIRST_VALUE + values[value];
    let mut tokens: Vec<u32> = (0..STEPS).map(|_| random.random_range(0..3)).collect();
    (tokens[STALE], tokens[SUPERSEDING], tokens[ASKED]) = (token(0), token(1), 10 + sequence as u32 % 12);
    let key = tokens[ASKED];
    let write = |id, position, value, superseded_at, later_writes| Write {
        id,
        key_position: position - 1,
        position,
        key,
        value,
        kind: if id == 0 { WriteKind::Fresh } else { WriteKind::Overwrite },
        copied_from: None,
        superseded_at,
        superseded_by: superseded_at.map(|_| 1),
        deleted_at: None,
        later_writes,
    };
    Example {
        tokens,
        writes: vec![write(0, STALE, token(0), Some(SUPERSEDING), 1), write(1, SUPERSEDING, token(1), None, 0)],
        questions: vec![Question {
            position: ASKED,
            key,
            gold: token(1),
            gold_write: Some(1),
            asked_write: Some(1),
            age: Some(ASKED - SUPERSEDING),
            stale: vec![token(0)],
            stale_writes: vec![0],
            rivals: vec![],
            foils: vec![token(2)],
        }],
        condition: Condition::Overwrite,
    }
}

/// Head 0 stores what the sequence says (one row of memory a key, one column a value); head 1 stores noise.
fn factors(examples: &[Example], planted: bool) -> Factors<f32> {
    let batch = examples.len();
    let mut random = random::stream(6, "readout test", u64::from(planted));
    let mut array = |point: HookPoint,
                     channels: Option<usize>,
                     value: &mut dyn FnMut(&mut rand_chacha::ChaCha8Rng, usize, usize, usize, usize) -> f32| {
        let shape: Vec<usize> = [batch, STEPS, 2].into_iter().chain(channels).collect();
        let array: ArrayD<f32> =
            Array::from_shape_fn(IxDyn(&shape), |i| value(&mut random, i[0], i[1], i[2], if channels.is_some() { i[3] } else { 0 }));
        (point, array)
    };
    let is_write = |step| step == STALE || step == SUPERSEDING;
    let tells = |step: usize, head: usize| planted && head == 0 && is_write(step);
    let unit = |channel: usize, key: usize| f32::from(u8::from(channel == key));
    let direction = |step: usize, head: usize, channel: usize| unit(channel, if tells(step, head) { 0 } else { 1 + step % (KEYS - 1) });
    let arrays: BTreeMap<_, _> = [
        array(HookPoint::Query, Some(KEYS), &mut |_, _, _, _, channel| unit(channel, 0)),
        array(HookPoint::WriteDirection(0), Some(KEYS), &mut |_, _, step, head, channel| direction(step, head, channel)),
        array(HookPoint::EraseDirection, Some(KEYS), &mut |_, _, _, _, channel| unit(channel, 0)),
        array(HookPoint::Value(0), Some(VALUES), &mut |random, sequence, step, head, channel| {
            let told = examples[sequence].tokens[step].wrapping_sub(FIRST_VALUE) as usize;
            if tells(step, head) { unit(channel, told) } else { random.random::<f32>() - 0.5 }
        }),
        array(HookPoint::Retention, Some(KEYS), &mut |_, _, _, _, _| 0.99),
        array(HookPoint::WriteStrength(0), None, &mut |_, _, _, _, _| 0.9),
        array(HookPoint::EraseStrength, None, &mut |_, _, step, _, _| if step == SUPERSEDING { 1.0 } else { 0.0 }),
    ]
    .into_iter()
    .collect();
    Factors::new(Rule::Eda, arrays, None).unwrap()
}

fn record(path: &Path, n_sequences: u64, planted: bool, labelled: bool) -> Trace {
    let examples: Vec<Example> = (0..n_sequences).map(example).collect();
    let factors = factors(&examples, planted);
    let options = RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: vec![] };
    let recording = cpu::record(&factors.lower(), &options);
    let mut writer = TraceWriter::create(path, &TraceSpec::of_sequences(Provenance::here("test"))).unwrap();
    let tokens = ndarray::Array2::from_shape_fn((examples.len(), STEPS), |(sequence, step)| examples[sequence].tokens[step] as i32);
    writer.append(Table::tokens(tokens)).unwrap();
    writer.append_layer(3, &factors, recording).unwrap();
    if labelled {
        for table in label_tables(&examples) {
            writer.append(table).unwrap();
        }
    }
    writer.finish().unwrap();
    Trace::open(path).unwrap()
}

fn quick() -> ReadoutOptions {
    ReadoutOptions { resamples: 300, permutations: 200, ..ReadoutOptions::default() }
}

fn card<'a>(result: &'a Readouts, place: &str, target: Target, head: usize, feature: Feature, phase: Phase) -> &'a ProbeCard {
    let wanted = [place.to_owned(), target.to_string(), "3".to_owned(), head.to_string(), feature.to_string(), phase.to_string()];
    result.cards.iter().find(|card| card.place.iter().map(|(_, value)| value).eq(&wanted)).unwrap()
}

#[test]
fn the_stale_value_is_found_before_the_erase_and_not_after() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 120, true, true);
    let other = record(&directory.path().join("b.trace.zarr"), 120, false, true);
    let result = readouts(&trace, Some(&other), &quick()).unwrap();
    let at_event = |target, feature, phase| card(&result, "superseding+0", target, 0, feature, phase);
    for feature in [Feature::State, Feature::Read] {
        for phase in [Phase::Before, Phase::Decay] {
            let found = at_event(Target::Stale, feature, phase);
            assert!(found.score.value > 0.98, "{}", found.to_markdown());
            assert!(found.adjusted_p_value.unwrap() < 0.01);
            for kind in [
                ControlKind::ControlTask,
                ControlKind::UntrainedModel,
                ControlKind::WrongHead,
                ControlKind::Majority,
                ControlKind::NormOnly,
                ControlKind::InputOnly,
            ] {
                let control = found.controls.iter().find(|control| control.kind == kind).unwrap();
                assert_eq!(control.verdict, Verdict::Passed, "{kind:?}\n{}", found.to_markdown());
            }
        }
        for phase in [Phase::Erase, Phase::Write] {
            assert!(at_event(Target::Stale, feature, phase).p_value > 0.005, "{}", at_event(Target::Stale, feature, phase).to_markdown());
        }
        assert!(at_event(Target::Current, feature, Phase::Erase).p_value > 0.005);
        assert!(at_event(Target::Current, feature, Phase::Write).score.value > 0.98);
        assert!(card(&result, "question", Target::Current, 0, feature, Phase::Write).score.value > 0.98);
        assert!(card(&result, "question", Target::Current, 1, feature, Phase::Write).score.value < 0.5);
        let erase = result.comparisons.iter().find(|row| {
            (row.place, row.target, row.head, row.feature, row.from)
                == (Place::Superseding { lag: 0 }, Target::Stale, 0, feature, Phase::Decay)
        });
        let erase = erase.unwrap();
        assert_eq!(erase.to, Phase::Erase);
        assert!(erase.difference.high < -0.4, "{}", erase.difference);
    }
    assert!(result.alarms().is_empty(), "{:?}", result.alarms());
    assert_eq!(result.cards.len(), 2 * 2 * 2 * 2 * 4);
}

#[test]
fn what_a_card_carries_agrees_with_what_was_planted() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 160, true, true);
    let options = ReadoutOptions {
        features: vec![Feature::Read],
        targets: vec![Target::Stale],
        places: vec![Place::Superseding { lag: 0 }],
        equivalence_margin: 0.12,
        ..quick()
    };
    let result = readouts(&trace, None, &options).unwrap();
    let at = |phase| card(&result, "superseding+0", Target::Stale, 0, Feature::Read, phase);
    let (there, gone) = (at(Phase::Decay), at(Phase::Erase));
    let (there_ceiling, gone_ceiling) = (there.ceiling.unwrap(), gone.ceiling.unwrap());
    // The erase is complete: what is left of the write is nothing, and its ceiling is chance.
    assert!(there_ceiling.estimate.value > 0.95 && there_ceiling.mean_r2 > 0.95, "{}", there.to_markdown());
    assert!(gone_ceiling.estimate.value < 0.4 && gone_ceiling.mean_r2 < 1e-6, "{}", gone.to_markdown());
    assert!(!there.equivalence.unwrap().is_shown() && gone.equivalence.unwrap().is_shown(), "{}", gone.to_markdown());
    assert_eq!((there.standing(), gone.standing()), (Standing::Supported, Standing::NotFound));
    let (told, untold) = (there.description_length.unwrap(), gone.description_length.unwrap());
    assert!(told.bits < 1.3 && told.bits_of_control.unwrap() > told.bits + 0.5, "{told:?}");
    assert!(untold.bits > 2.0, "{untold:?}");
    assert!(there.information.unwrap().low > 1.5 && gone.information.unwrap().value < 0.2);
    let least = there.minimum_detectable.unwrap();
    assert!(least.alone > 0.0 && least.together.unwrap() >= least.alone && least.alone < 0.2);
}

#[test]
fn states_that_are_never_formed_give_the_cards_of_states_that_are() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 80, true, true);
    let of = |state_form| {
        let options = ReadoutOptions {
            features: vec![Feature::State],
            targets: vec![Target::Stale],
            places: vec![Place::Superseding { lag: 0 }],
            readout: Readout::Ridge(RidgeParams { penalties: vec![0.1], ..RidgeParams::default() }),
            extras: vec![],
            state_form,
            ..quick()
        };
        readouts(&trace, None, &options).unwrap()
    };
    let (formed, free) = (of(StateForm::Dense), of(StateForm::MatrixFree));
    assert_eq!(formed.cards.len(), 8);
    for (formed, free) in formed.cards.iter().zip(&free.cards) {
        assert_eq!(formed.place, free.place);
        // f32 against f64: a prediction near a tie may fall the other way.
        assert!((formed.score.value - free.score.value).abs() <= 0.026, "{} {}", formed.to_markdown(), free.to_markdown());
        let norms = |card: &ProbeCard| card.control(ControlKind::NormOnly).unwrap().estimate.value;
        assert!((norms(formed) - norms(free)).abs() <= 0.026);
    }
}

#[test]
fn erasing_what_tells_the_stale_value_takes_it_from_the_read_and_a_random_subspace_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 160, true, true);
    let options = ReadoutOptions {
        features: vec![Feature::State],
        targets: vec![Target::Stale],
        phases: vec![Phase::Before, Phase::Decay],
        places: vec![Place::Superseding { lag: 0 }],
        heads: Some(vec![0, 1]),
        extras: vec![Extra::Erasure],
        ..quick()
    };
    let result = readouts(&trace, None, &options).unwrap();
    let erasure = result.erasures.iter().find(|erasure| erasure.head == 0).unwrap();
    let score = |what| erasure.scores.iter().find(|score| score.what == what).unwrap();
    assert!(erasure.phase == Phase::Before && !erasure.is_partial, "{} of {}", erasure.rank, erasure.n_dimensions);
    for what in [What::StaleRefitted, What::StaleInOutput] {
        let score = score(what);
        assert!(score.whole.value > 0.95 && score.without_concept.value < 0.5 && score.without_random.value > 0.6, "{score:?}");
        assert!(score.difference.high < 0.0);
    }
    assert!(erasure.output_change.unwrap().without_concept.value > 0.5);
    assert_eq!(result.erasure_table().rows.len(), 2 * 5);
}

#[test]
fn several_models_give_one_interval() {
    let directory = tempfile::tempdir().unwrap();
    let first = record(&directory.path().join("a.trace.zarr"), 60, true, true);
    let second = record(&directory.path().join("b.trace.zarr"), 60, false, true);
    let options = ReadoutOptions {
        features: vec![Feature::Read],
        targets: vec![Target::Stale],
        phases: vec![Phase::Decay],
        places: vec![Place::Superseding { lag: 0 }],
        heads: Some(vec![0]),
        extras: vec![],
        ..quick()
    };
    let result = readouts_over_models(&[&first, &second], None, &options).unwrap();
    let over = result.cards[0].over_models.unwrap();
    assert_eq!(over.n_models, 2);
    // One model has it, the other has not: two observations say little.
    assert!(over.estimate.high - over.estimate.low > 0.5, "{}", over.estimate);
    assert!(readouts_over_models(&[&first], None, &options).unwrap().cards[0].over_models.is_none());
}

#[test]
fn whether_something_is_stale_is_not_found_where_nothing_tells_it() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 80, true, true);
    let options = ReadoutOptions { targets: vec![Target::IsStale], places: vec![Place::Question], extras: vec![], ..quick() };
    let result = readouts(&trace, None, &options).unwrap();
    // Without an address there is no question, so the whole state is not asked; both writes share an address, so the read cannot know.
    assert_eq!(result.cards.len(), 2 * 4);
    assert!(result.cards.iter().all(|card| card.n_classes == Some(2) && card.standing() == Standing::NotFound), "{:?}", result.alarms());
    let nothing = ReadoutOptions { features: vec![Feature::State], ..options };
    assert!(matches!(readouts(&trace, None, &nothing), Err(ReadoutError::Option { option: "targets", .. })));
}

#[test]
fn all_singular_directions_are_the_whole_state() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 60, true, true);
    let of = |feature, singular_rank| {
        let options = ReadoutOptions {
            features: vec![feature],
            targets: vec![Target::Stale],
            phases: vec![Phase::Decay],
            places: vec![Place::Superseding { lag: 0 }],
            extras: vec![],
            singular_rank,
            ..quick()
        };
        readouts(&trace, None, &options).unwrap().cards.into_iter().map(|card| card.score.value).collect::<Vec<_>>()
    };
    let (state, all, one) = (of(Feature::State, 1), of(Feature::Singular, VALUES), of(Feature::Singular, 1));
    assert!(state.iter().zip(&all).all(|(a, b)| (a - b).abs() < 0.03), "{state:?} {all:?}");
    assert!(one[0] <= state[0] + 0.05);
}

#[test]
fn later_lags_are_read_at_the_last_phase_only() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 40, true, true);
    let options = ReadoutOptions {
        features: vec![Feature::Read],
        targets: vec![Target::Current],
        places: vec![Place::Superseding { lag: 0 }, Place::Superseding { lag: 2 }],
        heads: Some(vec![0]),
        extras: vec![],
        ..quick()
    };
    let result = readouts(&trace, None, &options).unwrap();
    assert_eq!(result.cards.len(), 4 + 1);
    assert!(card(&result, "superseding+2", Target::Current, 0, Feature::Read, Phase::Write).score.value > 0.9);
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 40, true, true);
    let options = ReadoutOptions { targets: vec![Target::Stale, Target::Never, Target::Age], heads: Some(vec![0]), ..quick() };
    let first = readouts(&trace, None, &options).unwrap();
    let second = readouts(&trace, None, &options).unwrap();
    let text = serde_json::to_string(&first).unwrap();
    assert_eq!(text, serde_json::to_string(&second).unwrap());
    assert_eq!(serde_json::from_str::<Readouts>(&text).unwrap(), first);
    assert!(first.summary().rows.len() == first.cards.len() && first.comparison_table().rows.len() == first.comparisons.len());
}

#[test]
fn a_never_written_value_is_at_chance_and_logistic_agrees() {
    let directory = tempfile::tempdir().unwrap();
    let trace = record(&directory.path().join("a.trace.zarr"), 80, true, true);
    let readout = Readout::Logistic(LogisticParams { penalties: vec![0.01], ..LogisticParams::default() });
    let options = ReadoutOptions {
        targets: vec![Target::Never, Target::Stale],
        features: vec![Feature::Read],
        address: Address::Query,
        places: vec![Place::Superseding { lag: 0 }],
        heads: Some(vec![0]),
        readout,
        ..quick()
    };
    let result = readouts(&trace, None, &options).unwrap();
    for phase in Phase::ALL {
        assert!(card(&result, "superseding+0", Target::Never, 0, Feature::Read, phase).p_value > 0.005);
    }
    let stale = card(&result, "superseding+0", Target::Stale, 0, Feature::Read, Phase::Decay);
    assert!(stale.score.value > 0.95 && stale.information.unwrap().value > 1.0);
}

#[test]
fn an_address_that_tells_the_target_raises_an_alarm() {
    // Write directions that spell the value they write: what is read at them tells the value, whatever the memory holds.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.trace.zarr");
    let examples: Vec<Example> = (0..120).map(example).collect();
    let mut arrays: BTreeMap<_, _> = factors(&examples, true).arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
    for ((index, direction), sequence) in
        arrays.get_mut(&HookPoint::WriteDirection(0)).unwrap().indexed_iter_mut().map(|(index, x)| ((index.clone(), x), index[0]))
    {
        if index[1] == STALE {
            let value = (examples[sequence].tokens[STALE] - FIRST_VALUE) as usize;
            *direction = if index[3] == value % KEYS { 1.0 } else { 0.0 };
        }
    }
    // A memory that is full of known numbers from the start, so that a read gives its address away.
    let initial = ndarray::Array4::from_shape_fn((120, 2, KEYS, VALUES), |(_, _, key, value)| f32::from(u8::from(key == value)));
    let factors = Factors::new(Rule::Eda, arrays, Some(initial)).unwrap();
    let recording = cpu::record(&factors.lower(), &RecordOptions { pseudo_values: true, checkpoint_every: Some(64), dense: vec![] });
    let mut writer = TraceWriter::create(&path, &TraceSpec::of_sequences(Provenance::here("test"))).unwrap();
    writer.append_layer(3, &factors, recording).unwrap();
    for table in label_tables(&examples) {
        writer.append(table).unwrap();
    }
    writer.finish().unwrap();
    let options = ReadoutOptions {
        features: vec![Feature::Read],
        targets: vec![Target::Stale],
        address: Address::Own,
        heads: Some(vec![0]),
        ..quick()
    };
    let result = readouts(&Trace::open(&path).unwrap(), None, &options).unwrap();
    assert!(result.alarms().iter().any(|alarm| alarm.contains("state before the write")), "{:?}", result.alarms());
}

#[test]
fn bad_questions_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let unlabelled = record(&directory.path().join("a.trace.zarr"), 4, true, false);
    assert!(matches!(readouts(&unlabelled, None, &quick()), Err(ReadoutError::NoLabels(_))));
    let trace = record(&directory.path().join("b.trace.zarr"), 4, true, true);
    assert!(matches!(readouts(&trace, None, &quick()), Err(ReadoutError::NothingToAsk(_))));
    let trace = record(&directory.path().join("c.trace.zarr"), 12, true, true);
    let options = |change: fn(&mut ReadoutOptions)| {
        let mut options = quick();
        change(&mut options);
        readouts(&trace, None, &options)
    };
    assert!(matches!(options(|options| options.heads = Some(vec![2])), Err(ReadoutError::Head { head: 2, n_heads: 2, .. })));
    assert!(matches!(options(|options| options.layers = Some(vec![0])), Err(ReadoutError::Trace(_))));
    assert!(matches!(options(|options| options.phases.clear()), Err(ReadoutError::Option { option: "phases", .. })));
    assert!(matches!(readouts(&trace, Some(&unlabelled), &quick()), Err(ReadoutError::OtherSequences(_))));
}
