//! Recording a model: what stands in the trace is what the model did.

use std::path::Path;

use pentimento::memory::{HookPoint, Phase};
use pentimento::model::{NoObserver, OpenedModel, open_model, token_tensor};
use pentimento::record::{RecordError, RecordSpec, record, record_on};
use pentimento::task::{Example, Split, Task, TaskSpec, Text};
use pentimento::trace::{Answer, Trace, verify};

const SEQUENCES: u64 = 3;

fn opened() -> (OpenedModel, Task) {
    let opened = open_model("bundled:eda-stale-facts", 0).unwrap();
    let task = TaskSpec::named("stale_facts").unwrap().build().unwrap();
    let task = task.in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
    (opened, task)
}

fn recorded(path: &Path, spec: &RecordSpec) -> Trace {
    recorded_at_length(path, spec, 64)
}

fn recorded_at_length(path: &Path, spec: &RecordSpec, length: usize) -> Trace {
    let opened = open_model("bundled:eda-stale-facts", 0).unwrap();
    let task = TaskSpec::named("stale_facts").unwrap().with_length(length).build().unwrap();
    let task = task.in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
    record(&opened.model, &serde_json::json!({}), &task, spec, path, |_, _| {}).unwrap();
    Trace::open(path).unwrap()
}

fn refused(spec: &RecordSpec) -> RecordError {
    let (folder, (opened, task)) = (tempfile::tempdir().unwrap(), opened());
    let path = folder.path().join("x.trace.zarr");
    let error = record(&opened.model, &serde_json::json!({}), &task, spec, &path, |_, _| {}).unwrap_err();
    assert!(!path.exists(), "nothing is made of a bad request");
    error
}

#[test]
fn answers_and_labels_are_those_of_the_models_own_forward() {
    let folder = tempfile::tempdir().unwrap();
    let trace = recorded(&folder.path().join("a.trace.zarr"), &RecordSpec::new(0..SEQUENCES));
    let (opened, task) = opened();
    let examples: Vec<Example> = (0..SEQUENCES).map(|index| task.generate(0, Split::Test, index)).collect();
    assert_eq!(trace.labels::<Example>().unwrap().unwrap(), examples);
    let tokens = trace.tokens().unwrap().unwrap();
    let words = trace.token_str().unwrap().unwrap();
    let answers = Answer::of_trace(&trace, &examples).unwrap().unwrap();
    for (row, example) in examples.iter().enumerate() {
        assert!(tokens.row(row).iter().zip(&example.tokens).all(|(&stored, &token)| stored == token as i32));
        assert_eq!(words[[row, 0]], task.vocabulary().word(example.tokens[0]));
        let logits = opened.model.forward(&token_tensor(std::slice::from_ref(&example.tokens)).unwrap(), None, &mut NoObserver).unwrap();
        let logits: Vec<Vec<f32>> = logits.squeeze(0).unwrap().to_vec2().unwrap();
        for (question, answer) in example.questions.iter().zip(&answers[row]) {
            let logits = &logits[question.position];
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(answer.predicted as usize, best);
            let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            let gold = f64::from(logits[question.gold as usize]) - total.ln();
            assert!((answer.gold_log_probability - gold).abs() < 1e-4, "{} is not {gold}", answer.gold_log_probability);
        }
    }
}

#[test]
fn copies_of_a_model_side_by_side_leave_the_trace_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let (opened, _) = opened();
    let task = TaskSpec::named("stale_facts").unwrap().with_length(900).build().unwrap();
    let task = task.in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
    // Three calls for two copies.
    let spec = RecordSpec::new(0..40);
    let trace = |name: &str, copies: usize| {
        let (path, models) = (folder.path().join(name), vec![opened.model.clone(); copies]);
        record_on(&models, &serde_json::json!({}), &task, &spec, &path, |_, _| {}).unwrap();
        Trace::open(path).unwrap()
    };
    let (one, two) = (trace("one.trace.zarr", 1), trace("two.trace.zarr", 2));
    assert!(one.digest().is_some());
    assert_eq!(two.digest(), one.digest());
}

#[test]
fn copies_share_out_long_sequences_too() {
    let folder = tempfile::tempdir().unwrap();
    let (opened, _) = opened();
    let task = TaskSpec::named("stale_facts").unwrap().with_length(900).build().unwrap();
    let task = task.in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
    let spec = RecordSpec { longest_whole: 0, block_steps: 300, ..RecordSpec::new(0..5) };
    let trace = |copies: usize| {
        let (path, models) = (folder.path().join(format!("{copies}.trace.zarr")), vec![opened.model.clone(); copies]);
        record_on(&models, &serde_json::json!({}), &task, &spec, &path, |_, _| {}).unwrap();
        assert!(verify(&path).unwrap().is_sound());
        Trace::open(path).unwrap()
    };
    let one = trace(1);
    for many in [trace(2), trace(7)] {
        assert_eq!(many.labels::<Example>().unwrap(), one.labels::<Example>().unwrap());
        assert_eq!(many.read_all_i32(Answer::PREDICTED).unwrap(), one.read_all_i32(Answer::PREDICTED).unwrap());
        for (layer, sequence) in [(0, 0), (1, 2), (1, 4)] {
            let memory = |trace: &Trace| trace.memory(layer, 1, sequence, 890, Phase::Erase).unwrap();
            let worst = memory(&one).iter().zip(&memory(&many)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "layer {layer}, sequence {sequence}: {worst}");
        }
    }
}

#[test]
fn whole_and_in_blocks_is_the_same_recording() {
    let folder = tempfile::tempdir().unwrap();
    let spec = RecordSpec { checkpoint_every: 48, ..RecordSpec::new(0..SEQUENCES) };
    let whole = recorded_at_length(&folder.path().join("whole.trace.zarr"), &spec, 900);
    // Rounded up to 768, a multiple of 48 and of a chunk: a whole block and a part of one.
    let in_blocks = RecordSpec { longest_whole: 0, block_steps: 300, ..spec };
    let blocks = recorded_at_length(&folder.path().join("blocks.trace.zarr"), &in_blocks, 900);
    assert!(verify(blocks.path()).unwrap().is_sound());
    assert_eq!((blocks.n_batch(), blocks.n_steps()), (whole.n_batch(), whole.n_steps()));
    assert_eq!(blocks.tokens().unwrap(), whole.tokens().unwrap());
    assert_eq!(blocks.labels::<Example>().unwrap(), whole.labels::<Example>().unwrap());
    assert_eq!(blocks.read_all_i32(Answer::PREDICTED).unwrap(), whole.read_all_i32(Answer::PREDICTED).unwrap());
    for layer in [0, 1] {
        for point in [HookPoint::EraseStrength, HookPoint::Retention, HookPoint::Output] {
            let stream = |trace: &Trace| trace.stream(layer, point, 0..3, 0..trace.n_steps()).unwrap();
            let worst = stream(&whole).iter().zip(&stream(&blocks)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "layer {layer}, {point}: {worst}");
        }
        let memory = |trace: &Trace| trace.memory(layer, 1, 2, 890, Phase::Erase).unwrap();
        let worst = memory(&whole).iter().zip(&memory(&blocks)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "layer {layer}: {worst}");
    }
}

#[test]
fn layers_heads_and_phases_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let spec = RecordSpec {
        layers: Some(vec![1]),
        heads: Some(vec![1]),
        dense: vec![Phase::Erase, Phase::Write],
        ..RecordSpec::new(2..SEQUENCES)
    };
    let trace = recorded(&folder.path().join("a.trace.zarr"), &spec);
    assert_eq!(trace.layers().iter().map(|layer| layer.index).collect::<Vec<_>>(), [1]);
    assert!(trace.array_names().any(|name| name.contains("erase") && name.contains("heads")), "dense memories of the chosen heads");
    assert!(verify(trace.path()).unwrap().is_sound());
    let all = recorded(&folder.path().join("b.trace.zarr"), &RecordSpec::new(2..SEQUENCES));
    for head in [0, 1] {
        let memory = |trace: &Trace| trace.memory(1, head, 0, 33, Phase::Erase).unwrap();
        assert_eq!(memory(&trace), memory(&all), "head {head}, stored or replayed");
    }
}

#[test]
fn what_is_not_there_cannot_be_recorded() {
    let base = RecordSpec::new(0..1);
    let layer = refused(&RecordSpec { layers: Some(vec![7]), ..base.clone() }).to_string();
    assert_eq!(layer, "layer 7 cannot be recorded: the layers with a memory are 0, 1");
    let head = refused(&RecordSpec { heads: Some(vec![99]), ..base.clone() }).to_string();
    assert_eq!(head, "head 99 cannot be recorded: layer 0 has heads 0 to 1");
    assert!(matches!(refused(&RecordSpec { layers: Some(vec![]), ..base }), RecordError::Empty(_)));
    assert!(matches!(refused(&RecordSpec::new(0..0)), RecordError::Empty(_)));
}

#[test]
fn a_text_is_recorded_in_the_models_words_and_its_folder_stays_unsaid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.txt");
    std::fs::write(&file, "k0 v1 f0 f1 k2 v3 k0 v2 Q k0").unwrap();
    let (opened, _) = opened();
    let words = opened.vocabulary.as_ref().unwrap();
    let text = |path: &Path| TaskSpec::Text(Text { path: path.display().to_string(), length: 5, ..Text::default() });
    let task = text(&file).build().unwrap().in_vocabulary(words).unwrap();
    let path = folder.path().join("text.trace.zarr");
    record(&opened.model, &serde_json::json!({}), &task, &RecordSpec::new(0..2), &path, |_, _| {}).unwrap();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.token_str().unwrap().unwrap().row(1).to_vec(), ["v3", "k0", "v2", "Q", "k0"]);
    assert_eq!(trace.tokens().unwrap().unwrap()[[0, 0]], words.token("k0").unwrap() as i32);
    let root = std::fs::read_to_string(path.join("zarr.json")).unwrap();
    assert!(root.contains("words.txt") && !root.contains(&folder.path().display().to_string()));
    std::fs::write(&file, "the cat sat on the mat").unwrap();
    let error = text(&file).build().unwrap().in_vocabulary(words).err().unwrap().to_string();
    assert!(error.contains("'the'"), "{error}");
}
