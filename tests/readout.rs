//! A synthetic memory with planted content: what is there is found, what is not there is not.

use std::{collections::BTreeMap, path::Path};

use ndarray::{Array, ArrayD, IxDyn};
use pentimento::{
    memory::{Factors, HookPoint, Phase, RecordOptions, Rule, cpu},
    provenance::Provenance,
    readout::{
        Address, ControlKind, Feature, Place, ProbeCard, Readout, ReadoutError, ReadoutOptions, Readouts, Target, Verdict, readouts,
    },
    task::{Condition, Example, Question, Write, WriteKind, random},
    trace::{Table, Trace, TraceSpec, TraceWriter, label_tables},
};
use pentimento_probes::LogisticParams;
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
