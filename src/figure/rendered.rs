//! A finished figure: its files, and writing them.

use std::path::{Path, PathBuf};

use super::{Figure, FigureError};

/// A finished figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The figure.
    pub figure: Figure,
    /// Its text for those who cannot see it.
    pub summary: String,
    /// The SVG document; it can stand inside HTML as it is.
    pub svg: String,
    /// The PDF, if the spec asks for it.
    pub pdf: Option<Vec<u8>>,
    /// The PNG, if the spec asks for it.
    pub png: Option<Vec<u8>>,
    /// The numbers drawn as a LaTeX table, if the spec asks for it.
    pub tex: Option<String>,
    /// The numbers drawn as a Markdown table, if the spec asks for it.
    pub md: Option<String>,
    /// The numbers drawn, as CSV.
    pub csv: String,
    /// The spec, the provenance, the summary and the numbers drawn, as JSON.
    pub json: String,
    pub(super) keeps_svg: bool,
}

impl Rendered {
    /// Write `STEM.svg`, `.pdf`, `.png`, `.tex`, `.md` (as the spec asks), `.csv` and `.json` into a directory, and return their paths.
    /// Nothing is written if one of them exists, unless `overwrite`.
    pub fn write(&self, directory: &Path, stem: &str, overwrite: bool) -> Result<Vec<PathBuf>, FigureError> {
        let svg = self.keeps_svg.then_some(self.svg.as_bytes());
        let files = [
            ("svg", svg),
            ("pdf", self.pdf.as_deref()),
            ("png", self.png.as_deref()),
            ("tex", self.tex.as_deref().map(str::as_bytes)),
            ("md", self.md.as_deref().map(str::as_bytes)),
            ("csv", Some(self.csv.as_bytes())),
            ("json", Some(self.json.as_bytes())),
        ];
        let files: Vec<(PathBuf, &[u8])> = files
            .into_iter()
            .filter_map(|(extension, bytes)| bytes.map(|bytes| (directory.join(format!("{stem}.{extension}")), bytes)))
            .collect();
        if let Some((path, _)) = files.iter().find(|(path, _)| !overwrite && path.exists()) {
            return Err(FigureError::Exists(path.display().to_string()));
        }
        let fault = |path: &Path| {
            let path = path.display().to_string();
            move |source| FigureError::Write { source, path }
        };
        std::fs::create_dir_all(directory).map_err(fault(directory))?;
        for (path, bytes) in &files {
            crate::export::whole_file(path, bytes).map_err(fault(path))?;
        }
        Ok(files.into_iter().map(|(path, _)| path).collect())
    }
}
