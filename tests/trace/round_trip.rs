//! What is written is read, bit for bit.

use ndarray::{Array2, s};
use pentimento::memory::{Dims, HookPoint, Phase, Rule};
use pentimento::task::{Example, Split, TaskSpec};
use pentimento::trace::{OnExisting, Status, Table, Trace, TraceError, TraceSpec, TraceWriter, label_tables};

use super::sample::{self, SMALL, place};

#[test]
fn every_memory_of_every_rule_replays_to_the_engines_bits() {
    for rule in Rule::ALL {
        let (_folder, path) = place();
        let dims = Dims { step: 130, ..SMALL };
        let factors = sample::factors(rule, dims, 1, true);
        let whole = sample::record(&factors, &Phase::ALL);
        sample::write(&path, &factors, 64, &[]);
        let trace = Trace::open(&path).unwrap();
        for phase in Phase::ALL {
            for step in [0, 1, 63, 64, 100, 129] {
                let wanted = whole.dense[&phase].slice(s![1, step, 1, .., ..]).to_owned();
                assert_eq!(trace.memory(0, 1, 1, step, phase).unwrap(), wanted, "{rule} {phase} {step}");
            }
        }
        assert!(trace.read_all_f32("layer_00/checkpoint/replay_error").unwrap().iter().all(|&error| error == 0.0), "{rule}");
    }
}

#[test]
fn factors_and_tokens_come_back_as_they_went() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, SMALL, 2, true);
    sample::write(&path, &factors, 128, &[]);
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.status(), Status::Complete);
    assert_eq!((trace.n_batch(), trace.n_steps()), (SMALL.batch, SMALL.step));
    assert_eq!(trace.tokens().unwrap().unwrap(), sample::tokens(SMALL));
    let read = trace.factors(0, 0..2, 0..SMALL.step).unwrap();
    assert_eq!(read.arrays(), factors.arrays());
    assert_eq!(read.initial_memory(), factors.initial_memory());
    assert_eq!(trace.layer(0).unwrap().checkpoint_steps, [0, 64, 128, 192, 256, 300]);
    let wanted = sample::record(&factors, &[]);
    let output = trace.stream(0, HookPoint::Output, 0..2, 70..200).unwrap();
    assert_eq!(output, wanted.output.slice(s![.., 70..200, .., ..]).into_dyn());
    assert_eq!(trace.checkpoint(0, 1, 1, 5).unwrap(), wanted.final_memory.slice(s![1, 1, .., ..]));
}

#[test]
fn factors_from_the_middle_start_from_the_memory_found_there() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, SMALL, 3, false);
    sample::write(&path, &factors, 300, &[]);
    let whole = sample::record(&factors, &[]);
    let part = Trace::open(&path).unwrap().factors(0, 0..2, 100..200).unwrap();
    assert_eq!(sample::record(&part, &[]).output, whole.output.slice(s![.., 100..200, .., ..]));
}

#[test]
fn states_are_visited_in_order() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Kda, SMALL, 4, false);
    sample::write(&path, &factors, 300, &[Phase::Decay]);
    let dense = sample::record(&factors, &[Phase::Decay]).dense.remove(&Phase::Decay).unwrap();
    let mut next = 130;
    let check = |step, memory: ndarray::ArrayView2<f32>| {
        assert_eq!(step, next);
        assert_eq!(memory, dense.slice(s![0, step, 1, .., ..]));
        next += 1;
    };
    let trace = Trace::open(&path).unwrap();
    trace.states(0, 1, 0, 130..300, Phase::Decay, check).unwrap();
    assert_eq!(next, 300);
    assert_eq!(trace.read_all_f32("layer_00/dense/all/memory_after_decay").unwrap(), dense.into_dyn());
}

#[test]
fn sequences_can_be_appended_too() {
    let (_folder, path) = place();
    let dims = Dims { batch: 70, step: 90, ..SMALL };
    let factors = sample::factors(Rule::Eda, dims, 5, false);
    let mut writer =
        TraceWriter::create(&path, &TraceSpec { on_existing: OnExisting::Refuse, ..TraceSpec::of_sequences(sample::spec().provenance) })
            .unwrap();
    for from in (0..70).step_by(20) {
        let block = sample::part(&factors, 0, from..(from + 20).min(70), None);
        writer.append_layer(0, &block, sample::record(&block, &[])).unwrap();
        writer.commit().unwrap();
        assert_eq!(Trace::open(&path).unwrap().n_batch(), (from + 20).min(70) / 32 * 32);
    }
    writer.finish().unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!((trace.n_batch(), trace.n_steps()), (70, 90));
    let dense = sample::record(&factors, &[Phase::Write]).dense.remove(&Phase::Write).unwrap();
    assert_eq!(trace.memory(0, 0, 69, 89, Phase::Write).unwrap(), dense.slice(s![69, 89, 0, .., ..]));
    assert_eq!(trace.layer(0).unwrap().checkpoint_steps, [0, 64, 90]);
}

#[test]
fn the_truth_table_comes_back_as_it_went() {
    let (_folder, path) = place();
    let task = TaskSpec::named("stale_facts").unwrap().build().unwrap();
    let examples: Vec<Example> = (0..4).map(|index| task.generate(7, Split::Test, index)).collect();
    let length = examples.iter().map(|example| example.tokens.len()).max().unwrap();
    let factors = sample::factors(Rule::Eda, Dims { batch: 4, step: length, ..SMALL }, 6, false);
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    writer.append_layer(3, &factors, sample::record(&factors, &[])).unwrap();
    let words = Array2::from_shape_fn((4, length), |(batch, step)| {
        examples[batch].tokens.get(step).map_or_else(String::new, |&token| task.vocabulary().word(token).to_owned())
    });
    writer.append(Table::token_str(words.clone())).unwrap();
    for table in label_tables(&examples) {
        writer.set(table).unwrap();
    }
    writer.finish().unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.labels::<Example>().unwrap().unwrap(), examples);
    assert_eq!(trace.token_str().unwrap().unwrap(), words);
    let positions = trace.read_all_i32("labels/writes/position").unwrap();
    assert_eq!(positions[[2, 1]], examples[2].writes[1].position as i32);
    assert_eq!(trace.layers()[0].index, 3);
}

#[test]
fn an_output_that_exists_is_kept_unless_forced() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Kda, Dims { step: 10, ..SMALL }, 7, false);
    sample::write(&path, &factors, 10, &[]);
    assert!(matches!(TraceWriter::create(&path, &sample::spec()), Err(TraceError::Exists(_))));
    let forced = TraceSpec { on_existing: OnExisting::Replace, ..sample::spec() };
    drop(TraceWriter::create(&path, &forced).unwrap());
    assert_eq!(Trace::open(&path).unwrap().status(), Status::Aborted);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "mine").unwrap();
    assert!(matches!(TraceWriter::create(folder.path(), &forced), Err(TraceError::NotATrace { .. })));
    assert!(folder.path().join("thesis.tex").exists());
}

#[test]
fn a_small_benchmark_runs() {
    let folder = tempfile::tempdir().unwrap();
    let options = pentimento::trace::BenchOptions { dims: SMALL, reads: 3 };
    let measured = pentimento::trace::bench(folder.path(), &options).unwrap();
    assert!(measured.streams_gb_per_second > 0.0 && measured.read_replayed_microseconds > 0.0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
