//! Parts on disk: safetensors in f64, whole or not there at all.
//!
//! | tensor | shape | is |
//! |---|---|---|
//! | `node` | [node, 5] | fold, level, index, then first step and the one after the last for part of a leaf (else -1, -1) |
//! | `count` | \[node\] | samples |
//! | `mean_features`, `mean_targets` | [node, column] | |
//! | `features_features`, `targets_targets` | [node, entry] | lower triangle of the centred products, row by row |
//! | `targets_features` | [node, target, feature] | centred products |
//!
//! Targets come first, control targets after them. The metadata holds the spec, what is covered, who made it, and a digest of the
//! tensors.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use pentimento_probes::Moments;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::tree::{Node, Piece, Tree};
use super::{Coverage, Part, PartSpec, PartialError};
use crate::provenance::Provenance;

/// The one entry of the metadata: a map of several would be written in an order that changes from run to run.
const KEY: &str = "pentimento_stats";
/// Numbers that say where a node stands.
const PLACE: usize = 5;

#[derive(Serialize, Deserialize)]
struct About {
    spec: PartSpec,
    coverage: Coverage,
    provenance: Provenance,
    tensors_digest: String,
}

impl Part {
    /// Its bytes: the same part, the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries();
        let (d, m) = (self.spec.n_features, self.spec.n_target_columns());
        let sums = |pick: &dyn Fn(&Moments, &mut Vec<f64>)| {
            let mut numbers = Vec::new();
            entries.iter().for_each(|(_, sums)| pick(sums, &mut numbers));
            numbers.into_iter().flat_map(f64::to_le_bytes).collect::<Vec<u8>>()
        };
        // Row `d + t` of the triangle holds the products of target `t` with the features, then with the targets up to it.
        let target_rows = |sums: &Moments, pick: &mut dyn FnMut(&[f64], &[f64])| {
            let mut start = pentimento_probes::moments::triangle(d);
            for target in 0..m {
                let row = &sums.scatter()[start..=start + d + target];
                pick(&row[..d], &row[d..]);
                start += d + target + 1;
            }
        };
        let n = entries.len();
        let triangle = pentimento_probes::moments::triangle;
        let tensors: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = vec![
            ("node", Dtype::I64, vec![n, PLACE], entries.iter().flat_map(|(place, _)| place.map(i64::to_le_bytes)).flatten().collect()),
            ("count", Dtype::I64, vec![n], entries.iter().flat_map(|(_, sums)| (sums.count() as i64).to_le_bytes()).collect()),
            ("mean_features", Dtype::F64, vec![n, d], sums(&|sums, to| to.extend(&sums.mean()[..d]))),
            ("mean_targets", Dtype::F64, vec![n, m], sums(&|sums, to| to.extend(&sums.mean()[d..]))),
            ("features_features", Dtype::F64, vec![n, triangle(d)], sums(&|sums, to| to.extend(&sums.scatter()[..triangle(d)]))),
            ("targets_features", Dtype::F64, vec![n, m, d], sums(&|sums, to| target_rows(sums, &mut |features, _| to.extend(features)))),
            (
                "targets_targets",
                Dtype::F64,
                vec![n, triangle(m)],
                sums(&|sums, to| target_rows(sums, &mut |_, targets| to.extend(targets))),
            ),
        ];
        let about = About {
            spec: self.spec.clone(),
            coverage: self.coverage.clone(),
            provenance: self.provenance.clone(),
            tensors_digest: digest(tensors.iter().map(|(name, _, _, bytes)| (*name, bytes.as_slice()))),
        };
        let json = serde_json::to_string(&about).expect("plain data serialises");
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("lengths follow from the spec"))
        });
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), json)]))).expect("names and lengths are sound")
    }

    /// Where every sum stands, and the sums.
    fn entries(&self) -> Vec<([i64; PLACE], &Moments)> {
        let node = |(&(fold, level, index), sums)| ([fold as i64, i64::from(level), index as i64, -1, -1], sums);
        let piece = |(&(fold, slot, from, to), sums)| ([fold as i64, 0, slot as i64, from as i64, to as i64], sums);
        self.tree.nodes().iter().map(node).chain(self.tree.pieces().iter().map(piece)).collect()
    }

    /// Writes it under another name and renames it, so that no file is ever half a part. Several processes may write the same part.
    pub fn write(&self, path: &Path) -> Result<(), PartialError> {
        let io = |action| move |source| PartialError::Io { action, source, path: path.to_path_buf() };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".part-");
        // Other machines and other users may merge it: readable as the umask allows, not by its maker alone.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).map_err(io("write"))?;
        file.write_all(&self.to_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io("write"))?;
        file.persist(path).map_err(|error| io("write")(error.error))?;
        Ok(())
    }

    /// Reads a part and checks that it is whole.
    pub fn read(path: &Path) -> Result<Self, PartialError> {
        let bytes = std::fs::read(path).map_err(|source| PartialError::Io { action: "read", source, path: path.to_path_buf() })?;
        Self::from_bytes(&bytes).map_err(|reason| PartialError::NotAPart { reason, path: path.to_path_buf() })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let text = |error: safetensors::SafeTensorError| format!("as safetensors it is damaged: {error}");
        let tensors = SafeTensors::deserialize(bytes).map_err(text)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(text)?;
        let json = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or("it was not written by `pentimento stats`")?;
        let about: About = serde_json::from_str(json).map_err(|error| format!("its metadata is not understood: {error}"))?;
        let About { spec, coverage, provenance, tensors_digest } = about;
        if spec.version != 1 {
            return Err(format!("it has version {}, this program reads 1", spec.version));
        }
        let (d, m) = (spec.n_features, spec.n_target_columns());
        let order = ["node", "count", "mean_features", "mean_targets", "features_features", "targets_features", "targets_targets"];
        let data = order.map(|name| tensors.tensor(name).map(|tensor| tensor.data()));
        let data: Vec<&[u8]> = data.into_iter().collect::<Result<_, _>>().map_err(text)?;
        if digest(order.into_iter().zip(data.iter().copied())) != tensors_digest {
            return Err("its numbers are not those that were written".to_owned());
        }
        let whole: Vec<Vec<i64>> = [data[0], data[1]].map(|bytes| words(bytes).map(i64::from_le_bytes).collect()).to_vec();
        let real: Vec<Vec<f64>> = data[2..].iter().map(|bytes| words(bytes).map(f64::from_le_bytes).collect()).collect();
        let triangle = pentimento_probes::moments::triangle;
        let mut tree = Tree::new(&spec);
        for (number, (place, &count)) in whole[0].chunks_exact(PLACE).zip(&whole[1]).enumerate() {
            let row = |index: usize, length: usize| real[index].get(number * length..(number + 1) * length).ok_or("a tensor is too short");
            let (features, crossed, targets) = (row(2, triangle(d))?, row(3, m * d)?, row(4, triangle(m))?);
            let mut scatter = features.to_vec();
            for target in 0..m {
                scatter.extend(&crossed[target * d..(target + 1) * d]);
                scatter.extend(&targets[triangle(target)..triangle(target + 1)]);
            }
            let sums =
                Moments::from_parts(count as u64, [row(0, d)?, row(1, m)?].concat(), scatter).ok_or("its shapes contradict its spec")?;
            match *place {
                [fold, level, index, -1, -1] => tree.restore_node((fold as usize, level as u32, index as u64) as Node, sums),
                [fold, _, slot, from, to] => tree.restore_piece((fold as usize, slot as u64, from as u64, to as u64) as Piece, sums),
                _ => return Err("its shapes contradict its spec".to_owned()),
            }
        }
        Ok(Self { spec, coverage, provenance, tree })
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.chunks_exact(8).map(|word| word.try_into().expect("chunks of eight"))
}

fn digest<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in tensors {
        hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
