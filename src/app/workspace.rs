//! A workspace file: which traces are open, what is selected, how it is viewed and arranged.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::State;
use super::open_trace::TraceSource;

/// The mark by which a workspace file is known.
const FORMAT: &str = "pentimento workspace";
/// The version of its layout; a higher one is refused.
const VERSION: u64 = 1;
/// Files larger than this are not workspaces.
const MOST_BYTES: u64 = 64 << 20;

/// How workspace files end.
pub const EXTENSION: &str = "pentimento";

/// What a workspace file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    format: String,
    version: u64,
    traces: Vec<TraceSource>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    results: Vec<PathBuf>,
    #[serde(default)]
    state: State,
}

/// What can be wrong with a workspace file.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// It cannot be read.
    #[error("cannot read the workspace ({source}): {path}")]
    Read {
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: String,
    },
    /// It cannot be written.
    #[error("cannot write the workspace ({source}): {path}")]
    Write {
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: String,
    },
    /// It is something else.
    #[error("not a workspace of pentimento ({reason}): {path}")]
    NotAWorkspace {
        /// What is wrong with it.
        reason: String,
        /// Where.
        path: String,
    },
    /// A later program wrote it.
    #[error("the workspace has version {found}, but this program reads version {VERSION}: use a newer pentimento for {path}")]
    FutureVersion {
        /// The version in the file.
        found: u64,
        /// Where.
        path: String,
    },
}

impl Workspace {
    /// A workspace of these traces and results.
    pub fn new(traces: Vec<TraceSource>, results: Vec<PathBuf>, state: State) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, traces, results, state }
    }

    /// Its traces.
    pub fn traces(&self) -> &[TraceSource] {
        &self.traces
    }

    /// Its traces, its results and its state.
    pub fn into_parts(self) -> (Vec<TraceSource>, Vec<PathBuf>, State) {
        (self.traces, self.results, self.state)
    }

    /// Reads a workspace file. Paths of traces that are relative count from the file's folder.
    pub fn read(path: &Path) -> Result<Self, WorkspaceError> {
        let place = || path.display().to_string();
        let read = |source| WorkspaceError::Read { source, path: place() };
        let not = |reason: &str| WorkspaceError::NotAWorkspace { reason: reason.to_owned(), path: place() };
        if std::fs::metadata(path).map_err(read)?.len() > MOST_BYTES {
            return Err(not("it is too large"));
        }
        let bytes = std::fs::read(path).map_err(read)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| not(&format!("it is not JSON: {error}")))?;
        if value["format"] != FORMAT {
            return Err(not("it lacks \"format\": \"pentimento workspace\""));
        }
        match value["version"].as_u64() {
            None => return Err(not("it has no version")),
            Some(found) if found > VERSION => return Err(WorkspaceError::FutureVersion { found, path: place() }),
            Some(_) => {}
        }
        let mut workspace: Self = serde_json::from_value(value).map_err(|error| not(&error.to_string()))?;
        workspace.state.layout = workspace.state.layout.checked();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for source in &mut workspace.traces {
            if let TraceSource::Path(trace) = source {
                *trace = folder.join(&trace);
            }
        }
        for path in &mut workspace.results {
            *path = folder.join(&path);
        }
        Ok(workspace)
    }

    /// Writes it whole or not at all. Traces beside or beneath the file are named relative to it, so that a folder can move.
    pub fn write(&self, path: &Path) -> Result<(), WorkspaceError> {
        let mut workspace = self.clone();
        if let Some(folder) = path.parent() {
            for source in &mut workspace.traces {
                if let TraceSource::Path(trace) = source
                    && let Ok(relative) = trace.strip_prefix(folder)
                {
                    *trace = relative.to_path_buf();
                }
            }
            for path in &mut workspace.results {
                if let Ok(relative) = path.strip_prefix(folder) {
                    *path = relative.to_path_buf();
                }
            }
        }
        let text = serde_json::to_string_pretty(&workspace).expect("plain data serialises") + "\n";
        crate::export::whole_file(path, text.as_bytes())
            .map_err(|source| WorkspaceError::Write { source, path: path.display().to_string() })
    }
}
