//! Tables and arrays for other programs, each with its provenance beside it.
//!
//! - a [`Table`] as CSV, Parquet, Markdown or LaTeX: [`write_table`]
//! - arrays as npz (NumPy) or safetensors: [`write_arrays`]
//! - what a head's account holds: [`ledger_arrays`]
//! - what a trace holds, as either: [`trace_arrays`], [`trace_scalars`]
//!
//! `NAME.provenance.json` beside every file says who made it, and what its columns or arrays are.
//! The same values give the same bytes.

mod arrays;
mod page;
mod parquet;
mod table;
mod from_ledger;
mod from_trace;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::provenance::{Provenance, digest_bytes};
use crate::trace::TraceError;

pub use arrays::{ArrayForm, NamedArray, Values};
pub use from_ledger::{LedgerParts, ledger_arrays};
pub use from_trace::{trace_arrays, trace_scalars};
pub use table::{Column, Table, Value};

/// Why something could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file is there already.
    #[error("output exists and is not overwritten without --force: {}", .0.display())]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("cannot write the export ({source}): {}", path.display())]
    Write {
        /// Why not.
        source: std::io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The table or the arrays cannot be written in this form.
    #[error("it cannot be written as {form}: {reason}")]
    Form {
        /// npz, safetensors or Parquet.
        form: &'static str,
        /// Why not.
        reason: String,
    },
    /// The trace holds nothing of that name.
    #[error("the trace holds no stream named `{name}`; it holds {known}")]
    UnknownStream {
        /// What was asked.
        name: String,
        /// What there is.
        known: String,
    },
    /// The trace could not be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// A form of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableForm {
    /// Comma-separated, every number in full.
    Csv,
    /// Parquet (zstd): typed columns, nulls where nothing was measured, provenance in the file as well.
    Parquet,
    /// Markdown, numbers with so many significant digits.
    Markdown(usize),
    /// LaTeX with the rules of booktabs, numbers with so many significant digits.
    Latex(usize),
}

/// Write a table, and its provenance beside it. Returns the paths of both; nothing is written if either exists, unless
/// `overwrite`.
pub fn write_table(
    table: &Table,
    form: TableForm,
    path: &Path,
    overwrite: bool,
    provenance: &Provenance,
) -> Result<[PathBuf; 2], ExportError> {
    let bytes = match form {
        TableForm::Csv => table.csv().into_bytes(),
        TableForm::Parquet => parquet::bytes(table, provenance)?,
        TableForm::Markdown(digits) => table.markdown(digits).into_bytes(),
        TableForm::Latex(digits) => table.latex(digits).into_bytes(),
    };
    let about = SideCar { title: &table.title, columns: &table.columns, arrays: &[], rows: table.rows.len(), ..SideCar::of(provenance) };
    write_with_side_car(&bytes, about, path, overwrite)
}

/// Write arrays, and their provenance beside them. Returns the paths of both; nothing is written if either exists, unless
/// `overwrite`.
pub fn write_arrays(
    named: &[NamedArray],
    form: ArrayForm,
    path: &Path,
    overwrite: bool,
    provenance: &Provenance,
) -> Result<[PathBuf; 2], ExportError> {
    let bytes = match form {
        ArrayForm::Npz => arrays::npz(named)?,
        ArrayForm::Safetensors => arrays::safetensors(named, provenance)?,
    };
    let descriptions: Vec<_> = named.iter().map(NamedArray::describe).collect();
    write_with_side_car(&bytes, SideCar { arrays: &descriptions, ..SideCar::of(provenance) }, path, overwrite)
}

/// What `NAME.provenance.json` says.
#[derive(Serialize)]
struct SideCar<'a> {
    /// Digest of the file beside it.
    file_digest: String,
    provenance: &'a Provenance,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    columns: &'a [Column],
    #[serde(skip_serializing_if = "is_zero")]
    rows: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    arrays: &'a [arrays::Description],
}

impl<'a> SideCar<'a> {
    fn of(provenance: &'a Provenance) -> Self {
        Self { file_digest: String::new(), provenance, title: "", columns: &[], rows: 0, arrays: &[] }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references to its predicates")]
fn is_zero(rows: &usize) -> bool {
    *rows == 0
}

fn write_with_side_car(bytes: &[u8], about: SideCar, path: &Path, overwrite: bool) -> Result<[PathBuf; 2], ExportError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".provenance.json");
    let beside = PathBuf::from(beside);
    if let Some(taken) = [path, &beside].into_iter().find(|path| !overwrite && path.exists()) {
        return Err(ExportError::Exists(taken.to_path_buf()));
    }
    let about = SideCar { file_digest: digest_bytes(bytes), ..about };
    let json = serde_json::to_string_pretty(&about).expect("plain data serialises") + "\n";
    let fault = |source| ExportError::Write { source, path: path.to_path_buf() };
    whole_file(path, bytes).map_err(fault)?;
    whole_file(&beside, json.as_bytes()).map_err(fault)?;
    Ok([path.to_path_buf(), beside])
}

/// Write a file under another name and rename it, so that a full disk leaves no half of it; a missing folder is made.
pub fn whole_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The cause is what counts; a leftover part does no harm.
        let _ = std::fs::remove_file(&partial);
    }
    written
}
