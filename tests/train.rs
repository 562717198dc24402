//! Training learns, says what is wrong with a spec, and goes on after an interruption as if there had been none.

use candle_core::{Device, Tensor, Var};
use pentimento::model::{LanguageModel, MixerKind};
use pentimento::task::{Split, Vocabulary};
use pentimento::train::{
    AdamW, AdamWSpec, Existing, LOG_FILE, LogEntry, Mixing, Outcome, Schedule, StageEnd, Stop, TrainError, TrainSpec, VOCABULARY_FILE,
    evaluate, run,
};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const SPEC: &str = r#"
seed = 5
batch = 8
log_every = 4
evaluate_every = 12
checkpoint_every = 5
held_out_sequences = 16
[schedule]
learning_rate = 5e-3
warm_up_steps = 4
[model]
d_model = 16
n_layers = 2
pattern = ["eda", "kda"]
[model.delta]
key_heads = 1
heads = 2
d_k = 8
d_v = 8
[model.feed_forward]
kind = "swiglu"
width = 16
[[stages]]
steps = 9
length = 16
[[stages.tasks]]
name = "mqar"
pairs = 2
questions = 2
[[stages]]
steps = 15
[[stages.tasks]]
name = "stale_facts"
weight = 2
[[stages.tasks]]
name = "parity"
length = 20
"#;

fn spec() -> TrainSpec {
    TrainSpec::from_toml(SPEC, "the test's spec").expect("a spec")
}

fn train(spec: &TrainSpec, out: &Path, existing: Existing) -> Result<Outcome, TrainError> {
    run(spec, out, existing, &mut |_| ControlFlow::Continue(()))
}

fn weights(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("weights.safetensors")).expect("weights")
}

/// Every line of the log, without the speed.
fn log(out: &Path) -> Vec<LogEntry> {
    let text = std::fs::read_to_string(out.join(LOG_FILE)).expect("a log");
    let entry = |line| LogEntry { tokens_per_second: 0.0, ..serde_json::from_str(line).expect("a line of JSON") };
    text.lines().map(entry).collect()
}

#[test]
fn a_training_resumed_after_a_break_or_a_crash_equals_the_uninterrupted_one_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let outcome = train(&spec(), &path("whole"), Existing::Refuse).expect("trained");
    assert!(outcome.finished && outcome.step == 24);
    assert_eq!(outcome.held_out.keys().collect::<Vec<_>>(), ["parity", "stale_facts"]);

    let broken = run(&spec(), &path("broken"), Existing::Refuse, &mut |entry| {
        if entry.step == 12 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(broken, Ok(Outcome { step: 12, finished: false, .. })));
    assert_ne!(weights(&path("broken")), weights(&path("whole")));
    train(&spec(), &path("broken"), Existing::Resume).expect("resumed");

    let crash = catch_unwind(AssertUnwindSafe(|| {
        run(&spec(), &path("crashed"), Existing::Refuse, &mut |entry| {
            assert!(entry.step < 16, "the power fails at step 16: the last checkpoint is that of step 15");
            ControlFlow::Continue(())
        })
    }));
    assert!(crash.is_err());
    train(&spec(), &path("crashed"), Existing::Resume).expect("resumed");

    for name in ["broken", "crashed"] {
        assert_eq!(weights(&path(name)), weights(&path("whole")), "{name}");
        assert_eq!(log(&path(name)), log(&path("whole")), "{name}");
    }
    let steps: Vec<u64> = log(&path("whole")).iter().map(|entry| entry.step).collect();
    assert_eq!(steps, [4, 8, 12, 16, 20, 24]);
}

#[test]
fn twins_of_every_kind_learn() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mixer) in [("eda", MixerKind::Eda), ("kda", MixerKind::Kda), ("gdn", MixerKind::Gdn)] {
        let mut spec = spec().with_mixer(mixer);
        spec.stages.truncate(1);
        spec.stages[0].steps = 120;
        let out = folder.path().join(name);
        let outcome = train(&spec, &out, Existing::Refuse).expect("trained");
        let losses: Vec<f64> = log(&out).iter().map(|entry| entry.loss).collect();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..3]), mean(&losses[losses.len() - 3..]));
        assert!(last < 0.9 * first, "{name}: the loss went from {first} to {last}");
        assert!(outcome.held_out["mqar"].loss < first);
    }
}

#[test]
fn what_was_trained_can_be_loaded_and_evaluated_with_its_vocabulary() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path();
    let outcome = train(&spec(), out, Existing::Refuse).expect("trained");
    let model = LanguageModel::load(out).expect("a checkpoint");
    let words = std::fs::read_to_string(out.join(VOCABULARY_FILE)).expect("a vocabulary");
    let vocabulary: Vocabulary = serde_json::from_str(&words).expect("a vocabulary");
    assert_eq!(model.config().vocabulary, vocabulary.len());
    let task = spec().stages[1].tasks[0].task.build().and_then(|task| task.in_vocabulary(&vocabulary)).expect("its words are known");
    let found = evaluate(&model, &task, 5, Split::Validation, 0..16, 8, |_, _| ()).expect("evaluated");
    assert_eq!(found.metrics, outcome.held_out["stale_facts"].counts);
}

#[test]
fn nothing_is_overwritten_and_nothing_mixed() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path();
    let mut short = spec();
    short.stages.truncate(1);
    let error = train(&short, out, Existing::Resume).expect_err("nothing there").to_string();
    assert!(error.starts_with("there is no training to resume"), "{error}");
    train(&short, out, Existing::Refuse).expect("trained");
    let before = weights(out);
    assert!(matches!(train(&short, out, Existing::Refuse), Err(TrainError::Exists { .. })));
    let other = TrainSpec { seed: 6, ..short.clone() };
    assert!(matches!(train(&other, out, Existing::Resume), Err(TrainError::OtherSpec { .. })));
    assert_eq!(weights(out), before);
    train(&other, out, Existing::Replace).expect("trained");
    assert_ne!(weights(out), before);
    let file = out.join("training.safetensors");
    let bytes = std::fs::read(&file).expect("a checkpoint");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("damaged");
    assert!(matches!(train(&other, out, Existing::Resume), Err(TrainError::Damaged { .. })));
}

#[test]
fn a_wrong_spec_says_what_was_meant_before_training_begins() {
    let message = |from: &str, to: &str| {
        let read = TrainSpec::from_toml(&SPEC.replace(from, to), "spec.toml");
        let folder = tempfile::tempdir().expect("a folder");
        read.and_then(|spec| train(&spec, folder.path(), Existing::Refuse)).expect_err("a wrong spec").to_string()
    };
    let found = message("learning_rate", "learning_rat");
    assert!(found.contains("spec.toml, line 9") && found.contains("did you mean `learning_rate`?"), "{found}");
    assert!(message("pairs = 2", "pears = 2").contains("did you mean `pairs`?"));
    assert!(message("\"parity\"", "\"parrity\"").contains("did you mean `parity`?"));
    assert!(message("pairs = 2", "pairs = 40").starts_with("stage 0: parameter 'pairs' is 40"));
    assert!(message("weight = 2", "weight = -2").contains("'weight' is -2"));
    assert!(message("batch = 8", "batch = 0").contains("'batch' is 0"));
    assert!(message("d_model = 16", "d_model = 16\nvocabulary = 9").contains("'model.vocabulary' is 9"));
    assert!(message("learning_rate = 5e-3", "learning_rate = 1e30").contains("at step"));
}

#[test]
fn the_learning_rate_warms_up_and_falls_along_a_cosine() {
    let schedule = Schedule { learning_rate: 1.0, warm_up_steps: 4, final_share: 0.2 };
    let rates: Vec<f64> = [0, 3, 4, 54, 104].iter().map(|&step| schedule.at(step, 104)).collect();
    for (found, expected) in rates.iter().zip([0.25, 1.0, 1.0, 0.6, 0.2]) {
        assert!((found - expected).abs() < 1e-12, "{rates:?}");
    }
}

#[test]
fn the_first_update_of_adamw_is_the_one_computed_by_hand() {
    let variable = |values: &[f32], shape: &[usize]| Var::from_slice(values, shape, &Device::Cpu).expect("a variable");
    let weights: pentimento::model::Weights =
        [("bias".to_owned(), variable(&[1.0], &[1])), ("matrix".to_owned(), variable(&[1.0, 2.0], &[1, 2]))].into();
    let mut optimizer = AdamW::new(AdamWSpec { weight_decay: 0.5, ..AdamWSpec::default() }, &weights).expect("an optimiser");
    // The gradient is (3, -4) on the matrix and 0 on the bias: norm 5, clipped to (0.6, -0.8). The first step is then the learning
    // rate in the direction of each sign, and only the matrix decays.
    let slope = Tensor::new(&[[3_f32, -4.0]], &Device::Cpu).expect("a tensor");
    let sum = |left: &Tensor, right: &Tensor| (left * right).and_then(|product| product.sum_all()).expect("a sum");
    let flat = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
    let loss = (sum(&weights["matrix"], &slope) + sum(&weights["bias"], &flat)).expect("a loss");
    let norm = optimizer.update(&weights, &loss.backward().expect("gradients"), 0.1, 1.0).expect("updated");
    assert!((norm - 5.0).abs() < 1e-6);
    let values = |name: &str| weights[name].flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("numbers");
    for (found, expected) in values("matrix").iter().zip([1.0 - 0.05 - 0.1, 2.0 - 0.1 + 0.1]) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    assert_eq!(values("bias"), [1.0]);
}

#[test]
fn sequences_of_one_step_can_have_tasks_of_their_own_and_stages_batches_of_their_own() {
    let mut spec = spec();
    spec.stages[1].mixing = Mixing::Sequence;
    let folder = tempfile::tempdir().expect("a folder");
    let error = train(&spec, folder.path(), Existing::Refuse).expect_err("tasks of 64 and 20 tokens");
    assert!(error.to_string().contains("64 and 20"), "{error}");
    spec.stages[1].length = Some(64);
    spec.stages[1].batch = Some(3);
    train(&spec, folder.path(), Existing::Refuse).expect("trained");
    let log = log(folder.path());
    assert!(log.iter().any(|entry| entry.stage == 0 && entry.task == "mqar"));
    assert!(log.iter().filter(|entry| entry.stage == 1).all(|entry| entry.task == "mixture"));
}

#[test]
fn a_stage_that_is_solved_or_flat_ends_early_and_a_resumed_training_does_the_same() {
    let mut spec = spec();
    spec.evaluate_every = 2;
    // Nothing counts as a gain, so the curve is flat as soon as patience ends.
    spec.stages[0].stop = Some(Stop { accuracy: 1.0, patience: 2, gain: 1.0 });
    // Any accuracy is good enough.
    spec.stages[1].stop = Some(Stop { accuracy: 0.0, ..Stop::default() });
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let outcome = train(&spec, &path("whole"), Existing::Refuse).expect("trained");
    assert!(outcome.finished && outcome.step == spec.steps());
    let ends: Vec<_> = log(&path("whole")).into_iter().filter_map(|entry| Some((entry.stage, entry.step, entry.stage_end?))).collect();
    // Evaluations at 2, 4 and 6; the next stage begins where the first would have ended, at step 9.
    assert_eq!(ends, [(0, 6, StageEnd::Flat), (1, 10, StageEnd::Solved)]);

    // Broken off inside the first stage: what was evaluated before counts after resuming too.
    let broken = run(&spec, &path("broken"), Existing::Refuse, &mut |entry| {
        if entry.step >= 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(!broken.expect("broke off").finished);
    train(&spec, &path("broken"), Existing::Resume).expect("resumed");
    assert_eq!(log(&path("whole")), log(&path("broken")));
    assert_eq!(weights(&path("whole")), weights(&path("broken")));
}
