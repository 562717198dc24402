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
    assert!(here.join("drawn/collateral.svg").is_file());
    figures_of_results(here);
    fails(here, 1, "table behavior one/results.json", &["no table 'behavior'", "behaviour"]);
    fails(here, 1, "figure recall one/results.json --model EDB", &["no model 'EDB'", "EDA, KDA"]);
    let before = read("one/results.json");
    fails(here, 1, &format!("{TINY} --out one"), &["output exists", "--force", "one"]);
    assert_eq!(read("one/results.json"), before);
}

/// All figures of results, one again from its own numbers, and those of a paper's file.
fn figures_of_results(here: &std::path::Path) {
    let said = does(here, "figure all one/results.json -o all --format svg --width neurips");
    assert!(said.contains("left out: training") && said.contains("pentimento train"), "{said}");
    for stem in
        ["cleanup-EDA", "cleanup-unique-contribution-EDA", "fate", "attention", "atlas", "spectrum", "readout-age-EDA", "selectivity-KDA"]
    {
        assert!(here.join(format!("all/{stem}.svg")).is_file(), "{stem}");
    }
    does(here, "figure fate all/fate.json -o again --width acl --format svg,tex");
    let svg = std::fs::read_to_string(here.join("again/fate.svg")).unwrap();
    assert!(svg.contains("width=\"219pt\""), "{}", &svg[..200]);
    let table = std::fs::read_to_string(here.join("again/fate.tex")).unwrap();
    assert_eq!(table.trim_end(), does(here, "table fate one/results.json --drawn --format latex").trim_end());

    let paper = "from = \"one/results.json\"\nwidth = \"neurips\"\nformats = [\"svg\"]\n\
        [[figure]]\nfigure = \"cleanup\"\nmodel = \"EDA\"\nfile = \"figure-1\"\noptions = { strength = \"gate_share\" }\n\
        [[figure]]\nfigure = \"fate\"\nfrom = [\"one/traces/EDA.trace.zarr\", \"one/traces/KDA.trace.zarr\"]\nlabel = [\"ours\", \"theirs\"]\n";
    std::fs::write(here.join("paper.toml"), paper).unwrap();
    does(here, "figure paper.toml -o paper --theme grey");
    let spec = &json(&std::fs::read_to_string(here.join("paper/figure-1.json")).unwrap())["spec"];
    assert_eq!((&spec["options"]["strength"], &spec["theme"], &spec["width"]), (&"gate_share".into(), &"grey".into(), &"neurips".into()));
    let fate = json(&std::fs::read_to_string(here.join("paper/fate.json")).unwrap());
    assert_eq!(fate["data"]["models"][1]["label"], "theirs");
    assert_eq!(fate["provenance"]["made_from"].as_array().unwrap().len(), 2);
    std::fs::write(here.join("wrong.toml"), paper.replace("gate_share", "gate_shear")).unwrap();
    fails(here, 1, "figure wrong.toml -o paper", &["[[figure]] 1 of wrong.toml", "gate_shear"]);
    std::fs::write(here.join("wrong.toml"), paper.replace("width = ", "widht = ")).unwrap();
    fails(here, 1, "figure wrong.toml -o paper", &["widht", "did you mean `width`"]);
    fails(here, 1, "figure paper.toml -o paper", &["output exists", "figure-1"]);
    fails(here, 1, "figure readout one/traces/EDA.trace.zarr", &["pentimento probe", "--json", "figure readout cards.json"]);
    fails(here, 1, "figure dose one/traces/EDA.trace.zarr", &["pentimento knockout", "--model"]);
    fails(here, 2, "figure colateral one/results.json", &["did you mean collateral"]);
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
