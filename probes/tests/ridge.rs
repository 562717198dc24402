//! The closed forms against what they stand for.

use ndarray::{Array2, Axis, array};
use pentimento_probes::{Precision, ProbeError, Ridge, RidgeParams, Selection};
use proptest::prelude::*;

use crate::{Outcome, close, normal};

fn ridge(penalties: &[f64], selection: Selection, intercept: bool) -> Ridge {
    RidgeParams { penalties: penalties.to_vec(), selection, intercept, precision: Precision::Double }.check().unwrap()
}

#[test]
fn one_channel_by_hand() -> Outcome {
    // min of ((2 - 1w)^2 + (4 - 2w)^2) / 2 + 0.5 w^2: (5/2 + 1/2) w = 10/2.
    let fitted = ridge(&[0.5], Selection::LeaveOneOut, false).fit(&array![[1.0], [2.0]], &array![[2.0], [4.0]], &[0, 1])?;
    close(fitted.weights[[0, 0]], 5.0 / 3.0, 1e-14);
    close(fitted.intercept[0], 0.0, 1e-14);
    Ok(())
}

#[test]
fn the_intercept_is_not_penalised() -> Outcome {
    let fitted = ridge(&[1e9], Selection::LeaveOneOut, true).fit(&array![[1.0], [2.0]], &array![[7.0], [9.0]], &[0, 1])?;
    close(fitted.predict(&array![[1.5]])[[0, 0]], 8.0, 1e-6);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Zero gradient of the stated objective, primal and dual.
    #[test]
    fn normal_equations_hold(n in 3_usize..40, d in 1_usize..60, m in 1_usize..4, seed in any::<u64>(), power in -3_i32..3, intercept in any::<bool>()) {
        let (x, y) = (normal(n, d, seed), normal(n, m, seed ^ 1));
        let penalty = 10_f64.powi(power);
        let groups: Vec<u64> = (0..n as u64).collect();
        let fitted = ridge(&[penalty], Selection::LeaveOneOut, intercept).fit(&x, &y, &groups).unwrap();
        let residual = &y - &fitted.predict(&x);
        let gradient = x.t().dot(&residual) / n as f64 - &fitted.weights * penalty;
        prop_assert!(gradient.iter().all(|g| g.abs() < 1e-9), "{gradient}");
        if intercept {
            prop_assert!(residual.sum_axis(Axis(0)).iter().all(|sum| sum.abs() < 1e-8));
        }
    }

    /// The closed-form left-out error equals refitting without each block.
    #[test]
    fn leaving_out_in_closed_form_equals_refits(n in 6_usize..24, d in 1_usize..30, seed in any::<u64>(), by_group in any::<bool>(), intercept in any::<bool>()) {
        let (x, y) = (normal(n, d, seed), normal(n, 2, seed ^ 1));
        let groups: Vec<u64> = (0..n as u64).map(|sample| if by_group { sample / 3 } else { sample }).collect();
        let selection = if by_group { Selection::LeaveOneGroupOut } else { Selection::LeaveOneOut };
        let penalties = [0.1, 1.0];
        let fitted = ridge(&penalties, selection, intercept).fit(&x, &y, &groups).unwrap();
        for (penalty, error) in fitted.left_out_errors {
            let mut brute = 0.0;
            for left_out in groups.iter().copied().collect::<std::collections::BTreeSet<_>>() {
                let (test, train): (Vec<usize>, Vec<usize>) = (0..n).partition(|&sample| groups[sample] == left_out);
                // The penalty is per sample: keep it the same in sum.
                let same = penalty * n as f64 / train.len() as f64;
                let refit = ridge(&[same], selection, intercept)
                    .fit(&x.select(Axis(0), &train), &y.select(Axis(0), &train), &train.iter().map(|&s| groups[s]).collect::<Vec<_>>())
                    .unwrap();
                let residual = y.select(Axis(0), &test) - refit.predict(&x.select(Axis(0), &test));
                brute += residual.iter().map(|r| r * r).sum::<f64>();
            }
            close(error, brute / n as f64, 1e-8);
        }
    }
}

#[test]
fn generalised_cross_validation_uses_the_mean_leverage() -> Outcome {
    for (n, d) in [(30, 7), (9, 20)] {
        let (x, y) = (normal(n, d, 5), normal(n, 1, 6));
        let groups: Vec<u64> = (0..n as u64).collect();
        let penalty = 0.3;
        let fitted = ridge(&[penalty, 0.4], Selection::Generalised, false).fit(&x, &y, &groups)?;
        // The trace of the hat matrix column by column: fit the unit vectors.
        let hat = ridge(&[penalty], Selection::Generalised, false).fit(&x, &Array2::eye(n), &groups)?.predict(&x);
        let alone = ridge(&[penalty], Selection::Generalised, false).fit(&x, &y, &groups)?;
        let squares: f64 = (&y - &alone.predict(&x)).iter().map(|r| r * r).sum();
        let free = n as f64 - hat.diag().sum();
        close(fitted.left_out_errors[0].1, squares * n as f64 / (free * free), 1e-10);
    }
    Ok(())
}

#[test]
fn tasks_fitted_together_equal_tasks_fitted_alone() -> Outcome {
    let (x, a, b) = (normal(40, 12, 1), normal(40, 2, 2), normal(40, 3, 3));
    let groups: Vec<u64> = (0..40).map(|sample| sample / 4).collect();
    let ridge = RidgeParams::default().check()?;
    let together = ridge.fit_tasks(&x, &[a.view(), b.view()], &groups)?;
    let alone = ridge.fit(&x, &b, &groups)?;
    close(together[1].penalty, alone.penalty, 0.0);
    assert!((&together[1].weights - &alone.weights).iter().all(|difference| difference.abs() < 1e-12));
    Ok(())
}

#[test]
fn large_matrices_cross_the_blocks() -> Outcome {
    let (x, y) = (normal(700, 600, 1), normal(700, 3, 2));
    let groups: Vec<u64> = (0..700).collect();
    let fitted = ridge(&[0.1], Selection::LeaveOneOut, true).fit(&x, &y, &groups)?;
    let residual = &y - &fitted.predict(&x);
    let gradient = x.t().dot(&residual) / 700.0 - &fitted.weights * 0.1;
    assert!(gradient.iter().all(|g| g.abs() < 1e-10));
    Ok(())
}

#[test]
fn f32_first_gives_what_f64_gives() -> Outcome {
    // Large enough for f32 to be tried, primal and dual, well and badly conditioned.
    for (n, d, spread) in [(1200, 1000, 1.0), (1000, 1200, 1e-3)] {
        let mut x = normal(n, d, 1);
        x.column_mut(0).mapv_inplace(|value| value / spread);
        let y = x.slice(ndarray::s![.., ..2]).to_owned() * spread + normal(n, 2, 2);
        let groups: Vec<u64> = (0..n as u64).map(|sample| sample / 2).collect();
        let fit = |precision| {
            let params = RidgeParams { penalties: vec![1e-3, 1e-1], precision, ..RidgeParams::default() };
            params.check()?.fit(&x, &y, &groups)
        };
        let (mixed, double) = (fit(Precision::Mixed)?, fit(Precision::Double)?);
        close(mixed.penalty, double.penalty, 0.0);
        let size = double.weights.iter().fold(0.0_f64, |size, weight| size.max(weight.abs()));
        assert!((&mixed.weights - &double.weights).iter().all(|difference| difference.abs() < 1e-8 * size), "n {n} d {d} spread {spread}");
        for (mixed, double) in mixed.left_out_errors.iter().zip(&double.left_out_errors) {
            close(mixed.1, double.1, 1e-2);
        }
    }
    Ok(())
}

#[test]
fn bad_input_is_named() {
    let penalties = |penalties: Vec<f64>| RidgeParams { penalties, ..RidgeParams::default() }.check();
    assert!(matches!(penalties(vec![]), Err(ProbeError::Parameter { .. })));
    assert!(matches!(penalties(vec![-1.0]), Err(ProbeError::Parameter { .. })));
    let ridge = RidgeParams::default().check().unwrap();
    assert!(matches!(ridge.fit(&array![[f64::NAN]], &array![[1.0]], &[0]), Err(ProbeError::NotFinite { .. })));
    assert!(matches!(ridge.fit(&array![[1.0]], &array![[1.0], [2.0]], &[0]), Err(ProbeError::Length { .. })));
    assert!(matches!(ridge.fit(&Array2::zeros((0, 3)), &Array2::zeros((0, 1)), &[]), Err(ProbeError::Empty)));
}
