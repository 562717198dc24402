//! Every way a trace can lie gets an error that names it.

use std::fs;
use std::path::{Path, PathBuf};

use pentimento::memory::{Dims, HookPoint, Phase, Rule};
use pentimento::trace::{Status, Trace, TraceError, TraceWriter, info, repair, verify};
use serde_json::Value;

use super::sample::{self, SMALL, place};

fn complete() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = place();
    sample::write(&path, &sample::factors(Rule::Eda, SMALL, 11, false), 300, &[Phase::Write]);
    (folder, path)
}

fn edit_root(path: &Path, edit: impl FnOnce(&mut Value)) {
    let file = path.join("zarr.json");
    let mut root = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    edit(&mut root);
    fs::write(file, serde_json::to_vec(&root).unwrap()).unwrap();
}

fn node<'a>(root: &'a mut Value, name: &str) -> &'a mut Value {
    &mut root["consolidated_metadata"]["metadata"][name]
}

fn message<T>(result: Result<T, TraceError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn a_sound_trace_verifies() {
    let (_folder, path) = complete();
    let found = verify(&path).unwrap();
    assert!(found.is_sound(), "{:?}", found.problems());
    assert_eq!(found.digest.as_deref(), Some(found.digest_found.as_str()));
    assert!(found.arrays.iter().all(|array| array.chunks > 0 && array.damage.is_empty()));
    assert!(found.leftovers.is_empty());
    assert_eq!(found.replays[0].stretches, SMALL.batch * SMALL.head * 5);
    assert_eq!(found.replays[0].max_error, 0.0);
    serde_json::to_string(&found).unwrap();
}

#[test]
fn info_tells_sizes() {
    let (_folder, path) = complete();
    let found = info(&path).unwrap();
    assert_eq!(found.layers[0].dims, SMALL);
    assert_eq!(found.layers[0].max_replay_error, Some(0.0));
    assert!(found.arrays.iter().any(|array| array.name == "layer_00/scalars/erase_energy" && array.bytes > 0));
    assert_eq!(found.bytes, found.arrays.iter().map(|array| array.bytes).sum::<u64>());
    assert!(!serde_json::to_string(&found).unwrap().contains(path.parent().unwrap().to_str().unwrap()), "no absolute path");
}

#[test]
fn the_same_work_gives_the_same_bytes() {
    let ((_a, one), (_b, other)) = (complete(), complete());
    assert_eq!(Trace::open(&one).unwrap().digest(), Trace::open(&other).unwrap().digest());
    assert_eq!(fs::read(one.join("zarr.json")).unwrap(), fs::read(other.join("zarr.json")).unwrap());
}

#[test]
fn a_truncated_shard_is_named() {
    let (_folder, path) = complete();
    let key = "layer_00/value/c/0/0/0/0";
    let bytes = fs::read(path.join(key)).unwrap();
    for keep in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        fs::write(path.join(key), &bytes[..keep]).unwrap();
        let found = verify(&path).unwrap();
        let problems = found.problems();
        assert!(problems.iter().any(|problem| problem.contains("truncated") && problem.contains(key)), "{keep}: {problems:?}");
        let trace = Trace::open(&path).unwrap();
        let error = message(trace.stream(0, HookPoint::Value(0), 0..1, 0..10));
        assert!(error.contains("layer_00/value") && error.contains("damaged"), "{error}");
    }
}

#[test]
fn a_flipped_bit_is_named_wherever_it_is() {
    for (key, offset) in [("layer_00/value/c/0/0/0/0", 40), ("layer_00/checkpoint/memory/c/0/0/0/0/0", 16), ("tokens/c/0/0", 20)] {
        let (_folder, path) = complete();
        let mut bytes = fs::read(path.join(key)).unwrap();
        bytes[offset] ^= 1;
        fs::write(path.join(key), bytes).unwrap();
        let found = verify(&path).unwrap();
        assert!(!found.is_sound());
        assert!(found.problems().iter().any(|problem| problem.contains(key) && problem.contains("altered")), "{:?}", found.problems());
        let trace = Trace::open(&path).unwrap();
        let read = trace.tokens().err().or(trace.memory(0, 0, 0, 3, Phase::Decay).err()).or(trace.factors(0, 0..2, 0..300).err());
        let error = read.expect("reading finds it too").to_string();
        assert!(error.contains("checksum") && error.contains(key), "{error}");
    }
}

#[test]
fn exchanged_files_are_found_by_the_digest() {
    let (_folder, path) = complete();
    let [one, other] = ["layer_00/value/c/0/0/0/0", "layer_00/value/c/0/1/0/0"].map(|key| path.join(key));
    // Both are valid shards of the same array: only the digest and the replay can tell.
    fs::copy(other, one).unwrap();
    assert!(verify(&path).unwrap().problems().iter().any(|problem| problem.contains("exchanged")));
}

#[test]
fn a_missing_file_is_not_read_as_nothing() {
    let (_folder, path) = complete();
    let key = "layer_00/retention/c/0/1/0/0";
    fs::remove_file(path.join(key)).unwrap();
    let error = message(Trace::open(&path).unwrap().memory(0, 0, 0, 299, Phase::Decay));
    assert!(error.contains("missing") && error.contains(key), "{error}");
    assert!(verify(&path).unwrap().problems().iter().any(|problem| problem.contains(key) && problem.contains("missing")));
}

#[test]
fn a_missing_array_is_named() {
    let (_folder, path) = complete();
    edit_root(&path, |root| drop(root["consolidated_metadata"]["metadata"].as_object_mut().unwrap().remove("layer_00/erase_value")));
    let error = message(Trace::open(&path));
    assert!(error.contains("'layer_00/erase_value' is missing"), "{error}");
    assert!(verify(&path).unwrap().structure.unwrap().contains("erase_value"));
}

#[test]
fn a_wrong_shape_is_named() {
    let (_folder, path) = complete();
    edit_root(&path, |root| node(root, "layer_00/value")["shape"][3] = 7.into());
    let error = message(Trace::open(&path));
    assert!(error.contains("'layer_00/value' has shape [2, 300, 2, 7], but [2, 300, 2, 6]"), "{error}");
}

#[test]
fn a_newer_major_version_is_refused_a_newer_minor_is_read() {
    let (_folder, path) = complete();
    edit_root(&path, |root| root["attributes"]["schema_version"] = "2.0.0".into());
    let error = message(Trace::open(&path));
    assert!(error.contains("2.0.0") && error.contains("newer pentimento"), "{error}");
    edit_root(&path, |root| {
        root["attributes"]["schema_version"] = "1.7.0".into();
        root["attributes"]["something_new"] = 3.into();
        let mut unknown = node(root, "tokens").clone();
        unknown["codecs"] = serde_json::json!([{"name": "of_the_future"}]);
        *node(root, "unknown") = unknown;
    });
    assert!(Trace::open(&path).is_ok());
}

#[test]
fn what_is_not_a_trace_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [folder.path().join("nowhere"), folder.path().to_path_buf(), file] {
        assert!(message(Trace::open(&path)).contains("not a trace"), "{}", path.display());
    }
    for text in ["no json", "{}", r#"{"zarr_format": 3, "node_type": "group", "attributes": {}}"#] {
        fs::write(folder.path().join("zarr.json"), text).unwrap();
        assert!(message(Trace::open(folder.path())).contains("not a trace"));
    }
}

#[test]
fn questions_out_of_range_are_answered_with_the_range() {
    let (_folder, path) = complete();
    let trace = Trace::open(&path).unwrap();
    assert_eq!(message(trace.memory(1, 0, 0, 0, Phase::Write)), "layer 1 is out of range: the trace has layers 0");
    assert_eq!(message(trace.memory(0, 2, 0, 0, Phase::Write)), "head 2 is out of range: the trace has 0 to 1");
    assert_eq!(message(trace.memory(0, 0, 2, 0, Phase::Write)), "batch 2 is out of range: the trace has 0 to 1");
    assert_eq!(message(trace.memory(0, 0, 0, 300, Phase::Write)), "step 300 is out of range: the trace has 0 to 299");
}

#[test]
fn an_abandoned_recording_is_a_prefix_and_can_be_repaired() {
    let (_folder, path) = place();
    let factors = sample::factors(Rule::Eda, Dims { step: 600, ..SMALL }, 12, false);
    let mut writer = TraceWriter::create(&path, &sample::spec()).unwrap();
    sample::append_blocks(&mut writer, &factors, 300, &[]);
    assert!(matches!(repair(&path), Err(TraceError::Locked(_))), "not while it is being recorded");
    drop(writer);
    let trace = Trace::open(&path).unwrap();
    assert_eq!((trace.status(), trace.n_steps()), (Status::Aborted, 512));
    let error = message(trace.require_complete());
    assert!(error.contains("512 steps") && error.contains("trace repair"), "{error}");
    fs::write(path.join("layer_00/value/c/0/2.partial"), "half a file").unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    assert_eq!(verify(&path).unwrap().leftovers, ["layer_00/value/c/0/2.partial"]);
    let done = repair(&path).unwrap();
    assert_eq!((done.status, done.committed_steps, done.max_replay_error), (Status::Repaired, 512, Some(0.0)));
    assert!(path.join("notes.txt").exists(), "what is not ours stays");
    let found = verify(&path).unwrap();
    assert!(found.is_sound() && found.leftovers.is_empty(), "{:?}", found.problems());
    assert!(Trace::open(&path).unwrap().require_complete().is_ok());
}
