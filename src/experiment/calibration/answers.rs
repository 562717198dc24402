//! Intervals of what a model answers, when sequences differ in difficulty.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use crate::measure::{Interval, StatisticsOptions, behaviour};
use crate::task::{Condition, Example, Question};
use crate::trace::Answer;

const WORLD: &str = "sequences differ in difficulty";
/// The true accuracy, and the true rates of stale answers and of matched foils.
const ACCURACY: f64 = 0.6;
const STALE: f64 = 0.15;

pub(super) fn cases() -> Vec<Case> {
    let misses = |test: &str| Case::new(test, WORLD, Standing::Shipped, Fault::Misses);
    vec![
        misses("interval of the accuracy"),
        Case::new("accuracy, questions as if independent", WORLD, Standing::Naive, Fault::Misses),
        misses("interval of the stale intrusion"),
        misses("interval of stale intrusion above foils"),
    ]
}

pub(super) fn trial(options: &CalibrationOptions, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let [gold, old, foil, other] = [0_u32, 1, 2, 3];
    let statistics = StatisticsOptions { resamples: options.quick_resamples, seed: stream.random(), ..StatisticsOptions::default() };
    let question = |position| Question {
        position,
        key: 9,
        gold,
        gold_write: None,
        asked_write: None,
        age: None,
        stale: vec![old],
        stale_writes: vec![],
        rivals: vec![],
        foils: vec![foil],
    };
    let (mut examples, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..options.sequences {
        let n = stream.random_range(4..9);
        // From hardly to nearly always right.
        let skill = ACCURACY + 0.7 * (stream.random::<f64>() - 0.5);
        let share = STALE / (1.0 - ACCURACY);
        let mut answer = || {
            let (right, wrong): (f64, f64) = (stream.random(), stream.random());
            let predicted = if right < skill {
                gold
            } else if wrong < share {
                old
            } else if wrong < 2.0 * share {
                foil
            } else {
                other
            };
            Answer { predicted, gold_log_probability: -1.0, stale_log_probability: Some(-2.0), foil_log_probability: Some(-2.0) }
        };
        answers.push((0..n).map(|_| answer()).collect::<Vec<_>>());
        examples.push(Example {
            tokens: vec![0; n],
            writes: vec![],
            questions: (0..n).map(question).collect(),
            condition: Condition::Overwrite,
        });
    }
    let Some(found) = behaviour(&examples, &answers, &statistics) else { return vec![Outcome::None; cases().len()] };
    let all = &found.all;
    let share = all.accuracy.estimate;
    let half = 1.96 * (share * (1.0 - share) / all.n_questions as f64).sqrt();
    vec![
        Outcome::of_interval(all.accuracy.bounds(), ACCURACY),
        Outcome::of_interval(Some((share - half, share + half)), ACCURACY),
        Outcome::of_interval(all.stale_intrusion.as_ref().and_then(Interval::bounds), STALE),
        Outcome::of_interval(all.intrusion_above_foils.as_ref().and_then(Interval::bounds), 0.0),
    ]
}
