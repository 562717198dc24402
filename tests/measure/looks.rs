//! What a person looks at, one head, one step, one token at a time: the same numbers as the measures of the whole.

use super::*;
use crate::trace::sample;
use pentimento::measure::{Part, head_gates, profiles, step_memories, token_points};
use pentimento::memory::Phase;
use pentimento::trace::Trace;

fn trace_of(rule: Rule) -> (tempfile::TempDir, Trace, Factors<f32>) {
    let (folder, path) = sample::place();
    let factors = sample::factors(rule, sample::SMALL, 1, true);
    sample::write(&path, &factors, 128, &[]);
    (folder, Trace::open(&path).unwrap(), factors)
}

#[test]
fn a_step_has_the_memories_of_its_phases() {
    for rule in [Rule::Eda, Rule::Kda, Rule::Rwkv7, Rule::GatedDeltaProduct(2)] {
        let (_folder, trace, _) = trace_of(rule);
        for step in [0, 63, 64, 65, 299] {
            let found = step_memories(&trace, 0, 1, 1, step).unwrap();
            for phase in Phase::ALL {
                assert_eq!(*found.phase(phase), trace.memory(0, 1, 1, step, phase).unwrap(), "{rule} step {step} {phase}");
            }
            let whole = found.change(Phase::Decay) + found.change(Phase::Erase) + found.change(Phase::Write);
            let difference = found.phase(Phase::Write) - found.phase(Phase::Before);
            assert!((whole - difference).iter().all(|x| x.abs() < 1e-5));
            let square: f64 = found.phase(Phase::Erase).iter().map(|&x| f64::from(x).powi(2)).sum();
            near(found.norm(Phase::Erase), square.sqrt());
        }
    }
}

#[test]
fn a_head_has_the_gates_of_its_factors() {
    for rule in Rule::ALL {
        let (_folder, trace, factors) = trace_of(rule);
        let found = head_gates(&trace, 0, 1, 1).unwrap();
        let retention = factors.channels(HookPoint::Retention);
        let mean = |step: usize| (0..8).map(|channel| f64::from(retention[[1, step, 1, channel]])).sum::<f64>() / 8.0;
        assert_eq!(found.retention.len(), 300);
        near(found.retention[17], mean(17));
        assert_eq!(found.erase_strength.iter().any(|&gamma| gamma > 0.0), rule.has_erase(), "{rule}");
        match rule {
            Rule::Eda => near(found.write_strength[5], f64::from(factors.per_head(HookPoint::WriteStrength(0))[[1, 5, 1]])),
            Rule::GatedDeltaProduct(2) => {
                let both = [0, 1].map(|index| f64::from(factors.per_head(HookPoint::WriteStrength(index))[[1, 5, 1]]));
                near(found.write_strength[5], both[0] + both[1]);
            }
            Rule::LinearAttention | Rule::RetNet | Rule::Gla | Rule::Rwkv7 => near(found.write_strength[5], 1.0),
            _ => {}
        }
    }
}

#[test]
fn a_part_is_measured_as_if_it_were_the_whole() {
    let many = Dims { batch: 3, step: 40, key_head: 2, head: 4, d_k: 8, d_v: 6 };
    let source = vec![(3, sample::factors(Rule::Eda, many, 1, true)), (5, sample::factors(Rule::Eda, many, 2, true))];
    let options = AllocationOptions { statistics: quick(), ..AllocationOptions::default() };
    let layer = allocation(&Part::new(source.clone(), 5, None), &options).unwrap();
    assert_eq!(layer, allocation(&vec![source[1].clone()], &options).unwrap());

    // Head 3 reads with key head 1.
    let cut = |point: HookPoint, array: &ndarray::ArcArray<f32, ndarray::IxDyn>| {
        let head = if array.shape()[2] == 2 && matches!(point, HookPoint::Query | HookPoint::WriteDirection(_) | HookPoint::EraseDirection)
        {
            1
        } else {
            3
        };
        array.slice_axis(Axis(2), ndarray::Slice::from(head..=head)).to_owned()
    };
    let factors = &source[1].1;
    let arrays: BTreeMap<_, _> = factors.arrays().iter().map(|(&point, array)| (point, cut(point, array))).collect();
    let initial = factors.initial_memory().map(|memory| memory.slice_axis(Axis(1), ndarray::Slice::from(3..=3)).to_owned());
    let alone = vec![(5, Factors::new(Rule::Eda, arrays, initial).unwrap())];
    let options = CleanupOptions { window: 4, null_replays: 2, statistics: quick(), ..CleanupOptions::default() };
    assert_eq!(cleanup(&Part::new(source, 5, Some(3)), &options).unwrap(), cleanup(&alone, &options).unwrap());
}

#[test]
fn tokens_are_those_whose_means_the_plot_shows() {
    let source = vec![(2, sample::factors(Rule::Eda, Dims { batch: 3, step: 40, key_head: 2, head: 2, d_k: 8, d_v: 6 }, 1, true))];
    let options = CleanupOptions { window: 4, null_replays: 2, statistics: quick(), ..CleanupOptions::default() };
    let (found, points) = (cleanup(&source, &options).unwrap(), token_points(&source, 4, |_| true).unwrap());
    assert_eq!(points.len(), 3 * 40 * 2);
    for relation in &found.relations {
        for bin in &relation.curve {
            let last = (bin.high - 1.0).abs() < 1e-12;
            let inside = |x: f64| x >= bin.low && (x < bin.high || last);
            let pairs = points.iter().map(|point| (point.decay(relation.decay), point.strength(relation.strength)));
            let ys: Vec<f64> = pairs.filter(|(x, y)| inside(*x) && y.is_finite()).map(|(_, y)| y).collect();
            assert_eq!(ys.len() as u64, bin.n_tokens, "{:?} {:?}", relation.strength, relation.decay);
            if let Some(mean) = &bin.strength {
                near(ys.iter().sum::<f64>() / ys.len() as f64, mean.estimate);
            }
        }
    }
    assert!(token_points(&source, 4, |layer| layer == 7).unwrap().is_empty());
    assert!(matches!(token_points(&source, 0, |_| true), Err(MeasureError::Option { option: "window", .. })));
}

#[test]
fn profiles_leave_out_what_is_not_finite_and_count_it() {
    let memory = ndarray::array![[3.0_f32, -4.0], [f32::NAN, 2.0]];
    let found = profiles(&memory);
    near(found.rows[0], (25.0_f64 / 2.0).sqrt());
    near(found.rows[1], 2.0);
    near(found.columns[0], 3.0);
    assert_eq!((found.largest, found.not_finite), (4.0, 1));
}
