//! Code lengths, equivalence, ceilings, intervals over models: each on numbers whose answer is known.

use ndarray::{Array2, Axis, array};
use pentimento_probes::{
    Bootstrap, Code, Evaluation, GroupedScore, Metric, Readout, Targets,
    ceiling::{ValueModel, leverage},
    control,
    evaluate::evaluate,
    permutation::PermutationTest,
    uncertainty::hierarchical,
};

use crate::{Outcome, close, normal, planted};

#[test]
fn labels_that_features_tell_have_a_short_code_and_others_have_not() -> Outcome {
    let (features, targets, groups) = planted(320, 12, 4, 1.5, 1);
    let told = Code::default().length(&features, &targets, &groups)?;
    close(told.bits_uniform, 2.0, 1e-12);
    assert!(told.bits < 1.0 && told.compression() > 2.0, "{told:?}");
    // Nothing to learn: no code is shorter than the labels' entropy, and learning costs little.
    let noise = Code::default().length(&normal(320, 12, 9), &targets, &groups)?;
    assert!((1.95..2.4).contains(&noise.bits), "{noise:?}");
    assert!((1.95..2.1).contains(&noise.bits_by_shares), "{noise:?}");
    let keys: Vec<u64> = (0..320).map(|sample| sample * 31 % 40).collect();
    let control = Code::default().length(&features, &control::control_task(&keys, &targets, 3)?, &groups)?;
    assert!(control.bits > told.bits + 0.8);
    assert_eq!(told, Code::default().length(&features, &targets, &groups)?);
    Ok(())
}

#[test]
fn the_first_block_is_sent_without_knowledge() -> Outcome {
    // Two groups, one block each: the first costs log2(classes) a sample, the second what the first taught.
    let features = array![[0.0], [1.0], [0.0], [1.0]];
    let targets = Targets::classes(vec![0, 1, 0, 1], 2)?;
    let code = Code { portions: vec![0.5, 1.0], penalties: vec![1e-3], seed: 0 };
    let length = code.length(&features, &targets, &[0, 0, 1, 1])?;
    assert_eq!(length.n_blocks, 2);
    assert!(length.bits > 0.5 && length.bits < 0.7, "{length:?}");
    // By shares alone: one bit each, whatever was seen.
    close(length.bits_by_shares, 1.0, 1e-12);
    assert!(Code { portions: vec![0.5], ..Code::default() }.length(&features, &targets, &[0, 0, 1, 1]).is_err());
    Ok(())
}

/// Accuracy over groups of three samples, right with this probability.
fn accuracy(n_groups: usize, probability: f64, seed: u64) -> GroupedScore {
    let threshold = {
        // Twelve uniforms: the standard normal's quantile by bisection of its draws.
        let mut draws: Vec<f64> = normal(20_000, 1, 999).iter().copied().collect();
        draws.sort_by(f64::total_cmp);
        draws[((probability * 20_000.0) as usize).min(19_999)]
    };
    let groups: Vec<u64> = (0..3 * n_groups as u64).map(|sample| sample / 3).collect();
    let draws = normal(3 * n_groups, 1, seed);
    GroupedScore::from_samples(Metric::Accuracy, &groups, draws.iter().map(|&draw| (f64::from(u8::from(draw < threshold)), 1.0)))
}

fn constant(like: &GroupedScore, value: f64) -> GroupedScore {
    GroupedScore { numerators: like.denominators.iter().map(|weight| weight * value).collect(), ..like.clone() }
}

#[test]
fn equivalence_is_shown_where_nothing_is_there_and_not_where_something_is() -> Outcome {
    let resampling = Bootstrap { resamples: 1000, ..Bootstrap::default() }.draw(200)?;
    let (mut shown, mut wrongly) = (0, 0);
    for seed in 0..40 {
        let at_chance = accuracy(200, 0.25, seed);
        shown += usize::from(resampling.equivalence(&at_chance, &constant(&at_chance, 0.25), 0.06, 0.05)?.is_shown());
        let at_the_margin = accuracy(200, 0.31, 100 + seed);
        wrongly += usize::from(resampling.equivalence(&at_the_margin, &constant(&at_the_margin, 0.25), 0.06, 0.05)?.is_shown());
    }
    assert!(shown >= 26, "shown {shown} of 40 where nothing is there");
    assert!(wrongly <= 7, "shown {wrongly} of 40 at the margin itself");
    let few = accuracy(8, 0.25, 1);
    let small = Bootstrap { resamples: 500, ..Bootstrap::default() }.draw(8)?;
    assert!(!small.equivalence(&few, &constant(&few, 0.25), 0.06, 0.05)?.is_shown(), "eight sequences show nothing");
    // No sample right in any group: the exact interval decides, not draws that never move.
    let none = GroupedScore { numerators: vec![0.0; 8], ..few.clone() };
    assert!(!small.equivalence(&none, &constant(&none, 0.02), 0.05, 0.05)?.is_shown());
    assert!(resampling.equivalence(&accuracy(200, 0.5, 1), &accuracy(200, 0.5, 2), 0.0, 0.05).is_err());
    Ok(())
}

#[test]
fn leverages_sum_to_the_degrees_of_freedom() -> Outcome {
    // One write alone, two on the same address, and nothing.
    let alone = leverage(array![[2.0], [0.0]].view(), 1.0)?;
    close(alone[0], 0.8, 1e-12);
    let twins = leverage(array![[1.0, 1.0], [0.0, 0.0]].view(), 1e-9)?;
    close(twins[0], 0.5, 1e-6);
    let traces = normal(5, 30, 1);
    let found = leverage(traces.view(), 0.5)?;
    // trace of U^T (U U^T + n I)^-1 U by its eigenvalues: here by adding noise to each channel in turn.
    assert!(found.sum() < 5.0 && found.iter().all(|&value| (0.0..=1.0).contains(&value)));
    close(leverage(traces.view(), 1e-9)?.sum(), 5.0, 1e-6);
    assert!(leverage(traces.view(), 0.0).is_err());
    Ok(())
}

#[test]
fn the_best_linear_estimate_reaches_the_ceiling_and_no_readout_does_more() -> Outcome {
    // Memories with planted values at the same addresses in every sequence: a linear readout can be optimal.
    let (n, d_k, d_v, n_writes, noise) = (600, 6, 4, 8, 0.05);
    let traces = normal(d_k, n_writes, 3);
    let r2 = leverage(traces.view(), noise)?;
    let mut features = Array2::zeros((n, d_k * d_v));
    let mut targets = Array2::zeros((n, d_v));
    for sample in 0..n {
        let values = normal(n_writes, d_v, 1000 + sample as u64);
        let memory = traces.dot(&values) + normal(d_k, d_v, 9000 + sample as u64) * noise.sqrt();
        features.row_mut(sample).iter_mut().zip(&memory).for_each(|(to, &from)| *to = from);
        targets.row_mut(sample).assign(&values.row(2));
    }
    let groups: Vec<u64> = (0..n as u64).collect();
    let found = evaluate(&features, &[Targets::Vectors(targets)], &groups, &Readout::default(), &Evaluation::default())?;
    let score = found[0].score().value();
    assert!(score < r2[2] + 0.02 && score > r2[2] - 0.08, "{score} for a ceiling of {}", r2[2]);
    Ok(())
}

#[test]
fn accuracy_ceilings_go_from_chance_to_one() -> Outcome {
    let centres = normal(5, 4, 1);
    let classes: Vec<usize> = (0..200).map(|write| write % 5).collect();
    let values = Array2::from_shape_fn((200, 4), |(write, channel)| centres[[write % 5, channel]]) + normal(200, 4, 2) * 0.01;
    let model = ValueModel::new(values.view(), &classes, 5)?;
    let at = |r2| (0..5).map(|class| model.accuracy(class, r2, 400, 7)).sum::<f64>() / 5.0;
    assert!(at(1.0) > 0.999);
    assert!((0.1..0.35).contains(&at(0.0)), "{}", at(0.0));
    assert!(at(0.5) > at(0.2) && at(0.9) > at(0.5));
    assert!(values.mean_axis(Axis(0)).is_some());
    Ok(())
}

#[test]
fn an_interval_over_models_is_as_wide_as_the_models_differ() -> Outcome {
    let alike: Vec<GroupedScore> = (0..4).map(|model| accuracy(100, 0.6, model)).collect();
    let differing: Vec<GroupedScore> = (0..4).map(|model| accuracy(100, 0.3 + 0.2 * model as f64, 10 + model)).collect();
    let (narrow, wide) = (hierarchical(&alike, 0.95)?, hierarchical(&differing, 0.95)?);
    assert!(wide.high - wide.low > 2.0 * (narrow.high - narrow.low), "{narrow} {wide}");
    assert!(!narrow.excludes(0.6) && !wide.excludes(0.6), "{narrow} {wide}");
    let other_groups = GroupedScore { groups: (500..600).collect(), ..alike[1].clone() };
    assert!(hierarchical(&[alike[0].clone(), other_groups], 0.95).is_ok());
    assert!(hierarchical(&alike[..1], 0.95).is_err());
    Ok(())
}

#[test]
fn what_could_be_missed_shrinks_with_the_uncertainty() {
    let null: Vec<f64> = normal(2000, 1, 4).iter().map(|draw| 0.25 + 0.02 * draw).collect();
    let test = PermutationTest::new(0.25, null);
    // 1.645 deviations of the null and 0.84 of the score.
    close(test.minimum_detectable(0.05, 0.8, 0.02, None), 0.02 * (1.645 + 0.842), 0.003);
    assert!(test.minimum_detectable(0.05, 0.8, 0.02, Some(0.32)) > test.minimum_detectable(0.05, 0.8, 0.02, None));
}
