//! The command line as its users meet it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::model::PAPERS_PARAMETERS;

mod files;
mod knockout;
mod mistakes;
mod partial;

/// What a command left: exit code, standard output, standard error.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program with these words in `folder`.
fn say(folder: &Path, words: &[&str]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_pentimento")).args(words).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

/// The same for a command line without spaces inside its words; it must succeed.
pub fn does(folder: &Path, line: &str) -> String {
    let said = say(folder, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(said.code, 0, "{line}\n{}{}", said.out, said.err);
    said.out
}

/// The same for one that must fail with this code; its error in words, which must hold all of `parts`.
pub fn fails(folder: &Path, code: i32, line: &str, parts: &[&str]) {
    let said = say(folder, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(said.code, code, "{line}\n{}{}", said.out, said.err);
    assert!(said.err.starts_with("error: "), "{line}: {}", said.err);
    for part in parts {
        assert!(said.err.contains(part), "{line}: '{part}' is missing from: {}", said.err);
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A folder with a small trace of the bundled EDA model, `a.trace.zarr`.
fn with_trace(sequences: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let range = format!("0:{sequences}");
    does(folder.path(), &format!("record --model bundled:eda-stale-facts --task stale_facts --range {range} -o a.trace.zarr"));
    folder
}

/// Every file below `folder` that is text, with its content.
fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push((path, text));
        }
    }
    found
}

#[test]
fn every_command_helps_with_an_example() {
    let here = Path::new(".");
    let commands = "run evaluate record import trace measure ledger knockout probe stats merge solve figure export table train models params bench view";
    let nested = ["trace info", "trace verify", "trace repair", "trace state"];
    for command in commands.split(' ').chain(nested) {
        let help = does(here, &format!("{command} --help"));
        let example = format!("pentimento {command}");
        assert!(help.contains("Example") && help.contains(&example), "{command}: {help}");
    }
    let help = does(here, "--help");
    assert!(commands.split(' ').all(|command| help.contains(&format!("\n  {command} "))), "{help}");
    assert_eq!(say(here, &["measur"]).code, 2);
    assert!(does(here, "--version").starts_with("pentimento "));
}

#[test]
fn presets_have_the_parameters_of_the_table() {
    let here = Path::new(".");
    let models = json(&does(here, "models --json"));
    let listed: Vec<&str> = models.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    for (preset, total, active) in PAPERS_PARAMETERS {
        let count = json(&does(here, &format!("params {preset} --json")));
        let billions = |name: &str| format!("{:.4}", count[name].as_u64().unwrap() as f64 / 1e9);
        assert_eq!((billions("total"), billions("active")), (total.to_owned(), active.to_owned()), "{preset}");
        assert!(listed.contains(&preset), "{listed:?}");
    }
    for bundled in ["bundled:eda-stale-facts", "bundled:kda-stale-facts"] {
        assert!(listed.contains(&bundled));
        assert!(json(&does(here, &format!("params {bundled} --json")))["total"].as_u64().unwrap() > 100_000);
    }
}

#[test]
fn a_recording_can_be_looked_into_measured_drawn_and_exported() {
    let folder = with_trace(4);
    let here = folder.path();
    let info = json(&does(here, "trace info a.trace.zarr --json"));
    assert_eq!((&info["attributes"]["status"], &info["attributes"]["committed_batch"]), (&"complete".into(), &4.into()));
    assert!(does(here, "trace info a.trace.zarr").contains("complete, 4 sequences of 64 steps"));
    assert!(does(here, "trace verify a.trace.zarr").contains("sound"));
    does(here, "trace state a.trace.zarr --layer 1 --head 0 --step 40 --batch 3 --phase erase -o deep/state.npy");
    let memory: ndarray::Array2<f32> = ndarray_npy::read_npy(here.join("deep/state.npy")).unwrap();
    assert_eq!(memory.dim(), (32, 32));
    for measure in ["allocation", "collateral", "alignment", "recall", "cleanup", "spectrum", "fate", "targeting", "capacity"] {
        assert!(does(here, &format!("measure {measure} a.trace.zarr --resamples 20")).trim().ends_with('.'), "a finding in words");
        assert!(json(&does(here, &format!("measure {measure} a.trace.zarr --resamples 20 --json"))).is_object());
    }
    does(here, "figure allocation a.trace.zarr --width acl -o figures");
    assert!(std::fs::read(here.join("figures/allocation-a.pdf")).unwrap().starts_with(b"%PDF"));
    assert!(std::fs::read(here.join("figures/allocation-a.png")).unwrap().starts_with(b"\x89PNG"));
    let beside = json(&std::fs::read_to_string(here.join("figures/allocation-a.json")).unwrap());
    assert_eq!(beside["provenance"]["made_from"][0], info["attributes"]["content_digest"]);
    for (format, file) in [("npz", "a.npz"), ("csv", "a.csv"), ("safetensors", "a.safetensors")] {
        does(here, &format!("export a.trace.zarr --format {format} -o {file}"));
        assert!(here.join(file).metadata().unwrap().len() > 1000);
    }
}

#[test]
fn a_trace_is_probed() {
    let folder = with_trace(40);
    let probed = "probe a.trace.zarr --target current --phase write --layers 0 --heads 1 --permutations 20";
    assert!(does(folder.path(), probed).contains("current"));
    let cards = json(&does(folder.path(), &format!("{probed} --json")));
    assert!(!cards["cards"].as_array().unwrap().is_empty());
    for (format, mark) in
        [("terminal", "minimum detectable"), ("markdown", "- chance:"), ("html", "<section class=\"card"), ("latex", "\\toprule")]
    {
        let drawn = does(folder.path(), &format!("{probed} --extra equivalence --cards all --format {format}"));
        assert!(drawn.contains(mark), "{format}: {drawn}");
    }
}
