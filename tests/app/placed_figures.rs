//! What panels of one place export is what the command line draws, byte for byte; and a model opens without a trace.

use std::process::Command;

use egui_kittest::kittest::Queryable;
use pentimento::app::action::{Action, Outside};
use pentimento::app::panel::PanelKind;
use pentimento::app::selection::Token;
use pentimento::figure::{Format, SideCar};
use serde_json::json;

use super::sample;
use super::window::{core, harness, settle, with_trace};

/// The figure that a panel exports, as SVG, and its side-car.
fn exported(panel: PanelKind, view: serde_json::Value, names: &[&str]) -> (String, SideCar) {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = with_trace(names[0]);
    if let [_, other] = names {
        core(&mut harness).act(Action::Open(vec![sample::path(other)]));
        settle(&mut harness);
        core(&mut harness).act(Action::SelectTrace(0));
    }
    let token = Token::new(2, 30);
    core(&mut harness).act(Action::SelectHead { layer: 1, head: 1 });
    core(&mut harness).act(Action::SelectToken { sequence: token.sequence as usize, step: token.step as usize });
    core(&mut harness).act(Action::SelectWrite(None));
    core(&mut harness).act(Action::SetView { panel, view });
    core(&mut harness).act(Action::ShowPanel(panel));
    settle(&mut harness);
    settle(&mut harness);
    core(&mut harness).act(Outside::Export { panel, stem: folder.path().join("figure"), formats: vec![Format::Svg] });
    settle(&mut harness);
    assert_eq!(core(&mut harness).errors(), Vec::<String>::new());
    let read = |ending: &str| std::fs::read_to_string(folder.path().join(format!("figure.{ending}"))).unwrap();
    (read("svg"), SideCar::read(&read("json")).unwrap())
}

fn drawn_by_command(side_car: &SideCar, names: &[&str], more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let place = side_car.spec.options.place;
    let number = |typed: Option<usize>| typed.unwrap().to_string();
    let status = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["figure", side_car.spec.figure.name()])
        .args(names.iter().map(|name| sample::path(name)))
        .args(["--layer", &number(place.layer), "--head", &number(place.head), "--sequence", &number(place.sequence)])
        .args(["--step", &number(place.step), "--format", "svg", "--json", "-o"])
        .arg(folder.path())
        .args(more)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let svg: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "svg")).collect();
    std::fs::read_to_string(&svg[0]).unwrap()
}

/// A panel, what is chosen in it, the traces, the same choice on the command line, and the figure.
type Case = (PanelKind, serde_json::Value, &'static [&'static str], &'static [&'static str], &'static str);

#[test]
fn panels_of_one_place_export_what_the_command_line_draws() {
    let cases: [Case; 7] = [
        (PanelKind::Fate, json!({}), &["eda"], &[], "life"),
        (PanelKind::Attention, json!({ "show": "row", "measure": "share" }), &["eda"], &["--of-read", "share"], "read"),
        (PanelKind::Attention, json!({ "show": "matrix", "range": 0.5 }), &["eda"], &["--range", "0.5"], "weights"),
        (PanelKind::Directions, json!({}), &["eda"], &[], "angles"),
        (PanelKind::Timeline, json!({}), &["kda"], &[], "gates"),
        (PanelKind::Memory, json!({ "show": "changes" }), &["eda"], &["--memory", "changes"], "memory"),
        (PanelKind::Compare, json!({ "page": "memory", "lock": "number" }), &["eda", "kda"], &["--memory", "write"], "memory"),
    ];
    for (panel, view, names, more, figure) in cases {
        let (svg, side_car) = exported(panel, view, names);
        assert_eq!(side_car.spec.figure.name(), figure);
        assert_eq!(side_car.spec.options.place.step, Some(30), "{figure}");
        assert_eq!(svg, drawn_by_command(&side_car, names, more), "{figure}");
    }
}

#[test]
fn a_model_opens_without_a_trace_and_as_a_folder() {
    let mut harness = harness();
    harness.step();
    core(&mut harness).act(Action::ShowPanel(PanelKind::Live));
    settle(&mut harness);
    settle(&mut harness);
    harness.get_by_label("10 steps").click();
    settle(&mut harness);
    settle(&mut harness);
    assert_eq!(core(&mut harness).session.traces().len(), 1, "the run is an open trace");
    core(&mut harness).act(Action::Close(0));
    assert!(core(&mut harness).session.is_empty(), "nothing is open: the welcome screen is back");

    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "weights.safetensors"] {
        std::fs::write(folder.path().join(file), "not a model").unwrap();
    }
    core(&mut harness).act(Action::Open(vec![folder.path().join("config.json")]));
    settle(&mut harness);
    harness.get_by_label("This model cannot be opened");
    assert!(!core(&mut harness).session.is_empty());
}
