//! Every way a trace can refuse, and what to do then.

use std::path::{Path, PathBuf};

use super::Status;
use crate::memory::MemoryError;

/// What can go wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A card could not do what it was asked.
    #[error(transparent)]
    Card(#[from] crate::memory::cuda::CudaError),
    /// There is no trace at this path.
    #[error("this is not a trace ({reason}): {}", path.display())]
    NotATrace {
        /// What was missing or unreadable.
        reason: String,
        /// Where.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("output exists and is not overwritten without --force: {}", .0.display())]
    Exists(PathBuf),
    /// Another process is writing it.
    #[error("another process is recording into this trace; wait until it ends: {}", .0.display())]
    Locked(PathBuf),
    /// Written by a later program with another layout.
    #[error("the trace has schema version {found}, but this program reads {known} and older minor versions of it: use a newer pentimento for {}", path.display())]
    FutureVersion {
        /// The version in the trace.
        found: String,
        /// The version of this program.
        known: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The recording did not finish.
    #[error("the trace is not complete (status: {status}, {committed_steps} steps committed): `pentimento trace repair` makes the committed prefix usable: {}", path.display())]
    Incomplete {
        /// What the trace says of itself.
        status: Status,
        /// Steps that are safely there.
        committed_steps: usize,
        /// Where.
        path: PathBuf,
    },
    /// An array the layer's rule needs is absent.
    #[error("array '{array}' is missing from the trace: it was not recorded, or it was removed")]
    MissingArray {
        /// Its path inside the trace.
        array: String,
    },
    /// An array's shape contradicts the layer's attributes.
    #[error("array '{array}' has shape {found:?}, but {wanted:?} is needed")]
    WrongShape {
        /// Its path inside the trace.
        array: String,
        /// The shape in its metadata.
        found: Vec<usize>,
        /// The shape that the layer's attributes imply.
        wanted: Vec<usize>,
    },
    /// A file of an array is absent, truncated or altered.
    #[error("array '{array}' is damaged: {reason} (file {key}); `pentimento trace verify` lists all damage")]
    Damaged {
        /// Its path inside the trace.
        array: String,
        /// The file, relative to the trace.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A question about a layer, head, sequence or step the trace does not have.
    #[error("{what} {index} is out of range: the trace has {available}")]
    OutOfRange {
        /// layer, head, batch or step.
        what: &'static str,
        /// What was asked.
        index: usize,
        /// What there is.
        available: String,
    },
    /// A block does not continue the trace.
    #[error("the block does not continue the trace: {0}")]
    Block(String),
    /// The disk is full.
    #[error("no space left on the device; the {committed_steps} steps committed so far are kept, free some space and record again: {}", path.display())]
    NoSpace {
        /// Steps that are safely there.
        committed_steps: usize,
        /// Where.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} ({source}): {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The Zarr library refused.
    #[error("array '{array}' cannot be read: {reason}")]
    Zarr {
        /// Its path inside the trace.
        array: String,
        /// Why not.
        reason: String,
    },
    /// The factors do not fit the rule.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A file of factors cannot be imported.
    #[error("cannot import factors: {reason}: {}", path.display())]
    Import {
        /// What is wrong and what to do.
        reason: String,
        /// The file.
        path: PathBuf,
    },
}

impl TraceError {
    /// An operating system's error with what was tried; a full disk gets its own message.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                Self::NoSpace { committed_steps: 0, path }
            }
            _ => Self::Io { action, source, path },
        }
    }

    /// The same, saying what is safe on disk if the disk is full.
    pub(crate) fn with_committed(self, steps: usize, trace: &Path) -> Self {
        match self {
            Self::NoSpace { .. } => Self::NoSpace { committed_steps: steps, path: trace.to_path_buf() },
            other => other,
        }
    }
}
