//! Replays under interventions against what they must equal.

use ndarray::{Array1, Array2, s};
use pentimento::{
    intervene::{Address, Change, InterveneError, Intervention, Place, Replacement, Row, Steps, Superseded, Where, apply, carry},
    memory::{Dims, EditKind, Factors, HookPoint, Phase, Recurrence, Rule, cpu, reference},
};
use proptest::prelude::*;

use crate::memory::sample::{Sample, as_rule, largest_difference, rules, samples};

/// The recurrence of factors whose every sequence is changed alike.
fn changed(factors: &Factors<f64>, interventions: &[Intervention]) -> Recurrence<f64> {
    apply(factors, Place::default(), &rows(factors, interventions)).unwrap()
}

fn rows<'a>(factors: &Factors<f64>, interventions: &'a [Intervention]) -> Vec<Row<'a>> {
    (0..factors.dims().batch).map(|sequence| Row { interventions, sequence: sequence as u64, superseded: &[] }).collect()
}

fn outputs(recurrence: &Recurrence<f64>) -> ndarray::Array4<f64> {
    reference::run(recurrence, &[]).output
}

fn small(rule: Rule, seed: u64) -> Factors<f64> {
    Sample { dims: Dims { batch: 2, step: 9, key_head: 2, head: 4, d_k: 5, d_v: 3 }, seed, starts_filled: true }.factors(rule)
}

fn at_step(change: Change, step: usize) -> Intervention {
    Intervention { change, at: Where { steps: Steps::Chosen(vec![step]), ..Where::default() } }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn changing_nothing_changes_no_bit(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let elsewhere = [Intervention { change: Change::NoDecay, at: Where { layers: Some(vec![7]), ..Where::default() } }];
        prop_assert_eq!(outputs(&changed(&factors, &elsewhere)), outputs(&factors.lower()));
        if rule.has_erase() {
            let same = [Intervention::everywhere(Change::ScaleErase { factor: 1.0 })];
            prop_assert_eq!(outputs(&changed(&factors, &same)), outputs(&factors.lower()));
        }
    }

    #[test]
    fn what_is_retracted_is_read_as_if_it_had_been_zero(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let last = sample.dims.step - 1;
        let write = sample.seed as usize % sample.dims.step;
        let at = write + (sample.seed as usize / 16) % (last - write + 1);
        let retracted = outputs(&changed(&factors, &[at_step(Change::Retract { write }, at)]));
        let zero = Replacement::Given(vec![0.0; sample.dims.d_v]);
        let never = outputs(&changed(&factors, &[Intervention::everywhere(Change::ReplaceValue { write, value: zero })]));
        let difference = largest_difference(&retracted.slice(s![.., at.., .., ..]).to_owned(), &never.slice(s![.., at.., .., ..]).to_owned());
        prop_assert!(difference < 1e-12, "{} {}", rule, difference);
        // Before, nothing happened.
        let before = s![.., ..at, .., ..];
        prop_assert_eq!(retracted.slice(before).to_owned(), outputs(&factors.lower()).slice(before).to_owned());
    }

    #[test]
    fn a_carried_write_is_the_change_of_memory_by_its_value(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let recurrence = factors.lower();
        let (last, write) = (sample.dims.step - 1, sample.seed as usize % sample.dims.step);
        let edit = recurrence.edits.iter().position(|edit| edit.kind == EditKind::Write(0)).unwrap();
        let mut other = recurrence.clone();
        let value = other.edits[edit].value.as_mut().unwrap();
        let shift: Vec<f64> = (0..sample.dims.d_v).map(|channel| 1.0 + channel as f64).collect();
        value.slice_mut(s![0, write, 0, ..]).iter_mut().zip(&shift).for_each(|(x, shift)| *x += shift);
        let memory = |recurrence| reference::run_head(recurrence, 0, 0, &[]).final_memory;
        let u = Array2::from_shape_vec((sample.dims.d_k, 1), carry(&recurrence, (0, 0), (write, edit), last)).unwrap();
        let wanted = u.dot(&Array2::from_shape_vec((1, sample.dims.d_v), shift).unwrap());
        prop_assert!(largest_difference(&(memory(&other) - memory(&recurrence)), &wanted) < 1e-12, "{}", rule);
    }

    #[test]
    fn a_forgotten_key_reads_nothing_and_the_rest_changes_least(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let last = sample.dims.step - 1;
        let write = sample.seed as usize % sample.dims.step;
        let ridge = 1e-2;
        let memory = |interventions: &[Intervention]| reference::run_head(&changed(&factors, interventions), 0, 0, &[]).final_memory;
        let as_it_is = memory(&[]);
        let forgotten = memory(&[at_step(Change::ForgetKey { write, ridge }, last)]);
        if rule.n_writes() == 1 {
            let keys = factors.channels(HookPoint::WriteDirection(0));
            let key = |step: usize| -> Array1<f64> { keys.slice(s![0, step, 0, ..]).to_owned() };
            prop_assert!(forgotten.t().dot(&key(write)).iter().all(|x| x.abs() < 1e-10), "{}", rule);
            let cost = |memory: &Array2<f64>| {
                let change = memory - &as_it_is;
                let reads: f64 = (0..=last).filter(|&step| step != write).map(|step| change.t().dot(&key(step)).mapv(|x| x * x).sum()).sum();
                reads + ridge * change.mapv(|x| x * x).sum()
            };
            // The plain projection, and the edit moved a little within those that forget the key, cost at least as much.
            let k = key(write);
            let outer = |u: &Array1<f64>, v: &Array1<f64>| u.view().insert_axis(ndarray::Axis(1)).dot(&v.view().insert_axis(ndarray::Axis(0)));
            let held = as_it_is.t().dot(&k);
            let projected = &as_it_is - &outer(&(&k / k.dot(&k)), &held);
            let nudge = Array1::from(sample.uniform("nudge", &[sample.dims.d_k], -0.1, 0.1).into_raw_vec_and_offset().0);
            let sideways = &nudge - &(&k * (k.dot(&nudge) / k.dot(&k)));
            let nudged = &forgotten - &outer(&sideways, &held);
            let least = cost(&forgotten);
            prop_assert!(least <= cost(&projected) * (1.0 + 1e-9) + 1e-12 && least <= cost(&nudged) * (1.0 + 1e-9) + 1e-12, "{}", rule);
        }
    }

    #[test]
    fn the_fast_engine_runs_every_intervention(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let last = sample.dims.step - 1;
        let mut interventions = vec![
            Intervention::everywhere(Change::RemoveWrite),
            at_step(Change::Retract { write: 0 }, last),
            at_step(Change::ForgetKey { write: 0, ridge: 0.1 }, last / 2),
            at_step(Change::NoDecay, last),
        ];
        interventions[0].at.steps = Steps::Range(1, 3);
        if rule.has_erase() {
            interventions.push(Intervention::everywhere(Change::EraseAddress { address: Address::Random }));
            interventions.push(at_step(Change::RemoveErase, last));
        }
        let exact = outputs(&changed(&factors, &interventions));
        let fast = cpu::forward(&apply(&factors.cast::<f32>(), Place::default(), &rows(&factors, &interventions)).unwrap());
        let worst = exact.iter().zip(&fast.output).map(|(a, &b)| (a - f64::from(b)).abs() / (1.0 + a.abs())).fold(0.0, f64::max);
        prop_assert!(worst < 1e-4, "{} {}", rule, worst);
    }
}

#[test]
fn without_erase_eda_is_kda() {
    let factors = small(Rule::Eda, 3);
    let none = changed(&factors, &[Intervention::everywhere(Change::RemoveErase)]);
    assert!(largest_difference(&outputs(&none), &outputs(&as_rule(&factors, Rule::Kda, []).lower())) < 1e-14);
}

#[test]
fn erasing_at_the_write_direction_is_a_stronger_write() {
    let factors = small(Rule::Eda, 4);
    let same = changed(&factors, &[Intervention::everywhere(Change::EraseAddress { address: Address::Write })]);
    let (beta, gamma) = (factors.per_head(HookPoint::WriteStrength(0)), factors.per_head(HookPoint::EraseStrength));
    let joint = &beta + &gamma - &beta * &gamma;
    let scale = (&beta / &joint).insert_axis(ndarray::Axis(3));
    let value = &factors.channels(HookPoint::Value(0)) * &scale;
    let kda = as_rule(&factors, Rule::Kda, [(HookPoint::WriteStrength(0), joint.into_dyn()), (HookPoint::Value(0), value.into_dyn())]);
    assert!(largest_difference(&outputs(&same), &outputs(&kda.lower())) < 1e-13);
}

#[test]
fn interventions_stay_in_their_heads_steps_and_sequences() {
    let factors = small(Rule::Eda, 6);
    let at = Where { heads: Some(vec![2]), steps: Steps::Range(4, 6), layers: None };
    let interventions = [Intervention { change: Change::EraseAddress { address: Address::Random }, at }];
    let rows = [Row::default(), Row { interventions: &interventions, ..Row::default() }];
    let found = outputs(&apply(&factors, Place::default(), &rows).unwrap());
    let as_it_is = outputs(&factors.lower());
    for (batch, step, head) in ndarray::indices((2, 9, 4)) {
        let lane = s![batch, step, head, ..];
        let is_same = found.slice(lane) == as_it_is.slice(lane);
        assert_eq!(is_same, !(batch == 1 && head == 2 && step >= 4), "{batch} {step} {head}");
    }
}

#[test]
fn counterfactual_addresses_are_unit_and_the_gates_stay() {
    for rule in [Rule::Eda, Rule::Rwkv7] {
        let factors = small(rule, 8);
        let stale = [Superseded { write: 2, from: 5 }, Superseded { write: 1, from: 4 }];
        for address in
            [Address::Write, Address::Random, Address::ShuffledSteps, Address::ShuffledHeads, Address::Query, Address::Superseded]
        {
            let interventions = [Intervention::everywhere(Change::EraseAddress { address })];
            let rows = [(); 2].map(|()| Row { interventions: &interventions, sequence: 11, superseded: &stale });
            let moved = apply(&factors, Place::default(), &rows).unwrap();
            let erase = &moved.edits[0];
            let read = match &erase.read {
                pentimento::memory::Read::BeforeDecay(read) => read,
                _ => &erase.direction,
            };
            assert!(read.lanes(ndarray::Axis(3)).into_iter().all(|lane| (lane.dot(&lane) - 1.0).abs() < 1e-9), "{rule} {address:?}");
            assert_ne!(outputs(&moved), outputs(&factors.lower()), "{rule} {address:?}");
            let keys = factors.channels(HookPoint::WriteDirection(0));
            let key = |step: usize| -> Array1<f64> { keys.slice(s![0, step, 1, ..]).to_owned() };
            let unit_key = |step: usize| key(step) / key(step).dot(&key(step)).sqrt();
            if address == Address::Superseded {
                let learned = factors.channels(HookPoint::EraseDirection);
                let found = |step: usize| read.slice(s![0, step, 3, ..]).to_owned();
                assert_eq!(found(3), learned.slice(s![0, 3, 1, ..]));
                assert!((found(4) - unit_key(1)).iter().all(|x| x.abs() < 1e-14));
                assert!((found(8) - unit_key(2)).iter().all(|x| x.abs() < 1e-14));
            }
        }
    }
}

/// What is random depends on sequence, layer, head, step and seed, not on the block in which it is drawn.
#[test]
fn random_addresses_do_not_depend_on_blocks() {
    let factors = small(Rule::Eda, 9);
    let interventions = [Intervention::everywhere(Change::EraseAddress { address: Address::Random })];
    let whole = apply(&factors, Place { layer: 3, position: 0, seed: 5 }, &rows(&factors, &interventions)).unwrap();
    let arrays = factors.arrays().iter().map(|(&point, array)| (point, array.slice_axis(ndarray::Axis(1), (4..).into()).to_owned()));
    let block = Factors::new(Rule::Eda, arrays.collect(), None).unwrap();
    let later = apply(&block, Place { layer: 3, position: 4, seed: 5 }, &rows(&block, &interventions)).unwrap();
    assert_eq!(whole.edits[0].direction.slice(s![.., 4.., .., ..]), later.edits[0].direction);
    let other = apply(&factors, Place { layer: 3, position: 0, seed: 6 }, &rows(&factors, &interventions)).unwrap();
    assert_ne!(whole.edits[0].direction, other.edits[0].direction);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let kda = small(Rule::Kda, 1);
    let refused = |factors: &Factors<f64>, place, intervention: Intervention| {
        let interventions = [intervention];
        apply(factors, place, &rows(factors, &interventions)).unwrap_err()
    };
    let named = Intervention { change: Change::RemoveErase, at: Where { layers: Some(vec![0]), ..Where::default() } };
    assert!(matches!(refused(&kda, Place::default(), named), InterveneError::NoErase { layer: 0, rule: Rule::Kda }));
    // Where no layer is named, those without an erase are left alone.
    let unnamed = [Intervention::everywhere(Change::RemoveErase)];
    assert_eq!(outputs(&apply(&kda, Place::default(), &rows(&kda, &unnamed)).unwrap()), outputs(&kda.lower()));
    let late = Place { position: 100, ..Place::default() };
    assert!(matches!(
        refused(&kda, late, at_step(Change::Retract { write: 99 }, 101)),
        InterveneError::EarlierBlock { write: 99, step: 101 }
    ));
    let head = Intervention { change: Change::NoDecay, at: Where { heads: Some(vec![4]), ..Where::default() } };
    assert!(refused(&kda, Place::default(), head).to_string().contains("heads 0 to 3"));
    assert!(matches!(apply(&kda, Place::default(), &[]), Err(InterveneError::Rows { found: 0, wanted: 2 })));
    let memory = reference::run_head(&kda.lower(), 0, 0, &[Phase::Write]);
    assert_eq!(memory.final_memory.dim(), (5, 3));
}
