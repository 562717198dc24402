//! Many tests at once: heads that share their sequences, judged together and one by one.

use ndarray::Array2;
use pentimento_probes::multiple::{benjamini_hochberg, max_t};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::CalibrationOptions;
use super::case::{Case, Fault, Outcome, Standing};
use super::synthetic::normal;
use crate::measure::{StatisticsOptions, sign_flip};

/// Heads that are tested together.
const HEADS: usize = 24;
/// How alike the heads' numbers are within a sequence.
const SHARED: f64 = 0.5;

pub(super) fn cases() -> Vec<Case> {
    let case = |test: &str, world: &str, standing| Case::new(test, world, standing, Fault::Rejects);
    vec![
        case("max-T: any of 24 heads", "heads share their sequences", Standing::Shipped),
        case("each of 24 heads at 5 %: any of them", "heads share their sequences", Standing::Naive),
        case("Benjamini-Hochberg: any of 24 heads", "heads share their sequences", Standing::Shipped),
        Case::new("Benjamini-Hochberg: false share of findings", "a quarter of the heads is real", Standing::Shipped, Fault::Misses),
    ]
}

pub(super) fn trial(options: &CalibrationOptions, effect: f64, level: f64, stream: &mut ChaCha8Rng) -> Vec<Outcome> {
    let n = options.sequences;
    let numbers = heads(n, |_| effect, stream);
    let mean =
        |head: usize, sign: &dyn Fn(usize) -> f64| (0..n).map(|sequence| sign(sequence) * numbers[[sequence, head]]).sum::<f64>().abs();
    let observed: Vec<f64> = (0..HEADS).map(|head| mean(head, &|_| 1.0)).collect();
    let mut null = Array2::zeros((options.quick_resamples, HEADS));
    for mut row in null.rows_mut() {
        let signs: Vec<f64> = (0..n).map(|_| if stream.random() { 1.0 } else { -1.0 }).collect();
        (0..HEADS).for_each(|head| row[head] = mean(head, &|sequence| signs[sequence]));
    }
    let together = max_t(&observed, null.view());
    let p_values = |numbers: &Array2<f64>, stream: &mut ChaCha8Rng| -> Vec<f64> {
        let statistics = StatisticsOptions { permutations: options.quick_resamples, seed: stream.random(), ..StatisticsOptions::default() };
        (0..HEADS).map(|head| sign_flip(&numbers.column(head).to_vec(), &statistics).unwrap_or(1.0)).collect()
    };
    let one_by_one = p_values(&numbers, stream);
    let any = |p_values: &[f64]| Outcome::Error(f64::from(u8::from(p_values.iter().any(|&p| p <= level))));
    let false_share = if effect == 0.0 {
        let is_real = |head: usize| head < HEADS / 4;
        let mixed = heads(n, |head| if is_real(head) { 1.0 } else { 0.0 }, stream);
        let found: Vec<usize> =
            benjamini_hochberg(&p_values(&mixed, stream)).iter().enumerate().filter(|(_, p)| **p <= level).map(|(head, _)| head).collect();
        let wrong = found.iter().filter(|&&head| !is_real(head)).count();
        Outcome::Error(wrong as f64 / found.len().max(1) as f64)
    } else {
        Outcome::None
    };
    vec![any(&together), any(&one_by_one), any(&benjamini_hochberg(&one_by_one)), false_share]
}

/// One number per sequence and head around the head's effect, alike within a sequence.
fn heads(n: usize, effect: impl Fn(usize) -> f64, stream: &mut ChaCha8Rng) -> Array2<f64> {
    let mut numbers = Array2::zeros((n, HEADS));
    for mut row in numbers.rows_mut() {
        let shared = normal(stream);
        for head in 0..HEADS {
            row[head] = effect(head) + SHARED.sqrt() * shared + (1.0 - SHARED).sqrt() * normal(stream);
        }
    }
    numbers
}
