//! Probes on states that are never formed, against the same probes on states that are.

use std::sync::Arc;

use ndarray::{Array2, Axis};
use pentimento_probes::{
    Evaluation, LogisticParams, Precision, Readout, RidgeParams, Targets,
    design::Design,
    evaluate::evaluate,
    matrix_free::{EditStream, Reached, SampleAt, StateDesign, Stretch, evaluate_states},
};
use proptest::prelude::*;

use crate::{Outcome, close, normal};

/// Stretches of random factors, some from a checkpoint, and samples at every kind of moment.
fn states(n_stretches: usize, steps: usize, d_k: usize, d_v: usize, n_edits: usize, seed: u64) -> StateDesign<f64> {
    let stretches = (0..n_stretches as u64)
        .map(|index| {
            let draw = |rows, columns, what: u64| normal(rows, columns, seed.wrapping_mul(31) ^ (index * 100 + what));
            Stretch {
                initial: (index % 2 == 0).then(|| draw(d_k, d_v, 1)),
                retention: draw(steps, d_k, 2).mapv(|x| 1.0 / (1.0 + (-x - 1.0).exp())),
                edits: (0..n_edits as u64)
                    .map(|edit| EditStream { direction: draw(steps, d_k, 3 + 2 * edit), pseudo_value: draw(steps, d_v, 4 + 2 * edit) })
                    .collect(),
            }
        })
        .collect();
    let mut samples = Vec::new();
    for stretch in 0..n_stretches {
        let moments = [Reached::Edits(n_edits), Reached::Before, Reached::Edits(0)];
        for (index, reached) in moments.into_iter().enumerate() {
            samples.push(SampleAt { stretch, step: (stretch * 3 + index * 5) % steps, reached });
        }
    }
    StateDesign::new(Arc::new(stretches), samples).unwrap()
}

/// The states themselves, by the recurrence: the identity matrix is read out one channel at a time by nobody else's code.
fn formed(design: &StateDesign<f64>, stretches: &[Stretch<f64>], samples: &[SampleAt]) -> Array2<f64> {
    let (d_k, d_v) = design.state_shape();
    let mut features = Array2::zeros((samples.len(), d_k * d_v));
    for (mut row, sample) in features.rows_mut().into_iter().zip(samples) {
        let stretch = &stretches[sample.stretch];
        let mut memory = stretch.initial.clone().unwrap_or_else(|| Array2::zeros((d_k, d_v)));
        for step in 0..=sample.step {
            let n_edits = match (step == sample.step, sample.reached) {
                (true, Reached::Before) => break,
                (true, Reached::Edits(n)) => n,
                (false, _) => stretch.edits.len(),
            };
            for (mut memory, &alpha) in memory.rows_mut().into_iter().zip(stretch.retention.row(step)) {
                memory *= alpha;
            }
            for edit in &stretch.edits[..n_edits] {
                let (direction, value) = (edit.direction.row(step).insert_axis(Axis(1)), edit.pseudo_value.row(step).insert_axis(Axis(0)));
                memory += &direction.dot(&value);
            }
        }
        row.iter_mut().zip(&memory).for_each(|(to, &from)| *to = from);
    }
    features
}

/// The design, and its states by hand.
fn both(n_stretches: usize, steps: usize, shape: (usize, usize), n_edits: usize, seed: u64) -> (StateDesign<f64>, Array2<f64>) {
    let design = states(n_stretches, steps, shape.0, shape.1, n_edits, seed);
    let features = formed(&design, design.stretches(), design.samples());
    (design, features)
}

fn largest(difference: &Array2<f64>) -> f64 {
    difference.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Forward and adjoint are the dense products, beyond one block of steps too.
    #[test]
    fn products_equal_dense_products(n in 1_usize..6, steps in 1_usize..300, d_k in 1_usize..6, d_v in 1_usize..6, n_edits in 1_usize..4, m in 1_usize..4, seed in 0_u64..1000) {
        let (design, features) = both(n, steps, (d_k, d_v), n_edits, seed);
        let (weights, outputs) = (normal(d_k * d_v, m, seed ^ 7), normal(3 * n, m, seed ^ 8));
        let forward = design.forward(weights.view()) - features.dot(&weights);
        let adjoint = design.adjoint(outputs.view()) - features.t().dot(&outputs);
        let size = 1.0 + largest(&features);
        prop_assert!(largest(&forward) < 1e-11 * size, "{}", largest(&forward));
        prop_assert!(largest(&adjoint) < 1e-11 * size, "{}", largest(&adjoint));
        let norms = features.map_axis(Axis(1), |row| row.dot(&row));
        prop_assert!(design.squared_norms().iter().zip(&norms).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + b)));
    }

    /// Cross-fitted ridge and logistic outputs equal the dense readouts', with more samples than channels and with fewer.
    #[test]
    fn readouts_equal_dense_readouts(n in 8_usize..16, d_k in 2_usize..6, d_v in 2_usize..6, power in -2_i32..2, seed in 0_u64..1000) {
        let (design, features) = both(n, 12, (d_k, d_v), 2, seed);
        let groups: Vec<u64> = design.samples().iter().map(|sample| sample.stretch as u64).collect();
        let planted = features.dot(&normal(d_k * d_v, 3, seed ^ 3));
        let labels = planted.rows().into_iter().map(|row| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()).collect();
        let tasks = [Targets::classes(labels, 3).unwrap(), Targets::Vectors(planted)];
        let evaluation = Evaluation { folds: 3, ..Evaluation::default() };
        let penalty = 10_f64.powi(power);
        let ridge = Readout::Ridge(RidgeParams { penalties: vec![penalty], precision: Precision::Double, ..RidgeParams::default() });
        let logistic = LogisticParams { penalties: vec![penalty], precision: Precision::Double, tolerance: 1e-10, ..LogisticParams::default() };
        for (readout, tasks) in [(ridge, &tasks[..]), (Readout::Logistic(logistic), &tasks[..1])] {
            let free = evaluate_states(&design, tasks, &groups, &readout, &evaluation).unwrap();
            let dense = evaluate(&features, tasks, &groups, &readout, &evaluation).unwrap();
            for (free, dense) in free.iter().zip(&dense) {
                let difference = largest(&(&free.outputs - &dense.outputs)) / (1.0 + largest(&dense.outputs));
                prop_assert!(difference < 1e-6, "{} {difference}", readout.name());
                prop_assert_eq!(&free.fold_of, &dense.fold_of);
            }
        }
    }
}

#[test]
fn single_precision_finds_what_is_planted_and_chooses_its_penalty() -> Outcome {
    let (design, features) = both(60, 20, (8, 8), 2, 5);
    let groups: Vec<u64> = design.samples().iter().map(|sample| sample.stretch as u64).collect();
    let planted = features.dot(&normal(64, 2, 9));
    let narrow = |array: &Array2<f64>| array.mapv(|value| value as f32);
    let stretches = design.stretches().iter().map(|stretch| Stretch {
        initial: stretch.initial.as_ref().map(narrow),
        retention: narrow(&stretch.retention),
        edits: stretch
            .edits
            .iter()
            .map(|edit| EditStream { direction: narrow(&edit.direction), pseudo_value: narrow(&edit.pseudo_value) })
            .collect(),
    });
    let single = StateDesign::new(Arc::new(stretches.collect()), design.samples().to_vec())?;
    let noise = Targets::Vectors(normal(180, 1, 10));
    let found = evaluate_states(&single, &[Targets::Vectors(planted), noise], &groups, &Readout::default(), &Evaluation::default())?;
    assert!(found[0].score().value() > 0.95, "{}", found[0].score().value());
    assert!(found[1].score().value() < 0.05, "{}", found[1].score().value());
    assert!(found[0].penalties.iter().all(|&penalty| penalty <= 1e-2) && found[1].penalties.iter().all(|&penalty| penalty >= 1.0));
    close(found[0].fold_of.len() as f64, 180.0, 0.0);
    Ok(())
}

#[test]
fn moments_that_are_not_there_are_refused() {
    let design = states(2, 4, 2, 2, 1, 1);
    let stretches = Arc::new(design.stretches().to_vec());
    let at = |stretch, step, reached| StateDesign::new(Arc::clone(&stretches), vec![SampleAt { stretch, step, reached }]);
    assert!(at(2, 0, Reached::Before).is_err());
    assert!(at(0, 4, Reached::Before).is_err());
    assert!(at(0, 0, Reached::Edits(2)).is_err());
    assert!(at(0, 0, Reached::Edits(1)).is_ok());
}
