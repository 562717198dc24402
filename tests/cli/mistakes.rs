//! Bad input: what was wrong, where, and what to do; and nothing lost.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use super::{does, fails, with_trace};

const RECORD: &str = "record --model bundled:eda-stale-facts";

#[test]
fn a_misspelt_word_is_answered_with_the_one_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let stale = "--task stale_facts";
    let cases: [(i32, &str, &[&str]); 12] = [
        (1, &format!("{RECORD} --task stale_fact -o x"), &["unknown task 'stale_fact'", "did you mean 'stale_facts'?", "mqar"]),
        (1, &format!("record --model bundled:eda {stale} -o x"), &["no model 'bundled:eda'", "Known names: bundled:eda-stale-facts"]),
        (1, &format!("{RECORD} {stale} --set lenght=40 -o x"), &["--set", "`lenght`", "did you mean `length`?"]),
        (1, &format!("{RECORD} {stale} --set length=ten -o x"), &["--set", "\"ten\"", "a whole number"]),
        (2, &format!("{RECORD} {stale} --dense eras -o x"), &["eras", "erase"]),
        (1, "params eda-2b", &["'eda-2b'", "Did you mean 'eda-2.5b'?"]),
        (1, "run --set sequnces=3", &["--set", "`sequnces`", "did you mean `sequences`?"]),
        (1, "run --set readout.permutation=3", &["in `readout`", "did you mean `permutations`?"]),
        (1, "run --set measure.clenup.seed=3", &["in `measure`", "did you mean `cleanup`?"]),
        (1, "run --set measure.cleanup.statistics.resample=3", &["in `measure.cleanup.statistics`", "did you mean `resamples`?"]),
        (1, "run --set sequences=-3", &["`sequences`", "-3", "a whole number, 0 or more"]),
        (2, "figure clean x", &["cleanup"]),
    ];
    for (code, line, parts) in cases {
        fails(here, code, line, parts);
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_spec_file_is_told_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let head = "name = \"x\"\nsequences = 24\n";
    let models = "[[models]]\nname = \"EDA\"\ncheckpoint = \"bundled:eda-stale-facts\"\n";
    let task = "[task]\nname = \"stale_facts\"\n";
    let cases = [
        (format!("{head}chekpoint_every = 8\n{models}{task}"), vec!["line 3", "did you mean `checkpoint_every`?"]),
        (format!("{head}{}{task}", models.replace("name =", "nam =")), vec!["line 4", "did you mean `name`?"]),
        (format!("{head}{models}{}", task.replace("facts", "fact")), vec!["did you mean `stale_facts`?"]),
        (format!("{head}{models}{task}lenght = 3\n"), vec!["did you mean `length`?"]),
        (format!("{head}{models}{task}length = 3\n"), vec!["'length' is 3", "at least"]),
        (format!("{head}models = []\n{task}"), vec!["`models` is empty"]),
        (
            format!("{head}{}{task}", models.replace("bundled:eda-", "bundled:edo-")),
            vec!["model 'EDA'", "Did you mean 'bundled:eda-stale-facts'?"],
        ),
        (format!("{head}{models}{models}{task}"), vec!["two models are named 'EDA'"]),
        (format!("{models}{task}"), vec!["missing field `name`"]),
        ("name = ".to_owned(), vec!["line 1"]),
    ];
    for (text, parts) in cases {
        fs::write(here.join("mine.toml"), &text).unwrap();
        fails(here, 1, "run mine.toml --out out", &[&["mine.toml"][..usize::from(parts[0].starts_with("line"))], &parts].concat());
    }
    fails(here, 1, "run nosuch.toml", &["cannot read the spec", "nosuch.toml"]);
    assert!(!here.join("out").exists());
}

#[test]
fn what_is_not_in_the_model_or_the_trace_is_named_with_what_is() {
    let folder = with_trace(2);
    let here = folder.path();
    let state = "trace state a.trace.zarr -o x.npy --head";
    let stale = "--task stale_facts";
    let cases: [(&str, &[&str]); 15] = [
        (&format!("{RECORD} {stale} --layers 7 -o x"), &["layer 7", "0, 1"]),
        (&format!("{RECORD} {stale} --heads 9 --dense write -o x"), &["head 9", "0 to 1"]),
        (&format!("{RECORD} --task parity -o x"), &["'bundled:eda-stale-facts' does not know the word '0'", "trained on"]),
        (&format!("{state} 0 --layer 9 --step 0"), &["layer 9", "layers 0, 1"]),
        (&format!("{state} 9 --layer 0 --step 0"), &["head 9", "0 to 1"]),
        (&format!("{state} 0 --layer 0 --step 64"), &["step 64", "0 to 63"]),
        (&format!("{state} 0 --layer 0 --step 0 --batch 2"), &["batch 2", "0 to 1"]),
        ("probe a.trace.zarr --layers 7", &["layer 7", "layers 0, 1"]),
        ("probe a.trace.zarr --heads 7", &["head 7"]),
        ("probe a.trace.zarr", &["are needed", "record more"]),
        ("export a.trace.zarr --format npz --stream qury -o x.npz", &["`qury`", "query"]),
        ("figure training a.trace.zarr -o x", &["training", "pentimento train"]),
        ("measure cleanup nosuch.trace.zarr", &["not a trace", "nothing is there", "nosuch.trace.zarr"]),
        ("table behaviour a.trace.zarr/zarr.json", &["no table 'behaviour'", "there are all, cleanup"]),
        ("figure cleanup a.trace.zarr/zarr.json -o x", &["cannot make figure 'cleanup'", "zarr.json"]),
    ];
    for (line, parts) in cases {
        fails(here, 1, line, parts);
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 1, "nothing was made");
    fails(here, 2, "measure cleanup a.trace.zarr --resamples 0", &["at least 1"]);
    fails(here, 2, &format!("{RECORD} {stale} --range 4:4 -o x"), &["FROM:TO"]);
    fails(here, 2, &format!("{RECORD} -o x"), &["--task"]);
}

#[test]
fn a_text_in_other_words_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("t.txt"), "the cat sat on the mat").unwrap();
    fails(here, 1, &format!("{RECORD} --text t.txt --set length=6 -o x"), &["'the'", "a text in its words"]);
    fails(here, 1, &format!("{RECORD} --text t.txt --set length=20 -o x"), &["too short", "6 words", "`length`", "t.txt"]);
    fails(here, 1, &format!("{RECORD} --text no.txt -o x"), &["cannot read the text", "no.txt"]);
    assert!(!here.join("x").exists());
}

#[test]
fn an_unfinished_trace_is_not_measured_until_it_is_repaired() {
    let folder = with_trace(2);
    let here = folder.path();
    let root = here.join("a.trace.zarr/zarr.json");
    let text = fs::read_to_string(&root).unwrap();
    fs::write(&root, text.replacen("\"status\": \"complete\"", "\"status\": \"recording\"", 1)).unwrap();
    for line in [
        "measure alignment a.trace.zarr",
        "probe a.trace.zarr",
        "figure alignment a.trace.zarr -o x",
        "export a.trace.zarr --format csv -o x.csv",
    ] {
        fails(here, 1, line, &["not complete", "pentimento trace repair", "a.trace.zarr"]);
    }
    assert!(does(here, "trace info a.trace.zarr").contains("recording"));
    assert!(does(here, "trace repair a.trace.zarr").contains("is repaired"));
    does(here, "measure alignment a.trace.zarr --resamples 10");
}

#[test]
fn a_checkpoint_of_another_config_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/eda-stale-facts");
    fs::create_dir(here.join("mine")).unwrap();
    for file in ["config.json", "weights.safetensors", "vocabulary.json"] {
        fs::copy(bundled.join(file), here.join("mine").join(file)).unwrap();
    }
    let record = "record --model mine --task stale_facts --range 0:1 -o";
    does(here, &format!("{record} fits.trace.zarr"));
    let config = fs::read_to_string(here.join("mine/config.json")).unwrap();
    let other = |from: &str, to: &str| {
        assert!(config.contains(from));
        fs::write(here.join("mine/config.json"), config.replace(from, to)).unwrap();
    };
    other("\"width\": 192", "\"width\": 200");
    fails(here, 1, &format!("{record} x"), &["shape", "192", "200", "is this the weights' own config?"]);
    other("\"eda\"", "\"kda\"");
    fails(here, 1, &format!("{record} x"), &["tensor", "is this the weights' own config?"]);
    other("\"n_layers\"", "\"n_layer\"");
    fails(here, 1, &format!("{record} x"), &["n_layer", "config.json"]);
    assert!(!here.join("x").exists());
}

/// What a case does to a tensor: name, shape, data.
type Change = fn(&str, &mut Vec<usize>, &mut Vec<f32>);

#[test]
fn bad_factors_are_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cases: [(&str, Change, &[&str]); 5] = [
        ("fits", |_, _, _| (), &[]),
        (
            "nan",
            |name, _, data| {
                if name == "value" {
                    data[5] = f32::NAN;
                }
            },
            &["value", "NaN"],
        ),
        (
            "gate",
            |name, _, data| {
                if name == "write_strength" {
                    data[3] = 3.5;
                }
            },
            &["write_strength", "3.5"],
        ),
        (
            "shape",
            |name, shape, _| {
                if name == "value" {
                    shape.swap(1, 3);
                }
            },
            &["value"],
        ),
        (
            "absent",
            |name, shape, data| {
                if name == "query" {
                    shape[1] = 0;
                    data.clear();
                }
            },
            &["query"],
        ),
    ];
    for (case, change, parts) in cases {
        let mut tensors = Vec::new();
        for (name, last) in [("query", 4), ("write_direction", 4), ("retention", 4), ("value", 6), ("write_strength", 0)] {
            let mut shape: Vec<usize> = [2, 5, 1, last].into_iter().filter(|&n| n > 0).collect();
            let mut data = vec![0.5_f32; shape.iter().product()];
            change(name, &mut shape, &mut data);
            let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
            tensors.push((name, shape, bytes));
        }
        let views = tensors.iter().map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        serialize_to_file(views, None, &here.join("f.safetensors")).unwrap();
        let line = format!("import f.safetensors --rule kda -o {case}.trace.zarr");
        if parts.is_empty() {
            assert!(does(here, &line).contains("write_direction: norm 1"));
        } else {
            fails(here, 1, &line, parts);
            assert!(!here.join(format!("{case}.trace.zarr")).exists(), "nothing is made of bad factors");
        }
    }
    fails(here, 2, "import f.safetensors --rule eta -o x", &["eta", "eda"]);
    fails(here, 1, "import no.safetensors --rule eda -o x", &["no.safetensors"]);
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program_quietly() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["models", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}
