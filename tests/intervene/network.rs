//! Total and direct effects on answers: the bundled model run again.

use std::sync::LazyLock;

use pentimento::{
    intervene::{AccountOptions, Change, HeadRead, Intervention, ScoreChange, Steps, Where},
    memory::{HookPoint, RecordOptions, Recording, cpu},
    model::{Intervene, LanguageModel, Observer, OpenedModel, open_model, token_tensor},
    network::{Asked, LiveReplay, NetworkError, NetworkReplay, Path, ReadEdits, Run},
    record::{RecordSpec, record},
    task::{Example, TaskSpec},
    trace::{Answer, Trace},
};

use super::event::trace_of;
use crate::memory::sample::Sample;

struct Recorded {
    _folder: tempfile::TempDir,
    opened: OpenedModel,
    trace: Trace,
    examples: Vec<Example>,
}

/// A few sequences of the bundled model, recorded once for all tests.
static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let opened = open_model("bundled:eda-stale-facts", 0).unwrap();
    let task = TaskSpec::named("stale_facts").unwrap().build().unwrap().in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
    let path = folder.path().join("a.trace.zarr");
    record(&opened.model, &serde_json::json!({}), &task, &RecordSpec::new(0..6), &path, |_, _| {}).unwrap();
    let trace = Trace::open(&path).unwrap();
    let examples = trace.labels().unwrap().unwrap();
    Recorded { _folder: folder, opened, trace, examples }
});

fn replay() -> NetworkReplay<'static> {
    NetworkReplay::of_trace(&RECORDED.opened.model, &RECORDED.trace, 3).unwrap()
}

/// One number of one gate of one layer set to 0, by hand.
struct ByHand {
    layer: usize,
    head: usize,
    step: usize,
}

impl Intervene for ByHand {
    fn run(
        &mut self,
        _layer: usize,
        _position: usize,
        factors: &pentimento::memory::Factors<f32>,
        options: &RecordOptions,
    ) -> Result<Recording, Box<dyn std::error::Error + Send + Sync>> {
        let mut strength = factors.arrays()[&HookPoint::EraseStrength].to_owned();
        strength[[0, self.step, self.head].as_slice()] = 0.0;
        Ok(cpu::record(&factors.with(HookPoint::EraseStrength, strength)?.lower(), options))
    }
}

impl Observer for ByHand {
    fn record_options(&self, _layer: usize) -> Option<RecordOptions> {
        None
    }

    fn layer(
        &mut self,
        _layer: usize,
        _factors: pentimento::memory::Factors<f32>,
        _recording: Recording,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn intervention(&mut self, layer: usize) -> Option<&mut dyn Intervene> {
        (layer == self.layer).then_some(self)
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 2e-4 * (1.0 + a.abs())
}

#[test]
fn an_account_is_what_replays_by_hand_say() {
    let Recorded { opened, trace, examples, .. } = &*RECORDED;
    let batch = examples.iter().position(|example| example.questions.iter().any(|question| !question.stale.is_empty())).unwrap();
    let number = examples[batch].questions.iter().position(|question| !question.stale.is_empty()).unwrap();
    let question = &examples[batch].questions[number];
    let account = replay().account(trace, batch, number, &AccountOptions::default()).unwrap();
    let answers = Answer::of_trace(trace, examples).unwrap().unwrap();
    assert!(close(account.as_it_is.gold, answers[batch][number].gold_log_probability));
    assert!(close(account.as_it_is.stale.unwrap(), answers[batch][number].stale_log_probability.unwrap()));
    assert!(close(account.as_it_is.foil.unwrap(), answers[batch][number].foil_log_probability.unwrap()));
    assert_eq!(
        (account.n_events, account.n_replayed, account.map.len()),
        (4 * (question.position + 1), account.n_events, account.n_events)
    );

    let tokens = token_tensor(&[examples[batch].tokens[..=question.position].to_vec()]).unwrap();
    let gold = |observer: &mut dyn Observer| {
        let logits = opened.model.forward(&tokens, None, observer).unwrap().get(0).unwrap().get(question.position).unwrap();
        let logits: Vec<f64> = logits.to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
        logits[question.gold as usize] - logits.iter().map(|x| x.exp()).sum::<f64>().ln()
    };
    for single in account.map.iter().step_by(7).chain(account.map.iter().take(3)) {
        let by_hand = gold(&mut ByHand { layer: single.layer, head: single.head, step: single.step }) - account.as_it_is.gold;
        assert!(close(single.total.gold, by_hand), "{single:?} {by_hand}");
    }
    assert!(account.events.windows(2).all(|pair| pair[0].total.margin().abs() >= pair[1].total.margin().abs()));
    let sum: f64 = account.map.iter().map(|single| single.total.gold).sum();
    assert!((account.sum_of_singles.gold - sum).abs() < 1e-9);
    assert!((account.interaction.unwrap().gold - (account.all_erases.gold - sum)).abs() < 1e-9);
    assert!(account.all_erases.gold.abs() > 1e-3, "erases matter to this model: {:?}", account.all_erases);
    let said = account.sentences().join("\n");
    assert!(said.contains("Without it the model, run again: p(right)") && account.headline().contains("The model says"), "{said}");
}

/// In the last layer nothing else reads what other steps read: the direct effect is the total one. Below it is not.
#[test]
fn direct_and_total_effects_agree_in_the_last_layer_only() {
    let Recorded { examples, .. } = &*RECORDED;
    let example = &examples[0];
    let question = example.questions.last().unwrap();
    let of = |layer: usize| {
        let interventions = [Intervention { change: Change::RemoveErase, at: Where { layers: Some(vec![layer]), ..Where::default() } }];
        let (_, total, direct) = replay().effect(Asked::all(example, 0), &interventions, question).unwrap();
        (total, direct)
    };
    let (total, direct) = of(1);
    assert!(close(total.gold, direct.gold) && close(total.foil.unwrap(), direct.foil.unwrap()) && total.gold.abs() > 1e-6, "{total:?}");
    let (total, direct) = of(0);
    assert!((total.margin() - direct.margin()).abs() > 1e-3, "{total:?} {direct:?}");
}

#[test]
fn gradients_rank_as_small_doses_do() {
    let Recorded { trace, examples, .. } = &*RECORDED;
    let asked = Asked::all(&examples[1], 1);
    let last = examples[1].questions.len() - 1;
    let gradients = replay().margin_gradients(asked, last).unwrap();
    let reads = HeadRead::of_trace(trace, 1, examples[1].questions[last].position, None, None).unwrap();
    let mut estimates: Vec<(f64, usize, usize, usize)> = Vec::new();
    for read in &reads {
        let of =
            |step: usize| (read.tape.strength(read.erase, step) * gradients[&read.layer][[step, read.head]], read.layer, read.head, step);
        estimates.extend((0..=read.step()).map(of));
    }
    estimates.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    for &(estimate, layer, head, step) in &estimates[..6] {
        let margin = |factor: f64| {
            let interventions = [Intervention { change: Change::ScaleErase { factor }, at: Where::event(layer, head, step) }];
            let run = Run { asked, interventions: &interventions, path: Path::Total };
            replay().scores(&[run]).unwrap()[0][last].margin()
        };
        let slope = (margin(1.1) - margin(0.9)) / 0.2;
        assert!(
            slope.abs() > 1e-3 && (slope - estimate).abs() < 0.1 * slope.abs() + 1e-3,
            "layer {layer} head {head} step {step}: {slope} {estimate}"
        );
    }
}

#[test]
fn sequences_run_together_as_they_run_alone() {
    let Recorded { trace, examples, .. } = &*RECORDED;
    let lists = [vec![Intervention::everywhere(Change::RemoveErase)], vec![Intervention::everywhere(Change::NoDecay)]];
    let all = replay().effects(trace, |_| lists.to_vec(), |_, _| {}).unwrap();
    assert_eq!(all.len(), examples.len());
    let alone = Run { asked: Asked::all(&examples[4], 4), interventions: &lists[1], path: Path::Total };
    let found = replay().scores(&[alone]).unwrap();
    for (together, alone) in all[4].runs[1].iter().zip(&found[0]) {
        assert!(close(together.gold, alone.gold), "{together:?} {alone:?}");
    }
    let answers = Answer::of_trace(trace, examples).unwrap().unwrap();
    for (sequence, answers) in all.iter().zip(&answers) {
        assert!(sequence.as_it_is.iter().zip(answers).all(|(a, b)| close(a.gold, b.gold_log_probability) && a.predicted == b.predicted));
    }
}

#[test]
fn a_branch_is_the_run_with_interventions_from_there_on() {
    let Recorded { opened, examples, .. } = &*RECORDED;
    let (tokens, branch_at) = (&examples[2].tokens, 20);
    let from_there =
        Intervention { change: Change::RemoveErase, at: Where { steps: Steps::Range(branch_at, usize::MAX), ..Where::default() } };
    let mut whole = LiveReplay::new(&opened.model);
    whole.interventions = vec![from_there];
    let wanted = whole.advance(tokens).unwrap();
    let mut plain = LiveReplay::new(&opened.model);
    let mut first = plain.advance(&tokens[..branch_at]).unwrap();
    let mut branch = plain.clone();
    branch.interventions = vec![Intervention::everywhere(Change::RemoveErase)];
    first.extend(branch.advance(&tokens[branch_at..]).unwrap());
    let worst = first.iter().flatten().zip(wanted.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
    let as_it_is = plain.advance(&tokens[branch_at..]).unwrap();
    assert!(as_it_is.iter().flatten().zip(wanted[branch_at..].iter().flatten()).any(|(a, b)| (a - b).abs() > 0.01));
    assert_eq!((branch.position(), branch.memory(1).unwrap().shape()), (tokens.len(), &[1, 2, 32, 32][..]));
    assert!(branch.advance(&[]).unwrap().is_empty());
}

#[test]
fn a_trace_is_matched_with_its_own_weights_only() {
    let Recorded { opened, trace, .. } = &*RECORDED;
    let (other, _) = LanguageModel::new(opened.model.config().clone(), 1).unwrap();
    let error = NetworkReplay::of_trace(&other, trace, 0).err().unwrap();
    assert!(matches!(error, NetworkError::OtherWeights { .. }) && error.to_string().contains("--model"), "{error}");
    let sample = Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 4, key_head: 1, head: 1, d_k: 3, d_v: 3 },
        seed: 1,
        starts_filled: false,
    };
    let (_folder, imported) = trace_of(&sample.factors(pentimento::memory::Rule::Eda));
    assert!(matches!(NetworkReplay::of_trace(&opened.model, &imported, 0), Err(NetworkError::UnknownWeights)));
}

#[test]
fn changes_of_scores_add_up() {
    let like = pentimento::intervene::Scores { predicted: 0, gold: -1.0, stale: Some(-2.0), foil: None };
    let change = |gold, stale| ScoreChange { gold, stale: Some(stale), foil: None };
    let sum = ScoreChange::sum(&[change(0.5, 1.0), change(0.25, -2.0)], &like);
    assert_eq!(sum, change(0.75, -1.0));
    assert!((sum.margin() - 1.75).abs() < 1e-15);
    assert_eq!(change(2.0, 0.0).beyond(&sum), change(1.25, 1.0));
    assert!((like.margin() - 1.0).abs() < 1e-15);
}

#[test]
fn a_read_put_back_changed_changes_the_answer_and_nothing_else() {
    let replay = replay();
    let asked: Vec<Asked> = RECORDED.examples.iter().enumerate().map(|(index, example)| Asked::all(example, index as u64)).collect();
    let (reads, as_it_is) = replay.question_reads(&asked).unwrap();
    let n_questions: usize = RECORDED.examples.iter().map(|example| example.questions.len()).sum();
    let recorded = Answer::of_trace(&RECORDED.trace, &RECORDED.examples).unwrap().unwrap();
    for (scores, answers) in as_it_is.iter().flatten().zip(recorded.iter().flatten()) {
        assert!((scores.gold - answers.gold_log_probability).abs() < 1e-3);
    }
    assert_eq!(reads.len(), RECORDED.trace.layers().len());
    for layer in &reads {
        assert_eq!(layer.reads.shape()[0], n_questions);
        let with = |factor: f32| {
            let changes = &layer.reads * factor;
            replay.scores_with_reads(&asked, ReadEdits { layer: layer.layer, changes: &changes }).unwrap()
        };
        let moved = |other: &[Vec<pentimento::intervene::Scores>]| {
            let pairs = as_it_is.iter().flatten().zip(other.iter().flatten());
            pairs.map(|(before, after)| (before.gold - after.gold).abs()).fold(0.0, f64::max)
        };
        assert!(moved(&with(0.0)) < 1e-5);
        // Nothing is read at questions.
        assert!(moved(&with(-1.0)) > 1e-3, "layer {}", layer.layer);
    }
}
