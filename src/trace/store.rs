//! Files that appear whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::TraceError;

/// What a file is called until it is committed. Leftovers are ignored by readers and removed by `repair`.
const PARTIAL: &str = "partial";

/// Whether a file was never committed.
pub(super) fn is_partial(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, extension)| extension == PARTIAL)
}

/// The file's name before it is committed.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    name.push(".");
    name.push(PARTIAL);
    path.with_file_name(name)
}

/// One round of the commit protocol: every file to disk, then every name, then the directories that hold the names.
pub(super) fn publish(files: &[PathBuf], root: &Path) -> Result<(), TraceError> {
    files.par_iter().try_for_each(|path| {
        let partial = partial(path);
        let file = File::open(&partial).map_err(TraceError::io("open", &partial))?;
        file.sync_all().map_err(TraceError::io("write to disk", &partial))
    })?;
    let mut folders = BTreeSet::new();
    for path in files {
        fs::rename(partial(path), path).map_err(TraceError::io("rename into place", path))?;
        let within = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
        for folder in within {
            if !folders.insert(folder.to_path_buf()) {
                break;
            }
        }
    }
    folders.into_iter().collect::<Vec<_>>().par_iter().try_for_each(|folder| sync_folder(folder))
}

/// Replaces a file by rename: a reader sees the old bytes or the new ones.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), TraceError> {
    let partial = partial(path);
    let mut file = File::create(&partial).map_err(TraceError::io("create", &partial))?;
    file.write_all(bytes).map_err(TraceError::io("write", &partial))?;
    file.sync_all().map_err(TraceError::io("write to disk", &partial))?;
    fs::rename(&partial, path).map_err(TraceError::io("rename into place", path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a directory durable.
fn sync_folder(folder: &Path) -> Result<(), TraceError> {
    // Only Unix lets a directory be opened and flushed; elsewhere renames are durable by themselves.
    if cfg!(unix) {
        let file = File::open(folder).map_err(TraceError::io("open", folder))?;
        file.sync_all().map_err(TraceError::io("write to disk", folder))?;
    }
    Ok(())
}

/// Every file below a directory, as paths relative to it with `/` between parts, sorted.
pub(super) fn files_below(root: &Path) -> Result<Vec<String>, TraceError> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(TraceError::io("list", &folder))? {
            let path = entry.map_err(TraceError::io("list", &folder))?.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(root) {
                let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
                found.push(parts.join("/"));
            }
        }
    }
    found.sort();
    Ok(found)
}
