//! The panel *Live model* by what its parts are called.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use pentimento::app::action::Action;
use pentimento::app::core::Core;
use pentimento::app::panel::PanelKind;
use serde_json::json;

use super::window::{core, with_trace};

/// One question leads to the next here, further than one rest: model, sequence, run, trace.
fn settle(harness: &mut Harness<'static, Option<Core>>) {
    for _ in 0..3 {
        super::window::settle(harness);
    }
}

fn live(view: serde_json::Value) -> Harness<'static, Option<Core>> {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Live));
    core(&mut harness).act(Action::SetView { panel: PanelKind::Live, view });
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    harness
}

fn traces(harness: &mut Harness<'static, Option<Core>>) -> Vec<(String, usize)> {
    let traces = core(harness).session.traces();
    traces.iter().map(|open| (open.name().to_owned(), open.trace().n_steps())).collect()
}

#[test]
fn a_run_goes_step_by_step_as_an_open_trace_and_to_its_end() {
    let mut harness = live(json!({}));
    assert_eq!(traces(&mut harness).len(), 1, "nothing is read before somebody asks for it");
    harness.get_by_label("10 steps").click();
    settle(&mut harness);
    assert_eq!(traces(&mut harness)[1], ("live".to_owned(), 10));
    assert_eq!(core(&mut harness).session.selection().step, 9, "the other panels look at the last step");
    harness.get_by_label("Run").click();
    settle(&mut harness);
    assert_eq!(traces(&mut harness), [("eda".to_owned(), 64), ("live".to_owned(), 64)]);
    harness.get_by_label_contains("p of the right answer, at each question. as it is: mean");
    harness.get_by_label_contains("Step 5: ").click();
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.selection().step, 5);
    assert!(
        core(&mut harness).session.settings().recent.iter().all(pentimento::app::open_trace::TraceSource::lasts),
        "a live run cannot be opened again"
    );
    assert_eq!(core(&mut harness).session.workspace().traces().len(), 1);
}

#[test]
fn words_that_the_model_does_not_know_are_named() {
    let mut harness = live(json!({ "reads": "text", "text": "k3 v5 kangaroo k3", "steps": null }));
    harness.get_by_label("The model does not know 'kangaroo': it is left out.");
    assert_eq!(traces(&mut harness)[1], ("live".to_owned(), 3));
}

#[test]
fn a_branch_does_otherwise_from_its_step_on() {
    let change = json!({ "do": "scale_erase", "factor": 0.0, "from": 30 });
    let branch = json!({ "from": 30, "changes": [{ "change": change, "on": true }] });
    let mut harness = live(json!({ "steps": null, "branches": [branch], "branch": 1 }));
    harness.get_by_label("from step 30 on: erase strength times 0");
    harness.get_by_label_contains("branch 1: mean");
    let open = core(&mut harness).session.focus().unwrap().trace.clone();
    assert_eq!(open.name(), "live, branch 1");
    let factors = open.trace().factors(0, 0..1, 0..64).unwrap();
    let strength = factors.per_head(pentimento::memory::HookPoint::EraseStrength);
    assert!(strength[[0, 29, 0]] > 0.0 && strength[[0, 30, 0]] == 0.0);
    harness.get_by_label("Remove the branch").click();
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.focus().unwrap().trace.name(), "live");
}

#[test]
fn a_folder_without_a_model_is_refused_in_words() {
    let harness = live(json!({ "model": "no-such-folder" }));
    harness.get_by_label("This model cannot be opened");
}
