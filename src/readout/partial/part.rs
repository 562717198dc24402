//! A part of the work, and several of them together.

use std::path::{Path, PathBuf};

use super::tree::{self, Tree};
use super::{Coverage, PartSpec, PartialError};
use crate::provenance::Provenance;

/// Partial sums: what was summed, over what, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub(super) spec: PartSpec,
    pub(super) coverage: Coverage,
    pub(super) provenance: Provenance,
    pub(super) tree: Tree,
}

impl Part {
    /// The piece of work it belongs to.
    pub const fn spec(&self) -> &PartSpec {
        &self.spec
    }

    /// Which sequences and steps it holds.
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Who made it, from which traces.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Samples in it.
    pub fn n_samples(&self) -> u64 {
        self.tree.nodes().values().chain(self.tree.pieces().values()).map(pentimento_probes::Moments::count).sum()
    }

    /// Sums it keeps apart because what lies between them is elsewhere.
    pub fn n_sums(&self) -> usize {
        self.tree.nodes().len() + self.tree.pieces().len()
    }

    fn absorb(&mut self, other: Self) {
        self.coverage = self.coverage.with(&other.coverage);
        for trace in other.provenance.made_from {
            if let Err(place) = self.provenance.made_from.binary_search(&trace) {
                self.provenance.made_from.insert(place, trace);
            }
        }
        for (node, sums) in other.tree.nodes() {
            self.tree.insert(*node, sums.clone());
        }
        let first = tree::blocks(&self.spec).start;
        let width = self.tree.slot(1, 0);
        for (piece, sums) in other.tree.pieces() {
            let leaf = tree::steps_of(&self.spec, first + piece.1 % width);
            self.tree.insert_piece(*piece, leaf, sums.clone());
        }
    }
}

/// What a merge does where work is missing between its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Refuses: all steps of the hull of all sequences must be there.
    Refused,
    /// Merges what there is; a later merge brings the rest.
    Allowed,
}

/// Merges parts of one piece of work. Their order does not matter, to the bit.
pub fn merge(parts: Vec<(PathBuf, Part)>, gaps: Gaps) -> Result<Part, PartialError> {
    let names: Vec<&Path> = parts.iter().map(|(path, _)| path.as_path()).collect();
    let Some((_, first)) = parts.first() else { return Err(PartialError::NoParts) };
    let different = |what: String, left: String, right: String, other: usize| PartialError::Different {
        what,
        left,
        right,
        left_part: names[0].to_path_buf(),
        right_part: names[other].to_path_buf(),
    };
    for (index, (_, part)) in parts.iter().enumerate().skip(1) {
        if let Some((what, left, right)) = first.spec.difference(&part.spec) {
            return Err(different(what, left, right, index));
        }
        let maker = |part: &Part| format!("{} {} ({})", part.provenance.tool, part.provenance.version, part.provenance.revision);
        if maker(first) != maker(part) {
            return Err(different("the program".to_owned(), maker(first), maker(part), index));
        }
        for (other, (_, earlier)) in parts.iter().enumerate().take(index) {
            if let Some(overlap) = part.coverage.overlap(&earlier.coverage) {
                let (left_part, right_part) = (names[other].to_path_buf(), names[index].to_path_buf());
                return Err(PartialError::Overlap { overlap: overlap.to_string(), left_part, right_part });
            }
        }
    }
    let coverage = parts.iter().fold(Coverage::default(), |all, (_, part)| all.with(&part.coverage));
    if let Some(gap) = coverage.gap().filter(|_| gaps == Gaps::Refused) {
        return Err(PartialError::Gap { gap: gap.to_string(), held: coverage.to_string() });
    }
    let mut parts = parts.into_iter().map(|(_, part)| part);
    let mut merged = parts.next().ok_or(PartialError::NoParts)?;
    parts.for_each(|part| merged.absorb(part));
    Ok(merged)
}
