//! Cleanup against decay: what is planted is found, what is mechanical is not flagged.

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
    // The unique contribution is of a whole window, and has tests of its own.
    for kind in [Strength::EraseStrength, Strength::GateShare, Strength::RemovedEnergy] {
        let within = report.relation(kind, DecayAxis::MeanRetention).unwrap().within_heads.as_ref().unwrap();
        let shuffled = within.nulls.iter().find(|null| null.null == Null::ShuffledStrength).unwrap();
        assert!(within.rho.estimate > shuffled.band.high.unwrap(), "{kind:?}: {} in {}", within.rho, shuffled.band);
        assert!(shuffled.p_value.unwrap() < 0.05, "{kind:?}");
    }
    assert!(report.headline().contains("the erase gate opens more where mean retention is higher: rho = 1.000"), "{}", report.headline());
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

/// The strength is survival without the erase less survival with it, of the write one window old: against whole accounts.
#[test]
fn unique_contribution_is_that_of_the_ledger() {
    use pentimento::ledger::{AccountOptions, HeadRecurrence, account};
    let plain = factors(Rule::Eda, SMALL, 4);
    let report = cleanup(&vec![(0, plain.clone())], &options()).unwrap();
    let recurrence = plain.cast::<f64>().lower();
    let (window, mut sum, mut count) = (4, 0.0, 0.0);
    for batch in 0..SMALL.batch {
        let head = HeadRecurrence::new(&recurrence, batch, 3);
        let marks: Vec<(usize, usize)> = (0..SMALL.step - window).map(|write| (write, write + window)).collect();
        let run = |head: &HeadRecurrence<f64>| account(head, &AccountOptions { marks: marks.clone(), ..AccountOptions::default() });
        for (with, without) in run(&head).marked.iter().zip(run(&head.without_erase()).marked) {
            sum += without.survival().unwrap() - with.survival().unwrap();
            count += 1.0;
        }
    }
    near(report.heads[3].unique_contribution.unwrap().estimate, sum / count);
}

/// Where decay takes nearly all, an erase of the same gate has nothing of its own left to take: the unique contribution rises with what
/// decay alone would keep, under the nulls as well.
#[test]
fn what_decay_would_have_taken_anyway_is_no_contribution() {
    let mut stream = random::stream(5, "tests/compensation", 0);
    let level = Array3::from_shape_fn((DIMS.batch, DIMS.step, DIMS.head), |_| stream.random::<f64>());
    let smooth = |b: usize, t: usize, h: usize| {
        let from = t.saturating_sub(8);
        0.2 + 0.79 * (from..=t).map(|s| level[[b, s, h]]).sum::<f64>() / (t + 1 - from) as f64
    };
    let plain = factors(Rule::Eda, DIMS, 3).with(HookPoint::Retention, retention(DIMS, smooth)).unwrap();
    let report = cleanup(&vec![(0, plain)], &options()).unwrap();
    let unique = report.relation(Strength::UniqueContribution, DecayAxis::WindowRetention).unwrap().within_heads.as_ref().unwrap();
    assert!(unique.rho.estimate > 0.4, "{}", unique.rho);
    assert_eq!(unique.nulls.len(), 4);
    let constant = unique.nulls.iter().find(|null| null.null == Null::ConstantStrength).unwrap();
    near(constant.excess.estimate, 0.0);
    assert!(report.headline().contains("uniquely removes"), "{}", report.headline());
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
fn a_shuffle_that_changes_no_head_is_no_finding_between_heads() {
    // Between heads rho is -0.8 in every sequence, and shuffling over tokens leaves every head's mean as it is. The mean of ten such
    // replays differs from -0.8 in its last bit, in the same direction in every sequence.
    let levels = [0.1, 0.5, 0.3, 0.7];
    let plain = factors(Rule::Eda, DIMS, 3);
    let plain = plain.with(HookPoint::Retention, retention(DIMS, |_, t, h| 0.9 - 0.2 * h as f64 + 0.001 * (t % 5) as f64)).unwrap();
    let plain = plain.with(HookPoint::EraseStrength, strength(DIMS, |_, t, h| levels[h] + 0.001 * (t % 7) as f64)).unwrap();
    let report = cleanup(&vec![(0, plain)], &CleanupOptions { null_replays: 10, ..options() }).unwrap();
    let between = report.relation(Strength::EraseStrength, DecayAxis::MeanRetention).unwrap().between_heads.as_ref().unwrap();
    near(between.rho.estimate, -0.8);
    let shuffled = between.nulls.iter().find(|null| null.null == Null::ShuffledStrength).unwrap();
    assert_eq!((shuffled.excess.estimate, shuffled.p_value), (0.0, Some(1.0)), "{shuffled:?}");
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
