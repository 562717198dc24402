//! The order of the house: this test walks the source and holds it.
//!
//! Modules stand in reading order, which is dependency order: a module names only modules above it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The modules of the crate, each naming only those above it. `lib.rs` declares them in this order.
const ORDER: [&str; 19] = [
    "memory",
    "spec_text",
    "task",
    "provenance",
    "trace",
    "model",
    "train",
    "record",
    "ledger",
    "intervene",
    "network",
    "measure",
    "evaluate",
    "readout",
    "export",
    "figure",
    "experiment",
    "app",
    "cli",
];

/// Modules a module never names although they stand above it, and why.
const NEVER: [(&str, &str, &str); 4] = [
    ("model", "trace", "`model` and `trace` meet only in `record`"),
    ("train", "trace", "`model` and `trace` meet only in `record`"),
    ("measure", "model", "measures take traces"),
    ("figure", "model", "figures take measured structs"),
];

/// Where features may stand: at doors.
const DOORS: [&str; 3] = ["lib", "main", "cli"];

/// The doors inside modules: `memory` has an engine for cards, and `model` operations that are types for CPU and card at once; or
/// in their place what says that it was not built.
const INNER_DOORS: [&str; 2] = ["src/memory/mod.rs", "src/model/card/mod.rs"];

/// No file grows beyond this.
const MOST_LINES: usize = 600;

/// A source file: its place for messages, its module path inside the crate, its text without comments and literals.
struct Source {
    place: String,
    path: Vec<String>,
    n_lines: usize,
    code: String,
}

impl Source {
    /// The top-level module, or `lib` or `main`.
    fn top(&self) -> &str {
        self.path.first().map_or("lib", String::as_str)
    }
}

/// Every source file under a folder of the repository, sorted.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(&root.join(folder), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no source under {folder}");
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        let inside = file.strip_prefix(root.join(folder)).unwrap().with_extension("");
        let mut path: Vec<_> = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if path.last().is_some_and(|last| last == "mod" || last == "lib") {
            path.pop();
        }
        let place = file.strip_prefix(root).unwrap().display().to_string();
        Source { place, path, n_lines: text.lines().count(), code: strip(&text) }
    };
    files.into_iter().map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text with comments and the insides of string literals blanked out; lines stay where they were.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    // Blanks everything up to (not including) `end`.
    let blank = |code: &mut String, from: usize, end: usize| {
        code.extend(chars[from..end.min(chars.len())].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
    };
    while i < chars.len() {
        let start = i;
        let before = if i == 0 { ' ' } else { at(i - 1) };
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
            blank(&mut code, start, i);
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
            blank(&mut code, start, i);
        } else if at(i) == 'r'
            && !before.is_alphanumeric()
            && before != '_'
            && (at(i + 1) == '"' || (at(i + 1) == '#' && (at(i + 2) == '"' || at(i + 2) == '#')))
        {
            let n_hashes = (i + 1..chars.len()).take_while(|&j| at(j) == '#').count();
            i += n_hashes + 2;
            while i < chars.len() && !(at(i) == '"' && (1..=n_hashes).all(|j| at(i + j) == '#')) {
                i += 1;
            }
            i += n_hashes + 1;
            blank(&mut code, start, i);
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
            blank(&mut code, start, i);
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
            blank(&mut code, start, i);
        } else {
            code.push(at(i));
            i += 1;
        }
    }
    code
}

/// The top-level names that a file's paths start with, with their lines: `crate::x`, `crate::{x, y::z}`, and `super::x`
/// where `super` is the crate.
fn named_modules(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let supers = "super::".repeat(source.path.len());
    for prefix in ["crate::", supers.as_str()].into_iter().filter(|prefix| !prefix.is_empty()) {
        for (position, _) in source.code.match_indices(prefix) {
            let before = source.code[..position].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == ':' || before == '$' {
                continue;
            }
            let line = 1 + source.code[..position].matches('\n').count();
            named.extend(heads(&source.code[position + prefix.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    named
}

/// The first names of a path, of each of a group's paths: `a` of `a::b`, `a` and `c` of `{a::{b, d}, c}`.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.trim_start().strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut item, mut names) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&std::mem::take(&mut item))),
            _ => {}
        }
        if c != ',' || depth > 0 {
            item.push(c);
        }
    }
    names.push(name(&item));
    names.retain(|name| !name.is_empty());
    names
}

/// Every line where one of these words starts.
fn lines_with(source: &Source, words: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        for word in words {
            let starts = |position: usize| line[..position].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
            if line.match_indices(word).any(|(position, _)| starts(position)) {
                found.push((index + 1, (*word).to_owned()));
            }
        }
    }
    found
}

fn report(problems: &str) {
    assert!(problems.is_empty(), "\nthe house is out of order:\n{problems}");
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|&known| known == module)
}

#[test]
fn the_library_declares_its_modules_in_reading_order() {
    let sources = sources("src");
    let library = sources.iter().find(|source| source.place.ends_with("lib.rs")).unwrap();
    let declared: Vec<_> = library
        .code
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod "))
        .collect();
    let mut problems = String::new();
    for module in &declared {
        if rank(module).is_none() {
            writeln!(problems, "  src/lib.rs declares `{module}`, which has no place in the order: add it to ORDER in tests/house.rs and to ARCHITECTURE.md").unwrap();
        }
    }
    for pair in declared.windows(2).filter(|pair| rank(pair[0]) > rank(pair[1])) {
        writeln!(problems, "  src/lib.rs declares `{}` before `{}`: the order is {}", pair[0], pair[1], ORDER.join(", ")).unwrap();
    }
    report(&problems);
}

#[test]
fn a_module_names_only_modules_above_it() {
    let mut problems = String::new();
    for source in sources("src").iter().filter(|source| !matches!(source.top(), "lib" | "main")) {
        let Some(own) = rank(source.top()) else {
            writeln!(
                problems,
                "  {}: module `{}` has no place in the order: add it to ORDER in tests/house.rs",
                source.place,
                source.top()
            )
            .unwrap();
            continue;
        };
        for (line, name) in named_modules(source) {
            if rank(&name).is_some_and(|other| other > own) {
                writeln!(
                    problems,
                    "  {}:{line}: `{}` names `{name}`, which stands below it: move what it needs up, or the caller down",
                    source.place,
                    source.top()
                )
                .unwrap();
            }
            if let Some((_, _, why)) = NEVER.iter().find(|(module, never, _)| *module == source.top() && *never == name) {
                writeln!(problems, "  {}:{line}: `{}` names `{name}`, which it never does: {why}", source.place, source.top()).unwrap();
            }
        }
    }
    report(&problems);
}

#[test]
fn features_stand_at_doors() {
    let mut problems = String::new();
    for source in sources("src").iter().filter(|source| !DOORS.contains(&source.top()) && !INNER_DOORS.contains(&source.place.as_str())) {
        // The literal is blanked, so any `feature =` is one of a cfg.
        for (line, _) in lines_with(
            source,
            &["cfg(feature", "cfg!(feature", "cfg_attr(feature", "cfg(any(feature", "cfg(all(feature", "cfg(not(feature"],
        ) {
            writeln!(
                problems,
                "  {}:{line}: a feature away from the doors ({}): gate the module in src/lib.rs instead",
                source.place,
                DOORS.join(", ")
            )
            .unwrap();
        }
    }
    report(&problems);
}

#[test]
fn only_the_command_line_prints() {
    let mut problems = String::new();
    for source in sources("src").iter().chain(&sources("probes/src")).filter(|source| !matches!(source.top(), "main" | "cli")) {
        for (line, word) in lines_with(source, &["println!", "print!", "eprintln!", "eprint!", "dbg!", "stdout()", "stderr()"]) {
            writeln!(problems, "  {}:{line}: `{word}` outside `cli`: return the text or report progress to the caller", source.place)
                .unwrap();
        }
    }
    report(&problems);
}

#[test]
fn probes_know_arrays_only() {
    let mut problems = String::new();
    for source in sources("probes/src") {
        for (line, word) in lines_with(&source, &["pentimento::", "trace::", "model::", "Trace", "LanguageModel", "candle", "zarrs"]) {
            // A trace of a matrix is a function, not a path.
            writeln!(problems, "  {}:{line}: `{word}`: probes take arrays; traces and models meet them in `readout`", source.place)
                .unwrap();
        }
    }
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/Cargo.toml")).unwrap();
    for line in manifest.lines().filter(|line| ["pentimento =", "pentimento.", "candle", "zarrs"].iter().any(|word| line.starts_with(word)))
    {
        writeln!(problems, "  probes/Cargo.toml: `{line}`: probes take arrays; traces and models meet them in `readout`").unwrap();
    }
    report(&problems);
}

#[test]
fn files_stay_readable() {
    let mut problems = String::new();
    for source in ["src", "probes/src", "tests", "probes/tests"].into_iter().flat_map(sources) {
        if source.n_lines > MOST_LINES {
            writeln!(
                problems,
                "  {} has {} lines, at most {MOST_LINES} stay readable: split it by what a reader looks for",
                source.place, source.n_lines
            )
            .unwrap();
        }
    }
    report(&problems);
}

/// The walker itself: what it sees and what it does not.
/// What git answers, where there is git and this is a repository.
fn git(words: &[&str]) -> Option<String> {
    let done = std::process::Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

#[test]
fn published_results_name_a_revision_of_this_history_or_none() {
    // A source archive has no history, a shallow clone only the end of it.
    if git(&["rev-parse", "--is-shallow-repository"]).as_deref() != Some("false") {
        return;
    }
    let published = git(&["ls-files", "assets/results/**.json", "examples/**.json"]).unwrap_or_default();
    for file in published.lines() {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let results: serde_json::Value = serde_json::from_str(&text).unwrap();
        let Some(revision) = results["provenance"]["revision"].as_str().filter(|&revision| revision != "unknown") else { continue };
        let known = git(&["merge-base", "--is-ancestor", revision, "HEAD"]).is_some();
        assert!(known, "{file} names revision {revision}, which this history does not hold: make it again with a program built there");
    }
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let file = |path: &[&str], text: &str| Source {
        place: String::new(),
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        n_lines: 0,
        code: strip(text),
    };
    let names = |path: &[&str], text: &str| named_modules(&file(path, text)).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names(&["memory", "cpu"], "use crate::trace::Trace;"), ["trace"]);
    assert_eq!(names(&["memory", "cpu"], "use crate::{task::{Example, Write}, trace,\n    cli::run};"), ["task", "trace", "cli"]);
    assert_eq!(names(&["memory", "cpu"], "let x = super::super::model::f();"), ["model"]);
    assert_eq!(names(&["memory"], "use super::cli;"), ["cli"]);
    assert!(
        names(&["memory", "cpu"], "use super::Rule; // crate::cli\n/* crate::cli */ let s = \"crate::cli\"; let r = r#\"crate::cli\"#;")
            .is_empty()
    );
    assert_eq!(names(&["memory"], "let quote = '\"'; use crate::cli; let tick: &'static str = \"\";"), ["cli"]);
    assert!(names(&["memory"], "use my_crate::cli;").is_empty());
}
