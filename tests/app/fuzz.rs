//! Nothing panics on any file: traces and workspaces spoilt at random are opened and looked at.

use std::path::{Path, PathBuf};

use pentimento::app::action::Action;
use pentimento::app::panel::PanelKind;
use pentimento::app::workspace::Workspace;
use proptest::prelude::*;

use super::{sample, window};

/// How a file is spoilt.
#[derive(Clone, Debug)]
enum Spoil {
    Remove,
    Truncate(u16),
    Flip {
        place: u32,
        mask: u8,
    },
    Overwrite(Vec<u8>),
    /// Swap a word for another in a text file.
    Reword(u8),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        Just(Spoil::Remove),
        any::<u16>().prop_map(Spoil::Truncate),
        (any::<u32>(), 1..=u8::MAX).prop_map(|(place, mask)| Spoil::Flip { place, mask }),
        prop::collection::vec(any::<u8>(), 0..64).prop_map(Spoil::Overwrite),
        any::<u8>().prop_map(Spoil::Reword),
    ]
}

const WORDS: [(&str, &str); 10] = [
    ("\"committed_steps\": 64", "\"committed_steps\": 6400"),
    ("\"committed_steps\":64", "\"committed_steps\":63"),
    ("eda", "rwkv7"),
    ("32", "3000000000"),
    ("64", "0"),
    ("[", "{"),
    ("float32", "float64"),
    ("\"d_k\"", "\"d_q\""),
    ("blosc", "gzip"),
    ("layer_00", "layer_99999999999999999999"),
];

fn apply(file: &Path, spoil: &Spoil) {
    let mut bytes = std::fs::read(file).unwrap();
    match spoil {
        Spoil::Remove => return std::fs::remove_file(file).unwrap(),
        Spoil::Truncate(to) => bytes.truncate(usize::from(*to) % (bytes.len() + 1)),
        Spoil::Flip { place, mask } if !bytes.is_empty() => {
            let place = *place as usize % bytes.len();
            bytes[place] ^= mask;
        }
        Spoil::Flip { .. } => {}
        Spoil::Overwrite(with) => bytes.clone_from(with),
        Spoil::Reword(index) => {
            let (from, to) = WORDS[usize::from(*index) % WORDS.len()];
            bytes = String::from_utf8_lossy(&bytes).replace(from, to).into_bytes();
        }
    }
    std::fs::write(file, bytes).unwrap();
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_trace_opens_or_says_why_not(which in any::<prop::sample::Index>(), at_root in any::<bool>(), spoil in spoil()) {
        let folder = tempfile::tempdir().unwrap();
        let trace = sample::copy("eda", folder.path());
        let file = if at_root {
            trace.join("zarr.json")
        } else {
            let mut all = Vec::new();
            files(&trace, &mut all);
            all.sort();
            which.get(&all).clone()
        };
        apply(&file, &spoil);
        let mut harness = window::harness();
        harness.step();
        window::core(&mut harness).act(Action::Open(vec![trace]));
        window::settle(&mut harness);
        for panel in PanelKind::ALL {
            window::core(&mut harness).act(Action::ShowPanel(panel));
            window::settle(&mut harness);
        }
        for error in window::core(&mut harness).errors() {
            prop_assert!(!error.contains("internal error"), "{file:?} {spoil:?}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_workspace_is_read_or_refused(spoil in spoil(), again in spoil()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("study.pentimento");
        let mut session = pentimento::app::session::Session::default();
        session.apply(Action::Opened(sample::open("eda")));
        session.apply(Action::AddBookmark("here".to_owned()));
        session.workspace().write(&file).unwrap();
        apply(&file, &spoil);
        if file.exists() {
            apply(&file, &again);
        }
        if let Ok(workspace) = Workspace::read(&file) {
            let mut session = pentimento::app::session::Session::default();
            session.restore(workspace);
            session.apply(Action::Opened(sample::open("eda")));
            prop_assert!(!session.layout().panels().is_empty());
        }
    }

    #[test]
    fn no_bytes_are_taken_for_a_workspace(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any");
        std::fs::write(&file, bytes).unwrap();
        prop_assert!(Workspace::read(&file).is_err());
    }
}
