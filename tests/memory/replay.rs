//! Memories from pseudo-values.

use ndarray::{Array2, s};
use pentimento::memory::{
    Phase, Recurrence,
    reference::run,
    replay::{self, HeadReplay},
};
use proptest::prelude::*;

use super::sample::{Sample, rules, samples};

/// f32 factors, their reference in f64, and its pseudo-values rounded to f32.
fn recorded(
    sample: Sample,
    rule: pentimento::memory::Rule,
) -> (Recurrence<f32>, pentimento::memory::reference::Run, Vec<ndarray::Array4<f32>>) {
    let factors = sample.factors(rule).cast::<f32>();
    let reference = run(&factors.cast::<f64>().lower(), &Phase::ALL);
    let pseudo_values = reference.pseudo_values.iter().map(|values| values.mapv(|x| x as f32)).collect();
    (factors.lower(), reference, pseudo_values)
}

proptest! {
    #[test]
    fn replay_gives_the_references_memory_at_every_phase(sample in samples(), rule in rules()) {
        let (recurrence, reference, pseudo_values) = recorded(sample, rule);
        let size = reference.memory[&Phase::Write].iter().fold(1.0_f64, |most, x| most.max(x.abs()));
        for (batch, head) in ndarray::indices((sample.dims.batch, sample.dims.head)) {
            let replay = HeadReplay { recurrence: &recurrence, pseudo_values: pseudo_values.iter().map(|values| values.view()).collect(), batch, head };
            for (phase, step) in Phase::ALL.into_iter().flat_map(|phase| (0..sample.dims.step).map(move |step| (phase, step))) {
                let memory = replay.memory(recurrence.initial(batch, head).view(), 0, step, phase);
                let expected = reference.memory[&phase].slice(s![batch, step, head, .., ..]);
                for (x, y) in memory.iter().zip(expected) {
                    prop_assert!((f64::from(*x) - y).abs() < 1e-5 * size);
                }
            }
        }
    }

    #[test]
    fn replay_from_a_checkpoint_is_the_same_bits(sample in samples(), rule in rules(), cut in 0.0..1.0) {
        let (recurrence, _, pseudo_values) = recorded(sample, rule);
        let replay = HeadReplay { recurrence: &recurrence, pseudo_values: pseudo_values.iter().map(|values| values.view()).collect(), batch: 0, head: 0 };
        let start = recurrence.initial(0, 0);
        let cut = (cut * sample.dims.step as f64) as usize;
        let checkpoint = replay.memory(start.view(), 0, cut, Phase::Before);
        for phase in Phase::ALL {
            let mut n_visited = 0;
            let last = replay.memories(checkpoint.view(), cut..sample.dims.step, phase, |step, memory| {
                n_visited += 1;
                assert!(same_bits(&memory.to_owned(), &replay.memory(start.view(), 0, step, phase)));
            });
            prop_assert_eq!(n_visited, sample.dims.step - cut);
            prop_assert!(same_bits(&last, &replay.memory(start.view(), 0, sample.dims.step - 1, Phase::Write)));
        }
    }

    /// The order of operations is a contract: s = alpha s, then one fused multiply-add per edit.
    #[test]
    fn a_step_is_a_product_and_fused_multiply_adds(d_k in 1..5_usize, d_v in 1..40_usize, n_edits in 0..3_usize, seed: u64) {
        let sample = Sample { dims: pentimento::memory::Dims { batch: 1, step: 1, key_head: 1, head: 1, d_k, d_v }, seed, starts_filled: false };
        let draw = |name: &str, n: usize| sample.uniform(name, &[n], -1.0, 1.0).mapv(|x| x as f32).into_dimensionality::<ndarray::Ix1>().unwrap();
        let found = Array2::from_shape_vec((d_k, d_v), draw("memory", d_k * d_v).to_vec()).unwrap();
        let retention = draw("retention", d_k);
        let edits: Vec<_> = (0..n_edits).map(|edit| (draw(&format!("direction {edit}"), d_k), draw(&format!("value {edit}"), d_v))).collect();

        let mut memory = found.clone();
        let views: Vec<_> = edits.iter().map(|(direction, value)| (direction.view(), value.view())).collect();
        replay::step(memory.view_mut(), retention.view(), &views);

        let expected = Array2::from_shape_fn((d_k, d_v), |(i, j)| {
            edits.iter().fold(retention[i] * found[[i, j]], |x, (direction, value)| direction[i].mul_add(value[j], x))
        });
        prop_assert!(same_bits(&memory, &expected));

        // Memories that do not lie row by row get the same bits.
        let mut transposed = found.t().as_standard_layout().into_owned();
        replay::step(transposed.view_mut().reversed_axes(), retention.view(), &views);
        prop_assert!(same_bits(&transposed.reversed_axes().as_standard_layout().into_owned(), &expected));
    }
}

fn same_bits(a: &Array2<f32>, b: &Array2<f32>) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
