//! Every single-gate knockout against a replay with that one gate changed.

use ndarray::{Array1, Array3, s};
use pentimento::{
    intervene::{HeadTape, Query, decay_knockouts, knockouts, visit_retention},
    memory::{Factors, Phase, Read, Recurrence, Rule, reference},
};
use proptest::prelude::*;

use crate::memory::sample::{Sample, rules, samples};

/// Largest difference between numbers and a row.
fn difference(found: &[f64], wanted: &Array1<f64>) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The reading of a query in a replay of the whole head.
fn reading(recurrence: &Recurrence<f64>, head: usize, query: &Query<f64>) -> Array1<f64> {
    let run = reference::run_head(recurrence, 0, head, &[query.phase]);
    run.memory[&query.phase].slice(s![query.step, .., ..]).t().dot(&Array1::from(query.vector.clone()))
}

/// The same recurrence with another strength of one edit at one step of a head.
fn with_strength(recurrence: &Recurrence<f64>, head: usize, edit: usize, step: usize, strength: f64) -> Recurrence<f64> {
    let mut changed = recurrence.clone();
    let d = recurrence.dims;
    let array = changed.edits[edit].strength.get_or_insert_with(|| Array3::ones((d.batch, d.step, d.head)).into_shared());
    array[[0, step, head]] = strength;
    changed
}

fn queries(tape: &HeadTape<f64>, sample: &Sample) -> Vec<Query<f64>> {
    let step = sample.seed as usize % tape.n_steps;
    let vector = sample.uniform("vector", &[tape.d_k], -1.0, 1.0).into_raw_vec_and_offset().0;
    let other = |phase| Query { step, phase, vector: vector.clone() };
    vec![Query::output(tape, tape.n_steps - 1), Query::output(tape, step), other(Phase::Before), other(Phase::Decay), other(Phase::Erase)]
}

fn tape_of(factors: &Factors<f64>, sample: &Sample) -> (Recurrence<f64>, usize, HeadTape<f64>) {
    let recurrence = factors.lower();
    let head = sample.seed as usize % sample.dims.head;
    let tape = HeadTape::new(&recurrence, 0, head, 1 + sample.seed as usize % 4).unwrap();
    (recurrence, head, tape)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sweep_gives_every_gate_its_brute_force_replay(sample in samples(), rule in rules()) {
        let (recurrence, head, tape) = tape_of(&sample.factors(rule), &sample);
        let queries = queries(&tape, &sample);
        let found = knockouts(&tape, &queries).unwrap();
        for (query, found) in queries.iter().zip(&found) {
            let as_it_is = reading(&recurrence, head, query);
            for edit in 0..recurrence.edits.len() {
                for step in 0..=query.step {
                    for strength in [0.0, 0.37, 1.5] {
                        let replayed = reading(&with_strength(&recurrence, head, edit, step, strength), head, query);
                        let effect = found.effect(&tape, edit, step, strength);
                        prop_assert!(difference(&effect, &(&replayed - &as_it_is)) < 1e-12, "{rule} edit {edit} step {step} to {strength}");
                    }
                    // The derivative is the slope between any two strengths, as the reading is affine in one.
                    let slope = (reading(&with_strength(&recurrence, head, edit, step, 1.0), head, query)
                        - reading(&with_strength(&recurrence, head, edit, step, 0.0), head, query))
                        .to_owned();
                    prop_assert!(difference(&found.derivative(&tape, edit, step), &slope) < 1e-12);
                }
            }
        }
    }

    #[test]
    fn attention_to_every_write_adds_up_to_the_output(sample in samples(), rule in rules()) {
        let (recurrence, head, tape) = tape_of(&sample.factors(rule), &sample);
        for query in queries(&tape, &sample) {
            let found = &knockouts(&tape, std::slice::from_ref(&query)).unwrap()[0];
            let mut sum = recurrence.initial(0, head).t().dot(&Array1::from(found.initial.clone()));
            for (edit, written) in recurrence.edits.iter().enumerate() {
                let Some(value) = &written.value else { continue };
                for step in 0..=query.step {
                    sum.scaled_add(found.attention(&tape, edit, step), &recurrence.lane(value, 0, step, head));
                }
            }
            let wanted = reading(&recurrence, head, &query);
            prop_assert!(difference(&sum.to_vec(), &wanted) < 1e-12 * (1.0 + wanted.dot(&wanted).sqrt()), "{rule}");
        }
    }

    #[test]
    fn retention_is_affine_channel_by_channel(sample in samples(), rule in rules()) {
        let (recurrence, head, tape) = tape_of(&sample.factors(rule), &sample);
        let queries = queries(&tape, &sample);
        let as_it_is: Vec<_> = queries.iter().map(|query| reading(&recurrence, head, query)).collect();
        let mut visited = 0;
        visit_retention(&tape, &queries, |number, step, vector, memory| {
            visited += 1;
            for channel in 0..tape.d_k {
                let mut changed = recurrence.clone();
                let alpha = changed.retention[[0, step, head, channel]];
                changed.retention[[0, step, head, channel]] = 0.25;
                let replayed = reading(&changed, head, &queries[number]) - &as_it_is[number];
                let row = &memory[channel * tape.d_v..][..tape.d_v];
                let effect: Vec<f64> = row.iter().map(|x| (0.25 - alpha) * vector[channel] * x).collect();
                assert!(difference(&effect, &replayed) < 1e-12, "{rule} step {step} channel {channel}");
            }
        }).unwrap();
        let wanted: usize = queries.iter().map(|query| query.step + usize::from(query.phase != Phase::Before)).sum();
        prop_assert_eq!(visited, wanted);
        for (query, as_it_is) in queries.iter().zip(&as_it_is) {
            for (step, effect) in decay_knockouts(&tape, query).unwrap().into_iter().enumerate() {
                let mut changed = recurrence.clone();
                changed.retention.slice_mut(s![0, step, head, ..]).fill(1.0);
                prop_assert!(difference(&effect, &(reading(&changed, head, query) - as_it_is)) < 1e-12, "{rule} step {step}");
            }
        }
    }

    #[test]
    fn the_fast_sweep_in_f32_agrees_to_rounding(sample in samples(), rule in rules()) {
        let (_, head, tape) = tape_of(&sample.factors(rule), &sample);
        let fast = HeadTape::new(&sample.factors(rule).cast::<f32>().lower(), 0, head, 3).unwrap();
        let step = tape.n_steps - 1;
        let exact = &knockouts(&tape, &[Query::output(&tape, step)]).unwrap()[0];
        let found = &knockouts(&fast, &[Query::output(&fast, step)]).unwrap()[0];
        for edit in 0..exact.edits.len() {
            for s in 0..=step {
                for (exact, found) in exact.effect(&tape, edit, s, 0.0).iter().zip(found.effect(&fast, edit, s, 0.0)) {
                    prop_assert!((exact - f64::from(found)).abs() < 3e-5 * (1.0 + exact.abs()), "{rule} edit {edit} step {s}: {exact} {found}");
                }
            }
        }
    }
}

/// The formula of the analysis for EDA, written out: do/dgamma_s = -(W_s^T g_s . e_s)(e_s^T D_s S_{s-1})^T.
#[test]
fn the_erase_derivative_is_that_of_the_analysis() {
    let sample =
        Sample { dims: pentimento::memory::Dims { batch: 1, step: 6, key_head: 1, head: 1, d_k: 4, d_v: 3 }, seed: 5, starts_filled: true };
    let recurrence = sample.factors(Rule::Eda).lower();
    let tape = HeadTape::new(&recurrence, 0, 0, 2).unwrap();
    let found = &knockouts(&tape, &[Query::output(&tape, 5)]).unwrap()[0];
    let decayed = &reference::run_head(&recurrence, 0, 0, &[Phase::Decay]).memory[&Phase::Decay];
    let lane = |array, step| recurrence.lane(array, 0, step, 0).to_owned();
    let (erase, write) = (&recurrence.edits[0], &recurrence.edits[1]);
    let strength = |edit: &pentimento::memory::Edit<f64>, step: usize| edit.strength.as_ref().unwrap()[[0, step, 0]];
    let mut g = lane(&recurrence.query, 5);
    for step in (0..6).rev() {
        let (e, k) = (lane(&erase.direction, step), lane(&write.direction, step));
        let through_write = &g - &(strength(write, step) * k.dot(&g) * &k);
        let wanted = -through_write.dot(&e) * decayed.slice(s![step, .., ..]).t().dot(&e);
        assert!(difference(&found.derivative(&tape, 0, step), &wanted) < 1e-13, "step {step}");
        let through_erase = &through_write - &(strength(erase, step) * through_write.dot(&e) * &e);
        g = through_erase * lane(&recurrence.retention, step);
    }
    assert!(matches!(erase.read, Read::Direction));
}

#[test]
fn a_query_beyond_the_last_step_is_refused() {
    let sample = Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 3, key_head: 1, head: 1, d_k: 2, d_v: 2 },
        seed: 1,
        starts_filled: false,
    };
    let tape = HeadTape::new(&sample.factors(Rule::Eda).lower(), 0, 0, 2).unwrap();
    let query = Query { step: 3, phase: Phase::Write, vector: vec![1.0, 0.0] };
    assert!(knockouts(&tape, &[query]).unwrap_err().to_string().contains("steps 0 to 2"));
}
