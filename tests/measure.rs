//! Measures: hand-made numbers, known laws, and the controls doing their work.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, Array4, ArrayD, Axis};
use pentimento::measure::{
    Address, Alignment, AlignmentOptions, AllocationOptions, Bins, Bootstrap, Cleanup, CleanupOptions, Collateral, CollateralOptions,
    DecayAxis, HeadShuffle, Interval, MeasureError, Null, RecallOptions, ShareOf, SpectrumOptions, StatisticsOptions, Strength, Trajectory,
    alignment, allocation, cleanup, collateral, effective_rank, pearson, permute_heads, quantile, random_absolute_cosine, ranks, recall,
    sign_flip, singular_values, spearman, spectrum, stable_rank, symmetric_eigenvalues,
};
use pentimento::memory::{Dims, Factors, HookPoint, Rule};
use pentimento::task::random;
use rand::RngExt;

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-5, "found {found}, wanted {wanted}");
}

/// Few resamples: enough for what the tests ask.
fn quick() -> StatisticsOptions {
    StatisticsOptions { resamples: 400, permutations: 1000, ..StatisticsOptions::default() }
}

fn normal(stream: &mut impl rand::Rng) -> f64 {
    (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt() * (std::f64::consts::TAU * stream.random::<f64>()).cos()
}

/// Factors of random directions and values; retention 0.9 (1 for rules without decay), every strength 0.5.
fn factors(rule: Rule, dims: Dims, seed: u64) -> Factors<f32> {
    let mut stream = random::stream(seed, "tests/measure", 0);
    let mut arrays = BTreeMap::new();
    for point in rule.factors() {
        let constant = |value: f32| ArrayD::from_elem(point.shape(&dims), value);
        let array = match point {
            HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection => {
                let mut array = ArrayD::from_shape_fn(point.shape(&dims), |_| normal(&mut stream) as f32);
                for mut lane in array.lanes_mut(Axis(3)) {
                    let norm = lane.dot(&lane).sqrt();
                    lane.mapv_inplace(|x| x / norm);
                }
                array
            }
            HookPoint::Value(_) => ArrayD::from_shape_fn(point.shape(&dims), |_| normal(&mut stream) as f32),
            HookPoint::Retention => constant(if matches!(rule, Rule::LinearAttention | Rule::DeltaNet) { 1.0 } else { 0.9 }),
            _ => constant(0.5),
        };
        arrays.insert(point, array);
    }
    Factors::new(rule, arrays, None).unwrap()
}

const SMALL: Dims = Dims { batch: 3, step: 12, key_head: 2, head: 4, d_k: 8, d_v: 6 };

/// Retention [batch, step, head] on every channel.
fn retention(dims: Dims, value: impl Fn(usize, usize, usize) -> f64) -> ArrayD<f32> {
    Array4::from_shape_fn((dims.batch, dims.step, dims.head, dims.d_k), |(b, t, h, _)| value(b, t, h) as f32).into_dyn()
}

fn strength(dims: Dims, value: impl Fn(usize, usize, usize) -> f64) -> ArrayD<f32> {
    Array3::from_shape_fn((dims.batch, dims.step, dims.head), |(b, t, h)| value(b, t, h) as f32).into_dyn()
}

mod statistics {
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
        assert_eq!(interval.bounds(), Some((1.0, 3.0)));
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
        let p = permute_heads(&x, &x, &quick()).unwrap();
        assert!((p - 2.0 / 24.0).abs() < 0.03, "{p}");
    }
}

mod allocation_of_gates {
    use super::*;

    fn hand_made() -> Vec<(usize, Factors<f32>)> {
        let dims = Dims { batch: 2, step: 1, key_head: 1, head: 1, d_k: 2, d_v: 2 };
        // Sequence 0: (abar, beta, gamma) = (0.95, 0.2, 0.6); sequence 1: (0.2, 0.5, 0.5), abar as the mean of two channels.
        let retention = ArrayD::from_shape_vec(vec![2, 1, 1, 2], vec![0.95, 0.95, 0.1, 0.3]).unwrap();
        let factors = factors(Rule::Eda, dims, 0);
        let factors = factors.with(HookPoint::Retention, retention).unwrap();
        let factors = factors.with(HookPoint::WriteStrength(0), strength(dims, |b, _, _| [0.2, 0.5][b])).unwrap();
        vec![(3, factors.with(HookPoint::EraseStrength, strength(dims, |b, _, _| [0.6, 0.5][b])).unwrap())]
    }

    #[test]
    fn shares_are_those_computed_by_hand() {
        let report = allocation(&hand_made(), &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap();
        // b = (0.05, 0.19, 0.57), sum 0.81; b = (0.8, 0.1, 0.1), sum 1.
        near(report.global.decay.estimate, (0.05 / 0.81 + 0.8) / 2.0);
        near(report.global.write.estimate, (0.19 / 0.81 + 0.1) / 2.0);
        near(report.global.erase.estimate, (0.57 / 0.81 + 0.1) / 2.0);
        let high = report.bins[9].gates.as_ref().unwrap();
        near(high.erase.estimate, 0.57 / 0.81);
        near(high.erase_over_write.unwrap().estimate, 3.0);
        near(report.bins[2].gates.as_ref().unwrap().retention.estimate, 0.2);
        assert!(report.bins[5].gates.is_none());
        assert_eq!((report.heads[0].id.layer, report.heads[0].id.head, report.global.n_tokens), (3, 0, 2));
        assert!(report.notice.contains("not removed energy"));
    }

    #[test]
    fn shares_of_sums_weigh_tokens_by_strength() {
        let options = AllocationOptions { share_of: ShareOf::Sum, statistics: quick(), ..AllocationOptions::default() };
        let report = allocation(&hand_made(), &options).unwrap();
        near(report.global.erase.estimate, 0.67 / 1.81);
    }

    #[test]
    fn every_rule_has_an_allocation_and_says_what_stands_in() {
        for rule in Rule::ALL {
            let report =
                allocation(&vec![(0, factors(rule, SMALL, 1))], &AllocationOptions { statistics: quick(), ..AllocationOptions::default() })
                    .unwrap();
            assert_eq!(report.has_erase, rule.has_erase());
            assert_eq!(report.global.erase.estimate > 0.0, rule.has_erase(), "{rule}");
            assert_eq!(report.remarks.is_empty(), rule == Rule::Eda);
            let sum = report.global.decay.estimate + report.global.write.estimate + report.global.erase.estimate;
            near(sum, 1.0);
        }
    }

    #[test]
    fn the_same_source_gives_the_same_bytes_and_comes_back_from_them() {
        let source = vec![(0, factors(Rule::Eda, SMALL, 1)), (2, factors(Rule::Kda, SMALL, 2))];
        let bytes = || serde_json::to_string(&allocation(&source, &AllocationOptions::default()).unwrap()).unwrap();
        assert_eq!(bytes(), bytes());
        let back: pentimento::measure::Allocation = serde_json::from_str(&bytes()).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), bytes());
    }
}

mod alignment_of_directions {
    use super::*;

    fn measured(source: &[(usize, Factors<f32>)]) -> Result<Alignment, MeasureError> {
        alignment(source, &AlignmentOptions { statistics: quick() })
    }

    #[test]
    fn the_random_reference_is_the_papers() {
        assert!((random_absolute_cosine(128) - 0.0706).abs() < 1e-4);
        near(random_absolute_cosine(4), 4.0 / (3.0 * std::f64::consts::PI));
        near(random_absolute_cosine(2), 2.0 / std::f64::consts::PI);
    }

    #[test]
    fn independent_directions_meet_the_reference() {
        let dims = Dims { batch: 8, step: 64, key_head: 2, head: 2, d_k: 16, d_v: 2 };
        let report = measured(&[(0, factors(Rule::Eda, dims, 5))]).unwrap();
        let (low, high) = report.global.absolute_cosine.bounds().unwrap();
        assert!(low < report.global.random_reference && report.global.random_reference < high);
        assert!(report.global.signed_cosine.estimate.abs() < 0.03);
        assert_eq!(report.global.n_tokens, 8 * 64 * 2);
    }

    #[test]
    fn an_erase_at_the_opposite_of_the_key_has_cosine_minus_one() {
        let plain = factors(Rule::Eda, SMALL, 1);
        let opposite = plain.arrays()[&HookPoint::WriteDirection(0)].mapv(|x| -3.0 * x);
        let report = measured(&[(0, plain.with(HookPoint::EraseDirection, opposite).unwrap())]).unwrap();
        near(report.key_heads[1].alignment.absolute_cosine.estimate, 1.0);
        near(report.key_heads[1].alignment.signed_cosine.estimate, -1.0);
        near(report.global.fold.estimate, 1.0 / random_absolute_cosine(8));
    }

    #[test]
    fn a_rule_without_erase_has_none_and_a_mixed_model_says_what_is_left_out() {
        let kda = || factors(Rule::Kda, SMALL, 1);
        assert!(matches!(measured(&[(0, kda())]), Err(MeasureError::NoErase { .. })));
        let report = measured(&[(0, kda()), (1, factors(Rule::Eda, SMALL, 1))]).unwrap();
        assert_eq!(report.layers.len(), 1);
        assert!(report.remarks[0].contains("0 (kda)"));
    }
}

mod raw_recall {
    use super::*;

    #[test]
    fn full_writes_at_orthogonal_keys_are_read_back_and_decay_with_the_lag() {
        // One channel per step, beta 1, retention 1/2: S_t^T k_s = v_s / 2^lag.
        let dims = Dims { batch: 2, step: 4, key_head: 1, head: 1, d_k: 4, d_v: 3 };
        let keys = Array4::from_shape_fn((2, 4, 1, 4), |(_, t, _, i)| f32::from(u8::from(t == i))).into_dyn();
        let plain = factors(Rule::Kda, dims, 3).with(HookPoint::WriteDirection(0), keys).unwrap();
        let plain = plain.with(HookPoint::WriteStrength(0), strength(dims, |_, _, _| 1.0)).unwrap();
        let plain = plain.with(HookPoint::Retention, retention(dims, |_, _, _| 0.5)).unwrap();
        let report =
            recall(&vec![(0, plain)], &RecallOptions { lags: vec![0, 1, 3, 9], statistics: quick(), ..RecallOptions::default() }).unwrap();
        let lags: Vec<usize> = report.global.iter().map(|row| row.lag).collect();
        assert_eq!(lags, [0, 1, 3]);
        near(report.global[0].r2.unwrap().estimate, 1.0);
        near(report.global[1].cosine.unwrap().estimate, 1.0);
        assert!(report.global[1].r2.unwrap().estimate < 0.9);
        assert_eq!(report.global[2].n_reads, 2);
    }

    #[test]
    fn every_rule_is_read_at_its_keys() {
        for rule in Rule::ALL {
            let report =
                recall(&vec![(0, factors(rule, SMALL, 1))], &RecallOptions { statistics: quick(), ..RecallOptions::default() }).unwrap();
            let straight_after = report.global[0].cosine.unwrap().estimate;
            assert!(straight_after > 0.2, "{rule}: {straight_after}");
            assert_eq!(report.global[0].n_reads, (3 * 12 * 4) * u64::from(rule.n_writes()));
        }
    }
}

mod cleanup_against_decay {
    use super::*;

    fn options() -> CleanupOptions {
        let recall = RecallOptions { lags: vec![0, 4], statistics: quick(), ..RecallOptions::default() };
        CleanupOptions { window: 4, null_replays: 4, recall, statistics: quick(), ..CleanupOptions::default() }
    }

    const DIMS: Dims = Dims { batch: 8, step: 48, key_head: 2, head: 4, d_k: 8, d_v: 8 };

    /// EDA whose retention wanders and whose erase strength is a function of (retention, head).
    fn planted(gamma: impl Fn(f64, usize) -> f64) -> Cleanup {
        let mut stream = random::stream(7, "tests/planted", 0);
        let noise = Array3::from_shape_fn((DIMS.batch, DIMS.step, DIMS.head), |_| stream.random::<f64>());
        let kept = |b: usize, t: usize, h: usize| 0.5 + 0.49 * noise[[b, t, h]];
        let plain = factors(Rule::Eda, DIMS, 3).with(HookPoint::Retention, retention(DIMS, kept)).unwrap();
        let source = vec![(0, plain.with(HookPoint::EraseStrength, strength(DIMS, |b, t, h| gamma(kept(b, t, h), h))).unwrap())];
        cleanup(&source, &options()).unwrap()
    }

    fn covers(interval: &Interval, value: f64) -> bool {
        interval.covers(value).unwrap()
    }

    #[test]
    fn a_gate_that_opens_where_memory_is_kept_is_found() {
        let report = planted(|kept, _| 0.1 + 0.8 * (kept - 0.5));
        for kind in Strength::ALL {
            let within = report.relation(kind, DecayAxis::MeanRetention).unwrap().within_heads.as_ref().unwrap();
            let shuffled = within.nulls.iter().find(|null| null.null == Null::ShuffledStrength).unwrap();
            assert!(within.rho.estimate > shuffled.band.high.unwrap(), "{kind:?}: {} in {}", within.rho, shuffled.band);
            assert!(shuffled.p_value.unwrap() < 0.05, "{kind:?}");
        }
        assert!(
            report.headline().contains("the erase gate opens more where mean retention is higher: rho = 1.000"),
            "{}",
            report.headline()
        );
        assert!(report.headline().contains("beyond every null"), "{}", report.headline());
        assert!(report.details().iter().any(|line| line.contains("naive")));
        near(report.relation(Strength::EraseStrength, DecayAxis::MeanRetention).unwrap().within_heads.as_ref().unwrap().rho.estimate, 1.0);
        near(report.recall.global[0].n_reads as f64, 8.0 * 48.0 * 4.0);
    }

    #[test]
    fn a_constant_gate_correlates_mechanically_and_nothing_is_flagged() {
        let report = planted(|_, _| 0.3);
        let removed = report.relation(Strength::RemovedEnergy, DecayAxis::MeanRetention).unwrap();
        let within = removed.within_heads.as_ref().unwrap();
        // The model is its own shuffled and constant null: the same rho, an excess of exactly nothing.
        for null in &within.nulls {
            if matches!(null.null, Null::ShuffledStrength | Null::ConstantStrength) {
                near(null.excess.estimate, 0.0);
                near(null.p_value.unwrap(), 1.0);
                assert!(covers(&null.band, within.rho.estimate));
            } else {
                assert!(null.p_value.unwrap() > 0.01, "{null:?}");
            }
        }
        assert!(report.headline().contains("No sign beyond the nulls"), "{}", report.headline());
        // The share of a constant gate still falls with decay: the constant null says so bin by bin.
        let share = report.relation(Strength::GateShare, DecayAxis::MeanRetention).unwrap();
        assert!(share.within_heads.as_ref().unwrap().rho.estimate > 0.9);
        for bin in share.curve.iter().filter(|bin| bin.n_tokens > 0) {
            let constant = bin.nulls.iter().find(|null| null.null == Null::ConstantStrength).unwrap();
            assert!(covers(&constant.band, bin.strength.unwrap().estimate));
        }
        // A gate that never moves has no correlation to report.
        assert!(report.relation(Strength::EraseStrength, DecayAxis::MeanRetention).unwrap().within_heads.is_none());
    }

    #[test]
    fn removed_energy_is_the_law_of_the_unit_erase() {
        use pentimento::memory::{Phase, reference};
        let plain = factors(Rule::Eda, SMALL, 4);
        let report = cleanup(&vec![(0, plain.clone())], &options()).unwrap();
        let run = reference::run(&plain.cast::<f64>().lower(), &[Phase::Decay]);
        let erase = plain.channels(HookPoint::EraseDirection);
        let (mut sum, mut count) = (0.0, 0.0);
        for (batch, step) in ndarray::indices((SMALL.batch, SMALL.step)) {
            let memory = run.memory[&Phase::Decay].slice(ndarray::s![batch, step, 3, .., ..]);
            let direction = erase.slice(ndarray::s![batch, step, 1, ..]).mapv(f64::from);
            let held: Vec<f64> = (0..SMALL.d_v).map(|j| memory.column(j).dot(&direction)).collect();
            let energy = memory.iter().map(|x| x * x).sum::<f64>();
            if energy > 0.0 {
                sum += 0.5 * 1.5 * held.iter().map(|x| x * x).sum::<f64>() / energy;
                count += 1.0;
            }
        }
        near(report.heads[3].removed_energy.unwrap().estimate, sum / count);
    }

    #[test]
    fn heads_that_differ_and_do_nothing_inside_are_told_apart() {
        // Simpson: each head has its own level of both gates; inside a head they are independent.
        let mut stream = random::stream(9, "tests/simpson", 0);
        let noise = Array4::from_shape_fn((DIMS.batch, DIMS.step, DIMS.head, 2), |_| stream.random::<f64>() * 0.05);
        let plain = factors(Rule::Eda, DIMS, 3);
        let plain = plain.with(HookPoint::Retention, retention(DIMS, |b, t, h| 0.9 - 0.2 * h as f64 + noise[[b, t, h, 0]])).unwrap();
        let plain = plain.with(HookPoint::EraseStrength, strength(DIMS, |b, t, h| 0.1 + 0.2 * h as f64 + noise[[b, t, h, 1]])).unwrap();
        let report = cleanup(&vec![(0, plain)], &options()).unwrap();
        let gamma = report.relation(Strength::EraseStrength, DecayAxis::MeanRetention).unwrap();
        assert!(gamma.naive_pooled.unwrap().rho < -0.85);
        assert!(gamma.naive_pooled.unwrap().p_value_if_tokens_were_independent < 1e-6);
        near(gamma.between_heads.as_ref().unwrap().rho.estimate, -1.0);
        // Four heads can be in this order by chance.
        assert!(gamma.between_heads.as_ref().unwrap().p_value.unwrap() > 0.05);
        assert!(gamma.within_heads.as_ref().unwrap().rho.estimate.abs() < 0.1);
        assert!(gamma.within_heads.as_ref().unwrap().p_value.unwrap() > 0.05);
    }

    #[test]
    fn reports_are_reproducible_and_survive_json() {
        let report = planted(|kept, head| 0.1 + 0.1 * head as f64 + 0.3 * kept);
        let bytes = serde_json::to_string(&report).unwrap();
        assert_eq!(bytes, serde_json::to_string(&planted(|kept, head| 0.1 + 0.1 * head as f64 + 0.3 * kept)).unwrap());
        assert_eq!(serde_json::from_str::<Cleanup>(&bytes).unwrap(), report);
    }

    #[test]
    fn rwkv7_is_measured_and_a_rule_without_erase_refused() {
        let report = cleanup(&vec![(0, factors(Rule::Rwkv7, SMALL, 1))], &options()).unwrap();
        assert!(report.remarks[0].contains("obliquely"));
        assert!(matches!(cleanup(&vec![(0, factors(Rule::Gdn, SMALL, 1))], &options()), Err(MeasureError::NoErase { .. })));
    }

    #[test]
    fn pooling_tokens_cries_wolf_and_the_sequence_as_unit_does_not() {
        // Gates that wander slowly and know nothing of each other, 12 sequences of 64 tokens, at a nominal 5 %.
        let (mut pooled, mut by_sequence) = (0, 0);
        let trials: u16 = 200;
        for trial in 0..u64::from(trials) {
            let mut stream = random::stream(trial, "tests/wolf", 0);
            let mut walk = || {
                let mut level = normal(&mut stream);
                (0..64)
                    .map(|_| {
                        level = 0.95 * level + (1.0_f64 - 0.95 * 0.95).sqrt() * normal(&mut stream);
                        level
                    })
                    .collect::<Vec<f64>>()
            };
            let sequences: Vec<(Vec<f64>, Vec<f64>)> = (0..12).map(|_| (walk(), walk())).collect();
            let rho: Vec<f64> = sequences.iter().map(|(x, y)| spearman(x, y).unwrap()).collect();
            by_sequence += u16::from(sign_flip(&rho, &quick()).unwrap() < 0.05);
            let (x, y): (Vec<Vec<f64>>, Vec<Vec<f64>>) = sequences.into_iter().unzip();
            let rho = spearman(&x.concat(), &y.concat()).unwrap();
            pooled += u16::from(pentimento::measure::p_value_of_independent_pairs(rho, 12 * 64) < 0.05);
        }
        let rate = |hits: u16| f64::from(hits) / f64::from(trials);
        assert!(rate(by_sequence) < 0.10, "sequence as unit: {}", rate(by_sequence));
        assert!(rate(pooled) > 0.40, "tokens pooled: {}", rate(pooled));
    }
}

mod collateral_of_the_erase {
    use super::*;

    fn options() -> CollateralOptions {
        CollateralOptions { statistics: quick(), ..CollateralOptions::default() }
    }

    /// One step from random memories.
    fn random_memories() -> Vec<(usize, Factors<f32>)> {
        let dims = Dims { batch: 64, step: 1, key_head: 4, head: 4, d_k: 32, d_v: 256 };
        let mut stream = random::stream(2, "tests/memories", 0);
        let initial = Array4::from_shape_fn((dims.batch, dims.head, dims.d_k, dims.d_v), |_| normal(&mut stream) as f32);
        let arrays = factors(Rule::Eda, dims, 1).arrays().iter().map(|(&point, array)| (point, array.to_owned())).collect();
        vec![(0, Factors::new(Rule::Eda, arrays, Some(initial)).unwrap())]
    }

    #[test]
    fn random_addresses_on_random_memories_give_what_theory_says() {
        let report = collateral(&random_memories(), &options()).unwrap();
        for address in [Address::Learned, Address::Random, Address::HeadShuffled, Address::WriteDirection] {
            for trajectory in [Trajectory::FullReplay, Trajectory::LocalStep] {
                let row = report.global_at(address, trajectory).unwrap();
                // |delta o| / |o| = gamma |q.e| |S^T e| / |S^T q|; reads of a wide random memory are equally long.
                let wanted = 0.5 * random_absolute_cosine(32);
                assert!((row.perturbation.estimate / wanted - 1.0).abs() < 0.15, "{address:?}: {} against {wanted}", row.perturbation);
                near(row.erase_strength.estimate, 0.5);
                near(row.random_energy_reference, 1.0 / 32.0);
                assert!((row.energy_at_address.unwrap().estimate * 32.0 - 1.0).abs() < 0.1);
                assert!((row.removed_energy.unwrap().estimate * 32.0 / 0.75 - 1.0).abs() < 0.1);
            }
        }
        assert!(report.headline().contains("random"));
    }

    #[test]
    fn an_erase_at_the_query_takes_its_strength_from_the_read() {
        let (layer, plain) = random_memories().remove(0);
        let query = plain.arrays()[&HookPoint::Query].to_owned();
        let report = collateral(&vec![(layer, plain.with(HookPoint::EraseDirection, query).unwrap())], &options()).unwrap();
        let learned = report.global_at(Address::Learned, Trajectory::FullReplay).unwrap();
        near(learned.perturbation.estimate, 0.5);
        near(learned.ratio_of_sums.estimate, 0.5);
        near(learned.query_overlap.estimate, 1.0);
        near(learned.relative_content.estimate, 1.0);
        near(learned.fold.unwrap().estimate, 1.0);
        let random = report.layers[0].addresses.iter().find(|row| row.address == Address::Random).unwrap();
        assert!(random.fold.unwrap().estimate < 0.2);
    }

    #[test]
    fn an_erase_at_the_key_is_the_same_as_asking_for_it() {
        let plain = factors(Rule::Eda, SMALL, 1);
        let keys = plain.arrays()[&HookPoint::WriteDirection(0)].to_owned();
        let at_key = collateral(&vec![(0, plain.with(HookPoint::EraseDirection, keys).unwrap())], &options()).unwrap();
        let asked = collateral(&vec![(0, plain)], &options()).unwrap();
        let learned = at_key.global_at(Address::Learned, Trajectory::FullReplay).unwrap().perturbation;
        assert_eq!(asked.global_at(Address::WriteDirection, Trajectory::FullReplay).unwrap().perturbation, learned);
        // Later states differ, so the local step does too.
        assert_ne!(asked.global_at(Address::WriteDirection, Trajectory::LocalStep).unwrap().perturbation, learned);
    }

    #[test]
    fn one_key_head_has_nothing_to_shuffle_and_says_so() {
        let dims = Dims { key_head: 1, ..SMALL };
        let report = collateral(&vec![(0, factors(Rule::Eda, dims, 1))], &options()).unwrap();
        assert!(report.global_at(Address::HeadShuffled, Trajectory::FullReplay).is_none());
        assert!(report.remarks[0].contains("nothing to shuffle"));
        let rotated = CollateralOptions { head_shuffle: HeadShuffle::Rotation, ..options() };
        let report = collateral(&vec![(0, factors(Rule::Rwkv7, SMALL, 1))], &rotated).unwrap();
        assert!(report.global_at(Address::HeadShuffled, Trajectory::FullReplay).unwrap().n_tokens > 0);
        assert!(report.remarks[0].contains("rwkv7"));
    }

    #[test]
    fn reports_survive_json() {
        let report = collateral(&vec![(0, factors(Rule::Eda, SMALL, 1))], &options()).unwrap();
        assert_eq!(serde_json::from_str::<Collateral>(&serde_json::to_string(&report).unwrap()).unwrap(), report);
    }
}

mod spectrum_of_memories {
    use super::*;

    #[test]
    fn eigenvalues_of_two_by_two_by_hand() {
        let values = symmetric_eigenvalues(&ndarray::array![[2.0, 1.0], [1.0, 2.0]]);
        near(values[0], 3.0);
        near(values[1], 1.0);
    }

    #[test]
    fn eigenvalues_of_the_path_graph_are_cosines() {
        // Adjacency of a path of n vertices, its rows permuted: 2 cos(k pi / (n + 1)).
        let n = 24;
        let place = |i: usize| i * 7 % n;
        let mut matrix = Array2::<f64>::zeros((n, n));
        for i in 0..n - 1 {
            matrix[[place(i), place(i + 1)]] = 1.0;
            matrix[[place(i + 1), place(i)]] = 1.0;
        }
        for (k, value) in symmetric_eigenvalues(&matrix).into_iter().enumerate() {
            let wanted = 2.0 * ((k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64).cos();
            assert!((value - wanted).abs() < 1e-12, "{value} {wanted}");
        }
    }

    #[test]
    fn singular_values_keep_the_norm_and_find_the_rank() {
        let mut stream = random::stream(3, "tests/rank", 0);
        let left = Array2::from_shape_fn((20, 3), |_| normal(&mut stream));
        let right = Array2::from_shape_fn((3, 12), |_| normal(&mut stream));
        let product = left.dot(&right);
        let values = singular_values(&product);
        assert_eq!(values.len(), 12);
        near(values.iter().map(|value| value * value).sum::<f64>(), product.iter().map(|x| x * x).sum());
        assert!(values[2] > 0.1 && values[3] < 1e-6 * values[0]);
        near(effective_rank(&[2.0, 2.0, 2.0, 0.0]).unwrap(), 3.0);
        near(stable_rank(&[2.0, 1.0]).unwrap(), 1.25);
        assert_eq!(effective_rank(&[0.0, 0.0]), None);
    }

    #[test]
    fn memories_fill_up_one_direction_a_step() {
        let report = spectrum(
            &vec![(0, factors(Rule::LinearAttention, SMALL, 1))],
            &SpectrumOptions { points: 12, statistics: quick(), ..SpectrumOptions::default() },
        )
        .unwrap();
        assert_eq!(report.steps, (0..12).collect::<Vec<_>>());
        let head = &report.heads[2].steps;
        near(head[0].effective_rank.unwrap().estimate, 1.0);
        near(head[0].stable_rank.unwrap().estimate, 1.0);
        assert!(head[3].effective_rank.unwrap().estimate > 2.0);
        assert_eq!(head[11].singular_values.len(), 6);
        assert!(report.headline().contains("of 6"));
    }
}

mod sources_and_sentences {
    use super::*;
    use crate::trace::sample;
    use pentimento::trace::Trace;

    #[test]
    fn a_trace_gives_the_numbers_of_its_factors() {
        let (_folder, path) = sample::place();
        let factors = sample::factors(Rule::Eda, sample::SMALL, 1, true);
        sample::write(&path, &factors, 128, &[]);
        let (trace, held) = (Trace::open(&path).unwrap(), vec![(0, factors)]);
        let options = CollateralOptions { statistics: quick(), ..CollateralOptions::default() };
        assert_eq!(collateral(&trace, &options).unwrap(), collateral(&held, &options).unwrap());
        let options = AllocationOptions { statistics: quick(), ..AllocationOptions::default() };
        assert_eq!(allocation(&trace, &options).unwrap(), allocation(&held, &options).unwrap());
    }

    #[test]
    fn factors_the_equation_does_not_allow_are_refused_by_layer_and_sequence() {
        let plain = factors(Rule::Eda, SMALL, 1);
        let open = strength(SMALL, |b, t, h| if (b, t, h) == (2, 3, 1) { f64::NAN } else { 0.5 });
        let source = vec![(7, plain.with(HookPoint::EraseStrength, open).unwrap())];
        let said = allocation(&source, &AllocationOptions::default()).unwrap_err().to_string();
        assert!(said.contains("layer 7, sequence 2") && said.contains("erase_strength"), "{said}");
    }

    #[test]
    fn layers_that_disagree_about_the_sequences_are_refused() {
        let source = vec![(0, factors(Rule::Eda, SMALL, 1)), (1, factors(Rule::Eda, Dims { batch: 2, ..SMALL }, 1))];
        assert!(matches!(
            allocation(&source, &AllocationOptions::default()),
            Err(MeasureError::Sequences { layer: 1, found: 2, wanted: 3 })
        ));
        let none: Vec<(usize, Factors<f32>)> = vec![];
        assert!(matches!(allocation(&none, &AllocationOptions::default()), Err(MeasureError::Empty(_))));
    }

    #[test]
    fn headlines_say_what_was_found_and_how_sure_it_is() {
        let source = vec![(0, factors(Rule::Eda, SMALL, 1))];
        let said = allocation(&source, &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap().headline();
        assert!(said.contains("not removed energy") && said.contains("3 sequences"), "{said}");
        let said = alignment(&source, &AlignmentOptions { statistics: quick() }).unwrap().headline();
        assert!(said.contains("independent directions"), "{said}");
        let options = CleanupOptions { window: 4, null_replays: 2, statistics: quick(), ..CleanupOptions::default() };
        let said = cleanup(&source, &options).unwrap().headline();
        assert!(said.contains("never varies") && said.contains("raw recall"), "{said}");
        let kda = vec![(0, factors(Rule::Kda, SMALL, 1))];
        let said = allocation(&kda, &AllocationOptions { statistics: quick(), ..AllocationOptions::default() }).unwrap().headline();
        assert!(said.contains("no erase"), "{said}");
    }
}
