//! The chunk-wise form against the reference.

use ndarray::s;
use pentimento::memory::{
    Dims, EditKind, Factors, HookPoint, Phase, Recurrence, Rule,
    chunkwise::{self, Chunking},
    reference::run,
};
use proptest::prelude::*;

use super::sample::{Sample, largest_difference, rules, samples};

fn difference(factors: &Factors<f64>, chunking: Chunking) -> f64 {
    difference_of(&factors.lower(), chunking)
}

/// The largest difference in anything both compute.
fn difference_of(recurrence: &Recurrence<f64>, chunking: Chunking) -> f64 {
    let (reference, chunked) = (run(recurrence, &[Phase::Before]), chunkwise::run(recurrence, chunking));
    let mut largest =
        largest_difference(&reference.output, &chunked.output).max(largest_difference(&reference.final_memory, &chunked.final_memory));
    for (reference, chunked) in reference.pseudo_values.iter().zip(&chunked.pseudo_values) {
        largest = largest.max(largest_difference(reference, chunked));
    }
    let at_starts = reference.memory[&Phase::Before].slice(s![.., ..; chunking.chunk, .., .., ..]).to_owned();
    largest.max(largest_difference(&at_starts, &chunked.checkpoints))
}

proptest! {
    #[test]
    fn it_agrees_for_every_rule_and_chunking(sample in samples(), rule in rules(), chunk in 1..10_usize, sub_chunk in 1..6_usize) {
        let chunking = Chunking { chunk, sub_chunk };
        prop_assert!(difference(&sample.factors(rule), chunking) < 1e-11);
    }

    /// No rule of the family does so, but a recurrence may: whatever came earlier in the step, this read does not see it.
    #[test]
    fn it_agrees_when_a_later_edit_reads_before_the_decay(sample in samples(), chunk in 1..10_usize, sub_chunk in 1..6_usize) {
        let mut recurrence = sample.factors(Rule::Rwkv7).lower();
        recurrence.edits.reverse();
        for (edit, index) in recurrence.edits.iter_mut().zip(0..) {
            edit.kind = EditKind::Write(index);
        }
        let chunking = Chunking { chunk, sub_chunk };
        prop_assert!(difference_of(&recurrence, chunking) < 1e-11);
    }
}

fn long(d_k: usize) -> Sample {
    Sample { dims: Dims { batch: 1, step: 150, key_head: 1, head: 2, d_k, d_v: 8 }, seed: 11, starts_filled: true }
}

#[test]
fn it_agrees_over_long_sequences_with_a_ragged_last_chunk() {
    for rule in Rule::ALL {
        // Nothing bounds the growth of a memory that only adds, nor of RWKV-7's under random factors: compare relatively.
        let factors = long(16).factors(rule);
        let size = run(&factors.lower(), &[]).output.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        let relative = difference(&factors, Chunking::default()) / size;
        assert!(relative < 1e-10, "{rule}: {relative:e}");
    }
}

/// A decay of e^-50 a step: the quotient of cumulative decays overflows within 15 steps, and underflows to 0 in the same.
#[test]
fn it_agrees_under_decay_that_overflows_the_usual_quotient() {
    for rule in [Rule::Gla, Rule::Gdn, Rule::Kda, Rule::Gdn2, Rule::GatedDeltaProduct(2), Rule::Rwkv7, Rule::Comba, Rule::Eda] {
        for strength in [5.0, 50.0, f64::INFINITY] {
            let factors = long(8).factors(rule);
            // Strong decay at most steps, none at every third.
            let mut retention = factors.arrays()[&HookPoint::Retention].to_owned();
            for (index, alpha) in retention.indexed_iter_mut() {
                *alpha = if index[1] % 3 == 0 { 1.0 } else { (-strength).exp() };
            }
            let factors = factors.with(HookPoint::Retention, retention).unwrap();
            let difference = difference(&factors, Chunking { chunk: 64, sub_chunk: 16 });
            assert!(difference < 1e-10, "{rule}, log decay -{strength}: {difference:e}");
        }
    }
}
