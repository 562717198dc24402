//! Every change is an action; undo takes back what people think of as one thing.

use pentimento::app::action::{Action, Effect, Outside, Overlay};
use pentimento::app::layout::{Layout, Preset};
use pentimento::app::open_trace::TraceSource;
use pentimento::app::panel::{PanelKind, memory};
use pentimento::app::selection::{Selection, StepSet, Token};
use pentimento::app::session::Session;
use pentimento::app::settings::Settings;
use pentimento::app::workspace::Workspace;

use super::sample;

fn opened(names: &[&str]) -> Session {
    let mut session = Session::new(Settings::default());
    for name in names {
        session.apply(Action::Opened(sample::open(name)));
    }
    session
}

fn step(session: &Session) -> usize {
    session.selection().step
}

#[test]
fn selection_stays_within_the_trace() {
    let mut session = opened(&["eda"]);
    session.apply(Action::Select(Selection {
        trace: 7,
        sequence: 99,
        layer: 99,
        head: 99,
        step: 999,
        write: Some(999),
        ..Selection::default()
    }));
    let found = session.selection();
    assert_eq!((found.trace, found.sequence, found.layer, found.head, found.step, found.write), (0, 3, 0, 1, 63, None));
    session.apply(Action::MoveStep(1));
    assert_eq!(step(&session), 63);
    session.apply(Action::MoveStep(-200));
    assert_eq!(step(&session), 0);
}

#[test]
fn nothing_happens_without_a_trace() {
    let mut session = Session::new(Settings::default());
    for action in [
        Action::MoveStep(5),
        Action::SelectToken { sequence: 1, step: 4 },
        Action::InvertPicked,
        Action::AddBookmark(String::new()),
        Action::Play(true),
        Action::Close(3),
        Action::RemoveBookmark(0),
        Action::GoToBookmark(9),
    ] {
        assert!(session.apply(action).is_empty());
    }
    assert_eq!(*session.selection(), Selection::default());
    assert!(session.focus().is_none() && !session.playing().0 && session.bookmarks().is_empty());
}

#[test]
fn a_scrub_is_one_step_of_undo_and_a_click_another() {
    let mut session = opened(&["eda"]);
    let began = step(&session);
    for to in [10, 11, 12] {
        session.apply(Action::SelectStep(to));
    }
    session.end_gesture();
    session.apply(Action::SelectStep(40));
    session.apply(Action::Undo);
    assert_eq!(step(&session), 12);
    session.apply(Action::Undo);
    assert_eq!(step(&session), began);
    session.apply(Action::Redo);
    session.apply(Action::Redo);
    assert_eq!(step(&session), 40);
    assert_eq!(session.apply(Action::Redo), [Effect::Say("Nothing to redo".to_owned())]);
}

#[test]
fn undo_takes_back_views_layouts_bookmarks_and_picks_but_no_settings() {
    let mut session = opened(&["eda"]);
    let before = session.state().clone();
    let view = memory::View { show: memory::Show::Large, ..memory::View::default() };
    session.apply(Action::SetView { panel: PanelKind::Memory, view: serde_json::to_value(view).unwrap() });
    session.apply(Action::Arrange(Preset::OneMemory));
    session.apply(Action::AddBookmark("here".to_owned()));
    session.apply(Action::PickSteps([Token::new(0, 3)].into_iter().collect()));
    session.apply(Action::SetZoom(1.5));
    assert_eq!(session.view::<memory::View>(), view);
    for _ in 0..4 {
        session.apply(Action::Undo);
    }
    assert_eq!(*session.state(), before);
    assert!((session.settings().zoom - 1.5).abs() < 1e-6);
}

#[test]
fn picks_are_joined_inverted_and_cleared() {
    let mut session = opened(&["eda"]);
    let set = |tokens: &[(usize, usize)]| tokens.iter().map(|(sequence, step)| Token::new(*sequence, *step)).collect::<StepSet>();
    session.apply(Action::PickSteps(set(&[(0, 1), (2, 5)])));
    session.apply(Action::PickMoreSteps(set(&[(2, 6), (2, 5)])));
    assert_eq!(session.selection().steps, set(&[(0, 1), (2, 5), (2, 6)]));
    assert_eq!(session.selection().steps.of_sequence(2).collect::<Vec<_>>(), [5, 6]);
    session.apply(Action::InvertPicked);
    assert_eq!(session.selection().steps.len(), sample::SEQUENCES * 64 - 3);
    assert!(!session.selection().steps.contains(2, 5) && session.selection().steps.contains(1, 5));
    session.apply(Action::Escape);
    assert!(session.selection().steps.is_empty());
}

#[test]
fn playing_comes_round_in_its_loop_and_stops_nowhere_else() {
    let mut session = opened(&["eda"]);
    session.apply(Action::SetLoop(Some((30, 20))));
    session.apply(Action::Play(true));
    session.apply(Action::SelectStep(29));
    session.apply(Action::MoveStep(1));
    assert_eq!(step(&session), 30);
    session.apply(Action::MoveStep(1));
    assert_eq!(step(&session), 20);
    session.apply(Action::Play(false));
    session.apply(Action::SelectStep(30));
    session.apply(Action::MoveStep(1));
    assert_eq!(step(&session), 31, "a key press may leave the loop");
}

#[test]
fn a_closed_trace_leaves_the_other_selected() {
    let mut session = opened(&["eda", "kda"]);
    assert_eq!(session.selection().trace, 1);
    session.apply(Action::SelectTrace(0));
    session.apply(Action::Close(0));
    assert_eq!(session.focus().unwrap().trace.name(), "kda");
    session.apply(Action::Close(0));
    assert!(session.focus().is_none());
}

#[test]
fn opening_again_replaces_and_is_remembered_once() {
    let mut session = opened(&["eda", "kda"]);
    let old = session.traces()[0].clone();
    session.apply(Action::Opened(sample::open("eda")));
    assert_eq!(session.traces().len(), 2);
    assert_ne!(session.traces()[0], old, "answers of the old recording are not those of the new one");
    assert_eq!(session.settings().recent.len(), 2);
}

#[test]
fn a_workspace_gives_back_what_was_saved_wherever_its_folder_lies() {
    let folder = tempfile::tempdir().unwrap();
    let inside = sample::copy("eda", folder.path());
    let mut session = Session::new(Settings::default());
    let open = |path: &std::path::Path| pentimento::app::open_trace::OpenTrace::open(path, TraceSource::Path(path.to_path_buf())).unwrap();
    session.apply(Action::Opened(sample::open("kda")));
    session.apply(Action::Opened(open(&inside)));
    session.apply(Action::SelectToken { sequence: 2, step: 17 });
    session.apply(Action::Arrange(Preset::OneMemory));
    session.apply(Action::AddBookmark("a place".to_owned()));
    let file = folder.path().join("study.pentimento");
    session.workspace().write(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"eda.trace.zarr\""), "traces beside the file are named relative to it");

    let moved = tempfile::tempdir().unwrap();
    sample::copy("eda", moved.path());
    std::fs::copy(&file, moved.path().join("study.pentimento")).unwrap();
    let workspace = Workspace::read(&moved.path().join("study.pentimento")).unwrap();
    let mut restored = Session::new(Settings::default());
    let effects = restored.restore(workspace);
    let sources: Vec<TraceSource> =
        effects.into_iter().map(|effect| if let Effect::OpenSource(source) = effect { source } else { panic!("{effect:?}") }).collect();
    assert_eq!(sources[1], TraceSource::Path(moved.path().join("eda.trace.zarr")));
    // They may be opened in any order.
    for source in sources.iter().rev() {
        let TraceSource::Path(path) = source else { panic!("{source:?}") };
        restored.apply(Action::Opened(pentimento::app::open_trace::OpenTrace::open(path, source.clone()).unwrap()));
    }
    let names: Vec<&str> = restored.traces().iter().map(pentimento::app::open_trace::OpenTrace::name).collect();
    assert_eq!(names, ["kda", "eda"]);
    assert_eq!(restored.state(), session.state());
}

#[test]
fn every_preset_shows_its_panels_once_and_survives_a_file() {
    for preset in Preset::ALL {
        let layout = Layout::preset(preset);
        let panels = layout.panels();
        assert!(!panels.is_empty(), "{preset:?}: {panels:?}");
        assert!(panels.windows(2).all(|pair| pair[0] < pair[1]), "{preset:?}: {panels:?}");
        let again: Layout = serde_json::from_str(&serde_json::to_string(&layout).unwrap()).unwrap();
        assert!(again.checked() == layout, "{preset:?}");
    }
}

#[test]
fn a_shown_panel_is_in_the_window_and_a_hidden_one_is_not() {
    let mut layout = Layout::preset(Preset::OneMemory);
    assert!(!layout.panels().contains(&PanelKind::Cleanup));
    layout.show(PanelKind::Cleanup);
    layout.show(PanelKind::Cleanup);
    assert_eq!(layout.panels().iter().filter(|panel| **panel == PanelKind::Cleanup).count(), 1);
    layout.hide(PanelKind::Cleanup);
    assert!(!layout.panels().contains(&PanelKind::Cleanup));
}

#[test]
fn every_action_survives_json() {
    let actions = [
        Action::Open(vec!["a.trace.zarr".into()]),
        Action::SelectHead { layer: 1, head: 2 },
        Action::PickSteps([Token::new(1, 2)].into_iter().collect()),
        Action::SetLayout(Box::default()),
        Action::Toggle(Overlay::Palette),
        Outside::Export { panel: PanelKind::Cleanup, stem: "f".into(), formats: vec![pentimento::figure::Format::Svg] }.into(),
        Action::SetSettings(Settings::default()),
        Action::Undo,
    ];
    for action in actions {
        let text = serde_json::to_string(&action).unwrap();
        assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action, "{text}");
    }
}

#[test]
fn settings_are_brought_into_their_ranges() {
    let wild = Settings { zoom: f32::NAN, cache_megabytes: 0, ..Settings::default() }.within_ranges();
    assert_eq!((wild.zoom.to_bits(), wild.cache_megabytes), (1.0_f32.to_bits(), 16));
}

#[test]
fn a_trace_opens_where_a_fact_goes_stale() {
    let session = opened(&["eda"]);
    let selection = session.selection();
    let examples = session.traces()[0].trace().labels::<pentimento::task::Example>().unwrap().unwrap();
    let stale = examples[selection.sequence].writes.iter().filter_map(|write| Some((write.stale_at()?, write.position))).min();
    assert_eq!(stale, Some((selection.step, selection.write.unwrap())));
    assert!(examples[..selection.sequence].iter().all(|example| example.writes.iter().all(|write| write.stale_at().is_none())));
}
