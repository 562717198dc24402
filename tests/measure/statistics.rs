//! Ranks, bins, intervals and permutations.

use super::*;

#[test]
fn ties_share_their_mean_rank() {
    assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
}

#[test]
fn spearman_of_a_monotone_curve_is_one_and_of_a_constant_is_nothing() {
    near(spearman(&[1.0, 2.0, 3.0, 4.0], &[1.0, 8.0, 27.0, 64.0]).unwrap(), 1.0);
    near(spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0]).unwrap(), 0.820_782_681_668_123_3);
    assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0, 5.0, 5.0]), None);
    near(pearson(&[0.0, 1.0, 2.0], &[0.0, 1.0, 5.0]).unwrap(), 0.944_911_182_523_068);
}

#[test]
fn quantiles_lie_between_neighbours() {
    near(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
}

#[test]
fn bins_hold_their_lower_edge_even_in_f32() {
    let bins = Bins::default();
    assert_eq!(bins.index(f64::from(0.9_f32)), 9);
    assert_eq!(bins.index(1.0), 9);
    assert_eq!(bins.index(0.0), 0);
    assert_eq!(bins.index(0.299), 2);
}

#[test]
fn the_bootstrap_interval_of_a_mean_is_its_textbook_one() {
    let mut stream = random::stream(1, "tests", 0);
    let values: Vec<Option<f64>> = (0..100).map(|_| Some(normal(&mut stream))).collect();
    let interval = Bootstrap::new(100, &StatisticsOptions::default()).mean(&values).unwrap();
    let (low, high) = interval.bounds().unwrap();
    assert!((high - low - 2.0 * 1.96 / 10.0).abs() < 0.07, "{interval}");
    assert_eq!(interval.n, 100);
}

/// Four sums of each of `n` sequences: two shares of quantities with long tails, the second share larger by a half.
fn shares(n: usize, stream: &mut impl rand::Rng) -> [Vec<f64>; 4] {
    let mut columns = [(); 4].map(|()| vec![]);
    for _ in 0..n {
        let mut size = |scale: f64| (scale * normal(stream)).exp();
        let (above, below) = (size(1.0), size(1.0));
        let shares = [size(0.7) / 6.0, size(0.7) / 4.0];
        columns.iter_mut().zip([above * shares[0], above, below * shares[1], below]).for_each(|(column, value)| column.push(value));
    }
    columns
}

#[test]
fn the_interval_of_a_lift_keeps_its_promise_with_few_sequences() {
    let options = StatisticsOptions { resamples: 400, ..StatisticsOptions::default() };
    for n in [8, 16, 48] {
        let bootstrap = Bootstrap::new(n, &options);
        let missed = (0..600).filter(|&world| {
            let [a, b, c, d] = shares(n, &mut random::stream(world, "tests/lift", n as u64));
            let found = bootstrap.lift(n, [&a, &b], [&c, &d]).unwrap();
            let inverse = bootstrap.lift(n, [&c, &d], [&a, &b]).unwrap();
            near(found.low.unwrap() * inverse.high.unwrap(), 1.0);
            near(found.estimate * found.estimate, found.low.unwrap() * found.high.unwrap());
            found.covers(2.0 / 3.0) == Some(false)
        });
        // 600 worlds: 99.9 % of those at 5 % lie between 2.3 % and 8.3 %.
        let missed = missed.count();
        assert!((14..=50).contains(&missed), "{missed} of 600 missed with {n} sequences");
    }
}

#[test]
fn a_lift_without_anything_stale_taken_has_no_ends() {
    let bootstrap = Bootstrap::new(8, &quick());
    let (none, some) = ([0.0; 8], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let found = bootstrap.lift(8, [&none, &some], [&some, &some]).unwrap();
    assert_eq!((found.estimate, found.bounds()), (0.0, None));
    assert_eq!(bootstrap.lift(8, [&some, &some], [&none, &some]), None);
    assert_eq!(bootstrap.lift(8, [&some, &none], [&some, &some]), None);
}

#[test]
fn one_sequence_has_no_interval() {
    let interval = Bootstrap::new(1, &quick()).mean(&[Some(2.0)]).unwrap();
    assert_eq!((interval.estimate, interval.bounds()), (2.0, None));
    assert_eq!(Bootstrap::new(2, &quick()).mean(&[None, None]), None);
}

#[test]
fn a_ratio_is_a_mean_over_tokens() {
    let interval = Bootstrap::new(2, &quick()).ratio(&[1.0, 9.0], &[1.0, 3.0]).unwrap();
    near(interval.estimate, 2.5);
    // Two sequences: Student's t with one degree of freedom, 12.706 standard errors of 1.
    let (low, high) = interval.bounds().unwrap();
    assert!((low - (2.5 - 12.706)).abs() < 1e-3 && (high - (2.5 + 12.706)).abs() < 1e-3, "{interval}");
}

#[test]
fn an_interval_reaches_further_where_the_long_tail_is() {
    let values: Vec<f64> = (0..12).map(|index| (0.35 * f64::from(index)).exp()).collect();
    let bootstrap = Bootstrap::new(12, &StatisticsOptions::default());
    let ones = [1.0; 12];
    let interval = bootstrap.ratio(&values, &ones).unwrap();
    let (low, high) = interval.bounds().unwrap();
    assert!(high - interval.estimate > 1.5 * (interval.estimate - low), "{interval}");
    // Of any other smooth function of sums it is symmetric, and as wide.
    let general = bootstrap.smooth(12, &[&values, &ones], |sums| Some(sums[0] / sums[1])).unwrap();
    near(general.estimate - general.low.unwrap(), general.high.unwrap() - general.estimate);
    assert!(general.high.unwrap() < high && general.low.unwrap() < low, "{general} {interval}");
    // The p-value is what the interval says.
    let p = |null| bootstrap.p_value(&values, &ones, null).unwrap();
    assert!(p(low - 0.05) < 0.05 && p(low + 0.05) > 0.05 && p(high + 0.5) < 0.05 && p(high - 0.5) > 0.05);
    assert_eq!(bootstrap.ratio(&[2.0; 12], &ones).unwrap().bounds(), Some((2.0, 2.0)));
}

#[test]
fn sign_flips_of_six_agreeing_sequences_leave_two_in_sixty_four() {
    near(sign_flip(&[1.0, 2.0, 3.0, 1.0, 1.0, 2.0], &quick()).unwrap(), 2.0 / 64.0);
    near(sign_flip(&[0.0; 8], &quick()).unwrap(), 1.0);
    assert_eq!(sign_flip(&[1.0; 5], &quick()), None);
}

#[test]
fn heads_permuted_alike_in_every_sequence_do_not_multiply_the_evidence() {
    // Four heads in a chance order repeated by 50 sequences: 24 orders, two of which are as extreme as a perfect one.
    let x = vec![vec![1.0, 2.0, 3.0, 4.0]; 50];
    let p = permute_heads(&x, &x, &[0; 4], &quick()).unwrap();
    assert!((p - 2.0 / 24.0).abs() < 0.03, "{p}");
}

#[test]
fn heads_change_places_inside_their_layers_and_layers_as_a_whole() {
    // Two layers of two heads have 2 * 2 * 2 orders: too few for a p-value. Three have 48, and six of them keep this order of layers
    // or turn it round.
    let x = vec![vec![1.0, 2.0, 3.0, 4.0]; 9];
    assert_eq!(permute_heads(&x, &x, &[0, 0, 1, 1], &quick()), None);
    let layers = [0, 0, 1, 1, 2, 2];
    let x = vec![vec![1.0, 1.0, 5.0, 5.0, 9.0, 9.0]; 9];
    let p = permute_heads(&x, &x, &layers, &quick()).unwrap();
    assert!((p - 2.0 / 6.0).abs() < 0.05, "three layers can be in six orders, two of which are as far: {p}");
    let free = permute_heads(&x, &x, &[0; 6], &quick()).unwrap();
    assert!(free < 0.15, "heads that ignore their layers would be counted one by one: {free}");
    // A layer of its own size stays where it is.
    let x = vec![vec![1.0, 2.0, 3.0, 4.0, 9.0]; 9];
    assert!((permute_heads(&x, &x, &[0, 0, 0, 0, 1], &quick()).unwrap() - 1.0 / 24.0).abs() < 0.03);
}

#[test]
fn sums_of_sixteen_resamples_at_once_are_those_of_one_after_the_other() {
    use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
    // Neither sequences nor resamples fill whole blocks, some sequences hold nothing, and three replays take turns.
    let (n, options) = (37, StatisticsOptions { resamples: 1003, seed: 5, ..StatisticsOptions::default() });
    let mut values = random::stream(2, "tests", 0);
    let mut column = |shift: f64| -> Vec<f64> { (0..n).map(|at| if at % 5 == 3 { 0.0 } else { shift + values.random::<f64>() }).collect() };
    let replays: Vec<(Vec<f64>, Vec<f64>)> = (0..3).map(|_| (column(0.0), column(1.0))).collect();
    let found = Bootstrap::new(n, &options).band(&replays).unwrap();
    let resampled = |resample: usize| {
        let mut stream = random::stream(options.seed, "measure/bootstrap", resample as u64);
        let mut counts = vec![0.0; n];
        (0..n).for_each(|_| counts[stream.random_range(0..n)] += 1.0);
        let sum = |column: &[f64]| column.iter().zip(&counts).map(|(value, count)| value * count).sum::<f64>();
        let (above, below) = &replays[resample % 3];
        sum(above) / sum(below)
    };
    let mut plain: Vec<f64> = (0..options.resamples).map(resampled).collect();
    plain.sort_by(f64::total_cmp);
    let n = (0..n).filter(|at| at % 5 != 3).count() as f64;
    let tail = (n / (n - 1.0)).sqrt() * StudentsT::new(0.0, 1.0, n - 1.0).unwrap().inverse_cdf((1.0 - options.level) / 2.0);
    let tail = Normal::standard().cdf(tail);
    assert_eq!(found.bounds(), Some((quantile(&plain, tail), quantile(&plain, 1.0 - tail))));
}
