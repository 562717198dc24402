//! Traces that are open: only their attributes are in memory.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::first_look;
use super::selection::Selection;
use crate::trace::{Layer, Trace, TraceError};

/// Where a trace came from, as a workspace remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceSource {
    /// A directory on disk.
    Path(PathBuf),
    /// Recorded from a bundled model on first use, by its name.
    Bundled(String),
    /// A run of the live model, by its name: it lasts as long as it is open.
    Live(String),
}

impl TraceSource {
    /// As lists name it.
    pub fn title(&self) -> String {
        match self {
            Self::Path(path) => stem(path),
            Self::Bundled(name) | Self::Live(name) => name.clone(),
        }
    }

    /// Whether it can be opened again in another session.
    pub const fn lasts(&self) -> bool {
        !matches!(self, Self::Live(_))
    }
}

impl TraceSource {
    /// Opens it again.
    pub fn reopen(&self) -> super::action::Action {
        match self {
            Self::Path(path) => super::action::Action::Open(vec![path.clone()]),
            Self::Bundled(name) => super::action::Action::OpenBundled(name.clone()),
            Self::Live(_) => super::action::Action::ShowPanel(super::panel::PanelKind::Live),
        }
    }
}

/// An open trace, cheap to clone. Two are equal only if they were opened at once, so that results of a trace that was recorded anew
/// are never taken for those of its successor.
#[derive(Clone)]
pub struct OpenTrace(Arc<Inner>);

struct Inner {
    id: u64,
    name: String,
    source: TraceSource,
    first_look: Selection,
    trace: Trace,
    /// Where it lies, if that is to go with it.
    _folder: Option<TempDir>,
}

impl OpenTrace {
    /// Opens a trace that lies at `path`. Reads its attributes, and of the arrays no more than says where to look first.
    pub fn open(path: &Path, source: TraceSource) -> Result<Self, TraceError> {
        Self::open_in(path, source, None)
    }

    /// The same in a folder that is removed when nobody looks at the trace any more.
    pub fn open_owned(path: &Path, source: TraceSource, folder: TempDir) -> Result<Self, TraceError> {
        Self::open_in(path, source, Some(folder))
    }

    fn open_in(path: &Path, source: TraceSource, folder: Option<TempDir>) -> Result<Self, TraceError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let trace = Trace::open(path)?;
        let first_look = first_look::find(&trace);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::new(Inner { id, name: source.title(), source, first_look, trace, _folder: folder })))
    }

    /// Its name in lists: the file's stem, or the bundled model's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it came from.
    pub fn source(&self) -> &TraceSource {
        &self.0.source
    }

    /// Where to look first.
    pub fn first_look(&self) -> &Selection {
        &self.0.first_look
    }

    /// The reader.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// A layer by its number in the model.
    pub fn layer(&self, layer: usize) -> Option<&Layer> {
        self.0.trace.layers().iter().find(|found| found.index == layer)
    }
}

impl PartialEq for OpenTrace {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for OpenTrace {}

impl Hash for OpenTrace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl std::fmt::Debug for OpenTrace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenTrace({})", self.0.name)
    }
}

/// `eda` of `folder/eda.trace.zarr`.
fn stem(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    name.trim_end_matches(".zarr").trim_end_matches(".trace").to_owned()
}
