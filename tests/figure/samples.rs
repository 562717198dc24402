//! Hand-made measures in the shape of real ones.

use pentimento::figure::accuracy::{Answers, ConditionAnswers};
use pentimento::figure::calibration::{ErrorRate, Errors};
use pentimento::figure::readout::{ReadoutCurve, ReadoutPanel, Readouts, Role as CurveRole};
use pentimento::figure::selectivity::{Selectivities, Selectivity};
use pentimento::figure::training::TrainingLog;
use pentimento::figure::{Estimate, Figure, Labelled, Measured};
use pentimento::intervene::{
    Address as EraseAddress, AnswerAccount, EraseEvent, EventEffect, EventTotal, FactWords, RemovedWrite, ScoreChange, Scores, StepWords,
};
use pentimento::ledger::{Form, Mechanism, NOISE_GRID};
use pentimento::measure::{
    ALLOCATION_NOTICE, Address, AddressCollateral, AddressNull, AgeCapacity, AgeShares, Alignment, AlignmentOptions, AlignmentSummary,
    Allocation, AllocationBin, AllocationOptions, Among, AnswerEffect, AttentionMap, Capacity, CapacityOptions, CapacityRow, Cleanup,
    CleanupOptions, Collateral, CollateralOptions, Correlation, CurveBin, DecayAxis, EraseEffectOptions, EraseEffects, EraseRun, Explained,
    Fate, FateOptions, FateRow, FateShares, GateSummary, HeadAlignment, HeadCleanup, HeadCorrelation, HeadExplained, HeadId, HeadMap,
    HeadQuantity, HeadSpectrum, HeadValue, Interval, LagRecall, LayerAlignment, LayerCollateral, MapError, Null, NullBand, NullCorrelation,
    Recall, RecallOptions, Relation, Role, RoleShare, RunEffect, Spectrum, SpectrumOptions, StatisticsOptions, StepSpectrum, Strength,
    Targeting, TargetingNull, TargetingOptions, TargetingRow, TokenDensity, Trajectory, Unit,
};
use pentimento::memory::Rule;
use pentimento::task::Condition;

use super::places;

/// What each figure is shown with.
pub fn measured(figure: Figure) -> Measured {
    match figure {
        Figure::Cleanup => Measured::Cleanup(Box::new(cleanup())),
        Figure::Allocation => Measured::Allocation(Box::new(allocation())),
        Figure::Collateral => Measured::Collateral(vec![Labelled::new("EDA", collateral())]),
        Figure::Alignment => Measured::Alignment(vec![Labelled::new("EDA", alignment())]),
        Figure::Recall => Measured::Recall(vec![Labelled::new("EDA", recall(0.9)), Labelled::new("KDA", recall(0.95))]),
        Figure::Readout => Measured::Readout(readouts()),
        Figure::Training => Measured::Training(vec![Labelled::new("EDA", training(1.0)), Labelled::new("KDA", training(1.3))]),
        Figure::Accuracy => Measured::Accuracy(vec![Labelled::new("EDA", answers(0.0)), Labelled::new("KDA", answers(0.06))]),
        Figure::Dose => Measured::Dose(vec![Labelled::new("EDA", erase_effects())]),
        Figure::Knockout => Measured::Knockout(vec![account(), account()]),
        Figure::Fate => Measured::Fate(vec![Labelled::new("EDA", fate(true)), Labelled::new("KDA", fate(false))]),
        Figure::Targeting => Measured::Targeting(vec![Labelled::new("EDA", targeting(true)), Labelled::new("KDA", targeting(false))]),
        Figure::Capacity => Measured::Capacity(vec![Labelled::new("EDA", capacity(0.9)), Labelled::new("KDA", capacity(0.8))]),
        Figure::Calibration => Measured::Calibration(errors()),
        Figure::Attention => Measured::Attention(vec![Labelled::new("EDA", explained(1.0)), Labelled::new("KDA", explained(0.8))]),
        Figure::Selectivity => Measured::Selectivity(selectivities()),
        Figure::Atlas => Measured::Atlas(vec![Labelled::new("EDA", head_maps(true)), Labelled::new("KDA", head_maps(false))]),
        Figure::Life => Measured::Life(vec![Labelled::new("EDA", places::seen(Some(places::life()), 12))]),
        Figure::Read => Measured::Read(vec![Labelled::new("EDA", places::seen(places::read(), 38))]),
        Figure::Weights => Measured::Weights(vec![Labelled::new("EDA", places::seen(places::attention(), 38))]),
        Figure::Angles => Measured::Angles(vec![Labelled::new("EDA", places::seen(places::angles(), 12))]),
        Figure::Gates => Measured::Gates(vec![
            Labelled::new("EDA", places::seen(places::head_gates(0.8), 12)),
            Labelled::new("KDA", places::seen(places::head_gates(0.6), 12)),
        ]),
        Figure::Memory => Measured::Memory(vec![
            Labelled::new("EDA", places::seen(places::memories(0), 12)),
            Labelled::new("KDA", places::seen(places::memories(900), 12)),
        ]),
        Figure::Spectrum => Measured::Spectrum(vec![Labelled::new("EDA", spectrum(1.0)), Labelled::new("KDA", spectrum(1.4))]),
    }
}

/// An interval of half-width `half`.
pub fn interval(estimate: f64, half: f64) -> Interval {
    Interval { estimate, low: Some(estimate - half), high: Some(estimate + half), level: 0.95, unit: Unit::Sequence, n: 32 }
}

/// A number in [-1, 1) that looks random and is the same on every machine.
pub fn wobble(n: usize) -> f64 {
    let mixed = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    f64::from((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_shr(40) as u32) / f64::from(1_u32 << 23) - 1.0
}

fn gates(decay: f64, beta: f64, gamma: f64, n_tokens: u64) -> GateSummary {
    let kept = 1.0 - decay;
    let sum = decay + kept * (beta + gamma);
    GateSummary {
        n_tokens,
        decay: interval(decay / sum, 0.012),
        write: interval(kept * beta / sum, 0.015),
        erase: interval(kept * gamma / sum, 0.018),
        retention: interval(kept, 0.01),
        write_strength: interval(beta, 0.02),
        erase_strength: interval(gamma, 0.03),
        erase_over_write: Some(interval(gamma / beta, 0.05)),
    }
}

/// Ten bins, erase growing with retention; the first bin is empty.
pub fn allocation() -> Allocation {
    let bin = |n: usize| {
        let low = n as f64 / 10.0;
        let gamma = 0.12 + 0.6 * low * low;
        let filled = gates(0.95 - low, 0.5 - 0.28 * low, gamma, 10_000 * (n as u64 + 1));
        AllocationBin { low, high: (n + 1) as f64 / 10.0, gates: (n > 0).then_some(filled) }
    };
    Allocation {
        options: AllocationOptions::default(),
        notice: ALLOCATION_NOTICE.to_owned(),
        remarks: Vec::new(),
        has_erase: true,
        global: gates(0.3, 0.4, 0.42, 540_000),
        bins: (0..10).map(bin).collect(),
        layers: Vec::new(),
        heads: Vec::new(),
    }
}

/// Four layers of six heads; the strength rises with retention, the nulls do not.
pub fn cleanup() -> Cleanup {
    let band = |null: Null, estimate: f64| NullBand { null, band: interval(estimate, 0.02) };
    let curve = (0..10).map(|n| {
        let low = f64::from(n) / 10.0;
        let filled = n >= 2;
        let mean = 0.14 + 0.5 * low * low * low;
        CurveBin {
            low,
            high: f64::from(n + 1) / 10.0,
            n_tokens: if filled { 400 * (1 << n) } else { 0 },
            strength: filled.then(|| interval(mean, 0.05 - 0.004 * f64::from(n))),
            nulls: if filled {
                vec![band(Null::ShuffledStrength, 0.33 + 0.05 * low), band(Null::ConstantStrength, 0.27 + 0.06 * low)]
            } else {
                Vec::new()
            },
        }
    });
    let curve: Vec<CurveBin> = curve.collect();
    let relation = |strength, decay| Relation {
        strength,
        decay,
        within_heads: Some(Correlation {
            rho: interval(0.41, 0.05),
            p_value: Some(0.0002),
            nulls: vec![NullCorrelation {
                null: Null::ShuffledStrength,
                band: interval(-0.01, 0.03),
                excess: interval(0.42, 0.05),
                p_value: Some(0.0002),
            }],
        }),
        between_heads: Some(Correlation { rho: interval(0.62, 0.11), p_value: Some(0.004), nulls: Vec::new() }),
        naive_pooled: None,
        curve: curve.clone(),
        tokens: Some(tokens()),
    };
    let heads = (0..24).map(|n| {
        let retention = 0.55 + 0.4 * wobble(n).abs();
        let gamma = 0.14 + 0.5 * retention.powi(3) + 0.05 * wobble(n + 50);
        let rho = |strength, decay| HeadCorrelation {
            strength,
            decay,
            rho: interval(0.4 + 0.25 * wobble(n + 9), 0.07),
            shuffled: Some(interval(0.02 * wobble(n + 3), 0.05)),
        };
        HeadCleanup {
            id: HeadId { layer: n / 6, head: n % 6 },
            mean_retention: interval(retention, 0.02),
            window_retention: Some(interval(retention.powi(4), 0.02)),
            erase_strength: interval(gamma, 0.02),
            write_strength: interval(0.4, 0.02),
            erase_over_write: Some(interval(gamma / 0.4, 0.02)),
            gate_share: interval(gamma * 0.6, 0.02),
            removed_energy: Some(interval(gamma * 0.2, 0.01)),
            unique_contribution: Some(interval(gamma * 0.1, 0.01)),
            removed_energy_nulls: Vec::new(),
            rho: Strength::ALL.into_iter().flat_map(|s| DecayAxis::ALL.map(|d| rho(s, d))).collect(),
        }
    });
    Cleanup {
        options: CleanupOptions::default(),
        remarks: Vec::new(),
        n_sequences: 32,
        relations: Strength::ALL.into_iter().flat_map(|strength| DecayAxis::ALL.map(|decay| relation(strength, decay))).collect(),
        heads: heads.collect(),
        recall: recall(0.9),
    }
}

/// A cloud that rises with retention.
fn tokens() -> TokenDensity {
    let cell = |n: usize| {
        let (x, y) = (0.2 + 0.8 * ((n % 40) as f64 + 0.5) / 40.0, ((n / 40) as f64 + 0.5) / 40.0);
        let middle = 0.14 + 0.5 * x * x * x;
        (900.0 * x.powi(4) * (-(y - middle).powi(2) / 0.02).exp()) as u32
    };
    TokenDensity { x: [0.2, 1.0], y: [0.0, 1.0], columns: 40, counts: (0..1600).map(cell).collect() }
}

/// The paper's scores (arXiv 2606.26560) over six layers.
pub fn collateral() -> Collateral {
    let scores = [0.064, 0.143, 0.115, 0.223];
    let entry = |n: usize, scale: f64, trajectory| AddressCollateral {
        address: Address::ALL[n],
        trajectory,
        n_tokens: 100_000,
        perturbation: interval(scores[n] * scale, 0.006),
        fold: Some(interval([1.0, 2.4, 1.9, 3.4][n] * scale, if n == 0 { 0.0 } else { 0.15 })),
        erase_strength: interval(0.34, 0.01),
        query_overlap: interval(0.09 * scores[n] / 0.064, 0.004),
        relative_content: interval(0.5 * scores[n] / 0.064, 0.02),
        energy_at_address: Some(interval([0.02, 0.0078, 0.012, 0.03][n], 0.001)),
        random_energy_reference: 0.0078,
        removed_energy: Some(interval(0.02, 0.001)),
        ratio_of_sums: interval(scores[n] * scale, 0.006),
    };
    let all = |scale: f64| {
        let each = [Trajectory::FullReplay, Trajectory::LocalStep].map(|trajectory| (0..4).map(move |n| entry(n, scale, trajectory)));
        each.into_iter().flatten().collect::<Vec<_>>()
    };
    Collateral {
        options: CollateralOptions::default(),
        remarks: Vec::new(),
        global: all(1.0),
        layers: (0..6).map(|n| LayerCollateral { layer: n + n / 3, addresses: all(1.0 + 0.25 * wobble(n)) }).collect(),
        heads: Vec::new(),
    }
}

/// Six layers of four key heads.
pub fn alignment() -> Alignment {
    let summary = |mean: f64, half: f64| AlignmentSummary {
        n_tokens: 100_000,
        absolute_cosine: interval(mean, half),
        signed_cosine: interval(0.01, half),
        random_reference: 0.0706,
        random_deviation: 0.053,
        fold: interval(mean / 0.0706, half / 0.0706),
    };
    let layer = |n: usize| n + n / 3;
    Alignment {
        options: AlignmentOptions::default(),
        remarks: Vec::new(),
        global: summary(0.105, 0.003),
        layers: (0..6).map(|n| LayerAlignment { layer: layer(n), alignment: summary(0.105 + 0.02 * wobble(n), 0.004) }).collect(),
        key_heads: (0..24)
            .map(|n| HeadAlignment { id: HeadId { layer: layer(n / 4), head: n % 4 }, alignment: summary(0.105 + 0.035 * wobble(n), 0.01) })
            .collect(),
    }
}

/// R2 falling with lag, the faster the smaller `keep`.
pub fn recall(keep: f64) -> Recall {
    let lags = [0_usize, 1, 2, 4, 8, 16, 32, 64, 128, 256];
    let global = lags.map(|lag| LagRecall {
        lag,
        n_reads: 10_000,
        r2: Some(interval(1.1 * keep.powf(lag as f64 / 3.0) - 0.15, 0.03)),
        cosine: Some(interval(keep.powf(lag as f64 / 8.0), 0.02)),
    });
    Recall { options: RecallOptions::default(), global: global.to_vec(), layers: Vec::new(), heads: Vec::new() }
}

/// Two layers; stale content falls at the erase.
pub fn readouts() -> Readouts {
    let curve = |label: &str, role, scores: [f64; 4], half: f64| ReadoutCurve {
        label: label.to_owned(),
        role,
        scores: scores.map(|score| Some(Estimate::new(score, score - half, score + half))).to_vec(),
    };
    let panel = |title: &str, drop: f64| ReadoutPanel {
        title: title.to_owned(),
        chance: Some(0.0625),
        curves: vec![
            curve("stale value", CurveRole::Stale, [0.62, 0.6, 0.6 - drop, 0.52 - drop], 0.04),
            curve("current value", CurveRole::Current, [0.08, 0.08, 0.07, 0.93], 0.03),
            curve("never written", CurveRole::NeverWritten, [0.06, 0.065, 0.07, 0.06], 0.02),
            curve("stale, untrained", CurveRole::Control, [0.2, 0.19, 0.19, 0.17], 0.03),
            curve("control task", CurveRole::Control, [0.1, 0.1, 0.1, 0.11], 0.02),
        ],
    };
    Readouts {
        score: "accuracy".to_owned(),
        along: "phase of the step".to_owned(),
        places: ["before", "decay", "erase", "write"].map(str::to_owned).to_vec(),
        panels: vec![panel("layer 0", 0.1), panel("layer 2", 0.25)],
    }
}

/// Six thousand steps.
pub fn training(slowness: f64) -> TrainingLog {
    let steps: Vec<usize> = (0..600).map(|n| n * 10).collect();
    let loss = |step: &usize| Some(5.2 * (-(*step as f64) / (900.0 * slowness)).exp() + 0.12 + 0.03 * wobble(*step).abs());
    let accuracy = |step: &usize| step.is_multiple_of(250).then(|| 1.0 / (1.0 + (-(*step as f64 - 2200.0 * slowness) / 300.0).exp()));
    TrainingLog { n_tasks: 1, loss: steps.iter().map(loss).collect(), accuracy: steps.iter().map(accuracy).collect(), steps }
}

/// Conditions A to F.
pub fn answers(loss: f64) -> Answers {
    let meanings = ["overwrite", "fresh key", "explicit delete", "superseded at another address", "refresh", "distractor"];
    let condition = |n: usize| {
        let accuracy = [0.97, 0.99, 0.91, 0.62, 0.985, 0.96][n] - loss * (1.0 + n as f64 / 4.0);
        let stale = [0.02, f64::NAN, 0.06, 0.31, f64::NAN, 0.02][n] + loss;
        ConditionAnswers {
            condition: ["A", "B", "C", "D", "E", "F"][n].to_owned(),
            meaning: meanings[n].to_owned(),
            accuracy: Estimate::new(accuracy, accuracy - 0.02, (accuracy + 0.02).min(1.0)),
            stale: stale.is_finite().then(|| Estimate::new(stale, stale - 0.015, stale + 0.015)),
            foil: Some(Estimate::new(0.006, 0.002, 0.012)),
        }
    };
    Answers { conditions: (0..6).map(condition).collect() }
}

/// Answers that fall with the dose; stale values rise a little beyond foils.
pub fn erase_effects() -> EraseEffects {
    let options = EraseEffectOptions { doses: vec![0.0, 0.5, 1.5], ..EraseEffectOptions::default() };
    let effect = |right: f64, accuracy: f64| AnswerEffect {
        condition: None,
        n_sequences: 32,
        gold: interval(right, 0.2),
        stale: Some(interval(-0.4 * right, 0.15)),
        foil: Some(interval(-0.3 * right, 0.15)),
        stale_above_foil: Some(interval(-0.1 * right, 0.1)),
        p_value: Some(0.03),
        accuracy: interval(accuracy, 0.04),
        stale_intrusion: None,
    };
    let run = |run: EraseRun, right: f64, accuracy: f64| RunEffect { run, all: effect(right, accuracy), conditions: Vec::new() };
    EraseEffects {
        options,
        n_sequences: 32,
        accuracy: interval(0.9, 0.02),
        runs: vec![
            run(EraseRun::Dose(0.0), -2.4, 0.42),
            run(EraseRun::Dose(0.5), -0.7, 0.74),
            run(EraseRun::Dose(1.5), -0.3, 0.85),
            run(EraseRun::Address(EraseAddress::Random), -1.9, 0.5),
        ],
    }
}

/// One answer in two heads of sixteen steps.
pub fn account() -> AnswerAccount {
    let change = |gold: f64| ScoreChange { gold, stale: Some(-0.5 * gold), foil: Some(0.01) };
    let map: Vec<EventTotal> = (0..32)
        .map(|n| EventTotal { layer: n / 16, head: 1, step: n % 16, total: change(if n == 21 { -2.0 } else { 0.3 * wobble(n) }) })
        .collect();
    let step = |step: usize, stale_since: Option<usize>| StepWords {
        step,
        token: "v4".to_owned(),
        fact: Some(FactWords { key: "k2".to_owned(), value: "v4".to_owned(), stale_since }),
        key_of: None,
    };
    let removed = RemovedWrite { at: step(2, Some(5)), share: 0.8, removed: 0.6, attention: 0.01, attention_without: 0.2 };
    let event =
        EraseEvent { layer: 1, head: 1, at: step(5, None), steps_before_read: 10, strength: 0.7, read_change: 0.4, removed: vec![removed] };
    let effect =
        EventEffect { event, margin_estimate: Some(-1.1), total: change(-2.0), direct: change(-1.5), predicted_without: "v4".to_owned() };
    AnswerAccount {
        batch: 3,
        question: 0,
        step: 15,
        asked: "k2".to_owned(),
        gold: "v9".to_owned(),
        stale: "v4".to_owned(),
        foil: "v1".to_owned(),
        predicted: "v9".to_owned(),
        as_it_is: Scores { predicted: 9, gold: -0.05, stale: Some(-4.0), foil: Some(-7.0) },
        facts: vec![step(2, Some(5)), step(5, None)],
        n_events: 32,
        n_replayed: 32,
        events: vec![effect],
        map,
        all_erases: change(-3.0),
        sum_of_singles: change(-2.5),
        interaction: Some(change(-0.5)),
        heads: Vec::new(),
        pairs: Vec::new(),
    }
}

/// Stale facts under three conditions, kept facts, other tokens; shares fall with age.
pub fn fate(erases: bool) -> Fate {
    let shares = |surviving: f64, erased: f64| {
        let erased = if erases { erased } else { 0.0 };
        let rest = 1.0 - surviving - erased;
        let part = |share| interval(share, 0.02);
        FateShares { surviving: part(surviving), decayed: part(0.4 * rest), erased: part(erased), overwritten: part(0.6 * rest) }
    };
    let row = |role: Role, condition: Option<Condition>, surviving: f64, erased: f64| FateRow {
        condition,
        role,
        n_writes: 1200,
        form: Form::Energy,
        shares: shares(surviving, erased),
        averaged: Some(shares(surviving, erased * 0.9)),
        unique: erases.then(|| interval(erased * 0.6, 0.02)),
        compensation: erases.then(|| interval(erased * 0.4, 0.02)),
        since_stale: (role == Role::Stale).then(|| shares(surviving / 2.0, erased)),
        half_life_steps: Some(interval(12.0, 2.0)),
        decay_only_half_life_steps: Some(interval(31.0, 4.0)),
        ages: [1, 2, 4, 8, 16, 32].map(|age| AgeShares { age, shares: shares(0.95_f64.powi(age as i32), 0.01 * age as f64) }).to_vec(),
    };
    let stale = [None, Some(Condition::Overwrite), Some(Condition::ExplicitDelete), Some(Condition::SupersededElsewhere)];
    let mut rows: Vec<FateRow> = stale.into_iter().zip([0.2, 0.05, 0.3, 0.35]).map(|(c, left)| row(Role::Stale, c, left, 0.3)).collect();
    rows.extend([row(Role::Kept, None, 0.7, 0.05), row(Role::Other, None, 0.4, 0.1)]);
    Fate { options: FateOptions::default(), remarks: vec![], n_sequences: 32, rows, heads: vec![], share_residual: 1e-7 }
}

/// An erase that aims, a write that aims better, a decay that does not.
pub fn targeting(erases: bool) -> Targeting {
    let null = |(null, lift): (AddressNull, f64)| TargetingNull {
        null,
        lift: interval(lift, 0.1),
        address_lift: interval(lift * 0.95, 0.08),
        excess: interval(1.4 - lift, 0.2),
        p_value: Some(0.003),
    };
    let nulls: Vec<TargetingNull> = AddressNull::ALL.into_iter().zip([1.0, 1.2, 1.1]).map(null).collect();
    let row = |mechanism: Mechanism, among: Among, condition: Option<Condition>| {
        let lift = [0.97, 1.9, 3.4][mechanism as usize] * if among == Among::Facts { 1.0 } else { 1.3 };
        TargetingRow {
            condition,
            mechanism,
            among,
            precision: Some(interval(0.2 * lift, 0.02)),
            chance: Some(interval(0.2, 0.01)),
            lift: Some(interval(lift, 0.15)),
            address_lift: Some(interval(lift * 0.9, 0.12)),
            timing_lift: Some(interval(1.1, 0.05)),
            recall: Some(interval(0.3, 0.04)),
            nulls: if mechanism == Mechanism::Erase { nulls.clone() } else { vec![] },
        }
    };
    let conditions = [None, Some(Condition::Overwrite), Some(Condition::SupersededElsewhere)];
    let mut rows = vec![];
    for condition in conditions {
        for among in Among::ALL {
            rows.extend(Mechanism::ALL.into_iter().filter(|m| erases || *m != Mechanism::Erase).map(|m| row(m, among, condition)));
        }
    }
    Targeting { options: TargetingOptions::default(), remarks: vec![], n_sequences: 24, rows, heads: vec![] }
}

/// Degrees of freedom that fall with noise.
pub fn capacity(scale: f64) -> Capacity {
    let row = |n: usize| {
        let keep = scale * (1.0 - n as f64 / 7.0);
        let share = |role: Role, share: f64, r2: f64| RoleShare {
            role,
            share: interval(share, 0.01),
            mean_r2: interval(r2 * keep, 0.02),
            share_of_writes: interval(share, 0.0),
        };
        CapacityRow {
            condition: None,
            noise: NOISE_GRID[n],
            degrees_of_freedom: interval(32.0 * keep, 0.5),
            shares: vec![share(Role::Stale, 0.1, 0.4), share(Role::Kept, 0.2, 0.8), share(Role::Other, 0.7, 0.5)],
        }
    };
    let age = |n: usize| AgeCapacity {
        from: if n == 0 { 0 } else { 1 << (n - 1) },
        to: (1 << n) - 1,
        mean_r2: interval(scale * 0.8_f64.powi(n as i32), 0.02),
        share: interval(0.15, 0.01),
    };
    Capacity {
        options: CapacityOptions::default(),
        remarks: vec![],
        n_sequences: 32,
        most: 32.0,
        rows: (0..NOISE_GRID.len()).map(row).collect(),
        ages: (0..6).map(age).collect(),
        heads: vec![],
    }
}

/// Two families, one of them with power; a naive test and one with a promise of its own.
pub fn errors() -> Errors {
    let rate = |family: &str, test: &str, naive: bool, effect: f64, rate: f64| ErrorRate {
        family: family.to_owned(),
        test: test.to_owned(),
        world: "gates remember, heads differ".to_owned(),
        naive,
        nominal: if test == "lower end above 0" { 0.025 } else { 0.05 },
        effect,
        rate: Estimate::new(rate, (rate - 0.02).max(0.0), (rate + 0.02).min(1.0)),
    };
    let power = [(0.0, 0.048), (0.1, 0.31), (0.3, 0.97)];
    let mut rates: Vec<ErrorRate> = power.iter().map(|&(effect, power)| rate("relation", "inside heads", false, effect, power)).collect();
    rates.extend(power.iter().map(|&(effect, power)| rate("relation", "between heads", false, effect, power / 2.0)));
    rates.push(rate("relation", "pooled tokens", true, 0.0, 0.65));
    rates.push(rate("readouts", "lower end above 0", false, 0.0, 0.0));
    rates.push(rate("readouts", "interval of the accuracy", false, 0.0, 0.12));
    Errors { rates }
}

/// The exact map explains all; the others do not, the rectified one is a matter of scale too.
pub fn explained(scale: f64) -> Explained {
    let maps = |n: usize| {
        let error = |map, relative: f64, scaled: f64| {
            let error = relative * scale * (1.0 + 0.4 * wobble(n));
            MapError { map, relative_error: interval(error, error * 0.1), scaled_error: interval(scaled, 0.03) }
        };
        vec![error(AttentionMap::Exact, 3e-7, 3e-7), error(AttentionMap::GatedLinear, 0.6, 0.5), error(AttentionMap::Rectified, 4.0, 0.9)]
    };
    let head = |n: usize| HeadExplained { id: HeadId { layer: n / 4, head: n % 4 }, rule: Rule::Eda, maps: maps(n + 1) };
    Explained { statistics: StatisticsOptions::default(), n_sequences: 24, global: maps(0), heads: (0..8).map(head).collect() }
}

/// Two layers of two heads; stale values less selective than current ones, one not at all.
pub fn selectivities() -> Selectivities {
    let row = |n: usize| {
        let (target, role) = [("stale value", CurveRole::Stale), ("current value", CurveRole::Current)][n % 2];
        let score = 0.3 + 0.12 * n as f64;
        let control = if n == 0 { 0.29 } else { 0.12 };
        Selectivity {
            place: format!("layer {} head {}", n / 4, n / 2 % 2),
            target: target.to_owned(),
            role,
            chance: 0.06,
            score: Estimate::new(score, score - 0.05, score + 0.05),
            control: Estimate::new(control, control - 0.03, control + 0.03),
            selectivity: Estimate::new(score - control, score - control - 0.06, score - control + 0.06),
        }
    };
    Selectivities { score: "accuracy".to_owned(), note: "the read after the write".to_owned(), rows: (0..8).map(row).collect() }
}

/// Three layers of four heads; a model without an erase lacks what is its.
pub fn head_maps(erases: bool) -> Vec<HeadMap> {
    let map = |quantity: HeadQuantity, seed: usize, from: f64, to: f64| HeadMap {
        quantity,
        heads: (0..12)
            .map(|n| HeadValue {
                id: HeadId { layer: n / 4, head: n % 4 },
                value: interval(from + (to - from) * (0.5 + 0.5 * wobble(n + seed)), 0.02),
            })
            .collect(),
    };
    let mut maps = vec![map(HeadQuantity::MeanRetention, 1, 0.4, 0.98), map(HeadQuantity::WriteStrength, 20, 0.2, 0.8)];
    if erases {
        maps.extend([map(HeadQuantity::EraseStrength, 40, 0.02, 0.6), map(HeadQuantity::AbsoluteCosine, 60, 0.05, 0.3)]);
        maps.push(map(HeadQuantity::CleanupCorrelation, 80, -0.4, 0.5));
    }
    maps
}

/// Singular values that fall by a constant factor; ranks that grow with the sequence.
pub fn spectrum(scale: f64) -> Spectrum {
    let steps = vec![15, 31, 47, 63];
    let head = |n: usize| {
        let factor = 0.8 - 0.05 * (n % 3) as f64 / scale;
        let values = || (0..16).map(|i| 3.0 * factor.powi(i)).collect();
        let step = |place: usize, step: usize| StepSpectrum {
            step,
            singular_values: values(),
            norm: Some(interval(3.0, 0.1)),
            effective_rank: Some(interval((2.0 + place as f64 + n as f64 * 0.4) * scale, 0.3)),
            stable_rank: Some(interval(1.6, 0.1)),
        };
        HeadSpectrum {
            id: HeadId { layer: n / 3, head: n % 3 },
            steps: steps.iter().enumerate().map(|(place, at)| step(place, *at)).collect(),
        }
    };
    Spectrum { options: SpectrumOptions::default(), steps: steps.clone(), heads: (0..6).map(head).collect() }
}
