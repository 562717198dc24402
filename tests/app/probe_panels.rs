//! Probes and Results, by what their parts are called.

use std::sync::OnceLock;

use egui_kittest::kittest::Queryable;
use pentimento::app::action::{Action, Outside};
use pentimento::app::data::Asked;
use pentimento::app::open_results::{FileKind, OpenResults};
use pentimento::app::panel::{PanelKind, probes, results};
use pentimento::memory::Phase;
use pentimento::model::open_model;
use pentimento::readout::{Extra, Feature, ReadoutOptions, Readouts, Target, readouts, readouts_watched};
use pentimento::record::{RecordSpec, record};
use pentimento::task::TaskSpec;
use pentimento::trace::Trace;

use super::sample;
use super::window::{core, harness, settle, with_trace};

/// Four sequences: two folds, and little else that takes time.
fn options() -> ReadoutOptions {
    ReadoutOptions {
        layers: Some(vec![1]),
        phases: vec![Phase::Before, Phase::Write],
        features: vec![Feature::Read],
        targets: vec![Target::Stale, Target::Current],
        extras: vec![Extra::Ceiling],
        folds: 2,
        resamples: 200,
        permutations: 20,
        ..ReadoutOptions::default()
    }
}

/// Sixteen sequences of the bundled model: the least that two folds can be made of.
fn trace() -> Trace {
    static RECORDED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RECORDED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let opened = open_model("bundled:eda-stale-facts", 0).unwrap();
        let task = TaskSpec::named("stale_facts").unwrap().build().unwrap().in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
        let path = folder.path().join("sixteen.trace.zarr");
        record(&opened.model, &serde_json::json!({ "name": opened.name }), &task, &RecordSpec::new(0..16), &path, |_, _| {}).unwrap();
        folder
    });
    Trace::open(folder.path().join("sixteen.trace.zarr")).unwrap()
}

/// Cards of it in a file.
fn cards(folder: &std::path::Path) -> (std::path::PathBuf, Readouts) {
    let found = readouts(&trace(), None, &options()).unwrap();
    let path = folder.join("cards.json");
    std::fs::write(&path, serde_json::to_string(&found).unwrap()).unwrap();
    (path, found)
}

#[test]
fn readouts_tell_how_far_they_are_and_stop_when_asked() {
    let trace = trace();
    let said = std::sync::Mutex::new(Vec::new());
    let whole = readouts_watched(&[&trace], None, &options(), &|share| {
        said.lock().unwrap().push(share);
        true
    });
    let whole = whole.unwrap();
    let said = said.into_inner().unwrap();
    assert!(said.iter().all(|share| (0.0..=1.0).contains(share)) && said.iter().any(|share| *share > 0.99));
    assert_eq!(whole, readouts(&trace, None, &options()).unwrap());
    let stopped = readouts_watched(&[&trace], None, &options(), &|_| false).unwrap_err();
    assert_eq!(stopped.to_string(), "stopped before the readouts were done");
}

#[test]
fn the_count_of_cards_is_what_comes_out() {
    let trace = Trace::open(sample::path("eda")).unwrap();
    let asked = Asked { targets: vec![Target::Stale], lags: vec![0, 4], ..Asked::default() };
    assert_eq!(asked.n_cards(&trace), 4 * (4 + 1));
    assert_eq!(Asked { targets: vec![Target::IsStale], features: vec![Feature::State], lags: vec![0], ..asked }.n_cards(&trace), 0);
}

#[test]
fn without_readouts_the_panel_says_how_to_get_them() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Probes));
    settle(&mut harness);
    harness.get_by_label("No readout has been fitted yet");
    harness.get_by_label_contains("pentimento probe TRACE --target stale,current,never");
    // Four sequences are too few for five folds: the panel says so and stays alive.
    harness.get_by_label_contains("Fit 72 readouts").click();
    settle(&mut harness);
    harness.get_by_label("Nothing can be read out of this trace");
}

#[test]
fn cards_of_a_file_open_with_figures_curves_and_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let (path, found) = cards(folder.path());
    assert_eq!(FileKind::of(&path), FileKind::Results);
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::Open(vec![path]));
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    assert_eq!(core(&mut harness).session.results()[0].figures().len(), 2);
    harness.get_by_label_contains("Linear readout. accuracy of linear readouts.");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Probes));
    settle(&mut harness);
    harness.get_by_label_contains("Readout curves of layer 1 head 0");
    harness.get_by_label_contains("Probe card. Probe card: place superseding+0, target stale, layer 1, head 0");
    harness.get_by_label("Markdown").click();
    harness.step();
    let card = found.cards.iter().find(|card| card.place_name().contains("target stale, layer 1, head 0")).unwrap();
    let copied = harness.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    assert!(copied.is_none_or(|text| text == card.to_markdown()));
    // A click on the other head looks at it, although no trace is open.
    harness.get_by_label_contains("Readout curves of layer 1 head 1").click();
    settle(&mut harness);
    harness.get_by_label_contains("Probe card. Probe card: place superseding+0, target stale, layer 1, head 1");
    let view: probes::View = core(&mut harness).session.view();
    assert_eq!(view.head, Some((1, 1)));
}

#[test]
fn an_export_of_curves_has_its_cards_beside() {
    let folder = tempfile::tempdir().unwrap();
    let (path, found) = cards(folder.path());
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::Open(vec![path]));
    core(&mut harness).act(Action::ShowPanel(PanelKind::Probes));
    settle(&mut harness);
    core(&mut harness).act(Action::ShowPanel(PanelKind::Probes));
    settle(&mut harness);
    let stem = folder.path().join("curves");
    core(&mut harness).act(Outside::Export {
        panel: PanelKind::Probes,
        stem: stem.clone(),
        formats: vec![pentimento::figure::Format::Svg],
    });
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    let beside: Readouts = serde_json::from_str(&std::fs::read_to_string(stem.with_extension("cards.json")).unwrap()).unwrap();
    assert_eq!(beside, found);
    assert!(stem.with_extension("svg").exists() && stem.with_extension("cards.md").exists());
}

#[test]
fn what_is_no_results_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    for (text, says) in [
        ("{", "is not JSON"),
        ("{}", "is no results of pentimento"),
        (r#"{"models": [], "spec": {}, "provenance": {}}"#, "is of another version"),
        (r#"{"cards": 3, "options": {}}"#, "is of another version"),
        (r#"{"spec": {}, "provenance": {}, "data": 1}"#, "is no figure of this version"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = OpenResults::open(&path).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn without_results_the_panel_says_how_to_get_them() {
    let mut harness = with_trace("eda");
    core(&mut harness).act(Action::ShowPanel(PanelKind::Results));
    settle(&mut harness);
    harness.get_by_label("No results are open");
    let view: results::View = core(&mut harness).session.view();
    assert_eq!(view, results::View::default());
}
