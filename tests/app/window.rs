//! The window by what its parts are called: as a person with a screen reader uses it. No renderer.

use std::time::Duration;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use pentimento::app::action::{Action, Outside, Overlay, Sought};
use pentimento::app::core::{Core, Folders};
use pentimento::app::layout::Preset;
use pentimento::app::panel::PanelKind;
use pentimento::app::selection::Token;
use pentimento::app::settings::{Appearance, Settings};

use super::sample;

/// The app in a window of 1400 by 900 points.
pub fn harness() -> Harness<'static, Option<Core>> {
    let folder = std::env::temp_dir().join(format!("pentimento-tests-{}", std::process::id()));
    let show = move |ui: &mut egui::Ui, core: &mut Option<Core>| {
        let settings = Settings { appearance: Appearance::Light, ..Settings::default() };
        core.get_or_insert_with(|| Core::new(ui.ctx(), settings, Folders { cache: folder.clone(), state: None })).ui(ui);
    };
    Harness::builder().with_size([1400.0, 900.0]).with_max_steps(64).build_ui_state(show, None)
}

pub fn core<'a>(harness: &'a mut Harness<'static, Option<Core>>) -> &'a mut Core {
    harness.state_mut().as_mut().unwrap()
}

/// Frames until nothing is under way and what is on screen is there.
pub fn settle(harness: &mut Harness<'static, Option<Core>>) {
    let mut quiet = 0;
    for _ in 0..200 {
        harness.step();
        assert!(core(harness).jobs.settle(Duration::from_mins(5)), "work does not end");
        quiet = if core(harness).jobs.is_idle() { quiet + 1 } else { 0 };
        if quiet == 4 {
            return;
        }
    }
    panic!("the window does not come to rest");
}

pub fn with_trace(name: &str) -> Harness<'static, Option<Core>> {
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::Open(vec![sample::path(name)]));
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    harness
}

#[test]
fn the_welcome_screen_offers_traces_and_a_tour() {
    let mut harness = harness();
    settle(&mut harness);
    harness.get_by_label("EDA, facts that go stale");
    harness.get_by_label("KDA, the same facts");
    harness.get_by_label("Tour").click();
    settle(&mut harness);
    harness.get_by_label("The headline");
    for _ in 0..5 {
        harness.get_by_label("Next").click();
        settle(&mut harness);
    }
    harness.get_by_label("Begin").click();
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.overlay(), None);
}

#[test]
fn the_headline_is_there_when_a_trace_opens_and_says_what_it_shows() {
    let harness = with_trace("eda");
    let plot = harness.get_by_label_contains(
        "Cleanup against decay. erase strength γ against mean retention ᾱ, 4 sequences; rank correlation inside heads",
    );
    assert!(plot.rect().width() > 300.0);
    harness.get_by_label_contains("Memory after write. 32 key channels by 32 value channels");
    harness.get_by_label_contains("Minimap");
}

#[test]
fn steps_move_by_button_by_key_and_by_number() {
    let mut harness = with_trace("eda");
    let step = |harness: &mut Harness<'static, Option<Core>>| core(harness).session.selection().step;
    core(&mut harness).act(Action::SelectStep(32));
    harness.get_by_label("One step on (Right)").click();
    settle(&mut harness);
    assert_eq!(step(&mut harness), 33);
    harness.key_press(egui::Key::ArrowLeft);
    harness.key_press(egui::Key::ArrowLeft);
    settle(&mut harness);
    assert_eq!(step(&mut harness), 31);
    harness.key_press(egui::Key::Home);
    settle(&mut harness);
    assert_eq!(step(&mut harness), 0);
    harness.key_press(egui::Key::End);
    settle(&mut harness);
    assert_eq!(step(&mut harness), 63);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    settle(&mut harness);
    assert_ne!(step(&mut harness), 63);
}

#[test]
fn play_moves_on_and_ends_at_the_end() {
    let mut harness = with_trace("eda");
    // The harness's clock moves a quarter of a second a frame.
    core(&mut harness).act(Action::SetSpeed(1.0));
    core(&mut harness).act(Action::SelectStep(60));
    harness.step();
    harness.get_by_label("Play (Space)").click();
    harness.run_steps(3);
    harness.get_by_label("Pause (Space)");
    harness.run_steps(60);
    let session = &core(&mut harness).session;
    assert_eq!((session.selection().step, session.playing().0), (63, false));
}

#[test]
fn the_palette_finds_by_a_few_letters_and_goes_to_steps() {
    let mut harness = with_trace("eda");
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::P);
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.overlay(), Some(Overlay::Palette));
    harness.get_by_label("Command").type_text("arr one mem");
    settle(&mut harness);
    harness.key_press(egui::Key::Enter);
    settle(&mut harness);
    let session = &core(&mut harness).session;
    assert_eq!(session.overlay(), None);
    assert!(!session.layout().panels().contains(&PanelKind::Cleanup));
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::P);
    settle(&mut harness);
    harness.get_by_label("Command").type_text("17");
    settle(&mut harness);
    harness.key_press(egui::Key::Enter);
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.selection().step, 17);
}

#[test]
fn a_drag_in_the_headline_picks_tokens_and_a_click_goes_to_one() {
    let mut harness = with_trace("eda");
    let plot = harness.get_by_label_contains("Cleanup against decay. ").rect();
    let drag = |harness: &mut Harness<'static, Option<Core>>, from: egui::Pos2, to: egui::Pos2| {
        harness.hover_at(from);
        harness.step();
        harness.drag_at(from);
        harness.step();
        for part in 1..=4 {
            harness.hover_at(from + (to - from) * part as f32 / 4.0);
            harness.step();
        }
        harness.drop_at(to);
        settle(harness);
    };
    drag(&mut harness, plot.left_top() + egui::vec2(2.0, 2.0), plot.right_bottom() - egui::vec2(2.0, 2.0));
    let all = core(&mut harness).session.selection().steps.len();
    assert!(all > 200, "nearly every token lies inside: {all}");
    drag(&mut harness, plot.left_top() + egui::vec2(2.0, 2.0), plot.center());
    let some = core(&mut harness).session.selection().steps.clone();
    assert!(!some.is_empty() && some.len() < all, "{}", some.len());
    harness.key_press(egui::Key::Escape);
    settle(&mut harness);
    assert!(core(&mut harness).session.selection().steps.is_empty());
    assert!(some.tokens().all(|token: Token| (token.sequence as usize) < sample::SEQUENCES && token.step < 64));
}

#[test]
fn a_fact_is_followed_by_its_bar() {
    let mut harness = with_trace("eda");
    let bars: Vec<_> = harness.query_all_by_label_contains("Write of ").collect();
    assert!(bars.len() >= 4, "{}", bars.len());
    bars[0].click();
    settle(&mut harness);
    let selection = core(&mut harness).session.selection().clone();
    assert_eq!(selection.write, Some(selection.step));
}

#[test]
fn every_panel_draws_with_a_trace_without_one_and_without_an_erase() {
    for name in [Some("eda"), Some("kda"), None] {
        let mut harness = name.map_or_else(harness, with_trace);
        harness.step();
        for panel in PanelKind::ALL {
            core(&mut harness).act(Action::ShowPanel(panel));
            settle(&mut harness);
        }
        for preset in Preset::ALL {
            core(&mut harness).act(Action::Arrange(preset));
            settle(&mut harness);
        }
        for appearance in Appearance::ALL {
            core(&mut harness).act(Action::SetAppearance(appearance));
            settle(&mut harness);
        }
        // The harness fails on a letter that no bundled font has: every page is visited.
        for page in ["step", "origin", "glossary"] {
            core(&mut harness).act(Action::SetView { panel: PanelKind::Details, view: serde_json::json!({ "page": page }) });
            settle(&mut harness);
        }
        for overlay in [Overlay::Palette, Overlay::Shortcuts, Overlay::Log, Overlay::Settings, Overlay::Tour] {
            core(&mut harness).act(Action::Toggle(overlay));
            settle(&mut harness);
            core(&mut harness).act(Action::Toggle(overlay));
        }
        assert_eq!(core(&mut harness).errors(), Vec::<String>::new(), "{name:?}");
        if name == Some("kda") {
            core(&mut harness).act(Action::Arrange(Preset::Overview));
            settle(&mut harness);
            harness.get_by_label("This model has no erase");
        }
    }
}

#[test]
fn every_panel_has_a_name_and_a_question_and_files_know_it() {
    let mut names = std::collections::BTreeSet::new();
    for panel in PanelKind::ALL {
        assert!(panel.question().ends_with('?'), "{panel:?}");
        assert_eq!(serde_json::to_value(panel).unwrap(), panel.name());
        assert!(names.insert(panel.title()), "{panel:?}");
    }
}

#[test]
fn the_headline_exports_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = with_trace("eda");
    let formats = vec![pentimento::figure::Format::Svg];
    core(&mut harness).act(Outside::Export { panel: PanelKind::Cleanup, stem: folder.path().join("headline"), formats });
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    let svg = std::fs::read_to_string(folder.path().join("headline.svg")).unwrap();
    assert!(svg.contains("<svg"));
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.path().join("headline.json")).unwrap()).unwrap();
    assert_eq!(json["provenance"]["made_from"].as_array().map(Vec::len), Some(1));
    assert!(folder.path().join("headline.csv").exists());
}

#[test]
fn what_cannot_be_opened_is_said_and_nothing_else_happens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no workspace").unwrap();
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::Open(vec![file, folder.path().join("nowhere.trace.zarr"), folder.path().to_path_buf()]));
    settle(&mut harness);
    let errors = core(&mut harness).errors();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("not a workspace of pentimento (it is not JSON")), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("nothing is there")), "{errors:?}");
    assert!(core(&mut harness).session.traces().is_empty());
}

#[test]
fn where_there_is_no_dialog_a_path_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = harness();
    harness.step();
    let typed = |harness: &mut Harness<'static, Option<Core>>, sought: Sought, path: &std::path::Path| {
        core(harness).act(Action::Toggle(Overlay::Path(sought)));
        settle(harness);
        harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        harness.get_by_label("Path").type_text(path.to_str().unwrap());
        settle(harness);
        harness.get_by_label("OK").click();
        settle(harness);
        assert_eq!(core(harness).session.overlay(), None);
        assert_eq!(core(harness).errors(), Vec::<String>::new());
    };
    typed(&mut harness, Sought::ToOpen, &sample::path("eda"));
    assert_eq!(core(&mut harness).session.focus().unwrap().trace.name(), "eda");
    typed(&mut harness, Sought::Workspace, &folder.path().join("all.pentimento"));
    typed(&mut harness, Sought::Figure(PanelKind::Cleanup), &folder.path().join("headline"));
    for file in ["all.pentimento", "headline.svg", "headline.pdf", "headline.png", "headline.csv", "headline.json"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn the_metadata_of_a_trace_stands_for_the_trace() {
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::Open(vec![sample::path("kda").join("zarr.json")]));
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    assert_eq!(core(&mut harness).session.focus().unwrap().trace.name(), "kda");
}
