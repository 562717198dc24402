//! Runs recorded while they do otherwise.

use std::sync::LazyLock;

use pentimento::{
    intervene::{Address, Change, InterveneError, Intervention, Interventions, Place, Row, Steps, Where, apply, changed_factors},
    memory::{Dims, Factors, HookPoint, Rule, reference},
    model::{OpenedModel, open_model},
    network::{LiveReplay, NetworkError, Words},
    task::{Example, Split, TaskSpec},
    trace::Trace,
};

use crate::memory::sample::{Sample, largest_difference};

static MODEL: LazyLock<OpenedModel> = LazyLock::new(|| open_model("bundled:eda-stale-facts", 0).unwrap());

fn example() -> Example {
    let task = TaskSpec::named("stale_facts").unwrap().build().unwrap().in_vocabulary(MODEL.vocabulary.as_ref().unwrap()).unwrap();
    task.generate(0, Split::Test, 1)
}

fn record(interventions: &[Intervention], example: &Example) -> Result<(tempfile::TempDir, Trace, Vec<Vec<f32>>), NetworkError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.trace.zarr");
    let mut live = LiveReplay::new(&MODEL.model);
    live.interventions = interventions.to_vec();
    let word = |token: u32| MODEL.vocabulary.as_ref().unwrap().word(token).to_owned();
    let words = Words { model: "bundled:eda-stale-facts", run: serde_json::Value::Null, word: &word };
    let said = live.record(example, &words, &path, &|_| true)?;
    let trace = Trace::open(&path).unwrap();
    Ok((folder, trace, said))
}

fn from_step_20() -> Intervention {
    let at = Where { layers: Some(vec![0]), heads: Some(vec![1]), steps: Steps::Range(20, usize::MAX) };
    Intervention { change: Change::ScaleErase { factor: 0.0 }, at }
}

#[test]
fn a_live_run_says_what_a_replay_says_and_its_trace_has_the_memory_of_the_run() {
    let (example, changes) = (example(), [from_step_20()]);
    let (_folder, trace, said) = record(&changes, &example).unwrap();
    let mut live = LiveReplay::new(&MODEL.model);
    live.interventions = changes.to_vec();
    let wanted = live.advance(&example.tokens).unwrap();
    assert_eq!(said.len(), example.len());
    for (found, wanted) in said.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((f64::from(*found) - wanted).abs() < 1e-3, "{found} {wanted}");
    }
    let factors = trace.factors(0, 0..1, 0..example.len()).unwrap();
    let strength = factors.per_head(HookPoint::EraseStrength);
    assert!((0..20).all(|step| strength[[0, step, 1]] > 0.0), "before the change the gate is the model's own");
    assert!((20..example.len()).all(|step| strength[[0, step, 1]] == 0.0));
    for layer in [0, 1] {
        let factors = trace.factors(layer, 0..1, 0..example.len()).unwrap();
        let replayed = pentimento::memory::cpu::forward(&factors.lower()).final_memory;
        let own = live.memory(layer).unwrap();
        let difference = replayed.iter().zip(own.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-4, "layer {layer}: {difference}");
    }
    trace.require_complete().unwrap();
    let labels: Vec<Example> = trace.labels().unwrap().unwrap();
    assert_eq!(labels, [example]);
}

#[test]
fn what_no_factor_says_is_not_recorded_and_a_run_that_is_stopped_says_so() {
    let example = example();
    let write = example.writes[0].position;
    let at = Where { steps: Steps::Chosen(vec![write + 5]), ..Where::default() };
    let retract = Intervention { change: Change::Retract { write }, at };
    let refused = record(&[retract], &example).err().unwrap();
    assert!(matches!(refused, NetworkError::Intervene(InterveneError::NoFactor { .. })), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    let words = Words { model: "m", run: serde_json::Value::Null, word: &|token| token.to_string() };
    let stopped = LiveReplay::new(&MODEL.model).record(&example, &words, &folder.path().join("a.trace.zarr"), &|_| false);
    assert!(matches!(stopped, Err(NetworkError::Cancelled)));
}

fn small(rule: Rule) -> Factors<f64> {
    Sample { dims: Dims { batch: 1, step: 9, key_head: 2, head: 4, d_k: 5, d_v: 3 }, seed: 7, starts_filled: true }.factors(rule)
}

#[test]
fn changed_factors_are_the_changed_memory_or_are_refused() {
    let factors = small(Rule::Eda);
    let at = Where { heads: Some(vec![2]), steps: Steps::Range(3, 7), ..Where::default() };
    let everywhere = Where::default();
    let can = [
        Intervention { change: Change::ScaleErase { factor: 0.5 }, at: at.clone() },
        Intervention { change: Change::NoDecay, at: at.clone() },
        Intervention { change: Change::RemoveWrite, at: at.clone() },
        // All heads of a key head erase at its own key: the factors can say it, although the replay spreads it over heads.
        Intervention { change: Change::EraseAddress { address: Address::Write }, at: everywhere.clone() },
    ];
    for change in can {
        let changes = [change];
        let rows = [Row { interventions: &changes, sequence: 0, superseded: &[] }];
        let found = changed_factors(&factors, Place::default(), &rows).unwrap();
        let wanted = reference::run(&apply(&factors, Place::default(), &rows).unwrap(), &[]).output;
        let output = reference::run(&found.lower(), &[]).output;
        assert_eq!(largest_difference(&output, &wanted), 0.0, "{}", changes[0]);
        assert!(largest_difference(&output, &reference::run(&factors.lower(), &[]).output) > 1e-6, "{} changes something", changes[0]);
    }
    let one_of_two = [Intervention { change: Change::EraseAddress { address: Address::Random }, at }];
    let rows = [Row { interventions: &one_of_two, sequence: 0, superseded: &[] }];
    assert!(matches!(changed_factors(&factors, Place::default(), &rows), Err(InterveneError::NoFactor { layer: 0, rule: Rule::Eda })));
}

#[test]
fn a_file_of_interventions_is_read_as_it_was_written() {
    let file = Interventions { intervention: vec![from_step_20(), Intervention::without_erase(1, 0, 4)] };
    let text = file.to_toml().unwrap();
    assert!(text.contains("[[intervention]]") && text.contains("from = 20") && !text.contains("to ="), "{text}");
    assert_eq!(Interventions::from_toml(&text).unwrap(), file);
    assert_eq!(from_step_20().to_string(), "layer 0 head 1 from step 20 on: erase strength times 0");
    assert!(Interventions::from_toml("intervention = []").is_err());
    assert!(Interventions::from_toml("[[intervention]]\ndo = \"scale_erase\"\nfactor = -1.0").is_err());
}

#[test]
fn an_example_up_to_a_step_knows_nothing_of_what_comes_later() {
    let whole = example();
    for n_steps in 0..=whole.len() {
        let part = whole.up_to(n_steps);
        assert_eq!(part.tokens, whole.tokens[..n_steps]);
        assert!(part.writes.iter().enumerate().all(|(place, write)| write.id == place as u32 && write.position < n_steps));
        assert!(part.writes.iter().all(|write| write.stale_at().is_none_or(|step| step < n_steps)));
        assert!(part.questions.iter().all(|question| question.position < n_steps));
    }
    assert_eq!(whole.up_to(whole.len() + 3), whole);
}
