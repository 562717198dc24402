//! Traces of the bundled models: recorded on first use, kept in the user's cache.

use std::path::PathBuf;

use super::jobs::Progress;
use super::open_trace::{OpenTrace, TraceSource};
use crate::model::open_model;
use crate::record::{RecordSpec, record};
use crate::task::TaskSpec;
use crate::trace::OnExisting;

/// Sequences of a bundled trace: enough for intervals, few enough for a second's work.
const SEQUENCES: u64 = 48;

/// A trace that can be opened without having one.
pub struct BundledTrace {
    /// The bundled model's name.
    pub name: &'static str,
    /// What it is, for the welcome screen.
    pub title: &'static str,
    /// What there is to see.
    pub summary: &'static str,
}

/// All of them; the first is the one to begin with.
pub const BUNDLED: [BundledTrace; 2] = [
    BundledTrace {
        name: "eda-stale-facts",
        title: "EDA, facts that go stale",
        summary: "Two layers of two heads; 48 texts of facts that are overwritten, deleted, reassigned",
    },
    BundledTrace {
        name: "kda-stale-facts",
        title: "KDA, the same facts",
        summary: "Its twin without an erase, on the same 48 texts: same data, same budget",
    },
];

/// Opens the trace of a bundled model; records it first if no earlier run of this version has.
pub fn open(name: &str, folder: &std::path::Path, progress: &Progress) -> Result<OpenTrace, String> {
    let source = TraceSource::Bundled(name.to_owned());
    let path = path_of(name, folder);
    if let Ok(open) = OpenTrace::open(&path, source.clone())
        && open.trace().require_complete().is_ok()
    {
        return Ok(open);
    }
    let said = |error: &dyn std::fmt::Display| format!("the bundled trace '{name}' cannot be recorded: {error}");
    let opened = open_model(&format!("bundled:{name}"), 0).map_err(|error| said(&error))?;
    let task = TaskSpec::named("stale_facts").and_then(|spec| spec.build()).map_err(|error| said(&error))?;
    let task = match &opened.vocabulary {
        Some(vocabulary) => task.in_vocabulary(vocabulary).map_err(|error| said(&error))?,
        None => task,
    };
    std::fs::create_dir_all(folder).map_err(|error| said(&error))?;
    let spec = RecordSpec { on_existing: OnExisting::Replace, ..RecordSpec::new(0..SEQUENCES) };
    let describe = serde_json::json!({ "name": opened.name });
    let mut stopped = false;
    record(&opened.model, &describe, &task, &spec, &path, |done, total| {
        stopped |= progress.set(done as f64 / total.max(1) as f64).is_err();
    })
    .map_err(|error| said(&error))?;
    if stopped {
        return Err("cancelled".to_owned());
    }
    OpenTrace::open(&path, source).map_err(|error| said(&error))
}

/// A later version records anew: its recordings may differ.
fn path_of(name: &str, folder: &std::path::Path) -> PathBuf {
    folder.join(format!("{name}-{}-{SEQUENCES}.trace.zarr", env!("CARGO_PKG_VERSION")))
}
