//! Intervals that cover, differences that pair.

use pentimento_probes::{Bootstrap, GroupedScore, IntervalMethod, Metric, ProbeError, uncertainty::hierarchical};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{Outcome, close};

/// Accuracy over `n_groups` groups of 1 to 6 samples that share most of their luck.
fn clustered(n_groups: usize, probability: f64, seed: u64) -> GroupedScore {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut groups, mut correct) = (Vec::new(), Vec::new());
    for group in 0..n_groups as u64 {
        let shared = random.random::<f64>() < probability;
        for _ in 0..random.random_range(1..=6) {
            let own = random.random::<f64>() < probability;
            groups.push(group);
            correct.push(if random.random::<f64>() < 0.7 { shared } else { own });
        }
    }
    GroupedScore::from_samples(Metric::Accuracy, &groups, correct.into_iter().map(|correct| (f64::from(u8::from(correct)), 1.0)))
}

#[test]
fn sums_by_hand() {
    let score = GroupedScore::from_samples(Metric::Accuracy, &[5, 3, 5], [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0)].into_iter());
    assert_eq!((score.groups.clone(), score.numerators.clone(), score.denominators.clone()), (vec![3, 5], vec![0.0, 2.0], vec![1.0, 2.0]));
    close(score.value(), 2.0 / 3.0, 1e-15);
}

#[test]
fn coverage_of_a_clustered_design_is_near_nominal() -> Outcome {
    for method in [IntervalMethod::Bca, IntervalMethod::Percentile] {
        let resampling = Bootstrap { resamples: 1000, method, ..Bootstrap::default() }.draw(60)?;
        let covered = (0..300).filter(|&seed| !resampling.estimate(&clustered(60, 0.7, seed)).unwrap().excludes(0.7)).count();
        assert!((270..=297).contains(&covered), "{method:?} covers {covered} of 300");
    }
    Ok(())
}

#[test]
fn pairing_removes_what_two_scores_share() -> Outcome {
    let score = GroupedScore { metric: Metric::R2, ..clustered(50, 0.6, 1) };
    let mut better = score.clone();
    for (numerator, denominator) in better.numerators.iter_mut().zip(&better.denominators) {
        *numerator += 0.1 * denominator;
    }
    let resampling = Bootstrap { resamples: 500, ..Bootstrap::default() }.draw(50)?;
    let difference = resampling.difference(&better, &score)?;
    close(difference.value, 0.1, 1e-12);
    close(difference.low, 0.1, 1e-9);
    close(difference.high, 0.1, 1e-9);
    Ok(())
}

#[test]
fn accuracies_that_differ_in_no_group_are_still_uncertain() -> Outcome {
    let score = clustered(50, 0.6, 1);
    let difference = Bootstrap { resamples: 500, ..Bootstrap::default() }.draw(50)?.difference(&score, &score.clone())?;
    // None of 50 groups changed: up to 7 % of others could.
    let unseen = 1.0 - 0.025_f64.powf(1.0 / 50.0);
    assert_eq!((difference.value, difference.method), (0.0, IntervalMethod::Exact));
    close(difference.low, -unseen, 1e-9);
    close(difference.high, unseen, 1e-9);
    Ok(())
}

#[test]
fn an_accuracy_over_few_models_stays_an_accuracy() -> Outcome {
    let models: Vec<GroupedScore> = [0.1, 0.9, 0.7].into_iter().enumerate().map(|(seed, p)| clustered(30, p, seed as u64)).collect();
    let over = hierarchical(&models, 0.95)?;
    assert_eq!((over.low, over.high), (0.0, 1.0));
    Ok(())
}

#[test]
fn a_perfect_score_is_still_uncertain() -> Outcome {
    let score =
        GroupedScore { metric: Metric::Accuracy, groups: (0..20).collect(), numerators: vec![2.0; 20], denominators: vec![2.0; 20] };
    let estimate = Bootstrap { resamples: 200, ..Bootstrap::default() }.draw(20)?.estimate(&score)?;
    assert_eq!(estimate.method, IntervalMethod::Exact);
    close(estimate.low, 0.025_f64.powf(1.0 / 20.0), 1e-9);
    close(estimate.high, 1.0, 1e-15);
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_interval() -> Outcome {
    let score = clustered(30, 0.5, 2);
    let settings = Bootstrap { resamples: 300, ..Bootstrap::default() };
    assert_eq!(settings.draw(30)?.estimate(&score)?, settings.draw(30)?.estimate(&score)?);
    Ok(())
}

#[test]
fn bad_settings_are_refused() {
    assert!(Bootstrap { resamples: 10, ..Bootstrap::default() }.draw(30).is_err());
    assert!(Bootstrap { level: 1.0, ..Bootstrap::default() }.draw(30).is_err());
    assert!(matches!(Bootstrap::default().draw(1), Err(ProbeError::TooFewGroups { .. })));
    let resampling = Bootstrap { resamples: 100, ..Bootstrap::default() }.draw(30).unwrap();
    assert!(matches!(resampling.estimate(&clustered(20, 0.5, 1)), Err(ProbeError::Unpaired { .. })));
    assert!(matches!(resampling.difference(&clustered(30, 0.5, 1), &clustered(20, 0.5, 1)), Err(ProbeError::Unpaired { .. })));
}
