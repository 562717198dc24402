//! The root metadata: attributes and the metadata of every array in one file, whose rename is the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Attributes, TraceError, store};

/// Everything `zarr.json` says.
pub(super) struct Root<'a> {
    pub attributes: &'a Attributes,
    /// Attributes of groups by path; groups without attributes need not be named.
    pub groups: &'a BTreeMap<String, Value>,
    /// Metadata of arrays by path.
    pub arrays: &'a BTreeMap<String, Value>,
}

impl Root<'_> {
    /// Every node below the root by its path.
    fn nodes(&self) -> BTreeMap<String, Value> {
        let empty = json!({});
        let mut paths: BTreeSet<&str> = self.groups.keys().map(String::as_str).collect();
        for path in self.arrays.keys() {
            paths.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        }
        let group = |path: &str| json!({"zarr_format": 3, "node_type": "group", "attributes": self.groups.get(path).unwrap_or(&empty)});
        let groups = paths.into_iter().map(|path| (path.to_owned(), group(path)));
        groups.chain(self.arrays.iter().map(|(path, metadata)| (path.clone(), metadata.clone()))).collect()
    }

    /// Replaces `zarr.json`: what it names is committed from now on.
    pub fn commit(&self, trace: &Path) -> Result<(), TraceError> {
        let nodes: Map<String, Value> = self.nodes().into_iter().collect();
        let attributes = serde_json::to_value(self.attributes).expect("plain data serialises");
        let root = json!({
            "zarr_format": 3,
            "node_type": "group",
            "attributes": attributes,
            "consolidated_metadata": {"kind": "inline", "must_understand": false, "metadata": nodes},
        });
        let text = serde_json::to_vec_pretty(&root).expect("JSON serialises");
        store::replace(&trace.join("zarr.json"), &text)
    }

    /// Gives every group and array a `zarr.json` of its own, for readers that do not know consolidated metadata.
    pub fn write_nodes(&self, trace: &Path) -> Result<(), TraceError> {
        let mut files = Vec::new();
        for (path, node) in self.nodes() {
            let file = trace.join(&path).join("zarr.json");
            let folder = trace.join(&path);
            std::fs::create_dir_all(&folder).map_err(TraceError::io("create", &folder))?;
            let partial = store::partial(&file);
            let text = serde_json::to_vec_pretty(&node).expect("JSON serialises");
            std::fs::write(&partial, text).map_err(TraceError::io("write", &partial))?;
            files.push(file);
        }
        store::publish(&files, trace)
    }
}
