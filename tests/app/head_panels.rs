//! Directions, Fate, Attention and Heads, by what their parts are called.

use egui_kittest::kittest::Queryable;
use pentimento::app::action::{Action, Outside};
use pentimento::app::panel::PanelKind;
use pentimento::app::panel::{attention, fate, heads};
use pentimento::measure::HeadQuantity;

use super::window::{core, settle, with_trace};

fn show(harness: &mut egui_kittest::Harness<'static, Option<pentimento::app::core::Core>>, panel: PanelKind) {
    core(harness).act(Action::ShowPanel(panel));
    settle(harness);
}

fn view(panel: PanelKind, view: impl serde::Serialize) -> Action {
    Action::SetView { panel, view: serde_json::to_value(view).unwrap() }
}

#[test]
fn a_fate_follows_the_step_until_it_is_held_and_its_list_jumps() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::SelectWrite(None));
    core(&mut harness).act(Action::SelectStep(10));
    show(&mut harness, PanelKind::Fate);
    harness.get_by_label_contains("Fate of a write. After 53 steps: surviving");
    harness.get_by_label("Hold").click();
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.selection().write, Some(10));
    core(&mut harness).act(Action::SelectStep(60));
    settle(&mut harness);
    harness.get_by_label_contains("Fate of a write. After 53 steps: surviving");
    let removals: Vec<_> = harness.query_all_by_label_contains("took").filter(|node| node.rect().height() < 30.0).collect();
    assert!(!removals.is_empty());
    removals[0].click();
    settle(&mut harness);
    let step = core(&mut harness).session.selection().step;
    assert!(step > 10 && step != 60, "{step}");
    harness.get_by_label("Release").click();
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.selection().write, None);
}

#[test]
fn all_writes_of_a_role_are_followed_with_intervals() {
    let mut harness = with_trace("eda");
    show(&mut harness, PanelKind::Fate);
    harness.get_by_label("Stale facts").click();
    settle(&mut harness);
    let of: fate::View = core(&mut harness).session.view();
    assert_eq!(of.of, fate::Of::Stale);
    harness.get_by_label_contains("Fate of stale facts. ");
    harness.get_by_label("uniquely by the erase");
    core(&mut harness).act(view(PanelKind::Fate, fate::View { of: fate::Of::Kept, ..of }));
    settle(&mut harness);
    harness.get_by_label_contains("Fate of kept facts. ");
}

#[test]
fn attention_tells_what_a_read_rests_on_and_a_cell_selects_read_and_write() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::SelectStep(40));
    show(&mut harness, PanelKind::Attention);
    harness.get_by_label("The read of step 40 rests on");
    let matrix = harness.get_by_label_contains("Exact attention. 64 reads by 64 writes").rect();
    // The cell of read 48 and write 16: three quarters down, one quarter across.
    let cell = matrix.left_top() + egui::vec2(16.5 / 64.0 * matrix.width(), 48.5 / 64.0 * matrix.height());
    harness.hover_at(cell);
    harness.step();
    harness.drag_at(cell);
    harness.step();
    harness.drop_at(cell);
    settle(&mut harness);
    let selection = core(&mut harness).session.selection().clone();
    assert_eq!((selection.step, selection.write), (48, Some(16)));
    harness.get_by_label("The read of step 48 rests on");
    core(&mut harness).act(view(PanelKind::Attention, attention::View { show: attention::Show::Row, ..attention::View::default() }));
    settle(&mut harness);
    harness.get_by_label_contains("Exact attention of one read. The read of step 48 over 49 writes");
}

#[test]
fn directions_show_chance_and_a_click_looks_at_a_step() {
    let mut harness = with_trace("eda");
    show(&mut harness, PanelKind::Directions);
    let lane = harness.get_by_label_contains("Directions: erase to write of the same step. ").rect();
    harness.get_by_label_contains("Directions: to the key of the fact that the step supersedes. ");
    assert!(harness.query_all_by_label_contains("independent directions of 32 channels give 0.142").count() >= 2);
    let place = lane.left_top() + egui::vec2(20.5 / 64.0 * lane.width(), lane.height() / 2.0);
    harness.hover_at(place);
    harness.step();
    harness.drag_at(place);
    harness.step();
    harness.drop_at(place);
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.selection().step, 20);
    harness.get_by_label("Against keys").click();
    settle(&mut harness);
    harness.get_by_label_contains("Directions against keys. Cosines of the erase directions");
}

#[test]
fn heads_are_sorted_by_any_measure_and_a_click_looks_at_one() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::SelectHead { layer: 0, head: 0 });
    show(&mut harness, PanelKind::Heads);
    harness.get_by_label_contains("Head atlas. erase strength γ of 4 heads; largest: ");
    for quantity in [HeadQuantity::AbsoluteCosine, HeadQuantity::EffectiveRank, HeadQuantity::StaleErased] {
        core(&mut harness).act(view(PanelKind::Heads, heads::View { quantity, ..heads::View::default() }));
        settle(&mut harness);
        assert_eq!(core(&mut harness).errors(), Vec::<String>::new(), "{quantity:?}");
        harness.get_by_label_contains("Head atlas. ");
    }
    let view_of = heads::View { show: heads::Show::List, ..heads::View::default() };
    core(&mut harness).act(view(PanelKind::Heads, view_of));
    settle(&mut harness);
    let rows: Vec<String> = ["layer 0 head 0:", "layer 0 head 1:", "layer 1 head 0:", "layer 1 head 1:"].map(str::to_owned).to_vec();
    let mut tops: Vec<(f32, String)> = rows.iter().map(|row| (harness.get_by_label_contains(row).rect().top(), row.clone())).collect();
    tops.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(tops.len(), 4);
    harness.get_by_label_contains("layer 1 head 1:").click();
    settle(&mut harness);
    let selection = core(&mut harness).session.selection().clone();
    assert_eq!((selection.layer, selection.head), (1, 1));
}

#[test]
fn each_panel_exports_a_figure() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = with_trace("eda");
    for panel in [PanelKind::Directions, PanelKind::Fate, PanelKind::Attention, PanelKind::Heads] {
        show(&mut harness, panel);
        let formats = vec![pentimento::figure::Format::Svg];
        core(&mut harness).act(Outside::Export { panel, stem: folder.path().join(panel.name()), formats });
        settle(&mut harness);
        assert_eq!(core(&mut harness).errors(), Vec::<String>::new(), "{panel:?}");
        for extension in ["svg", "csv", "json"] {
            assert!(folder.path().join(format!("{}.{extension}", panel.name())).exists(), "{panel:?} {extension}");
        }
    }
}
