//! Behaviour: counts by hand, and intervals that say how little a clean record proves.

use super::*;
use pentimento::measure::behaviour;
use pentimento::task::{Condition, Example, Question};
use pentimento::trace::Answer;

/// One sequence with one question: gold 1, stale 2, foil 3.
fn asked(stale: bool) -> Example {
    let question = Question {
        position: 0,
        key: 9,
        gold: 1,
        gold_write: None,
        asked_write: None,
        age: None,
        stale: if stale { vec![2] } else { vec![] },
        stale_writes: vec![],
        rivals: vec![],
        foils: vec![3],
    };
    Example { tokens: vec![9], writes: vec![], questions: vec![question], condition: Condition::Overwrite }
}

fn answered(predicted: u32) -> Vec<Answer> {
    vec![Answer { predicted, gold_log_probability: -0.5, stale_log_probability: Some(-2.0), foil_log_probability: Some(-4.0) }]
}

#[test]
fn answers_are_counted_by_hand() {
    let examples: Vec<Example> = (0..10).map(|_| asked(true)).collect();
    let answers: Vec<_> = [1, 1, 1, 1, 1, 1, 2, 2, 2, 3].map(answered).to_vec();
    let found = behaviour(&examples, &answers, &quick()).unwrap().all;
    near(found.accuracy.estimate, 0.6);
    near(found.stale_intrusion.unwrap().estimate, 0.3);
    near(found.matched_foil_rate.unwrap().estimate, 0.1);
    near(found.intrusion_above_foils.unwrap().estimate, 0.2);
    near(found.gold_log_probability.estimate, -0.5);
    near(found.stale_above_foil_log_probability.unwrap().estimate, 2.0);
}

#[test]
fn a_clean_record_of_ten_sequences_still_has_width() {
    let examples: Vec<Example> = (0..10).map(|_| asked(true)).collect();
    let answers: Vec<_> = (0..10).map(|_| answered(1)).collect();
    let found = behaviour(&examples, &answers, &quick()).unwrap().all;
    // Exact binomial at 95 %: 0.025^(1/10) = 0.6915.
    near(found.accuracy.high.unwrap(), 1.0);
    near(found.accuracy.low.unwrap(), 0.025_f64.powf(0.1));
    near(found.stale_intrusion.unwrap().high.unwrap(), 1.0 - 0.025_f64.powf(0.1));
    near(found.intrusion_above_foils.unwrap().low.unwrap(), 0.025_f64.powf(0.1) - 1.0);
}

#[test]
fn where_nothing_is_stale_nothing_intrudes() {
    let found = behaviour(&[asked(false), asked(false)], &[answered(1), answered(2)], &quick()).unwrap().all;
    assert!(found.stale_intrusion.is_none() && found.intrusion_above_foils.is_none());
}
