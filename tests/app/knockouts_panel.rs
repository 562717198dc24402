//! The panel *Knockouts* by what its parts are called.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use pentimento::app::action::{Action, Outside};
use pentimento::app::core::Core;
use pentimento::app::layout::Preset;
use pentimento::app::panel::PanelKind;

use super::window::{core, with_trace};

/// One question leads to the next here, further than one rest: sequence, model, what is served, account.
fn settle(harness: &mut Harness<'static, Option<Core>>) {
    for _ in 0..3 {
        super::window::settle(harness);
    }
}

fn at(step: usize) -> Harness<'static, Option<Core>> {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::Arrange(Preset::OneAnswer));
    core(&mut harness).act(Action::ShowPanel(PanelKind::Knockouts));
    core(&mut harness).act(Action::SelectHead { layer: 1, head: 0 });
    core(&mut harness).act(Action::SelectToken { sequence: 0, step });
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    harness
}

#[test]
fn an_erase_leads_to_the_answer_it_serves_and_to_what_is_said_without_it() {
    let mut harness = at(42);
    // Nothing was clicked in the panel: it follows the erase to the answer at step 42, which rests on it.
    harness.get_by_label_contains("Sequence 0, question 1: k30 ? at step 42. Right: v0. The model says v0");
    harness.get_by_label("It answers v6 instead of v0.");
    harness.get_by_label_contains("Map of knockouts. Change of the log-odds without each single erase");
    harness.get_by_label_contains("Dose curve. at factor 0 the probability of the right answer is");
    let event = "Layer 1 head 1, step 42 ('k30'): the erase";
    harness.get_by_label_contains(event).click();
    settle(&mut harness);
    let selection = core(&mut harness).session.selection().clone();
    assert_eq!((selection.layer, selection.head, selection.step), (1, 1, 42), "a click looks at the erase in every panel");
    harness.get_by_label_contains("Sequence 0, question 1:");
}

#[test]
fn as_it_is_nothing_changes_and_the_list_keeps_what_is_added() {
    let mut harness = at(42);
    harness.get_by_label("as it is").click();
    settle(&mut harness);
    harness.get_by_label("It still answers v0.");
    harness.get_by_label("left out").click();
    settle(&mut harness);
    harness.get_by_label("Add to the list").click();
    settle(&mut harness);
    harness.get_by_label("layer 1 head 0 step 42: erase strength times 0").click();
    settle(&mut harness);
    harness.get_by_label("It still answers v0.");
    harness.get_by_label("Remove change 1 from the list").click();
    settle(&mut harness);
    assert!(harness.query_by_label("layer 1 head 0 step 42: erase strength times 0").is_none());
}

#[test]
fn a_model_without_erase_says_so_and_names_a_command() {
    let mut harness = with_trace("kda");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Knockouts));
    settle(&mut harness);
    harness.get_by_label_contains("--gate write");
}

#[test]
fn the_figure_is_the_map_of_the_answer_shown() {
    let mut harness = at(42);
    let folder = tempfile::tempdir().unwrap();
    let export = Outside::Export {
        panel: PanelKind::Knockouts,
        stem: folder.path().join("knockout"),
        formats: vec![pentimento::figure::Format::Svg],
    };
    core(&mut harness).act(export);
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    let svg = std::fs::read_to_string(folder.path().join("knockout.svg")).unwrap();
    assert!(svg.contains("k30 ? v0"), "the figure names the answer");
}
