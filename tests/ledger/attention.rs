//! The exact attention, forward and backward.

use ndarray::{Array1, Axis, s};
use pentimento::ledger::contributions;
use pentimento::memory::{Phase, reference::run_head};
use proptest::prelude::*;

use super::*;
use crate::memory::naive;

proptest! {
    #[test]
    fn attention_is_the_query_on_the_product_of_steps(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let found = account_of(&factors).attention.unwrap();
        prop_assert!(largest_difference(&found, &brute::attention(&factors)) < 1e-12);
    }

    /// A row of the attention by the adjoint is the row by going forward, and so is the part of the initial memory.
    #[test]
    fn the_adjoint_gives_the_same_row(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let (head, forward) = (head_of(&factors), account_of(&factors));
        let attention = forward.attention.as_ref().unwrap();
        for step in 0..sample.dims.step {
            let query = naive::query(&factors, sample.dims.batch - 1, step, sample.dims.head - 1);
            let row = contributions(&head, step, Phase::Write, query.view());
            let wanted = attention.slice(s![step, ..row.weights.len()]).to_owned();
            prop_assert_eq!(row.weights.len(), (step + 1) * head.writes_per_step());
            prop_assert!(largest_difference(&Array1::from(row.weights), &wanted) < 1e-12);
            prop_assert!(attention.slice(s![step, wanted.len()..]).iter().all(|&a| a == 0.0), "no write is read before it is made");
            match (row.initial, &forward.initial_output) {
                (Some(row), Some(all)) => prop_assert!(largest_difference(&row, &all.row(step).to_owned()) < 1e-12),
                (row, all) => prop_assert!(row.is_none() && all.is_none()),
            }
        }
    }

    /// What any write adds to a read at any phase: removing the write's value changes the read by just that.
    #[test]
    fn contributions_at_every_phase_add_up_to_the_read(sample in samples(), rule in rules(), at in 0.0..1.0) {
        let factors = sample.factors(rule);
        let head = head_of(&factors);
        let step = (at * sample.dims.step as f64) as usize;
        let run = run_head(&factors.lower(), sample.dims.batch - 1, sample.dims.head - 1, &Phase::ALL);
        let g = Array1::from_shape_fn(sample.dims.d_k, |channel| 0.3 + channel as f64);
        for phase in Phase::ALL {
            let memory = run.memory[&phase].index_axis(Axis(0), step).to_owned();
            let found = contributions(&head, step, phase, g.view());
            let mut read = found.initial.unwrap_or_else(|| Array1::zeros(sample.dims.d_v));
            for (write, weight) in found.weights.iter().enumerate() {
                read.scaled_add(*weight, &head.values().row(write));
            }
            prop_assert!(largest_difference(&read, &memory.t().dot(&g)) < 1e-11, "{phase}");
        }
    }

    #[test]
    fn the_account_explains_every_output_and_the_last_memory(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let (head, found) = (head_of(&factors), account_of(&factors));
        let run = run_head(&factors.lower(), sample.dims.batch - 1, sample.dims.head - 1, &[]);
        prop_assert!(largest_difference(&found.output, &run.output) < 1e-12);
        prop_assert!(largest_difference(&found.memory(&head), &run.final_memory) < 1e-12);
        let wrong = &run.output + 0.5;
        let residuals = found.residuals(wrong.view());
        prop_assert!(residuals.iter().all(|&residual| residual > 1e-3), "an output that is not the head's is not explained");
    }

    #[test]
    fn what_is_left_of_a_write_is_its_product(sample in samples(), rule in rules()) {
        let factors = sample.factors(rule);
        let found = account_of(&factors);
        for (write, life) in brute::left(&factors).iter().enumerate() {
            prop_assert!(largest_difference(&found.left.row(write).to_owned(), life.last().unwrap()) < 1e-12);
        }
    }
}
