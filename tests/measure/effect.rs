//! Effects of erases on answers, on hand-made scores.

use pentimento::intervene::{Address, Scores, SequenceScores};
use pentimento::measure::{EraseEffectOptions, EraseRun, LayerInfo, StatisticsOptions, erase_effects};
use pentimento::memory::{Dims, Rule};
use pentimento::task::{Condition, Example, Question};

fn options() -> EraseEffectOptions {
    EraseEffectOptions {
        doses: vec![0.0],
        addresses: vec![Address::Random],
        statistics: StatisticsOptions { resamples: 200, permutations: 200, ..StatisticsOptions::default() },
        ..EraseEffectOptions::default()
    }
}

fn scores(predicted: u32, gold: f64, stale: f64, foil: f64) -> Scores {
    Scores { predicted, gold, stale: Some(stale), foil: Some(foil) }
}

/// Sequence `n` answers two questions; without erase the right answer loses 1 + n/100, stale gains 2, foil gains 0.5.
fn sequence(n: usize, condition: Condition) -> SequenceScores {
    let loss = 1.0 + n as f64 / 100.0;
    let as_it_is = vec![scores(7, -0.5, -4.0, -6.0), Scores { predicted: 8, gold: -0.1, stale: None, foil: Some(-5.0) }];
    let without = vec![scores(3, -0.5 - loss, -2.0, -5.5), Scores { predicted: 8, gold: -0.1 - loss, stale: None, foil: Some(-1.0) }];
    SequenceScores { batch: n, condition, runs: vec![without, as_it_is.clone()], as_it_is, gold: vec![7, 8], stale: vec![vec![3], vec![]] }
}

#[test]
fn effects_are_means_over_questions_with_the_sequence_as_the_unit() {
    let sequences: Vec<SequenceScores> =
        (0..20).map(|n| sequence(n, if n % 2 == 0 { Condition::Overwrite } else { Condition::ExplicitDelete })).collect();
    let runs = [EraseRun::Dose(0.0), EraseRun::Address(Address::Random)];
    let found = erase_effects(&runs, &sequences, &options()).unwrap();
    let none = &found.run(&EraseRun::Dose(0.0)).unwrap().all;
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(none.gold.estimate, -1.095), "{}", none.gold);
    assert!(near(none.stale.unwrap().estimate, 2.0) && near(none.foil.unwrap().estimate, 0.5), "foils count where something is stale");
    assert!(near(none.stale_above_foil.unwrap().estimate, 1.5) && none.p_value.unwrap() < 0.05);
    assert!(near(found.accuracy.estimate, 1.0) && near(none.accuracy.estimate, 0.5) && near(none.stale_intrusion.unwrap().estimate, 1.0));
    assert_eq!((none.gold.n, none.n_sequences), (20, 20));
    let conditions: Vec<_> = found.runs[0].conditions.iter().map(|effect| (effect.condition.unwrap(), effect.n_sequences)).collect();
    assert_eq!(conditions, [(Condition::Overwrite, 10), (Condition::ExplicitDelete, 10)]);
    // A run that changes nothing is reported as nothing.
    let random = &found.runs[1].all;
    assert!(near(random.gold.estimate, 0.0) && near(random.stale_above_foil.unwrap().estimate, 0.0) && random.p_value.unwrap() > 0.99);
    assert!(found.headline().contains("stale values gain more than never-written ones"), "{}", found.headline());
    assert!(erase_effects(&runs, &[], &options()).is_none());
}

#[test]
fn runs_cover_doses_addresses_and_heads_with_an_erase() {
    let dims = Dims { batch: 1, step: 4, key_head: 1, head: 2, d_k: 2, d_v: 2 };
    let layer = |layer, rule| LayerInfo { layer, rule, dims };
    let addresses = vec![Address::Random, Address::ShuffledHeads];
    let options = EraseEffectOptions { addresses, ..options() };
    let runs = EraseRun::all(&options, &[layer(0, Rule::Kda), layer(3, Rule::Eda)]);
    let labels: Vec<String> = runs.iter().map(EraseRun::label).collect();
    let heads = ["no erase in layer 3 head 0", "no erase in layer 3 head 1"];
    assert_eq!(labels[..2], ["no erase", "erases at random directions"]);
    assert_eq!(labels[4..], heads);
    let question = Question {
        position: 2,
        key: 0,
        gold: 1,
        gold_write: None,
        asked_write: None,
        age: None,
        stale: vec![],
        stale_writes: vec![],
        rivals: vec![],
        foils: vec![],
    };
    let example = Example { tokens: vec![0; 4], questions: vec![question], ..Example::default() };
    let said: Vec<String> = runs[2..5].iter().map(|run| run.interventions(&example)[0].to_string()).collect();
    assert_eq!(said, ["step 2: no erase (gamma := 0)", "steps 0, 1, 3: no erase (gamma := 0)", "layer 3 head 0: no erase (gamma := 0)"]);
}
