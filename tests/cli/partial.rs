//! Parts, their merge and its readout on the command line, and the recipes that drive them from many machines.

use super::{Path, does, fails, json, say, with_trace};

#[test]
fn parts_merge_to_the_bytes_of_one_process_and_are_solved() {
    let folder = with_trace(12);
    let here = folder.path();
    let stats = "stats --trace a.trace.zarr --layer 1 --head 0 --lag 1 --folds 3";
    assert!(does(here, &format!("{stats} -o whole.safetensors")).contains("756 samples of sequences 0:12, steps 0:64"));
    does(here, &format!("{stats} --batch 7:12 --into parts"));
    let first = does(here, &format!("{stats} --batch 0:7 --into parts"));
    let name = first.split(": ").next().unwrap();
    assert!(name.starts_with("parts/stats-") && name.ends_with("-l1-h0-j1-read-b0-7-s0-64.safetensors"), "{name}");
    let before = std::fs::metadata(here.join(name)).unwrap().modified().unwrap();
    assert!(does(here, &format!("{stats} --batch 0:7 --into parts")).contains("there already"));
    assert_eq!(std::fs::metadata(here.join(name)).unwrap().modified().unwrap(), before, "a retry leaves a part as it is");
    let other = name.replace("b0-7", "b7-12");
    does(here, &format!("merge {other} {name} -o all.safetensors"));
    let read = |file: &str| std::fs::read(here.join(file)).unwrap();
    assert!(read("all.safetensors") == read("whole.safetensors"));
    does(here, &format!("merge {name} {other} -o all.safetensors"));

    assert!(does(here, "solve all.safetensors --weights weights.safetensors").contains("held-out R2"));
    assert!(read("weights.safetensors").len() > 32 * 32 * 8);
    let solved = json(&does(here, "solve all.safetensors --penalties 0.01,0.1 --json"));
    assert_eq!(solved["target"]["path"].as_array().unwrap().len(), 2);
    assert_eq!(solved["coverage"]["patches"][0]["sequences"], serde_json::json!([0, 12]));

    fails(here, 1, &format!("merge {name} {name} -o x.safetensors"), &["overlap", "sequences 0:7"]);
    fails(here, 1, &format!("merge {name} whole.safetensors -o x.safetensors"), &["overlap"]);
    fails(here, 1, &format!("merge {other} -o whole.safetensors"), &["output exists", "--force"]);
    fails(here, 1, &format!("{stats} --batch 0:13 -o x.safetensors"), &["batch range is 0:13", "within 0:12"]);
    fails(here, 1, &format!("{stats} --lag 2 -o whole.safetensors").replace("--lag 1 ", ""), &["output exists"]);
    fails(here, 1, "solve a.trace.zarr/zarr.json", &["not a file of partial sums"]);
    fails(here, 1, "solve all.safetensors --penalties 0", &["ridge penalty"]);
    assert!(!here.join("x.safetensors").exists());
}

#[test]
fn ranges_recorded_apart_are_one_piece_of_work() {
    let folder = with_trace(12);
    let here = folder.path();
    for range in ["0:8", "8:12"] {
        let name = range.replace(':', "-");
        does(here, &format!("record --model bundled:eda-stale-facts --task stale_facts --range {range} -o {name}.trace.zarr"));
        does(here, &format!("stats --trace {name}.trace.zarr --folds 3 -o part-{name}.safetensors"));
    }
    does(here, "merge part-8-12.safetensors part-0-8.safetensors -o all.safetensors");
    does(here, "stats --trace a.trace.zarr --folds 3 -o whole.safetensors");
    let sums = |file: &str| {
        let bytes = std::fs::read(here.join(file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        ["node", "count", "features_features", "targets_features", "targets_targets"]
            .map(|name| tensors.tensor(name).unwrap().data().to_vec())
    };
    assert!(sums("all.safetensors") == sums("whole.safetensors"), "but for the digests of the traces the files are the same");
}

#[test]
fn the_recipes_for_clusters_lose_a_machine_and_nothing_else() {
    let folder = with_trace(8);
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ray/test_drivers.py");
    let python = std::env::var("PENTIMENTO_RAY_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let done = std::process::Command::new(python)
        .arg(test)
        .arg("a.trace.zarr")
        .env("PENTIMENTO", env!("CARGO_BIN_EXE_pentimento"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}{said}", String::from_utf8_lossy(&done.stdout));
    assert!(said.contains("Ran 3 tests"), "{said}");
    assert_eq!(say(folder.path(), &["stats"]).code, 2);
}
