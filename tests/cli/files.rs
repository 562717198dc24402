//! What commands leave on disk.

use super::{does, fails, json, texts};

const TINY: &str = "run --set sequences=24 --set readout.permutations=20 --set readout.resamples=100 \
    --set measure.cleanup.statistics.resamples=20 --set measure.cleanup.statistics.permutations=20";

#[test]
fn the_main_job_leaves_what_the_readme_promises_and_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let said = does(here, &format!("{TINY} --out one"));
    assert!(said.contains("EDA (bundled:eda-stale-facts)") && said.contains("Report: one/report.html"), "{said}");
    let again = json(&does(here, &format!("{TINY} --out two --json")));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    assert_eq!(read("one/results.json"), read("two/results.json"), "same spec, same bytes");
    let results = json(&read("one/results.json"));
    assert_eq!(results, again);
    assert_eq!(results["models"].as_array().unwrap().len(), 2);
    for key in ["tool", "version", "revision", "command", "seed", "spec_digest", "device", "dtype"] {
        assert!(!results["provenance"][key].is_null(), "{key}");
    }
    for file in ["report.html", "report.md", "spec.toml", "traces/EDA.trace.zarr/zarr.json", "traces/KDA.trace.zarr/zarr.json"] {
        assert!(here.join("one").join(file).is_file(), "{file}");
    }
    for extension in ["svg", "pdf", "png", "csv", "json"] {
        assert!(here.join("one/figures/cleanup-EDA").with_extension(extension).is_file(), "{extension}");
    }
    for extension in ["csv", "md", "tex"] {
        assert!(here.join("one/tables/behaviour").with_extension(extension).is_file(), "{extension}");
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let unsaid = [here.to_str().unwrap(), env!("CARGO_MANIFEST_DIR"), host.trim()];
    for (path, text) in texts(&here.join("one")) {
        // A short host name may be a word like any other.
        let said = unsaid.iter().find(|word| word.len() > 5 && text.contains(**word));
        assert!(said.is_none(), "{} says {said:?}", path.display());
        if path.parent().unwrap().ends_with("figures") && path.extension().is_some_and(|extension| extension == "json") {
            assert!(json(&text)["provenance"]["tool"] == "pentimento", "{}", path.display());
        }
    }

    // From the results alone: tables and figures; and nothing is replaced unasked.
    assert!(does(here, "table behaviour one/results.json --format latex").contains("\\toprule"));
    does(here, "figure collateral one/results.json -o drawn");
    assert!(here.join("drawn/collateral-results.svg").is_file());
    fails(here, 1, "table behavior one/results.json", &["no table 'behavior'", "behaviour"]);
    fails(here, 1, "figure recall one/results.json --model EDB", &["models: EDA, KDA"]);
    let before = read("one/results.json");
    fails(here, 1, &format!("{TINY} --out one"), &["output exists", "--force", "one"]);
    assert_eq!(read("one/results.json"), before);
}

#[test]
fn only_what_a_command_made_is_replaced_and_only_when_told() {
    let folder = super::with_trace(2);
    let here = folder.path();
    std::fs::create_dir(here.join("mine")).unwrap();
    std::fs::write(here.join("mine/thesis.txt"), "years of work").unwrap();
    fails(here, 1, "run --out mine --force", &["not the output of an experiment"]);
    let record = "record --model bundled:eda-stale-facts --task stale_facts --range 0:1 -o";
    fails(here, 1, &format!("{record} mine --force"), &["mine"]);
    assert_eq!(std::fs::read_to_string(here.join("mine/thesis.txt")).unwrap(), "years of work");
    let writers = [
        (format!("{record} a.trace.zarr"), "a.trace.zarr"),
        ("export a.trace.zarr --format csv -o a.csv".to_owned(), "a.csv"),
        ("trace state a.trace.zarr --layer 0 --head 0 --step 0 -o a.npy".to_owned(), "a.npy"),
        ("figure alignment a.trace.zarr --format svg".to_owned(), "alignment-a.svg"),
    ];
    for (line, file) in writers {
        if !here.join(file).exists() {
            does(here, &line);
        }
        fails(here, 1, &line, &["output exists", "--force", file]);
        does(here, &format!("{line} --force"));
    }
}
