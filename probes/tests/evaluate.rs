//! Held-out scores, controls and permutation tests on data whose truth is known.

use pentimento_probes::{
    Evaluation, LogisticParams, Metric, Readout, Refit, RidgeParams, Scaling, Selection, Targets, baseline, control,
    evaluate::evaluate,
    multiple,
    permutation::{PermutationTest, Permutations, stack_nulls},
};

use crate::{Outcome, close, normal, planted};

#[test]
fn planted_classes_are_found_and_controls_are_not() -> Outcome {
    let (features, targets, groups) = planted(240, 30, 4, 1.0, 1);
    let keys: Vec<u64> = (0..240).map(|sample| sample % 7).collect();
    let mut tasks = vec![targets.clone()];
    tasks.extend((0..8).map(|seed| control::permuted_targets(&targets, &groups, seed)));
    for seed in 0..8 {
        tasks.push(control::control_task(&keys, &targets, seed)?);
    }
    for readout in [Readout::default(), Readout::Logistic(LogisticParams { penalties: vec![0.01], ..LogisticParams::default() })] {
        let evaluated = evaluate(&features, &tasks, &groups, &readout, &Evaluation::default())?;
        let permutations = Permutations::new(&groups, 400, 1);
        let refit = Refit::new(&features, &groups, &RidgeParams::default(), &Evaluation::default())?;
        assert!(evaluated[0].score().value() > 0.9, "{} {}", readout.name(), evaluated[0].score().value());
        let test = permutations.test(&refit, &targets)?;
        close(test.p_value, 1.0 / 401.0, 1e-12);
        close(test.chance(), 0.25, 0.05);
        // Sixteen tests at the 5 % level: more than three would happen once in two hundred runs.
        let significant = tasks[1..].iter().filter(|control| permutations.test(&refit, control).unwrap().p_value <= 0.05).count();
        assert!(significant <= 3, "{significant} of 16 controls beat chance");
        if let Some(bits) = evaluated[0].bits() {
            assert_eq!(bits.metric, Metric::Bits);
            assert!(bits.value() > 1.0 && bits.value() <= 2.1);
        }
    }
    Ok(())
}

#[test]
fn more_channels_than_samples_change_nothing_but_the_time() -> Outcome {
    // Isotropic scaling rotates when d > n; the same fit without the rotation is the reference.
    let (features, targets, groups) = planted(40, 90, 3, 1.0, 2);
    let readout = Readout::Ridge(RidgeParams { penalties: vec![0.5], ..Default::default() });
    let rotated = &evaluate(&features, std::slice::from_ref(&targets), &groups, &readout, &Evaluation::default())?[0];
    let folds = pentimento_probes::Folds::by_group(&groups, 5, 0)?;
    for fold in &folds {
        let select = |samples: &[usize]| features.select(ndarray::Axis(0), samples);
        let scaling = Scaling::Isotropic.fit(select(&fold.train).view())?;
        // The rotation has 40 channels instead of 90, so "mean channel variance 1" is another scale: undo it.
        let factor = (40.0_f64 / 90.0).sqrt();
        let train = scaling.apply(select(&fold.train).view()) * factor;
        let test = scaling.apply(select(&fold.test).view()) * factor;
        let train_groups: Vec<u64> = fold.train.iter().map(|&sample| groups[sample]).collect();
        let ridge = RidgeParams { penalties: vec![0.5], ..Default::default() }.check()?;
        let outputs = ridge.fit(&train, &targets.select(&fold.train).as_vectors(), &train_groups)?.predict(&test);
        for (row, &sample) in fold.test.iter().enumerate() {
            for class in 0..3 {
                close(outputs[[row, class]], rotated.outputs[[sample, class]], 1e-7);
            }
        }
    }
    Ok(())
}

#[test]
fn a_linear_scalar_is_explained() -> Outcome {
    let features = normal(120, 6, 4);
    let ages: Vec<f64> = features.rows().into_iter().map(|row| 3.0 * row[0] - row[1] + 10.0).collect();
    let groups: Vec<u64> = (0..120).map(|sample| sample / 3).collect();
    let evaluated = evaluate(&features, &[Targets::scalars(&ages)], &groups, &Readout::default(), &Evaluation::default())?;
    let score = evaluated[0].score();
    assert_eq!(score.metric, Metric::R2);
    assert!(score.value() > 0.99);
    close(evaluated[0].majority().value(), 0.0, 1e-12);
    assert!(evaluated[0].bits().is_none());
    Ok(())
}

#[test]
fn the_permutation_p_value_is_uniform_under_the_null() -> Outcome {
    let mut p_values = Vec::new();
    for seed in 0..120 {
        let (features, targets, groups) = planted(60, 4, 2, 0.0, 1000 + seed);
        let evaluation = Evaluation { folds: 2, seed, ..Evaluation::default() };
        let refit = Refit::new(&features, &groups, &RidgeParams { penalties: vec![1.0], ..RidgeParams::default() }, &evaluation)?;
        p_values.push(Permutations::new(&groups, 99, seed).test(&refit, &targets)?.p_value);
    }
    // Accuracies tie, so p errs to the large side; its lower tail must hold its level.
    let share = |level: f64| p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
    assert!(share(0.05) <= 0.11, "{}", share(0.05));
    assert!((0.25..=0.6).contains(&share(0.5)), "{}", share(0.5));
    Ok(())
}

#[test]
fn a_refit_scores_as_the_readout_does() -> Outcome {
    let ridge = RidgeParams { selection: Selection::Generalised, ..RidgeParams::default() };
    for (samples, channels) in [(90, 12), (60, 80)] {
        let (features, targets, groups) = planted(samples, channels, 3, 0.4, 11);
        let numbers = Targets::scalars(&features.column(0).iter().map(|x| x + 0.5).collect::<Vec<_>>());
        let tasks = [targets.clone(), control::permuted_targets(&targets, &groups, 5), numbers];
        let readout = Readout::Ridge(ridge.clone());
        let evaluated = evaluate(&features, &tasks, &groups, &readout, &Evaluation::default())?;
        let refit = Refit::new(&features, &groups, &ridge, &Evaluation::default())?;
        for (task, evaluated) in tasks.iter().zip(&evaluated) {
            // A refit keeps its coordinates in f32: an R2 follows to their rounding, and of 60 or 90 samples none changes its class.
            let tolerance = if matches!(task, Targets::Classes { .. }) { 1e-9 } else { 1e-5 };
            close(refit.scores(std::slice::from_ref(task))?[0], evaluated.score().value(), tolerance);
        }
    }
    Ok(())
}

#[test]
fn max_t_holds_all_tests_together() -> Outcome {
    let (features, targets, groups) = planted(120, 10, 3, 1.0, 3);
    let noise = normal(120, 10, 9);
    let mut tests = Vec::new();
    let permutations = Permutations::new(&groups, 200, 4);
    for features in [&features, &noise] {
        let refit = Refit::new(features, &groups, &RidgeParams::default(), &Evaluation::default())?;
        tests.push(permutations.test(&refit, &targets)?);
    }
    let observed: Vec<f64> = tests.iter().map(|test| test.observed).collect();
    let adjusted = multiple::max_t(&observed, stack_nulls(&tests).view());
    assert!(adjusted[0] < 0.01 && adjusted[1] > 0.01);
    assert!(adjusted.iter().zip(&tests).all(|(adjusted, test)| *adjusted >= test.p_value - 1e-12));
    Ok(())
}

#[test]
fn benjamini_and_hochberg_by_hand() {
    let adjusted = multiple::benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
    for (adjusted, wanted) in adjusted.iter().zip([0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]) {
        close(*adjusted, wanted, 1e-12);
    }
}

#[test]
fn control_classes_depend_on_the_key_alone() -> Outcome {
    let targets = Targets::classes((0..50).map(|sample| sample % 5).collect(), 5)?;
    let keys: Vec<u64> = (0..50).map(|sample| sample * 7 % 6).collect();
    let Targets::Classes { labels, .. } = control::control_task(&keys, &targets, 3)? else { panic!("classes stay classes") };
    for a in 0..50 {
        assert!(keys.iter().zip(&labels).filter(|(key, _)| **key == keys[a]).all(|(_, label)| *label == labels[a]));
    }
    Ok(())
}

#[test]
fn poor_features() {
    let norms = baseline::norm_only(&ndarray::array![[3.0, 4.0], [0.0, 0.0]]);
    assert_eq!(norms, ndarray::array![[5.0], [0.0]]);
    assert_eq!(baseline::input_only(&[1, 9], 2), ndarray::array![[0.0, 1.0], [0.0, 0.0]]);
}

#[test]
fn the_tail_continues_where_permutations_end() {
    // Standard normal nulls: at z = 4 the upper tail is 3.2e-5, which a thousand permutations cannot resolve.
    let null: Vec<f64> = normal(2000, 1, 3).iter().copied().collect();
    let test = PermutationTest::new(4.0, null.clone());
    close(test.p_value, 1.0 / 2001.0, 1e-12);
    assert!((3e-6..3e-4).contains(&test.tail_p_value()), "{}", test.tail_p_value());
    let test = PermutationTest::new(0.0, null);
    close(test.tail_p_value(), test.p_value, 0.0);
    close(PermutationTest::new(1.0, vec![1.0; 50]).tail_p_value(), 1.0, 0.0);
}
