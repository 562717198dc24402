//! Small traces of the bundled models, recorded once for all tests.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pentimento::app::open_trace::{OpenTrace, TraceSource};
use pentimento::model::open_model;
use pentimento::record::{RecordSpec, record};
use pentimento::task::TaskSpec;

/// Sequences of a sample.
pub const SEQUENCES: usize = 4;

/// `eda` or `kda`: four sequences of 64 steps, two layers of two heads.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for name in ["eda", "kda"] {
            let opened = open_model(&format!("bundled:{name}-stale-facts"), 0).unwrap();
            let task = TaskSpec::named("stale_facts").unwrap().build().unwrap().in_vocabulary(opened.vocabulary.as_ref().unwrap()).unwrap();
            let path = folder.path().join(format!("{name}.trace.zarr"));
            let spec = RecordSpec::new(0..SEQUENCES as u64);
            record(&opened.model, &serde_json::json!({ "name": opened.name }), &task, &spec, &path, |_, _| {}).unwrap();
        }
        folder
    });
    folder.path().join(format!("{name}.trace.zarr"))
}

/// A sample, opened.
pub fn open(name: &str) -> OpenTrace {
    let path = path(name);
    OpenTrace::open(&path, TraceSource::Path(path.clone())).unwrap()
}

/// A copy of a sample that a test may spoil.
pub fn copy(name: &str, folder: &Path) -> PathBuf {
    fn walk(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap().path();
            let target = to.join(entry.file_name().unwrap());
            if entry.is_dir() {
                walk(&entry, &target);
            } else {
                std::fs::copy(&entry, target).unwrap();
            }
        }
    }
    let target = folder.join(format!("{name}.trace.zarr"));
    walk(&path(name), &target);
    target
}
