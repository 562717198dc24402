//! Gradient, optimum, unseen classes.

use ndarray::{Array1, Array2, array};
use pentimento_probes::{LogisticParams, Precision, ProbeError, Targets, logistic::objective};
use proptest::prelude::*;

use crate::{Outcome, close, normal};

fn labelled(n: usize, d: usize, c: usize, seed: u64) -> (Array2<f64>, Vec<usize>) {
    let x = normal(n, d, seed);
    let scores = x.dot(&normal(d, c, seed ^ 1)) + normal(n, c, seed ^ 2);
    let labels = scores.rows().into_iter().map(|row| (0..c).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()).collect();
    (x, labels)
}

#[test]
fn two_samples_by_hand() {
    // At zero weights every class has probability 1/2: loss ln 2, gradient +-(1/2)(1/2)(x1 - x2) = -+1/2 at x = 1, -1.
    let (value, weights, intercept) = objective(&array![[1.0], [-1.0]], &[0, 1], &Array2::zeros((1, 2)), &Array1::zeros(2), 1.0);
    close(value, 2_f64.ln(), 1e-14);
    close(weights[[0, 0]], -0.5, 1e-14);
    close(weights[[0, 1]], 0.5, 1e-14);
    close(intercept[0], 0.0, 1e-14);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn gradient_is_the_finite_difference(n in 2_usize..20, d in 1_usize..6, c in 2_usize..5, seed in any::<u64>()) {
        let (x, labels) = labelled(n, d, c, seed);
        let (w, b) = (normal(d, c, seed ^ 3), normal(1, c, seed ^ 4).row(0).to_owned());
        let (_, weights, intercept) = objective(&x, &labels, &w, &b, 0.3);
        let h = 1e-5;
        for ((row, column), &gradient) in weights.indexed_iter() {
            let (mut up, mut down) = (w.clone(), w.clone());
            up[[row, column]] += h;
            down[[row, column]] -= h;
            close(gradient, (objective(&x, &labels, &up, &b, 0.3).0 - objective(&x, &labels, &down, &b, 0.3).0) / (2.0 * h), 1e-7);
        }
        for (class, &gradient) in intercept.iter().enumerate() {
            let (mut up, mut down) = (b.clone(), b.clone());
            up[class] += h;
            down[class] -= h;
            close(gradient, (objective(&x, &labels, &w, &up, 0.3).0 - objective(&x, &labels, &w, &down, 0.3).0) / (2.0 * h), 1e-7);
        }
    }
}

#[test]
fn the_optimum_has_no_gradient_in_either_precision() -> Outcome {
    let (x, labels) = labelled(400, 20, 5, 3);
    let groups: Vec<u64> = (0..400).collect();
    let mut objectives = Vec::new();
    for precision in [Precision::Double, Precision::Mixed] {
        let params = LogisticParams { penalties: vec![1e-2], tolerance: 1e-9, precision, ..LogisticParams::default() };
        let fitted = params.check()?.fit(&x, &Targets::classes(labels.clone(), 5)?, &groups)?;
        assert!(fitted.converged, "gradient {}", fitted.gradient_norm);
        let (value, weights, intercept) = objective(&x, &labels, &fitted.weights, &fitted.intercept, 1e-2);
        close(value, fitted.objective, 1e-12);
        assert!(weights.iter().chain(&intercept).all(|g| g.abs() < 1e-8));
        objectives.push(value);
    }
    close(objectives[0], objectives[1], 1e-12);
    Ok(())
}

#[test]
fn badly_scaled_features_converge() -> Outcome {
    let (mut x, labels) = labelled(300, 12, 4, 9);
    for (channel, mut column) in x.columns_mut().into_iter().enumerate() {
        column *= 10_f64.powi(channel as i32 % 5 - 2);
    }
    let params = LogisticParams { penalties: vec![1e-4], tolerance: 1e-8, ..LogisticParams::default() };
    let fitted = params.check()?.fit(&x, &Targets::classes(labels, 4)?, &(0..300).collect::<Vec<_>>())?;
    assert!(fitted.converged, "gradient {} after {}", fitted.gradient_norm, fitted.iterations);
    Ok(())
}

#[test]
fn probabilities_sum_to_one_and_unseen_classes_have_some() -> Outcome {
    let x = normal(10, 3, 1);
    let labels = (0..10).map(|sample| 2 * (sample % 2)).collect();
    let fitted = LogisticParams { penalties: vec![0.1], ..LogisticParams::default() }.check()?.fit(
        &x,
        &Targets::classes(labels, 4)?,
        &(0..10).collect::<Vec<_>>(),
    )?;
    let log_probabilities = fitted.log_probabilities(&normal(4, 3, 2));
    for row in log_probabilities.rows() {
        close(row.mapv(f64::exp).sum(), 1.0, 1e-12);
        close(row[1], (0.5_f64 / 11.0).ln(), 1e-12);
    }
    Ok(())
}

#[test]
fn the_penalty_is_chosen_by_held_out_groups() -> Outcome {
    // Nothing to learn, many channels: the strongest penalty loses least.
    let x = normal(60, 30, 1);
    let labels = normal(60, 1, 2).iter().map(|&value| usize::from(value > 0.0)).collect();
    let groups: Vec<u64> = (0..60).map(|sample| sample / 2).collect();
    let params = LogisticParams { penalties: vec![1e-4, 10.0], ..LogisticParams::default() };
    let fitted = params.check()?.fit(&x, &Targets::classes(labels, 2)?, &groups)?;
    close(fitted.penalty, 10.0, 0.0);
    assert_eq!(fitted.held_out_losses.len(), 2);
    Ok(())
}

#[test]
fn vectors_are_refused() {
    let logistic = LogisticParams::default().check().unwrap();
    assert!(matches!(logistic.fit(&normal(4, 2, 1), &Targets::scalars(&[1.0; 4]), &[0, 1, 2, 3]), Err(ProbeError::TargetKind { .. })));
    assert!(LogisticParams { inner_folds: 1, ..LogisticParams::default() }.check().is_err());
    assert!(LogisticParams { tolerance: 0.0, ..LogisticParams::default() }.check().is_err());
}
