//! Compare: two traces and two runs, by numbers made by hand and by what the panel's parts are called.

use egui_kittest::kittest::Queryable;
use pentimento::app::action::Action;
use pentimento::app::panel::{PanelKind, compare};
use pentimento::measure::{HeadQuantity, StatisticsOptions, Truth, answer_differences, head_differences, head_table, pairing};
use pentimento::task::Example;
use pentimento::trace::Answer;

use super::sample;
use super::window::{core, settle, with_trace};

#[test]
fn the_same_task_pairs_every_sequence_and_every_token() {
    let (a, b) = (sample::open("eda"), sample::open("kda"));
    let found = pairing(a.trace(), b.trace()).unwrap();
    assert_eq!(found.pairs, (0..sample::SEQUENCES).map(|n| (n, n)).collect::<Vec<_>>());
    assert!(found.is_whole);
    assert_eq!(found.sequence(2), Some(2));
    let steps = found.steps([1, 1]);
    assert_eq!(steps, (0..a.trace().n_steps()).map(Some).collect::<Vec<_>>());
    // Another sequence has other tokens: the same occurrence of a token, or none.
    let tokens = a.trace().tokens().unwrap().unwrap();
    for (step, other) in found.steps([0, 3]).into_iter().enumerate() {
        let Some(other) = other else { continue };
        assert_eq!(tokens[[0, step]], tokens[[3, other]]);
        let before = |row: usize, end: usize| (0..end).filter(|&at| tokens[[row, at]] == tokens[[0, step]]).count();
        assert_eq!(before(0, step), before(3, other));
    }
    assert!(found.remarks.iter().any(|remark| remark.contains("Rules differ: eda and kda")), "{:?}", found.remarks);
}

#[test]
fn a_trace_differs_from_itself_by_nothing_and_from_its_twin_by_the_paired_mean() {
    let (a, b) = (sample::open("eda"), sample::open("kda"));
    let options = StatisticsOptions { resamples: 200, ..StatisticsOptions::default() };
    let truth = Truth::KeyLikeness { threshold: Truth::LIKENESS };
    let table = |open: &pentimento::app::open_trace::OpenTrace| head_table(open.trace(), &truth, HeadQuantity::MeanRetention).unwrap();
    let (one, two) = (table(&a), table(&b));
    let pairs: Vec<(usize, usize)> = (0..sample::SEQUENCES).map(|n| (n, n)).collect();
    for head in head_differences(&one, &one, &pairs, &options).unwrap() {
        assert_eq!((head.found.difference.estimate, head.found.difference.bounds()), (0.0, Some((0.0, 0.0))));
    }
    let found = head_differences(&one, &two, &pairs, &options).unwrap();
    assert_eq!(found.len(), 4);
    for head in &found {
        let mean = |table: &pentimento::measure::HeadTable| table.heads[&head.id].iter().flatten().sum::<f64>() / 4.0;
        assert!((head.found.difference.estimate - (mean(&one) - mean(&two))).abs() < 1e-12);
        let (low, high) = head.found.difference.bounds().unwrap();
        assert!(low < head.found.difference.estimate && head.found.difference.estimate < high);
    }
    // Nothing is paired: a difference, but no interval.
    let loose = head_differences(&one, &two, &[], &options).unwrap();
    assert!(loose.iter().all(|head| head.found.difference.bounds().is_none() && head.found.a.bounds().is_some()));
}

#[test]
fn answers_differ_inside_pairs() {
    let a = sample::open("eda");
    let examples: Vec<Example> = a.trace().labels().unwrap().unwrap();
    let right: Vec<Vec<Answer>> = Answer::of_trace(a.trace(), &examples).unwrap().unwrap();
    let right: Vec<Vec<Answer>> = right
        .iter()
        .zip(&examples)
        .map(|(answers, example)| {
            answers.iter().zip(&example.questions).map(|(answer, question)| Answer { predicted: question.gold, ..*answer }).collect()
        })
        .collect();
    // The second answers the first question of every sequence wrongly.
    let mut wrong = right.clone();
    wrong.iter_mut().filter_map(|answers| answers.first_mut()).for_each(|answer| answer.predicted = u32::MAX);
    let pairs: Vec<(usize, usize)> = (0..examples.len()).map(|n| (n, n)).collect();
    let options = StatisticsOptions { resamples: 200, ..StatisticsOptions::default() };
    let found = answer_differences([(&examples, &right), (&examples, &wrong)], &pairs, &options);
    let all = &found[0];
    let shares: Vec<f64> = examples.iter().filter(|e| !e.questions.is_empty()).map(|e| 1.0 / e.questions.len() as f64).collect();
    let expected = shares.iter().sum::<f64>() / shares.len() as f64;
    assert_eq!(all.condition, None);
    assert_eq!(all.accuracy.a.estimate, 1.0);
    assert!((all.accuracy.difference.estimate - expected).abs() < 1e-12);
    assert_eq!(all.gold_log_probability.difference.estimate, 0.0);
    // Four sequences without an error do not show that there are none, nor that the models are equal.
    assert!(all.accuracy.a.low.unwrap() < 0.7);
    let same = answer_differences([(&examples, &right), (&examples, &right)], &pairs, &options);
    assert!(same[0].accuracy.difference.high.unwrap() > 0.3);
}

#[test]
fn one_trace_alone_says_what_to_open_and_two_are_locked_by_token() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Compare));
    settle(&mut harness);
    harness.get_by_label("Only one trace is open");
    core(&mut harness).act(Action::Open(vec![sample::path("kda")]));
    settle(&mut harness);
    core(&mut harness).act(Action::SelectTrace(0));
    settle(&mut harness);
    harness.get_by_label_contains("Compare erase strength γ. A mean 0.");
    harness.get_by_label_contains("4 sequences are the same on both sides.");
    for (page, label) in
        [("Memory", "Compare memory A − B. 32 key channels by 32 value channels"), ("Heads", "Differences of heads. layer 0 head 0:")]
    {
        harness.get_all_by_label(page).last().unwrap().click();
        settle(&mut harness);
        harness.get_by_label_contains(label);
    }
    let view = compare::View { page: compare::Page::Answers, ..compare::View::default() };
    core(&mut harness).act(Action::SetView { panel: PanelKind::Compare, view: serde_json::to_value(view).unwrap() });
    settle(&mut harness);
    harness.get_by_label("Right answers, share");
    let view = compare::View { page: compare::Page::Headline, ..compare::View::default() };
    core(&mut harness).act(Action::SetView { panel: PanelKind::Compare, view: serde_json::to_value(view).unwrap() });
    settle(&mut harness);
    harness.get_by_label_contains("B (kda) has no erase");
}
